//! Where metrics come from, for `lakegate check --explain`.

use serde::{Deserialize, Serialize};

use super::{CheckResult, Report, printable, thousands};
use crate::finding::Sources;

/// What a metric was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The columns and types of the table.
    Schema,
    /// The statistics of files in the table's log.
    LogStatistics,
    /// States of files that were stored when the files were read before.
    StoredStates,
    /// Rows that were measured while they were written.
    WrittenRows,
    /// Reading the rows.
    Scan,
    /// Grouping all rows by some columns.
    Grouping,
    /// Looking values up in another table.
    LookUp,
    /// A query.
    Query,
}

/// A part of what a metric was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What it is.
    pub from: Origin,
    /// Files that it is of; absent where files are not told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// The data files that were read, of all. Queries and the search for samples are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesRead {
    /// Files that were read for a check.
    pub read: u64,
    /// Files of the version.
    pub of: u64,
}

impl Source {
    pub(crate) const fn new(from: Origin, files: Option<u64>) -> Self {
        Self { from, files }
    }

    /// The sources of some measures together.
    pub(crate) fn of_measures(measures: impl Iterator<Item = Sources>) -> Vec<Self> {
        let mut all = Sources::default();
        for one in measures {
            all.is_collected |= one.is_collected;
            all.is_scanned_whole |= one.is_scanned_whole;
            all.log_statistics = all.log_statistics.max(one.log_statistics);
            all.stored_states = all.stored_states.max(one.stored_states);
            all.scanned = all.scanned.max(one.scanned);
        }
        let mut sources = Vec::new();
        for (from, files) in [
            (Origin::LogStatistics, all.log_statistics),
            (Origin::StoredStates, all.stored_states),
            (Origin::Scan, all.scanned),
        ] {
            if files > 0 {
                sources.push(Self::new(from, Some(files)));
            }
        }
        if all.is_collected {
            sources.push(Self::new(Origin::WrittenRows, None));
        }
        if all.is_scanned_whole {
            sources.push(Self::new(Origin::Scan, None));
        }
        sources
    }

    fn to_text(self, all_files: Option<u64>) -> String {
        let word = match self.from {
            Origin::Schema => "schema",
            Origin::LogStatistics => "log statistics",
            Origin::StoredStates => "stored states",
            Origin::WrittenRows => "rows as they were written",
            Origin::Scan => "scan",
            Origin::Grouping => "grouping",
            Origin::LookUp => "look-up",
            Origin::Query => "query",
        };
        let is_all = self.files.is_some() && self.files == all_files;
        match (self.from, self.files) {
            (Origin::LogStatistics, _) if is_all => word.to_owned(),
            (Origin::Grouping | Origin::LookUp, _) => format!("{word} (all files)"),
            (_, Some(1)) => format!("{word} (1 file)"),
            (_, Some(files)) => format!("{word} ({} files)", thousands(files)),
            (_, None) => word.to_owned(),
        }
    }
}

impl Report {
    /// The report without where its metrics came from, which differs from one judgement of the same rows to the next.
    #[must_use]
    pub fn without_sources(mut self) -> Self {
        self.files = None;
        self.checks
            .iter_mut()
            .for_each(|check| check.source.clear());
        self
    }

    /// Where each metric came from, for people: one line a check, and how many files were read.
    pub fn sources_text(&self) -> String {
        let all_files = self.files.map(|files| files.of);
        let ids = self.checks.iter().map(|check| printable(&check.id));
        let widest = ids.map(|id| id.chars().count()).max().unwrap_or_default();
        let mut text = "where the metrics come from:\n".to_owned();
        for check in &self.checks {
            let id = printable(&check.id);
            let gap = " ".repeat(widest.saturating_sub(id.chars().count()));
            text.push_str(&format!("  {id}{gap}  {}\n", sources(check, all_files)));
        }
        text.push_str(&match self.files {
            Some(files) => format!(
                "files read: {} of {}\n",
                thousands(files.read),
                thousands(files.of)
            ),
            None => "files read: all\n".to_owned(),
        });
        text
    }
}

fn sources(check: &CheckResult, all_files: Option<u64>) -> String {
    let texts = check.source.iter().map(|source| source.to_text(all_files));
    match check.source.is_empty() {
        true => "nothing".to_owned(),
        false => texts.collect::<Vec<_>>().join(", "),
    }
}
