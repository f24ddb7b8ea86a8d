//! The only file that prints: data goes to stdout, everything else to stderr.

mod progress;
mod rows;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use lakegate_rules::Report;
use serde::Serialize;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::arguments::Format;
use crate::error::CliError;

pub(crate) use progress::Progress;
pub(crate) use rows::{RowFormat, TextTable, print_rows};

/// Where results and messages go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    colour_on_stdout: bool,
    colour_on_stderr: bool,
    bars: MultiProgress,
    /// Whether the reader of stdout has gone away, as `head` does.
    is_closed: AtomicBool,
    /// The first reason why stdout could not be written, other than that.
    failure: Mutex<Option<io::Error>>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let colours_are_wanted = crate::settings::process_environment("NO_COLOR").is_none();
        let shows_bars = format == Format::Text && io::stderr().is_terminal();
        let target = if shows_bars {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            format,
            colour_on_stdout: colours_are_wanted && io::stdout().is_terminal(),
            colour_on_stderr: colours_are_wanted && io::stderr().is_terminal(),
            bars: MultiProgress::with_draw_target(target),
            is_closed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether nobody reads stdout any more, so that the rest need not be made.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Bytes of a result, as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        if self.is_closed() {
            return;
        }
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        });
        let Err(error) = written else { return };
        self.is_closed.store(true, Ordering::Relaxed);
        if error.kind() != io::ErrorKind::BrokenPipe {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
        }
    }

    /// Lines of a result.
    pub(crate) fn text(&self, text: &str) {
        let end = if text.ends_with('\n') || text.is_empty() {
            ""
        } else {
            "\n"
        };
        self.bytes(format!("{text}{end}").as_bytes());
    }

    /// A result as a JSON document.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| CliError::bug(&format!("a result is not JSON: {error}")))?;
        self.text(&text);
        Ok(())
    }

    /// A judge's report.
    pub(crate) fn report(&self, report: &Report) -> Result<(), CliError> {
        if self.is_json() {
            return self.json(report);
        }
        self.report_text(report);
        Ok(())
    }

    /// A judge's report for people.
    pub(crate) fn report_text(&self, report: &Report) {
        self.text(&report.to_text(self.colour_on_stdout));
    }

    /// Where the metrics of a report came from, for people; its JSON has that in it.
    pub(crate) fn sources(&self, report: &Report) {
        if !self.is_json() {
            self.text(&report.sources_text());
        }
    }

    /// Something that a user should know, and that stops nothing.
    pub(crate) fn warning(&self, message: &str, hint: Option<&str>) {
        if self.is_json() {
            self.event(&json!({ "event": "warning", "message": message, "hint": hint }));
            return;
        }
        self.labelled("warning", "1;33", message);
        if let Some(hint) = hint {
            self.labelled("hint", "36", hint);
        }
    }

    /// A line beside the results, for people only.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json() {
            self.stderr_line(text);
        }
    }

    /// A line beside the results, for programs only.
    pub(crate) fn event(&self, event: &Value) {
        if self.is_json() {
            self.stderr_line(&event.to_string());
        }
    }

    /// What a command ends with.
    pub(crate) fn error(&self, error: &CliError) {
        if let Some(report) = &error.report
            && !self.is_json()
        {
            self.report_text(report);
        }
        if self.is_json() {
            for message in &error.messages {
                self.event(&json!({
                    "event": "error",
                    "message": message.text,
                    "causes": message.causes,
                    "hint": message.hint,
                    "exit_code": error.exit_code,
                    "report": error.report,
                }));
            }
            return;
        }
        for message in &error.messages {
            self.labelled("error", "1;31", &message.text);
            for cause in &message.causes {
                self.stderr_line(&format!("  caused by: {}", terminal_safe(cause)));
            }
            if let Some(hint) = &message.hint {
                self.labelled("hint", "36", hint);
            }
        }
    }

    fn labelled(&self, label: &str, code: &str, text: &str) {
        let label = if self.colour_on_stderr {
            format!("\u{1b}[{code}m{label}\u{1b}[0m")
        } else {
            label.to_owned()
        };
        self.stderr_line(&format!("{label}: {}", terminal_safe(text)));
    }

    fn stderr_line(&self, line: &str) {
        // There is nowhere to say that stderr cannot be written.
        let _nowhere_to_report = self
            .bars
            .suspend(|| writeln!(io::stderr().lock(), "{line}"));
    }

    /// A heading between the steps of a result for people.
    pub(crate) fn heading(&self, text: &str) {
        if self.colour_on_stdout {
            self.text(&format!("\u{1b}[1m{text}\u{1b}[0m"));
        } else {
            self.text(text);
        }
    }

    /// Takes the bars away, and says why results could not be printed.
    ///
    /// # Errors
    /// When stdout could not be written for another reason than that nobody reads it.
    pub(crate) fn finish(&self) -> Result<(), CliError> {
        let _bars_may_stay = self.bars.clear();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.take() {
            Some(error) => Err(CliError::failed("cannot print the result", &error)),
            None => Ok(()),
        }
    }

    /// Sends log events to stderr.
    ///
    /// # Errors
    /// When the filter is not one.
    pub(crate) fn start_log(self: &Arc<Self>, filter: &str) -> Result<(), CliError> {
        let filter = EnvFilter::try_new(filter).map_err(|error| {
            CliError::new(format!("the log filter `{filter}` is not one: {error}"))
                .with_hint("write a level such as `debug`, or `target=level` pairs such as `lakegate_etl=trace`")
        })?;
        let output = Arc::clone(self);
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(self.colour_on_stderr)
            .with_writer(move || LogLine {
                output: Arc::clone(&output),
                line: Vec::new(),
            });
        if self.is_json() {
            log.json().init();
        } else {
            log.init();
        }
        Ok(())
    }
}

/// Text for stderr. Line ends stay, other control characters do not reach the terminal.
fn terminal_safe(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(lakegate_rules::printable).collect();
    lines.join("\n")
}

/// One log event, printed when it is complete so that it does not run through a bar.
struct LogLine {
    output: Arc<Output>,
    line: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        self.output.stderr_line(line.trim_end());
    }
}
