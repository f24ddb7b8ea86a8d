//! Runs SQL, wherever it runs.
//!
//! A [`Statement`] is SQL that has been read: which tables and parameters it names, which versions it asks for.
//! An [`Engine`] plans and runs it over the catalog; [`Queries`] are those of clients. Sessions are built in `session.rs` and nowhere else.

mod access;
mod admission;
#[cfg(test)]
mod arithmetic_tests;
mod bounded;
mod change;
#[cfg(test)]
mod comparison_tests;
mod error;
mod expansion;
mod explain;
mod filter_pushdown;
#[cfg(test)]
mod fixture;
mod ingest;
mod join_keys;
mod listing;
mod maintenance;
mod now;
mod null_aware;
mod optimizer;
mod overlay;
mod parameters;
mod queries;
mod query;
mod query_log;
mod repeated;
mod same_types;
mod series;
mod session;
mod show;
mod spill;
mod statement;
mod time_travel;
mod time_zone;
mod to_timestamp;
mod told;
mod watched;
mod workers;

pub use access::{
    Caller, Grants, Login, NewUser, Right, TablePattern, TooManyLogins, UserEntry, UserFile, Users,
};
pub use admission::AdmissionLimits;
pub use error::{EngineError, ErrorKind, Place, bad_value};
pub use ingest::{IfAbsent, IfExists, Ingest};
pub use lakegate_rules::sql_type;
pub use listing::{LastVerdict, ListedTable, TableKind, is_schema};
pub use parameters::{ParameterUse, Parameters, bind_expression, expression_parameters};
pub use queries::{
    Prepared, Queries, QueriesOptions, QueryCounts, Ready, Request, Rows, SessionOptions, Taken,
};
pub use query::{Pins, Planned, QueryOptions, QueryResult};
pub use query_log::QueryState;
pub use session::{CATALOG, DEFAULT_SCHEMA, Engine, EngineOptions};
pub use statement::{ParameterStyle, Statement, StatementOptions, TableUse};
pub use time_travel::parse_timestamp;
pub use time_zone::TimeZone;
pub use watched::Watched;
pub use workers::WORKER_STACK_BYTES;
