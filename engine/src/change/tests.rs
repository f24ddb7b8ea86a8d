//! What statements make of tables.

use datafusion::scalar::ScalarValue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

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

/// A row: its key and its value.
type Row = (Option<i64>, Option<i64>);

/// What a clause does, by the words of SQL and by a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Delete,
    SetFive,
    Add,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    Large,
    Smaller,
}

impl When {
    fn sql(self, side: &str) -> String {
        match self {
            Self::Always => String::new(),
            Self::Large => format!("AND {side}.v > 2"),
            Self::Smaller => "AND t.v < s.v".to_owned(),
        }
    }

    fn holds(self, side: Row, target: Option<Row>, source: Option<Row>) -> bool {
        let value = |row: Option<Row>| row.and_then(|row| row.1);
        match self {
            Self::Always => true,
            Self::Large => side.1.is_some_and(|v| v > 2),
            Self::Smaller => match (value(target), value(source)) {
                (Some(t), Some(s)) => t < s,
                _ => false,
            },
        }
    }
}

#[derive(Debug, Clone)]
struct Model {
    target: Vec<Row>,
    source: Vec<Row>,
    matched: Vec<(When, Act)>,
    inserts: Vec<When>,
    others: Vec<(When, Act)>,
}

impl Model {
    fn sql(&self) -> Option<String> {
        let mut clauses = String::new();
        for (when, act) in &self.matched {
            let act = match act {
                Act::Delete => "DELETE",
                Act::SetFive => "UPDATE SET v = 5",
                Act::Add => "UPDATE SET v = t.v + s.v",
            };
            clauses.push_str(&format!(" WHEN MATCHED {} THEN {act}", when.sql("t")));
        }
        for when in &self.inserts {
            clauses.push_str(&format!(
                " WHEN NOT MATCHED {} THEN INSERT (v, k) VALUES (s.v, s.k)",
                when.sql("s")
            ));
        }
        for (when, act) in &self.others {
            let act = match act {
                Act::Delete => "DELETE",
                Act::SetFive | Act::Add => "UPDATE SET v = 5",
            };
            clauses.push_str(&format!(
                " WHEN NOT MATCHED BY SOURCE {} THEN {act}",
                when.sql("t")
            ));
        }
        (!clauses.is_empty())
            .then(|| format!("MERGE INTO target t USING source s ON t.k = s.k{clauses}"))
    }

    /// The rows and their number; none when several rows of the source would change one row.
    fn merged(&self) -> Option<(Vec<Row>, u64)> {
        let mut rows = Vec::new();
        let mut count = 0;
        let is_match = |t: &Row, s: &Row| t.0.is_some() && t.0 == s.0;
        for target in &self.target {
            let partners: Vec<&Row> = self.source.iter().filter(|s| is_match(target, s)).collect();
            let acts: Vec<(Act, bool, Row)> = partners
                .iter()
                .filter_map(|source| {
                    let mut clauses = self.matched.iter();
                    let applies = |(when, _): &&(When, Act)| {
                        when.holds(*target, Some(*target), Some(**source))
                    };
                    let (when, act) = clauses.find(applies)?;
                    Some((*act, matches!(when, When::Always), **source))
                })
                .collect();
            let are_deletes = acts
                .iter()
                .all(|(act, always, _)| *act == Act::Delete && *always);
            match acts.first() {
                Some(_) if acts.len() > 1 && !are_deletes => return None,
                Some((act, _, source)) => {
                    count += 1;
                    match act {
                        Act::Delete => {}
                        Act::SetFive => rows.push((target.0, Some(5))),
                        Act::Add => {
                            let sum = target.1.zip(source.1).map(|(t, s)| t + s);
                            rows.push((target.0, sum));
                        }
                    }
                }
                None if partners.is_empty() => {
                    let mut others = self.others.iter();
                    match others.find(|(when, _)| when.holds(*target, Some(*target), None)) {
                        Some((_, Act::Delete)) => count += 1,
                        Some(_) => {
                            count += 1;
                            rows.push((target.0, Some(5)));
                        }
                        None => rows.push(*target),
                    }
                }
                None => rows.push(*target),
            }
        }
        for source in &self.source {
            let is_new = !self.target.iter().any(|t| is_match(t, source));
            let applies = |when: &When| when.holds(*source, None, Some(*source));
            if is_new && self.inserts.iter().any(applies) {
                count += 1;
                rows.push(*source);
            }
        }
        rows.sort();
        Some((rows, count))
    }
}

