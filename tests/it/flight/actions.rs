//! Logins, sessions, and what is done with queries that were asked for.

use std::collections::HashMap;

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, CommandStatementQuery};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Empty, FlightEndpoint,
    FlightInfo, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use serde_json::json;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};

use super::client::{
    Client, ENDLESS, ENDLESS_ROWS, act, change, connect, descriptor, expect_status, fetch, objects,
    packed, rows, status, stop, ticket, unpacked, until, until_running,
};
use crate::orders::orders;
use crate::support::Project;

// The messages of sessions, which the crate does not have. Apache Arrow, Flight.proto.

#[derive(Clone, PartialEq, Message)]
struct SessionOptions {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, SessionOption>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionOption {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SetErrors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
struct SetError {
    #[prost(int32, tag = "1")]
    value: i32,
}

fn options(pairs: &[(&str, &str)]) -> Vec<u8> {
    let options = pairs.iter().map(|(name, value)| {
        let text = Some((*value).to_owned());
        ((*name).to_owned(), SessionOption { text })
    });
    SessionOptions {
        options: options.collect(),
    }
    .encode_to_vec()
}

/// What is set for a client's session.
async fn set(client: &mut Client) -> Vec<(String, String)> {
    let (_, bodies) = act(client, "GetSessionOptions", Bytes::new())
        .await
        .unwrap();
    let options = SessionOptions::decode(&*bodies[0]).unwrap().options;
    let mut set: Vec<_> = options
        .into_iter()
        .map(|(name, option)| (name, option.text.unwrap()))
        .collect();
    set.sort();
    set
}

/// Goes on with the token in an answer.
fn carry(client: &mut Client, headers: &MetadataMap) {
    let bearer = headers.get("authorization").unwrap().to_str().unwrap();
    client.set_token(bearer.strip_prefix("Bearer ").unwrap().to_owned());
}

#[tokio::test]
async fn login_gives_a_session_that_the_client_carries() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    client.handshake("ann", "secret").await.unwrap();
    let logged_in = client.token().cloned().unwrap();
    let options_are = |schema: &str, time_zone: &str| {
        [
            ("catalog".to_owned(), "lakegate".to_owned()),
            ("route".to_owned(), "local".to_owned()),
            ("schema".to_owned(), schema.to_owned()),
            ("time_zone".to_owned(), time_zone.to_owned()),
        ]
    };
    let is = |schema: &str| options_are(schema, "UTC");
    assert_eq!(set(client).await, is("default"));
    let (headers, bodies) = act(
        client,
        "SetSessionOptions",
        options(&[("schema", "silver")]),
    )
    .await
    .unwrap();
    assert_eq!(
        SetErrors::decode(&*bodies[0]).unwrap().errors,
        HashMap::new()
    );
    carry(client, &headers);
    assert_eq!(set(client).await, is("silver"));
    let counted = rows(client, "SELECT count(*) AS n FROM orders")
        .await
        .unwrap();
    assert_eq!(counted, [json!({ "n": 100 })]);

    // The server keeps nothing: the same client with its first token is in its first session.
    let other = &mut connect(&server).await;
    other.set_token(logged_in);
    assert_eq!(set(other).await, is("default"));
    expect_status(
        &status(rows(other, "SELECT count(*) FROM orders").await),
        Code::NotFound,
        &["orders"],
    );

    let wrong = options(&[
        ("schema", "no.schema"),
        ("catalog", "other"),
        ("color", "red"),
        ("route", "elsewhere"),
        ("time_zone", "Mars/Base"),
    ]);
    let (_, bodies) = act(client, "SetSessionOptions", wrong).await.unwrap();
    let errors = SetErrors::decode(&*bodies[0]).unwrap().errors;
    let mut errors: Vec<_> = errors
        .iter()
        .map(|(name, error)| (name.as_str(), error.value))
        .collect();
    errors.sort_unstable();
    // 1 is a name that there is not, 2 a value.
    assert_eq!(
        errors,
        [
            ("catalog", 2),
            ("color", 1),
            ("route", 2),
            ("schema", 2),
            ("time_zone", 2)
        ]
    );
    assert_eq!(set(client).await, is("silver"));

    let zone = options(&[("time_zone", "+02:00")]);
    let (headers, _) = act(client, "SetSessionOptions", zone).await.unwrap();
    carry(client, &headers);
    assert_eq!(set(client).await, options_are("silver", "+02:00"));
    let sql = "SELECT CAST(TIMESTAMP '2024-01-01 12:00:00+02:00' AS TEXT) AS utc, \
               arrow_typeof(now()) AS type_of_now";
    let zoned = rows(client, sql).await.unwrap();
    assert!(
        zoned[0]["type_of_now"].as_str().unwrap().contains("+02:00"),
        "{zoned:?}"
    );

