//! What a rule file may say, and what is said about a wrong one.

use super::{orders, parse};
use crate::{BadRows, Gate, Scope, Severity, Suite};

#[test]
fn whole_file_is_read() {
    let suite = parse(
        "owner: team\nkey: [a, b]\nseverity: warn\ngate: no_worse\n\
         columns:\n  a: [not_null, not_null, {not_null: {name: again, severity: error}}]\n  \
         b: unique\n\
         table_checks:\n  - unique_key: {columns: [a, b], scope: added, bad_rows: quarantine}\n",
    );
    assert_eq!(suite.gate, Gate::NoWorse);
    assert_eq!(suite.key, ["a", "b"]);
    assert_eq!(suite.sha256.len(), 64);
    let ids: Vec<_> = suite.checks.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "a/not_null",
            "a/not_null#2",
            "a/not_null/again",
            "b/unique",
            "unique_key"
        ]
    );
    assert_eq!(suite.checks[0].severity, Severity::Warn);
    assert_eq!(suite.checks[2].severity, Severity::Error);
    assert_eq!(suite.checks[4].scope, Scope::Added);
    assert_eq!(suite.checks[4].bad_rows, BadRows::Quarantine);
    assert_eq!(suite.only(|c| c.column.is_some()).checks.len(), 4);
}

#[test]
fn every_problem_is_reported_at_its_place() {
    let text = "\
version: 2
tabel: x
severity: fatal
columns:
  a:
    - completness: { at_least: 99% }
    - completeness: { at_least: 99 }
    - completeness
    - mean: { at_least: 1, bad_rows: quarantine }
    - unique_key: [a]
    - between: {}
    - between: [5, 1]
    - matches: '['
    - not_null: { at_least: {warn: 99%, errr: 9%}, severity: warn }
    - one_of: []
table_checks:
  - row_count
  - row_count: { versus: previous }
  - freshness: { column: t, at_most: 6 }
  - sql: { expect: rows, query: DELETE FROM t }
  - not_null
  - exists_in: { table: t }
  - {unique_key: [a], sql: {}}
schema: { columns: { a: bigin } }
";
    let problems = Suite::parse("r.yaml", text).unwrap_err();
    let found = problems.to_string();
    for expected in [
        "r.yaml:1:10: version 2 of rule files is not known",
        "r.yaml:2:1: unknown key `tabel` in the rule file\nhint: did you mean `table`?",
        "r.yaml:3:11: `severity` must be one of `error`, `warn`, found `fatal`",
        "r.yaml:6:7: unknown check `completness`\nhint: did you mean `completeness`?",
        "r.yaml:7:33: `at_least` must be a percent such as `99.5%`, found `99`",
        "r.yaml:8:7: check `completeness` has no threshold",
        "r.yaml:9:28: check `mean` does not take the key `bad_rows`\nhint: only checks of single rows",
        "r.yaml:10:7: `unique_key` is a check of the table, not of a column",
        "r.yaml:11:7: check `between` needs `min` or `max`",
        "nothing lies between 5 and 1",
        "the pattern `[` is no regular expression",
        "`at_least` does not take the key `errr`\nhint: did you mean `error`?",
        "has both `severity` and thresholds by level",
        "`values` is an empty list",
        "r.yaml:17:5: check `row_count` has no threshold",
        "`versus` needs `change`",
        "`at_most` must be a duration with its unit, such as `6h` or `30min`, found `6`",
        "`expect` must be one of `no_rows`, `true`, found `rows`",
        "the SQL is not one query",
        "r.yaml:21:5: `not_null` is a check of a column",
        "check `exists_in` needs `columns` in `table_checks`",
        "one item holds 2 keys, a check has one",
        "unknown type `bigin`\nhint: did you mean `bigint`?",
    ] {
        assert!(
            found.contains(expected),
            "{expected:?} is missing in\n{found}"
        );
    }
}

