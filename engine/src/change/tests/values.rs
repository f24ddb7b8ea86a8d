//! Values on their way into columns.

use datafusion::scalar::ScalarValue;

use crate::ErrorKind;
use crate::fixture::Fixture;

#[tokio::test]
async fn values_that_their_column_would_change_are_refused() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (i INT, b BIGINT, d DATE, x DECIMAL(5, 2), r REAL, f DOUBLE, z TIMESTAMP, s VARCHAR, o BOOLEAN)",
            "CREATE TABLE source (i BIGINT, f DOUBLE, s VARCHAR)",
            "INSERT INTO source VALUES (9007199254740993, 1.7, '1.005')",
            "INSERT INTO t VALUES (1, 2, '2024-01-31', 1.25, 0.1, 9007199254740992, '2024-01-31 10:00:00', 5, 1)",
            "INSERT INTO t (b, f) VALUES (2.0, 0.1), ('3', '0.1'), (NULL, NULL)",
            "INSERT INTO t (i, x) SELECT CAST(f AS INT), CAST(s AS DECIMAL(5, 2)) FROM source",
            "UPDATE t SET I = CAST(1.7 AS INT), x = round(1.256, 2) WHERE i = 1",
        ])
        .await;
    for (sql, expected) in [
        (
            "INSERT INTO t (i) VALUES (1.7)",
            "column `i` of `default.t` cannot hold 1.7: it would become 1",
        ),
        (
            "INSERT INTO t (b, i) VALUES (1, 2), (1, 1.7)",
            "cannot hold 1.7",
        ),
        (
            "INSERT INTO t (i) VALUES (3000000000)",
            "cannot hold 3000000000: it is no int",
        ),
        (
            "INSERT INTO t (i) VALUES ('x')",
            "cannot hold x: it is no int",
        ),
        ("INSERT INTO t (x) VALUES (1.255)", "cannot hold 1.255"),
        ("INSERT INTO t (x) VALUES ('1.255')", "cannot hold 1.255"),
        ("INSERT INTO t (x) VALUES (1000)", "cannot hold 1000"),
        (
            "INSERT INTO t (f) VALUES (9007199254740993)",
            "cannot hold 9007199254740993",
        ),
        ("INSERT INTO t (r) VALUES (1e300)", "cannot hold 1e300"),
        (
            "INSERT INTO t (d) VALUES ('2024-01-31 10:00:00')",
            "cannot hold 2024-01-31 10:00:00",
        ),
        (
            "INSERT INTO t (d) VALUES (TIMESTAMP '2024-01-31 10:00:00')",
            "cannot hold 2024-01-31T10:00:00",
        ),
        (
            "INSERT INTO t (z) VALUES ('2024-01-31 10:00:00.123456789')",
            "cannot hold 2024-01-31 10:00:00.123456789",
        ),
        ("INSERT INTO t (o) VALUES (2)", "cannot hold 2"),
        ("INSERT INTO t (i) SELECT f FROM source", "cannot hold 1.7"),
        (
            "INSERT INTO t (f) SELECT i FROM source",
            "cannot hold 9007199254740993",
        ),
        (
            "INSERT INTO t (x) SELECT s FROM source",
            "cannot hold 1.005",
        ),
        (
            "INSERT OVERWRITE t (i, b) SELECT f, i FROM source",
            "cannot hold 1.7",
        ),
        ("UPDATE t SET i = 1.7", "cannot hold 1.7"),
        ("UPDATE t SET i = f + 0.5 WHERE f < 1", "cannot hold 0.6"),
    ] {
        let error = fixture.change(sql).await.expect_err(sql);
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    let wide = vec![ScalarValue::from(1.7)];
    let refused = fixture
        .change_with("INSERT INTO t (i) VALUES ($1)", wide)
        .await;
    assert!(refused.unwrap_err().to_string().contains("cannot hold 1.7"));
    let answer = fixture
        .answer("SELECT i, b, x, f FROM t ORDER BY i, b")
        .await
        .unwrap();
    let expected = "\
+---+---+------+--------------------+
| i | b | x    | f                  |
+---+---+------+--------------------+
| 1 | 2 | 1.26 | 9007199254740992.0 |
| 1 |   | 1.26 |                    |
|   | 2 |      | 0.1                |
|   | 3 |      | 0.1                |
|   |   |      |                    |
+---+---+------+--------------------+";
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn values_inside_the_query_of_an_insert_keep_their_types() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (k INT, d DECIMAL(5, 2))",
            "INSERT INTO t (k) SELECT count(*) FROM (VALUES (1.7), (1.2)) AS v(x) WHERE x > 1.5",
            "INSERT INTO t (k) WITH v(x) AS (VALUES (1.7)) SELECT CAST(x * 10 AS INT) FROM v",
            "INSERT INTO t (d, k) SELECT s.k, 2 FROM (VALUES (1.25)) AS s(k)",
            "INSERT INTO t (k) SELECT NULL",
        ])
        .await;
    let rows = fixture
        .answer("SELECT count(*) AS n, sum(k) AS k, sum(d) AS d FROM t")
        .await;
    assert!(
        rows.as_ref().unwrap().contains("| 4 | 20 | 1.25 |"),
        "{rows:?}"
    );
    for sql in [
        "INSERT INTO t (k) SELECT * FROM (VALUES (1.7)) AS v",
        "INSERT INTO t (k) WITH v(x) AS (VALUES (1.7)) SELECT x FROM v",
        "INSERT INTO t (d) SELECT x FROM (VALUES (1.239)) AS v(x)",
        "CREATE TABLE u (k INT) AS SELECT 1.7 AS k",
    ] {
        fixture.refusal(sql).await;
    }
}

