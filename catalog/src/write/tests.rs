//! Writing: columns that fit and do not, tables that are made, replaced and deleted, writers at once.

#![expect(
    clippy::disallowed_methods,
    reason = "tests need a clock and a session of their own"
)]

mod merge;
mod refused;

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
async fn replace_where_leaves_partitions_that_do_not_meet_it() {
    for condition in [
        "p = 1",
        "p IN (1, NULL)",
        "p = 1 OR p = NULL",
        "(p > 0) = (p < 2)",
        "CASE WHEN p = 1 THEN true ELSE false END",
        "TRY_CAST(p AS STRING) = '1'",
    ] {
        let mut table = Table::new().await;
        table.options.partition_by = vec!["p".into()];
        table
            .append("SELECT * FROM (VALUES (10, 1), (20, 2), (30, 3), (40, NULL)) AS v(id, p)")
            .await
            .unwrap();
        let replace = WriteMode::ReplaceWhere(condition.into());
        let written = table.write(replace, "SELECT 11 AS id, 1 AS p").await;
        written.expect(condition);
        let rows = table.rows("SELECT id FROM t ORDER BY id").await;
        assert_eq!(rows, "11; 20; 30; 40", "{condition}");
        let all = WriteMode::ReplaceWhere("1 = 1".into());
        let error = table.write(all, "SELECT 11 AS id, 1 AS p").await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is the same for every row"), "{error}");
    }
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
