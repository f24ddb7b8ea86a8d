//! Times on their way into columns and conditions.

use datafusion::scalar::ScalarValue;

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
    let finer = "CREATE TABLE v AS SELECT to_timestamp('2024-01-31T10:00:00.123456789') AS at";
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
