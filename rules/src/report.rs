//! What the judge found.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Waiver;

/// The outcome of a check; a worse one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As wanted.
    Pass,
    /// Not as wanted, reported only.
    Warn,
    /// Failed, and allowed to by a waiver.
    Waived,
    /// Not as wanted; blocks.
    Fail,
    /// Could not be evaluated; blocks.
    Error,
}

/// What a failing check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is reported.
    Warn,
    /// It blocks.
    Error,
}

/// Which rows a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole candidate version.
    Table,
    /// The rows that a write brings.
    Added,
}

/// The outcome of all checks of a rule file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was judged.
    pub table: String,
    /// By which file.
    pub rules_file: String,
    /// Hash of that file.
    pub rules_sha256: String,
    /// When.
    pub judged_at: DateTime<Utc>,
    /// Rows that were judged, when a check counted them.
    pub rows: Option<u64>,
    /// One result a check, in the file's order.
    pub checks: Vec<CheckResult>,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `column/kind` or `kind`, with a name where the file gives one; unique in the file.
    pub id: String,
    /// The kind of check.
    pub kind: String,
    /// The column, for a column's check.
    pub column: Option<String>,
    /// What failing does.
    pub severity: Severity,
    /// Which rows were looked at.
    pub scope: Scope,
    /// The outcome.
    pub verdict: Verdict,
    /// The metric, when it is a number.
    pub metric: Option<f64>,
    /// The metric for people, for example `97.1%`.
    pub observed: String,
    /// The wanted value for people, for example `at least 99%`.
    pub expected: String,
    /// Rows that were judged.
    pub rows: Option<u64>,
    /// Rows among them that are not as wanted.
    pub bad_rows: Option<u64>,
    /// Why it could not be evaluated, or a detail.
    pub message: Option<String>,
    /// The way out.
    pub hint: Option<String>,
    /// Keys of some bad rows: column and value.
    pub samples: Vec<Vec<(String, String)>>,
    /// The waiver that let it pass.
    pub waiver: Option<Waiver>,
    /// Time the evaluation took, in milliseconds; checks that share a scan share its time.
    pub elapsed_ms: u64,
}

impl Report {
    /// The worst verdict of all checks; `pass` when there are none.
    pub fn verdict(&self) -> Verdict {
        self.checks
            .iter()
            .map(|c| c.verdict)
            .max()
            .unwrap_or(Verdict::Pass)
    }

    /// Whether a commit of this data is refused.
    pub fn blocks(&self) -> bool {
        self.verdict() >= Verdict::Fail
    }
}
