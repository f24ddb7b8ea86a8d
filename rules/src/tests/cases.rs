//! What each kind says about rows: nulls, NaN, infinities, decimals, dates, nested types.

use super::{check, judge_sql};
use crate::Verdict::{Error, Fail, Pass, Warn};

const NAN: &str = "(1.0), ('NaN'::double), (2.0)";

#[tokio::test]
async fn not_null_counts_nulls_only() {
    check("(1), (NULL)", "not_null", Fail, "50%").await;
    check("(''), ('a')", "not_null", Pass, "100%").await;
    check("(1), (NULL)", "not_null: {at_least: 50%}", Pass, "50%").await;
    check("(1), (NULL)", "not_null: {severity: warn}", Warn, "50%").await;
    check("(1), (NULL)", "not_null: {where: x > 0}", Pass, "100%").await;
    check("(1)", "not_null: {where: x > 5}", Pass, "no rows to judge").await;
    check(NAN, "not_null", Pass, "100%").await;
    check("([1]), (NULL)", "not_null", Fail, "50%").await;
}

#[tokio::test]
async fn levels_decide_between_warn_and_fail() {
    let yaml = "completeness: {at_least: {warn: 90%, error: 50%}}";
    check("(1), (2)", yaml, Pass, "100%").await;
    check("(1), (NULL)", yaml, Warn, "50%").await;
    check("(1), (NULL), (NULL)", yaml, Fail, "33.33%").await;
    let yaml = "completeness: {warn: {at_least: 90%}, error: {at_least: 50%}}";
    check("(1), (NULL)", yaml, Warn, "50%").await;
}

#[tokio::test]
async fn between_takes_its_limits_and_refuses_nan() {
    check("(1), (2), (3)", "between: [1, 3]", Pass, "100%").await;
    check("(1), (2), (3)", "between: [1.5, 2.5]", Fail, "33.33%").await;
    check("(1), (NULL)", "between: {min: 2}", Fail, "50%").await;
    check(NAN, "between: {min: 0}", Fail, "66.67%").await;
    check(NAN, "between: {max: 9}", Fail, "66.67%").await;
    check("('inf'::double)", "between: {min: 0}", Pass, "100%").await;
    check("('inf'::double)", "between: {max: 1e300}", Fail, "0%").await;
    check("('-inf'::double)", "between: {min: 0}", Fail, "0%").await;
    check(
        "(9223372036854775807)",
        "between: {max: 9223372036854775806}",
        Fail,
        "0%",
    )
    .await;
    check(
        "(9223372036854775807)",
        "between: {max: 99999999999999999999}",
        Pass,
        "100%",
    )
    .await;
    check("(1)", "between: {min: 99999999999999999999}", Fail, "0%").await;
    check("(1)", "between: {min: .inf}", Fail, "0%").await;
    check("(1)", "between: {max: .inf}", Pass, "100%").await;
    check("(-5)", "between: {max: -.inf}", Fail, "0%").await;
    check(
        "(-1), (300)",
        "between: {min: -1.0, max: 3e2}",
        Pass,
        "100%",
    )
    .await;
    let decimal =
        "(arrow_cast('0.06', 'Decimal128(12, 2)')), (arrow_cast('0.07', 'Decimal128(12, 2)'))";
    check(decimal, "between: {max: 0.065}", Fail, "50%").await;
    check(decimal, "between: {min: 0.06, max: 0.07}", Pass, "100%").await;
    check(
        "(DATE '2024-01-01'), (DATE '2024-12-31')",
        "between: [2024-01-01, 2024-12-30]",
        Fail,
        "50%",
    )
    .await;
    check(
        "(TIMESTAMP '2024-06-01T12:00:00')",
        "between: {max: \":commit_time\"}",
        Pass,
        "100%",
    )
    .await;
    check(
        "(TIMESTAMP '2024-06-01T12:00:01')",
        "between: {max: \":commit_time\"}",
        Fail,
        "0%",
    )
    .await;
    check(
        "(TIMESTAMP '2024-06-01T12:00:01')",
        "between: {max: \"2024-06-01T14:00:00+02:00\"}",
        Fail,
        "0%",
    )
    .await;
    check("('a')", "between: [1, 3]", Error, "not evaluated").await;
    check("(1)", "between: {min: 2024-01-01}", Error, "not evaluated").await;
    check("([1])", "between: [1, 3]", Error, "not evaluated").await;
    check(
        "(DATE '2024-01-01')",
        "between: [1, 3]",
        Error,
        "not evaluated",
    )
    .await;
}

#[tokio::test]
async fn one_of_compares_exactly() {
    check("('a'), ('B'), (NULL)", "one_of: [a, b]", Fail, "66.67%").await;
    check(
        "('a text of more than twelve bytes')",
        "one_of: [a text of more than twelve bytes, x]",
        Pass,
        "100%",
    )
    .await;
    check(
        "('a text of more than twelve bytez')",
        "one_of: [a text of more than twelve bytes, x]",
        Fail,
        "0%",
    )
    .await;
    check("(arrow_cast('x', 'Utf8View')), (arrow_cast('a text of more than twelve bytes', 'Utf8View')), (arrow_cast('y', 'Utf8View'))",
        "one_of: [a text of more than twelve bytes, x]", Fail, "66.67%").await;
    check(
        "(arrow_cast('x', 'LargeUtf8')), (arrow_cast('y', 'LargeUtf8'))",
        "one_of: [x]",
        Fail,
        "50%",
    )
    .await;
    check("(arrow_cast('x', 'Dictionary(Int32, Utf8)')), (arrow_cast('y', 'Dictionary(Int32, Utf8)'))", "one_of: [x]", Fail, "50%").await;
    check("(1), (4)", "one_of: [1, 2]", Fail, "50%").await;
    check("(true), (NULL)", "one_of: [false]", Fail, "50%").await;
    check("(1.5), (2.0)", "one_of: [1.5, 2]", Pass, "100%").await;
    check("(DATE '2024-01-01')", "one_of: [2024-01-01]", Pass, "100%").await;
    check("(1)", "one_of: [1, a]", Error, "not evaluated").await;
    check("(1)", "one_of: [1.5]", Error, "not evaluated").await;
    check("([1])", "one_of: [1]", Error, "not evaluated").await;
    let many: Vec<String> = (0..40).map(|i| format!("v{i}")).collect();
    check(
        "('v39'), ('v40')",
        &format!("one_of: [{}]", many.join(", ")),
        Fail,
        "50%",
    )
    .await;
}

