//! An extract that is ready to be read.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use lakegate_catalog::{At, Catalog, TableSnapshot};
use lakegate_rules::yaml::Span;
use sha2::{Digest, Sha256};

use super::text_table::text_schema;
use super::{FileFormat, Resolved, ResolvedExtract, delta, parquet};
use crate::batch::hex;
use crate::files::{self, FileOptions, SourceFile};
use crate::input_error::InputError;

/// An extract that is ready: its files, or one version of its table, which all that is asked of it is of.
#[derive(Debug, Clone)]
pub struct OpenExtract {
    source: Resolved<OpenTable>,
}

/// The version of a table that is read.
#[derive(Debug, Clone)]
struct OpenTable {
    snapshot: Arc<TableSnapshot>,
    /// Whether it is read as it is, and not at a version of the stage's choice.
    is_newest: bool,
    span: Span,
}

impl ResolvedExtract {
    /// Looks up the version of the table.
    pub async fn open(self, catalog: &Catalog) -> Result<OpenExtract, InputError> {
        let source = match self.source {
            Resolved::Files {
                files,
                options,
                format,
                span,
            } => Resolved::Files {
                files,
                options,
                format,
                span,
            },
            Resolved::Delta(delta) => Resolved::Delta(OpenTable {
                snapshot: delta.snapshot(catalog).await?,
                is_newest: delta.at == At::Latest,
                span: delta.span,
            }),
        };
        Ok(OpenExtract { source })
    }
}

impl OpenExtract {
    /// A file on disk, by the end of its name: `.csv`, `.tsv`, `.parquet`, `.json`, `.jsonl` or `.ndjson`, all but
    /// Parquet also in `.gz`, `.zst` and `.zip`. None when the name ends otherwise.
    pub(crate) fn file(path: &Path, name: &str) -> Result<Option<Self>, InputError> {
        let Some(format) = FileFormat::of_name(path) else {
            return Ok(None);
        };
        let options = match format {
            FileFormat::Parquet => FileOptions::unpacked(),
            FileFormat::Csv(_) | FileFormat::JsonLines(_) => FileOptions::default(),
        };
        let files = files::at(path, name, &options)?;
        Ok(Some(Self {
            source: Resolved::Files {
                files: files.into(),
                options: Arc::new(options),
                format,
                span: Span::default(),
            },
        }))
    }

    /// The files that are read; members of archives each for themselves.
    pub fn files(&self) -> &[SourceFile] {
        match &self.source {
            Resolved::Files { files, .. } => files,
            Resolved::Delta(_) => &[],
        }
    }

    /// Bytes of all files as they are stored; none when the source is a table.
    pub fn bytes(&self) -> Option<u64> {
        match &self.source {
            Resolved::Files { files, .. } => Some(files.iter().map(SourceFile::stored_bytes).sum()),
            Resolved::Delta(_) => None,
        }
    }

    /// The table that is read as it is, and not at a version of the stage's choice.
    pub fn newest(&self) -> Option<&Arc<TableSnapshot>> {
        match &self.source {
            Resolved::Delta(table) if table.is_newest => Some(&table.snapshot),
            Resolved::Delta(_) | Resolved::Files { .. } => None,
        }
    }

    /// SHA-256 over the content and the options: what makes two batches the same.
    ///
    /// Names and order of the files do not matter, unless the view has the names in it.
    pub async fn digest(&self) -> Result<String, InputError> {
        let mut hash = Sha256::new();
        match &self.source {
            Resolved::Delta(table) => {
                let snapshot = &table.snapshot;
                hash.update(format!("delta {} {}", snapshot.table_id, snapshot.version));
            }
            Resolved::Files {
                files,
                options,
                format,
                span,
            } => {
                let content = Arc::clone(files);
                let content = blocking(move || files::content_sha256(&content)).await;
                hash.update(content.map_err(|error| error.at(*span))?);
                hash.update(format.identity(options)?);
                if format.has_source_columns() {
                    for file in files.iter() {
                        hash.update([0]);
                        hash.update(file.name());
                    }
                }
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// The columns, reading no more than the headers.
    pub async fn schema(&self) -> Result<SchemaRef, InputError> {
        let (files, options, format, span) = match &self.source {
            Resolved::Delta(table) => return Ok(Arc::clone(&table.snapshot.schema)),
            Resolved::Files {
                files,
                options,
                format,
                span,
            } => (files, options, format, *span),
        };
        let (files, options, format) = (Arc::clone(files), Arc::clone(options), format.clone());
        let schema = blocking(move || match format.columns(&files, &options)? {
            Some(columns) => Ok(text_schema(&columns, format.has_source_columns())),
            None => parquet::schema(&files),
        });
        schema.await.map_err(|error| error.at(span))
    }

    /// The rows, as a table that streams in bounded memory. Each scan reads the files again.
    pub async fn provider(&self) -> Result<Arc<dyn TableProvider>, InputError> {
        let (files, options, format, span) = match &self.source {
            Resolved::Delta(table) => {
                let provider = table.snapshot.scan();
                return provider.map_err(|error| delta::from_catalog(error).at(table.span));
            }
            Resolved::Files {
                files,
                options,
                format,
                span,
            } => (files, options, format, *span),
        };
        let (files, options, format) = (Arc::clone(files), Arc::clone(options), format.clone());
        let provider = blocking(move || format.provider(files, options));
        provider.await.map_err(|error| error.at(span))
    }
}

/// Runs what waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InputError> + Send + 'static,
) -> Result<T, InputError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(InputError::failed("reading was stopped", error)),
    }
}
