//! Which table is meant, which version is live, and may this commit pass.
//!
//! The only crate that names Delta Lake. A commit reaches a table only through the gate ([`gate`]).

/// A point at which the fault tests stop the process. Nothing without the feature `failpoints`.
macro_rules! failpoint {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
pub(crate) use failpoint;

mod attach;
mod cache;
mod catalog;
mod error;
#[cfg(feature = "failpoints")]
mod faults;
#[cfg(test)]
mod fixture;
pub mod gate;
mod history;
mod live_state;
mod maintenance;
mod name;
mod parquet_folder;
mod provider;
mod registries;
mod registry;
mod scan;
mod snapshot;
mod state_folder;
mod stats;
mod system;
mod table;
mod write;

pub use catalog::{At, Catalog, CatalogOptions, CommitRecord};
pub use error::{CatalogError, Refusal};
pub use gate::{
    AfterCommit, Candidate, Judge, JudgeError, RowWatch, RulesText, Ruling, WatchedRows, Watcher,
};
pub use maintenance::{Optimized, Vacuumed};
pub use name::{DEFAULT_SCHEMA, QUARANTINE_SUFFIX, SYSTEM_SCHEMA, TableName, UNTYPED_SUFFIX};
pub use provider::PinnedCatalog;
pub use registry::{Registry, TableEntry, TableFormat};
pub use scan::parts::{FileParts, FilePiece};
pub use snapshot::{DataFile, TableSnapshot};
pub use state_folder::{StateFile, StateFolder};
pub use stats::Side;
pub use system::{SystemTable, SystemTables};
pub use write::{
    AssignedColumn, Assignments, Batch, Changed, Expects, MatchedAction, MatchedClause,
    MergeClause, MergeRows, MergeSpec, NotMatchedClause, RowChange, RowMerge, SchemaEvolution,
    Write, WriteContext, WriteMode, WriteOptions, WriteOutcome, Written, function_name,
};
