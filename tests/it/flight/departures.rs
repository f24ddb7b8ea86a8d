//! Clients that go away in the middle of something.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandPreparedStatementUpdate, CommandStatementIngest, TableDefinitionOptions,
    TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;

use super::client::{
    ENDLESS_ROWS, Line, act, change, connect, descriptor, fetch, packed, put, rows, stop, ticket,
    unpacked, until, until_metric, until_running,
};
use crate::support::Project;

/// Rows as messages: their columns, and a batch.
async fn messages(of: FlightDescriptor) -> Vec<FlightData> {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let batch = RecordBatch::try_from_iter([("id", values)]).unwrap();
    let encoded = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(of));
    let encoded = encoded.build(stream::iter([Ok(batch)]));
    encoded.try_collect().await.unwrap()
}

fn ingest(exists: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: exists.into(),
        }),
        table: "kept".to_owned(),
        schema: Some("bronze".to_owned()),
        ..CommandStatementIngest::default()
    }
}

#[tokio::test]
async fn ingestion_that_breaks_off_leaves_the_table_as_it_was() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let client = &mut connect(&server).await;
    change(client, "CREATE TABLE bronze.kept AS SELECT 0 AS id")
        .await
        .unwrap();
    for (cancelled, exists) in [
        (1, TableExistsOption::Append),
        (2, TableExistsOption::Replace),
    ] {
        let line = Line::to(&server).await;
        let mut leaving = line.client().await;
        let (sender, receiver) = mpsc::unbounded_channel();
        for message in messages(descriptor(&ingest(exists))).await {
            sender.send(message).unwrap();
        }
        let sent = stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let putting = tokio::spawn(async move { put(&mut leaving, sent).await });
        until_running(&server, 1).await;
        line.cut().await;
        putting.await.unwrap().unwrap_err();
        let counted = format!("lakegate_queries_total{{state=\"cancelled\"}} {cancelled}\n");
        until_metric(&server, &counted).await;
        until_running(&server, 0).await;
        drop(sender);
    }
    assert_eq!(
        rows(client, "SELECT id FROM bronze.kept").await.unwrap(),
        [json!({ "id": 0 })]
    );
    stop(server).await.expect_code(0);
    let seen = project.independent("bronze.kept");
    assert_eq!((&seen["version"], &seen["rows"]), (&json!(0), &json!(1)));
    let recorded = project.query("SELECT count(*) AS n FROM lakegate.queries WHERE state = 'cancelled' AND sql = 'INGEST INTO bronze.kept'");
    assert_eq!(recorded, [json!({ "n": 2 })]);
}

#[tokio::test]
async fn values_that_stop_coming_change_nothing() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    change(client, "CREATE TABLE bronze.kept (id BIGINT)")
        .await
        .unwrap();
    let request = ActionCreatePreparedStatementRequest {
        query: "INSERT INTO bronze.kept VALUES ($1)".to_owned(),
        transaction_id: None,
    };
    let (_, bodies) = act(client, "CreatePreparedStatement", packed(&request))
        .await
        .unwrap();
    let prepared: ActionCreatePreparedStatementResult = unpacked(&bodies[0]);
    let update = CommandPreparedStatementUpdate {
        prepared_statement_handle: prepared.prepared_statement_handle,
    };
    let line = Line::to(&server).await;
    let mut leaving = line.client().await;
    let (sender, receiver) = mpsc::channel(1);
    let sent = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let putting = tokio::spawn(async move { put(&mut leaving, sent).await });
    for message in messages(descriptor(&update)).await {
        sender.send(message).await.unwrap();
    }
    // All that was sent so far is taken: there is room for another message.
    drop(sender.reserve().await.unwrap());
    line.cut().await;
    putting.await.unwrap().unwrap_err();
    drop(sender);
    assert_eq!(
        rows(client, "SELECT count(*) AS n FROM bronze.kept")
            .await
            .unwrap(),
        [json!({ "n": 0 })]
    );
    stop(server).await.expect_code(0);
    assert_eq!(project.independent("bronze.kept")["version"], 0);
}