#[test]
fn ids_are_unique_whatever_the_names_are() {
    let named =
        |name: &str| format!("  - sql: {{name: '{name}', expect: no_rows, query: SELECT 1}}\n");
    for names in [["n#2", "n", "n"], ["n", "n#2", "n"], ["n", "n", "n#2"]] {
        let checks: String = names.iter().map(|name| named(name)).collect();
        let suite = parse(&format!("table_checks:\n{checks}"));
        let mut ids: Vec<_> = suite.checks.iter().map(|check| check.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3, "{ids:?}");
    }
}

#[test]
fn schema_of_system_tables_is_not_the_catalog() {
    let suite = parse(
        "table_checks:\n  - sql: {expect: no_rows, query: 'SELECT 1 FROM lakegate.runs, runs, lakegate.silver.orders, lakegate.default.runs'}\n",
    );
    let mut names: Vec<_> = suite.references().into_iter().map(|r| r.name).collect();
    names.sort();
    assert_eq!(names, ["lakegate.runs", "runs"]);
}

#[tokio::test]
async fn problem_stands_where_the_mistake_is() {
    let text = "version: 1\ncolumns:\n  a:\n    - length: [a,\n        b]\n    - between: [1,\n        x]\ntable_checks:\n  - row_count:\n      versus: previous\n      change:\n        warn: 1%\n        eror: 2%\n";
    let found = Suite::parse("r.yaml", text).unwrap_err().to_string();
    for expected in [
        "r.yaml:4:16: a length",
        "r.yaml:5:9: a length",
        "r.yaml:7:9: `x` is no limit",
        "r.yaml:13:9: `change` does not take the key `eror`",
    ] {
        assert!(
            found.contains(expected),
            "{expected:?} is missing in\n{found}"
        );
    }
    let suite = parse(
        "columns:\n  order_id:\n    - exists_in:\n        table: silver.customers\n        column: customer_id\n        table_where: oops > 1\n",
    );
    let subject = orders().await;
    let problems = suite
        .validate(&subject.session, &subject.candidate.schema())
        .await;
    assert!(
        problems.to_string().starts_with("rules.yaml:8:22: "),
        "{problems}"
    );
}

#[test]
fn check_that_can_never_fail_is_refused() {
    for check in [
        "columns: {a: [{not_null: {at_least: {}}}]}",
        "columns: {a: [{not_null: {error: {}}}]}",
        "columns: {a: [{not_null: {warn: {}}}]}",
        "columns: {a: [{not_null: {warn: {at_least: {}}}}]}",
        "columns: {a: [{completeness: {at_least: {}}}]}",
        "columns: {a: [{completeness: {at_least: {}, at_most: 100%}}]}",
        "columns: {a: [{mean: {at_most: {}}}]}",
        "columns: {a: [{mean: {between: {}}}]}",
        "columns: {a: [{freshness: {}}]}",
        "table_checks: [{row_count: {at_least: {}}}]",
        "table_checks: [{row_count: {}}]",
        "table_checks: [{row_count: {versus: previous, change: {}}}]",
        "schema: {columns: {}}",
        "schema: {mode: exact, columns: {}}",
    ] {
        let text = format!("version: 1\n{check}\n");
        let parsed = Suite::parse("r.yaml", &text);
        assert!(parsed.is_err(), "{check}");
    }
}

#[test]
fn tables_of_checks_are_references() {
    let suite = parse(
        "columns:\n  a: [exists_in: {table: silver.b}]\n\
         table_checks:\n  - sql: {expect: no_rows, query: 'WITH c AS (SELECT * FROM d) SELECT * FROM c JOIN Silver.Orders USING (x) JOIN silver.b USING (x) WHERE EXISTS (SELECT 1 FROM e.f)'}\n",
    );
    let names: Vec<_> = suite.references().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["silver.b", "d", "e.f"]);
}

