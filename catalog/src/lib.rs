//! Which table is meant, which version is live, and may this commit pass.
//!
//! The only crate that names Delta Lake. A commit reaches a table only through the gate ([`gate`]).

mod catalog;
mod error;
pub mod gate;
mod name;
mod registry;
mod snapshot;
mod write;

pub use catalog::{At, Catalog, CatalogOptions, CommitRecord};
pub use error::{CatalogError, Refusal};
pub use gate::{Candidate, Judge, JudgeError, RulesText, Ruling};
pub use name::TableName;
pub use registry::{Registry, TableEntry, TableFormat};
pub use snapshot::{DataFile, TableSnapshot};
pub use write::{
    Batch, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, SchemaEvolution, Write,
    WriteContext, WriteMode, WriteOptions, WriteOutcome, Written,
};
