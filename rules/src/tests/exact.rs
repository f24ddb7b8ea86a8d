//! Values are compared as they are: exactly, over the whole range of their types, in one zone.

use super::{check, judge_sql, judge_subject, orders, parse};
use crate::Verdict::{Error, Fail, Pass};

const DECIMAL: &str = "(arrow_cast('0.29', 'Decimal128(12, 2)'))";

#[tokio::test]
async fn limits_with_an_exponent_are_exact() {
    check(DECIMAL, "between: {max: 2.9e-1}", Pass, "100%").await;
    check(DECIMAL, "between: {min: 29e-2, max: 0.29}", Pass, "100%").await;
    check(DECIMAL, "between: {max: 1e-60}", Fail, "0%").await;
    check(DECIMAL, "between: {min: 1e-60, max: 1e60}", Pass, "100%").await;
    check(DECIMAL, "max: {at_most: 2.9e-1}", Pass, "0.29").await;
    check("(16)", "between: [0x10, 16]", Pass, "100%").await;
    check("(16)", "max: {equals: 0x10}", Pass, "16").await;
}

#[tokio::test]
async fn mean_at_a_bound_is_not_rounded() {
    // The mean is a third; as a double it equals the bound, which is a little more.
    let thirds = "(1), (0), (0)";
    check(
        thirds,
        "mean: {at_least: 0.333333333333333333334}",
        Fail,
        "0.333333",
    )
    .await;
    check(
        thirds,
        "mean: {at_most: 0.333333333333333333334}",
        Pass,
        "0.333333",
    )
    .await;
    check(
        "(9223372036854775807), (9223372036854775806)",
        "mean: {at_least: 9223372036854775806.5}",
        Pass,
        "9.223372036854776e18",
    )
    .await;
    check(
        "(9223372036854775807), (9223372036854775806)",
        "mean: {at_least: 9223372036854775806.6}",
        Fail,
        "9.223372036854776e18",
    )
    .await;
}

#[tokio::test]
async fn metric_beside_its_bound_never_reads_as_the_bound() {
    let sql = "SELECT CASE WHEN value <= 501 THEN NULL ELSE value END AS x FROM generate_series(1, 1000001)";
    let results = judge_sql(sql, "columns:\n  x: [not_null: {at_least: 99.95%}]\n").await;
    assert_eq!(results[0].verdict, Fail);
    assert_eq!(results[0].observed, "just below 99.95%", "{results:?}");
    let at = "(TIMESTAMP '2024-06-01T05:59:59.5')";
    check(at, "freshness: {at_most: 6h}", Fail, "just above 6h").await;
}

#[tokio::test]
async fn negative_zero_is_zero_in_verdict_and_samples() {
    let sql =
        "SELECT column1 AS x, column2 AS y FROM (VALUES ('-0.0'::double, 0.0), ('2'::double, 2.0))";
    let yaml = "key: x\ncolumns:\n  x: [{one_of: [0, 1]}, {one_of: [-0.0, 2]}, {compare: {operator: '=', column: y}}, {compare: {operator: '>=', column: y}}]\n";
    let results = judge_sql(sql, yaml).await;
    let bad: Vec<_> = results.iter().map(|result| result.bad_rows).collect();
    assert_eq!(bad, [Some(1), Some(0), Some(0), Some(0)], "{results:?}");
    assert_eq!(results[0].samples, [[("x".to_owned(), "2.0".to_owned())]]);
    check("('NaN'::double)", "one_of: [1]", Fail, "0%").await;
    check("(0.1::float)", "one_of: [0.1]", Pass, "100%").await;
}

#[tokio::test]
async fn infinity_of_few_bits_lies_beyond_every_finite_limit() {
    check("('inf'::float)", "between: {max: 1e300}", Fail, "0%").await;
    check("('-inf'::float)", "between: {min: -1e300}", Fail, "0%").await;
    check("('inf'::float)", "between: {max: .inf}", Pass, "100%").await;
}

