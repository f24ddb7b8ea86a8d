//! Values that clients bind: rows of batches.

use std::io::Cursor;
use std::panic::AssertUnwindSafe;

use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::ipc::{Buffer, root_as_message};
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use lakegate_engine::EngineError;
use tonic::{Code, Status};

use crate::status;

/// Bytes of values that a client may carry in a handle.
const MOST_CARRIED_BYTES: usize = 1 << 20;

/// Rows of values that one statement takes.
const MOST_ROWS: usize = 1_000;

/// Bytes of values that one statement takes.
const MOST_BYTES: usize = 64 << 20;

/// Rows of one batch: rows without bytes of their own take memory once they are read.
const MOST_ROWS_OF_BATCH: i64 = 1 << 24;

/// The batches of values that a client sends.
pub(crate) async fn batches<S>(sent: S) -> Result<Vec<RecordBatch>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + 'static,
{
    let mut bytes = 0;
    let messages = sent.map_err(|status| FlightError::Tonic(Box::new(status)));
    let messages = messages.and_then(move |message| {
        bytes += message.data_body.len();
        let is_too_much = bytes > MOST_BYTES;
        futures::future::ready(match is_too_much {
            false => Ok(message),
            true => Err(FlightError::Tonic(Box::new(too_much(&format!(
                "the values of the parameters take more than {MOST_BYTES} bytes"
            ))))),
        })
    });
    let mut batches = Decoder::new(messages);
    let (mut taken, mut rows) = (Vec::new(), 0);
    loop {
        let batch = batches.next().await.map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            other => status::malformed("the values of the parameters", other),
        })?;
        let Some(batch) = batch else {
            return Ok(taken);
        };
        rows += batch.num_rows();
        if rows > MOST_ROWS {
            return Err(too_much(&format!(
                "more than {MOST_ROWS} rows of values were bound to one statement"
            )));
        }
        taken.push(batch);
    }
}

fn too_much(what: &str) -> Status {
    Status::invalid_argument(format!(
        "{what}\nhint: send the rows as a stream: `adbc_ingest`"
    ))
}

/// The batches that a client sends, as they come, and their columns.
///
/// A stream that is cut off ends with an error.
pub(crate) async fn stream<S>(
    sent: S,
) -> Result<
    (
        SchemaRef,
        impl Stream<Item = Result<RecordBatch, EngineError>> + Send,
    ),
    Status,
>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + 'static,
{
    let messages = sent.map_err(|status| FlightError::Tonic(Box::new(status)));
    let mut batches = Decoder::new(messages);
    let first = batches.next().await;
    let first = first.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => status::malformed("the rows", other),
    })?;
    let schema = batches.schema();
    let schema = schema.ok_or_else(|| Status::invalid_argument("no columns were sent"))?;
    let first = futures::stream::iter(first.map(Ok));
    let further = futures::stream::try_unfold(batches, async |mut batches| {
        let next = batches.next().await?;
        Ok(next.map(|batch| (batch, batches)))
    });
    let batches = first.chain(further.map_err(|error| match error {
        FlightError::Tonic(status) if is_departure(&status) => EngineError::Cancelled,
        other => EngineError::unreadable("the rows", other),
    }));
    Ok((schema, batches))
}

/// Whether messages stop because the client is gone: tonic calls a lost connection unknown.
fn is_departure(status: &Status) -> bool {
    matches!(status.code(), Code::Cancelled | Code::Unknown)
}

/// The batches in messages of a client.
struct Decoder {
    batches: FlightRecordBatchStream,
}

impl Decoder {
    fn new<S>(messages: S) -> Self
    where
        S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    {
        // Some clients send the descriptor in a message of its own.
        let messages = messages.try_filter(|message| {
            let has_content = !message.data_header.is_empty() || !message.data_body.is_empty();
            futures::future::ready(has_content)
        });
        let messages = messages.map(|message| match message {
            Ok(message) => expect_as_told(&message).map(|()| message),
            error => error,
        });
        Self {
            batches: FlightRecordBatchStream::new_from_flight_data(messages),
        }
    }

    /// The columns, when they have come.
    fn schema(&self) -> Option<SchemaRef> {
        self.batches.schema().cloned()
    }

    /// The next batch; none after the last one. Nothing comes after an error.
    async fn next(&mut self) -> Result<Option<RecordBatch>, FlightError> {
        // The reader of arrow-ipc panics over some messages that are damaged.
        let next = AssertUnwindSafe(self.batches.try_next()).catch_unwind();
        next.await.unwrap_or_else(|_| Err(not_as_told()))
    }
}

