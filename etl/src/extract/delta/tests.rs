//! Delta: which version is meant, and what is refused.

use lakegate_catalog::At;

use super::*;
use crate::test_support::{Project, spec};

fn at_of(yaml: &str) -> At {
    let node = lakegate_rules::yaml::parse("p.yaml", yaml).unwrap();
    let mut problems = Problems::default();
    let fields = Fields::new(&node, "`extract`", KEYS, &mut problems);
    let source = DeltaSource::parse(&fields, &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems}");
    source.at
}

#[test]
fn the_version_is_the_newest_one_unless_it_is_named() {
    assert_eq!(at_of("table: silver.x"), At::Latest);
    assert_eq!(at_of("{ table: silver.x, version: 3 }"), At::Version(3));
    let time = DateTime::parse_from_rfc3339("2026-01-31T00:00:00Z").unwrap();
    assert_eq!(
        at_of("{ table: silver.x, timestamp: 2026-01-31T00:00:00Z }"),
        At::Timestamp(time.with_timezone(&Utc))
    );
}

#[test]
fn what_does_not_fit_is_a_problem_at_its_place() {
    let cases = [
        (
            "format: delta",
            "p.yaml:1:1: `extract` needs the key `table`",
        ),
        (
            "table: a\nversion: -1",
            "p.yaml:2:10: `version` must be a whole number that is not negative",
        ),
        (
            "table: a\nversion: 1\ntimestamp: x",
            "p.yaml:3:12: `version` and `timestamp` exclude each other",
        ),
        (
            "table: a\ntimestamp: yesterday",
            "p.yaml:2:12: `timestamp` must be a time with its offset",
        ),
        ("table: a\npath: b", "p.yaml:2:1: unknown key `path`"),
    ];
    for (yaml, expected) in cases {
        let problems = spec(yaml).unwrap_err().to_string();
        assert!(problems.starts_with(expected), "{problems}\n!=\n{expected}");
    }
}

#[test]
fn a_table_that_is_not_there_is_named() {
    let project = Project::new();
    let error = project.provider("table: silver.nope").unwrap_err();
    assert_eq!(error.kind, InputErrorKind::NotFound);
    assert!(error.to_string().contains("silver.nope"), "{error}");
    assert!(error.place.is_some());
}