    for sql in [
        "CREATE TABLE bronze.zoned (at TIMESTAMP)",
        "INSERT INTO bronze.zoned SELECT TIMESTAMP WITH TIME ZONE '2024-01-01 12:00:00+00:00'",
        "INSERT INTO bronze.zoned VALUES (now())",
    ] {
        change(client, sql).await.unwrap();
    }
    let at = "SELECT CAST(min(at) AS TEXT) AS utc FROM bronze.zoned";
    let at = rows(client, at).await.unwrap();
    assert_eq!(at, [json!({ "utc": "2024-01-01T12:00:00" })]);

    let (headers, _) = act(client, "CloseSession", Bytes::new()).await.unwrap();
    carry(client, &headers);
    assert_eq!(set(client).await, is("default"));
}

#[tokio::test]
async fn cookie_carries_the_session_as_well() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let (headers, _) = act(
        client,
        "SetSessionOptions",
        options(&[("schema", "silver")]),
    )
    .await
    .unwrap();
    let cookie = headers.get("set-cookie").unwrap().to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("lakegate_session="), "{cookie}");
    let mut request = Request::new(arrow_flight::Action::new("GetSessionOptions", Bytes::new()));
    request
        .metadata_mut()
        .insert("cookie", format!("theirs=1; {cookie}").parse().unwrap());
    let answers = client
        .inner_mut()
        .do_action(request)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<arrow_flight::Result> = answers.try_collect().await.unwrap();
    let options = SessionOptions::decode(&*answers[0].body).unwrap().options;
    assert_eq!(options["schema"].text.as_deref(), Some("silver"));
}

