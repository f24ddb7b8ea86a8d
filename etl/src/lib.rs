//! Runs a pipeline.

pub mod extract;
pub mod files;
pub mod input_error;
pub mod schema_file;
pub mod scratch;
pub mod typing;
