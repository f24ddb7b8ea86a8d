//! Values of parameters in the conditions of a publish: they are bound, whatever stands in them.

use super::Project;

#[tokio::test(flavor = "multi_thread")]
async fn value_that_looks_like_sql_replaces_only_its_own_rows() {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
parameters:
  city: { type: string, default: Ulm }
stages:
  - name: cities
    sql: { query: \"SELECT 1 AS id, :city AS city\" }
  - name: publish_cities
    publish: { view: cities, table: silver.cities, mode: replace_where, replace_where: \"city = :city\" }
",
    );
    project.run().await;
    let cities = [r"\' OR true --", "O'Hare", "O''Hare", r"\", "' OR ''='"];
    for city in cities {
        project.run_with("city", city).await;
    }
    let mut wanted: Vec<&str> = cities.into_iter().chain(["Ulm"]).collect();
    wanted.sort_unstable();
    let mut rows = project.rows("SELECT city FROM silver.cities").await;
    rows.sort_unstable();
    assert_eq!(rows, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn value_that_looks_like_sql_lets_no_row_into_a_merge() {
    let project = Project::new().await;
    project.write(
        "pipelines/p.yaml",
        "version: 1
parameters:
  only: { type: string, default: a }
stages:
  - name: rows
    sql: { query: \"SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (id, name)\" }
  - name: publish_rows
    publish: { view: rows, table: silver.rows, mode: merge, key: [id], insert_when: \"source.name = :only\" }
",
    );
    project.run().await;
    project.run_with("only", r"\' OR true --").await;
    assert_eq!(project.rows("SELECT id FROM silver.rows").await, ["1"]);
}
