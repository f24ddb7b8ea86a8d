//! Values that clients bind: rows of batches.

use std::io::Cursor;

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
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt};
use lakegate_engine::EngineError;
use tonic::{Code, Status};

use crate::status;

/// Bytes of values that a client may carry in a handle.
const MOST_CARRIED_BYTES: usize = 1 << 20;

/// Rows of values that one statement takes.
const MOST_ROWS: usize = 1_000;

/// Bytes of values that one statement takes.
const MOST_BYTES: usize = 64 << 20;

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
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let (mut taken, mut rows) = (Vec::new(), 0);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            other => status::malformed("the values of the parameters", other),
        })?;
        rows += batch.num_rows();
        if rows > MOST_ROWS {
            return Err(too_much(&format!(
                "more than {MOST_ROWS} rows of values were bound to one statement"
            )));
        }
        taken.push(batch);
    }
    Ok(taken)
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
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let first = batches.try_next().await;
    let first = first.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => status::malformed("the rows", other),
    })?;
    let schema = batches.schema().cloned();
    let schema = schema.ok_or_else(|| Status::invalid_argument("no columns were sent"))?;
    let first = futures::stream::iter(first.map(Ok));
    let batches = first.chain(batches.map_err(|error| match error {
        FlightError::Tonic(status) if status.code() == Code::Cancelled => EngineError::Cancelled,
        other => EngineError::unreadable("the rows", other),
    }));
    Ok((schema, batches))
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

/// One row of values, to be carried by the client.
pub(crate) fn carried(batches: &[RecordBatch]) -> Result<Option<String>, Status> {
    let Some(first) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Ok(None);
    };
    if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 1 {
        return Err(Status::unimplemented(
            "a query takes one row of values\nhint: run it once for each row",
        ));
    }
    let bytes = written(first).map_err(status::of_arrow)?;
    if bytes.len() > MOST_CARRIED_BYTES {
        return Err(Status::invalid_argument(format!(
            "the values of the parameters take {} bytes, and may take {MOST_CARRIED_BYTES}\nhint: put them into a table, and join it",
            bytes.len()
        )));
    }
    Ok(Some(BASE64_STANDARD.encode(bytes)))
}

/// The values that a client carried.
pub(crate) fn read(carried: &str) -> Result<Vec<ScalarValue>, Status> {
    let batches = BASE64_STANDARD
        .decode(carried)
        .map_err(|error| ArrowError::IpcError(error.to_string()))
        .and_then(|bytes| {
            let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
            reader.collect::<Result<Vec<RecordBatch>, ArrowError>>()
        });
    // It was signed: nobody else wrote it.
    let rows = rows(&batches.map_err(status::of_arrow)?)?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

fn written(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}