#[tokio::test]
async fn numbers_that_would_be_rounded_are_not_compared() {
    let sql = "SELECT column1 AS x, column2 AS y FROM (VALUES (9007199254740993, 9007199254740992.0::double))";
    let yaml = "columns:\n  x: [compare: {operator: '=', column: y}]\n";
    let results = judge_sql(sql, yaml).await;
    assert_eq!(results[0].verdict, Error, "{results:?}");
    assert!(
        results[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("rounds")),
        "{results:?}"
    );
    let sql = "SELECT column1 AS x, column2 AS y FROM (VALUES (18446744073709551615, -1), (5, 5))";
    let results = judge_sql(
        sql,
        "columns:\n  x: [compare: {operator: '>=', column: y}]\n",
    )
    .await;
    assert_eq!(results[0].bad_rows, Some(0), "{results:?}");
}

#[tokio::test]
async fn times_are_compared_as_microseconds_in_utc() {
    let sql = "SELECT arrow_cast('9999-12-31T00:00:00', 'Timestamp(Microsecond, None)') AS x, \
                TIMESTAMP '2024-01-01T00:00:00' AS nanoseconds, \
                DATE '9999-12-31' AS d, \
                arrow_cast('2024-01-01T01:00:00', 'Timestamp(Microsecond, None)') AS naive, \
                arrow_cast('2024-01-01T01:00:00', 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))') AS berlin";
    let yaml = "columns:\n  x: [{compare: {operator: '>', column: nanoseconds}}, {not_null: {where: 'x > :commit_time'}}]\n  d: [{compare: {operator: '>', column: nanoseconds}}, {compare: {operator: '=', column: x}}]\n  berlin: [{compare: {operator: '<', column: naive}}]\n";
    for result in judge_sql(sql, yaml).await {
        assert_eq!(result.verdict, Pass, "{result:?}");
        assert_eq!(result.rows, Some(1), "{result:?}");
    }
    // Midnight of the commit's day in Berlin is ten at night in UTC.
    let sql = "SELECT arrow_cast('2024-06-01T13:59:59', 'Timestamp(Microsecond, Some(\"Europe/Berlin\"))') AS x";
    let results = judge_sql(
        sql,
        "columns:\n  x: [not_null: {where: 'x < :commit_time'}]\n",
    )
    .await;
    assert_eq!(results[0].rows, Some(1), "{results:?}");
}

#[tokio::test]
async fn dates_beyond_what_can_be_compared_are_named_and_spoil_nothing_else() {
    let sql = "SELECT arrow_cast(2147483647, 'Date32') AS x, 1 AS y";
    let yaml = "columns:\n  x: [{max: {at_least: 2020-01-01}}, {freshness: {at_most: 1h}}]\n  y: [not_null]\n";
    let results = judge_sql(sql, yaml).await;
    for result in &results[..2] {
        assert_eq!(result.verdict, Error, "{result:?}");
        let message = result.message.as_deref().unwrap_or_default();
        assert!(message.contains("outside the range"), "{result:?}");
    }
    assert_eq!(results[2].verdict, Pass, "{results:?}");
}

#[tokio::test]
async fn times_print_as_a_rule_file_writes_them() {
    let zoned = "(arrow_cast('2024-05-01T10:00:00.5', 'Timestamp(Microsecond, Some(\"UTC\"))'))";
    check(
        zoned,
        "max: {at_least: 2024-01-01}",
        Pass,
        "2024-05-01T10:00:00.500Z",
    )
    .await;
    check(
        "(TIMESTAMP '2024-05-01T10:00:00')",
        "max: {at_least: 2024-01-01}",
        Pass,
        "2024-05-01T10:00:00",
    )
    .await;
    let results = judge_sql(
        "SELECT TIMESTAMP '2024-06-01T10:00:00' AS x",
        "columns:\n  x: [freshness: {at_most: 3h}]\n",
    )
    .await;
    assert_eq!(
        results[0].message.as_deref(),
        Some("the newest value is 2024-06-01T10:00:00")
    );
    check(
        "('2024-01-01'), ('2023-01-01')",
        "max: {at_most: \"2024-01-01\"}",
        Pass,
        "2024-01-01",
    )
    .await;
    check(
        "(DATE '2024-01-01')",
        "max: {at_most: \"2024-01-01\"}",
        Pass,
        "2024-01-01",
    )
    .await;
}

