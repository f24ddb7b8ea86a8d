//! Rows that a client sends for a table.
//!
//! They are kept on disk until the last one is there, and then written in one commit: a client that goes away leaves
//! nothing behind, and a write that loses a race reads its rows again.

use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{Stream, StreamExt};
use lakegate_catalog::{CatalogError, Expects, TableName, WriteMode};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::mpsc;

use crate::access::OnBehalf;
use crate::change::{of_write, write_of};
use crate::{Engine, EngineError, Right};

/// Batches between two threads.
const BATCHES_BETWEEN: usize = 4;

/// Bytes of one client's rows on disk.
const MOST_BYTES: u64 = 100 << 30;

/// Where rows of a client go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    /// The schema; the session's when absent.
    pub schema: Option<String>,
    /// The table's name in the schema.
    pub table: String,
    /// What is done when there is no such table.
    pub if_absent: IfAbsent,
    /// What is done when there is one.
    pub if_exists: IfExists,
}

/// What is done for a table that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// It is made.
    Create,
    /// Nothing: that is an error.
    Fail,
}

/// What is done for a table that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Nothing: that is an error.
    Fail,
    /// The rows are added.
    Append,
    /// The rows take the place of those that are there.
    Replace,
}

impl Ingest {
    /// The statement, for people.
    pub(crate) fn text(&self) -> String {
        let schema = self.schema.as_ref().map(|schema| format!("{schema}."));
        format!("INGEST INTO {}{}", schema.unwrap_or_default(), self.table)
    }

    /// The table that is meant in a session with this schema.
    fn table(&self, schema: &str) -> Result<TableName, EngineError> {
        let schema = self.schema.as_deref().unwrap_or(schema);
        Ok(TableName::new(schema, &self.table)?)
    }
}

/// Rows on disk, and the table that they are for.
#[derive(Debug)]
pub(crate) struct Spooled {
    table: TableName,
    mode: WriteMode,
    expects: Expects,
    rows: Spool,
}

/// Rows on disk; they are deleted with this.
struct Spool {
    path: TempPath,
    schema: SchemaRef,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").finish_non_exhaustive()
    }
}

impl Engine {
    /// Puts the rows for a table on disk.
    pub(crate) async fn spool<S>(
        &self,
        ingest: &Ingest,
        in_schema: &str,
        schema: SchemaRef,
        batches: S,
        behalf: OnBehalf<'_>,
    ) -> Result<Spooled, EngineError>
    where
        S: Stream<Item = Result<RecordBatch, EngineError>> + Send,
    {
        let table = ingest.table(in_schema)?;
        if !behalf.sees(&table) && ingest.if_absent == IfAbsent::Create {
            // Whether it is there is not told.
            behalf.expect(Right::Manage, &table)?;
        }
        let exists = match self.catalog().entry(&table).await {
            Ok(_) => true,
            Err(CatalogError::NotFound { .. }) if ingest.if_absent == IfAbsent::Create => false,
            Err(error) => {
                behalf.expect(Right::Write, &table)?;
                return Err(behalf.as_seen(error.into()));
            }
        };
        let right = match exists {
            true => Right::Write,
            false => Right::Manage,
        };
        behalf.expect(right, &table)?;
        let mode = match ingest.if_exists {
            IfExists::Fail if exists => {
                return Err(EngineError::invalid(
                    format!("table `{table}` exists already"),
                    None,
                    "append to it or replace it, or choose another name".to_owned(),
                ));
            }
            IfExists::Fail | IfExists::Append => WriteMode::Append,
            IfExists::Replace => WriteMode::Overwrite,
        };
        // What is true when the client begins has to be true when its rows are written.
        let expects = match (ingest.if_absent, ingest.if_exists) {
            (_, IfExists::Fail) => Expects::Absence,
            (IfAbsent::Fail, _) => Expects::Presence,
            (IfAbsent::Create, _) => Expects::Nothing,
        };
        Ok(Spooled {
            table,
            mode,
            expects,
            rows: spool(self.temp_folder(), schema, batches).await?,
        })
    }

    /// Writes rows to their table in one commit, and gives their number.
    pub(crate) async fn ingest(&self, spooled: Spooled) -> Result<Option<u64>, EngineError> {
        let Spooled {
            table,
            mode,
            expects,
            rows,
        } = spooled;
        let schema = Arc::clone(&rows.schema);
        let rows: Arc<dyn PartitionStream> = Arc::new(rows);
        let rows = StreamingTable::try_new(schema, vec![rows]);
        let session = self.session();
        let source = rows.and_then(|rows| session.read_table(Arc::new(rows)));
        let source: LogicalPlan = source
            .map_err(EngineError::from_planning)?
            .into_unoptimized_plan();
        let write = write_of(table, mode, source, expects);
        let written = self.catalog().write(&session, write).await;
        Ok(written.map_err(of_ingest)?.added_rows)
    }
}

