//! Types one batch.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::error::DataFusionError;

use super::counts::{BadValue, TypingCounts};
use super::values::{BadCell, Faults, as_strings, pass, type_column};
use super::{OnError, Typing, errors};
use crate::input_error::InputError;

/// Characters of a value that messages show.
const MOST_SHOWN: usize = 60;

/// A batch after typing.
#[derive(Debug)]
pub(super) struct TypedBatch {
    pub(super) good: RecordBatch,
    /// The rows that quarantine takes out.
    pub(super) bad: Option<RecordBatch>,
}

/// Types the batches of one partition in their order.
#[derive(Debug)]
pub(super) struct Batcher {
    typing: Arc<Typing>,
    pub(super) counts: TypingCounts,
}

impl Batcher {
    pub(super) fn new(typing: Arc<Typing>) -> Self {
        Self {
            typing,
            counts: TypingCounts::default(),
        }
    }

    pub(super) fn next(&mut self, batch: &RecordBatch) -> Result<TypedBatch, DataFusionError> {
        let typing = Arc::clone(&self.typing);
        let mut cells = Vec::new();
        let mut arrays = Vec::with_capacity(typing.output.fields().len());
        for (i, (column, source)) in typing
            .schema
            .columns
            .iter()
            .zip(&typing.sources)
            .enumerate()
        {
            let array = batch.column(*source);
            let mut faults = Faults {
                column: i,
                is_nullable: column.is_nullable,
                cells: &mut cells,
            };
            let has_type = *array.data_type() == column.column_type.data_type();
            arrays.push(if has_type && !super::is_text(array.data_type()) {
                pass(array, &mut faults)
            } else {
                type_column(column, &*as_strings(array)?, &mut faults)
            });
        }
        arrays.extend(
            typing
                .kept
                .iter()
                .map(|kept| Arc::clone(batch.column(*kept))),
        );
        // By row, and within a row in the order of the schema file: the sort is stable.
        cells.sort_by_key(|cell| cell.row);
        let typed = self.finish(batch, arrays, &cells)?;
        self.counts.rows += batch.num_rows() as u64;
        Ok(typed)
    }

    fn finish(
        &mut self,
        batch: &RecordBatch,
        mut arrays: Vec<ArrayRef>,
        cells: &[BadCell],
    ) -> Result<TypedBatch, DataFusionError> {
        let typing = Arc::clone(&self.typing);
        if let (OnError::Fail, Some(cell)) = (typing.on_error, cells.first()) {
            return Err(self.failure(batch, cell)?.into());
        }
        self.count(batch, cells)?;
        let rows = batch.num_rows();
        let output = || Arc::clone(&typing.output);
        match typing.on_error {
            OnError::Fail => {}
            OnError::Null => arrays.push(self.errors(batch, rows, cells)?),
            OnError::Quarantine if cells.is_empty() => {}
            OnError::Quarantine => {
                let mut is_good = vec![true; rows];
                for cell in cells {
                    is_good[cell.row] = false;
                }
                let is_bad = BooleanArray::from_iter(is_good.iter().map(|good| Some(!good)));
                let is_good = BooleanArray::from(is_good);
                // Bad values are null until their rows are out, also in columns that must not be.
                let nullable = nullable(&typing.output);
                let good = filter_record_batch(&record_batch(nullable, arrays, rows)?, &is_good)?;
                let good_rows = good.num_rows();
                let mut text = batch.columns().to_vec();
                text.push(self.errors(batch, rows, cells)?);
                let bad = record_batch(Arc::clone(&typing.bad), text, rows)?;
                return Ok(TypedBatch {
                    good: record_batch(output(), good.columns().to_vec(), good_rows)?,
                    bad: Some(filter_record_batch(&bad, &is_bad)?),
                });
            }
        }
        Ok(TypedBatch {
            good: record_batch(output(), arrays, rows)?,
            bad: None,
        })
    }

    fn errors(
        &self,
        batch: &RecordBatch,
        rows: usize,
        cells: &[BadCell],
    ) -> Result<ArrayRef, DataFusionError> {
        let columns = &self.typing.schema.columns;
        let mut values = Vec::with_capacity(cells.len());
        for cell in cells {
            values.push(self.value(batch, cell)?);
        }
        let name = |cell: &BadCell| columns[cell.column].name.as_str();
        errors::array(rows, cells, name, values)
    }

    /// The text of a cell; none when it is null or has a type already.
    fn value(
        &self,
        batch: &RecordBatch,
        cell: &BadCell,
    ) -> Result<Option<String>, DataFusionError> {
        let array = batch.column(self.typing.sources[cell.column]);
        if array.is_null(cell.row) || !super::is_text(array.data_type()) {
            return Ok(None);
        }
        let one = array.slice(cell.row, 1);
        Ok(Some(as_strings(&one)?.value(0).to_owned()))
    }

    fn count(&mut self, batch: &RecordBatch, cells: &[BadCell]) -> Result<(), DataFusionError> {
        let mut last_row = None;
        for cell in cells {
            if last_row != Some(cell.row) {
                self.counts.bad_rows += 1;
                last_row = Some(cell.row);
            }
            let typing = Arc::clone(&self.typing);
            let column = typing.schema.columns[cell.column].name.as_str();
            self.counts.add_bad_value(column);
            if self.counts.wants_examples() {
                let example = BadValue {
                    place: self.place(batch, cell.row),
                    column: column.to_owned(),
                    value: self.value(batch, cell)?.map(|value| shortened(&value)),
                    reason: cell.reason.clone().into_owned(),
                };
                self.counts.examples.push(example);
            }
        }
        Ok(())
    }

    /// Where a row comes from.
    fn place(&self, batch: &RecordBatch, row: usize) -> String {
        let located = self.typing.location.and_then(|(file, line)| {
            let file = batch.column(file).as_string_opt::<i32>()?;
            let line = batch.column(line).as_primitive_opt::<Int64Type>()?;
            Some(format!("{}:{}", file.value(row), line.value(row)))
        });
        located.unwrap_or_else(|| format!("row {}", self.counts.rows + row as u64 + 1))
    }

    fn failure(&self, batch: &RecordBatch, cell: &BadCell) -> Result<InputError, DataFusionError> {
        let value = match self.value(batch, cell)? {
            Some(value) => format!("`{}`", shortened(&value)),
            None => "the value".to_owned(),
        };
        let column = &self.typing.schema.columns[cell.column].name;
        let message = format!(
            "{}: column `{column}`: {value} {} (stage `{}`)",
            self.place(batch, cell.row),
            cell.reason,
            self.typing.stage
        );
        Ok(InputError::invalid(message).with_hint(format!(
            "correct the delivery or `{}`; `on_error: null` and `quarantine` let the run go on",
            self.typing.schema.file
        )))
    }
}

fn record_batch(
    schema: SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<_> = fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(datafusion::arrow::datatypes::Schema::new(fields))
}

fn shortened(value: &str) -> String {
    let mut shown: String = value.chars().take(MOST_SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}
