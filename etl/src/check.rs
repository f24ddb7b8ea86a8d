//! Judges a file or a published table, outside of any pipeline.

use std::path::Path;

use lakegate_catalog::TableName;
use lakegate_rules::{Report, Suite};

use crate::{EtlError, Lakegate};

/// Judges a data file by a rule file.
///
/// # Errors
/// When the file cannot be read.
pub async fn check_file(
    _lakegate: &Lakegate,
    _path: &Path,
    _suite: &Suite,
) -> Result<Report, EtlError> {
    Err(EtlError::Bug("checking is not built".into()))
}

/// Judges the newest version of a table, by a rule file or else by the rules that are attached to it.
///
/// # Errors
/// When there is no such table, or when it has no rules and none are given.
pub async fn check_table(
    _lakegate: &Lakegate,
    _name: &TableName,
    _suite: Option<Suite>,
) -> Result<Report, EtlError> {
    Err(EtlError::Bug("checking is not built".into()))
}
