//! Says whether data is good: a rule file becomes metrics, metrics become verdicts.
//!
//! Does no I/O of its own: tables are handed in.

mod report;
mod subject;
mod suite;
mod waiver;
pub mod yaml;

pub use report::{
    CheckResult, Report, Scope, Severity, Verdict, share_of_rows, thousands, to_junit,
};
pub use subject::{Previous, Subject, judge};
pub use suite::{Suite, TableReference};
pub use waiver::Waiver;
