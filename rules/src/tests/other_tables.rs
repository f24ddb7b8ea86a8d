//! Checks that compare with another table.

use super::{judge_subject, orders, subject, table};
use crate::Verdict::{Error, Fail, Pass};
use crate::{CheckResult, Verdict};

/// Judges our rows (`id`, `a`, `b`) beside those of `silver.other`.
async fn judge_both(ours: &str, theirs: &str, check: &str) -> CheckResult {
    let session = super::session();
    table(&session, "other", theirs).await;
    let candidate = table(&session, "orders", ours).await;
    let yaml = format!("key: id\ntable_checks:\n  - {check}\n");
    let results = judge_subject(&subject(&session, candidate), &yaml).await;
    results.into_iter().next().unwrap()
}

fn rows(values: &str) -> String {
    format!("SELECT column1 AS id, column2 AS a, column3 AS b FROM (VALUES {values})")
}

const NONE: &str = "SELECT 1 AS id, 1 AS a, 1 AS b WHERE false";

async fn check(ours: &str, theirs: &str, check: &str, verdict: Verdict, observed: &str) {
    let sql = |values: &str| match values {
        "" => NONE.to_owned(),
        values => rows(values),
    };
    let result = judge_both(&sql(ours), &sql(theirs), check).await;
    let found = (result.verdict, result.observed.as_str());
    assert_eq!(
        found,
        (verdict, observed),
        "{ours} | {theirs} | {check}: {result:?}"
    );
}

#[tokio::test]
async fn counts_are_compared_as_a_ratio() {
    let (two, three) = ("(1, 1, 1), (2, 2, 2)", "(1, 1, 1), (2, 2, 2), (3, 3, 3)");
    let equal = "row_count_match: {table: silver.other}";
    check(two, two, equal, Pass, "100%").await;
    check(two, three, equal, Fail, "66.67%").await;
    check(three, two, equal, Fail, "150%").await;
    check(
        three,
        two,
        "row_count_match: {table: silver.other, at_least: 100%}",
        Pass,
        "150%",
    )
    .await;
    check(
        three,
        two,
        "row_count_match: {table: silver.other, between: [90%, 150%]}",
        Pass,
        "150%",
    )
    .await;
    check(
        three,
        two,
        "row_count_match: {table: silver.other, where: id < 3}",
        Pass,
        "100%",
    )
    .await;
    check(
        two,
        three,
        "row_count_match: {table: silver.other, table_where: id < 3}",
        Pass,
        "100%",
    )
    .await;
    check("", "", equal, Pass, "100%").await;
    check(two, "", equal, Fail, "infinite").await;
    check("", two, equal, Fail, "0%").await;
    check(
        two,
        two,
        "row_count_match: {table: silver.nothing}",
        Error,
        "not evaluated",
    )
    .await;
    check(
        two,
        two,
        "row_count_match: {table: silver.other, table_where: x = 1}",
        Error,
        "not evaluated",
    )
    .await;
    let result = judge_both(&rows(two), &rows(three), equal).await;
    assert_eq!(
        result.message.as_deref(),
        Some("2 rows, `silver.other` has 3")
    );
    assert_eq!(result.expected, "equal to 100%");
}

#[tokio::test]
async fn aggregates_are_compared_as_a_ratio() {
    let (ours, theirs) = ("(1, 10, 5), (2, 20, 5)", "(1, 40, 30), (2, 20, 0)");
    let with = |rest: &str| format!("aggregate_match: {{table: silver.other, {rest}}}");
    check(ours, theirs, &with("expression: sum(a)"), Fail, "50%").await;
    check(
        ours,
        theirs,
        &with("expression: sum(a), table_expression: sum(b)"),
        Pass,
        "100%",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: sum(a) / count(*) + 1, at_least: 51%"),
        Pass,
        "51.61%",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: 'sum(a) / count(*)', at_least: 50%"),
        Pass,
        "50%",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: sum(a), where: id = 2, table_where: id = 2"),
        Pass,
        "100%",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: 'sum(a) - 30', table_expression: 'sum(b) - 30'"),
        Pass,
        "100%",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: sum(a), table_expression: 'sum(b) - 30'"),
        Fail,
        "infinite",
    )
    .await;
    check(
        ours,
        theirs,
        &with("expression: '-sum(a)', table_expression: '-sum(b)', at_least: 100%"),
        Pass,
        "100%",
    )
    .await;
    check("", "", &with("expression: sum(a)"), Error, "not evaluated").await;
    check(
        "",
        "",
        &with("expression: 'coalesce(sum(a), 0)'"),
        Pass,
        "100%",
    )
    .await;
    check("", "", &with("expression: count(*)"), Pass, "100%").await;
    for wrong in [
        "a",
        "sum(a) + a",
        "sum(x)",
        "max(t)",
        "1",
        "random() + sum(a)",
        "sum(sum(a))",
        "sum(a) over ()",
        "(SELECT 1) + sum(a)",
        "max(a) > 1",
    ] {
        let check = with(&format!("expression: '{wrong}'"));
        let result = judge_both(&rows(ours), &rows(theirs), &check).await;
        assert_eq!(result.verdict, Error, "{wrong} {result:?}");
    }
    let decimals = |values: &str| {
        format!(
            "SELECT 1 AS id, arrow_cast(column1, 'Decimal128(38, 2)') AS a FROM (VALUES {values})"
        )
    };
    let check = with("expression: max(a)");
    let ours = decimals("('100000000000000000000000000000000000.01')");
    let theirs = decimals("('100000000000000000000000000000000000.00')");
    let result = judge_both(&ours, &theirs, &check).await;
    assert_eq!(result.verdict, Fail, "{result:?}");
    assert_ne!(result.observed, "100%");
}