#[tokio::test]
async fn matches_and_length_look_at_text() {
    check("('abc'), ('xbz'), (NULL)", "matches: '^a'", Fail, "66.67%").await;
    check("('abc')", "matches: {pattern: b}", Pass, "100%").await;
    check("('abab'), ('abac')", "matches: '^(..)\\1$'", Fail, "50%").await;
    check("('ab'), ('ac')", "matches: 'a(?!c)'", Fail, "50%").await;
    check(
        "('a@b.co'), ('nobody')",
        "matches: {format: email}",
        Fail,
        "50%",
    )
    .await;
    check("(1)", "matches: '1'", Error, "not evaluated").await;
    check("('äöü'), ('abcd')", "length: [3, 3]", Fail, "50%").await;
    check("(''), (NULL)", "length: {min: 1}", Fail, "50%").await;
    check("('日本語日本語')", "length: {max: 6}", Pass, "100%").await;
    check("(1)", "length: {max: 6}", Error, "not evaluated").await;
}

#[tokio::test]
async fn formats_mean_the_whole_text_or_a_part_of_it() {
    let card = "('4111-1111-1111-1111'), ('My card is 4111-1111-1111-1111.'), ('4111-1111-1111-1112'), (NULL)";
    check(card, "matches: {format: credit_card}", Fail, "50%").await;
    let anywhere = "matches: {format: credit_card, anywhere: true}";
    check(card, anywhere, Fail, "75%").await;
    let none = "matches: {format: credit_card, anywhere: true, at_most: 0%, where: x IS NOT NULL}";
    check(card, none, Fail, "66.67%").await;
    check("('no card')", none, Pass, "0%").await;
    check(
        "('no card'), (NULL)",
        "matches: {format: us_ssn}",
        Fail,
        "50%",
    )
    .await;
    check(
        "(1)",
        "matches: {format: us_ssn, anywhere: true}",
        Error,
        "not evaluated",
    )
    .await;
    let views =
        "(arrow_cast('SSN 111-05-1130', 'Utf8View')), (arrow_cast('111-05-1130', 'Utf8View'))";
    check(views, "matches: {format: us_ssn}", Fail, "50%").await;
    check(
        views,
        "matches: {format: us_ssn, anywhere: true}",
        Pass,
        "100%",
    )
    .await;
}

#[tokio::test]
async fn dates_and_numbers_are_spelled_as_wanted() {
    let dates = "('31.12.2024'), ('2024-12-31'), ('31.11.2024'), (NULL)";
    check(dates, "date_format: '%d.%m.%Y'", Fail, "50%").await;
    check(dates, "date_format: ['%d.%m.%Y', '%Y-%m-%d']", Fail, "75%").await;
    check("(''), (NULL)", "date_format: '%F'", Fail, "50%").await;
    check(
        "(DATE '2024-12-31')",
        "date_format: '%d.%m.%Y'",
        Error,
        "not evaluated",
    )
    .await;
    check("(NULL)", "date_format: '%d.%m.%Y'", Pass, "100%").await;
    let numbers = "('1.234,56'), ('1234.56'), (''), (NULL)";
    check(numbers, "number_format", Fail, "50%").await;
    let german = "number_format: {decimal_point: ',', thousands_separator: '.', decimals: 2}";
    check(numbers, german, Fail, "50%").await;
    check("(1)", "number_format", Error, "not evaluated").await;
}

#[tokio::test]
async fn implication_judges_where_its_condition_is_true() {
    let rows = "(1), (2), (3), (NULL)";
    check(rows, "implies: {when: x > 1, then: x > 2}", Fail, "75%").await;
    check(
        rows,
        "implies: {when: x > 1, then: x > 2, where: x > 1}",
        Fail,
        "50%",
    )
    .await;
    check(rows, "implies: {when: x > 5, then: x > 9}", Pass, "100%").await;
    check(
        rows,
        "implies: {when: x = 1, then: 'NULL::boolean'}",
        Fail,
        "75%",
    )
    .await;
    check(
        rows,
        "implies: {when: 'NULL::boolean', then: 1 = 2}",
        Pass,
        "100%",
    )
    .await;
    // What stands behind `then` is computed only where the condition is true.
    check(
        "(0), (2)",
        "implies: {when: x > 0, then: 2 / x = 1}",
        Pass,
        "100%",
    )
    .await;
    check(
        rows,
        "implies: {when: y > 0, then: x = 1}",
        Error,
        "not evaluated",
    )
    .await;
    check(
        rows,
        "implies: {when: x > 0, then: x}",
        Error,
        "not evaluated",
    )
    .await;
    check(
        "(1)",
        "implies: {when: x > 0, then: x > 9, where: x > 5}",
        Pass,
        "no rows to judge",
    )
    .await;
}

