//! Runs SQL, wherever it runs.
//!
//! A [`Statement`] is SQL that has been read: which tables and parameters it names, which versions it asks for.
//! An [`Engine`] plans and runs it over the catalog. Sessions are built in `session.rs` and nowhere else.

mod error;
mod overlay;
mod parameters;
mod query;
mod session;
mod statement;
mod time_travel;

pub use error::{EngineError, ErrorKind, Place};
pub use parameters::{ParameterUse, Parameters, bind_expression, expression_parameters};
pub use query::{Planned, QueryOptions, QueryResult};
pub use session::{Engine, EngineOptions};
pub use statement::{Statement, TableUse};
pub use time_travel::parse_timestamp;