#[tokio::test]
async fn rows_are_matched_by_keys_and_compared_columns() {
    let ours = "(1, 1, 'x'), (2, NULL, 'y'), (3, 3, 'z')";
    let theirs = "(1, 1, 'x'), (2, NULL, 'y'), (3, 4, 'z'), (4, 4, 'w')";
    let with = |rest: &str| format!("dataset_match: {{table: silver.other, keys: [id]{rest}}}");
    check(ours, theirs, &with(""), Fail, "66.67%").await;
    check(ours, theirs, &with(", columns: [b]"), Pass, "100%").await;
    check(
        ours,
        theirs,
        &with(", columns: {a: a, b: b}"),
        Fail,
        "66.67%",
    )
    .await;
    check(
        ours,
        theirs,
        &with(", columns: {a: id}, where: a > 0"),
        Pass,
        "100%",
    )
    .await;
    check(ours, theirs, &with(", where: id < 3"), Pass, "100%").await;
    check(ours, theirs, &with(", table_where: id > 1"), Fail, "33.33%").await;
    check(ours, "", &with(", columns: [a]"), Fail, "0%").await;
    check(
        "",
        theirs,
        &with(", columns: [a]"),
        Pass,
        "no rows to judge",
    )
    .await;
    // A null in a key is found nowhere, and is no repeated key.
    let nulls = "(1, 1, 'x'), (NULL, 2, 'y'), (NULL, 2, 'y')";
    check(nulls, nulls, &with(""), Fail, "33.33%").await;
    for (own, other, whose) in [
        ("(1, 1, 'x'), (1, 2, 'y')", theirs, "the table"),
        (ours, "(1, 1, 'x'), (1, 2, 'y')", "the other table"),
    ] {
        let result = judge_both(&rows(own), &rows(other), &with("")).await;
        assert_eq!(result.verdict, Error);
        let message = result.message.unwrap();
        assert_eq!(message, format!("rows of {whose} have the same key (`id`)"));
    }
    check(
        ours,
        "(1, 1, 'x'), (1, 2, 'y')",
        &with(", table_where: a = 1"),
        Fail,
        "33.33%",
    )
    .await;
    check(
        ours,
        theirs,
        &with(", columns: [nope]"),
        Error,
        "not evaluated",
    )
    .await;
    check(
        ours,
        theirs,
        &with(", columns: {b: a}"),
        Error,
        "not evaluated",
    )
    .await;
    check("(1, 0.0, 'x')", "(1, -0.0, 'x')", &with(""), Pass, "100%").await;
    check(
        "(1, 'NaN'::double, 'x')",
        "(1, 'NaN'::double, 'x')",
        &with(""),
        Pass,
        "100%",
    )
    .await;
    check(
        "(1, [1], 'x')",
        "(1, [1], 'x')",
        &with(""),
        Error,
        "not evaluated",
    )
    .await;
    check(
        "(1, [1], 'x')",
        "(1, [1], 'x')",
        &with(", columns: [b]"),
        Pass,
        "100%",
    )
    .await;
    let result = judge_both(&rows(ours), &rows(theirs), &with("")).await;
    assert_eq!(result.bad_rows, Some(1));
    assert_eq!(result.samples, [[("id".to_owned(), "3".to_owned())]]);
}

#[tokio::test]
async fn schemas_are_compared_by_name_and_type() {
    let ours = "SELECT 1 AS id, 'x' AS a, 1.5 AS c";
    let theirs = "SELECT arrow_cast('y', 'Utf8View') AS a, 1 AS id, CAST(NULL AS DOUBLE) AS c";
    let result = judge_both(ours, theirs, "schema_match: {table: silver.other}").await;
    assert_eq!(result.verdict, Pass, "{result:?}");
    let theirs = "SELECT 1 AS id, 2 AS a, true AS d";
    let result = judge_both(ours, theirs, "schema_match: {table: silver.other}").await;
    assert_eq!(result.verdict, Fail);
    assert_eq!(
        result.message.as_deref(),
        Some(
            "column `a` is string, wanted bigint; column `d` (boolean) is missing; `silver.other` has no column `c`"
        )
    );
    let theirs = "SELECT 1 AS id";
    let result = judge_both(
        ours,
        theirs,
        "schema_match: {table: silver.other, mode: at_least}",
    )
    .await;
    assert_eq!(result.verdict, Pass, "{result:?}");
    let result = judge_both(ours, theirs, "schema_match: {table: silver.nothing}").await;
    assert_eq!(result.verdict, Error);
}

#[tokio::test]
async fn tables_that_are_compared_with_are_references() {
    let suite = super::parse(
        "table_checks:\n  \
           - row_count_match: {table: silver.a}\n  \
           - schema_match: {table: silver.b}\n  \
           - dataset_match: {table: silver.c, keys: id}\n  \
           - aggregate_match: {table: silver.d, expression: count(*)}\n",
    );
    let names: Vec<String> = suite
        .references()
        .into_iter()
        .map(|table| table.name)
        .collect();
    assert_eq!(names, ["silver.a", "silver.b", "silver.c", "silver.d"]);
    let subject = orders().await;
    let problems = suite
        .validate(&subject.session, &subject.candidate.schema())
        .await;
    assert_eq!(
        problems.to_string().matches("cannot be read").count(),
        4,
        "{problems}"
    );
}
