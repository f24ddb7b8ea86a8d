//! Keys and times of the modes that find rows again.

use super::publish::{ALL, project};
use super::{Project, expect};
use crate::Outcome;

/// A publish is a request that cannot be carried out, and says why.
async fn refuses(project: &Project, error: &str, hint: &str) {
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Failed);
    let stage = report.stage("publish_cities").unwrap();
    assert_eq!(stage.error.as_deref(), Some(error));
    assert_eq!(stage.hint.as_deref(), Some(hint));
    assert_eq!(report.exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_sees_changes_of_each_of_several_tracked_columns() {
    for tracked in ["track: [city, n]", "track: [n, city]", "track: []"] {
        let project = project(&format!("mode: scd2, key: [id], {tracked}")).await;
        project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n3,,30\n");
        project.run().await;
        project.write("data/b.csv", "id,city,n\n1,Ulm,11\n2,Basel,20\n3,,30\n");
        let report = project.run_with("input", "data/b.csv").await;
        expect(&report, "publish_cities", Outcome::Done);
        let current = "SELECT id, city, n FROM silver.cities WHERE is_current ORDER BY id";
        assert_eq!(
            project.rows(current).await,
            ["1,Ulm,11", "2,Basel,20", "3,,30"]
        );
        let ended = "SELECT id, city, n FROM silver.cities WHERE NOT is_current ORDER BY id";
        assert_eq!(project.rows(ended).await, ["1,Ulm,10", "2,Bern,20"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_refuses_rows_that_become_valid_at_no_time() {
    let project = project("mode: scd2, key: [id], track: [city], effective_at: at").await;
    let file = project.root().join("pipelines/p.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let timed = "SELECT id, city, n, CASE WHEN n > 0 THEN to_timestamp(n) END AS at";
    project.write(
        "pipelines/p.yaml",
        &text.replace("SELECT id, city, n", timed),
    );
    expect(&project.run().await, "publish_cities", Outcome::Done);
    project.write("data/b.csv", "id,city,n\n1,Wien,\n2,Basel,21\n");
    refuses(
        &project,
        "view `cities` has rows that become valid at no time: `at` in 1 row",
        "`effective_at` needs a time in every row: filter them in the SQL, `WHERE \"at\" IS NOT NULL`",
    )
    .await;
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_key_is_refused_with_its_column_and_the_number_of_rows() {
    for mode in ["merge", "scd2"] {
        let project = project(&format!("mode: {mode}, key: [id, city]")).await;
        project.run().await;
        project.write("data/b.csv", "id,city,n\n2,,21\n3,,30\n4,Rom,40\n");
        refuses(
            &project,
            "view `cities` has rows with a null in their key: `city` in 2 rows",
            "filter them in the SQL: `WHERE ((\"id\" IS NOT NULL) AND (\"city\" IS NOT NULL))`",
        )
        .await;
        assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_key_that_the_rules_refuse_is_left_to_their_report() {
    let project = project("mode: merge, key: [city], rules: checks/c.yaml").await;
    let rules =
        |check: &str| format!("version: 1\ntable: silver.cities\ncolumns:\n  city: [{check}]\n");
    project.write("checks/c.yaml", &rules("not_null"));
    project.run().await;
    project.write("data/b.csv", "id,city,n\n2,,21\n3,Rom,30\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert!(report.stage("publish_cities").unwrap().report.is_some());
    // Rules that let some nulls pass do not let one into a key.
    for check in [
        "not_null: { at_least: 10% }",
        "not_null: { severity: warn }",
    ] {
        project.write("checks/c.yaml", &rules(check));
        let report = project.run_with("input", "data/b.csv").await;
        expect(&report, "publish_cities", Outcome::Failed);
    }
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
}

/// A table from `data/a.csv`, and then a view that lacks the column `city`.
async fn narrower(publish: &str) -> Project {
    let project = project(&format!("{publish}, schema_evolution: add_columns")).await;
    project.run().await;
    let file = project.root().join("pipelines/p.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    project.write(
        "pipelines/p.yaml",
        &text.replace("SELECT id, city, n", "SELECT id, n"),
    );
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Done);
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_keeps_the_values_of_columns_that_the_view_lacks() {
    let project = narrower("mode: merge, key: id").await;
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,21", "3,,30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_keeps_the_values_of_columns_that_the_view_lacks() {
    let project = narrower("mode: scd2, key: [id]").await;
    let history = "SELECT id, city, n, is_current FROM silver.cities ORDER BY id, valid_from";
    assert_eq!(
        project.rows(history).await,
        [
            "1,Ulm,10,true",
            "2,Bern,20,false",
            "2,Bern,21,true",
            "3,,30,true"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_keys_that_are_new_to_the_table_are_refused() {
    for input in ["data/a.csv", "data/b.csv"] {
        let project = project("mode: merge, key: id").await;
        if input == "data/b.csv" {
            project.run().await;
        }
        project.write(input, "id,city,n\n8,Rom,80\n8,Riga,81\n");
        let report = project.run_with("input", input).await;
        expect(&report, "publish_cities", Outcome::Failed);
        let error = report.stage("publish_cities").unwrap().error.clone();
        assert!(error.unwrap().contains("(id = 8)"), "{report:#?}");
    }
}

/// A project that publishes one row with the column `at` as a history.
async fn history_at(at: &str) -> Project {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        &format!(
            "version: 1
stages:
  - name: raw
    sql: {{ query: \"SELECT 1 AS id, 'a' AS name, {at} AS at\" }}
  - name: out
    publish: {{ view: raw, table: s.h, mode: scd2, key: [id], effective_at: at }}
"
        ),
    );
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn history_reaches_as_far_as_the_times_of_a_table() {
    for (at, valid_from) in [
        (
            "arrow_cast('9000-01-01T00:00:00', 'Timestamp(Microsecond, Some(\\\"UTC\\\"))')",
            "9000-01-01T00:00:00Z",
        ),
        ("arrow_cast('1500-01-01', 'Date32')", "1500-01-01T00:00:00Z"),
    ] {
        let project = history_at(at).await;
        assert_eq!(project.validate().await, "");
        expect(&project.run().await, "out", Outcome::Done);
        let valid_from = [valid_from.to_owned()];
        assert_eq!(project.rows("SELECT valid_from FROM s.h").await, valid_from);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_begins_at_times_and_not_at_numbers() {
    let project = history_at("CAST(1357034400 AS bigint)").await;
    let expected = "`effective_at` names the column `at`, which is Int64 and no time";
    let problems = project.validate().await;
    assert!(problems.contains(expected), "{problems}");
    let report = project.run().await;
    assert_eq!(
        report.stage("out").unwrap().error.as_deref(),
        Some(expected)
    );
    assert_eq!(report.exit_code(), 2);

    let finer = "arrow_cast('2013-01-01T00:00:00.1234567', 'Timestamp(Nanosecond, None)')";
    let report = history_at(finer).await.run().await;
    let error = report.stage("out").unwrap().error.clone().unwrap();
    assert!(
        error.contains("finer than a microsecond: (id = 1)"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_into_a_table_that_keeps_none_is_refused_by_its_columns() {
    let project = project("mode: append").await;
    project.run().await;
    let file = project.root().join("pipelines/p.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    project.write(
        "pipelines/p.yaml",
        &text.replace("mode: append", "mode: scd2, key: [id]"),
    );
    let expected =
        "table `silver.cities` keeps no history: it lacks `valid_from`, `valid_to`, `is_current`";
    let problems = project.validate().await;
    assert!(problems.contains(expected), "{problems}");
    refuses(
        &project,
        expected,
        "publish the history to a table of its own",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_run_become_valid_when_it_began() {
    let project = project("mode: scd2, key: [id]").await;
    let report = project.run().await;
    let micros = report.started_at.timestamp_micros();
    let valid_from = "SELECT DISTINCT arrow_cast(valid_from, 'Int64') FROM silver.cities";
    assert_eq!(project.rows(valid_from).await, [micros.to_string()]);
}
