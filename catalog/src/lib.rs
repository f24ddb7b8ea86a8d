//! Which table is meant, which version is live, and may this commit pass.
//!
//! The only crate that names Delta Lake. A commit reaches a table only through the gate ([`gate`]).

mod cache;
mod catalog;
mod error;
pub mod gate;
mod history;
mod live_state;
mod name;
mod registries;
mod registry;
mod scan;
mod snapshot;
mod stats;
mod write;

pub use catalog::{At, Catalog, CatalogOptions, CommitRecord};
pub use error::{CatalogError, Refusal};
pub use gate::{Candidate, Judge, JudgeError, RulesText, Ruling};
pub use name::{DEFAULT_SCHEMA, SYSTEM_SCHEMA, TableName};
pub use registry::{Registry, TableEntry, TableFormat};
pub use snapshot::{DataFile, TableSnapshot};
pub use write::{
    Batch, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, SchemaEvolution, Write,
    WriteContext, WriteMode, WriteOptions, WriteOutcome, Written,
};
