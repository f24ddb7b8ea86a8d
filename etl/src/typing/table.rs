//! The typed view as a table that streams, and as views on disk.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Typing;
use super::batch::{Batcher, TypedBatch};
use super::counts::{TypingCounter, TypingCounts};
use crate::extract::text_table::TextTable;
use crate::input_error::InputError;
use crate::scratch::SpoolWriter;

impl Typing {
    /// The typed view as a table that streams: each scan reads `input` again.
    ///
    /// A scan types all columns, whichever it is asked for, so that its outcome does not depend on them.
    pub fn table(
        &self,
        input: Arc<dyn TableProvider>,
        counter: Arc<TypingCounter>,
    ) -> Arc<dyn TableProvider> {
        Arc::new(TypedTable {
            source: TypedSource::new(self, input),
            rows: Rows::Good(counter),
        })
    }

    /// The rows that `on_error: quarantine` takes out, as a table that streams: each scan reads `input` again.
    pub fn bad_table(&self, input: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        Arc::new(TypedTable {
            source: TypedSource::new(self, input),
            rows: Rows::Bad,
        })
    }

    /// Reads the input once, its partitions side by side; good rows go to `good`, quarantined ones to `bad`.
    pub async fn spool(
        &self,
        session: &dyn Session,
        input: Arc<dyn TableProvider>,
        good: &mut SpoolWriter,
        mut bad: Option<&mut SpoolWriter>,
    ) -> Result<TypingCounts, InputError> {
        let source = TypedSource::new(self, input);
        let plan = source.plan(session).await.map_err(input_error)?;
        let context = session.task_ctx();
        let partitions = plan.output_partitioning().partition_count();
        let (sender, mut receiver) = mpsc::channel(partitions.max(1));
        let mut tasks = JoinSet::new();
        for partition in 0..partitions {
            let input = plan.execute(partition, Arc::clone(&context));
            let input = input.map_err(input_error)?;
            tasks.spawn(type_partition(
                partition,
                input,
                source.batcher(),
                sender.clone(),
            ));
        }
        drop(sender);
        let counter = TypingCounter::default();
        while let Some(step) = receiver.recv().await {
            match step.map_err(input_error)? {
                Step::Batch(batch) => {
                    good.write(batch.good).await?;
                    if let (Some(writer), Some(rows)) = (bad.as_deref_mut(), batch.bad) {
                        writer.write(rows).await?;
                    }
                }
                Step::End(partition, counts) => {
                    counter.set(partition, &self.column_names(), counts);
                }
            }
        }
        while let Some(finished) = tasks.join_next().await {
            finished.map_err(|error| InputError::failed("typing was stopped", error))?;
        }
        Ok(counter.total())
    }

    fn column_names(&self) -> Vec<&str> {
        let columns = self.schema.columns.iter();
        columns.map(|column| column.name.as_str()).collect()
    }
}

/// What a partition has to say.
enum Step {
    Batch(TypedBatch),
    End(usize, TypingCounts),
}

/// Types one partition, until its end, its first error, or nobody listens.
async fn type_partition(
    partition: usize,
    mut input: SendableRecordBatchStream,
    mut batcher: Batcher,
    sender: mpsc::Sender<DataFusionResult<Step>>,
) {
    loop {
        let step = match input.try_next().await {
            Ok(Some(batch)) => batcher.next(&batch).map(Step::Batch),
            Ok(None) => {
                let end = Step::End(partition, std::mem::take(&mut batcher.counts));
                // Nobody listens when another partition failed: then these counts do not matter.
                drop(sender.send(Ok(end)).await);
                return;
            }
            Err(error) => Err(error),
        };
        let is_last = step.is_err();
        if sender.send(step).await.is_err() || is_last {
            return;
        }
    }
}

/// What the engine says, as an error of the input.
fn input_error(error: DataFusionError) -> InputError {
    match InputError::find(&error) {
        Some(found) => found.duplicate(),
        None => InputError::failed("the view cannot be read", error),
    }
}

/// The input, with the location of its rows when it can tell.
#[derive(Debug, Clone)]
struct TypedSource {
    typing: Arc<Typing>,
    input: Arc<dyn TableProvider>,
    location: Option<(usize, usize)>,
}

impl TypedSource {
    fn new(typing: &Typing, input: Arc<dyn TableProvider>) -> Self {
        let located = input.downcast_ref::<TextTable>();
        let located = located.and_then(TextTable::with_location);
        let typing = Arc::new(typing.clone());
        match located {
            // The two columns stand behind those that the typing knows.
            Some(located) => {
                let columns = typing.input.fields().len();
                Self {
                    typing,
                    input: Arc::new(located),
                    location: Some((columns, columns + 1)),
                }
            }
            None => Self {
                location: typing.location,
                typing,
                input,
            },
        }
    }

    async fn plan(&self, session: &dyn Session) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.input.scan(session, None, &[], None).await
    }

    fn batcher(&self) -> Batcher {
        Batcher::new(Arc::clone(&self.typing), self.location)
    }
}

/// Which rows a table gives.
#[derive(Debug, Clone)]
enum Rows {
    Good(Arc<TypingCounter>),
    Bad,
}

#[derive(Debug)]
struct TypedTable {
    source: TypedSource,
    rows: Rows,
}

impl TypedTable {
    fn row_schema(&self) -> SchemaRef {
        match self.rows {
            Rows::Good(_) => self.source.typing.output_schema(),
            Rows::Bad => self.source.typing.bad_schema(),
        }
    }
}

#[async_trait]
impl TableProvider for TypedTable {
    fn schema(&self) -> SchemaRef {
        self.row_schema()
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
        let plan = self.source.plan(state).await?;
        let partitions = plan.output_partitioning().partition_count();
        let schema = self.row_schema();
        let partitions = (0..partitions).map(|partition| {
            Arc::new(TypedPartition {
                source: self.source.clone(),
                rows: self.rows.clone(),
                schema: Arc::clone(&schema),
                plan: Arc::clone(&plan),
                partition,
            }) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        let plan = StreamingTableExec::try_new(
            Arc::clone(&schema),
            partitions,
            projection,
            [],
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

#[derive(Debug)]
struct TypedPartition {
    source: TypedSource,
    rows: Rows,
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    partition: usize,
}

impl PartitionStream for TypedPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let input = match self.plan.execute(self.partition, context) {
            Ok(input) => input,
            Err(error) => {
                let failed = stream::once(async { Err(error) });
                return Box::pin(RecordBatchStreamAdapter::new(schema, failed));
            }
        };
        let state = PartitionState {
            input,
            batcher: self.source.batcher(),
            rows: self.rows.clone(),
            typing: Arc::clone(&self.source.typing),
            partition: self.partition,
        };
        let rows = stream::try_unfold(state, PartitionState::next).boxed();
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

struct PartitionState {
    input: SendableRecordBatchStream,
    batcher: Batcher,
    rows: Rows,
    typing: Arc<Typing>,
    partition: usize,
}

impl PartitionState {
    async fn next(mut self) -> DataFusionResult<Option<(RecordBatch, Self)>> {
        while let Some(batch) = self.input.try_next().await? {
            let typed = self.batcher.next(&batch)?;
            let rows = match self.rows {
                Rows::Good(_) => Some(typed.good),
                Rows::Bad => typed.bad,
            };
            if let Some(rows) = rows.filter(|rows| rows.num_rows() > 0) {
                return Ok(Some((rows, self)));
            }
        }
        if let Rows::Good(counter) = &self.rows {
            let columns = self.typing.column_names();
            counter.set(self.partition, &columns, self.batcher.counts);
        }
        Ok(None)
    }
}
