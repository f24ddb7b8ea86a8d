//! Reads a view back from its files.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::Folder;
use crate::input_error::InputError;

/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;

#[derive(Debug)]
pub(super) struct SpooledTable {
    schema: SchemaRef,
    files: Arc<Files>,
}

/// The files of a view, which go when nothing reads them.
#[derive(Debug)]
struct Files {
    paths: Vec<PathBuf>,
    /// Keeps the folder.
    _folder: Arc<Folder>,
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.paths {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(file = %path.display(), %error, "scratch file is left to its folder");
            }
        }
    }
}

impl SpooledTable {
    pub(super) fn new(folder: Arc<Folder>, schema: SchemaRef, paths: Vec<PathBuf>) -> Self {
        let files = Arc::new(Files {
            paths,
            _folder: folder,
        });
        Self { schema, files }
    }
}

#[async_trait]
impl TableProvider for SpooledTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => Arc::clone(&self.schema),
        };
        let files = self.files.paths.len();
        let partitions = state.config().target_partitions().clamp(1, files.max(1));
        let files_in_partition = files.div_ceil(partitions).max(1);
        let partitions = (0..partitions).map(|partition| {
            let start = (partition * files_in_partition).min(files);
            Arc::new(SpooledPartition {
                schema: Arc::clone(&schema),
                projection: projection.cloned(),
                files: Arc::clone(&self.files),
                range: start..(start + files_in_partition).min(files),
            }) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        let plan = StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

#[derive(Debug)]
struct SpooledPartition {
    schema: SchemaRef,
    projection: Option<Vec<usize>>,
    files: Arc<Files>,
    range: std::ops::Range<usize>,
}

impl PartitionStream for SpooledPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream =
            RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING_BATCHES);
        let sender = stream.tx();
        let files = Arc::clone(&self.files);
        let range = self.range.clone();
        let projection = self.projection.clone();
        let schema = Arc::clone(&self.schema);
        stream.spawn_blocking(move || {
            for path in &files.paths[range] {
                let failed = |error| {
                    let message = format!("the scratch file `{}` cannot be read", path.display());
                    InputError::failed(message, error)
                };
                let file = File::open(path).map_err(|error| failed(error.into()))?;
                let reader = StreamReader::try_new(BufReader::new(file), projection.clone());
                for batch in reader.map_err(failed)? {
                    // The files know nothing of the schema's metadata, which the plan compares.
                    let batch = batch.and_then(|batch| {
                        let options = datafusion::arrow::array::RecordBatchOptions::new()
                            .with_row_count(Some(batch.num_rows()));
                        let columns = batch.columns().to_vec();
                        RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
                    });
                    if sender.blocking_send(Ok(batch.map_err(failed)?)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        stream.build()
    }
}
