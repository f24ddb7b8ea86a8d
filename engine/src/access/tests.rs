use crate::access::Right;
use crate::fixture::Fixture;

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE silver.seen AS SELECT 1 AS a",
            "CREATE TABLE silver.written AS SELECT 1 AS a",
            "CREATE TABLE gold.hidden AS SELECT 1 AS a",
            "CREATE TABLE scratch.own AS SELECT 1 AS a",
        ])
        .await;
    fixture
}

#[tokio::test]
async fn what_may_not_be_read_is_not_there_however_it_is_asked_for() {
    let mut fixture = fixture().await;
    fixture.grant_only(&[(Right::Read, "silver.*")]);
    for sql in [
        "SELECT * FROM gold.hidden",
        "SELECT * FROM GOLD.Hidden",
        "SELECT * FROM gold.absent",
        "SELECT * FROM \"gold\".\"HIDDEN\"",
        "SELECT * FROM lakegate.gold.hidden",
        "SELECT * FROM gold.hidden VERSION AS OF 0",
        "SELECT * FROM gold.absent VERSION AS OF 0",
        "SELECT * FROM gold.hidden TIMESTAMP AS OF '2030-01-01'",
        "SELECT * FROM table_at_version('gold.hidden', 0)",
        "SELECT * FROM table_at_timestamp('gold.hidden', '2030-01-01')",
        "SELECT * FROM silver.seen WHERE a IN (SELECT a FROM gold.hidden)",
        "WITH x AS (SELECT * FROM gold.hidden) SELECT * FROM x",
        "SELECT * FROM silver.seen UNION ALL SELECT * FROM gold.hidden",
        "EXPLAIN SELECT * FROM gold.hidden",
        "EXPLAIN ANALYZE SELECT * FROM gold.hidden",
        "DESCRIBE gold.hidden",
        "SHOW COLUMNS FROM gold.hidden",
        "SHOW CREATE TABLE gold.hidden",
        "SELECT * FROM lakegate.runs",
        "SELECT * FROM lakegate.audit",
    ] {
        let error = fixture.answer(sql).await.expect_err(sql).to_string();
        assert!(error.contains("does not exist"), "{sql}: {error}");
    }
    for sql in [
        "SHOW TABLES",
        "SHOW SCHEMAS",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SELECT * FROM information_schema.views",
    ] {
        let answer = fixture.answer(sql).await.expect(sql);
        assert!(
            !answer.contains("gold") && !answer.contains("hidden"),
            "{sql}: {answer}"
        );
    }
    assert!(fixture.answer("SELECT * FROM silver.seen").await.is_ok());
    for explain in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE"] {
        let sql = format!("{explain} SELECT sql FROM lakegate.queries");
        let error = fixture.answer(&sql).await.expect_err(&sql).to_string();
        assert!(
            error.contains("may not read table `lakegate.queries`"),
            "{sql}: {error}"
        );
    }
    let error = fixture
        .answer("SELECT * FROM silver.sen")
        .await
        .unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `silver.seen`?"));
    let error = fixture
        .answer("SELECT * FROM silver.hiden")
        .await
        .unwrap_err();
    assert!(
        !format!("{error} {:?}", error.hint()).contains("gold"),
        "{error:?}"
    );
}

#[tokio::test]
async fn only_what_is_granted_is_changed() {
    let mut fixture = fixture().await;
    fixture.grant_only(&[
        (Right::Read, "silver.*"),
        (Right::Write, "silver.written"),
        (Right::Manage, "scratch.*"),
    ]);
    for sql in [
        "INSERT INTO silver.seen VALUES (2)",
        "INSERT OVERWRITE silver.seen VALUES (2)",
        "UPDATE silver.seen SET a = 2",
        "DELETE FROM silver.seen",
        "MERGE INTO silver.seen USING silver.written AS s ON s.a = seen.a WHEN MATCHED THEN DELETE",
    ] {
        let refusal = fixture.refusal(sql).await;
        assert!(
            refusal.contains("`ann` may not write to table `silver.seen`"),
            "{sql}: {refusal}"
        );
    }
    for sql in [
        "INSERT INTO gold.hidden VALUES (2)",
        "UPDATE gold.hidden SET a = 2",
        "DELETE FROM gold.hidden",
        "MERGE INTO gold.hidden AS t USING silver.seen AS s ON s.a = t.a WHEN MATCHED THEN DELETE",
        "MERGE INTO silver.written AS t USING gold.hidden AS s ON s.a = t.a WHEN MATCHED THEN DELETE",
        "INSERT INTO silver.written SELECT * FROM gold.hidden",
        "CREATE TABLE scratch.copy AS SELECT * FROM gold.hidden",
    ] {
        let refusal = fixture.refusal(sql).await;
        assert!(
            refusal.contains("table `gold.hidden` does not exist"),
            "{sql}: {refusal}"
        );
    }
    for sql in [
        "CREATE TABLE silver.made (a INT)",
        "CREATE TABLE IF NOT EXISTS gold.hidden (a INT)",
        "DROP TABLE silver.written",
        "DROP TABLE IF EXISTS gold.hidden",
        "DROP TABLE IF EXISTS gold.absent",
        "OPTIMIZE silver.written",
        "VACUUM silver.written",
        "OPTIMIZE gold.hidden",
    ] {
        let refusal = fixture.refusal(sql).await;
        assert!(
            refusal.contains("`ann` may not make, drop or maintain"),
            "{sql}: {refusal}"
        );
    }
    let named = fixture.answer("VACUUM silver.written DRY RUN").await;
    assert!(named.unwrap_err().to_string().contains("may not"));
    fixture
        .changes(&[
            "INSERT INTO silver.written SELECT a + 1 FROM silver.seen",
            "MERGE INTO silver.written AS t USING silver.seen AS s ON s.a = t.a WHEN MATCHED THEN DELETE",
            "CREATE TABLE scratch.made AS SELECT * FROM silver.written",
            "OPTIMIZE scratch.made",
            "DROP TABLE scratch.own",
        ])
        .await;
    let rows = fixture
        .answer("SELECT count(*) AS n FROM silver.written")
        .await;
    assert!(rows.unwrap().contains("| 1 |"));
}
