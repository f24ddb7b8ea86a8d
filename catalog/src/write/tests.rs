//! Writing: columns that fit and do not, tables that are made, replaced and deleted, writers at once.

#![expect(
    clippy::disallowed_methods,
    reason = "tests need a clock and a session of their own"
)]

use std::sync::Arc;

use chrono::Utc;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::{At, Catalog, CatalogError, CatalogOptions, TableName};

async fn catalog(folder: &TempDir) -> Arc<Catalog> {
    let options = CatalogOptions {
        registry: folder.path().join("catalog.db"),
        warehouse: Url::from_directory_path(folder.path().join("warehouse")).unwrap(),
        clock: Utc::now,
    };
    Catalog::open(options).await.unwrap()
}

async fn plan(sql: &str) -> LogicalPlan {
    SessionContext::new()
        .sql(sql)
        .await
        .unwrap()
        .into_unoptimized_plan()
}

struct Table {
    folder: TempDir,
    catalog: Arc<Catalog>,
    session: SessionContext,
    options: WriteOptions,
}

impl Table {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(&folder).await;
        Self {
            folder,
            catalog,
            session: SessionContext::new(),
            options: WriteOptions::default(),
        }
    }

    async fn write(&self, mode: WriteMode, sql: &str) -> Result<Written, CatalogError> {
        let write = Write {
            table: name(),
            mode,
            source: plan(sql).await,
            options: self.options.clone(),
            context: WriteContext::default(),
        };
        self.catalog.write(&self.session, write).await
    }

    async fn append(&self, sql: &str) -> Result<Written, CatalogError> {
        self.write(WriteMode::Append, sql).await
    }

    /// The rows of the newest version, as text.
    async fn rows(&self, sql: &str) -> String {
        let snapshot = self.catalog.snapshot(&name(), At::Latest).await.unwrap();
        let session = SessionContext::new();
        session
            .register_table("t", snapshot.scan().unwrap())
            .unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        datafusion::arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string()
            .lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| {
                line.split('|')
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn name() -> TableName {
    "silver.things".parse().unwrap()
}

fn on_id(matched: Vec<MatchedClause>, not_matched: Vec<NotMatchedClause>) -> WriteMode {
    WriteMode::Merge(MergeSpec {
        on: "target.id = source.id".into(),
        matched,
        not_matched,
        not_matched_by_source: vec![],
    })
}

#[tokio::test]
async fn columns_are_matched_by_name_and_widened() {
    let table = Table::new().await;
    table
        .append("SELECT CAST(1 AS bigint) AS id, 'a' AS name")
        .await
        .unwrap();
    table
        .append("SELECT 'b' AS \"NAME\", CAST(2 AS smallint) AS id")
        .await
        .unwrap();
    assert_eq!(
        table.rows("SELECT id, name FROM t ORDER BY id").await,
        "1 a; 2 b"
    );
}

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
async fn new_columns_come_by_option() {
    let mut table = Table::new().await;
    table
        .append("SELECT CAST(1 AS bigint) AS id, 'a' AS name")
        .await
        .unwrap();
    table.options.schema_evolution = SchemaEvolution::AddColumns;
    table
        .append("SELECT CAST(2 AS bigint) AS id, 7 AS more")
        .await
        .unwrap();
    assert_eq!(
        table
            .rows("SELECT id, coalesce(name, '-'), coalesce(more, 0) FROM t ORDER BY id")
            .await,
        "1 a 0; 2 - 7"
    );
    table
        .write(
            on_id(
                vec![MatchedClause {
                    when: None,
                    action: MatchedAction::UpdateAll,
                }],
                vec![NotMatchedClause {
                    when: None,
                    insert: None,
                }],
            ),
            "SELECT CAST(3 AS bigint) AS id, 'c' AS name, 8 AS more, true AS flag",
        )
        .await
        .unwrap();
    assert_eq!(
        table
            .rows("SELECT id, coalesce(CAST(flag AS string), '-') FROM t ORDER BY id")
            .await,
        "1 -; 2 -; 3 true"
    );
    let first = table
        .catalog
        .snapshot(&name(), At::Version(0))
        .await
        .unwrap();
    let last = table.catalog.snapshot(&name(), At::Latest).await.unwrap();
    assert_eq!(
        first.table_id, last.table_id,
        "the merge made another table of it"
    );
}

#[tokio::test]
async fn column_names_may_hold_dots_quotes_and_any_letters() {
    let table = Table::new().await;
    let sql = "SELECT 1 AS id, 2 AS \"a.b\", 3 AS \"it's\", 4 AS \"größe\", 5 AS \"say\"\"so\"\"\"";
    table.append(sql).await.unwrap();
    table
        .write(
            on_id(
                vec![MatchedClause {
                    when: None,
                    action: MatchedAction::UpdateAll,
                }],
                vec![NotMatchedClause {
                    when: None,
                    insert: None,
                }],
            ),
            "SELECT 1 AS id, 20 AS \"a.b\", 30 AS \"it's\", 40 AS \"größe\", 50 AS \"say\"\"so\"\"\"",
        )
        .await
        .unwrap();
    assert_eq!(
        table
            .rows("SELECT id, \"a.b\", \"it's\", \"größe\", \"say\"\"so\"\"\" FROM t")
            .await,
        "1 20 30 40 50"
    );
}

#[tokio::test]
async fn merge_updates_deletes_and_inserts_by_its_conditions() {
    let table = Table::new().await;
    let mode = || {
        on_id(
            vec![
                MatchedClause {
                    when: Some("source.n < 0".into()),
                    action: MatchedAction::Delete,
                },
                MatchedClause {
                    when: Some("source.n > target.n".into()),
                    action: MatchedAction::UpdateAll,
                },
            ],
            vec![NotMatchedClause {
                when: Some("source.n > 0".into()),
                insert: None,
            }],
        )
    };
    table
        .write(
            mode(),
            "SELECT * FROM (VALUES (1, 10), (2, 20), (3, 0)) AS v(id, n)",
        )
        .await
        .unwrap();
    assert_eq!(
        table.rows("SELECT id, n FROM t ORDER BY id").await,
        "1 10; 2 20",
        "first version"
    );
    table
        .write(
            mode(),
            "SELECT * FROM (VALUES (1, -1), (2, 5), (4, 40), (5, 0)) AS v(id, n)",
        )
        .await
        .unwrap();
    assert_eq!(
        table.rows("SELECT id, n FROM t ORDER BY id").await,
        "2 20; 4 40"
    );
}

#[tokio::test]
async fn replace_where_replaces_its_rows_and_refuses_others() {
    let mut table = Table::new().await;
    table.options.partition_by = vec!["month".into()];
    table
        .append("SELECT * FROM (VALUES (1, 'jan'), (2, 'feb')) AS v(id, month)")
        .await
        .unwrap();
    let february = || WriteMode::ReplaceWhere("month = 'feb'".into());
    table
        .write(
            february(),
            "SELECT * FROM (VALUES (3, 'feb'), (4, 'feb')) AS v(id, month)",
        )
        .await
        .unwrap();
    assert_eq!(table.rows("SELECT id FROM t ORDER BY id").await, "1; 3; 4");
    for outside in ["'mar'", "CAST(NULL AS string)"] {
        let sql = format!("SELECT 5 AS id, {outside} AS month");
        let error = table.write(february(), &sql).await.unwrap_err();
        assert!(error.to_string().contains("are outside of"), "{error}");
    }
    assert_eq!(table.rows("SELECT id FROM t ORDER BY id").await, "1; 3; 4");
    table.options.partition_by = vec!["id".into()];
    let error = table
        .append("SELECT 6 AS id, 'feb' AS month")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("is partitioned by [month]"),
        "{error}"
    );
}

#[tokio::test]
async fn replace_where_is_checked_from_the_first_version_on() {
    let table = Table::new().await;
    let error = table
        .write(
            WriteMode::ReplaceWhere("day = 1".into()),
            "SELECT * FROM (VALUES (1, 1), (2, 2)) AS v(id, day)",
        )
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1 of the rows for `silver.things` are outside of `replace_where`: day = 1"),
        "{error}"
    );
    assert!(table.catalog.list().await.unwrap().is_empty());
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
async fn conditions_fold_names_at_every_write_as_sql_does() {
    let table = Table::new().await;
    let merge = || {
        on_id(
            vec![MatchedClause {
                when: Some("SOURCE.N > Target.n".into()),
                action: MatchedAction::UpdateAll,
            }],
            vec![NotMatchedClause {
                when: Some("source.N > 0".into()),
                insert: None,
            }],
        )
    };
    for rows in ["SELECT 1 AS id, 1 AS n", "SELECT 1 AS id, 2 AS n"] {
        table.write(merge(), rows).await.unwrap();
    }
    let replace = WriteMode::ReplaceWhere("N = 2".into());
    table
        .write(replace, "SELECT 5 AS id, 2 AS n")
        .await
        .unwrap();
    let rows = table.rows("SELECT id, n FROM t").await;
    assert_eq!(rows, "5 2");
    let error = table
        .write(
            WriteMode::ReplaceWhere("x = 1".into()),
            "SELECT 1 AS id, 2 AS n",
        )
        .await
        .unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn target_file_size_holds_for_merges() {
    let mut table = Table::new().await;
    let merge = || {
        let insert = NotMatchedClause {
            when: None,
            insert: None,
        };
        on_id(Vec::new(), vec![insert])
    };
    let rows = |from: i64| {
        format!(
            "SELECT value AS id, md5(CAST(value AS string)) AS text FROM generate_series({from}, {from} + 99999)"
        )
    };
    table.options.target_file_bytes = Some(1_000_000);
    let made = table.write(merge(), &rows(0)).await.unwrap();
    let small = table.write(merge(), &rows(100_000)).await.unwrap();
    assert!(small.files > made.files + 2, "{small:?}");
    table.options.target_file_bytes = Some(100_000_000);
    table.write(merge(), &rows(200_000)).await.unwrap();
    let snapshot = table.catalog.snapshot(&name(), At::Latest).await.unwrap();
    assert_eq!(
        snapshot.properties.get("delta.targetFileSize"),
        Some(&"100000000".to_owned())
    );
}

#[tokio::test]
async fn writers_at_once_all_succeed() {
    let table = Table::new().await;
    table.append("SELECT 0 AS id, 0 AS n").await.unwrap();
    let mut writers = Vec::new();
    for writer in 1..=4 {
        let catalog = catalog(&table.folder).await;
        writers.push(tokio::spawn(async move {
            for step in 0..3 {
                let append = step % 2 == 0;
                let mode = if append {
                    WriteMode::Append
                } else {
                    on_id(
                        vec![MatchedClause {
                            when: None,
                            action: MatchedAction::Update(vec![(
                                "n".into(),
                                "target.n + 1".into(),
                            )]),
                        }],
                        vec![],
                    )
                };
                let sql = if append {
                    format!("SELECT {} AS id, 0 AS n", writer * 10 + step)
                } else {
                    "SELECT 0 AS id, 0 AS n".to_owned()
                };
                let write = Write {
                    table: name(),
                    mode,
                    source: plan(&sql).await,
                    options: WriteOptions::default(),
                    context: WriteContext::default(),
                };
                catalog.write(&SessionContext::new(), write).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(
        table.rows("SELECT count(*), max(n) FROM t").await,
        "9 4",
        "an update was lost or made twice"
    );
}

#[tokio::test]
async fn table_whose_folder_is_gone_is_named() {
    let table = Table::new().await;
    table.append("SELECT 1 AS id").await.unwrap();
    std::fs::remove_dir_all(table.folder.path().join("warehouse/silver/things")).unwrap();
    let error = table.append("SELECT 2 AS id").await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("silver.things"), "{error}");
    assert!(error.hint().unwrap().contains("catalog drop"), "{error}");
}

#[tokio::test]
async fn table_that_was_never_registered_is_found_where_it_was_made() {
    let table = Table::new().await;
    table.append("SELECT 1 AS id").await.unwrap();
    table.catalog.drop_table(&name(), false).await.unwrap();
    let written = table.append("SELECT 2 AS id").await.unwrap();
    assert_eq!(written.version, 1);
    assert_eq!(table.catalog.list().await.unwrap().len(), 1);
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
async fn merge_keeps_the_values_of_columns_that_the_source_lacks() {
    let mut table = Table::new().await;
    table
        .append("SELECT 1 AS id, 'a' AS name, 1 AS n")
        .await
        .unwrap();
    table.options.schema_evolution = SchemaEvolution::AddColumns;
    let mode = on_id(
        vec![MatchedClause {
            when: None,
            action: MatchedAction::UpdateAll,
        }],
        vec![],
    );
    table.write(mode, "SELECT 1 AS id, 2 AS n").await.unwrap();
    assert_eq!(table.rows("SELECT id, name, n FROM t").await, "1 a 2");
}

#[tokio::test]
async fn first_version_of_a_merge_takes_a_row_by_the_first_clause_that_applies() {
    let table = Table::new().await;
    let insert = |when: Option<&str>, n: &str| NotMatchedClause {
        when: when.map(str::to_owned),
        insert: Some(vec![
            ("id".into(), "source.id".into()),
            ("n".into(), n.into()),
        ]),
    };
    let clauses = vec![
        insert(Some("source.n > 1"), "source.n * 10"),
        insert(None, "source.n"),
        insert(None, "source.n * 100"),
    ];
    table
        .write(
            on_id(vec![], clauses),
            "SELECT * FROM (VALUES (1, 1), (2, 2), (3, NULL)) AS v(id, n)",
        )
        .await
        .unwrap();
    assert_eq!(
        table
            .rows("SELECT id, coalesce(n, -1) FROM t ORDER BY id")
            .await,
        "1 1; 2 20; 3 -1"
    );
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
