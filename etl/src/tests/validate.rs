//! Planning without reading data.

use super::Project;
use crate::{RunOptions, validate, validate_file};

const SCHEMA: &str =
    "version: 1\ncolumns:\n  - { name: id, type: bigint }\n  - { name: city, type: string }\n";

async fn problems(project: &Project) -> Vec<String> {
    let problems = validate_file(&project.lakegate, "p").await.unwrap();
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_pipeline_has_no_problems_before_any_table_exists() {
    let project = Project::new().await;
    project.write("schemas/s.yaml", SCHEMA);
    project.write("data/a.csv", "id,city\n1,Ulm\n");
    project.write("sql/total.sql", "SELECT city, count(*) AS n, max(valid_from) AS since\nFROM silver.cities WHERE is_current AND city <> :city GROUP BY city");
    project.write(
        "pipelines/p.yaml",
        "version: 1
parameters: { city: { type: string, default: Ulm } }
stages:
  - name: total
    sql: { file: sql/total.sql }
  - name: raw
    extract: { path: data/a.csv, format: csv }
  - name: typed
    type: { view: raw, schema: schemas/s.yaml }
  - name: publish_cities
    publish: { view: typed, table: silver.cities, mode: scd2, key: id, rules: checks/c.yaml }
  - name: publish_total
    publish: { view: total, table: gold.total, mode: overwrite }
",
    );
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  valid_from: [not_null]\n",
    );
    assert_eq!(problems(&project).await, Vec::<String>::new());
    let pipeline = project.load().unwrap();
    assert!(validate(&project.lakegate, &pipeline).await.is_empty());
    assert!(
        !project.root().join("warehouse").exists(),
        "validate wrote something"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_reported_at_its_place() {
    let project = Project::new().await;
    project.write("schemas/s.yaml", SCHEMA);
    project.write("data/a.csv", "id,city\n1,Ulm\n");
    project.write(
        "sql/total.sql",
        "SELECT\n  cty,\n  count(*) AS n\nFROM typed GROUP BY cty",
    );
    project.write(
        "checks/c.yaml",
        "version: 1\ntable: silver.cities\ncolumns:\n  cty: [not_null]\n",
    );
    project.write(
        "pipelines/p.yaml",
        "version: 1
parametres: {}
stages:
  - name: raw
    extract: { path: data/a.csv, format: csv }
  - name: typed
    type: { view: raw, schema: schemas/s.yaml }
  - name: total
    sql: { file: sql/total.sql }
  - name: missing
    sql:
      query: |
        SELECT *
        FROM tiped
        WHERE x = :y
  - name: broken
    sql: { query: SELECT * FRM typed WHERE }
  - name: publish_cities
    publish: { view: typed, table: silver.cities, mode: merge, key: [id, ort], update_when: source.idd > 1, track: [x], rules: checks/c.yaml }
  - name: publish_typed
    publish: { view: typd, table: silver.typed, mode: replace_where, replace_where: id + 1 }
  - name: publish_merged
    publish: { view: typed, table: silver.merged, mode: merge, key: [ort], update_when: source.idd > 1, partition_by: [land] }
  - name: publish_ruled
    publish: { view: typed, table: silver.cities, mode: append, rules: checks/c.yaml }
",
    );
    let problems = problems(&project).await;
    let expected = [
        ("pipelines/p.yaml:2:1", "parametres"),
        ("sql/total.sql:2:3", "`cty`"),
        ("pipelines/p.yaml:14:14", "tiped"),
        ("pipelines/p.yaml:15:19", ":y"),
        ("pipelines/p.yaml:17:", "FRM"),
        ("pipelines/p.yaml:19:", "`track` has no meaning"),
        ("pipelines/p.yaml:21:", "unknown view `typd`"),
        ("pipelines/p.yaml:23:", "`ort`"),
        ("pipelines/p.yaml:23:", "idd"),
        ("pipelines/p.yaml:23:", "`land`"),
        ("checks/c.yaml:4:", "cty"),
    ];
    for (place, what) in expected {
        assert!(
            problems
                .iter()
                .any(|p| p.starts_with(place) && p.contains(what)),
            "{what} at {place} is not reported: {problems:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_into_the_system_schema_is_refused_by_name_before_anything_runs() {
    let project = Project::new().await;
    project.write("data/a.csv", "id\n1\n");
    project.write(
        "pipelines/p.yaml",
        "version: 1
stages:
  - name: raw
    extract: { path: data/a.csv, format: csv }
  - name: publish_runs
    publish: { view: raw, table: Lakegate.runs, mode: overwrite }
",
    );
    let expected = "pipelines/p.yaml:6:34: `lakegate.runs` is a table of Lakegate itself";
    let problems = problems(&project).await;
    assert!(
        problems.len() == 1 && problems[0].starts_with(expected),
        "{problems:#?}"
    );
    let error = project.try_run(RunOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!project.root().join("warehouse/lakegate").exists());
}
