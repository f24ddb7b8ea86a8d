//! A run as it goes on: bars on a terminal, lines elsewhere, JSON lines with `--format json`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use lakegate_etl::{Outcome, RunEvent, RunEvents};
use lakegate_rules::thousands;
use serde_json::json;

use super::Output;

/// How often a bar moves while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// Prints the events of a run.
pub(crate) struct Progress {
    output: Arc<Output>,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    pub(crate) fn new(output: &Arc<Output>) -> Arc<Self> {
        Arc::new(Self {
            output: Arc::clone(output),
            bars: Mutex::new(HashMap::new()),
        })
    }

    fn begin(&self, stage: &str) {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template(
            "{spinner} {prefix:24} {human_pos:>12} rows  {per_sec:>16}  {elapsed}",
        );
        // The template is a constant; were it wrong, the bar would look plain.
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(stage.to_owned());
        let bar = self.output.bars.add(bar);
        bar.enable_steady_tick(TICK);
        self.lock().insert(stage.to_owned(), bar);
    }

    fn end(&self, stage: &str) {
        if let Some(bar) = self.lock().remove(stage) {
            bar.finish_and_clear();
            self.output.bars.remove(&bar);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(
        &self,
        stage: &str,
        outcome: Outcome,
        rows: Option<u64>,
        version: Option<i64>,
        elapsed: Duration,
    ) {
        if outcome == Outcome::Skipped {
            return;
        }
        let mut line = format!("  {stage:24} {:12}", outcome_word(outcome));
        let rows = rows.map_or_else(String::new, |rows| format!("{} rows", thousands(rows)));
        let version = version.map_or_else(String::new, |version| format!("version {version}"));
        line.push_str(&format!(
            " {rows:>16}  {version:10} {:.1} s",
            elapsed.as_secs_f64()
        ));
        self.output.note(&line);
    }
}

/// An outcome for people.
pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::AlreadyDone => "already done",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
        Outcome::Skipped => "skipped",
    }
}

impl RunEvents for Progress {
    fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::StageStarted {
                stage,
                kind,
                input_bytes,
            } => {
                self.begin(stage);
                self.output.event(&json!({
                    "event": "stage_started", "stage": stage, "kind": kind, "input_bytes": input_bytes,
                }));
            }
            RunEvent::Rows { stage, rows, bytes } => {
                if let Some(bar) = self.lock().get(stage) {
                    bar.set_position(*rows);
                }
                self.output.event(
                    &json!({ "event": "rows", "stage": stage, "rows": rows, "bytes": bytes }),
                );
            }
            RunEvent::StageFinished {
                stage,
                outcome,
                rows,
                version,
                elapsed,
            } => {
                self.end(stage);
                self.finished(stage, *outcome, *rows, *version, *elapsed);
                self.output.event(&json!({
                    "event": "stage_finished", "stage": stage, "outcome": outcome, "rows": rows,
                    "version": version, "elapsed_ms": elapsed.as_millis() as u64,
                }));
            }
            RunEvent::Report { stage, report } => {
                self.output.event(&json!({
                    "event": "report", "stage": stage, "table": report.table, "verdict": report.verdict(),
                    "checks": report.checks.len(),
                }));
            }
            RunEvent::Warning { stage, message } => {
                self.output
                    .warning(&format!("stage `{stage}`: {message}"), None);
            }
        }
    }
}
