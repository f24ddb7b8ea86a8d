//! A view that streams into a write: its rows are counted and told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{TryStreamExt, stream};

use crate::events::{RunEvent, RunEvents};

/// How often rows are told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is known of the rows that have passed.
pub(crate) struct Watch {
    stage: String,
    events: Arc<dyn RunEvents>,
    rows: AtomicU64,
    bytes: AtomicU64,
    told_at: Mutex<Instant>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(stage: &str, events: Arc<dyn RunEvents>) -> Arc<Self> {
        Arc::new(Self {
            stage: stage.to_owned(),
            events,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            told_at: Mutex::new(Instant::now()),
        })
    }

    /// Rows that have passed.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    fn count(&self, batch: &RecordBatch) {
        let (rows, bytes) = (
            batch.num_rows() as u64,
            batch.get_array_memory_size() as u64,
        );
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        {
            let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
            if told_at.elapsed() < TELL_EVERY {
                return;
            }
            *told_at = Instant::now();
        }
        self.events.event(&RunEvent::Rows {
            stage: self.stage.clone(),
            rows,
            bytes,
        });
    }

    /// The same stream, watched.
    pub(crate) fn over(
        self: Arc<Self>,
        rows: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let watched = rows.inspect_ok(move |batch| self.count(batch));
        Box::pin(RecordBatchStreamAdapter::new(schema, watched))
    }
}

/// A table whose rows are watched.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn TableProvider>,
    watch: Arc<Watch>,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn TableProvider>, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

#[async_trait]
impl TableProvider for Watched {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
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
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // A write that starts over reads again from the start.
        self.watch.rows.store(0, Ordering::Relaxed);
        self.watch.bytes.store(0, Ordering::Relaxed);
        let source = provider_as_source(Arc::clone(&self.inner));
        let name = TableReference::bare("watched");
        let plan = LogicalPlanBuilder::scan(name, source, None)?.build()?;
        let plan = state.create_physical_plan(&plan).await?;
        let partitions = plan.output_partitioning().partition_count();
        let partitions = (0..partitions).map(|partition| {
            Arc::new(WatchedPartition {
                plan: Arc::clone(&plan),
                schema: self.schema(),
                watch: Arc::clone(&self.watch),
                partition,
            }) as Arc<dyn PartitionStream>
        });
        let plan = StreamingTableExec::try_new(
            self.schema(),
            partitions.collect(),
            projection,
            [],
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

#[derive(Debug)]
struct WatchedPartition {
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    watch: Arc<Watch>,
    partition: usize,
}

impl PartitionStream for WatchedPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        match self.plan.execute(self.partition, context) {
            Ok(rows) => Arc::clone(&self.watch).over(rows),
            Err(error) => failed(&self.schema, error),
        }
    }
}

fn failed(schema: &SchemaRef, error: DataFusionError) -> SendableRecordBatchStream {
    let rows = stream::once(async { Err(error) });
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows))
}