#[tokio::test]
async fn primary_key_is_unique_and_has_no_nulls() {
    check("(1), (2)", "primary_key", Pass, "100%").await;
    check("(1), (1), (2), (NULL)", "primary_key", Fail, "25%").await;
    check(
        "(1), (1), (2), (NULL)",
        "primary_key: {where: x > 1}",
        Pass,
        "100%",
    )
    .await;
    check("(NULL::int), (NULL::int)", "primary_key", Fail, "0%").await;
    check(
        "(1)",
        "primary_key: {where: x > 1}",
        Pass,
        "no rows to judge",
    )
    .await;
    let sql = "SELECT column1 AS a, column2 AS b FROM (VALUES (1, NULL), (1, NULL), (1, 2), (1, 2), (1, 3), (NULL, NULL))";
    let yaml = "key: [a, b]\ntable_checks:\n  - primary_key: [a, b]\n  - primary_key: [a, c]\n";
    let results = judge_sql(sql, yaml).await;
    assert_eq!((results[0].bad_rows, results[0].rows), (Some(5), Some(6)));
    assert_eq!(results[0].samples.len(), 5);
    assert_eq!(results[1].verdict, Error);
}

#[tokio::test]
async fn repeated_patterns_agree_with_single_ones() {
    let sql = "SELECT CASE WHEN value % 3 = 0 THEN 'abc' ELSE 'xyz' END AS x FROM generate_series(1, 3000)";
    let results = judge_sql(sql, "columns:\n  x:\n    - matches: '^a'\n").await;
    assert_eq!(results[0].bad_rows, Some(2000));
    let sql = "SELECT value::varchar AS x FROM generate_series(1, 3000)";
    let results = judge_sql(sql, "columns:\n  x:\n    - matches: '7$'\n").await;
    assert_eq!(results[0].bad_rows, Some(2700));
}

#[tokio::test]
async fn compare_lets_nulls_pass_and_refuses_nan() {
    let cases = [
        ("(1, 2), (2, 2), (3, 2), (NULL, 1)", "<=", 1),
        ("(1, 2), (2, 2), (3, 2), (NULL, 1)", "=", 2),
        ("(1, 2), (2, 2), (3, 2), (NULL, 1)", "<>", 1),
        (
            "(1.0, 'NaN'::double), ('NaN'::double, 1.0), ('NaN'::double, NULL)",
            "<",
            2,
        ),
        (
            "(1.0, 'NaN'::double), ('NaN'::double, 1.0), ('NaN'::double, NULL)",
            ">=",
            2,
        ),
        ("(1.0, 'NaN'::double)", "<>", 0),
        (
            "(DATE '2024-01-01', TIMESTAMP '2024-01-01T00:00:01')",
            "<",
            0,
        ),
        ("(1, 2::smallint)", "<", 0),
        ("(1::int, 1.5)", "<", 0),
    ];
    for (values, operator, bad) in cases {
        let sql = format!("SELECT column1 AS x, column2 AS y FROM (VALUES {values})");
        let yaml = format!("columns:\n  x: [compare: {{operator: '{operator}', column: y}}]\n");
        let results = judge_sql(&sql, &yaml).await;
        assert_eq!(
            results[0].bad_rows,
            Some(bad),
            "{values} {operator} {results:?}"
        );
    }
    let results = judge_sql(
        "SELECT 1 AS x, 'a' AS y",
        "columns:\n  x: [compare: {operator: '=', column: y}]\n",
    )
    .await;
    assert_eq!(results[0].verdict, Error);
}

#[tokio::test]
async fn unique_finds_every_copy() {
    check("(1), (1), (2), (NULL), (NULL)", "unique", Fail, "60%").await;
    check("('a'), ('b')", "unique", Pass, "100%").await;
    check("(1), (1), (2)", "unique: {where: x > 1}", Pass, "100%").await;
    let sql = "SELECT column1 AS a, column2 AS b FROM (VALUES (1, NULL), (1, NULL), (1, 2), (NULL, NULL), (NULL, NULL))";
    let results = judge_sql(sql, "key: [a, b]\ntable_checks:\n  - unique_key: [a, b]\n").await;
    assert_eq!((results[0].bad_rows, results[0].rows), (Some(2), Some(5)));
    let key = |a: &str, b: &str| {
        vec![
            ("a".to_owned(), a.to_owned()),
            ("b".to_owned(), b.to_owned()),
        ]
    };
    assert_eq!(results[0].samples, vec![key("1", "null"), key("1", "null")]);
}

#[tokio::test]
async fn distinct_counts_or_shares() {
    check("(1), (1), (2), (NULL)", "distinct: {equals: 2}", Pass, "2").await;
    check(
        "(1), (1), (2), (NULL)",
        "distinct: {at_least: 70%}",
        Fail,
        "66.67%",
    )
    .await;
    check("(1), (NULL)", "distinct: {at_most: 0}", Fail, "1").await;
    check(
        "(1)",
        "distinct: {at_least: 50%, at_most: 5}",
        Error,
        "not evaluated",
    )
    .await;
}

