//! Which version of which table a clause means.

use super::*;
use crate::Statement;

fn versions(sql: &str) -> Vec<(String, At)> {
    let statement = Statement::parse(sql).unwrap();
    let parameters = Parameters::from([("day".to_owned(), ScalarValue::from("2026-01-31"))]);
    statement
        .versions
        .iter()
        .map(|v| (v.table.to_string(), v.at(&parameters).unwrap()))
        .collect()
}

fn at(text: &str) -> At {
    At::Timestamp(
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .with_timezone(&Utc),
    )
}

#[test]
fn version_is_read_in_both_spellings() {
    let wanted = vec![("silver.a".to_owned(), At::Version(3))];
    assert_eq!(versions("SELECT * FROM silver.a VERSION AS OF 3"), wanted);
    assert_eq!(
        versions("SELECT x.* FROM silver.a FOR VERSION AS OF 3 AS x"),
        wanted
    );
    assert_eq!(
        versions("select * from Silver.A for version as of 3 x where x.b > 1"),
        wanted
    );
    assert_eq!(
        versions("EXPLAIN SELECT * FROM silver.a VERSION AS OF 3"),
        wanted
    );
    assert_eq!(
        versions("SELECT 1 WHERE 1 IN (SELECT b FROM silver.a /* the */ VERSION AS OF 3)"),
        wanted
    );
}

#[test]
fn time_is_read_in_utc_unless_it_has_a_zone() {
    for (text, wanted) in [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31 12:30:00", "2026-01-31T12:30:00Z"),
        ("2026-01-31T12:30:00.5Z", "2026-01-31T12:30:00.5Z"),
        ("2026-01-31 12:30:00 UTC", "2026-01-31T12:30:00Z"),
        ("2026-01-31T12:30:00+02:00", "2026-01-31T10:30:00Z"),
    ] {
        let sql = format!("SELECT * FROM a TIMESTAMP AS OF '{text}'");
        assert_eq!(
            versions(&sql),
            [("default.a".to_owned(), at(wanted))],
            "{text}"
        );
    }
}

#[test]
fn parameter_says_when() {
    assert_eq!(
        versions("SELECT * FROM a FOR TIMESTAMP AS OF :day"),
        [("default.a".to_owned(), at("2026-01-31T00:00:00Z"))]
    );
}

#[test]
fn each_use_of_a_table_has_its_own_version() {
    assert_eq!(
        versions(
            "SELECT * FROM a VERSION AS OF 1 x JOIN a VERSION AS OF 2 y ON x.i = y.i JOIN a z ON true"
        ),
        [
            ("default.a".to_owned(), At::Version(1)),
            ("default.a".to_owned(), At::Version(2))
        ]
    );
}

#[test]
fn text_and_names_are_left_alone() {
    assert_eq!(
        versions("SELECT ' FOR VERSION AS OF 3 ' AS version FROM a -- VERSION AS OF 3"),
        []
    );
    assert_eq!(versions("SELECT version FROM a version"), []);
}

#[test]
fn clause_that_would_be_dropped_is_refused() {
    for sql in [
        "SELECT 1 VERSION AS OF 3",
        "SELECT * FROM a AS x VERSION AS OF 3",
        "SELECT * FROM (SELECT 1) VERSION AS OF 3",
        "SELECT * FROM generate_series(1, 3) VERSION AS OF 3",
        "WITH a AS (SELECT 1) SELECT * FROM a VERSION AS OF 3",
        "SELECT * FROM a VERSION AS OF",
        "SELECT * FROM a VERSION AS OF 3 - 1",
        "SELECT * FROM a TIMESTAMP AS OF now()",
        "SELECT * FROM a FOR SYSTEM_TIME AS OF '2026-01-31'",
        "SELECT * FROM a TABLESAMPLE (10 PERCENT)",
        "SELECT * FROM a PARTITION (p)",
    ] {
        assert!(Statement::parse(sql).is_err(), "{sql}");
    }
}

#[test]
fn value_of_the_wrong_kind_is_named() {
    let statement = Statement::parse("SELECT * FROM a VERSION AS OF '2026-01-31'").unwrap();
    let error = statement.versions[0].at(&Parameters::new()).unwrap_err();
    assert!(error.to_string().contains("2026-01-31"), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn functions_give_tables_at_versions() {
    let fixture = crate::fixture::Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE silver.t (a BIGINT)",
            "INSERT INTO silver.t VALUES (1)",
            "INSERT INTO silver.t VALUES (2)",
        ])
        .await;
    for (sql, count) in [
        (
            "SELECT count(*) AS n FROM table_at_version('silver.t', 1)",
            1,
        ),
        (
            "SELECT count(t.a) AS n FROM TABLE_AT_VERSION('silver.t', 0)",
            0,
        ),
        (
            "SELECT count(b.a) AS n FROM table_at_version('silver.t', 2) AS b JOIN silver.t USING (a)",
            2,
        ),
        (
            "SELECT count(*) AS n FROM table_at_timestamp('silver.t', TIMESTAMP '2999-01-01 00:00:00')",
            2,
        ),
        (
            "SELECT count(*) AS n FROM table_at_timestamp('silver.t', '2999-01-01')",
            2,
        ),
    ] {
        let answer = fixture.answer(sql).await.expect(sql);
        assert!(answer.contains(&format!("| {count} |")), "{sql}: {answer}");
    }
    let sql = "SELECT count(*) AS n FROM table_at_version('silver.t', ?) WHERE a < ?";
    let values = vec![ScalarValue::from(2_i64), ScalarValue::from(2_i64)];
    let answer = fixture.answer_with(sql, values).await.unwrap();
    assert!(answer.contains("| 1 |"), "{answer}");
    let (text, session) = (sql.into(), crate::fixture::session());
    let prepared = fixture.queries.prepare(&text, &session, &fixture.caller);
    let prepared = prepared.await.unwrap();
    assert_eq!(prepared.parameters.len(), 2);
    for (sql, expected) in [
        (
            "SELECT * FROM table_at_version('silver.t')",
            "needs the name of a table",
        ),
        (
            "SELECT * FROM table_at_version('silver.t', 1 + 1)",
            "needs the name of a table",
        ),
        (
            "SELECT * FROM table_at_version('silver.t', 'x')",
            "does not fit",
        ),
        (
            "SELECT * FROM table_at_version('silver.u', 1)",
            "`silver.u` does not exist",
        ),
        ("SELECT * FROM table_at_version('silver.t', 9)", "9"),
        (
            "SELECT * FROM table_at_version('information_schema.tables', 9)",
            "with versions",
        ),
        (
            "SELECT * FROM table_at_version('silver.t', 1) VERSION AS OF 2",
            "does not follow",
        ),
    ] {
        let error = fixture.answer(sql).await.expect_err(sql);
        assert!(error.to_string().contains(expected), "{sql}: {error}");
    }
}