/// Refuses a batch that its reader would make too much of: a message says itself how many rows it has, how long its
/// buffers are, and what they come to when they are compressed.
fn expect_as_told(message: &FlightData) -> Result<(), FlightError> {
    // What is no header is left to the reader.
    let Ok(header) = root_as_message(&message.data_header) else {
        return Ok(());
    };
    let batch = header.header_as_record_batch().or_else(|| {
        let dictionary = header.header_as_dictionary_batch();
        dictionary.and_then(|dictionary| dictionary.data())
    });
    let Some(batch) = batch else {
        return Ok(());
    };
    let refused = |what: &str| Err(FlightError::DecodeError(what.to_owned()));
    if batch.compression().is_some() {
        return refused("compressed batches are not taken here: send them as they are");
    }
    let nodes = batch.nodes();
    let rows = nodes.iter().flatten().map(|node| node.length());
    if rows
        .chain([batch.length()])
        .any(|rows| !(0..=MOST_ROWS_OF_BATCH).contains(&rows))
    {
        return refused("a batch has too many rows: send several smaller ones");
    }
    let has = |buffer: &Buffer| {
        let end = buffer.offset().checked_add(buffer.length());
        let end = end.and_then(|end| usize::try_from(end).ok());
        buffer.offset() >= 0
            && buffer.length() >= 0
            && end.is_some_and(|end| end <= message.data_body.len())
    };
    let has_its_buffers = batch
        .buffers()
        .is_none_or(|buffers| buffers.iter().all(has));
    has_its_buffers.then_some(()).ok_or_else(not_as_told)
}

fn not_as_told() -> FlightError {
    FlightError::DecodeError("a message is not as its header says".to_owned())
}

/// The values of each row, one row after the other.
pub(crate) fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<ScalarValue>>, Status> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let values = columns.map(|column| ScalarValue::try_from_array(column, row));
            let values: Result<Vec<_>, _> = values.collect();
            rows.push(values.map_err(|error| {
                status::malformed("the values of the parameters", error.strip_backtrace())
            })?);
        }
    }
    Ok(rows)
}

/// Rows of values, to be carried by the client; none when there are no values.
pub(crate) fn carried(batches: &[RecordBatch]) -> Result<Option<String>, Status> {
    let Some(first) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Ok(None);
    };
    let bytes = written(&first.schema(), batches).map_err(status::of_arrow)?;
    if bytes.len() > MOST_CARRIED_BYTES {
        return Err(Status::invalid_argument(format!(
            "the values of the parameters take {} bytes, and may take {MOST_CARRIED_BYTES}\nhint: put them into a table, and join it",
            bytes.len()
        )));
    }
    Ok(Some(BASE64_STANDARD.encode(bytes)))
}

/// Refuses to bind more than one row of values to a query.
pub(crate) fn expect_one_row(batches: &[RecordBatch]) -> Result<(), Status> {
    if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 1 {
        return Err(Status::unimplemented(
            "a query takes one row of values\nhint: run it once for each row",
        ));
    }
    Ok(())
}

/// The rows of values that a client carried.
pub(crate) fn read(carried: &str) -> Result<Vec<Vec<ScalarValue>>, Status> {
    let batches = BASE64_STANDARD
        .decode(carried)
        .map_err(|error| ArrowError::IpcError(error.to_string()))
        .and_then(|bytes| {
            let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
            reader.collect::<Result<Vec<RecordBatch>, ArrowError>>()
        });
    // It was signed: nobody else wrote it.
    rows(&batches.map_err(status::of_arrow)?)
}

fn written(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_flight::encode::FlightDataEncoderBuilder;
    use datafusion::arrow::array::{ArrayRef, Int64Array, NullArray};
    use datafusion::arrow::ipc::CompressionType;
    use datafusion::arrow::ipc::writer::IpcWriteOptions;

    use super::*;

    /// What becomes of a column that a client sends.
    async fn sent(column: ArrayRef, compression: Option<CompressionType>) -> Result<usize, String> {
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(compression);
        let messages = FlightDataEncoderBuilder::new()
            .with_options(options.unwrap())
            .build(futures::stream::iter([Ok(batch)]));
        let messages = messages.map_err(|error| Status::internal(error.to_string()));
        let (_, batches) = stream(messages)
            .await
            .map_err(|status| status.message().to_owned())?;
        let batches: Vec<RecordBatch> = batches
            .try_collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok(batches.iter().map(RecordBatch::num_rows).sum())
    }

    #[tokio::test]
    async fn batches_that_would_come_to_too_much_are_refused_before_they_are_read() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        assert_eq!(sent(Arc::clone(&numbers), None).await, Ok(10_000));
        let compressed = sent(numbers, Some(CompressionType::ZSTD))
            .await
            .unwrap_err();
        assert!(
            compressed.contains("compressed batches are not taken"),
            "{compressed}"
        );
        // A few bytes on the wire.
        let nothing: ArrayRef = Arc::new(NullArray::new(1 << 33));
        let rows = sent(nothing, None).await.unwrap_err();
        assert!(rows.contains("too many rows"), "{rows}");
    }
}
