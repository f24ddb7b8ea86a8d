//! A rule file.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;

use crate::yaml::{Problems, Span};

/// A rule file: the checks of one table.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The file, as the user named it.
    pub file: String,
    /// The YAML.
    pub text: Arc<str>,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The table that the rules are for.
    pub table: Option<String>,
    /// Columns that identify a row in samples and quarantine.
    pub key: Vec<String>,
}

/// A table that a rule file refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReference {
    /// Its name, as written.
    pub name: String,
    /// Where it is named.
    pub span: Span,
}

impl Suite {
    /// Reads a rule file.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn parse(_file: &str, _text: &str) -> Result<Self, Problems> {
        Err(Problems::default())
    }

    /// Tables other than its own that the checks refer to.
    pub fn references(&self) -> Vec<TableReference> {
        Vec::new()
    }

    /// Plans every check against a schema, without reading data.
    pub async fn validate(&self, _session: &SessionContext, _schema: &SchemaRef) -> Problems {
        Problems::default()
    }
}
