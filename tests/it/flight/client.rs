//! The client of the `arrow-flight` crate, and what tests ask of it.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{Any, ProstMessageExt};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightInfo, IpcMessage, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use prost::Message;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::support::{Ran, Server};

/// A test waits no longer for what should come at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A query that does not end by itself, and gives no row before its end.
pub(super) const ENDLESS: &str = "SELECT sum(value % 7) FROM generate_series(1, 1000000000000)";

/// One whose rows do not end.
pub(super) const ENDLESS_ROWS: &str = "SELECT value FROM generate_series(1, 1000000000000)";

pub(super) type Client = FlightSqlServiceClient<Channel>;

/// A client on a connection of its own.
pub(super) async fn connect(server: &Server) -> Client {
    connect_to(&server.flight).await
}

async fn connect_to(address: &str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let calls = FlightServiceClient::new(endpoint.connect().await.unwrap());
    FlightSqlServiceClient::new_from_inner(calls.max_decoding_message_size(usize::MAX))
}

/// A line to a server that can be cut, as when a client's machine dies.
pub(super) struct Line {
    address: String,
    forwarding: JoinHandle<()>,
}

impl Line {
    /// A line for one connection.
    pub(super) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = server.flight.clone();
        let forwarding = tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(server).await.unwrap();
            // Either end may break it.
            tokio::io::copy_bidirectional(&mut near, &mut far)
                .await
                .ok();
        });
        Self {
            address,
            forwarding,
        }
    }

    /// The client at its end.
    pub(super) async fn client(&self) -> Client {
        connect_to(&self.address).await
    }

    /// Cuts it.
    pub(super) async fn cut(self) {
        self.forwarding.abort();
        assert!(self.forwarding.await.unwrap_err().is_cancelled());
    }
}

pub(super) fn ticket(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1, "{info:?}");
    info.endpoint[0].ticket.clone().unwrap()
}

/// The rows of what was asked for.
pub(super) async fn fetch(
    client: &mut Client,
    info: &FlightInfo,
) -> Result<Vec<RecordBatch>, FlightError> {
    client.do_get(ticket(info)).await?.try_collect().await
}

/// The rows of a query, as JSON objects.
pub(super) async fn rows(client: &mut Client, sql: &str) -> Result<Vec<Value>, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    Ok(objects(&fetch(client, &info).await?))
}

/// Rows as JSON objects.
pub(super) fn objects(batches: &[RecordBatch]) -> Vec<Value> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let text = writer.into_inner();
    match text.is_empty() {
        true => Vec::new(),
        false => serde_json::from_slice(&text).unwrap(),
    }
}

/// The number of rows that a change brought.
pub(super) async fn change(client: &mut Client, sql: &str) -> Result<i64, FlightError> {
    client.execute_update(sql.to_owned(), None).await
}

/// A message of Flight SQL as bytes.
pub(super) fn packed<M: ProstMessageExt>(message: &M) -> Vec<u8> {
    message.as_any().encode_to_vec()
}

pub(super) fn descriptor<M: ProstMessageExt>(message: &M) -> FlightDescriptor {
    FlightDescriptor::new_cmd(packed(message))
}

/// A message of Flight SQL that is expected to be of a type.
pub(super) fn unpacked<M: ProstMessageExt>(bytes: &[u8]) -> M {
    Any::decode(bytes).unwrap().unpack().unwrap().unwrap()
}

/// What an action gives back, and its headers.
pub(super) async fn act(
    client: &mut Client,
    name: &str,
    body: impl Into<Bytes>,
) -> Result<(MetadataMap, Vec<Bytes>), Status> {
    let mut request = Request::new(Action::new(name, body));
    if let Some(token) = client.token() {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let response = client.inner_mut().do_action(request).await?;
    let headers = response.metadata().clone();
    let bodies: Vec<arrow_flight::Result> = response.into_inner().try_collect().await?;
    let bodies = bodies.into_iter().map(|result| result.body);
    Ok((headers, bodies.collect()))
}

/// The answer to messages that are put.
pub(super) async fn put<S>(client: &mut Client, messages: S) -> Result<Bytes, Status>
where
    S: Stream<Item = FlightData> + Send + 'static,
{
    let answers = client.inner_mut().do_put(messages).await?.into_inner();
    let answers: Vec<arrow_flight::PutResult> = answers.try_collect().await?;
    assert_eq!(answers.len(), 1, "{answers:?}");
    Ok(answers[0].app_metadata.clone())
}

/// The columns in an answer of `GetSchema`.
pub(super) fn schema_of(result: SchemaResult) -> Schema {
    Schema::try_from(IpcMessage(result.schema)).unwrap()
}

/// The columns that are told of rows.
pub(super) fn told(info: &FlightInfo) -> Schema {
    info.clone().try_decode_schema().unwrap()
}

#[track_caller]
pub(super) fn status<T>(result: Result<T, FlightError>) -> Status {
    match result.err() {
        Some(FlightError::Tonic(status)) => *status,
        other => panic!("no status: {other:?}"),
    }
}

/// Expects an error with this code and these words.
#[track_caller]
pub(super) fn expect_refused<T>(result: Result<T, FlightError>, code: Code, words: &[&str]) {
    expect_status(&status(result), code, words);
}

#[track_caller]
pub(super) fn expect_status(status: &Status, code: Code, words: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    for word in words {
        let message = status.message();
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

/// Asks a server to stop, and waits until it has; clients hear of it meanwhile.
pub(super) async fn stop(server: Server) -> Ran {
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap()
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        loop {
            looks.tick().await;
            if is_so().await {
                return;
            }
        }
    };
    let is_late = tokio::time::timeout(PATIENCE, looking).await.is_err();
    assert!(!is_late, "waited in vain until {what}");
}

/// Waits until so many queries run.
pub(super) async fn until_running(server: &Server, count: usize) {
    until_metric(server, &format!("lakegate_queries_running {count}\n")).await;
}

/// Waits until the metrics have a line.
pub(super) async fn until_metric(server: &Server, line: &str) {
    until(line.trim_end(), async || {
        server.get("/metrics").1.contains(line)
    })
    .await;
}
