//! Profiles a file or a published table.

use std::path::Path;

use lakegate_catalog::{At, TableName};
use lakegate_rules::{Profile, ProfileOptions, profile};

use crate::{EtlError, Lakegate, check};

/// Profiles a data file, as [`check_file`](crate::check_file) reads it.
///
/// # Errors
/// When the file is not there or cannot be read, or the options do not fit its columns.
pub async fn profile_file(
    lakegate: &Lakegate,
    path: &Path,
    options: &ProfileOptions,
) -> Result<Profile, EtlError> {
    let rows = check::open(lakegate, path).await?;
    let session = lakegate.engine.session();
    Ok(profile(&session, rows, options).await?)
}

/// Profiles the newest version of a table. Returns its number too.
///
/// # Errors
/// When there is no such table, or the options do not fit its columns.
pub async fn profile_table(
    lakegate: &Lakegate,
    name: &TableName,
    options: &ProfileOptions,
) -> Result<(Profile, i64), EtlError> {
    let snapshot = lakegate.catalog.snapshot(name, At::Latest).await?;
    let session = lakegate.engine.session();
    let profile = profile(&session, snapshot.scan()?, options).await;
    Ok((profile?, snapshot.version))
}
