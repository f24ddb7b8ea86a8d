//! What waits for what.

use super::{Project, expect, outcomes};
use crate::{Outcome, Reason, RunOptions};

fn waits(pipeline: &crate::Pipeline, stage: &str) -> Vec<(String, Reason)> {
    let index = pipeline
        .stages
        .iter()
        .position(|s| s.name == stage)
        .unwrap();
    let dependencies = pipeline.graph.dependencies(index);
    dependencies
        .map(|(s, why)| (pipeline.stages[s].name.clone(), why))
        .collect()
}

const DAILY: &str = "version: 1
stages:
  - name: report
    sql: { query: SELECT count(*) AS n FROM silver.a }
  - name: a
    sql: { query: WITH report AS (SELECT 1 AS x) SELECT x FROM report }
  - name: publish_a
    publish: { view: a, table: silver.a, mode: overwrite, rules: checks/a.yaml }
  - name: b
    sql: { query: SELECT 1 AS x }
  - name: publish_b
    publish: { view: b, table: silver.b, mode: overwrite }
  - name: judged
    check: { view: a, rules: checks/v.yaml }
  - name: publish_report
    publish: { view: report, table: gold.report, mode: overwrite }
";

async fn daily() -> Project {
    let project = Project::new().await;
    project.write("pipelines/p.yaml", DAILY);
    project.write(
        "checks/a.yaml",
        "version: 1\ntable: silver.a\ncolumns:\n  x: [{ exists_in: { table: silver.b, column: x } }]\n",
    );
    project.write(
        "checks/v.yaml",
        "version: 1\ntable_checks: [{ row_count: { at_least: 1 } }]\n",
    );
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_come_from_sql_views_and_rules() {
    let project = daily().await;
    let pipeline = project.load().unwrap();
    let named = |name: &str, why| (name.to_owned(), why);
    assert_eq!(waits(&pipeline, "a"), []);
    assert_eq!(
        waits(&pipeline, "report"),
        [named("publish_a", Reason::Table)]
    );
    assert_eq!(
        waits(&pipeline, "publish_a"),
        [
            named("a", Reason::View),
            named("judged", Reason::Check),
            named("publish_b", Reason::Table)
        ]
    );
    let report = project.run().await;
    assert!(
        outcomes(&report).iter().all(|(_, o)| *o == Outcome::Done),
        "{report:#?}"
    );
    assert_eq!(project.rows("SELECT n FROM gold.report").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn selection_takes_what_is_needed_and_with_plus_what_comes_before() {
    let project = daily().await;
    let select = |name: &str| {
        let options = RunOptions {
            select: vec![name.to_owned()],
            ..RunOptions::default()
        };
        project.try_run(options)
    };
    let names = |report: &crate::RunReport| -> Vec<String> {
        report.stages.iter().map(|s| s.name.clone()).collect()
    };
    let report = select("publish_b").await.unwrap();
    assert_eq!(names(&report), ["b", "publish_b"]);
    let report = select("publish_a").await.unwrap();
    assert_eq!(names(&report), ["a", "publish_a", "judged"]);
    let report = select("+publish_report").await.unwrap();
    assert_eq!(report.stages.len(), 7);
    let error = select("publish_c").await.unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `publish_a`?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn table_that_is_read_to_write_it_is_no_cycle() {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: start
    sql: { query: SELECT 1 AS x }
  - name: publish_start
    publish: { view: start, table: silver.t, mode: append }
",
    );
    project.run().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: more
    sql: { query: SELECT max(x) + 1 AS x FROM silver.t }
  - name: publish_more
    publish: { view: more, table: silver.t, mode: append }
",
    );
    expect(&project.run().await, "publish_more", Outcome::Done);
    expect(&project.run().await, "publish_more", Outcome::AlreadyDone);
    assert_eq!(
        project.rows("SELECT x FROM silver.t ORDER BY x").await,
        ["1", "2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cycle_names_its_stages_with_their_lines() {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: a
    sql: { query: SELECT * FROM c }
  - name: b
    sql: { query: SELECT * FROM a }
  - name: c
    sql: { query: SELECT * FROM b }
  - name: d
    sql: { query: SELECT * FROM d }
",
    );
    let problems = project.load().unwrap_err().to_string();
    assert!(
        problems.contains("p.yaml:3:11: stages wait for each other: `a` (pipelines/p.yaml:3) -> `c` (pipelines/p.yaml:7) -> `b` (pipelines/p.yaml:5) -> `a` (pipelines/p.yaml:3)"),
        "{problems}"
    );
    assert!(
        problems.contains("a stage waits for itself: `d`"),
        "{problems}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_stops_only_what_depends_on_it() {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: bad
    sql: { query: \"SELECT CAST(y AS INT) AS x FROM (VALUES ('x')) AS t (y)\" }
  - name: publish_bad
    publish: { view: bad, table: silver.bad, mode: append }
  - name: after
    sql: { query: SELECT * FROM silver.bad }
  - name: publish_after
    publish: { view: after, table: silver.after, mode: append }
  - name: good
    sql: { query: SELECT 1 AS x }
  - name: publish_good
    publish: { view: good, table: silver.good, mode: append }
",
    );
    let report = project.run().await;
    expect(&report, "publish_bad", Outcome::Failed);
    expect(&report, "publish_after", Outcome::Skipped);
    expect(&report, "publish_good", Outcome::Done);
    assert_eq!(report.exit_code(), 2);
}
