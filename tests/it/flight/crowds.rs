//! Many clients at once.

use futures::future::join_all;
use serde_json::json;
use tonic::Code;

use super::client::{change, connect, rows, status, stop, until_running};
use crate::support::{Project, Server, python};

/// Connections that are open at once.
const CROWD: usize = 500;

/// The answers to a query of each of many clients, all of which are connected before the first one asks.
async fn asked_by_all(server: &Server) -> Vec<Result<Vec<serde_json::Value>, tonic::Status>> {
    let clients = join_all((0..CROWD).map(|_| connect(server))).await;
    let asked = clients.into_iter().enumerate().map(|(number, mut client)| {
        tokio::spawn(async move {
            let answer = rows(&mut client, &format!("SELECT {number} AS number")).await;
            (number, answer)
        })
    });
    let mut answers = Vec::new();
    for answer in join_all(asked).await {
        let (number, answer) = answer.unwrap();
        if let Ok(rows) = &answer {
            assert_eq!(rows, &[json!({ "number": number })]);
        }
        answers.push(answer.map_err(|error| status(Err::<(), _>(error))));
    }
    answers
}

/// A query that computes for very long without a pause.
const WITHOUT_PAUSE: &str = "SELECT count(*) AS n FROM generate_series(1, 10000000) AS a JOIN generate_series(1, 10000000) AS b \
     ON a.value < b.value AND a.value + b.value < 7";

#[tokio::test]
async fn others_are_answered_while_queries_compute_without_a_pause() {
    let project = Project::of(&[]);
    let server = project.serve(&[
        "--drain",
        "100ms",
        "--max-queries",
        "100",
        "--max-queries-of-user",
        "100",
    ]);
    let processors = std::thread::available_parallelism().unwrap().get();
    let mut computing = Vec::new();
    for _ in 0..processors + 1 {
        let mut client = connect(&server).await;
        computing.push(tokio::spawn(async move {
            rows(&mut client, WITHOUT_PAUSE).await
        }));
    }
    until_running(&server, processors + 1).await;
    for number in 0..5 {
        let mut client = connect(&server).await;
        let answer = rows(&mut client, &format!("SELECT {number} AS n")).await;
        assert_eq!(answer.unwrap(), [json!({ "n": number })]);
    }
    assert!(computing.iter().all(|query| !query.is_finished()));
    stop(server).await;
}

/// What a third of a minute under mixed load came to: `tests/clients/load.py` does the same for longer.
#[test]
fn mixed_load_gets_right_answers() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    let arguments = ["0.3", &server.flight, &server.http, &server.process_id()];
    let ran = python("load.py", &arguments);
    assert_eq!(ran["wrong"], json!([]));
    for (kind, figures) in ran["kinds"].as_object().unwrap() {
        assert!(figures["count"].as_u64() > Some(0), "{kind}: {ran}");
    }
    assert_eq!(server.stop().expect_code(0).stderr, "");
}

#[tokio::test]
async fn hundreds_of_connections_are_answered_at_once() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "64"]);
    let answers = asked_by_all(&server).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    stop(server).await.expect_code(0);
    let recorded = project.query("SELECT count(*) AS n FROM lakegate.queries WHERE state = 'done'");
    assert_eq!(recorded, [json!({ "n": CROWD })]);
}

#[tokio::test]
async fn who_finds_the_line_full_is_told_to_try_again() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "1"]);
    let answers = asked_by_all(&server).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    for status in &refused {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("hint: try again"), "{status:?}");
    }
    assert!(refused.len() < CROWD);
    // Those that were told so are served later.
    let client = &mut connect(&server).await;
    assert_eq!(
        rows(client, "SELECT 1 AS x").await.unwrap(),
        [json!({ "x": 1 })]
    );
}

#[tokio::test]
async fn one_of_many_makes_the_table_that_all_want() {
    let project = Project::of(&[]);
    let server = project.serve(&["--max-queries", "8"]);
    for round in 0..3 {
        let made = join_all((0..8).map(|number| {
            let server = &server;
            async move {
                let client = &mut connect(server).await;
                let sql = format!(
                    "CREATE TABLE IF NOT EXISTS bronze.raced{round} AS SELECT {number} AS number"
                );
                change(client, &sql).await
            }
        }))
        .await;
        assert_eq!(
            made.iter().filter(|rows| matches!(rows, Ok(1))).count(),
            1,
            "{made:?}"
        );
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }
    stop(server).await.expect_code(0);
    for round in 0..3 {
        let seen = project.independent(&format!("bronze.raced{round}"));
        assert_eq!((&seen["version"], &seen["rows"]), (&json!(0), &json!(1)));
    }
}
