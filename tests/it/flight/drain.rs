//! How a server ends: queries that run may finish, for a time.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use tonic::Code;

use super::client::{
    ENDLESS, ENDLESS_ROWS, change, connect, expect_refused, fetch, rows, stop, ticket, until,
    until_running,
};
use crate::support::Project;

#[tokio::test]
async fn running_query_finishes_and_new_ones_are_refused() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let client = &mut connect(&server).await;
    // More than fits between server and client: it runs as long as they are read.
    let sql = "SELECT value FROM generate_series(1, 3000000)";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let mut batches = client.do_get(ticket(&info)).await.unwrap();
    let first = batches.next().await.unwrap().unwrap();
    server.signal("TERM");
    until("the server is stopping", async || {
        server.get("/ready").0 == 503
    })
    .await;
    assert_eq!(server.get("/health").0, 200);
    // New connections are told, and those that are open.
    let other = &mut connect(&server).await;
    for client in [other, client] {
        until("queries are refused", async || {
            rows(client, "SELECT 1").await.is_err()
        })
        .await;
        expect_refused(
            rows(client, "SELECT 1").await,
            Code::Unavailable,
            &["stopping", "hint: try again"],
        );
        let changed = change(client, "CREATE TABLE bronze.late (id BIGINT)").await;
        expect_refused(changed, Code::Unavailable, &["stopping"]);
    }
    let rest: Vec<RecordBatch> = batches.try_collect().await.unwrap();
    let rest = rest.iter().map(RecordBatch::num_rows).sum::<usize>();
    assert_eq!(first.num_rows() + rest, 3_000_000);
    assert_eq!(
        tokio::task::spawn_blocking(|| server.ended())
            .await
            .unwrap()
            .expect_code(0)
            .stderr,
        ""
    );
    let recorded = project.query(&format!(
        "SELECT state, rows FROM lakegate.queries WHERE sql = '{sql}'"
    ));
    assert_eq!(recorded, [json!({ "state": "done", "rows": 3_000_000 })]);
}

#[tokio::test]
async fn query_that_never_ends_is_ended_after_the_time_to_finish() {
    let project = Project::of(&[]);
    let server = project.serve(&["--drain", "1s"]);
    let client = &mut connect(&server).await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut fetching = client.clone();
    let fetched = tokio::spawn(async move { fetch(&mut fetching, &info).await });
    until_running(&server, 1).await;
    let asked = Instant::now();
    let ran = stop(server).await;
    ran.expect_code(0);
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(fetched.await.unwrap().is_err());
    let recorded = project.query(&format!(
        "SELECT state FROM lakegate.queries WHERE sql = '{ENDLESS}'"
    ));
    assert_eq!(recorded, [json!({ "state": "cancelled" })]);
}

#[tokio::test]
async fn client_that_does_not_read_does_not_keep_the_server() {
    let project = Project::of(&[]);
    let server = project.serve(&["--drain", "1s"]);
    let client = &mut connect(&server).await;
    let info = client.execute(ENDLESS_ROWS.to_owned(), None).await.unwrap();
    let mut batches = client.do_get(ticket(&info)).await.unwrap();
    batches.next().await.unwrap().unwrap();
    stop(server).await.expect_code(0);
    drop(batches);
}
