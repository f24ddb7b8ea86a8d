//! A list of data files that is one version of a table, published or candidate.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Add, LogicalFileView};
use deltalake::table::state::DeltaTableState;
use url::Url;

use crate::gate::RULES_PROPERTY;
use crate::scan::LakeScan;
use crate::scan::deltalake::DeltalakeScan;
use crate::scan::parts::FileParts;
use crate::stats::FileStatistics;
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

impl DataFile {
    /// A file as a commit adds it. Deltalake has decoded the path already.
    pub fn from_add(add: &Add) -> Self {
        Self {
            path: add.path.clone(),
            size: u64::try_from(add.size).unwrap_or_default(),
            partition_values: add.partition_values.clone().into_iter().collect(),
            stats: add.stats.as_deref().map(Arc::from),
            modification_time: add.modification_time,
        }
    }

    fn from_view(view: &LogicalFileView) -> Self {
        Self {
            path: view.path().into_owned(),
            size: u64::try_from(view.size()).unwrap_or_default(),
            partition_values: view.partition_values_map().into_iter().collect(),
            stats: view.stats().map(Arc::from),
            modification_time: view.modification_time(),
        }
    }
}

/// One version of a table, published or candidate. It never changes.
///
/// A candidate is made from the version it builds on: `TableSnapshot { version, files, ..(*base).clone() }`.
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
    /// How the files are read.
    pub(crate) reader: Reader,
    /// Statistics of the files, parsed when they are first needed.
    pub(crate) statistics: StatisticsCell,
}

/// Who reads the files of a version.
#[derive(Debug, Clone, Default)]
pub(crate) enum Reader {
    /// [`LakeScan`]: they are plain Parquet.
    #[default]
    Plain,
    /// Deltalake, for this reason: a reader of plain Parquet would see wrong rows.
    Deltalake {
        why: &'static str,
        provider: Arc<dyn TableProvider>,
        /// The files that the provider reads; a candidate has others.
        files: Arc<[DataFile]>,
    },
    /// Nobody, for this reason: no reader that there is would see the right rows.
    Nobody { why: &'static str },
}

/// Parsed statistics together with the files and columns they are of.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatisticsCell(OnceLock<ParsedStatistics>);

#[derive(Debug, Clone)]
struct ParsedStatistics {
    files: Arc<[DataFile]>,
    schema: SchemaRef,
    statistics: Arc<FileStatistics>,
}

impl TableSnapshot {
    /// The version that a Delta table's state is at.
    pub fn from_state(
        name: Option<TableName>,
        location: &Url,
        state: &DeltaTableState,
    ) -> Result<Self, CatalogError> {
        let location = folder(location);
        let called = name
            .as_ref()
            .map_or_else(|| location.to_string(), ToString::to_string);
        let metadata = state.metadata();
        let arrow: Schema = state.schema().as_ref().try_into_arrow().map_err(|error| {
            CatalogError::failed(
                format!("the schema of table `{called}` has a type that cannot be read"),
                error,
            )
        })?;
        let version = i64::try_from(state.version()).map_err(|_| {
            CatalogError::Bug(format!("table `{called}` has version {}", state.version()))
        })?;
        let mut deletion_vectors = false;
        let files: Arc<[DataFile]> = state
            .log_data()
            .iter()
            .map(|view| {
                deletion_vectors |= view.deletion_vector_descriptor().is_some();
                DataFile::from_view(&view)
            })
            .collect();
        let mut snapshot = Self {
            name,
            location,
            version,
            table_id: metadata.id().to_owned(),
            schema: Arc::new(arrow),
            partition_columns: metadata.partition_columns().to_vec(),
            files,
            properties: metadata.configuration().clone().into_iter().collect(),
            reader: Reader::Plain,
            statistics: StatisticsCell::default(),
        };
        if snapshot.has_binary_partitions() {
            let why = "is partitioned by a binary column";
            snapshot.reader = Reader::Nobody { why };
        } else if let Some(why) = snapshot.not_plain(deletion_vectors) {
            snapshot.reader = Reader::deltalake(why, &snapshot, state, &called)?;
        }
        Ok(snapshot)
    }

    /// Hash of the attached rules, when the table has rules.
    pub fn rules_sha256(&self) -> Option<&str> {
        self.properties.get(RULES_PROPERTY).map(String::as_str)
    }

    /// Rows of this version, when every file's statistics tell.
    pub fn row_count(&self) -> Option<u64> {
        if !matches!(self.reader, Reader::Plain) {
            return None;
        }
        let statistics = self.statistics().ok()?;
        (0..self.files.len())
            .map(|file| statistics.row_count(file))
            .sum()
    }