#[tokio::test]
async fn each_action_that_is_listed_is_answered() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let listed = client
        .inner_mut()
        .list_actions(Empty {})
        .await
        .unwrap()
        .into_inner();
    let listed: Vec<arrow_flight::ActionType> = listed.try_collect().await.unwrap();
    assert_eq!(listed.len(), 8, "{listed:?}");
    for action in &listed {
        assert!(!action.description.is_empty());
        for body in [&b""[..], b"\xff", b"\n\x03abc"] {
            let answer = act(client, &action.r#type, Bytes::from_static(body)).await;
            let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
            let is_answer = [Code::Ok, Code::InvalidArgument].contains(&code);
            assert!(is_answer, "{}: {code:?}", action.r#type);
        }
    }
    for unlisted in [
        "BeginTransaction",
        "EndTransaction",
        "BeginSavepoint",
        "EndSavepoint",
        "CreatePreparedSubstraitPlan",
        "Unknown",
        "",
    ] {
        let status = act(client, unlisted, Bytes::new()).await.unwrap_err();
        expect_status(&status, Code::Unimplemented, &[]);
    }
}

/// Starts a query, ends it by this action, and expects that its client is told, and its record says so.
async fn ends_a_query(action: &str, body: impl Fn(&FlightInfo) -> Vec<u8>) -> Bytes {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let client = &mut connect(&server).await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let early = act(client, action, body(&info)).await.unwrap_err();
    expect_status(&early, Code::NotFound, &["does not run"]);
    let (mut fetching, of_fetch) = (client.clone(), info.clone());
    let fetched = tokio::spawn(async move { fetch(&mut fetching, &of_fetch).await });
    until_running(&server, 1).await;
    let (_, bodies) = act(client, action, body(&info)).await.unwrap();
    expect_status(&status(fetched.await.unwrap()), Code::Cancelled, &[]);
    until_running(&server, 0).await;
    // Its place is free.
    assert_eq!(
        rows(client, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
    let late = act(client, action, body(&info)).await.unwrap_err();
    expect_status(&late, Code::NotFound, &["does not run"]);
    stop(server).await.expect_code(0);
    let query_id = String::from_utf8(info.app_metadata.to_vec()).unwrap();
    let sql = format!("SELECT state, rows FROM lakegate.queries WHERE query_id = '{query_id}'");
    assert_eq!(
        project.query(&sql),
        [json!({ "state": "cancelled", "rows": 0 })]
    );
    bodies[0].clone()
}

#[tokio::test]
async fn cancel_flight_info_ends_a_query() {
    let body = |info: &FlightInfo| CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    let answer = ends_a_query("CancelFlightInfo", body).await;
    let answer = CancelFlightInfoResult::decode(answer).unwrap();
    assert_eq!(answer.status(), CancelStatus::Cancelled);
}

#[tokio::test]
async fn cancel_query_ends_a_query() {
    let body = |info: &FlightInfo| {
        let info = info.encode_to_vec().into();
        packed(&ActionCancelQueryRequest { info })
    };
    let answer: ActionCancelQueryResult = unpacked(&ends_a_query("CancelQuery", body).await);
    assert_eq!(answer.result, CancelStatus::Cancelled as i32);
}

#[tokio::test]
async fn query_that_waits_is_cancelled_too() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let client = &mut connect(&server).await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    // One ticket, fetched twice: one runs, the other waits.
    let fetches: Vec<_> = (0..2)
        .map(|_| {
            let (mut client, info) = (client.clone(), info.clone());
            tokio::spawn(async move { fetch(&mut client, &info).await })
        })
        .collect();
    super::client::until_metric(&server, "lakegate_queries_waiting 1\n").await;
    let body = CancelFlightInfoRequest::new(info).encode_to_vec();
    act(client, "CancelFlightInfo", body).await.unwrap();
    for fetched in fetches {
        expect_status(&status(fetched.await.unwrap()), Code::Cancelled, &[]);
    }
    super::client::until_metric(&server, "lakegate_queries_total{state=\"cancelled\"} 2\n").await;
}

#[tokio::test]
async fn renewed_endpoint_gives_the_rows_for_longer() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let info = client
        .execute("SELECT count(*) AS n FROM silver.orders".to_owned(), None)
        .await
        .unwrap();
    let old = info.endpoint[0].clone();
    let until_of = |endpoint: &FlightEndpoint| endpoint.expiration_time.unwrap().seconds;
    let renewing = client.clone();
    let renew = async |endpoint: &FlightEndpoint| {
        let request = RenewFlightEndpointRequest::new(endpoint.clone()).encode_to_vec();
        let (_, bodies) = act(&mut renewing.clone(), "RenewFlightEndpoint", request)
            .await
            .unwrap();
        FlightEndpoint::decode(&*bodies[0]).unwrap()
    };
    // Times are told in seconds.
    until("the renewed endpoint lasts longer", async || {
        until_of(&renew(&old).await) > until_of(&old)
    })
    .await;
    let renewed = renew(&old).await;
    assert_ne!(renewed.ticket, old.ticket);
    let twice = renew(&renewed).await;
    let infos = [old, renewed, twice].map(|endpoint| FlightInfo {
        endpoint: vec![endpoint],
        ..info.clone()
    });
    for info in infos {
        let fetched = objects(&fetch(client, &info).await.unwrap());
        assert_eq!(fetched, [json!({ "n": 100 })]);
    }
    // Metadata does not expire.
    let tables = client.get_table_types().await.unwrap();
    assert_eq!(renew(&tables.endpoint[0]).await, tables.endpoint[0]);
    let forged = FlightEndpoint::new().with_ticket(arrow_flight::Ticket::new("forged"));
    let forged = RenewFlightEndpointRequest::new(forged).encode_to_vec();
    let forged = act(client, "RenewFlightEndpoint", forged)
        .await
        .unwrap_err();
    expect_status(&forged, Code::InvalidArgument, &["ticket"]);
}

#[tokio::test]
async fn polled_query_is_complete_at_once() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let query = CommandStatementQuery {
        query: "SELECT 1 AS x".to_owned(),
        transaction_id: None,
    };
    let polled = client
        .inner_mut()
        .poll_flight_info(descriptor(&query))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(polled.flight_descriptor, None);
    assert_eq!(polled.progress, Some(1.0));
    let info = polled.info.unwrap();
    assert_eq!(
        objects(&fetch(client, &info).await.unwrap()),
        [json!({ "x": 1 })]
    );
    let wrong = CommandStatementQuery {
        query: "SELECT".to_owned(),
        transaction_id: None,
    };
    let wrong = client
        .inner_mut()
        .poll_flight_info(descriptor(&wrong))
        .await
        .unwrap_err();
    expect_status(&wrong, Code::InvalidArgument, &["1:"]);
}

#[tokio::test]
async fn rows_come_as_they_are_computed() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    let info = client.execute(ENDLESS_ROWS.to_owned(), None).await.unwrap();
    let mut batches = client.do_get(ticket(&info)).await.unwrap();
    assert!(batches.next().await.unwrap().unwrap().num_rows() > 0);
}
