//! A project folder with files, and what comes out of it when it is extracted and typed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use lakegate_catalog::{Catalog, CatalogOptions};
use lakegate_rules::yaml::{self, Problems};

use crate::extract::{ExtractSpec, OpenExtract};
use crate::input_error::InputError;
use crate::schema_file::SchemaFile;
use crate::typing::{Typing, TypingSpec};

/// Rows as text; null is none.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

pub(crate) struct Project {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A project with one file.
    pub(crate) fn with(path: &str, content: impl AsRef<[u8]>) -> Self {
        let project = Self::new();
        project.write(path, content);
        project
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        let warehouse = self.root().join("warehouse");
        fs::create_dir_all(&warehouse).unwrap();
        let options = CatalogOptions {
            registry: self.root().join("catalog.db"),
            warehouse: url::Url::from_directory_path(warehouse).unwrap(),
            clock: test_clock,
        };
        self.block_on(Catalog::open(options)).unwrap()
    }

    /// Opens `extract: YAML`.
    pub(crate) fn open(&self, yaml: &str) -> Result<OpenExtract, InputError> {
        let spec = spec(yaml).unwrap_or_else(|problems| panic!("{problems}"));
        let resolved = spec.resolve(self.root(), &|_| None)?;
        self.block_on(resolved.open(&self.catalog()))
    }

    pub(crate) fn provider(&self, yaml: &str) -> Result<Arc<dyn TableProvider>, InputError> {
        self.block_on(self.open(yaml)?.provider())
    }

    /// The rows of `extract: YAML`.
    pub(crate) fn rows(&self, yaml: &str) -> Result<Rows, InputError> {
        self.table_rows(self.provider(yaml)?)
    }

    pub(crate) fn table_rows(&self, table: Arc<dyn TableProvider>) -> Result<Rows, InputError> {
        Ok(to_rows(&self.batches(table)?))
    }

    pub(crate) fn batches(
        &self,
        table: Arc<dyn TableProvider>,
    ) -> Result<Vec<RecordBatch>, InputError> {
        let frame = session().read_table(table).unwrap();
        self.block_on(frame.collect()).map_err(|error| {
            let found = InputError::find(&error).map(InputError::duplicate);
            found.unwrap_or_else(|| InputError::failed("the engine failed", error))
        })
    }

    /// What went wrong while reading: message and hint, as people see it.
    pub(crate) fn fault(&self, yaml: &str) -> String {
        match self.rows(yaml) {
            Ok(rows) => panic!("read {rows:?}"),
            Err(error) => shown(&error),
        }
    }

    /// Types a view by a schema file.
    pub(crate) fn typing(
        &self,
        table: &Arc<dyn TableProvider>,
        schema: &str,
        on_error: &str,
    ) -> Result<Typing, Problems> {
        let yaml = format!("{{ view: raw, schema: s.yaml, on_error: {on_error} }}");
        let node = yaml::parse("p.yaml", &yaml)?;
        let mut problems = Problems::default();
        let spec = TypingSpec::parse(&node, &mut problems).ok_or(problems)?;
        let schema = SchemaFile::parse("s.yaml", schema)?;
        Typing::new("typed", &spec, Arc::new(schema), &table.schema())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing of these tests depends on the time"
)]
fn test_clock() -> chrono::DateTime<Utc> {
    Utc::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "these tests need no catalog in their session"
)]
pub(crate) fn session() -> SessionContext {
    SessionContext::new()
}

/// Reads the map under `extract:`.
pub(crate) fn spec(yaml: &str) -> Result<ExtractSpec, Problems> {
    let node = yaml::parse("p.yaml", yaml)?;
    let mut problems = Problems::default();
    let spec = ExtractSpec::parse(&node, &mut problems);
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(problems),
    }
}

/// Message and hint, as people see them.
pub(crate) fn shown(error: &InputError) -> String {
    match &error.hint {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

pub(crate) fn to_rows(batches: &[RecordBatch]) -> Rows {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| (column, ArrayFormatter::try_new(column, &options).unwrap()))
            .collect();
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|(column, text)| column.is_valid(row).then(|| text.value(row).to_string()));
            rows.push(cells.collect());
        }
    }
    rows
}

/// Rows written as text, `∅` for null.
pub(crate) fn rows<const N: usize>(rows: &[[&str; N]]) -> Rows {
    let cell = |cell: &&str| (*cell != "∅").then(|| (*cell).to_owned());
    rows.iter()
        .map(|row| row.iter().map(cell).collect())
        .collect()
}

pub(crate) fn gz(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(content).unwrap();
    gz.finish().unwrap()
}

pub(crate) fn zst(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