#[tokio::test]
async fn validate_plans_without_reading() {
    let suite = parse(
        "key: nothing\n\
         columns:\n  emial: [not_null]\n  order_id: [{mean: {at_least: 1, where: 'oops > 1'}}, {between: {min: 2024-01-01}}, {not_null: {where: order_id + 1}}]\n  \
         status: [{not_null: {where: ':nobody = status'}}, {exists_in: {table: silver.none}}, {exists_in: {table: silver.customers, column: nope}}, {not_null: {where: 'count(*) > 1'}}, {not_null: {where: 'order_id IN (SELECT 1)'}}]\n\
         table_checks:\n  - sql: {expect: no_rows, query: SELECT nope FROM silver.orders}\n",
    );
    let subject = orders().await;
    let problems = suite
        .validate(&subject.session, &subject.candidate.schema())
        .await;
    let found = problems.to_string();
    for expected in [
        "rules.yaml:3:6: the table has no column `nothing`",
        "the table has no column `emial`\nhint: did you mean `email`?",
        "oops",
        "`2024-01-01` is no limit for column `order_id`, whose type is bigint",
        "the condition `order_id + 1` gives bigint, not true or false",
        "unknown parameter `:nobody`",
        "table `silver.none` cannot be read",
        "table `silver.customers` has no column `nope`",
        "a condition has no subqueries",
        "nope",
    ] {
        assert!(
            found.contains(expected),
            "{expected:?} is missing in\n{found}"
        );
    }
    assert_eq!(problems.len(), 11, "{found}");
}

#[tokio::test]
async fn parameters_of_the_file_are_bound() {
    let suite = parse(
        "parameters: {least: 2, name: \"o'neil\"}\n\
         columns:\n  order_id: [{not_null: {where: \"order_id > :least AND status <> :name AND updated_at < :commit_time\"}}]\n",
    );
    let report = crate::judge(&suite, &orders().await).await;
    assert_eq!(report.checks[0].rows, Some(2), "{report:?}");
}

#[test]
fn thresholds_that_no_value_meets_are_refused_by_name() {
    for (check, expected) in [
        (
            "mean: {at_least: 5, at_most: 1}",
            "check `mean` wants at least 5 and at most 1: no value is both",
        ),
        ("mean: {equals: 5, at_most: 1}", "at most 1 and equal to 5"),
        (
            "mean: {at_least: 1, equals: 0.5}",
            "at least 1 and equal to 0.5",
        ),
        (
            "mean: {between: [1, 2], at_least: 3}",
            "at least 3 and between 1 and 2",
        ),
        (
            "mean: {at_least: {error: 5}, at_most: {warn: 1}}",
            "at least 5 and at most 1",
        ),
        (
            "mean: {error: {at_least: 5}, warn: {equals: 1}}",
            "at least 5 and equal to 1",
        ),
        (
            "max: {at_least: 2024-01-02, at_most: 2024-01-01}",
            "at least 2024-01-02 and at most 2024-01-01",
        ),
        (
            "completeness: {at_least: 99%, at_most: 98.9%}",
            "at least 99% and at most 98.9%",
        ),
        (
            "freshness: {at_least: 2h, at_most: 90min}",
            "at least 2h and at most 90min",
        ),
    ] {
        let text = format!("version: 1\ncolumns: {{a: [{check}]}}\n");
        let problems = Suite::parse("r.yaml", &text).unwrap_err().to_string();
        assert!(problems.contains(expected), "{check}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
    for check in [
        "mean: {at_least: 5, at_most: 5, equals: 5.0, between: [5, 6]}",
        "mean: {at_least: {warn: 5, error: 1}, at_most: {warn: 6, error: 10}}",
        "distinct: {at_least: 50%, at_most: 10}",
    ] {
        let text = format!("version: 1\ncolumns: {{a: [{check}]}}\n");
        assert!(Suite::parse("r.yaml", &text).is_ok(), "{check}");
    }
}
