//! Says whether data is good: a rule file becomes metrics, metrics become verdicts.
//!
//! Does no I/O of its own: tables are handed in.

mod arithmetic;
mod assertion;
mod checks;
mod collect;
mod comparison;
mod describe;
mod distance;
mod error;
mod finding;
mod fragment;
mod frequencies;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grouping;
mod json_schema;
mod kept;
mod literal;
mod metric;
mod number_text;
mod other_table;
mod parts;
mod pattern;
mod plan;
mod profile;
mod quantile;
mod range_test;
mod ranks;
mod report;
mod row_test;
mod rows;
mod run;
mod scan;
mod settings;
pub mod sql;
mod state;
mod subject;
mod suite;
#[cfg(test)]
mod tests;
mod text_length;
mod time_pattern;
mod type_name;
mod value_groups;
mod waiver;
pub mod yaml;

pub use arithmetic::CheckedArithmetic;
pub use assertion::Thresholds;
pub use checks::kinds;
pub use collect::{Collected, Collecting, Collector};
pub use comparison::ExactComparisons;
pub use describe::{explain, reference_markdown};
pub use error::RulesError;
pub use json_schema::json_schema;
pub use kept::{Census, KeptStates};
pub use parts::{End, PartKey, Parts, Piece};
pub use profile::{
    ColumnProfile, HistogramBin, Lengths, LooksLike, Numbers, Profile, ProfileOptions,
    QuantileValue, TopValue, profile,
};
pub use report::{
    CheckResult, FilesRead, Origin, Report, Scope, Severity, Source, Unjudged, Verdict, printable,
    share_of_rows, thousands, to_junit,
};
pub use rows::{FAILED_CHECKS, mark};
pub use run::judge;
pub use state::codec::DecodeError;
pub use subject::{Previous, Subject};
pub use suite::{BadRows, Check, Gate, Suite, TableReference};
pub use time_pattern::{ParsedTime, TimePattern};
pub use type_name::sql_type;
pub use waiver::Waiver;
