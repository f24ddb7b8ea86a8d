//! What a stage made, and what is reported of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::catalog::TableProvider;
use lakegate_rules::Report;

use crate::events::RunEvent;
use crate::pipeline::Stage;
use crate::report::{Outcome, StageReport};
use crate::scratch::Spooled;
use crate::typing::TypingCounter;
use crate::{EtlError, judge};

use super::Runner;

/// What a stage made.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// A view.
    View(View),
    /// Nothing: its checks passed.
    Passed,
    /// A version of a table, or none because it was there.
    Published,
}

/// A view, ready to be read.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The rows.
    pub(crate) provider: Arc<dyn TableProvider>,
    /// Whether they are on disk: reading them again is cheap and gives the same.
    pub(crate) is_spooled: bool,
    /// How many there are, when they were counted.
    pub(crate) rows: Option<u64>,
    /// Rows that did not type and left the view.
    pub(crate) untyped: Option<Spooled>,
    /// The rows with `_file` and `_line` behind their columns, when they come from text files.
    pub(crate) located: Option<Arc<dyn TableProvider>>,
    /// Counts of a typing that streams.
    pub(crate) counter: Option<Arc<TypingCounter>>,
}

/// Why a stage stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A stage that it needs went wrong.
    Dependency(String),
    /// It went wrong itself.
    Error(EtlError),
}

impl<E: Into<EtlError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// A stage that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What it made; none when it stopped.
    pub(crate) output: Option<Output>,
    /// What is reported of it.
    pub(crate) report: StageReport,
}

impl Finished {
    /// The report, with the counts that streams have given since.
    pub(crate) fn report_now(&self) -> StageReport {
        let mut report = self.report.clone();
        if let Some(Output::View(view)) = &self.output
            && let Some(counter) = &view.counter
        {
            let counts = counter.total();
            report.rows = (counts.rows > 0).then_some(counts.rows);
            report.typing = Some(counts);
        }
        report
    }
}

/// The report of a stage that is at work.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) report: StageReport,
    began: Option<Instant>,
}

impl Draft {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self::unnamed(Some(stage))
    }

    pub(crate) fn unnamed(stage: Option<&Stage>) -> Self {
        Self {
            report: StageReport {
                name: stage.map(|s| s.name.clone()).unwrap_or_default(),
                kind: stage.map(|s| s.kind.name().to_owned()).unwrap_or_default(),
                outcome: Outcome::Done,
                rows: None,
                table_rows: None,
                table: None,
                version: None,
                typing: None,
                quarantined: None,
                dropped: None,
                quarantine_tables: Vec::new(),
                report: None,
                verdict: None,
                error: None,
                hint: None,
                started_at: None,
                exit_code: 0,
                elapsed: Duration::ZERO,
            },
            began: None,
        }
    }

    /// The stage has what it needs and begins to work.
    pub(crate) fn begin(&mut self, runner: &Runner, kind: &'static str, input_bytes: Option<u64>) {
        self.began = Some(Instant::now());
        self.report.started_at = Some(runner.lakegate.now());
        runner.tell(&RunEvent::StageStarted {
            stage: self.report.name.clone(),
            kind,
            input_bytes,
        });
    }

    /// The stage's checks were judged.
    pub(crate) fn judged(&mut self, runner: &Runner, report: Report) {
        runner.tell(&RunEvent::Report {
            stage: self.report.name.clone(),
            report: Arc::new(report.clone()),
        });
        self.report.report = Some(report);
    }

    /// The stage has something to say that stops nothing.
    pub(crate) fn warn(&self, runner: &Runner, message: String) {
        runner.tell(&RunEvent::Warning {
            stage: self.report.name.clone(),
            message,
        });
    }

    pub(crate) fn finish(mut self, output: Result<Output, Stop>, pipeline_file: &str) -> Finished {
        self.report.elapsed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let output = match output {
            Ok(output) => Some(output),
            Err(Stop::Dependency(stage)) => {
                self.report.outcome = Outcome::Skipped;
                self.report.error = Some(format!("stage `{stage}` did not succeed"));
                None
            }
            Err(Stop::Error(error)) => {
                self.fail(&error, pipeline_file);
                None
            }
        };
        Finished {
            output,
            report: self.report,
        }
    }

    fn fail(&mut self, error: &EtlError, pipeline_file: &str) {
        let is_refused = matches!(error, EtlError::CheckFailed { .. }) || error.refusal().is_some();
        self.report.outcome = if is_refused {
            Outcome::Refused
        } else {
            Outcome::Failed
        };
        self.report.exit_code = error.exit_code();
        self.report.hint = error.hint().map(str::to_owned);
        self.report.error = Some(match error {
            EtlError::Input(input) => match input.place {
                Some(place) => format!("{pipeline_file}:{place}: {input}"),
                None => input.to_string(),
            },
            other => with_causes(other),
        });
    }
}

/// An error with what caused it, as far as its own text does not say that.
fn with_causes(error: &EtlError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        let first_line = more.lines().next().unwrap_or_default();
        if !first_line.is_empty() && !text.contains(first_line) {
            text.push_str(": ");
            text.push_str(first_line);
        }
        cause = inner.source();
    }
    text
}

/// Says that checks failed.
pub(crate) fn check_failed(what: &str, report: &Report, hint: Option<String>) -> EtlError {
    EtlError::CheckFailed {
        message: format!("{what} fails its checks: {}", judge::failures(report)),
        hint,
    }
}
