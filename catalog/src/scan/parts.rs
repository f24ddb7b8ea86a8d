//! The files of a version, read one by one, so that what is found in one can be told from what is in the others.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::{TableSchema, TableSchemaBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

use super::LakeScan;
use super::dictionaries::{dictionary_type, has_dictionaries, with_dictionaries};
use super::footers::ChangedFooters;
use crate::stats::Side;
use crate::{CatalogError, DataFile, TableSnapshot};

/// The files of a version that are plain Parquet, one by one.
#[derive(Debug)]
pub struct FileParts {
    scan: LakeScan,
}

/// Pieces that few files are cut into for each partition: with more than one, partitions end at about the same time
/// also when files are of different sizes.
const PIECES_A_PARTITION: usize = 2;

/// One of the pieces that a file is cut into. A row group belongs to the piece that it begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePiece {
    /// The file, by its number.
    pub file: usize,
    /// Which piece it is, from 0.
    pub number: u64,
    /// How many pieces the file is cut into.
    pub of: u64,
}

impl FileParts {
    pub(crate) fn new(snapshot: &Arc<TableSnapshot>) -> Result<Self, CatalogError> {
        Ok(Self {
            scan: LakeScan::new(Arc::clone(snapshot))?,
        })
    }

    /// The files, in the version's order.
    pub fn files(&self) -> &[DataFile] {
        &self.scan.snapshot.files
    }

    /// Some files in pieces. They are cut when there are few of them for the partitions that run at once, and they are
    /// large enough.
    pub fn pieces(&self, session: &dyn Session, files: &[usize]) -> Vec<FilePiece> {
        let options = session.config_options();
        let at_once = options.execution.target_partitions;
        let wanted = (at_once * PIECES_A_PARTITION).div_ceil(files.len().max(1)) as u64;
        let least_bytes = options.optimizer.repartition_file_min_size as u64;
        let cut = |file: &usize| {
            let file = *file;
            let size = self.files()[file].size;
            let of = wanted.min(size / least_bytes.max(1)).max(1);
            (0..of).map(move |number| FilePiece { file, number, of })
        };
        files.iter().flat_map(cut).collect()
    }

    /// A plan of one partition that reads some columns of a piece of a file; columns go by their numbers, and come in
    /// this order. Those of `encoded` that are text come as the file has them: as dictionaries (`Int32` keys) when all of
    /// their values stand in such, and else as views.
    ///
    /// It is to be run as it is: the optimizer would put files together.
    ///
    /// # Errors
    /// When the table's store is not there, or the file's footer cannot be read.
    pub async fn scan(
        &self,
        session: &dyn Session,
        columns: &[usize],
        encoded: &[usize],
        piece: FilePiece,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let file = self.scan.partitioned_file(piece.file)?;
        let mut readers = self.scan.readers(session)?;
        let mut read_schema = self.scan.read_schema.clone();
        let encoded = self.text_of_files(encoded);
        if !encoded.is_empty() {
            let metrics = ExecutionPlanMetricsSet::new();
            let mut reader = readers.create_reader(0, file.clone(), None, &metrics)?;
            let footer = reader.get_metadata(None).await?;
            let (dictionaries, views) = encoded
                .into_iter()
                .partition::<Vec<_>, _>(|column| has_dictionaries(&footer, column));
            read_schema = with_types(&read_schema, &dictionaries, &dictionary_type());
            read_schema = with_types(&read_schema, &views, &DataType::Utf8View);
            if !dictionaries.is_empty() {
                readers = Arc::new(ChangedFooters::new(readers, move |footer| {
                    with_dictionaries(&footer, &dictionaries)
                }));
            }
        }
        let options = session.default_table_options().parquet;
        let config = self
            .scan
            .source_of(options, Some(&columns.to_vec()), read_schema, readers)?
            .with_file_groups(vec![FileGroup::new(vec![cut(file, piece)])])
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// The names of those of some columns that are text and stand in the files.
    fn text_of_files(&self, columns: &[usize]) -> Vec<String> {
        let table = &self.scan.snapshot;
        let fields = columns.iter().map(|column| table.schema.field(*column));
        fields
            .filter(|field| *field.data_type() == DataType::Utf8)
            .map(|field| field.name().clone())
            .filter(|name| !table.partition_columns.contains(name))
            .collect()
    }

    /// Rows of a file, when its statistics say so.
    pub fn rows(&self, file: usize) -> Option<u64> {
        self.scan.statistics.row_count(file)
    }

    /// In how many rows of a file a column is null, when its statistics say so exactly.
    pub fn nulls(&self, file: usize, column: &str) -> Option<u64> {
        let column = self.scan.snapshot.schema.index_of(column).ok()?;
        self.scan.statistics.exact_nulls(file, column)
    }

    /// The smallest or largest value of a column in a file, when its statistics say it exactly and there is one.
    pub fn bound(&self, file: usize, column: &str, side: Side) -> Option<ScalarValue> {
        let column = self.scan.snapshot.schema.index_of(column).ok()?;
        self.scan.statistics.exact_bound(file, column, side)
    }
}

/// The same columns, some of them in another type.
fn with_types(read_schema: &TableSchema, columns: &[String], data_type: &DataType) -> TableSchema {
    let fields = read_schema.file_schema().fields().iter().map(|field| {
        let is_wanted = columns.contains(field.name());
        let wanted = || Field::clone(field).with_data_type(data_type.clone());
        is_wanted.then(wanted).map_or(Arc::clone(field), Arc::new)
    });
    let file_schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    TableSchemaBuilder::new(file_schema)
        .with_table_partition_cols(read_schema.table_partition_cols().to_vec())
        .build()
}

/// A piece of a file.
fn cut(mut file: PartitionedFile, piece: FilePiece) -> PartitionedFile {
    let size = file.object_meta.size;
    let end = |number: u64| {
        let end = u128::from(size) * u128::from(number) / u128::from(piece.of.max(1));
        i64::try_from(end).unwrap_or(i64::MAX)
    };
    if piece.of > 1 {
        file.range = Some(FileRange {
            start: end(piece.number),
            end: end(piece.number + 1),
        });
    }
    file
}

#[cfg(test)]
mod tests;
