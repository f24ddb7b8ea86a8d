//! What there is to query: schemas, tables, their columns, functions.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, INFORMATION_SCHEMA_TABLES};
use datafusion::common::TableReference;
use datafusion::execution::SessionStateDefaults;
use lakegate_catalog::{SYSTEM_SCHEMA, TableName};

use crate::access::OnBehalf;
use crate::{Caller, Engine, EngineError, Right, StatementOptions};

/// What a table is to its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// One of theirs.
    Table,
    /// One of Lakegate's own.
    System,
    /// One that is made up as it is read: those of `information_schema`.
    View,
}

/// A table that can be queried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTable {
    /// Its schema.
    pub schema: String,
    /// Its name in the schema.
    pub table: String,
    /// What it is.
    pub kind: TableKind,
}

/// What the gate said of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastVerdict {
    /// `pass`, `warn`, `waived` or `no_worse`.
    pub verdict: String,
    /// The version that it let come into being.
    pub version: i64,
    /// When.
    pub judged_at: DateTime<Utc>,
}

/// Commits among which the last verdict is looked for: those of upkeep have none.
const COMMITS_LOOKED_AT: usize = 16;

/// Whether a name can be that of a schema.
pub fn is_schema(name: &str) -> bool {
    // Any table's name serves to find out.
    name == INFORMATION_SCHEMA || TableName::new(name, "t").is_ok()
}

impl Engine {
    /// The tables that there are for a caller, those of `information_schema` among them.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn tables(&self, caller: &Caller) -> Result<Vec<ListedTable>, EngineError> {
        let entries = self.catalog().list().await?.into_iter();
        let entries = entries.filter(|entry| caller.grants.sees(&entry.name));
        let of_catalog = entries.map(|entry| ListedTable {
            kind: match entry.name.schema == SYSTEM_SCHEMA {
                true => TableKind::System,
                false => TableKind::Table,
            },
            schema: entry.name.schema,
            table: entry.name.table,
        });
        let views = INFORMATION_SCHEMA_TABLES.iter().map(|table| ListedTable {
            schema: INFORMATION_SCHEMA.to_owned(),
            table: (*table).to_owned(),
            kind: TableKind::View,
        });
        Ok(of_catalog.chain(views).collect())
    }

    /// The schemas that hold tables for a caller.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn schemas(&self, caller: &Caller) -> Result<BTreeSet<String>, EngineError> {
        let tables = self.tables(caller).await?.into_iter();
        Ok(tables.map(|table| table.schema).collect())
    }

    /// The columns of a table at its newest version.
    ///
    /// # Errors
    /// When there is no such table for the caller, or it cannot be read.
    pub async fn columns(
        &self,
        schema: &str,
        table: &str,
        caller: &Caller,
    ) -> Result<SchemaRef, EngineError> {
        let reference = TableReference::partial(schema, table);
        let session =
            self.session_over([], &StatementOptions::default(), None, OnBehalf::Of(caller));
        let provider = session.context.table_provider(reference).await;
        Ok(provider.map_err(EngineError::from_planning)?.schema())
    }

    /// What the gate last said of a commit to a table; none when it judged none of the newest ones.
    ///
    /// # Errors
    /// When there is no such table for the caller, or its log cannot be read.
    pub async fn last_verdict(
        &self,
        schema: &str,
        table: &str,
        caller: &Caller,
    ) -> Result<Option<LastVerdict>, EngineError> {
        if schema == INFORMATION_SCHEMA {
            return Ok(None);
        }
        let name = TableName::new(schema, table)?;
        OnBehalf::Of(caller).expect(Right::Read, &name)?;
        let commits = self
            .catalog()
            .history(&name, Some(COMMITS_LOOKED_AT))
            .await?;
        let judged = commits.into_iter().find_map(|commit| {
            let verdict = commit.lakegate?.get("verdict")?.as_str()?.to_owned();
            Some(LastVerdict {
                verdict,
                version: commit.version,
                judged_at: commit.timestamp,
            })
        });
        Ok(judged)
    }

    /// The names of functions, each with the heading under which it is documented.
    pub fn functions() -> Vec<(String, Option<&'static str>)> {
        let mut functions = Vec::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            let heading = function.documentation();
            let heading = heading.map(|documentation| documentation.doc_section.label);
            functions.push((function.name().to_owned(), heading));
        }
        for function in SessionStateDefaults::default_aggregate_functions() {
            functions.push((function.name().to_owned(), None));
        }
        for function in SessionStateDefaults::default_window_functions() {
            functions.push((function.name().to_owned(), None));
        }
        functions.sort();
        functions.dedup();
        functions
    }
}