#[tokio::test]
async fn extremes_are_of_any_ordered_type() {
    check("(3), (1), (NULL)", "min: {at_least: 1}", Pass, "1").await;
    check("(3), (1)", "max: {at_most: 2}", Fail, "3").await;
    check("('b'), ('a')", "min: {equals: a}", Pass, "a").await;
    check(
        "(DATE '2024-01-02')",
        "max: {at_most: 2024-01-01}",
        Fail,
        "2024-01-02",
    )
    .await;
    check(
        "(DATE '2024-01-02')",
        "max: {at_least: 5}",
        Error,
        "not evaluated",
    )
    .await;
    check(NAN, "min: {at_least: 0}", Fail, "NaN").await;
    check(NAN, "max: {at_most: 9}", Fail, "NaN").await;
    check("('inf'::double), (1.0)", "max: {at_least: 9}", Pass, "inf").await;
    check("(NULL::int)", "max: {at_least: 0}", Error, "not evaluated").await;
    check(
        "(1)",
        "max: {at_least: 0, where: x > 1}",
        Error,
        "not evaluated",
    )
    .await;
    check("([1])", "max: {at_least: 0}", Error, "not evaluated").await;
    check("(true)", "max: {at_least: 0}", Error, "not evaluated").await;
    check(
        "(arrow_cast('1.50', 'Decimal128(12, 2)'))",
        "max: {equals: 1.5}",
        Pass,
        "1.5",
    )
    .await;
    check(
        "(arrow_cast(18446744073709551615, 'UInt64'))",
        "max: {equals: 18446744073709551615}",
        Pass,
        "18446744073709551615",
    )
    .await;
    check("(arrow_cast('b', 'Dictionary(Int32, Utf8)')), (arrow_cast('a', 'Dictionary(Int32, Utf8)'))", "min: {equals: a}", Pass, "a").await;
    check(
        "(arrow_cast('b', 'Utf8View')), (arrow_cast('a', 'Utf8View'))",
        "max: {equals: b}",
        Pass,
        "b",
    )
    .await;
}

#[tokio::test]
async fn sums_and_means_are_exact_or_an_error() {
    check(
        "(9223372036854775807), (9223372036854775807)",
        "sum: {equals: 18446744073709551614}",
        Pass,
        "18446744073709551614",
    )
    .await;
    check(
        "(9223372036854775807), (9223372036854775805)",
        "mean: {equals: 9223372036854775806}",
        Pass,
        "9223372036854775806",
    )
    .await;
    check("(1), (2), (NULL)", "mean: {equals: 1.5}", Pass, "1.5").await;
    check(
        "(arrow_cast('0.10', 'Decimal128(12, 2)')), (arrow_cast('0.20', 'Decimal128(12, 2)'))",
        "sum: {equals: 0.3}",
        Pass,
        "0.3",
    )
    .await;
    let big = "(arrow_cast('99999999999999999999999999999999999999', 'Decimal128(38, 0)')), (arrow_cast('99999999999999999999999999999999999999', 'Decimal128(38, 0)'))";
    check(big, "sum: {at_least: 0}", Error, "not evaluated").await;
    check(big, "mean: {at_least: 0}", Error, "not evaluated").await;
    check("(1e100), (1.0), (-1e100)", "sum: {equals: 1}", Pass, "1").await;
    check(
        "(0.1), (0.2), (0.3), (0.4), (0.5), (0.6), (0.7), (0.8), (0.9), (1.0)",
        "sum: {equals: 5.5}",
        Pass,
        "5.5",
    )
    .await;
    check("('inf'::double), (1.0)", "sum: {at_least: 0}", Pass, "inf").await;
    check(
        "('inf'::double), ('-inf'::double)",
        "sum: {at_least: 0}",
        Fail,
        "NaN",
    )
    .await;
    check(NAN, "mean: {at_least: 0}", Fail, "NaN").await;
    check("('a')", "mean: {at_least: 0}", Error, "not evaluated").await;
    check("(NULL::int)", "sum: {at_least: 0}", Error, "not evaluated").await;
    check(
        "(2), (4), (4), (4), (5), (5), (7), (9)",
        "stddev: {equals: 2}",
        Pass,
        "2",
    )
    .await;
    check("(7)", "stddev: {equals: 0}", Pass, "0").await;
    check("(NULL::int)", "stddev: {equals: 0}", Error, "not evaluated").await;
    check(NAN, "stddev: {at_least: 0}", Fail, "NaN").await;
    // Near 1e9 the squares have no digits left for the deviation; its own formula has.
    check(
        "(1000000004), (1000000007), (1000000013), (1000000016)",
        "stddev: {between: [4.743, 4.744]}",
        Pass,
        "4.743416",
    )
    .await;
}

#[tokio::test]
async fn freshness_is_the_age_at_the_commit() {
    let at = "(TIMESTAMP '2024-06-01T06:00:00'), (NULL)";
    check(at, "freshness: {at_most: 6h}", Pass, "6h").await;
    check(at, "freshness: {at_most: 5h 59m}", Fail, "6h").await;
    check(
        "(DATE '2024-05-31')",
        "freshness: {at_most: 1d}",
        Fail,
        "1day 12h",
    )
    .await;
    check(
        "(TIMESTAMP '2024-06-01T13:00:00')",
        "freshness: {at_most: 1h}",
        Pass,
        "1h in the future",
    )
    .await;
    check(
        "(NULL::timestamp)",
        "freshness: {at_most: 1h}",
        Error,
        "not evaluated",
    )
    .await;
    check("(1)", "freshness: {at_most: 1h}", Error, "not evaluated").await;
}

