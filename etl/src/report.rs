//! What a run came to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lakegate_engine::ErrorKind;
use lakegate_rules::{Report, Verdict};
use serde::{Deserialize, Serialize};

use crate::typing::TypingCounts;

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did its work.
    Done,
    /// An earlier run has done it with the same input and definition.
    AlreadyDone,
    /// It could not be carried out.
    Failed,
    /// Its data fails the checks; nothing was published by it.
    Refused,
    /// It did not begin: what it needs failed, or nothing needed it.
    Skipped,
}

/// What a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// The pipeline.
    pub pipeline: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Time from start to end.
    #[serde(rename = "elapsed_ms", with = "milliseconds")]
    pub elapsed: Duration,
    /// Its stages, in the order of the pipeline; those that were not selected are left out.
    pub stages: Vec<StageReport>,
    /// What went wrong beside the stages, for example records that could not be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a stage came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageReport {
    /// The stage.
    pub name: String,
    /// Its kind, for example `publish`.
    pub kind: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows of its view: those that it gave, or those that a publish read. None when they streamed by uncounted.
    pub rows: Option<u64>,
    /// Rows of the table at the version that a publish made.
    #[serde(default)]
    pub table_rows: Option<u64>,
    /// The table that it publishes to.
    pub table: Option<String>,
    /// The version that it published; the newest one when an earlier run has published the same.
    pub version: Option<i64>,
    /// What a `type` stage found, as far as its rows were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing: Option<TypingCounts>,
    /// Rows that went to quarantine.
    pub quarantined: Option<u64>,
    /// Rows that checks with `bad_rows: drop` left out. None without such checks.
    #[serde(default)]
    pub dropped: Option<u64>,
    /// The tables that took those in quarantine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine_tables: Vec<String>,
    /// The verdicts of its checks.
    pub report: Option<Report>,
    /// The gate's verdict over what was published. `no_worse` when checks fail, and no more than they did before.
    #[serde(default)]
    pub verdict: Option<String>,
    /// Why it failed, was refused or was skipped.
    pub error: Option<String>,
    /// The way out.
    pub hint: Option<String>,
    /// When it began to work; none when it did not.
    pub started_at: Option<DateTime<Utc>>,
    /// The exit code of its error.
    pub exit_code: u8,
    /// Time from its start to its end.
    #[serde(rename = "elapsed_ms", with = "milliseconds")]
    pub elapsed: Duration,
}

impl RunReport {
    /// The exit code of the run: the greatest one of the stages that failed; without such, that of a refusal when a stage
    /// was refused; 0 when nothing went wrong.
    pub fn exit_code(&self) -> u8 {
        let refused = ErrorKind::Refused.exit_code();
        let failed = self
            .stages
            .iter()
            .filter(|stage| stage.outcome == Outcome::Failed)
            .map(|stage| stage.exit_code)
            .max();
        match failed {
            Some(code) => code,
            None if self.stages.iter().any(|s| s.outcome == Outcome::Refused) => refused,
            None => 0,
        }
    }

    /// A stage, by its name.
    pub fn stage(&self, name: &str) -> Option<&StageReport> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

impl StageReport {
    /// What its checks come to: the worst verdict.
    pub fn checks_verdict(&self) -> Option<Verdict> {
        Some(self.report.as_ref()?.verdict())
    }
}

/// Durations as whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
