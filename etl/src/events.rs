//! What a run tells while it goes on.

use std::sync::Arc;
use std::time::Duration;

use lakegate_rules::Report;

use crate::report::Outcome;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// A stage has begun to work.
    StageStarted {
        /// The stage.
        stage: String,
        /// Its kind, for example `publish`.
        kind: &'static str,
        /// Bytes of its input, when they are known, for a progress bar.
        input_bytes: Option<u64>,
    },
    /// Rows went through a stage. The numbers are totals since its start.
    Rows {
        /// The stage.
        stage: String,
        /// Rows.
        rows: u64,
        /// Bytes, in memory.
        bytes: u64,
    },
    /// A stage has ended.
    StageFinished {
        /// The stage.
        stage: String,
        /// How it ended.
        outcome: Outcome,
        /// Rows that it gave, when they were counted.
        rows: Option<u64>,
        /// The version that it published.
        version: Option<i64>,
        /// Time from its start.
        elapsed: Duration,
    },
    /// Checks were judged.
    Report {
        /// The stage.
        stage: String,
        /// The verdicts.
        report: Arc<Report>,
    },
    /// Something that a user should know, and that stops nothing.
    Warning {
        /// The stage.
        stage: String,
        /// What it is.
        message: String,
    },
}

/// Who listens to a run.
pub trait RunEvents: Send + Sync {
    /// Takes one event. It is called from several threads.
    fn event(&self, event: &RunEvent);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl RunEvents for Silent {
    fn event(&self, _event: &RunEvent) {}
}
