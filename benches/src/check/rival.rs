//! DuckDB and Spark over the same files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{Usage, measure};

/// Rivals in a Python of their own.
pub(super) struct Rivals {
    python: PathBuf,
    queries: PathBuf,
}

impl Rivals {
    pub(super) fn new(data: &Path) -> Result<Self> {
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
    pub(super) fn duckdb(&self, tpch: &Path, query: &str) -> Result<Usage> {
        self.run("duckdb_checks.py", tpch, query)
    }

    /// Spark's answer to a query, from the start of its process on.
    pub(super) fn spark(&self, tpch: &Path, query: &str) -> Result<Usage> {
        self.run("spark_checks.py", tpch, query)
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
