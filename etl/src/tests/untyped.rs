//! Values that do not type, from the file to the report.

use super::{Project, expect};
use crate::{Outcome, RunOptions};

const SCHEMA: &str = "version: 1\ncolumns:\n  - { name: id, type: int }\n";

async fn project(stages: &str) -> Project {
    let project = Project::new().await;
    project.write("schemas/s.yaml", SCHEMA);
    project.write(
        "checks/rows.yaml",
        "version: 1\ntable_checks:\n  - row_count: { at_least: 1 }\n",
    );
    project.write(
        "checks/many.yaml",
        "version: 1\ntable_checks:\n  - row_count: { at_least: 100 }\n",
    );
    project.write("a.csv", "id\n1\n2\n3\n");
    project.write("b.csv", "id\n1\nx\n");
    project.write(
        "pipelines/p.yaml",
        &format!(
            "version: 1\nstages:\n  - name: raw\n    extract: {{ path: [a.csv, b.csv], format: csv }}\n{stages}"
        ),
    );
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn place_is_named_also_when_several_stages_read_the_file() {
    let project = project(
        "  - name: check_raw
    check: { view: raw, rules: checks/rows.yaml }
  - name: t
    type: { view: raw, schema: schemas/s.yaml }
  - name: out
    publish: { view: t, table: s.t, mode: append }
",
    )
    .await;
    let report = project.run().await;
    let error = report.stage("out").unwrap().error.clone().unwrap();
    assert!(error.starts_with("b.csv:3: column `id`: `x`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_type_are_kept_by_the_first_publish_that_gets_that_far_with_their_place() {
    let project = project(
        "  - name: t
    type: { view: raw, schema: schemas/s.yaml, on_error: quarantine }
  - name: one
    sql: { query: SELECT id FROM t }
  - name: guard
    check: { view: one, rules: checks/many.yaml }
  - name: out_one
    publish: { view: one, table: s.one, mode: append }
  - name: out_two
    publish: { view: t, table: s.two, mode: append }
",
    )
    .await;
    let report = project.run().await;
    expect(&report, "out_one", Outcome::Skipped);
    expect(&report, "out_two", Outcome::Done);
    let kept = "SELECT id, _file, _line FROM s.two__quarantine_untyped";
    assert_eq!(project.rows(kept).await, ["x,b.csv,3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_type_are_kept_when_the_good_ones_are_refused() {
    let project = project(
        "  - name: t
    type: { view: raw, schema: schemas/s.yaml, on_error: quarantine }
  - name: out
    publish: { view: t, table: s.t, mode: append, rules: checks/t.yaml }
",
    )
    .await;
    project.write(
        "checks/t.yaml",
        "version: 1\ntable: s.t\ncolumns:\n  id: [{ between: { min: 5, max: 9, at_least: 99%, bad_rows: quarantine } }]\n",
    );
    let report = project.run().await;
    expect(&report, "out", Outcome::Refused);
    let kept = "SELECT id FROM s.t__quarantine_untyped";
    assert_eq!(project.rows(kept).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_became_null_are_counted_reported_and_warned_of() {
    let project = project(
        "  - name: t
    type: { view: raw, schema: schemas/s.yaml, on_error: \"null\" }
  - name: out
    publish: { view: t, table: s.t, mode: append }
",
    )
    .await;
    let (report, warnings) = project.run_and_listen(RunOptions::default()).await;
    expect(&report, "out", Outcome::Done);
    let counts = report.stage("t").unwrap().typing.clone().unwrap();
    assert_eq!((counts.rows, counts.bad_rows), (5, 1));
    assert_eq!(
        warnings,
        [
            "t: 1 of 5 rows have values that do not type: 1 in `id` (b.csv:3: `x` in `id`: is not a whole number)"
        ]
    );
    let kept = "SELECT stage, bad_rows FROM lakegate.stages WHERE bad_rows > 0";
    assert_eq!(project.rows(kept).await, ["t,1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_a_quarantine_adds_are_refused_before_it_is_written() {
    let project = project(
        "  - name: batched
    sql: { query: \"SELECT id, 'mine' AS _batch FROM raw\" }
  - name: out
    publish: { view: batched, table: s.t, mode: append, rules: checks/t.yaml }
",
    )
    .await;
    project.write(
        "checks/t.yaml",
        "version: 1\ntable: s.t\ncolumns:\n  id: [{ one_of: { values: [\"1\"], at_least: 10%, bad_rows: quarantine } }]\n",
    );
    let problems = project.validate().await;
    let expected = "view `batched` has a column `_batch`, which its quarantine adds";
    assert!(problems.contains(expected), "{problems}");
    let report = project.run().await;
    let stage = report.stage("out").unwrap();
    assert_eq!(stage.error.as_deref(), Some(expected));
}
