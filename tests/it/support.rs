//! A project in a temporary folder, the binary, and an independent reader.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, when the exit code is the wanted one.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The binary that the test command built.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LAKEGATE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap().join("lakegate");
    assert!(
        built.exists(),
        "{} is missing; run `python3 tests/run.py`",
        built.display()
    );
    built
}

/// A command of the binary, without the settings and colours of whoever runs the tests.
pub(crate) fn lakegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LAKEGATE_") {
            command.env_remove(name);
        }
    }
    command
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .args(arguments);
    command
}

/// A folder that goes away with the test.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A project of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let project = Self::empty();
        project.write("lakegate.yaml", "version: 1\nproject: test\n");
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A command in this project.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lakegate(arguments);
        command.arg("-C").arg(self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// The rows of a query, as JSON objects.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        let ran = self.run(&["query", sql, "--format", "json"]).expect_code(0);
        match ran.json() {
            Value::Array(rows) => rows,
            other => panic!("not rows: {other}"),
        }
    }

    /// What an independent reader sees of a table: version, rows, files, columns, history.
    #[track_caller]
    pub(crate) fn independent(&self, table: &str) -> Value {
        python(
            "read_table.py",
            &[&self.table_folder(table).display().to_string()],
        )
    }

    pub(crate) fn table_folder(&self, table: &str) -> PathBuf {
        self.path().join("warehouse").join(table.replace('.', "/"))
    }
}

/// Runs a script of `tests/clients` and reads the JSON that it prints.
#[track_caller]
pub(crate) fn python(script: &str, arguments: &[&str]) -> Value {
    let python = std::env::var_os("LAKEGATE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(script);
    let output = Command::new(&python)
        .arg(&script)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", python.display()));
    assert!(
        output.status.success(),
        "{} failed; `python3 tests/run.py` installs what it needs\n{}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of the data files in a table's folder.
pub(crate) fn parquet_files(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("_delta_log") {
            continue;
        }
        if path.is_dir() {
            parquet_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "parquet") {
            files.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}