#[tokio::test]
async fn column_of_nulls_passes_checks_of_single_rows() {
    for yaml in [
        "matches: a",
        "length: [1, 2]",
        "one_of: [a, b]",
        "between: [1, 2]",
    ] {
        check("(NULL), (NULL)", yaml, Pass, "100%").await;
    }
    let sql = "SELECT NULL AS customer_id, 1 AS y";
    let yaml = "columns:\n  customer_id: [{compare: {operator: '<', column: y}}]\n";
    assert_eq!(judge_sql(sql, yaml).await[0].verdict, Pass);
}

#[tokio::test]
async fn keys_of_other_types_are_looked_up_once_each() {
    let subject = orders().await;
    super::table(
        &subject.session,
        "customers",
        "SELECT arrow_cast(column1, 'Dictionary(Int32, Int64)') AS number, column2 AS price FROM (VALUES (10, 10.1), (11, 10.4))",
    )
    .await;
    let yaml = "columns:\n  customer_id: [exists_in: {table: silver.customers, column: number, bad_rows: quarantine}]\n";
    let results = judge_subject(&subject, yaml).await;
    assert_eq!(results[0].verdict, Pass, "{results:?}");
    let rows = subject
        .session
        .sql("SELECT * FROM silver.orders")
        .await
        .unwrap();
    let marked = crate::mark(&parse(yaml), &subject.session, rows, super::now())
        .await
        .unwrap();
    assert_eq!(marked.count().await.unwrap(), 4);
}

#[tokio::test]
async fn functions_that_change_are_refused_by_name() {
    for (condition, name) in [
        ("ordered_at < now()", "now"),
        ("ordered_at < current_timestamp", "now"),
        ("shipped_on < current_date", "current_date"),
        ("random() < 0.5", "random"),
        ("order_id = 1 OR uuid() <> status", "uuid"),
    ] {
        let yaml = format!("columns:\n  order_id: [not_null: {{where: {condition}}}]\n");
        let subject = orders().await;
        let suite = parse(&yaml);
        let problems = suite
            .validate(&subject.session, &subject.candidate.schema())
            .await;
        let expected = format!("a condition cannot call `{name}`");
        assert!(problems.to_string().contains(&expected), "{problems}");
        let results = judge_subject(&subject, &yaml).await;
        assert_eq!(results[0].verdict, Error, "{results:?}");
    }
}

#[tokio::test]
async fn overflow_and_infinities_are_told_apart() {
    let cases = [
        (
            "(1e308), (1e308)",
            "sum: {at_least: 0}",
            Error,
            "beyond the range",
        ),
        (
            "(1e308), (1e308)",
            "mean: {at_least: 0}",
            Error,
            "beyond the range",
        ),
        (
            "(1e200), (-1e200)",
            "stddev: {at_least: 0}",
            Error,
            "beyond the range",
        ),
        (
            "('inf'::double), ('-inf'::double)",
            "sum: {at_least: 0}",
            Fail,
            "infinity of either sign",
        ),
        (
            "('inf'::double), (1.0)",
            "stddev: {at_least: 0}",
            Fail,
            "an infinity among",
        ),
        (
            "('NaN'::double)",
            "max: {at_least: 0}",
            Fail,
            "there is NaN among",
        ),
    ];
    for (values, yaml, verdict, message) in cases {
        let sql = format!("SELECT column1 AS x FROM (VALUES {values})");
        let results = judge_sql(&sql, &format!("columns:\n  x: [{yaml}]\n")).await;
        assert_eq!(results[0].verdict, verdict, "{results:?}");
        assert!(
            results[0]
                .message
                .as_deref()
                .is_some_and(|m| m.contains(message)),
            "{results:?}"
        );
        assert_eq!(results[0].metric, None);
    }
}