#[tokio::test]
async fn place_of_a_client_that_stops_reading_and_goes_is_free() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let mut leaving = connect(&server).await;
    let info = leaving
        .execute(ENDLESS_ROWS.to_owned(), None)
        .await
        .unwrap();
    let mut batches = leaving.do_get(ticket(&info)).await.unwrap();
    batches.next().await.unwrap().unwrap();
    until_running(&server, 1).await;
    let mut other = connect(&server).await;
    let waiting = tokio::spawn(async move { rows(&mut other, "SELECT 1 AS x").await });
    until_metric(&server, "lakegate_queries_waiting 1\n").await;
    // It does not read on, and the other waits.
    until_running(&server, 1).await;
    drop((batches, leaving));
    assert_eq!(waiting.await.unwrap().unwrap(), [json!({ "x": 1 })]);
    until_running(&server, 0).await;
    stop(server).await.expect_code(0);
    let states = project
        .query("SELECT state, count(*) AS n FROM lakegate.queries GROUP BY state ORDER BY state");
    assert_eq!(
        states,
        [
            json!({ "state": "cancelled", "n": 1 }),
            json!({ "state": "done", "n": 1 })
        ]
    );
}

#[tokio::test]
async fn change_whose_client_goes_away_is_made_to_its_end() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let mut leaving = connect(&server).await;
    let sql = "CREATE TABLE bronze.left_behind AS SELECT value FROM generate_series(1, 1000000)";
    let making = tokio::spawn(async move { change(&mut leaving, sql).await });
    until_running(&server, 1).await;
    making.abort();
    assert!(making.await.unwrap_err().is_cancelled());
    until_running(&server, 0).await;
    let client = &mut connect(&server).await;
    let counted = rows(client, "SELECT count(*) AS n FROM bronze.left_behind")
        .await
        .unwrap();
    assert_eq!(counted, [json!({ "n": 1_000_000 })]);
    stop(server).await.expect_code(0);
    let recorded =
        project.query("SELECT state, rows FROM lakegate.queries WHERE sql LIKE 'CREATE TABLE%'");
    assert_eq!(recorded, [json!({ "state": "done", "rows": 1_000_000 })]);
}

#[tokio::test]
async fn who_goes_away_from_the_line_is_not_run() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let mut running = connect(&server).await;
    let info = running.execute(ENDLESS_ROWS.to_owned(), None);
    let info = info.await.unwrap();
    let mut batches = running.do_get(ticket(&info)).await.unwrap();
    batches.next().await.unwrap().unwrap();
    let mut leaving = connect(&server).await;
    let making =
        tokio::spawn(
            async move { change(&mut leaving, "CREATE TABLE bronze.never (id BIGINT)").await },
        );
    until_metric(&server, "lakegate_queries_waiting 1\n").await;
    making.abort();
    assert!(making.await.unwrap_err().is_cancelled());
    until_metric(&server, "lakegate_queries_waiting 0\n").await;
    drop((batches, running));
    until_running(&server, 0).await;
    let client = &mut connect(&server).await;
    let seen = rows(
        client,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'bronze'",
    )
    .await;
    assert_eq!(seen.unwrap(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn ticket_can_be_fetched_again_after_a_connection_is_lost() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let mut leaving = connect(&server).await;
    let info = leaving
        .execute(
            "SELECT value FROM generate_series(1, 300000)".to_owned(),
            None,
        )
        .await
        .unwrap();
    let mut batches = leaving.do_get(ticket(&info)).await.unwrap();
    batches.next().await.unwrap().unwrap();
    drop((batches, leaving));
    until("nothing runs", async || {
        server
            .get("/metrics")
            .1
            .contains("lakegate_queries_running 0\n")
    })
    .await;
    let client = &mut connect(&server).await;
    let batches = fetch(client, &info).map(Result::unwrap).await;
    assert_eq!(
        batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
        300_000
    );
}
