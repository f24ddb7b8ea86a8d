//! `DELETE` and `UPDATE`.

use datafusion::scalar::ScalarValue;

use crate::ErrorKind;
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

#[tokio::test]
async fn alias_stands_for_the_table() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (x INT, y INT)",
            "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30), (4, 40), (5, 50)",
        ])
        .await;
    for sql in [
        "DELETE FROM t AS a WHERE a.x = 1",
        "DELETE FROM default.t A WHERE a.y = 20 AND x = 2",
        "DELETE FROM t AS \"B\" WHERE \"B\".x = 3",
        "UPDATE t AS a SET x = a.y + 1 WHERE a.x = 4",
        "UPDATE t AS a SET a.y = 51 WHERE y = 50",
    ] {
        assert_eq!(fixture.change(sql).await.expect(sql), Some(1), "{sql}");
    }
    let answer = fixture
        .answer("SELECT count(*) AS n, sum(x) AS x, sum(y) AS y FROM t")
        .await;
    assert!(
        answer.as_ref().unwrap().contains("| 2 | 46 | 91 |"),
        "{answer:?}"
    );
    let refusal = fixture.refusal("DELETE FROM t AS a WHERE b.x = 5").await;
    assert!(refusal.contains("`b.x` does not exist"), "{refusal}");
}

#[tokio::test]
async fn delete_that_says_more_than_its_condition_is_refused_by_name() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t AS SELECT 1 AS x",
            "CREATE TABLE u AS SELECT 1 AS x",
        ])
        .await;
    for (sql, name) in [
        ("DELETE t WHERE x = 1", "`DELETE` without `FROM`"),
        ("DELETE t", "`DELETE` without `FROM`"),
        ("DELETE FROM t, u WHERE x = 1", "more than one table"),
        (
            "DELETE FROM t JOIN u ON t.x = u.x WHERE t.x = 1",
            "more than one table",
        ),
        ("DELETE FROM t USING u WHERE t.x = u.x", "`USING`"),
        ("DELETE FROM t WHERE x = 1 RETURNING x", "`RETURNING`"),
        ("DELETE FROM t WHERE x = 1 ORDER BY x LIMIT 1", "`ORDER BY`"),
        ("DELETE FROM t WHERE x = 1 LIMIT 1", "`LIMIT`"),
        ("DELETE FROM t AS a(y) WHERE a.y = 1", "alias with columns"),
    ] {
        let error = fixture.change(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{sql}: {error}");
        assert!(error.to_string().contains(name), "{sql}: {error}");
        assert!(error.hint().is_some(), "{sql}: {error}");
    }
    let answer = fixture.answer("SELECT count(*) AS n FROM t").await;
    assert!(answer.unwrap().contains("| 1 |"));
}
