//! Messages that no honest client sends.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray,
};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest,
    CommandStatementUpdate, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{FlightData, FlightDescriptor, Ticket};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};

use super::client::{
    Client, act, change, connect, descriptor, expect_status, packed, put, rows, stop, ticket,
    unpacked,
};
use crate::support::Project;

/// The handle of a prepared statement.
async fn handle(client: &mut Client, sql: &str) -> Bytes {
    let request = ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let (_, bodies) = act(client, "CreatePreparedStatement", packed(&request))
        .await
        .unwrap();
    let prepared: ActionCreatePreparedStatementResult = unpacked(&bodies[0]);
    prepared.prepared_statement_handle
}

async fn get(client: &mut Client, ticket: Bytes) -> Result<Vec<FlightData>, Status> {
    let messages = client.inner_mut().do_get(Ticket { ticket }).await?;
    messages.into_inner().try_collect().await
}

async fn describe(client: &mut Client, handle: Bytes) -> Result<(), Status> {
    let query = CommandPreparedStatementQuery {
        prepared_statement_handle: handle,
    };
    client
        .inner_mut()
        .get_flight_info(descriptor(&query))
        .await
        .map(|_| ())
}

fn as_ticket(statement_handle: Bytes) -> Bytes {
    packed(&TicketStatementQuery { statement_handle }).into()
}

#[tokio::test]
async fn garbage_is_the_mistake_of_who_sends_it() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let unknown = Any {
        type_url: "type.googleapis.com/other.Message".to_owned(),
        value: Bytes::new(),
    };
    let broken = Any {
        type_url: TicketStatementQuery::type_url().to_owned(),
        value: Bytes::from_static(b"\xff"),
    };
    let garbage = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from_static(b"garbage"),
        Bytes::from_static(b"\n\x03abc"),
        as_ticket(Bytes::new()),
        as_ticket(Bytes::from_static(b"forged")),
        unknown.encode_to_vec().into(),
        broken.encode_to_vec().into(),
        vec![0; 1 << 20].into(),
    ];
    let is_told =
        |status: &Status| [Code::InvalidArgument, Code::Unimplemented].contains(&status.code());
    for bytes in garbage {
        let start = &bytes[..bytes.len().min(20)];
        let told = get(client, bytes.clone()).await.unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
        let of = FlightDescriptor::new_cmd(bytes.clone());
        let told = client
            .inner_mut()
            .get_flight_info(of.clone())
            .await
            .unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
        let told = client.inner_mut().get_schema(of.clone()).await.unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
        let told = client
            .inner_mut()
            .poll_flight_info(of.clone())
            .await
            .unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
        let message = FlightData::new().with_descriptor(of);
        let told = put(client, stream::iter([message])).await.unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
        let told = describe(client, bytes.clone()).await.unwrap_err();
        assert!(is_told(&told), "{start:?}: {told:?}");
    }
    let path = FlightDescriptor::new_path(vec!["a".to_owned()]);
    let told = client.inner_mut().get_flight_info(path).await.unwrap_err();
    expect_status(&told, Code::InvalidArgument, &[]);
    let nothing = put(client, stream::iter([])).await.unwrap_err();
    expect_status(&nothing, Code::InvalidArgument, &["nothing was sent"]);
    let bare = put(client, stream::iter([FlightData::new()]))
        .await
        .unwrap_err();
    expect_status(&bare, Code::InvalidArgument, &["descriptor"]);
    assert_eq!(
        rows(client, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
    assert_eq!(stop(server).await.expect_code(0).stderr, "");
}

#[tokio::test]
async fn changed_bytes_of_a_ticket_or_handle_are_seen() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let info = client
        .execute("SELECT 1 AS x".to_owned(), None)
        .await
        .unwrap();
    let ticket = ticket(&info).ticket;
    for at in 0..ticket.len() {
        let mut changed = ticket.to_vec();
        changed[at] ^= 0x10;
        let told = get(client, changed.into()).await.unwrap_err();
        let is_told = [Code::InvalidArgument, Code::Unimplemented].contains(&told.code());
        assert!(is_told, "{at}: {told:?}");
    }
    get(client, ticket).await.unwrap();
    let handle = handle(client, "SELECT 1 AS x").await;
    for at in 0..handle.len() {
        let mut changed = handle.to_vec();
        changed[at] ^= 0x10;
        let told = describe(client, changed.into()).await.unwrap_err();
        expect_status(&told, Code::InvalidArgument, &["prepared statement"]);
    }
    describe(client, handle).await.unwrap();
}

