//! Extracts a version of a Delta table of the catalog.
//!
//! ```yaml
//! extract:
//!   format: delta
//!   table: silver.flights
//!   version: 3                      # or `timestamp: 2026-01-31T00:00:00Z`; default: the newest one
//! ```

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakegate_catalog::{At, Catalog, CatalogError, TableName, TableSnapshot};
use lakegate_rules::yaml::{Fields, Problems, Span};

use crate::input_error::{InputError, InputErrorKind};

/// Keys of `extract:` that are for Delta tables only.
pub(crate) const KEYS: &[&str] = &["table", "version", "timestamp"];

/// Which version of which table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeltaSource {
    pub(crate) table: TableName,
    pub(crate) span: Span,
    pub(crate) at: At,
}

impl DeltaSource {
    pub(crate) fn parse(fields: &Fields<'_>, problems: &mut Problems) -> Option<Self> {
        fields.require(&["table"], problems);
        let node = fields.get("table")?;
        let table = node.string("`table`", problems)?;
        let table = table.parse::<TableName>().map_err(|error| {
            let hint = error.hint().map(ToString::to_string);
            problems.push(node.problem(error.to_string()).with_hint(hint));
        });
        let at = at(fields, problems);
        Some(Self {
            table: table.ok()?,
            span: node.span,
            at: at?,
        })
    }

    pub(crate) async fn snapshot(
        &self,
        catalog: &Catalog,
    ) -> Result<Arc<TableSnapshot>, InputError> {
        let snapshot = catalog.snapshot(&self.table, self.at).await;
        snapshot.map_err(|error| from_catalog(error).at(self.span))
    }
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
