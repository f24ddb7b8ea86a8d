//! `MERGE INTO`.

use datafusion::scalar::ScalarValue;

use crate::ErrorKind;
use crate::fixture::Fixture;

async fn merged() -> Fixture {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE stock (id INT, name VARCHAR, amount DECIMAL(10, 2))",
            "INSERT INTO stock VALUES (1, 'one', 1.5), (2, 'two', 2.5), (3, 'three', NULL)",
            "CREATE TABLE arrivals (id BIGINT, name VARCHAR, amount DOUBLE, gone BOOLEAN)",
            "INSERT INTO arrivals VALUES (2, 'zwei', 0.25, false), (3, NULL, 0, true), (4, 'vier', 4, false)",
        ])
        .await;
    fixture
}

#[tokio::test]
async fn merge_updates_deletes_and_inserts_in_one_commit() {
    let fixture = merged().await;
    let sql = "MERGE INTO stock AS t USING arrivals AS s ON t.id = s.id \
        WHEN MATCHED AND s.gone THEN DELETE \
        WHEN MATCHED THEN UPDATE SET NAME = s.name, amount = t.amount + s.amount \
        WHEN NOT MATCHED THEN INSERT (id, amount, name) VALUES (s.id, s.amount, upper(s.name)) \
        WHEN NOT MATCHED BY SOURCE AND t.id < 2 THEN UPDATE SET name = $1";
    let rows = fixture
        .change_with(sql, vec![ScalarValue::from("eins")])
        .await;
    assert_eq!(rows.unwrap(), Some(4));
    let answer = fixture
        .answer("SELECT * FROM stock ORDER BY id")
        .await
        .unwrap();
    let expected = "\
+----+------+--------+
| id | name | amount |
+----+------+--------+
| 1  | eins | 1.50   |
| 2  | zwei | 2.75   |
| 4  | VIER | 4.00   |
+----+------+--------+";
    assert_eq!(answer, expected);
    let before = fixture
        .answer("SELECT count(*) AS n FROM stock VERSION AS OF 1")
        .await;
    assert!(before.unwrap().contains("| 3 |"));
    let versions = fixture.answer("SELECT * FROM stock VERSION AS OF 3").await;
    assert!(versions.is_err(), "the merge is one version");
}

#[tokio::test]
async fn merge_takes_a_query_and_a_version_as_its_source() {
    let fixture = merged().await;
    fixture
        .changes(&[
            "DELETE FROM arrivals",
            "MERGE INTO stock USING (SELECT id, max(name) AS name FROM arrivals VERSION AS OF 1 GROUP BY id) AS s \
             ON stock.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, NULL)",
        ])
        .await;
    let answer = fixture
        .answer("SELECT count(*) AS n, max(id) AS m FROM stock")
        .await;
    assert!(answer.unwrap().contains("| 4 | 4 |"));
    let nothing =
        "MERGE INTO stock USING arrivals AS s ON stock.id = s.id WHEN MATCHED THEN DELETE";
    assert_eq!(fixture.change(nothing).await.unwrap(), Some(0));
}

#[tokio::test]
async fn merge_of_several_rows_into_one_names_the_key() {
    let fixture = merged().await;
    fixture
        .changes(&["INSERT INTO arrivals VALUES (2, 'deux', 1, false)"])
        .await;
    let refusal = fixture
        .refusal(
            "MERGE INTO stock AS t USING arrivals AS s ON t.id = s.id \
             WHEN MATCHED THEN UPDATE SET name = s.name",
        )
        .await;
    assert!(
        refusal.contains("one row of `default.stock`: id = 2\n"),
        "{refusal}"
    );
    let answer = fixture
        .answer("SELECT count(*) AS n FROM stock WHERE name = 'two'")
        .await;
    assert!(answer.unwrap().contains("| 1 |"));
}

#[tokio::test]
async fn merge_that_cannot_be_made_is_refused_by_name() {
    let fixture = merged().await;
    for (clauses, expected) in [
        ("WHEN MATCHED THEN UPDATE SET id = 1.5", "cannot hold 1.5"),
        (
            "WHEN MATCHED THEN UPDATE SET id = s.amount",
            "cannot hold 0.25",
        ),
        (
            "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id + 3000000000)",
            "cannot hold 3000000004: it is no int",
        ),
        ("WHEN MATCHED THEN UPDATE SET id = 1, id = 2", "set twice"),
        ("WHEN MATCHED THEN UPDATE SET nome = 'x'", "nome"),
        (
            "WHEN MATCHED THEN UPDATE SET name = 1 / (s.id - 2)",
            "ivide by zero",
        ),
        (
            "WHEN NOT MATCHED THEN INSERT (id) VALUES (t.id)",
            "sees no row of the table",
        ),
        (
            "WHEN NOT MATCHED BY SOURCE AND s.gone THEN DELETE",
            "sees no row of the source",
        ),
        (
            "WHEN MATCHED AND s.id IN (SELECT id FROM arrivals) THEN DELETE",
            "subquery",
        ),
        ("WHEN NOT MATCHED THEN INSERT ROW", "INSERT ROW"),
    ] {
        let sql = format!("MERGE INTO stock AS t USING arrivals AS s ON t.id = s.id {clauses}");
        let error = fixture.change(&sql).await.expect_err(&sql);
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert_ne!(error.kind(), ErrorKind::Bug, "{sql}: {error}");
        assert_ne!(error.kind(), ErrorKind::Failed, "{sql}: {error}");
    }
    let version = fixture.answer("SELECT * FROM stock VERSION AS OF 2").await;
    assert!(version.is_err(), "nothing was committed");
}

