//! The gate: judges every commit before it is written.
//!
//! Writers are given a table whose log store is wrapped ([`log_store`]). Each commit is put together with the version it
//! builds on into a candidate ([`candidate`]); the rules attached to the table decide whether it is written
//! ([`decision`]). A commit that lost a race is judged again over the version that won. Commits that change neither rows
//! nor schema pass unjudged.

mod candidate;
mod commit;
mod decision;
mod log_store;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) use self::commit::{BATCH_PREFIX, RESTORE_ID, RULES_PROPERTY};
pub(crate) use self::decision::{Gate, Trust};
pub(crate) use self::log_store::GatedLogStore;
pub(crate) use self::watch::WriteWatch;
pub use self::watch::{RowWatch, WatchedRows, Watcher};
use crate::{TableName, TableSnapshot};

/// The text of a rule file, with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesText {
    /// Where the text was read from, for messages.
    pub file: String,
    /// The YAML.
    pub text: Arc<str>,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
}

/// A table version that does not exist yet, with everything that is needed to judge it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The name in the catalog; none for a table that is not registered.
    pub name: Option<TableName>,
    /// The table's folder.
    pub location: Url,
    /// The version that comes into being when the candidate passes.
    pub version: i64,
    /// The commit's operation, for example `WRITE` or `MERGE`.
    pub operation: String,
    /// The rules to judge by.
    pub rules: RulesText,
    /// True when the rules become attached by this very commit.
    pub attaching: bool,
    /// Waivers kept with the table, as JSON.
    pub waivers: Vec<serde_json::Value>,
    /// Columns of the candidate.
    pub schema: SchemaRef,
    /// The candidate itself.
    pub candidate: Arc<TableSnapshot>,
    /// The published version that the commit builds on; none for a new table.
    pub base: Option<Arc<TableSnapshot>>,
    /// What the judge's own watcher saw of the files that the commit adds; none when it did not see all of their rows.
    pub watched: Option<WatchedRows>,
    /// The rows that the writer brings, when they are known.
    pub added: Option<Arc<dyn TableProvider>>,
    /// The run that writes.
    pub run: Option<String>,
    /// When the commit is made.
    pub commit_time: DateTime<Utc>,
}

/// What the judge decided.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// Whether the commit passes.
    pub accept: bool,
    /// What is written into `commitInfo.lakegate` (an object).
    pub summary: serde_json::Value,
    /// For people, when the commit is refused.
    pub message: String,
    /// The whole report, as JSON.
    pub report: serde_json::Value,
    /// What is to be done once the commit exists.
    pub after_commit: Option<Arc<dyn AfterCommit>>,
}

/// Something to be done once a commit that was judged exists. It is not done for one that was refused, or lost a race.
#[async_trait]
pub trait AfterCommit: Send + Sync + std::fmt::Debug {
    /// The commit exists.
    async fn committed(&self);
}

/// The judge could not come to a decision; the commit is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JudgeError(pub String);

/// Decides over candidates.
#[async_trait]
pub trait Judge: Send + Sync + std::fmt::Debug {
    /// Judges one candidate by its rules.
    async fn judge(&self, candidate: Candidate) -> Result<Ruling, JudgeError>;

    /// Someone to look at the rows of a write while they are written, so that they need not be read again to be judged
    /// by these rules. The schema has the columns of the rows, which are those of the candidate. None when that would
    /// not help. What is wrong with the rules is said when the candidate is judged.
    async fn watcher(
        &self,
        _table: &TableName,
        _rules: &RulesText,
        _schema: &SchemaRef,
    ) -> Option<Arc<dyn Watcher>> {
        None
    }
}