#[tokio::test]
async fn columns_of_an_insert_count_by_their_place_whatever_their_names() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (x BIGINT, y BIGINT)",
            "INSERT INTO t SELECT 0, 0",
            "INSERT INTO t SELECT count(*), count(*) FROM t",
            "INSERT INTO t SELECT t.x, x FROM t ORDER BY x LIMIT 1",
            "INSERT INTO t SELECT 1 AS a, 2 AS a",
            "INSERT INTO t (y, x) SELECT 5, 5 UNION ALL SELECT 6, 6",
            "WITH c AS (SELECT 7 AS a) INSERT INTO t SELECT a, a FROM c",
        ])
        .await;
    let added = fixture.change_with(
        "INSERT INTO t SELECT $1, $1",
        vec![ScalarValue::from(8_i64)],
    );
    assert_eq!(added.await.unwrap(), Some(1));
    let answer = fixture
        .answer("SELECT count(*) AS n, sum(x) AS x, sum(y) AS y FROM t")
        .await;
    assert!(
        answer.as_ref().unwrap().contains("| 8 | 28 | 29 |"),
        "{answer:?}"
    );
    let (text, session) = (
        "INSERT INTO t SELECT 0, 0".into(),
        crate::fixture::session(),
    );
    let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
    prepared.await.unwrap();
    fixture.changes(&["INSERT OVERWRITE t SELECT 9, 9"]).await;
}

#[tokio::test]
async fn inserts_with_values_within_their_query_can_be_prepared() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&["CREATE TABLE t (x BIGINT, s VARCHAR)"])
        .await;
    for (sql, parameters) in [
        (
            "INSERT INTO t SELECT v.a, NULL FROM (VALUES (1), (2)) AS v(a)",
            0,
        ),
        (
            "INSERT INTO t SELECT v.a, s FROM (VALUES (1)) AS v(a), (VALUES ('x'), ('y')) AS w(s)",
            0,
        ),
        (
            "INSERT INTO t WITH v AS (VALUES (1)) SELECT *, $1 FROM v",
            1,
        ),
        (
            "INSERT INTO t SELECT v.a, v.b FROM (VALUES ($1, $2)) AS v(a, b) WHERE v.a > $3",
            3,
        ),
        ("INSERT INTO t VALUES ($1, $2)", 2),
    ] {
        let session = crate::fixture::session();
        let text = sql.into();
        let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
        let prepared = prepared.await.expect(sql);
        assert_eq!(prepared.parameters.len(), parameters, "{sql}");
    }
}

