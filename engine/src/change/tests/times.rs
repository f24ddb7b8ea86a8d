//! Times on their way into columns and conditions.

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
