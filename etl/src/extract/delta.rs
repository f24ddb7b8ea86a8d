//! Extracts a version of a Delta table.
//!
//! ```yaml
//! extract:
//!   format: delta
//!   table: silver.flights           # a table of the catalog, or `path:` with the folder of any other one
//!   version: 3                      # or `timestamp: 2026-01-31T00:00:00Z`; default: the newest one
//! ```
//!
//! A stage that names a table waits for the stages that publish to it; one that names a folder waits for none.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakegate_catalog::{At, Catalog, CatalogError, TableName, TableSnapshot};
use lakegate_rules::yaml::{Fields, Node, Problems, Span};
use url::Url;

use super::settings::PathText;
use crate::input_error::{InputError, InputErrorKind};

/// Keys of `extract:` that are for Delta tables only.
pub(crate) const KEYS: &[&str] = &["table", "path", "version", "timestamp"];

/// Which version of which table is read.
#[derive(Debug, Clone)]
pub(crate) struct DeltaSource<T = Named> {
    pub(crate) table: T,
    pub(crate) span: Span,
    pub(crate) at: At,
}

/// A table as the stage names it.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    InCatalog(TableName),
    InFolder(PathText),
}

/// A table whose folder is known.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    InCatalog(TableName),
    InFolder(Url),
}

impl DeltaSource {
    pub(crate) fn parse(fields: &Fields<'_>, problems: &mut Problems) -> Option<Self> {
        if let (Some(node), true) = (fields.get("path"), fields.has("table")) {
            problems.push(node.problem("`table` and `path` exclude each other"));
            return None;
        }
        let (table, span) = match fields.get("path") {
            Some(node) => (
                PathText::parse(node, problems).map(Named::InFolder),
                node.span,
            ),
            None => {
                fields.require(&["table"], problems);
                let node = fields.get("table")?;
                (table(node, problems).map(Named::InCatalog), node.span)
            }
        };
        let at = at(fields, problems);
        Some(Self {
            table: table?,
            span,
            at: at?,
        })
    }

    /// Puts parameters into the path; `root` is the project folder.
    pub(crate) fn resolve(
        &self,
        root: &Path,
        parameters: &dyn Fn(&str) -> Option<String>,
    ) -> Result<DeltaSource<Found>, InputError> {
        let table = match &self.table {
            Named::InCatalog(table) => Found::InCatalog(table.clone()),
            Named::InFolder(path) => {
                let path = path.resolve(parameters)?;
                let location = Url::from_directory_path(root.join(&path)).map_err(|()| {
                    InputError::invalid(format!("`{path}` is not a folder")).at(self.span)
                })?;
                Found::InFolder(location)
            }
        };
        Ok(DeltaSource {
            table,
            span: self.span,
            at: self.at,
        })
    }
}

impl DeltaSource<Found> {
    pub(crate) async fn snapshot(
        &self,
        catalog: &Catalog,
    ) -> Result<Arc<TableSnapshot>, InputError> {
        let snapshot = match &self.table {
            Found::InCatalog(table) => catalog.snapshot(table, self.at).await,
            Found::InFolder(location) => catalog.snapshot_in(location, self.at).await,
        };
        snapshot.map_err(|error| from_catalog(error).at(self.span))
    }
}

fn table(node: &Node, problems: &mut Problems) -> Option<TableName> {
    let table = node.string("`table`", problems)?.parse::<TableName>();
    table
        .map_err(|error| {
            let hint = error.hint().map(ToString::to_string);
            problems.push(node.problem(error.to_string()).with_hint(hint));
        })
        .ok()
}

fn at(fields: &Fields<'_>, problems: &mut Problems) -> Option<At> {
    if let (Some(node), true) = (fields.get("timestamp"), fields.has("version")) {
        problems.push(node.problem("`version` and `timestamp` exclude each other"));
        return None;
    }
    if fields.has("version") {
        let version = fields.count("version", problems)?;
        return Some(At::Version(i64::try_from(version).unwrap_or(i64::MAX)));
    }
    let Some(node) = fields.get("timestamp") else {
        return Some(At::Latest);
    };
    let text = node.string("`timestamp`", problems)?;
    match DateTime::parse_from_rfc3339(&text) {
        Ok(timestamp) => Some(At::Timestamp(timestamp.with_timezone(&Utc))),
        Err(_) => {
            let hint = Some("write it as `2026-01-31T00:00:00Z`");
            node.wanted("`timestamp`", "a time with its offset", hint, problems);
            None
        }
    }
}

/// What the catalog says, as an error of the input.
pub(crate) fn from_catalog(error: CatalogError) -> InputError {
    let kind = match &error {
        CatalogError::NotFound { .. } => InputErrorKind::NotFound,
        CatalogError::Invalid { .. } => InputErrorKind::Invalid,
        _ => InputErrorKind::Failed,
    };
    let hint = error.hint().map(ToString::to_string);
    let mut input = InputError::failed("the table cannot be read", error);
    input.kind = kind;
    input.hint = hint;
    input
}

#[cfg(test)]
mod tests;
