//! `DELETE` and `UPDATE`.

use datafusion::scalar::ScalarValue;

use crate::fixture::Fixture;

#[tokio::test]
async fn condition_that_is_null_or_false_whatever_the_row_meets_none() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&["CREATE TABLE t AS SELECT * FROM (VALUES (1, 'x'), (2, NULL)) AS t(a, p)"])
        .await;
    let null = ScalarValue::Null;
    for (sql, values) in [
        ("DELETE FROM t WHERE a = NULL", vec![]),
        ("DELETE FROM t WHERE NULL", vec![]),
        ("DELETE FROM t WHERE NOT NULL", vec![]),
        ("DELETE FROM t WHERE p LIKE NULL", vec![]),
        ("DELETE FROM t WHERE a > CAST(NULL AS INT)", vec![]),
        ("DELETE FROM t WHERE a = NULL OR NULL = 1", vec![]),
        ("DELETE FROM t WHERE false", vec![]),
        ("DELETE FROM t WHERE 1 = 2", vec![]),
        ("DELETE FROM t WHERE a = ?", vec![null.clone()]),
        ("UPDATE t SET a = 7 WHERE a = ?", vec![null]),
        ("UPDATE t SET a = 7 WHERE NULL", vec![]),
    ] {
        let changed = fixture.change_with(sql, values).await.expect(sql);
        assert_eq!(changed, Some(0), "{sql}");
        let rows = fixture
            .answer("SELECT count(*) AS n, sum(a) AS a FROM t")
            .await;
        assert!(
            rows.as_ref().unwrap().contains("| 2 | 3 |"),
            "{sql}: {rows:?}"
        );
    }
    let refusal = fixture.refusal("DELETE FROM t WHERE random() < 0.5").await;
    assert!(refusal.contains("names no column"), "{refusal}");
    assert_eq!(
        fixture.change("DELETE FROM t WHERE 1 = 1").await.unwrap(),
        Some(2)
    );
}

#[tokio::test]
async fn prepared_update_finds_columns_in_any_case() {
    let fixture = Fixture::new().await;
    fixture.changes(&["CREATE TABLE t AS SELECT 1 AS a"]).await;
    let (text, session) = ("UPDATE t SET A = 7".into(), crate::fixture::session());
    let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
    prepared.await.unwrap();
}