#[tokio::test]
async fn rows_are_counted_and_compared_with_the_version_before() {
    use crate::Previous;
    let yaml =
        "table_checks:\n  - row_count: {versus: previous, change: {warn: 15%, error: 30%}}\n";
    let cases = [
        (None, Pass),
        (Some(0), Pass),
        (Some(4), Pass),
        (Some(5), Warn),
        (Some(6), Fail),
        (Some(3), Fail),
    ];
    for (before, verdict) in cases {
        let mut subject = super::orders().await;
        subject.previous = before.map(|row_count| Previous {
            version: 7,
            row_count,
        });
        let results = super::judge_subject(&subject, yaml).await;
        assert_eq!(results[0].verdict, verdict, "{before:?} {results:?}");
    }
    let yaml = "table_checks:\n  - row_count: {equals: 4}\n  - row_count: {at_most: 2, where: order_id > 2}\n  - row_count: {at_least: 5}\n";
    let results = super::judge_subject(&super::orders().await, yaml).await;
    let verdicts: Vec<_> = results.iter().map(|r| (r.id.as_str(), r.verdict)).collect();
    assert_eq!(
        verdicts,
        [
            ("row_count", Pass),
            ("row_count#2", Pass),
            ("row_count#3", Fail)
        ]
    );
}

#[tokio::test]
async fn exists_in_lets_nulls_pass() {
    let cases = [
        (
            "columns:\n  customer_id: [exists_in: {table: silver.customers}]\n",
            Some(0),
        ),
        (
            "columns:\n  customer_id: [exists_in: {table: silver.customers, table_where: customer_id <> 10}]\n",
            Some(2),
        ),
        (
            "columns:\n  customer_id: [exists_in: {table: silver.customers, table_where: customer_id <> 10, where: order_id > 1}]\n",
            Some(1),
        ),
        (
            "table_checks:\n  - exists_in: {table: silver.customers, columns: [customer_id, status], table_columns: [customer_id, country]}\n",
            Some(3),
        ),
        (
            "columns:\n  line_no: [exists_in: {table: silver.customers, column: country}]\n",
            None,
        ),
        (
            "columns:\n  line_no: [exists_in: {table: silver.nothing}]\n",
            None,
        ),
    ];
    for (yaml, bad) in cases {
        let results =
            super::judge_subject(&super::orders().await, &format!("key: order_id\n{yaml}")).await;
        assert_eq!(results[0].bad_rows, bad, "{yaml} {results:?}");
        assert_eq!(
            results[0].samples.len() as u64,
            bad.unwrap_or(0),
            "{results:?}"
        );
        assert_eq!(results[0].verdict == Error, bad.is_none());
    }
}

#[tokio::test]
async fn queries_judge_by_rows_or_truth() {
    let cases = [
        (
            "no_rows",
            "SELECT order_id FROM silver.orders WHERE amount < 0",
            Pass,
        ),
        (
            "no_rows",
            "SELECT order_id FROM silver.orders WHERE amount < 50",
            Fail,
        ),
        (
            "no_rows",
            "SELECT 1 FROM silver.orders WHERE updated_at > :commit_time",
            Pass,
        ),
        ("true", "SELECT count(*) = 4 FROM silver.orders", Pass),
        ("true", "SELECT count(*) = 5 FROM silver.orders", Fail),
        ("true", "SELECT CAST(NULL AS boolean)", Fail),
        ("true", "SELECT true FROM silver.orders", Error),
        ("true", "SELECT true WHERE false", Error),
        ("true", "SELECT 1", Error),
        (
            "no_rows",
            "SELECT 1/0 FROM silver.orders WHERE order_id / (order_id - 1) > 0",
            Error,
        ),
    ];
    for (expect, query, verdict) in cases {
        let yaml = format!(
            "key: order_id\ntable_checks:\n  - sql: {{expect: {expect}, query: \"{query}\"}}\n"
        );
        let results = super::judge_subject(&super::orders().await, &yaml).await;
        assert_eq!(results[0].verdict, verdict, "{query} {results:?}");
        if expect == "no_rows" && verdict == Fail {
            assert_eq!(results[0].bad_rows, Some(2));
            assert_eq!(results[0].samples.len(), 2);
        }
    }
}

#[tokio::test]
async fn conditions_compare_times_as_queries_do() {
    for (condition, verdict) in [
        ("updated_at < '9999-12-31'", Pass),
        ("updated_at < DATE '9999-12-31'", Pass),
        ("updated_at BETWEEN '0001-01-01' AND '9999-12-31'", Pass),
        ("ordered_at < TIMESTAMP '9999-12-31 00:00:00'", Pass),
        (":commit_time - updated_at > INTERVAL '1 day'", Pass),
        (":commit_time - updated_at < INTERVAL '1 day'", Fail),
        (":commit_time - updated_at < INTERVAL '1 month'", Error),
    ] {
        let yaml = format!(
            "key: order_id\ncolumns: {{updated_at: [not_null: {{where: \"{condition}\"}}]}}\ntable_checks: [satisfies: \"{condition}\"]\n"
        );
        let results = super::judge_subject(&super::orders().await, &yaml).await;
        let verdicts: Vec<_> = results.iter().map(|result| result.verdict).collect();
        let of_where = if verdict == Error { Error } else { Pass };
        assert_eq!(verdicts, [of_where, verdict], "{condition} {results:?}");
    }
}

#[tokio::test]
async fn schema_names_each_difference() {
    let yaml = "schema:\n  mode: exact\n  columns: {order_id: string, line: bigint, amount: 'decimal(12,2)'}\n";
    let results = super::judge_subject(&super::orders().await, yaml).await;
    assert_eq!(results[0].verdict, Fail);
    let message = results[0].message.as_deref().unwrap();
    assert!(
        message.starts_with("column `order_id` is bigint, wanted string; column `line` is missing"),
        "{message}"
    );
    assert!(
        message.contains("column `status` is not wanted"),
        "{message}"
    );
    let yaml = "schema: {columns: {order_id: bigint, updated_at: timestamp, shipped_on: date}}\n";
    let results = super::judge_subject(&super::orders().await, yaml).await;
    assert_eq!(results[0].verdict, Pass);
}

