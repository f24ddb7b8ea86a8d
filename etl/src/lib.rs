//! Runs a pipeline.
//!
//! [`Pipeline::load`] reads a pipeline file, [`validate`] plans it without reading data, [`run`] runs it over an open
//! project ([`Lakegate`]) and says what happened in a [`RunReport`].

/// A point at which the fault tests stop the process. Nothing without the feature `failpoints`.
macro_rules! failpoint {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
pub(crate) use failpoint;

mod batch;
mod check;
mod check_stage;
mod error;
pub mod events;
pub mod extract;
pub mod files;
mod graph;
pub mod input_error;
mod judge;
mod lakegate;
mod params;
pub mod pipeline;
mod profile;
mod publish;
mod quarantine;
mod records;
mod report;
mod run;
pub mod schema_file;
pub mod scratch;
mod states;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
mod transform;
pub mod typing;
mod validate;
mod watched;

pub use check::{check_file, check_table};
pub use error::EtlError;
pub use events::{RunEvent, RunEvents, Silent};
pub use graph::{Graph, Reason};
pub use judge::RulesJudge;
pub use lakegate::{Lakegate, LakegateOptions};
pub use params::{Parameter, ParameterKind};
pub use pipeline::{Pipeline, Stage, StageKind};
pub use profile::{profile_file, profile_table};
pub use report::{Outcome, RunReport, StageReport};
pub use run::{RunOptions, run};
pub use validate::{validate, validate_file};