    /// A table provider over exactly these files.
    pub fn scan(self: &Arc<Self>) -> Result<Arc<dyn TableProvider>, CatalogError> {
        match &self.reader {
            Reader::Plain => Ok(Arc::new(LakeScan::new(Arc::clone(self))?)),
            Reader::Nobody { why } => Err(CatalogError::invalid(
                format!("table `{}` cannot be read: it {why}", self.called()),
                "write it anew with a tool that reads it, partitioned by other columns".to_owned(),
            )),
            Reader::Deltalake {
                provider, files, ..
            } if Arc::ptr_eq(files, &self.files) => Ok(Arc::clone(provider)),
            Reader::Deltalake { why, .. } => Err(CatalogError::invalid(
                format!(
                    "a version of table `{}` that is not committed cannot be read: the table has {why}",
                    self.called()
                ),
                format!(
                    "rewrite the table without {why}, or commit to it with a tool that is not gated"
                ),
            )),
        }
    }

    /// The files, to be read one by one; none when they are read otherwise than as plain Parquet.
    ///
    /// # Errors
    /// When the partition values of a file cannot be read.
    pub fn parts(self: &Arc<Self>) -> Result<Option<FileParts>, CatalogError> {
        match self.reader {
            Reader::Plain => FileParts::new(self).map(Some),
            Reader::Deltalake { .. } | Reader::Nobody { .. } => Ok(None),
        }
    }

    /// The name for messages: the table's name, or its location.
    pub(crate) fn called(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.location.to_string(), ToString::to_string)
    }

    /// Statistics of the files.
    pub(crate) fn statistics(&self) -> Result<Arc<FileStatistics>, CatalogError> {
        if let Some(parsed) = self.statistics.0.get()
            && Arc::ptr_eq(&parsed.files, &self.files)
            && Arc::ptr_eq(&parsed.schema, &self.schema)
        {
            return Ok(Arc::clone(&parsed.statistics));
        }
        let statistics = FileStatistics::parse(&self.schema, &self.partition_columns, &self.files)
            .map_err(|error| {
                CatalogError::failed(
                    format!(
                        "cannot read the partition values of table `{}`",
                        self.called()
                    ),
                    error,
                )
            })?;
        let statistics = Arc::new(statistics);
        // Another thread, or the version that a candidate was cloned from, may have filled the cell; then it stays.
        let _filled = self.statistics.0.set(ParsedStatistics {
            files: Arc::clone(&self.files),
            schema: Arc::clone(&self.schema),
            statistics: Arc::clone(&statistics),
        });
        Ok(statistics)
    }

    fn has_binary_partitions(&self) -> bool {
        self.partition_columns.iter().any(|column| {
            self.schema
                .field_with_name(column)
                .is_ok_and(|field| *field.data_type() == DataType::Binary)
        })
    }

    /// Why a reader of plain Parquet would see other rows than Delta means, when it would.
    fn not_plain(&self, deletion_vectors: bool) -> Option<&'static str> {
        let is_set = |property: &str, value: &str| {
            self.properties
                .get(property)
                .is_some_and(|set| set.eq_ignore_ascii_case(value))
        };
        if deletion_vectors {
            return Some("deletion vectors");
        }
        if self.properties.contains_key("delta.columnMapping.mode")
            && !is_set("delta.columnMapping.mode", "none")
        {
            return Some("column mapping");
        }
        if is_set("delta.enableRowTracking", "true") {
            return Some("row tracking");
        }
        if self
            .files
            .iter()
            .any(|file| file.path.contains("://") || file.path.starts_with('/'))
        {
            return Some("data files outside its folder");
        }
        None
    }
}

impl Reader {
    fn deltalake(
        why: &'static str,
        snapshot: &TableSnapshot,
        state: &DeltaTableState,
        called: &str,
    ) -> Result<Self, CatalogError> {
        let provider =
            DeltalakeScan::new(called.to_owned(), &snapshot.location, state).map_err(|error| {
                CatalogError::failed(
                    format!("cannot read table `{called}`, which has {why}"),
                    error,
                )
            })?;
        Ok(Self::Deltalake {
            why,
            provider: Arc::new(provider),
            files: Arc::clone(&snapshot.files),
        })
    }
}

/// The URL of a folder: with a slash at the end.
pub(crate) fn folder(location: &Url) -> Url {
    let mut folder = location.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", location.path()));
    }
    folder
}
