//! Delta: which version is meant, and what is refused.

use lakegate_catalog::{Write, WriteContext, WriteMode, WriteOptions};

use super::*;
use crate::test_support::{Project, session, spec};
use crate::transform::scan_plan;

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
            "table: a\npath: b",
            "p.yaml:2:7: `table` and `path` exclude each other",
        ),
        (
            "table: a\ntimestamp: yesterday",
            "p.yaml:2:12: `timestamp` must be a time with its offset",
        ),
        ("table: a\npaths: b", "p.yaml:2:1: unknown key `paths`"),
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

#[test]
fn a_table_that_is_not_registered_is_read_by_its_folder() {
    let project = Project::with("a.csv", "a\n1\n");
    let catalog = project.catalog();
    let session = session();
    for _ in 0..2 {
        let rows = project.provider("{ format: csv, path: a.csv }").unwrap();
        let write = Write {
            table: "silver.x".parse().unwrap(),
            mode: WriteMode::Append,
            source: scan_plan(&session, rows).unwrap(),
            options: WriteOptions::default(),
            context: WriteContext::default(),
        };
        project.block_on(catalog.write(&session, write)).unwrap();
    }
    std::fs::rename(
        project.root().join("warehouse/silver/x"),
        project.root().join("Moved away"),
    )
    .unwrap();
    let count = |yaml: &str| project.rows(yaml).unwrap().len();
    assert_eq!(count("{ format: delta, path: Moved away }"), 2);
    assert_eq!(
        count("{ format: delta, path: ./Moved away/, version: 0 }"),
        1
    );
    let missing = project.fault("{ format: delta, path: warehouse, version: 0 }");
    assert!(missing.contains("warehouse"), "{missing}");
    let missing = project.fault("{ format: delta, path: Moved away, version: 7 }");
    assert!(missing.contains("the newest version is 1"), "{missing}");
}
