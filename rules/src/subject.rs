//! What is judged.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use crate::{Collected, Parts};

/// A version, view or file that is judged, with what the judge may look at.
#[derive(Clone)]
pub struct Subject {
    /// Resolves table names; `table` means the candidate in it.
    pub session: SessionContext,
    /// Name of what is judged, for example `silver.flights`.
    pub table: String,
    /// The rows that are judged.
    pub candidate: Arc<dyn TableProvider>,
    /// The same rows in parts that never change; none when they have none.
    pub parts: Option<Arc<dyn Parts>>,
    /// What is known of some of the rows already; nothing when all have to be read.
    pub collected: Option<Collected>,
    /// The rows that a write brings, for checks with `scope: added`.
    pub added: Option<Arc<dyn TableProvider>>,
    /// The last published version.
    pub previous: Option<Previous>,
    /// Its rows, for checks that compare with them ([`Suite::needs_baseline`](crate::Suite::needs_baseline)).
    pub baseline: Option<Arc<dyn TableProvider>>,
    /// The same rows in parts that never change; none when they have none.
    pub baseline_parts: Option<Arc<dyn Parts>>,
    /// The commit time; `:commit_time` in SQL.
    pub now: DateTime<Utc>,
    /// How many failing rows a check names by their keys, at most.
    pub sample_rows: usize,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// What is known of the last published version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The version.
    pub version: i64,
    /// Its rows.
    pub row_count: u64,
}
