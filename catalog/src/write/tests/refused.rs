//! Writes that are refused: rows that do not fit, or would be changed, and tables that are not the writer's.

use super::*;

#[tokio::test]
async fn sources_that_do_not_fit_are_refused_by_column() {
    let table = Table::new().await;
    table
        .append("SELECT CAST(1 AS bigint) AS id, 'a' AS name")
        .await
        .unwrap();
    for (sql, message) in [
        ("SELECT CAST(1 AS bigint) AS id", "lacks column `name`"),
        (
            "SELECT 1 AS id, 'a' AS name, 2 AS more",
            "has no column `more`",
        ),
        (
            "SELECT 'x' AS id, 'a' AS name",
            "column `id` is Utf8 in the source, and Int64",
        ),
        (
            "SELECT 1.5 AS id, 'a' AS name",
            "column `id` is Float64 in the source, and Int64",
        ),
        (
            "SELECT 1 AS id, 'a' AS name, 'b' AS \"Name\"",
            "`name` and `Name` cannot both",
        ),
        (
            "SELECT 1 AS id, 'a' AS name, 2 AS \"with space\"",
            "column `with space` cannot be published",
        ),
    ] {
        let error = table.append(sql).await.unwrap_err();
        assert!(error.to_string().contains(message), "{sql}: {error}");
        assert!(error.hint().is_some(), "{sql}");
    }
    assert_eq!(table.rows("SELECT id, name FROM t").await, "1 a");
}

#[tokio::test]
async fn values_that_delta_would_change_are_refused_by_column() {
    let mut table = Table::new().await;
    table.options.partition_by = vec!["s".into()];
    for (sql, message) in [
        (
            "SELECT 1 AS id, '' AS s",
            "column `s` of the rows for `silver.things` holds an empty text",
        ),
        (
            "SELECT arrow_cast(9223372036854775813, 'UInt64') AS id, 'a' AS s",
            "column `id` of the rows for `silver.things` holds 9223372036854775813",
        ),
        (
            "SELECT arrow_cast(1, 'Timestamp(Nanosecond, None)') AS id, 'a' AS s",
            "column `id` of the rows for `silver.things` holds a time that is finer",
        ),
        (
            "SELECT [arrow_cast(1, 'Timestamp(Nanosecond, None)')] AS id, 'a' AS s",
            "column `id` of the rows for `silver.things` holds a time that is finer",
        ),
        (
            "SELECT named_struct('a', [arrow_cast(9223372036854775813, 'UInt64')]) AS id, 'a' AS s",
            "column `id` of the rows for `silver.things` holds 9223372036854775813",
        ),
        (
            "SELECT arrow_cast(arrow_cast(1, 'Timestamp(Millisecond, None)'), 'Date64') AS id, 'a' AS s",
            "column `id` of the rows for `silver.things` holds a date with a time of day",
        ),
    ] {
        let error = table.append(sql).await.unwrap_err();
        assert!(
            matches!(error, CatalogError::Invalid { .. }),
            "{sql}: {error:?}"
        );
        assert!(error.to_string().contains(message), "{sql}: {error}");
    }
}

#[tokio::test]
async fn empty_text_is_refused_however_its_partition_column_is_written() {
    let mut table = Table::new().await;
    table.options.partition_by = vec!["größe".into()];
    table
        .append("SELECT 1 AS id, 'a' AS \"größe\"")
        .await
        .unwrap();
    table.options.partition_by = Vec::new();
    let refused = table.append("SELECT 2 AS id, '' AS \"GRÖßE\"").await;
    assert!(
        matches!(refused, Err(CatalogError::Invalid { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn partition_columns_that_cannot_be_are_refused_by_name() {
    let mut table = Table::new().await;
    for (columns, last, message) in [
        (
            vec!["id", "s", "t"],
            "'b' AS t",
            "cannot be partitioned by all of its columns",
        ),
        (
            vec!["s", "s"],
            "'b' AS t",
            "cannot be partitioned by `s` twice",
        ),
        (
            vec!["b"],
            "arrow_cast('a', 'Binary') AS b",
            "cannot be partitioned by `b`: it is binary",
        ),
    ] {
        table.options.partition_by = columns.into_iter().map(str::to_owned).collect();
        let sql = format!("SELECT 1 AS id, 'a' AS s, {last}");
        let error = table.append(&sql).await.unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn types_that_delta_lacks_are_refused_by_column() {
    let table = Table::new().await;
    for (sql, message) in [
        (
            "SELECT 1 AS id, NULL AS nothing",
            "`nothing` of `silver.things` has no type",
        ),
        (
            "SELECT 1 AS id, INTERVAL '1 day' AS span",
            "column `span` has the type Interval",
        ),
    ] {
        let error = table.append(sql).await.unwrap_err();
        assert!(error.to_string().contains(message), "{sql}: {error}");
    }
    assert!(table.catalog.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn table_is_not_written_under_a_second_name() {
    let table = Table::new().await;
    table.append("SELECT 1 AS id").await.unwrap();
    let location = table.catalog.entry(&name()).await.unwrap().location;
    table.catalog.drop_table(&name(), false).await.unwrap();
    let other = "gold.other".parse().unwrap();
    table.catalog.register(&other, &location).await.unwrap();
    let error = table.append("SELECT 2 AS id").await.unwrap_err();
    let expected = "cannot be written: it is the folder of table `gold.other`";
    assert!(error.to_string().contains(expected), "{error}");
    let snapshot = table.catalog.snapshot(&other, At::Latest).await.unwrap();
    assert_eq!((snapshot.version, snapshot.row_count()), (0, Some(1)));
}

#[tokio::test]
async fn tables_of_the_system_are_not_written() {
    let table = Table::new().await;
    let write = Write {
        table: "lakegate.runs".parse().unwrap(),
        mode: WriteMode::Append,
        source: plan("SELECT 1 AS id").await,
        options: WriteOptions::default(),
        context: WriteContext::default(),
    };
    let error = table.catalog.write(&table.session, write).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("Lakegate's own"), "{error}");
    assert!(table.catalog.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn folder_of_parquet_files_is_not_written() {
    let table = Table::new().await;
    table.append("SELECT 1 AS id").await.unwrap();
    let location = table.catalog.entry(&name()).await.unwrap().location;
    table.catalog.drop_table(&name(), false).await.unwrap();
    let log = location.to_file_path().unwrap().join("_delta_log");
    std::fs::remove_dir_all(&log).unwrap();
    table.catalog.register(&name(), &location).await.unwrap();
    let error = table.append("SELECT 2 AS id").await.unwrap_err();
    let expected = "is a folder of Parquet files";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!log.exists());
}