#[tokio::test]
async fn row_that_a_merge_keeps_is_there_once_however_many_rows_match_it() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE target AS SELECT * FROM (VALUES (4), (5)) AS t(k)",
            "CREATE TABLE source AS SELECT * FROM (VALUES (4), (4)) AS t(k)",
            "MERGE INTO target AS t USING source AS s ON t.k = s.k WHEN NOT MATCHED BY SOURCE THEN DELETE",
        ])
        .await;
    let rows = fixture
        .answer("SELECT count(*) AS n, sum(k) AS k FROM target")
        .await;
    assert!(rows.as_ref().unwrap().contains("| 1 | 4 |"), "{rows:?}");
}

#[tokio::test]
async fn merge_takes_arithmetic_in_its_conditions() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS t(a, p)",
            "CREATE TABLE s AS SELECT * FROM (VALUES (0, 'a'), (1, 'b')) AS t(k, p)",
            "MERGE INTO t USING s ON t.a = s.k + 1 WHEN MATCHED AND t.a + 1 = 2 THEN DELETE WHEN MATCHED AND NOT (s.p IN ('x')) THEN UPDATE SET a = -t.a * 10",
        ])
        .await;
    let rows = fixture
        .answer("SELECT count(*) AS n, sum(a) AS a FROM t")
        .await;
    assert!(rows.as_ref().unwrap().contains("| 2 | -17 |"), "{rows:?}");
}

#[tokio::test]
async fn merge_takes_conditions_of_all_kinds() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (x INT, s VARCHAR, at TIMESTAMP)",
            "INSERT INTO t VALUES (1, '1', now() - INTERVAL '3 days'), (2, 'b', now()), (3, '3', now()), (4, '4', now())",
            "CREATE TABLE s (k VARCHAR, at TIMESTAMP)",
            "INSERT INTO s VALUES ('1', now()), ('2', now()), ('3', now() - INTERVAL '3 days'), ('x', now())",
        ])
        .await;
    let merged = fixture
        .change(
            "MERGE INTO t USING s ON t.x = TRY_CAST(s.k AS INT) \
             WHEN MATCHED AND t.at + INTERVAL '1 day' < s.at THEN DELETE \
             WHEN MATCHED AND TRY_CAST(t.s AS INT) IS NULL THEN UPDATE SET s = 'none' \
             WHEN NOT MATCHED AND s.at > now() - INTERVAL '1 day' THEN INSERT (s) VALUES (s.k) \
             WHEN NOT MATCHED BY SOURCE AND now() - t.at < INTERVAL '24 hours' THEN UPDATE SET s = 'alone'",
        )
        .await;
    assert_eq!(merged.unwrap(), Some(4));
    let rows = fixture
        .answer("SELECT string_agg(s, ',' ORDER BY s) AS s FROM t")
        .await;
    assert!(
        rows.as_ref().unwrap().contains("| 3,alone,none,x |"),
        "{rows:?}"
    );
    let refusal = fixture
        .refusal("MERGE INTO t USING s ON t.x = TRY_CAST(s.k AS INT) WHEN MATCHED AND random() < 0.5 THEN DELETE")
        .await;
    assert!(refusal.contains("each time that it is asked"), "{refusal}");
}

#[tokio::test]
async fn several_rows_may_delete_one_where_nothing_but_the_match_is_asked() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1), (2, 2)) AS v(k, n)",
            "CREATE TABLE s AS SELECT * FROM (VALUES (1, 5), (1, 6), (2, 0)) AS v(k, n)",
        ])
        .await;
    let merge = "MERGE INTO t USING s ON t.k = s.k";
    for clauses in [
        "WHEN MATCHED AND s.n > 4 THEN DELETE",
        "WHEN MATCHED AND t.k = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 0",
        "WHEN MATCHED AND s.n = 5 THEN UPDATE SET n = 0 WHEN MATCHED THEN DELETE",
    ] {
        let refusal = fixture.refusal(&format!("{merge} {clauses}")).await;
        assert!(
            refusal.contains("`default.t`: k = 1\n"),
            "{clauses}: {refusal}"
        );
    }
    // One of the rows that match is the only one that does something.
    let one = format!("{merge} WHEN MATCHED AND s.n = 5 THEN UPDATE SET n = 7");
    assert_eq!(fixture.change(&one).await.unwrap(), Some(1));
    let all = format!("{merge} WHEN MATCHED THEN DELETE");
    assert_eq!(fixture.change(&all).await.unwrap(), Some(2));
}
