//! Extractors: raw files and tables as views.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use lakegate_catalog::{Catalog, TableName};
use lakegate_rules::yaml::Span;

use crate::input_error::InputError;

/// An `extract:` stage as it is written; nothing has been opened.
#[derive(Debug, Clone)]
pub struct ExtractSpec {
    span: Span,
}

impl ExtractSpec {
    /// Names of the parameters that the paths use, with their places.
    pub fn parameters(&self) -> Vec<(String, Span)> {
        Vec::new()
    }

    /// The catalog table that is read, when the stage names one.
    pub fn table(&self) -> Option<(&TableName, Span)> {
        None
    }

    /// Puts parameters into the paths and finds the files; `root` is the project folder.
    pub fn resolve(
        &self,
        _root: &Path,
        _parameters: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ResolvedExtract, InputError> {
        Err(InputError::invalid("extract is not built").at(self.span))
    }
}

/// An extract whose files are known.
#[derive(Debug, Clone)]
pub struct ResolvedExtract {
    schema: SchemaRef,
}

impl ResolvedExtract {
    /// Bytes of all files as they are stored; none when the source is a table.
    pub fn bytes(&self) -> Option<u64> {
        None
    }

    /// SHA-256 over the content and the options: what makes two batches the same.
    pub async fn digest(&self, _catalog: &Catalog) -> Result<String, InputError> {
        Err(InputError::invalid("extract is not built"))
    }

    /// The columns, reading no more than the headers.
    pub async fn schema(&self, _catalog: &Catalog) -> Result<SchemaRef, InputError> {
        Ok(Arc::clone(&self.schema))
    }

    /// The rows, as a table that streams in bounded memory.
    pub async fn provider(&self, _catalog: &Catalog) -> Result<Arc<dyn TableProvider>, InputError> {
        Err(InputError::invalid("extract is not built"))
    }
}