#[tokio::test]
async fn moments_of_higher_order_are_those_of_the_population() {
    let values = "(1), (2), (3), (4), (10)";
    check(values, "variance: {at_most: 10}", Pass, "10").await;
    check(values, "range: {equals: 9}", Pass, "9").await;
    check("(0.25), (0.75)", "range: {at_least: 0.5}", Pass, "0.5").await;
    check("(7)", "skewness: {equals: 0}", Pass, "0").await;
    check(
        "(1), (2), (3)",
        "skewness: {between: [-1e-9, 1e-9]}",
        Pass,
        "0",
    )
    .await;
    check(
        "(1), (2), (3)",
        "kurtosis: {between: [-1.51, -1.49]}",
        Pass,
        "-1.5",
    )
    .await;
    for kind in ["variance", "range", "skewness", "kurtosis", "zeros"] {
        let text = format!("{kind}: {{at_least: 0}}");
        check("('a')", &text, Error, "not evaluated").await;
    }
    for kind in ["variance", "range", "skewness", "kurtosis"] {
        let text = format!("{kind}: {{at_least: 0}}");
        check("(NULL::int)", &text, Error, "not evaluated").await;
    }
}

#[tokio::test]
async fn zeros_are_counted_whatever_their_sign() {
    check("(0), (1), (NULL)", "zeros: {equals: 1}", Pass, "1").await;
    let signed = "(0.0::double), ('-0.0'::double), ('NaN'::double)";
    check(signed, "zeros: {equals: 2}", Pass, "2").await;
    check("(NULL::int)", "zeros: {equals: 0}", Pass, "0").await;
}

#[tokio::test]
async fn lengths_are_in_characters() {
    let values = "('ä'), ('abc'), (NULL)";
    check(values, "min_length: {at_least: 1}", Pass, "1").await;
    check(values, "max_length: {at_most: 3}", Pass, "3").await;
    check(values, "mean_length: {equals: 2}", Pass, "2").await;
    check("(1)", "max_length: {at_most: 3}", Error, "not evaluated").await;
    check(
        "(NULL::text)",
        "max_length: {at_most: 3}",
        Error,
        "not evaluated",
    )
    .await;
}

#[tokio::test]
async fn groups_of_equal_values_give_shares() {
    let values = "('a'), ('a'), ('b'), (NULL)";
    check(values, "uniqueness: {at_least: 0%}", Pass, "33.33%").await;
    check(values, "distinctness: {at_least: 0%}", Pass, "66.67%").await;
    check(values, "unique_value_ratio: {at_least: 0%}", Pass, "50%").await;
    check(values, "duplicate_rows: {at_most: 2}", Pass, "2").await;
    check(
        "('a'), ('b')",
        "entropy: {between: [0.69, 0.7]}",
        Pass,
        "0.693147",
    )
    .await;
    check(
        "(NULL::text)",
        "entropy: {at_least: 0}",
        Error,
        "not evaluated",
    )
    .await;
    check(
        "(NULL::text)",
        "uniqueness: {at_least: 0%}",
        Pass,
        "no values to judge",
    )
    .await;
}

#[tokio::test]
async fn a_quantile_is_a_value_or_lies_between_two() {
    let values = "(1), (2), (3), (4), (5), (6)";
    check(values, "quantile: {at: 0.5, equals: 3}", Pass, "3").await;
    check(
        values,
        "quantile: {at: 50%, method: exact, equals: 3.5}",
        Pass,
        "3.5",
    )
    .await;
    check(
        values,
        "quantile: {at: 0, method: exact, equals: 1}",
        Pass,
        "1",
    )
    .await;
    check(
        values,
        "quantile: {at: 1, method: exact, equals: 6}",
        Pass,
        "6",
    )
    .await;
    check(
        values,
        "interquartile_range: {method: exact, equals: 2.5}",
        Pass,
        "2.5",
    )
    .await;
    check(values, "interquartile_range: {equals: 3}", Pass, "3").await;
    let decimals =
        "(arrow_cast('0.10', 'Decimal128(12, 2)')), (arrow_cast('0.20', 'Decimal128(12, 2)'))";
    check(
        decimals,
        "quantile: {at: 1, method: exact, equals: 0.2}",
        Pass,
        "0.2",
    )
    .await;
    for method in ["exact", "approximate"] {
        let yaml = format!("quantile: {{at: 0.5, method: {method}, at_least: 0}}");
        check(NAN, &yaml, Fail, "NaN").await;
        check("(NULL::int)", &yaml, Error, "not evaluated").await;
        check("('a')", &yaml, Error, "not evaluated").await;
        check("([1])", &yaml, Error, "not evaluated").await;
        check("(NULL), (7)", &yaml, Pass, "7").await;
    }
}

