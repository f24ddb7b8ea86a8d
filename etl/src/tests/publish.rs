//! Publishing, in every mode and again.

use super::{Project, expect};
use crate::{Outcome, RunOptions};

const SCHEMA: &str = "version: 1\ncolumns:\n  - { name: id, type: bigint, nullable: false }\n  - { name: city, type: string }\n  - { name: n, type: int }\n";

/// A project whose pipeline types a CSV file and publishes it.
pub(super) async fn project(publish: &str) -> Project {
    let project = Project::new().await;
    project.write("schemas/s.yaml", SCHEMA);
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,20\n");
    project.write("data/b.csv", "id,city,n\n2,Basel,21\n3,Graz,30\n");
    project.write(
        "pipelines/p.yaml",
        &format!(
            "version: 1
parameters:
  input: {{ type: string, default: data/a.csv }}
stages:
  - name: raw
    extract: {{ path: \"${{input}}\", format: csv }}
  - name: typed
    type: {{ view: raw, schema: schemas/s.yaml }}
  - name: cities
    sql:
      query: SELECT id, city, n FROM typed
  - name: publish_cities
    publish: {{ view: cities, table: silver.cities, {publish} }}
"
        ),
    );
    project
}

pub(super) const ALL: &str = "SELECT id, city, n FROM silver.cities ORDER BY id, n";

#[tokio::test(flavor = "multi_thread")]
async fn append_adds_rows_and_the_same_batch_only_once() {
    let project = project("mode: append").await;
    let report = project.run().await;
    expect(&report, "publish_cities", Outcome::Done);
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);

    let again = project.run().await;
    for stage in ["raw", "typed", "cities", "publish_cities"] {
        expect(&again, stage, Outcome::AlreadyDone);
    }
    project.run_with("input", "data/b.csv").await;
    let wanted = ["1,Ulm,10", "2,Bern,20", "2,Basel,21", "3,Graz,30"];
    assert_eq!(project.rows(ALL).await, wanted);

    let reprocess = RunOptions {
        reprocess: true,
        ..RunOptions::default()
    };
    project.try_run(reprocess).await.unwrap();
    assert_eq!(
        project.rows("SELECT count(*) FROM silver.cities").await,
        ["6"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn corrected_sql_runs_again_over_the_same_input() {
    let project = project("mode: overwrite").await;
    project.run().await;
    let file = project.root().join("pipelines/p.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    project.write(
        "pipelines/p.yaml",
        &text.replace("SELECT id, city, n", "SELECT id, upper(city) AS city, n"),
    );
    expect(&project.run().await, "publish_cities", Outcome::Done);
    assert_eq!(project.rows(ALL).await, ["1,ULM,10", "2,BERN,20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_lines_and_comments_do_not_make_another_batch() {
    let project = project("mode: append").await;
    project.run().await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    project.write("pipelines/p.yaml", &format!("# a comment\n\n{text}"));
    expect(&project.run().await, "publish_cities", Outcome::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_updates_and_inserts_by_key() {
    let project = project("mode: merge, key: id").await;
    project.run().await;
    project.run_with("input", "data/b.csv").await;
    assert_eq!(
        project.rows(ALL).await,
        ["1,Ulm,10", "2,Basel,21", "3,Graz,30"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_conditions_are_bound_and_obeyed() {
    let project = project(
        "mode: merge, key: id, update_when: source.n > 20, insert_when: \"source.city <> 'Graz'\", delete_when: source.n = 21",
    )
    .await;
    project.run().await;
    project.run_with("input", "data/b.csv").await;
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_keys_of_a_merge_are_named() {
    let project = project("mode: merge, key: id").await;
    project.run().await;
    project.write("data/b.csv", "id,city,n\n2,Basel,21\n2,Zug,22\n");
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Failed);
    let stage = report.stage("publish_cities").unwrap();
    assert!(
        stage.error.as_ref().unwrap().contains("(id = 2)"),
        "{stage:#?}"
    );
    assert_eq!(report.exit_code(), 2);
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_where_replaces_what_the_predicate_names() {
    let project = project("mode: replace_where, replace_where: id >= 2").await;
    project.write("data/a.csv", "id,city,n\n2,Bern,20\n5,Rom,50\n");
    project.run().await;
    project.run_with("input", "data/b.csv").await;
    assert_eq!(project.rows(ALL).await, ["2,Basel,21", "3,Graz,30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scd2_keeps_history() {
    let project = project("mode: scd2, key: [id], track: [city]").await;
    project.run().await;
    project.run_with("input", "data/b.csv").await;
    let history =
        "SELECT id, city, is_current, valid_to IS NULL FROM silver.cities ORDER BY id, valid_from";
    assert_eq!(
        project.rows(history).await,
        [
            "1,Ulm,true,true",
            "2,Bern,false,false",
            "2,Basel,true,true",
            "3,Graz,true,true"
        ]
    );
    let joined = "SELECT count(*) FROM silver.cities a JOIN silver.cities b ON a.id = b.id AND a.valid_to = b.valid_from";
    assert_eq!(project.rows(joined).await, ["1"]);
    // What is not tracked begins no row.
    project.write("data/b.csv", "id,city,n\n2,Basel,99\n3,Graz,30\n");
    project.run_with("input", "data/b.csv").await;
    assert_eq!(
        project.rows("SELECT count(*) FROM silver.cities").await,
        ["4"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_publish_leaves_the_table_at_its_version() {
    let project = project("mode: merge, key: id, rules: checks/c.yaml").await;
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\nkey: [id]\ncolumns:\n  n: [{ between: [0, 25] }]\n",
    );
    expect(&project.run().await, "publish_cities", Outcome::Done);
    let report = project.run_with("input", "data/b.csv").await;
    expect(&report, "publish_cities", Outcome::Refused);
    assert_eq!(report.exit_code(), 1);
    let stage = report.stage("publish_cities").unwrap();
    assert!(stage.report.as_ref().unwrap().blocks(), "{stage:#?}");
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
    let kept = "SELECT outcome, count(*) FROM lakegate.runs GROUP BY outcome ORDER BY outcome";
    assert_eq!(project.rows(kept).await, ["done,1", "refused,1"]);
    let samples = "SELECT check_id, key FROM lakegate.samples";
    assert_eq!(project.rows(samples).await, ["n/between,{\"id\":\"3\"}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_are_attached_without_writing_rows_again() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    let rules = "version: 1\ntable: silver.cities\ncolumns:\n  n: [not_null]\n";
    project.write("checks/c.yaml", rules);
    project.run().await;
    project.write("checks/c.yaml", &format!("{rules}  city: [not_null]\n"));
    expect(&project.run().await, "publish_cities", Outcome::Done);
    assert_eq!(project.rows(ALL).await, ["1,Ulm,10", "2,Bern,20"]);
    // Rules that the table fails are not attached.
    project.write(
        "checks/c.yaml",
        &format!("{rules}  id: [{{ between: [0, 1] }}]\n"),
    );
    expect(&project.run().await, "publish_cities", Outcome::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn looser_rules_of_a_batch_that_is_done_are_attached_with_a_warning() {
    let project = project("mode: append, rules: checks/c.yaml").await;
    let rules = "version: 1\ntable: silver.cities\n";
    let strict = format!("{rules}columns:\n  n: [{{ between: [0, 100] }}]\n");
    project.write("checks/c.yaml", &strict);
    project.run().await;
    let loose = format!("{rules}columns:\n  id: [not_null]\n");
    project.write("checks/c.yaml", &loose);
    let (report, warnings) = project.run_and_listen(RunOptions::default()).await;
    expect(&report, "publish_cities", Outcome::Done);
    assert!(
        warnings[0].contains("other rules were attached to `silver.cities` and are replaced"),
        "{warnings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_check_stage_stops_the_publish_behind_it() {
    let project = project("mode: append").await;
    let text = std::fs::read_to_string(project.root().join("pipelines/p.yaml")).unwrap();
    let check = "  - name: delivery\n    check: { view: typed, rules: checks/d.yaml }\n";
    project.write("pipelines/p.yaml", &format!("{text}{check}"));
    project.write(
        "checks/d.yaml",
        "version: 1\ntable_checks:\n  - row_count: { at_least: 3 }\n",
    );
    let report = project.run().await;
    expect(&report, "delivery", Outcome::Refused);
    expect(&report, "publish_cities", Outcome::Skipped);
    assert_eq!(report.exit_code(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn value_that_does_not_type_stops_the_run_with_its_place() {
    let project = project("mode: append").await;
    project.write("data/a.csv", "id,city,n\n1,Ulm,10\n2,Bern,ten\n");
    let report = project.run().await;
    assert_eq!(report.exit_code(), 2, "{report:#?}");
    let errors: String = report
        .stages
        .iter()
        .filter_map(|s| s.error.clone())
        .collect();
    assert!(errors.contains("a.csv:3"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_input_fails_its_own_stage() {
    let project = project("mode: append").await;
    let report = project.run_with("input", "data/none.csv").await;
    expect(&report, "raw", Outcome::Failed);
    expect(&report, "publish_cities", Outcome::Skipped);
    assert_eq!(report.exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_both_end_in_the_table() {
    let project = project("mode: append").await;
    let (one, other) = tokio::join!(project.run(), project.run_with("input", "data/b.csv"));
    expect(&one, "publish_cities", Outcome::Done);
    expect(&other, "publish_cities", Outcome::Done);
    assert_eq!(
        project.rows("SELECT count(*) FROM silver.cities").await,
        ["4"]
    );
}