#[tokio::test]
async fn parameters_have_the_types_to_which_they_are_cast() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&["CREATE TABLE t (x BIGINT, at TIMESTAMP)"])
        .await;
    for (sql, expected) in [
        ("SELECT CAST($1 AS BIGINT)", "Int64"),
        ("SELECT $1::DATE", "Date32"),
        ("SELECT TRY_CAST($1 AS DECIMAL(10, 2))", "Decimal128(10, 2)"),
        (
            "SELECT x FROM t WHERE x = (SELECT CAST($1 AS INT))",
            "Int32",
        ),
        ("SELECT $1", "Utf8"),
        // Clients send milliseconds.
        ("SELECT x FROM t WHERE at > $1", "Timestamp(ms)"),
        ("SELECT CAST($1 AS TIMESTAMP)", "Timestamp(ms)"),
        ("INSERT INTO t (at) VALUES ($1)", "Timestamp(ms)"),
    ] {
        let session = crate::fixture::session();
        let text = sql.into();
        let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
        let prepared = prepared.await.expect(sql);
        let found = prepared.parameters[0].data_type().to_string();
        assert_eq!(found, expected, "{sql}");
    }
}

#[tokio::test]
async fn values_that_cannot_be_computed_are_mistakes_of_the_sql() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&["CREATE TABLE t (x DOUBLE)", "INSERT INTO t VALUES (-1)"])
        .await;
    for sql in [
        "INSERT INTO t SELECT sqrt(x) FROM t",
        "INSERT INTO t SELECT CAST(concat('z', x) AS DOUBLE) FROM t",
        "UPDATE t SET x = sqrt(x)",
        "UPDATE t SET x = CAST(x AS BIGINT) / 0",
        "DELETE FROM t WHERE sqrt(x) > 1",
        "CREATE TABLE u AS SELECT sqrt(x) AS y FROM t",
        "MERGE INTO t USING (VALUES (1)) AS s(a) ON true WHEN MATCHED THEN UPDATE SET x = sqrt(x)",
    ] {
        let error = fixture.change(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        let text = error.to_string();
        assert!(
            text.starts_with("a value cannot be computed: ") && !text.contains("rror: "),
            "{sql}: {text}"
        );
    }
}

#[tokio::test]
async fn new_table_whose_columns_would_have_one_name_is_refused_with_the_name() {
    let fixture = Fixture::new().await;
    for (query, expected) in [
        (
            "SELECT 1 AS a, 2 AS b, 3 AS a",
            "the name `a`: those at 1 and 3",
        ),
        (
            "SELECT count(*), count(*) FROM (VALUES (1)) AS v",
            "the name `count(*)`: those at 1 and 2",
        ),
        (
            "SELECT x, x FROM (VALUES (1)) AS v(x)",
            "the name `v.x`: those at 1 and 2",
        ),
    ] {
        let sql = format!("CREATE TABLE t AS {query}");
        let error = fixture.change(&sql).await.expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("AS name")),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn values_of_another_kind_than_their_column_are_refused_with_the_way_out() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (i INT, at TIMESTAMP, z TIMESTAMP WITH TIME ZONE, d DATE, b BYTEA)",
            "CREATE TABLE s AS SELECT 5 AS n, '2024-01-31T10:00:00-05:00' AS text",
            "INSERT INTO t VALUES (1, '2024-01-31T10:00:00Z', '2024-01-31T10:00:00+02:00', '2024-01-31', 'bytes')",
            "INSERT INTO t (at, d) VALUES (to_timestamp(1700000000), CAST(to_timestamp(0) AS DATE))",
            "INSERT INTO t (at, d, b) SELECT CASE WHEN n = 0 THEN n END, CASE WHEN n = 0 THEN n END, NULL FROM s",
        ])
        .await;
    for (sql, expected, way_out) in [
        (
            "INSERT INTO t (at) VALUES (1700000000)",
            "cannot hold 1700000000: it is no time",
            "to_timestamp",
        ),
        (
            "INSERT INTO t (z) VALUES (1.5)",
            "cannot hold 1.5: it is no time",
            "to_timestamp",
        ),
        (
            "INSERT INTO t (at) VALUES (true)",
            "cannot hold true: it is no time",
            "TIMESTAMP '",
        ),
        (
            "INSERT INTO t (d) VALUES (5)",
            "cannot hold 5: it is no date",
            "DATE '",
        ),
        (
            "INSERT INTO t (d) SELECT n FROM s",
            "cannot hold 5: it is no date",
            "DATE '",
        ),
        (
            "INSERT INTO t (b) VALUES (1)",
            "cannot hold 1: it is no bytes",
            "X'",
        ),
        (
            "INSERT INTO t (i) VALUES (DATE '2024-01-31')",
            "it is no number",
            "date_part",
        ),
        ("UPDATE t SET i = at", "it is no number", "date_part"),
        (
            "UPDATE t SET at = i",
            "cannot hold 1: it is no time",
            "to_timestamp",
        ),
        (
            "INSERT INTO t (at) VALUES ('2024-01-31T10:00:00+02:00')",
            "it has a zone",
            "leave the zone out",
        ),
        (
            "INSERT INTO t (at) SELECT text FROM s",
            "it has a zone",
            "WITH TIME ZONE",
        ),
        (
            "MERGE INTO t USING s ON false WHEN NOT MATCHED THEN INSERT (at) VALUES (s.text)",
            "it has a zone",
            "leave the zone out",
        ),
    ] {
        let error = fixture.change(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(way_out), "{sql}: {hint}");
    }
    let answer = fixture
        .answer("SELECT count(*) AS n FROM t WHERE at IS NULL")
        .await;
    assert!(answer.as_ref().unwrap().contains("| 1 |"), "{answer:?}");
}

