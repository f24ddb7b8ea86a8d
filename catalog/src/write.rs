//! Writing to a table: what, how, and on whose behalf.

mod assignment;
mod batches;
mod columns;
mod condition;
mod merge;
mod merge_rows;
mod misfit;
mod passage;
mod replace_where;
mod rows;
mod run;
mod source;
#[cfg(test)]
mod tests;
mod watched;

pub use assignment::{AssignedColumn, Assignments, function_name};
pub use merge_rows::{MergeClause, MergeRows, RowMerge};
pub use rows::{Changed, RowChange};
pub(crate) use run::{delta_session, writer_properties};

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;

use crate::{RulesText, TableName};

/// One write to one table.
#[derive(Debug, Clone)]
pub struct Write {
    /// The table; it is created and registered when it does not exist.
    pub table: TableName,
    /// What happens to the rows that are there.
    pub mode: WriteMode,
    /// The rows to write; columns are matched by name.
    pub source: LogicalPlan,
    /// Layout and schema.
    pub options: WriteOptions,
    /// On whose behalf.
    pub context: WriteContext,
}

/// What a write does to the rows that the table holds.
#[derive(Debug, Clone)]
pub enum WriteMode {
    /// Keeps them and adds the source's rows.
    Append,
    /// Replaces them all.
    Overwrite,
    /// Replaces those for which this SQL predicate is true; every source row must satisfy it.
    ReplaceWhere(String),
    /// Updates, deletes and inserts by a join of source and table.
    Merge(MergeSpec),
}

/// A merge of a source into a table, with SQL over `source` and `target`.
#[derive(Debug, Clone, Default)]
pub struct MergeSpec {
    /// The join condition, for example `target.id = source.id`.
    pub on: String,
    /// For table rows with a source row; the first clause that applies is taken.
    pub matched: Vec<MatchedClause>,
    /// For source rows without a table row.
    pub not_matched: Vec<NotMatchedClause>,
    /// For table rows without a source row.
    pub not_matched_by_source: Vec<MatchedClause>,
}

/// What happens to a table row.
#[derive(Debug, Clone)]
pub struct MatchedClause {
    /// Applies when this is true; always when absent.
    pub when: Option<String>,
    /// What is done.
    pub action: MatchedAction,
}

/// What a merge does to one table row.
#[derive(Debug, Clone)]
pub enum MatchedAction {
    /// Sets every column that the source has.
    UpdateAll,
    /// Sets these columns to these SQL expressions.
    Update(Vec<(String, String)>),
    /// Deletes the row.
    Delete,
}

/// What happens to a source row without a table row.
#[derive(Debug, Clone)]
pub struct NotMatchedClause {
    /// Applies when this is true; always when absent.
    pub when: Option<String>,
    /// Columns and SQL expressions to insert; every column of the source when absent.
    pub insert: Option<Vec<(String, String)>>,
}

/// Layout of the table and handling of its schema.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Partition columns of a table that this write creates; must agree with one that exists.
    pub partition_by: Vec<String>,
    /// What to do when the source has columns that the table lacks.
    pub schema_evolution: SchemaEvolution,
    /// Size to aim at for data files, in bytes; delta's own default when absent. A merge keeps it as a property of the
    /// table, which holds from the next merge on.
    pub target_file_bytes: Option<u64>,
    /// Whether the table must be there, or must not.
    pub expects: Expects,
}

/// What a write takes for granted of its table, at the moment of its commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expects {
    /// Nothing: it is made when there is none.
    #[default]
    Nothing,
    /// There is none.
    Absence,
    /// There is none; when there is one, that is as good, and nothing is written.
    IfNotExists,
    /// There is one.
    Presence,
}

/// What to do when the source's schema differs from the table's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SchemaEvolution {
    /// The write is refused.
    #[default]
    Refuse,
    /// Columns that the table lacks are added to it.
    AddColumns,
}

/// On whose behalf a commit is made.
#[derive(Debug, Clone, Default)]
pub struct WriteContext {
    /// The run that writes.
    pub run: Option<String>,
    /// The input batch; a batch that was committed before is not committed again.
    pub batch: Option<Batch>,
    /// Rules to attach in the same commit, which is judged by them.
    pub attach: Option<RulesText>,
    /// The rows that the write brings, for checks with `scope: added`.
    pub added: Option<Arc<dyn TableProvider>>,
    /// Checks that warned over rows which are kept out of this write; the commit names them beside those of its judge.
    pub warned: Vec<String>,
    /// Commit also when the batch was committed before.
    pub reprocess: bool,
    /// More fields for `commitInfo.lakegate`.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// Identity of an input batch: the same content through the same definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Who writes: `pipeline/stage`.
    pub writer: String,
    /// SHA-256 over the content and the definition, in hexadecimal.
    pub id: String,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub struct Written {
    /// The table.
    pub table: TableName,
    /// The version that holds the write.
    pub version: i64,
    /// Whether anything was committed.
    pub outcome: WriteOutcome,
    /// Rows of that version; none when the statistics of its files do not tell.
    pub rows: Option<u64>,
    /// Rows in the files that the write added; none when their statistics do not tell, or nothing was committed.
    pub added_rows: Option<u64>,
    /// Data files of that version.
    pub files: usize,
    /// `commitInfo.lakegate` of the commit.
    pub verdict: Option<serde_json::Value>,
    /// The judge's report.
    pub report: Option<serde_json::Value>,
}

/// Whether a write changed the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// A version was committed.
    Committed,
    /// The batch had been committed before; nothing was changed.
    AlreadyDone,
}
