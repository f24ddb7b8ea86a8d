//! Parts in memory, which say what was read of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches, max, min};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, ScalarValue, exec_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use crate::tests::properties::{Row, batch};
use crate::tests::{parse, provider, session, subject};
use crate::{End, KeptStates, PartKey, Parts, Piece, Report, Subject, judge};

/// Parts in memory.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) keys: Vec<PartKey>,
    pub(super) parts: Vec<Vec<RecordBatch>>,
    pub(super) kept: Option<Arc<KeptStates>>,
    /// Whether rows, nulls and bounds of `n` are known without reading.
    pub(super) has_statistics: bool,
    pub(super) reads: Arc<Mutex<Vec<usize>>>,
    /// A part that cannot be read.
    pub(super) broken: Option<usize>,
    /// The columns that were asked for as they are encoded.
    pub(super) encoded: Arc<Mutex<Vec<usize>>>,
}

pub(super) fn schema() -> SchemaRef {
    batch(&[]).schema()
}

impl Memory {
    pub(super) fn new(parts: &[(String, Vec<Row>)], kept: &Arc<KeptStates>) -> Self {
        Self {
            keys: parts
                .iter()
                .map(|(name, _)| PartKey::new([name.as_str()]))
                .collect(),
            parts: parts
                .iter()
                .map(|(_, rows)| rows.chunks(3).map(batch).collect())
                .collect(),
            kept: Some(Arc::clone(kept)),
            has_statistics: false,
            broken: None,
            reads: Arc::default(),
            encoded: Arc::default(),
        }
    }

    pub(super) fn subject(&self, session: &SessionContext) -> Subject {
        let partitions = self.parts.clone();
        let partitions = match partitions.is_empty() {
            true => vec![Vec::new()],
            false => partitions,
        };
        Subject {
            parts: Some(Arc::new(self.clone())),
            ..subject(session, provider(&schema(), partitions))
        }
    }

    pub(super) async fn report(&self, yaml: &str) -> Report {
        judge(&parse(yaml), &self.subject(&session())).await
    }
}

/// The same rows with some columns in another layout of text.
fn with_layout(
    batches: &[RecordBatch],
    encoded: &[usize],
    text: &DataType,
) -> (SchemaRef, Vec<RecordBatch>) {
    let schema = schema();
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let is_encoded = encoded.contains(&index) && *field.data_type() == DataType::Utf8;
        match is_encoded {
            true => Field::clone(field).with_data_type(text.clone()),
            false => Field::clone(field),
        }
    });
    let wanted = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let whole = concat_batches(&schema, batches).unwrap();
    let columns = std::iter::zip(whole.columns(), wanted.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap());
    let whole = RecordBatch::try_new(Arc::clone(&wanted), columns.collect()).unwrap();
    let mut from = 0;
    let slice = |batch: &RecordBatch| {
        let rows = batch.num_rows();
        from += rows;
        whole.slice(from - rows, rows)
    };
    let batches = batches.iter().map(slice).collect();
    (wanted, batches)
}

#[async_trait]
impl Parts for Memory {
    fn keys(&self) -> &[PartKey] {
        &self.keys
    }

    async fn kept(&self) -> Option<Arc<KeptStates>> {
        self.kept.clone()
    }

    fn pieces(&self, _: &dyn Session, parts: &[usize]) -> Vec<Piece> {
        let halves = |part: &usize| {
            let part = *part;
            (0..2).map(move |number| Piece {
                part,
                number,
                of: 2,
            })
        };
        parts.iter().flat_map(halves).collect()
    }

    async fn scan(
        &self,
        _: &dyn Session,
        columns: &[usize],
        encoded: &[usize],
        piece: Piece,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        if self.broken == Some(piece.part) {
            return exec_err!("part {} is gone", piece.part);
        }
        *self.encoded.lock().unwrap() = encoded.to_vec();
        if piece.number == 0 {
            self.reads.lock().unwrap().push(piece.part);
        }
        // A part of several batches comes in two pieces.
        let batches = &self.parts[piece.part];
        let (left, right) = batches.split_at(batches.len() / 2);
        let half = [left, right][piece.number as usize];
        // The halves come as two different files may.
        let text = [
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            DataType::Utf8View,
        ];
        let (schema, half) = with_layout(half, encoded, &text[piece.number as usize]);
        Ok(MemorySourceConfig::try_new_exec(
            &[half],
            schema,
            Some(columns.to_vec()),
        )?)
    }

    fn rows(&self, part: usize) -> Option<u64> {
        let rows = self.parts[part]
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>();
        self.has_statistics.then_some(rows as u64)
    }

    fn nulls(&self, part: usize, column: &str) -> Option<u64> {
        let nulls = |rows: &RecordBatch| rows.column_by_name(column).unwrap().null_count();
        let nulls = self.parts[part].iter().map(nulls).sum::<usize>();
        self.has_statistics.then_some(nulls as u64)
    }

    fn extreme(&self, part: usize, column: &str, end: End) -> Option<ScalarValue> {
        if column != "n" || !self.has_statistics {
            return None;
        }
        let values = self.parts[part].iter().filter_map(|rows| {
            let values = rows.column(0).as_primitive::<Int64Type>();
            match end {
                End::Min => min(values),
                End::Max => max(values),
            }
        });
        let value = match end {
            End::Min => values.min(),
            End::Max => values.max(),
        };
        value.map(|value| ScalarValue::Int64(Some(value)))
    }
}
