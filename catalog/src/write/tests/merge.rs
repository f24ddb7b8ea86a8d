//! Merges: which clause a row is taken by, and what its columns keep.

use super::*;

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