#[tokio::test]
async fn samples_hold_the_key_and_nothing_without_one() {
    let yaml = "columns:\n  email: [not_null]\ntable_checks:\n  - sql: {expect: no_rows, query: SELECT * FROM silver.orders}\n";
    for result in judge_subject(&orders().await, yaml).await {
        assert_eq!(result.verdict, Fail);
        assert!(result.samples.is_empty(), "{result:?}");
    }
    let results = judge_subject(&orders().await, &format!("key: order_id\n{yaml}")).await;
    assert_eq!(
        results[0].samples,
        [[("order_id".to_owned(), "4".to_owned())]]
    );
    assert_eq!(results[1].samples.len(), 4);
}

#[tokio::test]
async fn decimals_of_all_digits_are_compared() {
    let sql = "SELECT arrow_cast('99999999999999999999999999999999999999', 'Decimal128(38, 0)') AS x, \
                      arrow_cast('1.25', 'Decimal128(12, 2)') AS y, 7 AS z";
    let yaml = "columns:\n  x: [{compare: {operator: '>', column: y}}, {max: {at_most: 99999999999999999999999999999999999998.5}}, {between: {max: 99999999999999999999999999999999999999.5}}]\n  y: [{compare: {operator: '<', column: z}}]\n";
    let verdicts: Vec<_> = judge_sql(sql, yaml)
        .await
        .into_iter()
        .map(|r| r.verdict)
        .collect();
    assert_eq!(verdicts, [Pass, Fail, Pass, Pass]);
}

#[tokio::test]
async fn nanoseconds_of_the_epoch_deviate_as_their_last_digits_do() {
    let of = |origin: &str| {
        format!(
            "SELECT {origin} + value * value AS x, value AS y FROM generate_series(0, 99) AS t(value)"
        )
    };
    let yaml = "columns: {x: [{variance: {at_least: 0}}, {stddev: {at_least: 0}}, {skewness: {at_least: 0}}, {kurtosis: {at_least: -2}}, {correlation: {with: y, at_least: 0}}]}";
    let metrics = async |origin: &str| -> Vec<f64> {
        let results = judge_sql(&of(origin), yaml).await;
        results
            .iter()
            .map(|result| result.metric.unwrap())
            .collect()
    };
    let near = metrics("0").await;
    for origin in [
        "1700000000000000000",
        "arrow_cast('1234567890123456789012345678', 'Decimal128(38, 4)')",
    ] {
        for (found, expected) in std::iter::zip(metrics(origin).await, &near) {
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs(),
                "{origin}: {found} {expected}"
            );
        }
    }
}

#[tokio::test]
async fn number_of_few_bits_is_compared_as_the_number_that_it_is() {
    // 32 bits hold 999999.625, and print it as 999999.6; 0.1 in 32 bits is more than 0.1.
    let large = "(999999.625::float), (0.5::float)";
    for (yaml, verdict, observed) in [
        ("max: {equals: 999999.625}", Pass, "999999.625"),
        ("max: {at_most: 999999.6}", Fail, "999999.625"),
        ("max: {at_least: 999999.62}", Pass, "999999.625"),
        ("range: {equals: 999999.125}", Pass, "999999.125"),
        (
            "quantile: {at: 1, method: exact, equals: 999999.625}",
            Pass,
            "999999.625",
        ),
        ("quantile: {at: 1, equals: 999999.625}", Pass, "999999.625"),
        ("between: {max: 999999.6}", Fail, "50%"),
        ("between: {min: 0.5, max: 999999.625}", Pass, "100%"),
        ("sum: {equals: 1000000.125}", Pass, "1000000.125"),
    ] {
        check(large, yaml, verdict, observed).await;
    }
    let tenth = "(0.1::float)";
    check(tenth, "max: {at_most: 0.1}", Fail, "just above 0.1").await;
    check(tenth, "min: {at_least: 0.1}", Pass, "0.1").await;
    check(tenth, "between: {max: 0.1}", Fail, "0%").await;
    check(tenth, "between: {min: 0.1, max: 0.10000001}", Pass, "100%").await;
    // What is listed is a value of the column's type.
    check(tenth, "one_of: [0.1]", Pass, "100%").await;
}
