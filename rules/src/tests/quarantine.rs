//! Which rows are marked for quarantine.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

use super::{now, orders, parse};
use crate::{FAILED_CHECKS, mark};

async fn marks(yaml: &str) -> Vec<(i64, Vec<String>)> {
    marks_of("SELECT * FROM silver.orders", yaml).await
}

async fn marks_of(sql: &str, yaml: &str) -> Vec<(i64, Vec<String>)> {
    let subject = orders().await;
    let rows = subject.session.sql(sql).await.unwrap();
    let marked = mark(&parse(yaml), &subject.session, rows, now())
        .await
        .unwrap();
    let last = marked.schema().fields().last().unwrap().name().clone();
    assert_eq!(last, FAILED_CHECKS);
    let mut found = Vec::new();
    for batch in marked.collect().await.unwrap() {
        let ids = batch
            .column_by_name("order_id")
            .unwrap()
            .as_primitive::<Int64Type>();
        let lists = batch
            .column_by_name(FAILED_CHECKS)
            .unwrap()
            .as_list::<i32>();
        for row in 0..batch.num_rows() {
            let list = lists.value(row);
            let failed = list
                .as_string::<i32>()
                .iter()
                .map(|id| id.unwrap().to_owned());
            found.push((ids.value(row), failed.collect()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn bad_rows_carry_the_checks_that_they_fail() {
    let found = marks(
        "columns:\n  \
           status: [{one_of: {values: [new, paid], bad_rows: quarantine}}, {one_of: [nothing]}]\n  \
           customer_id: [{not_null: {bad_rows: quarantine}}, {unique: {bad_rows: quarantine}}, \
                         {exists_in: {table: silver.customers, table_where: customer_id = 11, bad_rows: quarantine}}]\n  \
           amount: [{between: {min: 50, where: status = 'new', bad_rows: quarantine}}]\n",
    )
    .await;
    let list = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        vec![
            (
                1,
                list(&[
                    "customer_id/unique",
                    "customer_id/exists_in",
                    "amount/between"
                ])
            ),
            (2, list(&[])),
            (
                3,
                list(&[
                    "status/one_of",
                    "customer_id/unique",
                    "customer_id/exists_in"
                ])
            ),
            (4, list(&["status/one_of", "customer_id/not_null"])),
        ]
    );
}

#[tokio::test]
async fn repeated_nan_is_marked_like_any_repeated_value() {
    let sql = "SELECT column1 AS order_id, arrow_cast(column2, 'Float32') AS a, CAST(column3 AS DOUBLE) AS b \
               FROM (VALUES (1, CAST('NaN' AS DOUBLE), NULL), (2, 'NaN', NULL), (3, 0, 1), (4, 0, 1), (5, 'NaN', 1), (6, NULL, 1))";
    let yaml = "columns: {a: [{unique: {bad_rows: quarantine}}]}\n\
                table_checks: [{unique_key: {columns: [a, b], bad_rows: quarantine}}]\n";
    let failed = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        marks_of(sql, yaml).await,
        vec![
            (1, failed(&["a/unique", "unique_key"])),
            (2, failed(&["a/unique", "unique_key"])),
            (3, failed(&["a/unique", "unique_key"])),
            (4, failed(&["a/unique", "unique_key"])),
            (5, failed(&["a/unique"])),
            (6, failed(&[])),
        ]
    );
}

#[tokio::test]
async fn marks_agree_with_the_count_for_each_kind() {
    let checks = [
        (
            "columns",
            "order_id",
            "primary_key: {bad_rows: quarantine, where: order_id <> 2}",
            0,
        ),
        (
            "columns",
            "customer_id",
            "primary_key: {bad_rows: quarantine}",
            3,
        ),
        (
            "columns",
            "customer_id",
            "primary_key: {bad_rows: drop, where: order_id > 1}",
            1,
        ),
        (
            "columns",
            "line_no",
            "ordered: {by: ordered_at, strictly: true, bad_rows: drop}",
            1,
        ),
        (
            "columns",
            "amount",
            "ordered: {by: [order_id], per: country, bad_rows: quarantine}",
            1,
        ),
        (
            "table",
            "",
            "primary_key: {columns: [customer_id, country], bad_rows: quarantine}",
            3,
        ),
        (
            "table",
            "",
            "implies: {when: status = 'new', then: amount > 50, bad_rows: quarantine}",
            1,
        ),
        (
            "table",
            "",
            "dataset_match: {table: silver.customers, keys: [customer_id], where: order_id > 1, table_where: is_active, bad_rows: drop}",
            1,
        ),
        (
            "table",
            "",
            "dataset_match: {table: silver.customers, keys: {order_id: customer_id}, columns: {country: country}, bad_rows: quarantine}",
            4,
        ),
    ];
    for (place, column, check, bad) in checks {
        let yaml = match place {
            "columns" => format!("key: [order_id]\ncolumns: {{{column}: [{check}]}}\n"),
            _ => format!("key: [order_id]\ntable_checks: [{check}]\n"),
        };
        let result = super::judge_subject(&orders().await, &yaml).await;
        assert_eq!(result[0].bad_rows, Some(bad), "{yaml} {result:?}");
        let found = marks(&yaml).await;
        assert_eq!(found.len(), 4, "{yaml}");
        let marked: Vec<String> = found
            .iter()
            .filter(|(_, failed)| !failed.is_empty())
            .map(|(id, _)| id.to_string())
            .collect();
        assert_eq!(marked.len() as u64, bad, "{yaml}");
        let mut samples: Vec<&str> = result[0]
            .samples
            .iter()
            .map(|key| key[0].1.as_str())
            .collect();
        samples.sort_unstable();
        assert_eq!(samples, marked, "{yaml}");
    }
}

#[tokio::test]
async fn without_such_checks_every_row_is_good() {
    let found = marks("columns:\n  status: [{one_of: [nothing]}]\n").await;
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|(_, failed)| failed.is_empty()));
}

#[tokio::test]
async fn unfit_check_is_named() {
    let subject = orders().await;
    let suite = parse("columns:\n  nope: [{not_null: {bad_rows: quarantine}}]\n");
    let rows = subject
        .session
        .sql("SELECT * FROM silver.orders")
        .await
        .unwrap();
    let error = mark(&suite, &subject.session, rows, now())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "check `nope/not_null` cannot be evaluated: the table has no column `nope`"
    );
}

#[tokio::test]
async fn what_a_condition_leaves_out_is_not_computed() {
    let yaml = "table_checks:\n  - implies: {when: line_no <> 2, then: 2 / (line_no - 2) <> 5, bad_rows: quarantine}\n";
    let found = marks(yaml).await;
    assert!(
        found.iter().all(|(_, failed)| failed.is_empty()),
        "{found:?}"
    );
}
