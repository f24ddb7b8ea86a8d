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
            typing: Arc::new(self.clone()),
            input,
            counter,
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
        let typing = Arc::new(self.clone());
        let plan = input.scan(session, None, &[], None).await;
        let plan = plan.map_err(input_error)?;
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
                Batcher::new(Arc::clone(&typing)),
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

#[derive(Debug)]
struct TypedTable {
    typing: Arc<Typing>,
    input: Arc<dyn TableProvider>,
    counter: Arc<TypingCounter>,
}

#[async_trait]
impl TableProvider for TypedTable {
    fn schema(&self) -> SchemaRef {
        self.typing.output_schema()
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
        let plan = self.input.scan(state, None, &[], None).await?;
        let partitions = plan.output_partitioning().partition_count();
        let schema = self.typing.output_schema();
        let partitions = (0..partitions).map(|partition| {
            Arc::new(TypedPartition {
                typing: Arc::clone(&self.typing),
                counter: Arc::clone(&self.counter),
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
    typing: Arc<Typing>,
    counter: Arc<TypingCounter>,
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
            batcher: Batcher::new(Arc::clone(&self.typing)),
            counter: Arc::clone(&self.counter),
            typing: Arc::clone(&self.typing),
            partition: self.partition,
        };
        let rows = stream::try_unfold(state, PartitionState::next).boxed();
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

struct PartitionState {
    input: SendableRecordBatchStream,
    batcher: Batcher,
    counter: Arc<TypingCounter>,
    typing: Arc<Typing>,
    partition: usize,
}

impl PartitionState {
    async fn next(mut self) -> DataFusionResult<Option<(RecordBatch, Self)>> {
        while let Some(batch) = self.input.try_next().await? {
            let typed = self.batcher.next(&batch)?;
            if typed.good.num_rows() > 0 {
                return Ok(Some((typed.good, self)));
            }
        }
        let columns = self.typing.column_names();
        self.counter
            .set(self.partition, &columns, self.batcher.counts);
        Ok(None)
    }
}
