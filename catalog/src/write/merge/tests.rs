//! What a merge may make of a table.

use crate::fixture::{Fixture, query, session};
use crate::{
    CatalogError, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, SchemaEvolution,
    Write, WriteContext, WriteMode, WriteOptions, Written,
};

async fn merge(fixture: &Fixture, sql: &str) -> Result<Written, CatalogError> {
    let session = session();
    let rows = session.sql(sql).await.unwrap();
    let write = Write {
        table: "silver.t".parse().unwrap(),
        mode: WriteMode::Merge(MergeSpec {
            on: "target.id = source.id".to_owned(),
            matched: vec![MatchedClause {
                when: None,
                action: MatchedAction::UpdateAll,
            }],
            not_matched: vec![NotMatchedClause {
                when: None,
                insert: None,
            }],
            not_matched_by_source: Vec::new(),
        }),
        source: rows.into_unoptimized_plan(),
        options: WriteOptions {
            schema_evolution: SchemaEvolution::AddColumns,
            ..WriteOptions::default()
        },
        context: WriteContext::default(),
    };
    fixture.catalog.write(&session, write).await
}

#[tokio::test]
async fn added_times_without_a_zone_do_not_make_the_table_unreadable() {
    let fixture = Fixture::new().await;
    merge(&fixture, "SELECT 1 AS id").await.unwrap();
    let zoneless = "SELECT 2 AS id, TIMESTAMP '2024-01-01T00:00:00' AS t";
    let refused = merge(&fixture, zoneless).await.unwrap_err();
    assert!(
        matches!(&refused, CatalogError::Invalid { message, .. } if message.contains("column `t`")),
        "{refused}"
    );
    let zoned = "SELECT 2 AS id, arrow_cast(TIMESTAMP '2024-01-01T00:00:00', 'Timestamp(Microsecond, Some(\"UTC\"))') AS t";
    merge(&fixture, zoned).await.unwrap();
    let rows = fixture.snapshot("silver.t").await.scan().unwrap();
    let count = query(rows, "SELECT count(*) AS n, count(t) AS t FROM t").await;
    assert!(count.contains("| 2 | 1 |"), "{count}");
}

#[tokio::test]
async fn table_that_began_with_times_without_a_zone_takes_more_of_them() {
    let fixture = Fixture::new().await;
    let zoneless = |id: i64| format!("SELECT {id} AS id, TIMESTAMP '2024-01-01T00:00:00' AS t");
    merge(&fixture, &zoneless(1)).await.unwrap();
    let more = format!("{}, TIMESTAMP '2024-01-02T00:00:00' AS u", zoneless(2));
    merge(&fixture, &more).await.unwrap();
    let rows = fixture.snapshot("silver.t").await.scan().unwrap();
    let count = query(rows, "SELECT count(t) AS t, count(u) AS u FROM t").await;
    assert!(count.contains("| 2 | 1 |"), "{count}");
}
