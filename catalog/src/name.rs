//! Names of tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CatalogError;

/// The name of a table: a schema and a table, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema, for example `silver`.
    pub schema: String,
    /// The table, for example `flights`.
    pub table: String,
}

impl FromStr for TableName {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        let (schema, table) = text.split_once('.').unwrap_or(("default", text));
        Ok(Self {
            schema: schema.to_ascii_lowercase(),
            table: table.to_ascii_lowercase(),
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}