fn table(rows: &[Row]) -> String {
    let value = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let rows = rows
        .iter()
        .map(|(k, v)| format!("({}, {})", value(*k), value(*v)));
    rows.collect::<Vec<_>>().join(", ")
}

fn models() -> impl Strategy<Value = Model> {
    let row = || {
        (
            prop::option::weighted(0.9, 0..5_i64),
            prop::option::weighted(0.9, 0..5_i64),
        )
    };
    let of_both = || prop_oneof![Just(When::Always), Just(When::Large), Just(When::Smaller)];
    let of_one = || prop_oneof![Just(When::Always), Just(When::Large)];
    let act = || prop_oneof![Just(Act::Delete), Just(Act::SetFive), Just(Act::Add)];
    let rows = |most| prop::collection::vec(row(), 1..most);
    (
        rows(6),
        rows(4),
        prop::collection::vec((of_both(), act()), 0..3),
        prop::collection::vec(of_one(), 0..2),
        prop::collection::vec((of_one(), act()), 0..3),
    )
        .prop_map(|(target, source, matched, inserts, others)| Model {
            target,
            source,
            matched,
            inserts,
            others,
        })
}

#[test]
fn merge_is_what_its_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    runtime.block_on(fixture.changes(&[
        "CREATE TABLE target (k BIGINT, v BIGINT)",
        "CREATE TABLE source (k BIGINT, v BIGINT)",
    ]));
    let mut runner = TestRunner::new(Config::with_cases(24));
    let outcome = runner.run(&models(), |model| {
        let Some(sql) = model.sql() else {
            return Ok(());
        };
        let merged = runtime.block_on(async {
            for (name, rows) in [("target", &model.target), ("source", &model.source)] {
                // In several files, as tables are.
                let (some, others) = rows.split_at(rows.len() / 2);
                let replaced = format!("INSERT OVERWRITE {name} VALUES {}", table(others));
                fixture.change(&replaced).await.unwrap();
                if !some.is_empty() {
                    let added = format!("INSERT INTO {name} VALUES {}", table(some));
                    fixture.change(&added).await.unwrap();
                }
            }
            fixture.change(&sql).await
        });
        let Some((rows, count)) = model.merged() else {
            let message = merged.unwrap_err().to_string();
            prop_assert!(
                message.contains("several rows of the source"),
                "{}",
                message
            );
            return Ok(());
        };
        prop_assert_eq!(
            merged.map_err(|error| error.to_string()),
            Ok(Some(count)),
            "{}",
            sql
        );
        let answer = runtime.block_on(fixture.answer("SELECT k, v FROM target"));
        let answer = answer.unwrap();
        let mut found: Vec<Row> = answer
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains('k'))
            .map(|line| {
                let cells: Vec<_> = line
                    .split('|')
                    .map(|cell| cell.trim().parse().ok())
                    .collect();
                (cells[1], cells[2])
            })
            .collect();
        found.sort();
        prop_assert_eq!(found, rows, "{}", sql);
        Ok(())
    });
    outcome.unwrap();
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
async fn prepared_update_finds_columns_in_any_case() {
    let fixture = Fixture::new().await;
    fixture.changes(&["CREATE TABLE t AS SELECT 1 AS a"]).await;
    let (text, session) = ("UPDATE t SET A = 7".into(), crate::fixture::session());
    let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
    prepared.await.unwrap();
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