/// What is wrong with rows that a client sends: the ways out of a write are those of SQL, which it has none of.
fn of_ingest(error: CatalogError) -> EngineError {
    match error {
        CatalogError::Invalid {
            message,
            hint: Some(hint),
        } if hint.contains("SQL") => EngineError::invalid(
            message.replace(" in the source", " as it is sent"),
            None,
            "send what the table can hold as it is: `DESCRIBE` and the table's name lists its columns and types"
                .to_owned(),
        ),
        error => of_write(error),
    }
}

/// Puts batches on disk.
async fn spool<S>(
    folder: Option<&Path>,
    schema: SchemaRef,
    batches: S,
) -> Result<Spool, EngineError>
where
    S: Stream<Item = Result<RecordBatch, EngineError>> + Send,
{
    let failed = |error: std::io::Error| EngineError::Failed {
        message: "the rows cannot be kept on disk".to_owned(),
        source: Box::new(error),
        hint: None,
    };
    let file = match folder {
        Some(folder) => NamedTempFile::new_in(folder),
        None => NamedTempFile::new(),
    };
    let (file, path) = file.map_err(failed)?.into_parts();
    let (sender, receiver) = mpsc::channel(BATCHES_BETWEEN);
    // What a client says of the rows as a whole, such as how it numbers them, is not kept.
    let schema: SchemaRef = Arc::new(Schema::new(schema.fields().clone()));
    let of_rows = Arc::clone(&schema);
    let writing = tokio::task::spawn_blocking(move || write(file, &of_rows, receiver));
    let mut batches = std::pin::pin!(batches);
    let mut bytes = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        bytes += bytes_of(&batch);
        if bytes > MOST_BYTES {
            return Err(EngineError::Exhausted {
                message: "the rows take too much disk".to_owned(),
                source: format!("{bytes} bytes").into(),
                hint: "send them in several parts".to_owned(),
            });
        }
        if sender.send(batch).await.is_err() {
            // Writing has ended, and says why.
            break;
        }
    }
    drop(sender);
    let written = writing.await;
    let written = written.map_err(|error| EngineError::Bug(error.to_string()))?;
    written.map_err(EngineError::from_execution)?;
    Ok(Spool { path, schema })
}

/// The bytes of a batch's own rows: batches of one message share its buffer.
fn bytes_of(batch: &RecordBatch) -> u64 {
    let columns = batch.columns().iter();
    let bytes = columns.map(|column| {
        let own = column.to_data().get_slice_memory_size();
        own.unwrap_or_else(|_| column.get_buffer_memory_size()) as u64
    });
    bytes.sum()
}

fn write(
    file: File,
    schema: &SchemaRef,
    mut batches: mpsc::Receiver<RecordBatch>,
) -> Result<(), DataFusionError> {
    let mut writer = StreamWriter::try_new(BufWriter::new(file), schema)?;
    while let Some(batch) = batches.blocking_recv() {
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}

impl PartitionStream for Spool {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let mut stream = RecordBatchReceiverStream::builder(schema, BATCHES_BETWEEN);
        let sender = stream.tx();
        let file = File::open(&self.path);
        stream.spawn_blocking(move || {
            for batch in StreamReader::try_new_buffered(file?, None)? {
                let batch = batch.map_err(DataFusionError::from);
                if sender.blocking_send(batch).is_err() {
                    // Nobody reads on.
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Float64Array};
    use futures::stream;
    use uuid::Uuid;

    use super::*;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn who_sends_rows_is_not_told_to_change_their_sql() {
        let fixture = Fixture::new().await;
        fixture.changes(&["CREATE TABLE t (a INT)"]).await;
        for name in ["a", "b c"] {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![1.7]));
            let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
            let ingest = Ingest {
                schema: None,
                table: "t".to_owned(),
                if_absent: IfAbsent::Fail,
                if_exists: IfExists::Append,
            };
            let caller = fixture.caller.clone();
            let schema = batch.schema();
            let batches = stream::iter([Ok(batch)]);
            let sent =
                fixture
                    .queries
                    .ingest(Uuid::now_v7(), &ingest, "default", schema, batches, caller);
            let error = sent.await.unwrap_err();
            let text = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(!text.contains("SQL") && text.contains("column"), "{text}");
        }
    }
}
