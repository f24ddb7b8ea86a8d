//! Times on their way into columns and conditions.

use datafusion::scalar::ScalarValue;

use crate::ErrorKind;
use crate::fixture::Fixture;

#[tokio::test]
async fn now_goes_into_columns_and_tables() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (at TIMESTAMP, zoned TIMESTAMP WITH TIME ZONE)",
            "INSERT INTO t VALUES (now(), now())",
            "INSERT INTO t SELECT now(), CURRENT_TIMESTAMP",
            "INSERT INTO t (at) VALUES (CURRENT_TIMESTAMP - INTERVAL '1 day')",
            "UPDATE t SET zoned = now() WHERE zoned IS NULL",
            "CREATE TABLE u AS SELECT now() AS at, current_timestamp() - INTERVAL '1 hour' AS before",
            "MERGE INTO t USING u ON false WHEN NOT MATCHED THEN INSERT (at) VALUES (now())",
        ])
        .await;
    let answer = fixture
        .answer("SELECT count(*) AS n FROM t WHERE at <= now() AND at > now() - INTERVAL '2 days'")
        .await;
    assert!(answer.as_ref().unwrap().contains("| 4 |"), "{answer:?}");
    let answer = fixture
        .answer("SELECT count(*) AS n FROM u WHERE before < at AND at <= now()")
        .await;
    assert!(answer.as_ref().unwrap().contains("| 1 |"), "{answer:?}");
    let finer =
        "CREATE TABLE v AS SELECT to_timestamp_nanos('2024-01-31T10:00:00.123456789') AS at";
    let refusal = fixture.refusal(finer).await;
    assert!(
        refusal.contains("finer than a microsecond") && refusal.contains("date_trunc"),
        "{refusal}"
    );
}

#[tokio::test]
async fn now_is_one_time_in_a_statement_whatever_its_name() {
    let fixture = Fixture::new().await;
    let answer = fixture
        .answer(
            "SELECT arrow_typeof(now()) AS a, now() = current_timestamp AS b, now() = now() AS c",
        )
        .await
        .unwrap();
    assert!(answer.contains("Timestamp(µs, \"UTC\")"), "{answer}");
    assert!(answer.contains("| true | true |"), "{answer}");
}

#[tokio::test]
async fn times_beyond_nanoseconds_are_compared_and_written() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (at TIMESTAMP, z TIMESTAMP WITH TIME ZONE, d DATE)",
            "INSERT INTO t VALUES ('0001-01-01', '0001-01-01', '0001-01-01'), (now(), now(), current_date)",
            "INSERT INTO t VALUES (TIMESTAMP '9999-12-31 00:00:00', CAST('9999-12-31' AS TIMESTAMP), '9999-12-31')",
        ])
        .await;
    let times = [
        "'9999-12-31'",
        "TIMESTAMP '9999-12-31 00:00:00'",
        "CAST('9999-12-31' AS TIMESTAMP)",
        "'9999-12-31'::TIMESTAMP",
        "DATE '9999-12-31'",
        "CAST('9999-12-31' AS DATE)",
        "d",
        "$1",
    ];
    for time in times {
        for column in ["at", "z"] {
            let values = match time {
                "$1" => vec![ScalarValue::from("9999-12-31")],
                _ => Vec::new(),
            };
            for (condition, expected) in [
                (format!("{column} = {time} AND d > '9000-01-01'"), 1),
                (
                    format!("{column} < {time} OR d > '9000-01-01' AND {column} >= {time}"),
                    if time == "d" { 1 } else { 3 },
                ),
                (
                    format!(
                        "{column} IN ('0001-01-01', {time}) AND {column} >= '2000-01-01' AND d > '9000-01-01'"
                    ),
                    1,
                ),
                (
                    format!("{column} BETWEEN '0001-01-01' AND {time} AND d < '1000-01-01'"),
                    1,
                ),
                (
                    format!("{column} IS NOT DISTINCT FROM {time} AND d > '9000-01-01'"),
                    1,
                ),
            ] {
                let sql = format!("SELECT count(*) AS n FROM t WHERE {condition}");
                let answer = fixture.answer_with(&sql, values.clone()).await.expect(&sql);
                assert!(
                    answer.contains(&format!("| {expected} |")),
                    "{sql}: {answer}"
                );
            }
        }
    }
    assert_eq!(
        fixture
            .change("DELETE FROM t WHERE at >= '9999-12-31'")
            .await
            .unwrap(),
        Some(1)
    );
    assert_eq!(
        fixture
            .change("UPDATE t SET at = '9999-12-31' WHERE at < DATE '1000-01-01'")
            .await
            .unwrap(),
        Some(1)
    );
}

