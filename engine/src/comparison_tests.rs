//! What is compared means what is written.

use datafusion::scalar::ScalarValue;

use crate::fixture::Fixture;

async fn ids(fixture: &Fixture, condition: &str, values: Vec<ScalarValue>) -> Vec<String> {
    let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY id");
    let answer = fixture.answer_with(&sql, values).await.expect(&sql);
    let rows = answer.lines().skip(3).filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches(['|', ' ']).to_owned())
        .collect()
}

#[tokio::test]
async fn decimals_are_compared_with_numbers_as_they_are_written() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (id INT, amount DECIMAL(12, 2), wide DECIMAL(38, 10), r REAL, f DOUBLE)",
            "INSERT INTO t VALUES \
             (1, 123456.78, 1, 1e9, 1e16), \
             (2, 100000.01, 2, 1.5, 100000.01), \
             (3, 73786.99, 3, CAST('inf' AS REAL), CAST('NaN' AS DOUBLE)), \
             (4, 0, 99999999.99, 0, 0)",
        ])
        .await;
    for (condition, expected) in [
        ("amount = 100000.01", "2"),
        ("100000.01 = amount", "2"),
        ("amount IN (73786.99, 1)", "3"),
        ("amount NOT IN (73786.99, 100000.01)", "1 4"),
        ("amount BETWEEN 73786.99 AND 100000.01", "2 3"),
        ("amount >= 100000.01", "1 2"),
        ("amount = 1e-20", ""),
        ("amount > 1e-20", "1 2 3"),
        ("amount < 1e16", "1 2 3 4"),
        ("amount < 1e300", "1 2 3 4"),
        ("amount > -1e300", "1 2 3 4"),
        ("wide < 99999999.99", "1 2 3"),
        ("wide = 99999999.99", "4"),
        ("r > amount", "1 3"),
        ("f > amount", "1 3"),
        ("f = amount", "2 4"),
        ("amount IS DISTINCT FROM 100000.01", "1 3 4"),
        ("f = 100000.01", "2"),
        ("f > 1.5", "1 2 3"),
        ("f = DECIMAL '100000.01'", "2"),
    ] {
        assert_eq!(
            ids(&fixture, condition, Vec::new()).await.join(" "),
            expected,
            "{condition}"
        );
    }
    let bound = ids(
        &fixture,
        "amount = $1",
        vec![ScalarValue::from(100_000.01_f64)],
    )
    .await;
    assert_eq!(bound, ["2"]);
    fixture
        .changes(&["DELETE FROM t WHERE amount = 100000.01"])
        .await;
    assert_eq!(ids(&fixture, "true", Vec::new()).await.join(" "), "1 3 4");
}

#[tokio::test]
async fn nulls_in_lists_count_for_partitions_too() {
    let fixture = Fixture::new().await;
    fixture
        .changes(&[
            "CREATE TABLE t (id INT, p INT) PARTITIONED BY (p)",
            "INSERT INTO t VALUES (1, 1), (2, 0), (3, NULL), (4, 2)",
        ])
        .await;
    for (condition, expected) in [
        ("p NOT IN (0, NULL)", ""),
        ("NOT (p IN (0, NULL))", ""),
        ("p IN (0, NULL)", "2"),
        ("p NOT IN (0, NULL) OR id = 1", "1"),
        ("p <> 0", "1 4"),
        ("NULL", ""),
        ("1 = 0", ""),
        ("p NOT IN (0, 1) AND id > 0", "4"),
    ] {
        assert_eq!(
            ids(&fixture, condition, Vec::new()).await.join(" "),
            expected,
            "{condition}"
        );
    }
}
