//! The doors, with clients as people have them.

mod actions;
mod client;
mod commands;
mod crowds;
mod departures;
mod documentation;
mod drain;
mod forgeries;
mod rust_example;
mod sizes;
mod statements;
mod strangers;

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::orders::orders;
use crate::support::{Project, Ran, binary, installed, python, python_at};

#[test]
fn python_clients_query_write_and_browse() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let ran = python("flight_sql.py", &[&server.flight]);
    assert!(ran["passed"].as_u64().unwrap() > 20, "{ran}");
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("lakegate_queries_running 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("lakegate_queries_total{state=\"cancelled\"}"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("lakegate_queries_total{state=\"done\"} 0\n"),
        "{metrics}"
    );
    server.stop().expect_code(0);
    let records = project.query(
        "SELECT state, count(*) > 0 AS some, max(rows) AS rows FROM lakegate.queries \
         WHERE door = 'flight' AND elapsed_ms >= 0 GROUP BY state ORDER BY state",
    );
    let states: Vec<_> = records
        .iter()
        .map(|record| record["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["cancelled", "done", "failed"], "{records:?}");
    let refused = project.query(
        "SELECT DISTINCT sql FROM lakegate.queries WHERE error LIKE 'commit refused%' AND sql LIKE 'INSERT OVERWRITE%'",
    );
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[test]
fn sqlalchemy_queries_and_writes() {
    let Some(python) = installed("LAKEGATE_TEST_ALCHEMY", "SQLAlchemy 2") else {
        return;
    };
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let ran = python_at(&python, "alchemy.py", &[&server.flight]);
    assert_eq!(ran, json!({ "passed": 5 }));
    server.stop().expect_code(0);
}

#[test]
fn jdbc_driver_queries_writes_and_browses() {
    let Some(driver) = installed("LAKEGATE_TEST_JDBC", "the JDBC driver") else {
        return;
    };
    let project = orders();
    project.deliver("1").expect_code(0);
    let server = project.serve(&[]);
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/FlightSqlJdbc.java");
    let ran: Ran = Command::new("java")
        .arg("--add-opens=java.base/java.nio=ALL-UNNAMED")
        .arg("-cp")
        .args([
            driver,
            client.into_os_string(),
            server.flight.clone().into(),
        ])
        .output()
        .unwrap()
        .into();
    let ran = ran.expect_code(0);
    assert_eq!(ran.stdout.trim(), "{\"passed\": 11}", "{}", ran.stderr);
    server.stop().expect_code(0);
}

#[test]
fn server_says_how_it_is_and_stops_when_asked() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    assert_eq!(server.get("/health"), (200, "ok\n".to_owned()));
    assert_eq!(server.get("/ready"), (200, "ready\n".to_owned()));
    assert_eq!(server.get("/elsewhere").0, 404);
    server.stop().expect_code(0);
}

#[test]
fn doors_are_not_opened_to_other_machines_by_accident() {
    let project = Project::of(&[]);
    for door in ["--flight", "--http"] {
        let ran = project.run(&["serve", door, "0.0.0.0:0"]).expect_code(2);
        assert!(
            ran.stderr.contains("open to other machines"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    let wrong = project.run(&["serve", "--flight", "127.0.0.1"]);
    let wrong = wrong.expect_code(2).stderr;
    assert!(wrong.contains("a host and a port"), "{wrong}");
    let server = project.serve(&["--insecure"]);
    let taken = project.run(&["serve", "--flight", &server.flight, "--http", "127.0.0.1:0"]);
    let taken = taken.expect_code(3);
    assert!(
        taken.stderr.contains("another process listens there"),
        "{}",
        taken.stderr
    );
    let wrong = project.run(&["serve", "--max-queries", "0"]).expect_code(2);
    assert!(wrong.stderr.contains("from 1 to"), "{}", wrong.stderr);
}

#[test]
fn clients_that_stop_or_ask_for_much_hold_up_nobody() {
    let project = Project::of(&[]);
    let wrong = project.run(&["serve", "--stall-limit", "10ms"]);
    let wrong = wrong.expect_code(2);
    assert!(wrong.stderr.contains("at least `1s`"), "{}", wrong.stderr);
    let server = project.serve(&["--stall-limit", "1s"]);
    let ran = python("flight_limits.py", &[&server.flight, &server.http]);
    assert_eq!(ran["passed"], 3, "{ran}");
    server.stop().expect_code(0);
    let stalled = project.query(
        "SELECT state FROM lakegate.queries WHERE error LIKE '%was ended: its client let 1s pass%'",
    );
    assert_eq!(stalled.len(), 2, "{stalled:?}");
}

#[test]
fn users_come_in_and_do_what_they_may() {
    let project = orders();
    project.deliver("1").expect_code(0);
    let (binary, folder) = (binary(), project.path());
    let arguments = [binary.to_str().unwrap(), folder.to_str().unwrap()];
    let ran = python("flight_access.py", &arguments);
    assert_eq!(ran["passed"], 14, "{ran}");
}

#[test]
fn ready_line_is_all_that_is_printed() {
    let project = Project::of(&[]);
    let server = project.serve(&[]);
    assert_ne!(json!(server.flight), json!(server.http));
    let ran = server.stop().expect_code(0);
    assert_eq!(ran.stderr, "");
}
