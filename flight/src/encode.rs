//! Rows as messages.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::{IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::root_as_message;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use futures::{Stream, StreamExt, stream};
use lakegate_engine::EngineError;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Status;

use crate::{columns, status};

/// A message of rows: as `FlightData`, with its body in the pieces in which Arrow holds it.
#[derive(Debug)]
pub(crate) struct Message {
    /// What is in the body. https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
    pub(crate) header: Vec<u8>,
    /// The body, one piece after the other.
    pub(crate) body: Vec<Buffer>,
}

/// Messages on their way to a client.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// A message aims to be no larger, in bytes. Clients take at least 4 MiB.
const MESSAGE_BYTES: usize = 2 << 20;

/// What proxies take for a dead connection is longer than this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The messages of rows, in the schema that the client was told: one of the schema, then those of the rows.
///
/// # Errors
/// When Arrow has no message for such a schema.
pub(crate) fn rows<S>(rows: S, schema: SchemaRef) -> Result<Messages, Status>
where
    S: Stream<Item = Result<RecordBatch, EngineError>> + Send + 'static,
{
    let mut encoder = MessageEncoder::new(&schema).map_err(status::of_arrow)?;
    let first = encoder.schema(&schema).map_err(status::of_arrow)?;
    let messages = kept_alive(rows, &schema, KEEP_ALIVE).map(move |batch| {
        let batch = batch.map_err(|error| status::of_engine(&error))?;
        encoder.rows(&batch, &schema).map_err(status::of_arrow)
    });
    let messages = messages.flat_map(|messages| match messages {
        Ok(messages) => stream::iter(messages.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(status) => stream::iter(vec![Err(status)]),
    });
    Ok(stream::iter(first.into_iter().map(Ok))
        .chain(messages)
        .boxed())
}

/// Makes messages of batches. The schema is the same for all of them.
struct MessageEncoder(StreamEncoder);

impl MessageEncoder {
    fn new(schema: &Schema) -> Result<Self, ArrowError> {
        Ok(Self(StreamEncoder::try_new(schema)?))
    }

    /// The message of the schema, which is before all others.
    fn schema(&mut self, schema: &SchemaRef) -> Result<Option<Message>, ArrowError> {
        // It comes with the first batch.
        let nothing = RecordBatch::new_empty(Arc::clone(schema));
        Ok(self.messages(&nothing)?.into_iter().next())
    }

    /// The messages of a batch.
    fn rows(
        &mut self,
        batch: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<Vec<Message>, ArrowError> {
        let mut messages = Vec::new();
        for piece in pieces(as_told(batch, schema)?) {
            messages.extend(self.messages(&piece)?);
        }
        Ok(messages)
    }

    fn messages(&mut self, batch: &RecordBatch) -> Result<Vec<Message>, ArrowError> {
        let buffers = self.0.encode(batch)?.into_iter();
        let mut encoded = Encoded(buffers.filter(|buffer| !buffer.is_empty()).collect());
        let mut messages = Vec::new();
        while let Some(message) = encoded.message()? {
            messages.push(message);
        }
        Ok(messages)
    }
}

/// What is left of a stream of encapsulated messages, in pieces none of which is empty.
struct Encoded(VecDeque<Buffer>);

impl Encoded {
    /// The next message, without what stands before it in a stream: a mark of four bytes, and the length of its header.
    fn message(&mut self) -> Result<Option<Message>, ArrowError> {
        let before = joined(&self.take(2 * size_of::<u32>())?);
        let Some((_mark, length)) = before.split_last_chunk() else {
            return Ok(None);
        };
        let header = joined(&self.take(u32::from_le_bytes(*length) as usize)?);
        let message =
            root_as_message(&header).map_err(|error| ArrowError::IpcError(error.to_string()))?;
        let body = usize::try_from(message.bodyLength())
            .map_err(|error| ArrowError::IpcError(error.to_string()))?;
        let body = self.take(body)?;
        Ok(Some(Message { header, body }))
    }

    /// The next bytes; none when there are no more at all.
    fn take(&mut self, mut bytes: usize) -> Result<Vec<Buffer>, ArrowError> {
        let mut taken = Vec::new();
        while bytes > 0 {
            let Some(buffer) = self.0.pop_front() else {
                break;
            };
            let (first, rest) = (bytes.min(buffer.len()), buffer.len().saturating_sub(bytes));
            if rest > 0 {
                self.0.push_front(buffer.slice(first));
            }
            bytes -= first;
            taken.push(buffer.slice_with_length(0, first));
        }
        if bytes > 0 && !taken.is_empty() {
            return Err(ArrowError::IpcError(
                "a message ends before its end".to_owned(),
            ));
        }
        Ok(taken)
    }
}

fn joined(pieces: &[Buffer]) -> Vec<u8> {
    let bytes = pieces.iter().flat_map(|piece| piece.as_slice());
    bytes.copied().collect()
}

/// Rows, and a batch without any whenever there is nothing to send for so long.
fn kept_alive<S>(
    rows: S,
    schema: &SchemaRef,
    after: Duration,
) -> impl Stream<Item = Result<RecordBatch, EngineError>> + Send + use<S>
where
    S: Stream<Item = Result<RecordBatch, EngineError>> + Send,
{
    let nothing = RecordBatch::new_empty(Arc::clone(schema));
    let mut silent = interval_at(Instant::now() + after, after);
    silent.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rows = tokio_stream::StreamExt::timeout_repeating(rows, silent);
    rows.map(move |batch| batch.unwrap_or_else(|_| Ok(nothing.clone())))
}

/// The messages of one batch.
///
/// # Errors
/// As those of [`rows`].
pub(crate) fn batch(batch: RecordBatch) -> Result<Messages, Status> {
    let schema = batch.schema();
    rows(stream::iter([Ok(batch)]), schema)
}

/// A schema as Flight SQL puts it into other messages.
pub(crate) fn schema(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, ArrowError> = SchemaAsIpc::new(schema, &options).try_into();
    message.map(|message| message.0).map_err(status::of_arrow)
}

fn as_told(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let safe = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = std::iter::zip(batch.columns(), schema.fields()).map(|(column, field)| {
        let wanted = field.data_type();
        if column.data_type() == wanted {
            return Ok(Arc::clone(column));
        }
        // Another type than the plan's would change values.
        if columns::told(column.data_type()) != *wanted {
            return Err(ArrowError::SchemaError(format!(
                "column `{}` comes as {}, and was told to be {wanted}",
                field.name(),
                column.data_type()
            )));
        }
        cast_with_options(column, wanted, &safe)
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

/// A batch in pieces that fit into a message each, unless one row does not.
fn pieces(batch: RecordBatch) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut left = vec![(bytes_of(&batch), batch)];
    while let Some((bytes, batch)) = left.pop() {
        let rows = batch.num_rows();
        if rows <= 1 || bytes <= MESSAGE_BYTES {
            pieces.push(batch);
            continue;
        }
        let first = batch.slice(0, rows / 2);
        let bytes_of_first = bytes_of(&first);
        let second = batch.slice(rows / 2, rows - rows / 2);
        // The first half is next.
        left.push((bytes_of(&second), second));
        left.push((bytes_of_first, first));
    }
    pieces
}

fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(bytes_of_column).sum()
}

/// The bytes of an array's own values, those of lists too: by itself an array counts all that its lists share.
fn bytes_of_column(column: &ArrayRef) -> usize {
    let of_range = |values: &ArrayRef, from: usize, to: usize| {
        size_of::<i64>() * column.len() + bytes_of_column(&values.slice(from, to - from))
    };
    if let Some(list) = column.as_list_opt::<i32>() {
        let offsets = list.value_offsets();
        return of_range(
            list.values(),
            offsets[0] as usize,
            offsets[list.len()] as usize,
        );
    }
    if let Some(list) = column.as_list_opt::<i64>() {
        let offsets = list.value_offsets();
        return of_range(
            list.values(),
            offsets[0] as usize,
            offsets[list.len()] as usize,
        );
    }
    if let Some(map) = column.as_map_opt() {
        let offsets = map.value_offsets();
        let entries: ArrayRef = Arc::new(map.entries().clone());
        return of_range(&entries, offsets[0] as usize, offsets[map.len()] as usize);
    }
    if let Some(structs) = column.as_struct_opt() {
        return structs.columns().iter().map(bytes_of_column).sum();
    }
    let bytes = column.to_data().get_slice_memory_size();
    // What cannot tell its size has no view types left, and is as large as its buffers.
    bytes.unwrap_or_else(|_| column.get_buffer_memory_size())
}

#[cfg(test)]
mod tests {
    use arrow_flight::FlightData;
    use arrow_flight::decode::FlightRecordBatchStream;
    use arrow_flight::error::FlightError;
    use datafusion::arrow::array::{
        AsArray, BooleanArray, Float64Array, Int64Array, Int64Builder, ListBuilder, NullArray,
        StringArray, StructArray,
    };
    use datafusion::arrow::datatypes::{DataType, Field};
    use futures::TryStreamExt;

    use super::*;

    #[test]
    fn lists_are_cut_into_few_pieces() {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for row in 0..8_000 {
            lists.append_value((0..100).map(|value| Some(row * value)));
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let schema = Schema::new(vec![Field::new("list", lists.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![lists]).unwrap();
        let pieces = pieces(batch);
        assert!((2..10).contains(&pieces.len()), "{}", pieces.len());
        assert_eq!(
            pieces.iter().map(RecordBatch::num_rows).sum::<usize>(),
            8_000
        );
    }

    #[tokio::test]
    async fn messages_of_any_rows_are_read_as_these_rows() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter(
            (0..3000).map(|row| (row % 3 > 0).then_some(row)),
        ));
        let truths: ArrayRef = Arc::new(BooleanArray::from_iter(
            (0..3000).map(|row| (row % 5 > 0).then_some(row % 2 == 0)),
        ));
        let texts: ArrayRef = Arc::new(StringArray::from_iter(
            (0..3000).map(|row| (row % 7 > 0).then(|| "x".repeat(row % 11))),
        ));
        let mut lists = ListBuilder::new(Int64Builder::new());
        for row in 0..3000 {
            lists.append_option((row % 4 > 0).then(|| (0..row % 6).map(Some)));
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let nothing: ArrayRef = Arc::new(NullArray::new(3000));
        let fields = [("n", &numbers), ("t", &texts)];
        let both: ArrayRef = Arc::new(StructArray::from(
            fields
                .map(|(name, column)| {
                    (
                        Arc::new(Field::new(name, column.data_type().clone(), true)),
                        Arc::clone(column),
                    )
                })
                .to_vec(),
        ));
        let whole = RecordBatch::try_from_iter_with_nullable([
            ("numbers", numbers, true),
            ("truths", truths, true),
            ("texts", texts, true),
            ("lists", lists, true),
            ("nothing", nothing, true),
            ("both", both, true),
        ]);
        let whole = whole.unwrap();
        // Pieces begin within the bytes of bitmaps, behind the beginning of texts and lists, and some have no rows.
        let sent: Vec<RecordBatch> = [(0, 0), (0, 1), (13, 1000), (1013, 7), (1021, 1979)]
            .map(|(from, rows)| whole.slice(from, rows))
            .to_vec();
        let messages = rows(
            stream::iter(sent.clone().into_iter().map(Ok)),
            whole.schema(),
        )
        .unwrap();
        let data = messages.map_ok(|message| FlightData {
            data_header: message.header.into(),
            data_body: joined(&message.body).into(),
            ..FlightData::default()
        });
        let read = FlightRecordBatchStream::new_from_flight_data(data.map_err(FlightError::from));
        let read: Vec<RecordBatch> = read.try_collect().await.unwrap();
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn batches_without_rows_come_while_there_is_nothing_to_send() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let schema = batch.schema();
        let (send, sent) = tokio::sync::oneshot::channel();
        let rows = stream::once(async move { Ok(sent.await.unwrap()) })
            .chain(stream::once(async { Err(EngineError::Cancelled) }));
        let mut kept = Box::pin(kept_alive(rows, &schema, Duration::from_millis(1)));
        for _ in 0..3 {
            assert_eq!(kept.next().await.unwrap().unwrap().num_rows(), 0);
        }
        send.send(batch).unwrap();
        let mut rows = 0;
        while let Some(Ok(batch)) = kept.next().await {
            assert_eq!(batch.schema(), schema);
            rows += batch.num_rows();
        }
        assert_eq!(rows, 1);
    }

    #[test]
    fn rows_of_another_type_than_was_told_are_refused() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
        let of = |data_type| Arc::new(Schema::new(vec![Field::new("n", data_type, true)]));
        let batch = RecordBatch::try_new(of(DataType::Float64), vec![numbers]).unwrap();
        assert!(as_told(&batch, &of(DataType::Int64)).is_err());
        assert!(as_told(&batch, &of(DataType::Float64)).is_ok());
    }

    #[test]
    fn skewed_batch_is_cut_where_its_bytes_are() {
        let texts = (0..1_000).map(|row| match row {
            500.. => "x".repeat(20_000),
            _ => "y".to_owned(),
        });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&texts)]).unwrap();
        let pieces = pieces(batch);
        assert!(pieces.iter().all(|piece| bytes_of(piece) <= MESSAGE_BYTES));
        let again = pieces
            .iter()
            .flat_map(|piece| piece.column(0).as_string::<i32>());
        assert!(again.eq(texts.as_string::<i32>()));
    }
}
