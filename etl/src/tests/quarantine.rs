//! Rows that are kept out of a table.

use lakegate_rules::Verdict;

use super::publish::{ALL, project};
use super::{Project, expect};
use crate::{Outcome, RunOptions};

const KEPT: &str = "SELECT id, city, n FROM silver.cities__quarantine ORDER BY id";

/// Rules that send rows with a greater `n` to quarantine, and refuse a greater sum.
fn rules(max: i64, sum: i64) -> String {
    format!(
        "version: 1\ntable: silver.cities\ncolumns:\n  n:\n    - between: {{ min: 0, max: {max}, at_least: 20%, bad_rows: quarantine }}\n    - sum: {{ at_most: {sum} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_go_to_quarantine_once() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  n: [{ between: { min: 0, max: 15, at_least: 50%, bad_rows: quarantine } }]\n",
    );
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    assert_eq!(report.stage("publish_cities").unwrap().quarantined, Some(1));
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10"]);
    let kept = "SELECT id, city, n, _failed_checks, _target_version FROM silver.cities__quarantine";
    assert_eq!(project.rows(kept).await, ["2,Bern,20,[n/between],0"]);
    project.run().await;
    assert_eq!(project.rows(kept).await.len(), 1);
    // Below the threshold nothing is diverted and nothing is published.
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert_eq!(project.rows(kept).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_type_are_kept_as_text() {
    let project = project("mode: append").await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    project.write(
        "pipelines/p.yaml",
        &text.replace("schemas/s.yaml }", "schemas/s.yaml, on_error: quarantine }"),
    );
    project.write("data/a.csv", "id,city,n\n1,Ulm,ten\n2,Bern,20\n");
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    assert_eq!(project.rows(ALL).await, ["2,Bern,20"]);
    let kept = "SELECT id, city, n FROM silver.cities__quarantine_untyped";
    assert_eq!(project.rows(kept).await, ["1,Ulm,ten"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_batch_that_runs_again_is_in_quarantine_once_by_the_rules_of_its_last_run() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n3,Rom,30\n");
    project.write("checks/c.yaml", &rules(25, 5));
    for _ in 0..2 {
        expect(&project.run().await, "publish_cities", Outcome::Refused);
        assert_eq!(project.rows(KEPT).await, ["3,Rom,30"]);
    }
    // By other rules other rows of the same batch are kept out: none may be in neither table, or twice.
    project.write("checks/c.yaml", &rules(15, 100));
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!(stage.quarantined, Some(2));
    assert_eq!(stage.quarantine_tables, ["silver.cities__quarantine"]);
    assert_eq!((stage.rows, stage.table_rows), (Some(3), Some(1)));
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10"]);
    assert_eq!(project.rows(KEPT).await, ["2,Bern,20", "3,Rom,30"]);

    project.write("checks/c.yaml", &rules(25, 100));
    let reprocess = RunOptions {
        reprocess: true,
        ..RunOptions::default()
    };
    project.try_run(reprocess).await.unwrap();
    assert_eq!(project.rows(KEPT).await, ["3,Rom,30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_rows_are_counted_and_kept_nowhere() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n3,Rom,30\n");
    let rules = |at_least: &str| {
        format!(
            "version: 1\ntable: silver.cities\ncolumns:\n  n: [{{ between: {{ max: 15, at_least: {at_least}, bad_rows: drop }} }}]\n"
        )
    };
    project.write("checks/c.yaml", &rules("50%"));
    expect(&project.run().await, "publish_cities", Outcome::Refused);
    project.write("checks/c.yaml", &rules("30%"));
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!((stage.dropped, stage.quarantined), (Some(2), None));
    assert_eq!((stage.rows, stage.table_rows), (Some(3), Some(1)));
    assert!(stage.quarantine_tables.is_empty());
    let check = &stage.report.as_ref().unwrap().checks[0];
    assert_eq!((check.rows, check.bad_rows), (Some(3), Some(2)));
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10"]);
    let recorded = "SELECT stage, quarantined, dropped FROM lakegate.stages WHERE dropped > 0";
    assert_eq!(project.rows(recorded).await, ["publish_cities,,2"]);
    let quarantine = "silver.cities__quarantine".parse().unwrap();
    assert!(
        project
            .lakegate
            .catalog
            .history(&quarantine, None)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn row_that_a_quarantine_wants_is_kept_though_another_check_drops_it() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n3,Rom,30\n");
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  n:\n    - between: { max: 15, at_least: 30%, bad_rows: drop }\n    - between: { name: far, max: 25, at_least: 30%, bad_rows: quarantine }\n",
    );
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!((stage.dropped, stage.quarantined), (Some(1), Some(1)));
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10"]);
    let kept = "SELECT id, _failed_checks FROM silver.cities__quarantine";
    assert_eq!(project.rows(kept).await, ["3,[n/between, n/between/far]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_takes_columns_that_it_lacks_and_keeps_its_rows() {
    let project =
        project("mode: append, schema_evolution: add_columns, rules: checks/c.yaml").await;
    project.write("checks/c.yaml", &rules(15, 1000));
    project.run().await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    let wider = text.replace("SELECT id, city, n", "SELECT id, city, n, true AS is_new");
    project.write("pipelines/p.yaml", &wider);
    project.write("data/b.csv", "id,city,n\n3,Graz,30\n4,Linz,1\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Done);
    let kept = "SELECT id, is_new FROM silver.cities__quarantine ORDER BY id";
    assert_eq!(project.rows(kept).await, ["2,", "3,true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_without_room_for_bad_rows_says_which_threshold_to_lower() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  n: [{ between: { min: 0, max: 15, bad_rows: quarantine } }]\n",
    );
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert_eq!(
        report.stage("publish_cities").unwrap().hint.as_deref(),
        Some("`at_least` of `n/between` is 100%: lower it to let bad rows be taken out")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn untyped_rows_of_several_views_are_all_kept_and_their_table_is_named() {
    let project = Project::new().await;
    project.write(
        "schemas/s.yaml",
        "version: 1\ncolumns:\n  - { name: id, type: bigint }\n",
    );
    project.write("data/a.csv", "id\n1\none\n");
    project.write("data/b.csv", "id\n2\ntwo\n");
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: raw_a
    extract: { path: data/a.csv, format: csv }
  - name: raw_b
    extract: { path: data/b.csv, format: csv }
  - name: a
    type: { view: raw_a, schema: schemas/s.yaml, on_error: quarantine }
  - name: b
    type: { view: raw_b, schema: schemas/s.yaml, on_error: quarantine }
  - name: both
    sql: { query: SELECT id FROM a UNION ALL SELECT id FROM b }
  - name: publish_both
    publish: { view: both, table: silver.ids, mode: append }
",
    );
    let report = project.run().await;
    expect(&report, "publish_both", Outcome::Done);
    let stage = report.stage("publish_both").unwrap();
    assert_eq!(stage.quarantine_tables, ["silver.ids__quarantine_untyped"]);
    let kept = "SELECT id FROM silver.ids__quarantine_untyped ORDER BY id";
    assert_eq!(project.rows(kept).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_into_a_quarantine_is_refused_by_name() {
    for name in ["silver.x__quarantine", "silver.x__quarantine_untyped"] {
        let project = Project::new().await;
        project.write("data/a.csv", "id\n1\n");
        project.write(
            "pipelines/p.yaml",
            &format!(
                "version: 1\nstages:\n  - name: raw\n    extract: {{ path: data/a.csv, format: csv }}\n  - name: out\n    publish: {{ view: raw, table: {name}, mode: append }}\n"
            ),
        );
        let error = project.load().unwrap_err().to_string();
        let expected = format!("`{name}` is the name of a quarantine: it takes rows of `silver.x`");
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_in_place_of_bad_values_need_nullable_columns() {
    let project = project("mode: append").await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    let nulls = text.replace("schemas/s.yaml }", "schemas/s.yaml, on_error: \"null\" }");
    project.write("pipelines/p.yaml", &nulls);
    let error = project.load().unwrap_err().to_string();
    assert!(
        error.contains("pipelines/p.yaml:8:") && error.contains("puts nulls into column `id`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn warning_over_the_source_is_in_report_commit_and_records() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  n: [{ between: { min: 0, max: 15, at_least: { warn: 99%, error: 10% }, bad_rows: quarantine } }]\n",
    );
    let report = project.run().await;
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!(stage.verdict.as_deref(), Some("warn"));
    let check = &stage.report.as_ref().unwrap().checks[0];
    assert_eq!((check.verdict, check.bad_rows), (Verdict::Warn, Some(1)));
    let kept = "SELECT verdict, bad_rows FROM lakegate.check_results";
    assert_eq!(project.rows(kept).await, ["warn,1"]);
    let table = "silver.cities".parse().unwrap();
    let commits = project
        .lakegate
        .catalog
        .history(&table, None)
        .await
        .unwrap();
    let said = commits[0].lakegate.as_ref().unwrap();
    assert_eq!(said["verdict"], "warn");
    assert_eq!(said["warned"], serde_json::json!(["n/between"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_without_bad_rows_makes_no_version_of_the_quarantine() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    project.write("checks/c.yaml", &rules(15, 1000));
    project.run().await;
    project.write("data/b.csv", "id,city,n\n4,Linz,4\n");
    project.run_with("input", "data/b.csv").await;
    let table = "silver.cities__quarantine".parse().unwrap();
    let commits = project
        .lakegate
        .catalog
        .history(&table, None)
        .await
        .unwrap();
    assert_eq!(commits.len(), 1);
}