#[tokio::test]
async fn distinct_values_are_sketched_whatever_their_type() {
    let approx = "approx_distinct: {at_least: 0}";
    check("(1), (1), (2), (NULL)", approx, Pass, "2").await;
    check("('a'), ('b'), ('a')", approx, Pass, "2").await;
    check("(true), (false), (true)", approx, Pass, "2").await;
    check(
        "(0.0::double), ('-0.0'::double), ('NaN'::double), ('NaN'::double)",
        approx,
        Pass,
        "2",
    )
    .await;
    check(
        "(DATE '2024-01-01'), (DATE '2024-01-02')",
        approx,
        Pass,
        "2",
    )
    .await;
    check(
        "(arrow_cast('0.10', 'Decimal128(12, 2)'))",
        approx,
        Pass,
        "1",
    )
    .await;
    check("(arrow_cast('a', 'Dictionary(Int32, Utf8)')), (arrow_cast('b', 'Dictionary(Int32, Utf8)'))", approx, Pass, "2").await;
    check("(arrow_cast('a', 'LargeBinary'))", approx, Pass, "1").await;
    check("(NULL::int)", approx, Pass, "0").await;
    check("([1])", approx, Error, "not evaluated").await;
}

#[tokio::test]
async fn values_look_like_types() {
    let values = "('1'), ('1.5'), ('true'), ('x'), (NULL)";
    check(
        values,
        "data_type: {is: integral, at_least: 0%}",
        Pass,
        "40%",
    )
    .await;
    check(
        values,
        "data_type: {is: numeric, at_least: 0%}",
        Pass,
        "60%",
    )
    .await;
    check(
        values,
        "data_type: {is: boolean, at_least: 0%}",
        Pass,
        "40%",
    )
    .await;
    check(values, "data_type: {is: text, at_least: 0%}", Pass, "40%").await;
    check("(1), (2)", "data_type: integral", Pass, "100%").await;
    check(
        "(1.5::double), ('NaN'::double)",
        "data_type: fractional",
        Fail,
        "50%",
    )
    .await;
    check("(true)", "data_type: boolean", Pass, "100%").await;
    check(
        "(arrow_cast('1', 'Dictionary(Int32, Utf8)'))",
        "data_type: integral",
        Pass,
        "100%",
    )
    .await;
}

#[tokio::test]
async fn a_distribution_is_compared_with_given_shares() {
    let values = "('a'), ('a'), ('b'), ('b'), (NULL)";
    let even = "shares: {a: 50%, b: 50%}";
    check(
        values,
        &format!("distribution: {{{even}, at_most: 0}}"),
        Pass,
        "0",
    )
    .await;
    let l_infinity = |shares: &str| {
        format!("distribution: {{shares: {shares}, distance: l_infinity, at_most: 0.3}}")
    };
    check(values, &l_infinity("{a: 3, b: 1}"), Pass, "0.25").await;
    check(values, &l_infinity("{a: 1}"), Fail, "0.5").await;
    let binned = |edges: &str, shares: &str| {
        format!(
            "distribution: {{edges: {edges}, shares: {shares}, distance: l_infinity, at_most: 0}}"
        )
    };
    let numbers = "(0), (4), (5), (10), (NULL)";
    check(numbers, &binned("[0, 5, 10]", "[50%, 50%]"), Pass, "0").await;
    check(numbers, &binned("[0, 5, 9]", "[2, 1]"), Fail, "0.25").await;
    check(
        "(NULL::int)",
        &binned("[0, 5]", "[1]"),
        Pass,
        "no values to compare",
    )
    .await;
    check("('a')", &binned("[0, 5]", "[1]"), Error, "not evaluated").await;
    check(
        values,
        "distribution: {versus: previous, at_most: 0}",
        Pass,
        "no published version to compare with",
    )
    .await;
}

#[tokio::test]
async fn a_distribution_is_compared_with_the_published_version() {
    let session = super::session();
    let before = super::table(
        &session,
        "before",
        "SELECT column1 AS x FROM (VALUES (1), (1), (2))",
    )
    .await;
    let now = super::table(
        &session,
        "orders",
        "SELECT column1 AS x FROM (VALUES (1), (2), (2))",
    )
    .await;
    let mut subject = super::subject(&session, now);
    subject.baseline = Some(before);
    let yaml = "columns:
  x:
    - distribution: {name: values, versus: previous, distance: l_infinity, at_most: 0.5}
    - distribution: {name: bins, versus: previous, edges: [0, 2, 3], distance: l_infinity, at_most: 0.5}
";
    for check in super::judge_subject(&subject, yaml).await {
        assert_eq!(
            (check.verdict, check.observed.as_str()),
            (Pass, "0.333333"),
            "{check:?}"
        );
    }
}

#[tokio::test]
async fn information_is_of_rows_without_nulls() {
    let yaml = "columns:\n  x:\n    - mutual_information: {with: y, at_least: 0}\n";
    let of = async |rows: &str| {
        let sql = format!("SELECT column1 AS x, column2 AS y FROM (VALUES {rows})");
        super::judge_sql(&sql, yaml).await.remove(0)
    };
    let known = of("('a', 1), ('b', 2), ('c', NULL)").await;
    assert!(
        (known.metric.unwrap() - 2.0_f64.ln()).abs() < 1e-12,
        "{known:?}"
    );
    let independent = of("('a', 1), ('a', 2), ('b', 1), ('b', 2)").await;
    assert!(independent.metric.unwrap().abs() < 1e-12, "{independent:?}");
    assert_eq!(of("('a', NULL), (NULL, 1)").await.verdict, Error);
}

#[tokio::test]
async fn a_metric_of_sql_is_one_number() {
    let of = async |query: &str| {
        let yaml = format!("table_checks:\n  - sql_metric: {{at_least: 0, query: \"{query}\"}}\n");
        let check = super::judge_sql("SELECT 1 AS x", &yaml).await.remove(0);
        (check.verdict, check.observed)
    };
    assert_eq!(
        of("SELECT count(*) + 0.5 FROM silver.orders").await,
        (Pass, "1.5".to_owned())
    );
    for wrong in [
        "SELECT 1, 2",
        "SELECT 'a'",
        "SELECT x FROM silver.orders WHERE x > 5",
        "SELECT * FROM (VALUES (1), (2))",
        "SELECT NULL::int",
    ] {
        assert_eq!(of(wrong).await.0, Error, "{wrong}");
    }
}

