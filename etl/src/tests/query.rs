//! Queries over published tables.

use lakegate_engine::ErrorKind;

use super::Project;

/// A project with two versions of `silver.t`: one row, then two.
async fn project() -> Project {
    let project = Project::new().await;
    for x in [1, 2] {
        project.write(
            "pipelines/p.yaml",
            &format!(
                "version: 1
stages:
  - name: rows
    sql: {{ query: SELECT {x} AS x }}
  - name: publish_rows
    publish: {{ view: rows, table: silver.t, mode: append }}
"
            ),
        );
        project.run().await;
    }
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn version_as_of_reads_the_table_as_it_was() {
    let project = project().await;
    assert_eq!(project.rows("SELECT count(*) FROM silver.t").await, ["2"]);
    assert_eq!(
        project
            .rows("SELECT t.x FROM silver.t VERSION AS OF 0")
            .await,
        ["1"]
    );
    let both = "SELECT now.x FROM silver.t AS now LEFT ANTI JOIN silver.t FOR VERSION AS OF 0 AS before ON now.x = before.x";
    assert_eq!(project.rows(both).await, ["2"]);
    let late = "SELECT count(*) FROM silver.t TIMESTAMP AS OF '2999-01-01'";
    assert_eq!(project.rows(late).await, ["2"]);
    let error = project
        .refused("SELECT * FROM silver.t VERSION AS OF 7")
        .await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_is_possible() {
    let project = project().await;
    for sql in [
        "INSERT INTO silver.t VALUES (3)",
        "DELETE FROM silver.t",
        "UPDATE silver.t SET x = 0",
        "DROP TABLE silver.t",
        "CREATE TABLE silver.u AS SELECT 1 AS x",
        "COPY silver.t TO '/tmp/lakegate-copied.csv'",
        "CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO silver.t VALUES (3)",
    ] {
        let error = project.refused(sql).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    assert_eq!(project.rows("SELECT count(*) FROM silver.t").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_reported_with_place_and_nearest_name() {
    let project = project().await;
    let error = project.refused("SELECT *\nFROM silver.s").await;
    assert_eq!(error.place().map(|place| place.line), Some(2), "{error}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("silver.t")),
        "{error:?}"
    );
    let error = project.refused("SELECT xx FROM silver.t").await;
    assert_eq!(error.to_string(), "column `xx` does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed() {
    let project = project().await;
    let listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver'";
    assert_eq!(project.rows(listed).await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_bind_as_the_standard_says() {
    let project = project().await;
    let whole = "SELECT count(*) FROM silver.t WHERE x IS DISTINCT FROM x OR x = 2";
    assert_eq!(project.rows(whole).await, ["1"]);
    let parts =
        "SELECT count(*) FROM silver.t WHERE 'ab' LIKE 'a%' IS NOT DISTINCT FROM x = 1 AND x < 9";
    assert_eq!(project.rows(parts).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_with_a_zone_is_converted() {
    let project = project().await;
    let sql = "SELECT TIMESTAMPTZ '2020-01-01 12:00:00+00' AT TIME ZONE 'America/New_York'";
    assert_eq!(project.rows(sql).await, ["2020-01-01T07:00:00-05:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_types_are_mistakes_of_the_sql() {
    let project = project().await;
    for sql in [
        "SELECT * FROM silver.t WHERE x = true",
        "SELECT CAST('x' AS INT) FROM silver.t",
        "SELECT * FROM silver.t LIMIT -1",
    ] {
        let error = project.refused(sql).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
}