#[tokio::test]
async fn comparisons_with_times_keep_their_names_and_digits() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (at TIMESTAMP)",
            "INSERT INTO t VALUES ('2024-01-31 10:00:00.123456')",
        ])
        .await;
    for (expr, expected) in [
        ("at = '2024-01-31 10:00:00.123456'", "true"),
        ("at <= '2024-01-31 10:00:00.123456789'", "true"),
        ("at <= TIMESTAMP '2024-01-31 10:00:00.123456789'", "true"),
        (
            "date_bin(INTERVAL '15 minutes', at, TIMESTAMP '2001-01-01 00:00:00') = TIMESTAMP '2024-01-31 10:00:00'",
            "true",
        ),
        ("at > CAST(1700000000 AS TIMESTAMP)", "true"),
        (
            "at - TIMESTAMP '2024-01-31 09:00:00' > INTERVAL '1 hour'",
            "true",
        ),
        ("at < to_timestamp('2024-01-31T10:00:01')", "true"),
    ] {
        let sql = format!("SELECT {expr} AS b FROM t");
        let answer = fixture.answer(&sql).await.expect(&sql);
        assert!(
            answer.contains(&format!("| {expected} ")),
            "{sql}: {answer}"
        );
    }
    let named = fixture
        .answer("SELECT at > '2024-01-01' FROM t")
        .await
        .unwrap();
    assert!(named.contains("| t.at > Utf8(\"2024-01-01\") |"), "{named}");
}

#[tokio::test]
async fn differences_of_times_are_compared_by_their_length() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (at TIMESTAMP, before TIMESTAMP)",
            "INSERT INTO t VALUES ('2024-01-11 00:00:00', '2024-01-01 00:00:00')",
        ])
        .await;
    for (condition, expected) in [
        ("at - before > INTERVAL '1 day'", true),
        ("at - before < INTERVAL '1 day'", false),
        ("at - before = INTERVAL '240 hours'", true),
        ("INTERVAL '9 days 23 hours' < at - before", true),
        (
            "at - before BETWEEN INTERVAL '2 days' AND INTERVAL '20 days'",
            true,
        ),
        ("at - before IN (INTERVAL '10 days')", true),
        (
            "TIMESTAMP '2024-01-11 00:00:00' - before > INTERVAL '1 day'",
            true,
        ),
        ("now() - before > INTERVAL '1 day'", true),
        (
            "to_timestamp('2024-01-11') - before > INTERVAL '1 day'",
            true,
        ),
    ] {
        let sql = format!("SELECT count(*) AS n FROM t WHERE {condition}");
        let count = i32::from(expected);
        let answer = fixture.answer(&sql).await.expect(condition);
        assert!(
            answer.contains(&format!("| {count} |")),
            "{condition}: {answer}"
        );
    }
    for condition in [
        "at - before > INTERVAL '1 month'",
        "at - before > CASE WHEN at > before THEN INTERVAL '1 day' END",
    ] {
        let sql = format!("SELECT 1 FROM t WHERE {condition}");
        let refused = fixture.answer(&sql).await.unwrap_err().to_string();
        assert!(refused.contains("a difference of times"), "{refused}");
    }
    fixture
        .changes(&["CREATE TABLE n (a BIGINT, b DOUBLE)"])
        .await;
    for value in [
        "a) SELECT at - before",
        "b) SELECT at - before",
        "a) SELECT CAST(at AS TIME)",
    ] {
        let refusal = fixture
            .refusal(&format!("INSERT INTO n ({value} FROM t"))
            .await;
        assert!(refusal.contains("it is no number"), "{refusal}");
    }
}

#[tokio::test]
async fn table_functions_take_times() {
    let fixture = Fixture::new().await;
    let sql = "SELECT count(*) AS n FROM generate_series(\
        TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-03 00:00:00', INTERVAL '1 day')";
    assert!(fixture.answer(sql).await.unwrap().contains("| 3 |"));
}

/// What is wrong with a query.
async fn mistake(fixture: &Fixture, sql: &str) -> String {
    let error = fixture.answer(sql).await.expect_err(sql);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    error.to_string()
}

/// The only field of an answer of one row and column.
async fn field(fixture: &Fixture, sql: &str) -> String {
    let answer = fixture.answer(sql).await.expect(sql);
    let row = answer.lines().nth(3).expect(sql);
    row.trim_matches(['|', ' ']).to_owned()
}

