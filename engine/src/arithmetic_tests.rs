//! Whole numbers never wrap, whatever the SQL.

use crate::ErrorKind;
use crate::fixture::Fixture;

#[tokio::test]
async fn numbers_that_become_too_large_are_errors() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (a BIGINT, b INT, g INT)",
            "INSERT INTO t VALUES (9223372036854775807, 2147483647, 1), (1, 1, 1), (5, 2, 2), (NULL, NULL, 2)",
        ])
        .await;
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT a + 1 FROM t",
        "SELECT a + a FROM t",
        "SELECT 2 * a FROM t",
        "SELECT -2 - a FROM t",
        "SELECT -(-a - 1) FROM t",
        "SELECT b + b FROM t",
        "SELECT g FROM t WHERE a * 3 < 0",
        "SELECT max(a + 1) FROM t GROUP BY g",
        "SELECT x.a FROM t x JOIN t y ON x.a + 1 = y.a",
        "SELECT (SELECT max(a + 1) FROM t)",
        "SELECT sum(a) FROM t",
        "SELECT g, sum(a) AS s FROM t GROUP BY g",
        "SELECT sum(DISTINCT a) FROM t",
    ] {
        let error = fixture.answer(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    for sql in [
        "UPDATE t SET a = a + 1",
        "DELETE FROM t WHERE a + 1 > 0",
        "INSERT INTO t (a) SELECT a + 1 FROM t",
        "MERGE INTO t USING t AS s ON t.g = s.b WHEN MATCHED THEN UPDATE SET a = t.a + 1",
    ] {
        let error = fixture.change(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
}

#[tokio::test]
async fn numbers_that_come_of_numbers_are_never_null() {
    let fixture = Fixture::new().await;
    let made = "CREATE TABLE t (m BIGINT)";
    fixture.change(made).await.unwrap();
    let session = fixture.queries.engine().session();
    let sql = "SELECT n + 1 AS a, -n AS b, n * n - n AS c, m + n AS d \
        FROM (SELECT count(*) AS n, max(m) AS m FROM t)";
    let plan = session.sql(sql).await.unwrap();
    let plan = session.state().optimize(plan.logical_plan()).unwrap();
    let nullable = plan
        .schema()
        .fields()
        .iter()
        .map(|field| field.is_nullable());
    assert_eq!(nullable.collect::<Vec<_>>(), [false, false, false, true]);
}

#[tokio::test]
async fn numbers_that_fit_are_what_they_were() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (a BIGINT, b INT, g INT)",
            "INSERT INTO t VALUES (9223372036854775800, 2, 1), (3, 1, 1), (5, 2, 2), (NULL, NULL, 2)",
        ])
        .await;
    let sql = "SELECT g, sum(a), sum(a) - 1 AS less, sum(b) AS b, sum(a) FILTER (WHERE b = 2) AS f, \
        count(*) AS n, max(a + b) AS m, -sum(a) AS neg, g + 1 AS h \
        FROM t GROUP BY g HAVING sum(a) > 1 ORDER BY g";
    let expected = "\
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+
| g | sum(t.a)            | less                | b | f                   | n | m                   | neg                  | h |
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+
| 1 | 9223372036854775803 | 9223372036854775802 | 3 | 9223372036854775800 | 2 | 9223372036854775802 | -9223372036854775803 | 2 |
| 2 | 5                   | 4                   | 2 | 5                   | 2 | 7                   | -5                   | 3 |
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+";
    assert_eq!(fixture.answer(sql).await.unwrap(), expected);
    let nothing = fixture
        .answer("SELECT sum(a) AS s FROM t WHERE g = 9")
        .await;
    assert!(nothing.unwrap().contains("|   |"));
    let least = fixture
        .answer("SELECT -9223372036854775808 AS a, arrow_typeof(sum(a)) AS b FROM t WHERE g = 2")
        .await;
    assert!(least.unwrap().contains("| -9223372036854775808 | Int64 |"));
}

#[tokio::test]
async fn grouping_sets_take_arithmetic() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&["CREATE TABLE t AS SELECT * FROM (VALUES (1), (2)) AS t(a)"])
        .await;
    for sets in [
        "CUBE (a * 2)",
        "ROLLUP (a + 1)",
        "GROUPING SETS ((a * 2), ())",
    ] {
        let sql = format!("SELECT count(*) AS n FROM t GROUP BY {sets}");
        let answer = fixture.answer(&sql).await.expect(&sql);
        assert!(answer.contains("| 2 |"), "{sql}: {answer}");
    }
}