#[tokio::test]
async fn rows_of_bound_values_come_in_one_commit_whatever_the_query() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE a (n BIGINT, t TEXT)",
            "CREATE TABLE b (n BIGINT, t TEXT)",
        ])
        .await;
    let text = |text: &str| ScalarValue::from(text);
    let rows = [
        vec![ScalarValue::from(1_i64), text("x")],
        vec![ScalarValue::Int64(None), text("it's")],
        vec![ScalarValue::from(3_i64), ScalarValue::Utf8(None)],
    ];
    for (sql, into) in [
        ("VALUES ($1, upper($2)), ($1 + 10, 'more')", "a"),
        ("SELECT $1, upper($2) UNION ALL SELECT $1 + 10, 'more'", "b"),
    ] {
        let sql = format!("INSERT INTO {into} {sql}");
        let changed = fixture.change_with_rows(&sql, &rows).await;
        assert_eq!(changed.expect(&sql), Some(6), "{sql}");
        let before = format!("SELECT count(*) AS n FROM {into} VERSION AS OF 0");
        assert!(fixture.answer(&before).await.unwrap().contains("| 0 |"));
        let after = format!("SELECT * FROM {into} VERSION AS OF 1");
        assert!(fixture.answer(&after).await.unwrap().contains("IT'S"));
    }
    let answers = ["a", "b"].map(|table| format!("SELECT * FROM {table} ORDER BY n, t"));
    let [a, b] = answers.each_ref().map(|sql| fixture.answer(sql));
    assert_eq!(a.await.unwrap(), b.await.unwrap());
    let unfit = [vec![ScalarValue::from(1_i64)], vec![text("many")]];
    let refused = fixture
        .change_with_rows("INSERT INTO a (n) VALUES ($1)", &unfit)
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let rows = fixture.answer("SELECT count(*) AS n FROM a").await;
    assert!(rows.unwrap().contains("| 6 |"));
    let more = fixture
        .change_with_rows(
            "DELETE FROM a WHERE n = $1",
            &[unfit[0].clone(), unfit[0].clone()],
        )
        .await;
    assert!(more.unwrap_err().to_string().contains("only an INSERT"));
}

#[tokio::test]
async fn insert_that_its_rows_of_values_would_make_too_long_is_refused() {
    let fixture = Fixture::new().await;
    fixture.changes(&["CREATE TABLE t (a TEXT)"]).await;
    let rows = vec![vec![ScalarValue::from("x")]; 1_000];
    for values in [
        format!("('{}' || $1)", "y".repeat(20_000)),
        ["($1)"; 11].join(", "),
    ] {
        let sql = format!("INSERT INTO t VALUES {values}");
        let refused = fixture.change_with_rows(&sql, &rows).await.unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
    }
    let made = fixture.change_with_rows("INSERT INTO t VALUES ($1)", &rows);
    assert_eq!(made.await.unwrap(), Some(1_000));
    let refused = fixture.change("INSERT INTO t VALUES ((SELECT max(a) FROM t))");
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
}
