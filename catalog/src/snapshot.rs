//! A list of data files that is one version of a table, published or candidate.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use url::Url;

use crate::{CatalogError, TableName};

/// One data file of a version.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    /// Path inside the table's folder, decoded.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Partition values as Delta writes them.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Delta statistics as JSON, when the file has them.
    pub stats: Option<Arc<str>>,
    /// When the file was written, in milliseconds since the epoch.
    pub modification_time: i64,
}

/// One version of a table, published or candidate. It never changes.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// The name in the catalog; none for a table that is not registered.
    pub name: Option<TableName>,
    /// The table's folder, with a slash at the end.
    pub location: Url,
    /// The version.
    pub version: i64,
    /// Delta's id of the table.
    pub table_id: String,
    /// All columns, partition columns included, in the table's order.
    pub schema: SchemaRef,
    /// Names of the partition columns.
    pub partition_columns: Vec<String>,
    /// Live data files.
    pub files: Arc<[DataFile]>,
    /// Table properties.
    pub properties: BTreeMap<String, String>,
}

impl TableSnapshot {
    /// Hash of the attached rules, when the table has rules.
    pub fn rules_sha256(&self) -> Option<&str> {
        self.properties.get("lakegate.rules").map(String::as_str)
    }

    /// A table provider over exactly these files.
    pub fn scan(self: &Arc<Self>) -> Result<Arc<dyn TableProvider>, CatalogError> {
        Err(CatalogError::Bug("scan is not built".into()))
    }
}
