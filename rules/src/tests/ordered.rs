//! Values in order: cases, and a comparison with a naive reading.

use proptest::prelude::*;

use super::{judge_sql, parse};
use crate::Verdict::{Error, Fail, Pass};

/// Judges rows of a value `v`, a time `t` and a device `d`.
async fn check(rows: &str, settings: &str, verdict: crate::Verdict, bad: Option<u64>) {
    let sql = format!("SELECT column1 AS v, column2 AS t, column3 AS d FROM (VALUES {rows})");
    let yaml = format!("key: [t]\ncolumns: {{v: [ordered: {{{settings}}}]}}\n");
    let results = judge_sql(&sql, &yaml).await;
    let found = (results[0].verdict, results[0].bad_rows);
    assert_eq!(found, (verdict, bad), "{rows} {settings} {results:?}");
    let samples = bad.unwrap_or_default().min(5);
    assert_eq!(results[0].samples.len() as u64, samples, "{results:?}");
}

#[tokio::test]
async fn rows_are_compared_with_all_before_them() {
    let rows = "(3, 4, 'a'), (1, 1, 'a'), (9, 2, 'b'), (2, 3, 'a'), (9, 5, 'b')";
    check(rows, "by: t", Fail, Some(2)).await;
    check(rows, "by: t, per: d", Pass, Some(0)).await;
    check(rows, "by: t, per: d, strictly: true", Fail, Some(1)).await;
    check(rows, "by: t, where: v < 9", Pass, Some(0)).await;
    check(rows, "by: t, direction: descending", Fail, Some(4)).await;
    check(rows, "by: [d, t]", Pass, Some(0)).await;
    check(rows, "by: [d, t], strictly: true", Fail, Some(1)).await;
    check(rows, "by: t, where: v > 100", Pass, None).await;
}

#[tokio::test]
async fn equal_places_are_not_compared_and_nulls_are_left_out() {
    check("(2, 1, 1), (1, 1, 1), (1, 2, 1)", "by: t", Fail, Some(1)).await;
    check(
        "(1, 1, 1), (1, 1, 1)",
        "by: t, strictly: true",
        Pass,
        Some(0),
    )
    .await;
    check("(1, 1, 1), (NULL, 2, 1), (0, 3, 1)", "by: t", Fail, Some(1)).await;
    check(
        "(9, NULL, 1), (1, 2, 1), (0, NULL, 1)",
        "by: t",
        Pass,
        Some(0),
    )
    .await;
    check("(2, 1, NULL), (1, 2, NULL)", "by: t, per: d", Fail, Some(1)).await;
    check("(NULL::int, 1, 1), (NULL, 2, 1)", "by: t", Pass, Some(0)).await;
    check(
        "(1.0, 1, 1), ('NaN'::double, 2, 1), (0.5, 3, 1), (2.0, 4, 1)",
        "by: t",
        Fail,
        Some(2),
    )
    .await;
    check("(0.0, 1, 1), (-0.0, 2, 1)", "by: t", Pass, Some(0)).await;
    check("('b', 1, 1), ('a', 2, 1)", "by: t", Fail, Some(1)).await;
    check(
        "(DATE '2024-01-02', 1, 1), (DATE '2024-01-01', 2, 1)",
        "by: t",
        Fail,
        Some(1),
    )
    .await;
    let dictionary = "(arrow_cast('b', 'Dictionary(Int32, Utf8)'), 1, 1), (arrow_cast('a', 'Dictionary(Int32, Utf8)'), 2, 1)";
    check(dictionary, "by: t", Fail, Some(1)).await;
    check("([1], 1, 1)", "by: t", Error, None).await;
    check("(1, [1], 1)", "by: t", Error, None).await;
    check("(1, 1, 1)", "by: x", Error, None).await;
    check("(1, 1, 1)", "by: t, per: x", Error, None).await;
}

type Row = (Option<i64>, Option<i64>, Option<i64>);

fn naive(rows: &[Row], is_strict: bool, is_descending: bool) -> u64 {
    let is_bad = |row: &&Row| {
        let (Some(value), Some(time), device) = **row else {
            return false;
        };
        rows.iter().any(|other| {
            let (Some(before), Some(at), of) = *other else {
                return false;
            };
            let breaks = match is_descending {
                false => before > value,
                true => before < value,
            };
            at < time && of == device && (breaks || is_strict && before == value)
        })
    };
    rows.iter().filter(is_bad).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn order_agrees_with_a_naive_reading_and_the_rest_is_in_order(
        rows in proptest::collection::vec(
            (
                proptest::option::weighted(0.9, -3i64..3),
                proptest::option::weighted(0.9, 0i64..4),
                proptest::option::weighted(0.9, 0i64..2),
            ),
            1..14,
        ),
        is_strict: bool,
        is_descending: bool,
    ) {
        let text = |value: Option<i64>| value.map_or("NULL::bigint".to_owned(), |v| v.to_string());
        let values: Vec<String> = rows
            .iter()
            .map(|(v, t, d)| format!("({}, {}, {})", text(*v), text(*t), text(*d)))
            .collect();
        let sql = format!("SELECT column1 AS v, column2 AS t, column3 AS d FROM (VALUES {})", values.join(", "));
        let direction = if is_descending { "descending" } else { "ascending" };
        let yaml = format!("columns: {{v: [ordered: {{by: t, per: d, strictly: {is_strict}, direction: {direction}, bad_rows: drop}}]}}\n");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (bad, left) = runtime.block_on(async {
            let bad = judge_sql(&sql, &yaml).await[0].bad_rows;
            let session = super::session();
            let source = session.sql(&sql).await.unwrap();
            let marked = crate::mark(&parse(&yaml), &session, source, super::now()).await.unwrap();
            let good = marked.collect().await.unwrap();
            let schema = good[0].schema();
            let all = super::provider(&schema, vec![good]);
            session.register_table("marked", all).unwrap();
            let sql = "SELECT v, t, d FROM marked WHERE array_length(_failed_checks) IS NULL OR array_length(_failed_checks) = 0";
            let rows = session.sql(sql).await.unwrap();
            let schema = std::sync::Arc::clone(rows.schema().inner());
            let left = super::provider(&schema, vec![rows.collect().await.unwrap()]);
            let left = super::register(&session, "orders", left);
            let count = session.read_table(std::sync::Arc::clone(&left)).unwrap().count().await.unwrap();
            let again = super::judge_subject(&super::subject(&session, left), &yaml).await;
            (bad, (count as u64, again[0].bad_rows.unwrap_or(0)))
        });
        let wanted = naive(&rows, is_strict, is_descending);
        prop_assert_eq!(bad, Some(wanted));
        prop_assert_eq!(left, (rows.len() as u64 - wanted, 0));
    }
}
