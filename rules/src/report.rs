//! What the judge found: the outcome of each check, and what it means for a commit.

mod junit;
mod source;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Waiver;

pub use junit::{Unjudged, to_junit};
pub use source::{FilesRead, Origin, Source};
pub use text::{printable, share_of_rows, thousands};

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
    /// Failed, and no more than in the version before, which `gate: no_worse` accepts.
    NoWorse,
    /// Not as wanted; blocks.
    Fail,
    /// Could not be evaluated; blocks.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Waived => "waived",
            Self::NoWorse => "no_worse",
            Self::Fail => "fail",
            Self::Error => "error",
        })
    }
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
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// What its rules are for.
    #[serde(default)]
    pub description: Option<String>,
    /// By which file.
    pub rules_file: String,
    /// Hash of that file.
    pub rules_sha256: String,
    /// When.
    pub judged_at: DateTime<Utc>,
    /// Rows that were judged, when a check counted them.
    pub rows: Option<u64>,
    /// The data files that were read; only where asked for, and the table has files that are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesRead>,
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
    /// What the check is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What failing does.
    pub severity: Severity,
    /// Which rows were looked at.
    pub scope: Scope,
    /// The outcome.
    pub verdict: Verdict,
    /// The metric, when it is a finite number; `observed` says what an infinite one or NaN is.
    pub metric: Option<f64>,
    /// How far the metric is from the bound that it breaks, in the metric's unit; 0 when it keeps all.
    #[serde(default)]
    pub distance: Option<f64>,
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
    /// Where the metric came from; only where asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<Source>,
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

    /// How many checks have the verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|c| c.verdict == verdict).count()
    }

    /// Turns failures into `waived` where a waiver holds at `now`.
    ///
    /// A check that could not be evaluated stays an error: a waiver accepts known bad data, not
    /// unknown data.
    pub fn apply_waivers(&mut self, waivers: &[Waiver], now: DateTime<Utc>) {
        for check in &mut self.checks {
            if check.verdict != Verdict::Fail {
                continue;
            }
            let holding = waivers
                .iter()
                .filter(|waiver| waiver.check == check.id && waiver.holds_at(now))
                .max_by_key(|waiver| (waiver.until, waiver.made));
            if let Some(waiver) = holding {
                check.verdict = Verdict::Waived;
                check.waiver = Some(waiver.clone());
            }
        }
    }

    /// Turns failures into `no_worse` when no blocking check is worse here than in `base`, the report of the version
    /// before. Says whether it did.
    ///
    /// A check is worse when it blocks here and did not in `base`, or is not in `base` at all; when
    /// it has more bad rows; when its metric is further from its threshold; when it cannot be evaluated here, or could
    /// not be in `base`, since nobody knows how bad it is or was; and when nothing tells how the two compare.
    pub fn accept_as_no_worse(&mut self, base: &Self) -> bool {
        let is_no_worse = |check: &&mut CheckResult| {
            let before = base.checks.iter().find(|before| before.id == check.id);
            before.is_some_and(|before| check.is_no_worse_than(before))
        };
        let mut blocking: Vec<&mut CheckResult> = self
            .checks
            .iter_mut()
            .filter(|check| check.verdict >= Verdict::Fail)
            .collect();
        if !blocking.iter().all(is_no_worse) {
            return false;
        }
        for check in &mut blocking {
            check.verdict = Verdict::NoWorse;
        }
        true
    }
}

/// The share of a metric that may be rounding. Counts below the inverse are exact.
const ROUNDING: f64 = 1e-12;

impl CheckResult {
    /// Whether this result, which blocks, is no worse than the one before.
    fn is_no_worse_than(&self, before: &Self) -> bool {
        let was_bad = before.verdict >= Verdict::Waived;
        if !was_bad || before.verdict == Verdict::Error || self.verdict == Verdict::Error {
            return false;
        }
        let rows = self.bad_rows.zip(before.bad_rows);
        let distances = self.distance.zip(before.distance);
        if rows.is_none() && distances.is_none() {
            return false;
        }
        let has_no_more_bad_rows = rows.is_none_or(|(here, there)| here <= there);
        // Floating-point numbers that are added up in another order differ in their last digits.
        let noise = self.metric.map_or(0.0, |metric| metric.abs() * ROUNDING);
        // Written so that a NaN counts as worse.
        let is_no_further = distances.is_none_or(|(here, there)| here <= there + noise);
        has_no_more_bad_rows && is_no_further
    }
}
