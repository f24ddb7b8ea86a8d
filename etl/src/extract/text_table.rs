//! A view of text columns over files that are read row by row, in bounded memory.

use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::builder::NullBufferBuilder;
use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::files::{FileOptions, SourceFile};
use crate::input_error::InputError;

/// Column with the name of the file that a row stands in.
pub(crate) const FILE_COLUMN: &str = "_file";
/// Column with the line that a row starts in.
pub(crate) const LINE_COLUMN: &str = "_line";

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of text after which a batch is sent although it has fewer rows.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;

/// Reads the rows of one file.
pub(crate) trait RowReader: Debug + Send + Sync {
    /// Pushes each row into `batches`; ends early when that says so.
    fn read(
        &self,
        file: &SourceFile,
        input: &mut dyn Read,
        batches: &mut Batches<'_>,
    ) -> Result<(), InputError>;
}

/// The view.
#[derive(Debug, Clone)]
pub(crate) struct TextTable {
    columns: Arc<[String]>,
    reader: Arc<dyn RowReader>,
    files: Arc<[SourceFile]>,
    options: Arc<FileOptions>,
    has_location: bool,
    schema: SchemaRef,
}

impl TextTable {
    pub(crate) fn new(
        columns: Arc<[String]>,
        reader: Arc<dyn RowReader>,
        files: Arc<[SourceFile]>,
        options: Arc<FileOptions>,
        has_location: bool,
    ) -> Self {
        let schema = text_schema(&columns, has_location);
        Self {
            columns,
            reader,
            files,
            options,
            has_location,
            schema,
        }
    }

    /// The same rows with `_file` and `_line` behind the columns; none when a column has such a name.
    pub(crate) fn with_location(&self) -> Option<Self> {
        let is_taken = |name: &String| name == FILE_COLUMN || name == LINE_COLUMN;
        if self.has_location || self.columns.iter().any(is_taken) {
            return None;
        }
        Some(Self::new(
            Arc::clone(&self.columns),
            Arc::clone(&self.reader),
            Arc::clone(&self.files),
            Arc::clone(&self.options),
            true,
        ))
    }
}

/// Columns of text, and the location when it is asked for.
pub(crate) fn text_schema(columns: &[String], has_location: bool) -> SchemaRef {
    let text = columns
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true));
    let location = location_fields().into_iter().filter(|_| has_location);
    Arc::new(Schema::new(text.chain(location).collect::<Vec<_>>()))
}

/// The columns `_file` and `_line`.
pub(crate) fn location_fields() -> [Field; 2] {
    [
        Field::new(FILE_COLUMN, DataType::Utf8, false),
        Field::new(LINE_COLUMN, DataType::Int64, false),
    ]
}