#[tokio::test]
async fn what_is_cast_to_a_timestamp_has_microseconds_and_numbers_are_seconds() {
    let fixture = Fixture::new().await;
    for (value, expected) in [
        (
            "CAST(x AS TIMESTAMP) FROM (VALUES ('9999-12-31')) AS v(x)",
            "9999-12-31T00:00:00",
        ),
        (
            "TRY_CAST(x AS TIMESTAMP) FROM (VALUES ('9999-12-31')) AS v(x)",
            "9999-12-31T00:00:00",
        ),
        (
            "x::TIMESTAMP FROM (VALUES (DATE '9999-12-31')) AS v(x)",
            "9999-12-31T00:00:00",
        ),
        (
            "CAST('2024-01-31 10:00:00.123456789' AS TIMESTAMP)",
            "2024-01-31T10:00:00.123456789",
        ),
        ("CAST(1700000000 AS TIMESTAMP)", "2023-11-14T22:13:20"),
        ("TRY_CAST(1700000000 AS TIMESTAMP)", "2023-11-14T22:13:20"),
        ("TRY_CAST(9000000000000000000 AS TIMESTAMP)", ""),
        ("CAST(1700000000 AS TIMESTAMP(3))", "2023-11-14T22:13:20"),
        (
            "CAST(x AS TIMESTAMP) FROM (VALUES (1700000000)) AS v(x)",
            "2023-11-14T22:13:20",
        ),
        (
            "CAST(x AS TIMESTAMP) FROM (SELECT CAST(17 AS INT)) AS v(x)",
            "1970-01-01T00:00:17",
        ),
        (
            "CAST(x AS TIMESTAMP(9)) FROM (SELECT CAST(17 AS SMALLINT)) AS v(x)",
            "1970-01-01T00:00:17",
        ),
        (
            "CAST(17 AS TIMESTAMP WITH TIME ZONE)",
            "1970-01-01T00:00:17Z",
        ),
    ] {
        assert_eq!(
            field(&fixture, &format!("SELECT {value}")).await,
            expected,
            "{value}"
        );
    }
    for value in ["1.5", "CAST(1.5 AS DOUBLE)", "CAST(1 AS DECIMAL(38, 0))"] {
        let refusal = mistake(&fixture, &format!("SELECT CAST({value} AS TIMESTAMP)")).await;
        assert!(refusal.contains("write `to_timestamp("), "{refusal}");
    }
    mistake(&fixture, "SELECT CAST(9000000000000000000 AS TIMESTAMP)").await;
}

#[tokio::test]
async fn to_timestamp_has_microseconds() {
    let fixture = Fixture::new().await;
    for (value, expected) in [
        ("'9999-12-31'", "9999-12-31T00:00:00Z"),
        ("'31/12/2261', '%d/%m/%Y'", "2261-12-31T00:00:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("253402214400", "9999-12-31T00:00:00Z"),
        ("CAST(17 AS SMALLINT)", "1970-01-01T00:00:17Z"),
        ("1.5", "1970-01-01T00:00:01.500Z"),
        ("-1.0000015", "1969-12-31T23:59:58.999998Z"),
        ("CAST(1.25 AS DECIMAL(38, 10))", "1970-01-01T00:00:01.250Z"),
        (
            "CAST('253402214400.000001' AS DECIMAL(20, 6))",
            "9999-12-31T00:00:00.000001Z",
        ),
        ("TIMESTAMP '2024-01-31 10:00:00'", "2024-01-31T10:00:00Z"),
        ("NULL", ""),
        ("CAST(NULL AS DOUBLE)", ""),
    ] {
        let sql = format!("SELECT to_timestamp({value})");
        assert_eq!(field(&fixture, &sql).await, expected, "{value}");
        if !value.contains('\'') && value != "NULL" {
            let sql =
                format!("SELECT to_timestamp(x) FROM (SELECT {value} AS x FROM range(1)) AS v");
            assert_eq!(field(&fixture, &sql).await, expected, "{value} in a column");
        }
    }
    for value in [
        "9000000000000000000",
        "1e300",
        "CAST('NaN' AS DOUBLE)",
        "1e30::DECIMAL(38, 0)",
    ] {
        mistake(&fixture, &format!("SELECT to_timestamp({value})")).await;
    }
}

#[tokio::test]
async fn series_are_of_any_timestamps() {
    let fixture = Fixture::new().await;
    for (series, rows) in [
        (
            "range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', INTERVAL '12 hour')",
            "2",
        ),
        (
            "generate_series(now(), now() + INTERVAL '1 day', INTERVAL '12 hour')",
            "3",
        ),
        (
            "generate_series(DATE '2024-01-01', DATE '2024-01-03', INTERVAL '1 day')",
            "3",
        ),
        ("generate_series(1, 3)", "3"),
    ] {
        let sql = format!("SELECT count(*) FROM {series}");
        assert_eq!(field(&fixture, &sql).await, rows, "{series}");
    }
    let far = "SELECT * FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '9999-12-31', INTERVAL '1 year')";
    let refusal = mistake(&fixture, far).await;
    assert!(refusal.contains("2262"), "{refusal}");
}
