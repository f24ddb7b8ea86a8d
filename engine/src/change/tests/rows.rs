//! `DELETE` and `UPDATE`.

use std::sync::Arc;

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
    assert!(refusal.contains("each time that it is asked"), "{refusal}");
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

#[tokio::test]
async fn conditions_of_all_kinds_are_evaluated() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (x INT, y INT, s VARCHAR, at TIMESTAMP, d DATE, p VARCHAR) PARTITIONED BY (p)",
            "INSERT INTO t SELECT i, i * 10, CASE WHEN i % 2 = 0 THEN 'text' ELSE CAST(i AS VARCHAR) END, now() - CAST(i || ' days' AS INTERVAL), current_date, CAST(i AS VARCHAR) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)) AS v(i)",
        ])
        .await;
    for (condition, left) in [
        ("TRY_CAST(s AS INT) = 1", 9),
        ("at < now() - INTERVAL '9 days 12 hours'", 8),
        ("at + INTERVAL '8 days 12 hours' < now()", 7),
        ("now() - at > INTERVAL '180 hours'", 6),
        ("CASE x WHEN 7 THEN true WHEN NULL THEN false END", 5),
        ("(x, y) = (6, 60)", 4),
        ("struct(x, y) = struct(5, 50)", 3),
        ("TRY_CAST(p AS INT) IN (4, 40)", 2),
        (
            "coalesce(TRY_CAST(s AS INT), 0) = 0 AND x + 1 > 2 AND lower(upper(s)) = 'text'",
            1,
        ),
        (
            "d + INTERVAL '1 day' > current_date AND s IS NOT DISTINCT FROM '3'",
            0,
        ),
    ] {
        let sql = format!("UPDATE t SET y = y WHERE {condition}");
        assert_eq!(fixture.change(&sql).await.expect(&sql), Some(1), "{sql}");
        let sql = format!("DELETE FROM t WHERE {condition}");
        assert_eq!(fixture.change(&sql).await.expect(&sql), Some(1), "{sql}");
        let answer = fixture.answer("SELECT count(*) AS n FROM t").await.unwrap();
        assert!(answer.contains(&format!("| {left} |")), "{sql}: {answer}");
    }
    for condition in [
        "random() < x",
        "x = 1 AND random() < 0.5",
        "TRY_CAST(s AS DOUBLE) < random()",
    ] {
        let sql = format!("DELETE FROM t WHERE {condition}");
        let error = fixture.change(&sql).await.expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.to_string().contains("each time"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn changes_at_once_with_conditions_of_all_kinds_are_all_made() {
    let fixture = Arc::new(Fixture::new().await);
    fixture
        .changes(&[
            "CREATE TABLE t (x INT, s VARCHAR)",
            "INSERT INTO t VALUES (1, '1'), (2, '2'), (3, '3'), (4, '4')",
        ])
        .await;
    let writers = (1..=4).map(|writer| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let sql = format!("DELETE FROM t WHERE TRY_CAST(s AS INT) = {writer} AND x + 1 > 1");
            fixture.change(&sql).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.unwrap().unwrap(), Some(1));
    }
    let answer = fixture.answer("SELECT count(*) AS n FROM t").await;
    assert!(answer.unwrap().contains("| 0 |"));
}

#[tokio::test]
async fn delete_leaves_partitions_that_do_not_meet_its_condition() {
    let fixture = Fixture::new().await;
    let rows =
        "(VALUES (1, true, 10), (2, false, 20), (3, NULL, 30), (NULL, true, 40)) AS t(p, b, a)";
    for condition in [
        "p = 1",
        "p <> 1",
        "1 < p",
        "p >= 2 AND b",
        "p >= 2 AND p < 3",
        "NOT b",
        "b",
        "p = 1 OR p = 2",
        "p = 1 OR b",
        "p = 1 OR p = NULL",
        "p IN (1, 3)",
        "p IN (1, NULL)",
        "p NOT IN (1, NULL)",
        "p NOT IN (1, 2)",
        "p IS NULL",
        "p IS NOT NULL",
        "(p = 1) IS NULL",
        "(p = 1) IS NOT NULL",
        "(p > 1) = (p > 2)",
        "b = (p = 1)",
        "CASE WHEN p = 1 THEN true ELSE false END",
        "p BETWEEN 2 AND 3",
        "p NOT BETWEEN 2 AND 3",
        "p + 1 = 2",
        "TRY_CAST(p AS TEXT) = '1'",
        "coalesce(p, 7) = 7",
        "p IS DISTINCT FROM 1",
        "p = 1 AND a > 5",
    ] {
        fixture
            .changes(&[
                "DROP TABLE IF EXISTS t",
                &format!("CREATE TABLE t PARTITIONED BY (p, b) AS SELECT * FROM {rows}"),
                &format!("DELETE FROM t WHERE {condition}"),
            ])
            .await;
        let left = fixture.answer("SELECT a FROM t ORDER BY a").await;
        let kept = format!("SELECT a FROM {rows} WHERE ({condition}) IS NOT TRUE ORDER BY a");
        let kept = fixture.answer(&kept).await;
        assert_eq!(left.unwrap(), kept.unwrap(), "{condition}");
    }
}
