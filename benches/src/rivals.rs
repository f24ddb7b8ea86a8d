//! DuckDB and Spark over the same files, and clients that are written in Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{Usage, measure};

/// Rivals in a Python of their own.
pub(crate) struct Rivals {
    python: PathBuf,
    queries: PathBuf,
}

impl Rivals {
    pub(crate) fn new(data: &Path) -> Result<Self> {
        let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals");
        let folder = data.join("python");
        let python = folder.join("bin/python");
        let run = |program: &Path, arguments: &[&str]| -> Result<()> {
            let status = Command::new(program).args(arguments).status()?;
            match status.success() {
                true => Ok(()),
                false => Err(format!("{} {arguments:?} failed", program.display()).into()),
            }
        };
        if !python.exists() {
            let place = folder.display().to_string();
            run(Path::new("python3"), &["-m", "venv", &place])?;
        }
        let wanted = queries.join("requirements.txt").display().to_string();
        run(&python, &["-m", "pip", "install", "--quiet", "-r", &wanted])?;
        Ok(Self { python, queries })
    }

    /// DuckDB's answer to a query.
    pub(crate) fn duckdb(&self, tpch: &Path, query: &str) -> Result<Usage> {
        self.run("duckdb_checks.py", tpch, query)
    }

    /// Spark's answer to a query, from the start of its process on.
    pub(crate) fn spark(&self, tpch: &Path, query: &str) -> Result<Usage> {
        self.run("spark_checks.py", tpch, query)
    }

    /// What a script of `rivals` prints.
    pub(crate) fn output(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.python)
            .arg(self.queries.join(script))
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("{script} {arguments:?} failed").into()),
        }
    }

    fn run(&self, script: &str, tpch: &Path, query: &str) -> Result<Usage> {
        let script = self.queries.join(script).display().to_string();
        let query = self.queries.join(query).display().to_string();
        measure(
            &self.python,
            &[&script, &tpch.display().to_string(), &query],
        )
    }
}
