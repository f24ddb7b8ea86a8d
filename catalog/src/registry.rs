//! Where the catalog keeps which tables there are.

use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{CatalogError, TableName};

/// A table in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its name.
    pub name: TableName,
    /// Its folder, with a slash at the end.
    pub location: Url,
    /// How its files are organised.
    pub format: TableFormat,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
}

/// How a table's files are organised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// A Delta table: it has versions, and the gate guards it.
    Delta,
    /// A folder of Parquet files, read only.
    Parquet,
}

impl TableFormat {
    /// The format's name: `delta` or `parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Parquet => "parquet",
        }
    }
}

impl FromStr for TableFormat {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        match text {
            "delta" => Ok(Self::Delta),
            "parquet" => Ok(Self::Parquet),
            other => Err(CatalogError::invalid(
                format!("unknown table format `{other}`"),
                "a table is `delta` or `parquet`".to_owned(),
            )),
        }
    }
}

/// Names of tables and where they are.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// All tables, by name.
    async fn list(&self) -> Result<Vec<TableEntry>, CatalogError>;
    /// One table, when there is one of that name.
    async fn get(&self, name: &TableName) -> Result<Option<TableEntry>, CatalogError>;
    /// Adds a table; a second registration of the same name and location changes nothing, another location is an error.
    async fn register(&self, entry: &TableEntry) -> Result<(), CatalogError>;
    /// Forgets a table; false when there was none.
    async fn remove(&self, name: &TableName) -> Result<bool, CatalogError>;
}

/// The error for a name that is taken by a table elsewhere.
pub(crate) fn other_location(entry: &TableEntry, location: &str, format: &str) -> CatalogError {
    CatalogError::invalid(
        format!(
            "table `{}` is registered at {location} as {format}",
            entry.name
        ),
        format!(
            "choose another name, or drop `{}` from the catalog first",
            entry.name
        ),
    )
}
