//! A project in a temporary folder, the binary, and an independent reader.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

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

/// A server of a project, which ends with the test.
pub(crate) struct Server {
    process: Child,
    /// Reads what the server says, so that it never waits to say it.
    stderr: Option<JoinHandle<String>>,
    /// Where Flight SQL is served.
    pub(crate) flight: String,
    /// Where health and metrics are served.
    pub(crate) http: String,
}

impl Project {
    /// Starts a server, and waits until it is ready.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let doors = ["--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut process = self
            .command(&[&["serve"], &doors[..], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let ran: Ran = process.wait_with_output().unwrap().into();
            panic!("the server did not start:\n{}", ran.stderr);
        };
        assert_eq!(ready["ready"], true);
        let address = |door: &str| ready[door].as_str().unwrap().to_owned();
        let stderr = process.stderr.take().unwrap();
        let stderr = std::thread::spawn(|| std::io::read_to_string(stderr).unwrap());
        Server {
            flight: address("flight"),
            http: address("http"),
            process,
            stderr: Some(stderr),
        }
    }
}

impl Server {
    /// The number of its process.
    pub(crate) fn process_id(&self) -> String {
        self.process.id().to_string()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process_id();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) fn stop(self) -> Ran {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until the server has ended.
    pub(crate) fn ended(mut self) -> Ran {
        let code = self.process.wait().unwrap().code();
        let stderr = self.stderr.take().map(|stderr| stderr.join().unwrap());
        Ran {
            code,
            stdout: String::new(),
            stderr: stderr.unwrap_or_default(),
        }
    }

    /// The body of what is at a path of the HTTP door, with its status.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: lakegate\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What only some machines have, and `tests/run.py` installs: where it is, by the name of a variable. Without it, a test
/// is skipped and says so.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn installed(variable: &str, what: &str) -> Option<OsString> {
    let installed = std::env::var_os(variable);
    if installed.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{what} is missing");
        eprintln!("SKIPPED: {what} is missing; `python3 tests/run.py` installs it");
    }
    installed
}

/// Runs a script of `tests/clients` and reads the JSON that it prints.
#[track_caller]
pub(crate) fn python(script: &str, arguments: &[&str]) -> Value {
    let python = std::env::var_os("LAKEGATE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    python_at(&python, script, arguments)
}

/// Runs a script of `tests/clients` in a certain Python, and reads the JSON that it prints.
#[track_caller]
pub(crate) fn python_at(python: &OsStr, script: &str, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(script);
    let output = Command::new(python)
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
