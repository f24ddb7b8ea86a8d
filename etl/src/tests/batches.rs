//! Which runs are the same batch: by what they read, and by how they write.

use super::{Project, expect, outcomes};
use crate::{Outcome, RunOptions};

/// A project that fills `s.src` from a file, and a pipeline of stages under `p`.
async fn project(stages: &str) -> Project {
    let project = Project::new().await;
    project.write("a.csv", "id\n1\n1\n");
    project.write("b.csv", "id\n2\n2\n");
    project.write(
        "pipelines/seed.yaml",
        "version: 1
parameters: { input: { type: string } }
stages:
  - name: raw
    extract: { path: \"${input}\", format: csv }
  - name: typed
    sql: { query: \"SELECT CAST(id AS bigint) AS id FROM raw\" }
  - name: out
    publish: { view: typed, table: s.src, mode: append }
",
    );
    project.write("pipelines/p.yaml", &format!("version: 1\n{stages}"));
    project
}

const COUNT: &str = "SELECT id, count(*) FROM s.src GROUP BY id ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn version_that_a_parameter_asks_for_is_part_of_the_batch() {
    for clause in ["VERSION AS OF :v", "FOR VERSION AS OF :v AS x"] {
        let project = project(&format!(
            "parameters: {{ v: {{ type: integer }} }}
stages:
  - name: old
    sql: {{ query: \"SELECT count(*) AS n FROM s.src {clause}\" }}
  - name: out
    publish: {{ view: old, table: s.dst, mode: overwrite }}
"
        ))
        .await;
        project.run_pipeline("seed", "input", "a.csv").await;
        project.run_pipeline("seed", "input", "b.csv").await;
        for (version, rows) in [("0", "2"), ("1", "4"), ("0", "2")] {
            let report = project.run_with("v", version).await;
            expect(&report, "out", Outcome::Done);
            assert_eq!(project.rows("SELECT n FROM s.dst").await, [rows]);
        }
        let report = project.run_with("v", "0").await;
        expect(&report, "out", Outcome::AlreadyDone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_to_come_is_another_batch_when_the_table_has_changed() {
    let project = project(
        "stages:
  - name: old
    sql: { query: \"SELECT count(*) AS n FROM s.src TIMESTAMP AS OF '2999-01-01'\" }
  - name: out
    publish: { view: old, table: s.dst, mode: overwrite }
",
    )
    .await;
    for (input, rows) in [("a.csv", "2"), ("b.csv", "4")] {
        project.run_pipeline("seed", "input", input).await;
        expect(&project.run().await, "out", Outcome::Done);
        assert_eq!(project.rows("SELECT n FROM s.dst").await, [rows]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameter_is_found_behind_as_of_and_in_conditions_before_anything_runs() {
    for (stages, place) in [
        (
            "stages:\n  - name: old\n    sql: { query: \"SELECT * FROM s.src VERSION AS OF :nope\" }\n",
            "pipelines/p.yaml:4:",
        ),
        (
            "stages:\n  - name: old\n    sql: { query: \"SELECT 1 AS id\" }\n  - name: out\n    publish: { view: old, table: s.t, mode: replace_where, replace_where: \"id = :nope\" }\n",
            "pipelines/p.yaml:6:",
        ),
    ] {
        let error = project(stages).await.load().unwrap_err().to_string();
        assert!(error.starts_with(place), "{error}");
        assert!(error.contains("unknown parameter `:nope`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_in_conditions_are_part_of_the_batch() {
    let project = project(
        "parameters: { since: { type: integer } }
stages:
  - name: rows
    sql: { query: \"SELECT CAST(5 AS bigint) AS id\" }
  - name: out
    publish: { view: rows, table: s.src, mode: replace_where, replace_where: \"id >= :since\" }
",
    )
    .await;
    project.run_pipeline("seed", "input", "a.csv").await;
    project.run_pipeline("seed", "input", "b.csv").await;
    for (since, wanted) in [("2", &["1,2", "5,1"][..]), ("1", &["5,1"])] {
        let report = project.run_with("since", since).await;
        expect(&report, "out", Outcome::Done);
        assert_eq!(project.rows(COUNT).await, wanted);
    }
    let report = project.run_with("since", "1").await;
    expect(&report, "out", Outcome::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_of_its_own_table_runs_again_only_when_others_changed_it() {
    for view in [
        "  - name: all_rows\n    sql: { query: \"SELECT DISTINCT id FROM s.src\" }\n",
        "  - name: read\n    extract: { table: s.src }\n  - name: all_rows\n    sql: { query: \"SELECT DISTINCT id FROM read\" }\n",
        "  - name: read\n    extract: { format: delta, path: warehouse/s/src }\n  - name: all_rows\n    sql: { query: \"SELECT DISTINCT id FROM read\" }\n",
    ] {
        let project = project(&format!(
            "stages:\n{view}  - name: out\n    publish: {{ view: all_rows, table: s.src, mode: overwrite }}\n"
        ))
        .await;
        project.run_pipeline("seed", "input", "a.csv").await;
        expect(&project.run().await, "out", Outcome::Done);
        assert_eq!(project.rows(COUNT).await, ["1,1"]);
        for _ in 0..2 {
            let report = project.run().await;
            expect(&report, "out", Outcome::AlreadyDone);
        }
        project.run_pipeline("seed", "input", "b.csv").await;
        assert_eq!(project.rows(COUNT).await, ["1,1", "2,2"]);
        expect(&project.run().await, "out", Outcome::Done);
        assert_eq!(project.rows(COUNT).await, ["1,1", "2,1"]);
        expect(&project.run().await, "out", Outcome::AlreadyDone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reprocessed_append_warns_that_rows_are_there_twice() {
    let project = project(
        "stages:
  - name: rows
    sql: { query: SELECT 1 AS id }
  - name: out
    publish: { view: rows, table: s.t, mode: append }
",
    )
    .await;
    project.run().await;
    let options = RunOptions {
        reprocess: true,
        ..RunOptions::default()
    };
    let (report, warnings) = project.run_and_listen(options).await;
    expect(&report, "out", Outcome::Done);
    assert_eq!(
        warnings,
        [
            "out: `s.t` holds this batch since version 0, and `mode: append` adds its rows a second time"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn view_that_one_query_reads_twice_has_the_same_rows_both_times() {
    for query in [
        "SELECT count(*) AS n FROM numbers a JOIN numbers b ON a.x = b.x",
        "WITH c AS (SELECT x FROM numbers) SELECT count(*) AS n FROM c a JOIN c b ON a.x = b.x",
    ] {
        let project = project(&format!(
            "stages:
  - name: numbers
    sql: {{ query: \"SELECT random() AS x FROM generate_series(1, 100)\" }}
  - name: pairs
    sql: {{ query: \"{query}\" }}
  - name: out
    publish: {{ view: pairs, table: s.t, mode: append }}
"
        ))
        .await;
        expect(&project.run().await, "out", Outcome::Done);
        assert_eq!(project.rows("SELECT n FROM s.t").await, ["100"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_that_sql_cannot_compute_is_invalid_and_names_the_file() {
    let project = project(
        "stages:
  - name: raw
    extract: { path: a.csv, format: csv }
  - name: typed
    sql: { file: sql/t.sql }
  - name: out
    publish: { view: typed, table: s.t, mode: append }
",
    )
    .await;
    project.write("a.csv", "id\n1\nx\n");
    project.write("sql/t.sql", "SELECT CAST(id AS bigint) AS id FROM raw");
    let report = project.run().await;
    assert_eq!(report.exit_code(), 2, "{:?}", outcomes(&report));
    let error = report.stage("out").unwrap().error.clone().unwrap();
    assert!(
        error.starts_with("sql/t.sql: a value cannot be computed: ") && error.contains("'x'"),
        "{error}"
    );
}