#[async_trait]
impl TableProvider for TextTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.schema.project(&projection)?);
        let groups = state
            .config()
            .target_partitions()
            .clamp(1, self.files.len().max(1));
        let files_in_group = self.files.len().div_ceil(groups).max(1);
        let partitions = self.files.chunks(files_in_group).map(|files| {
            Arc::new(TextPartition {
                table: self.clone(),
                files: files.into(),
                projection: projection.as_slice().into(),
                schema: Arc::clone(&schema),
            }) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        let plan = StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// Files that are read one after the other.
#[derive(Debug)]
struct TextPartition {
    table: TextTable,
    files: Arc<[SourceFile]>,
    projection: Arc<[usize]>,
    schema: SchemaRef,
}

impl PartitionStream for TextPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream =
            RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING_BATCHES);
        let sender = stream.tx();
        let table = self.table.clone();
        let files = Arc::clone(&self.files);
        let projection = Arc::clone(&self.projection);
        let schema = Arc::clone(&self.schema);
        stream.spawn_blocking(move || {
            let mut send = |batch| sender.blocking_send(Ok(batch)).is_ok();
            let mut batches = Batches::new(&table.columns, &projection, schema, &mut send);
            for file in files.iter() {
                batches.start_file(file.name());
                file.read(&table.options, |input| {
                    table.reader.read(file, input, &mut batches)
                })?;
                batches.flush()?;
                if batches.is_stopped {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}

/// Collects rows into batches of the wanted columns.
pub(crate) struct Batches<'s> {
    schema: SchemaRef,
    projection: Vec<usize>,
    /// One a column of the source; none when it is not wanted.
    columns: Vec<Option<TextColumn>>,
    lines: Vec<i64>,
    file: String,
    rows: usize,
    bytes: usize,
    send: &'s mut dyn FnMut(RecordBatch) -> bool,
    is_stopped: bool,
}

impl<'s> Batches<'s> {
    fn new(
        columns: &[String],
        projection: &[usize],
        schema: SchemaRef,
        send: &'s mut dyn FnMut(RecordBatch) -> bool,
    ) -> Self {
        let columns = (0..columns.len())
            .map(|column| projection.contains(&column).then(TextColumn::default))
            .collect();
        Self {
            schema,
            projection: projection.to_vec(),
            columns,
            lines: Vec::new(),
            file: String::new(),
            rows: 0,
            bytes: 0,
            send,
            is_stopped: false,
        }
    }

    fn start_file(&mut self, name: &str) {
        name.clone_into(&mut self.file);
    }

    /// Whether anyone wants the column's values.
    pub(crate) fn wants(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(Option::is_some)
    }

    /// Sets a column of the current row. The bytes are UTF-8: their reader has looked.
    pub(crate) fn push(&mut self, column: usize, value: Option<&[u8]>) {
        if let Some(Some(column)) = self.columns.get_mut(column) {
            self.bytes += value.map_or(0, <[u8]>::len);
            column.push(value);
        }
    }

    /// Ends the current row, all of whose wanted columns are pushed. False when nobody wants more rows.
    pub(crate) fn end_row(&mut self, line: u64) -> Result<bool, InputError> {
        self.lines.push(i64::try_from(line).unwrap_or(i64::MAX));
        self.rows += 1;
        if self.rows == BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(!self.is_stopped)
    }

    fn flush(&mut self) -> Result<(), InputError> {
        if self.rows == 0 || self.is_stopped {
            return Ok(());
        }
        let batch = self.batch().map_err(|error| {
            InputError::failed(format!("`{}` cannot be read", self.file), error)
        })?;
        self.rows = 0;
        self.bytes = 0;
        self.lines.clear();
        self.is_stopped = !(self.send)(batch);
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch, DataFusionError> {
        let text_columns = self.columns.len();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.projection.len());
        for &column in &self.projection {
            let array: ArrayRef = match self.columns.get_mut(column) {
                Some(Some(text)) => Arc::new(text.finish()?),
                _ if column == text_columns => {
                    let names = std::iter::repeat_n(self.file.as_str(), self.rows);
                    Arc::new(StringArray::from_iter_values(names))
                }
                _ => Arc::new(Int64Array::from(self.lines.clone())),
            };
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }
}

/// A column of text that is being filled.
struct TextColumn {
    values: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for TextColumn {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl TextColumn {
    fn with_capacity(bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(BATCH_ROWS + 1);
        offsets.push(0);
        Self {
            values: Vec::with_capacity(bytes),
            offsets,
            nulls: NullBufferBuilder::new(BATCH_ROWS),
        }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        self.nulls.append(value.is_some());
        self.values.extend_from_slice(value.unwrap_or_default());
        // Offsets stay far below their limit: a batch ends at `BATCH_BYTES`, a record at 1 GiB.
        self.offsets
            .push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
    }

    fn finish(&mut self) -> Result<StringArray, DataFusionError> {
        let next = Self::with_capacity(self.values.len());
        let mut full = std::mem::replace(self, next);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(full.offsets));
        let values = Buffer::from_vec(full.values);
        Ok(StringArray::try_new(offsets, values, full.nulls.finish())?)
    }
}