#[tokio::test]
async fn what_one_server_signs_for_one_purpose_is_good_for_no_other() {
    let project = Project::of(&[]);
    let servers = [project.serve(&[]), project.serve(&[])];
    let client = &mut connect(&servers[0]).await;
    let other = &mut connect(&servers[1]).await;
    let info = client
        .execute("SELECT 1 AS x".to_owned(), None)
        .await
        .unwrap();
    let ticket = ticket(&info).ticket;
    let told = get(other, ticket.clone()).await.unwrap_err();
    expect_status(
        &told,
        Code::InvalidArgument,
        &["not one of this server", "hint: "],
    );
    let prepared = handle(client, "SELECT 1 AS x").await;
    let told = describe(other, prepared.clone()).await.unwrap_err();
    expect_status(
        &told,
        Code::InvalidArgument,
        &["not one of this server", "hint: "],
    );
    // A handle is no ticket, and a ticket no handle.
    let told = get(client, as_ticket(prepared)).await.unwrap_err();
    expect_status(&told, Code::InvalidArgument, &["ticket"]);
    let sealed: TicketStatementQuery = unpacked(&ticket);
    let told = describe(client, sealed.statement_handle).await.unwrap_err();
    expect_status(&told, Code::InvalidArgument, &["prepared statement"]);
    // A token of another server opens a session of its own: anyone may come in.
    client.handshake("ann", "x").await.unwrap();
    other.set_token(client.token().cloned().unwrap());
    assert_eq!(
        rows(other, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
}

/// A batch as messages: its columns, then its rows.
async fn messages(of: FlightDescriptor, values: impl IntoIterator<Item = i64>) -> Vec<FlightData> {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    let batch = RecordBatch::try_from_iter([("id", values)]).unwrap();
    let encoded = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(of));
    let encoded = encoded.build(stream::iter([Ok(batch)]));
    encoded.try_collect().await.unwrap()
}

#[tokio::test]
async fn half_a_batch_changes_nothing() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    change(client, "CREATE TABLE bronze.whole AS SELECT 0 AS id")
        .await
        .unwrap();
    let insert = handle(client, "INSERT INTO bronze.whole VALUES ($1)").await;
    let update = CommandPreparedStatementUpdate {
        prepared_statement_handle: insert.clone(),
    };
    let bind = CommandPreparedStatementQuery {
        prepared_statement_handle: insert,
    };
    let ingest = CommandStatementIngest {
        table: "whole".to_owned(),
        schema: Some("bronze".to_owned()),
        ..CommandStatementIngest::default()
    };
    let plain = CommandStatementUpdate {
        query: "INSERT INTO bronze.whole VALUES ($1)".to_owned(),
        transaction_id: None,
    };
    for of in [descriptor(&update), descriptor(&bind), descriptor(&ingest)] {
        let whole = messages(of.clone(), 0..100).await;
        assert_eq!(whole.len(), 2);
        let cut = |body: &Bytes| body.slice(..body.len() / 2);
        let half = FlightData {
            data_body: cut(&whole[1].data_body),
            ..whole[1].clone()
        };
        let headless = FlightData {
            data_header: cut(&whole[1].data_header),
            ..whole[1].clone()
        };
        let rows_only = FlightData {
            flight_descriptor: Some(of),
            ..whole[1].clone()
        };
        for sent in [
            vec![whole[0].clone(), half],
            vec![whole[0].clone(), headless],
            vec![rows_only],
        ] {
            let told = put(client, stream::iter(sent)).await.unwrap_err();
            expect_status(&told, Code::InvalidArgument, &["cannot be read"]);
        }
    }
    let message = FlightData::new().with_descriptor(descriptor(&plain));
    let told = put(client, stream::iter([message])).await.unwrap_err();
    expect_status(&told, Code::InvalidArgument, &["1 parameter"]);
    assert_eq!(
        rows(client, "SELECT id FROM bronze.whole").await.unwrap(),
        [json!({ "id": 0 })]
    );
    stop(server).await.expect_code(0);
    assert_eq!(project.independent("bronze.whole")["version"], 0);
}

#[tokio::test]
async fn damaged_values_never_break_the_server() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let prepared = handle(client, "SELECT $1, $2, $3, $4").await;
    let of = descriptor(&CommandPreparedStatementQuery {
        prepared_statement_handle: prepared,
    });
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    let columns: [(&str, ArrayRef); 4] = [
        ("$1", Arc::new(Int64Array::from(vec![Some(1)]))),
        ("$2", Arc::new(StringArray::from(vec![Some("text")]))),
        ("$3", Arc::new(BooleanArray::from(vec![None::<bool>]))),
        ("$4", Arc::new(lists.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let encoded = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(of));
    let encoded = encoded.build(stream::iter([Ok(batch)]));
    let whole: Vec<FlightData> = encoded.try_collect().await.unwrap();
    put(client, stream::iter(whole.clone())).await.unwrap();
    for message in 0..whole.len() {
        for at in 0..whole[message].data_header.len() {
            for change in [0x01, 0xff] {
                let mut sent = whole.clone();
                let mut header = sent[message].data_header.to_vec();
                header[at] ^= change;
                sent[message].data_header = header.into();
                let code = put(client, stream::iter(sent))
                    .await
                    .map_err(|status| status.code());
                let code = code.err().unwrap_or(Code::Ok);
                let is_answer =
                    [Code::Ok, Code::InvalidArgument, Code::Unimplemented].contains(&code);
                assert!(
                    is_answer,
                    "byte {at} of message {message}, {change}: {code:?}"
                );
            }
        }
    }
    assert_eq!(
        rows(client, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
    stop(server).await.expect_code(0);
}