#[tokio::test]
async fn a_name_in_a_condition_means_the_column_that_is_spelt_like_it() {
    let filtered = async |filter: &str, sql: &str| {
        let yaml = format!("table_checks:\n  - row_count: {{at_least: 0, where: '{filter}'}}\n");
        super::judge_sql(sql, &yaml).await.remove(0)
    };
    let one = "SELECT 1 AS \"orderId\"";
    for filter in ["orderId = 1", "ORDERID = 1", "\"orderId\" = 1"] {
        assert_eq!(filtered(filter, one).await.observed, "1", "{filter}");
    }
    assert_eq!(filtered("\"orderid\" = 1", one).await.verdict, Error);
    let two = "SELECT 1 AS \"a\", 2 AS \"A\"";
    assert_eq!(filtered("A = 1", two).await.observed, "1");
    assert_eq!(filtered("\"A\" = 2", two).await.observed, "1");
}

#[tokio::test]
async fn equal_values_do_not_deviate() {
    // 0.1 and 19.99 have no exact mean when they are added up.
    for (value, rows) in [("0.1", 3), ("19.99", 20_000)] {
        let sql = format!(
            "SELECT CAST({value} AS DOUBLE) AS x, CAST(value AS DOUBLE) AS y, CAST({value} AS DOUBLE) AS z FROM generate_series(1, {rows})"
        );
        let yaml = "columns:
  x:
    - variance: {equals: 0}
    - stddev: {equals: 0}
    - skewness: {equals: 0}
    - kurtosis: {equals: 0}
    - correlation: {name: constant, with: z, between: [-1, 1]}
    - correlation: {name: varying, with: y, between: [-1, 1]}
";
        let found = super::judge_sql(&sql, yaml).await;
        for check in &found[..4] {
            assert_eq!(check.verdict, Pass, "{check:?}");
        }
        for check in &found[4..] {
            assert_eq!(
                (check.verdict, check.observed.as_str()),
                (Fail, "NaN"),
                "{check:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_test_of_likelihood_wants_to_be_likely() {
    let of = |threshold: &str, shares: &str| {
        format!("distribution: {{shares: {shares}, distance: chi_square, {threshold}}}")
    };
    let values = vec!["('b')"; 100].join(", ");
    let rare = "{a: 95%, b: 5%}";
    check(&values, &of("at_least: 0.01", rare), Error, "not evaluated").await;
    check(&values, &of("at_least: 0.01", "{b: 1}"), Pass, "1").await;
    check(&values, &of("at_least: 0.01", "{a: 1}"), Fail, "0").await;
    check(
        &values,
        &of("at_most: 0.01", "{b: 1}"),
        Error,
        "not evaluated",
    )
    .await;
}

#[tokio::test]
async fn an_aggregate_finds_columns_in_any_case() {
    let yaml = "table_checks:
  - aggregate_match: {expression: sum(orderId), table: silver.orders, table_expression: sum(ORDERID)}
";
    let found = super::judge_sql("SELECT 1 AS \"orderId\"", yaml).await;
    assert_eq!(found[0].verdict, Pass, "{found:?}");
}

#[tokio::test]
async fn infinities_have_quantiles_and_no_difference() {
    let all = "('inf'::double), ('inf'::double)";
    let ends = "('-inf'::double), (1.0::double), (2.0::double), (3.0::double), ('inf'::double)";
    let half = "('-inf'::double), ('-inf'::double), (4.0::double), (4.0::double)";
    for method in ["exact", "approximate"] {
        let check = async |values: &str, rest: &str, verdict: crate::Verdict, observed: &str| {
            let yaml = rest.replace("METHOD", &format!("method: {method}"));
            check(values, &yaml, verdict, observed).await;
        };
        check(all, "quantile: {at: 50%, METHOD, at_least: 1}", Pass, "inf").await;
        let found = judge_sql(
            &format!("SELECT column1 AS x FROM (VALUES {all})"),
            &format!("columns: {{x: [interquartile_range: {{method: {method}, at_most: 1}}]}}"),
        )
        .await;
        assert_eq!(found[0].verdict, Error, "{found:?}");
        let message = found[0].message.as_deref().unwrap_or_default();
        assert!(message.contains("infinite"), "{message}");
        check(ends, "interquartile_range: {METHOD, equals: 2}", Pass, "2").await;
        check(
            half,
            "interquartile_range: {METHOD, at_least: 2}",
            Pass,
            "inf",
        )
        .await;
    }
    // Between an infinity and a number lies the infinity, between two infinities nothing.
    let median = "quantile: {at: 50%, method: exact, at_most: 0}";
    check("('-inf'::double), (4.0::double)", median, Pass, "-inf").await;
    check("(4.0::double), ('inf'::double)", median, Fail, "inf").await;
    check(
        "(-1e308::double), (1.5e308::double)",
        median,
        Fail,
        "2.5e307",
    )
    .await;
    let both = "SELECT column1 AS x FROM (VALUES ('-inf'::double), ('inf'::double))";
    let found = judge_sql(both, &format!("columns: {{x: [{median}]}}")).await;
    assert_eq!(found[0].verdict, Error, "{found:?}");
}
