//! Schema files: every mistake is reported at its place.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let problems = SchemaFile::parse("s.yaml", text).unwrap_err();
    problems
        .into_iter()
        .map(|problem| problem.to_string())
        .collect()
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    let text = "\
version: 2
nul_values: []
columns:
  - { name: a, type: bignit }
  - { name: b, type: int, formats: iso }
  - { name: b, type: int }
  - { name: c, type: date, formats: [yyyy-MM-dd] }
  - { name: d, type: timestamp, formats: [\"%Y-%m-%d\"], time_zone: Europe/Berlin }
  - { name: e, type: \"decimal(40,2)\" }
  - { name: f, type: string, length: { min: 3, max: 2 } }
  - { name: g, type: boolean, true_values: [x], false_values: [x] }
  - { name: h, type: double, decimal_point: \",\", thousands_separator: \",\" }
  - { name: i, type: binary }
  - { name: _errors, type: int }
  - { type: int }
  - { name: j, type: varchar(10) }
  - { name: b, type: int }
";
    let found = problems(text);
    let expected = [
        "s.yaml:1:10: `version` must be `1`, found `2`",
        "s.yaml:2:1: unknown key `nul_values` in the schema file",
        "s.yaml:4:22: unknown type `bignit`",
        "s.yaml:5:27: `formats` does not apply to type `int`",
        "s.yaml:7:38: the format `yyyy-MM-dd` does not hold a whole date",
        "s.yaml:8:43: the format `%Y-%m-%d` does not hold a date and a time of day",
        "s.yaml:8:67: `time_zone` must be `UTC` or an offset such as `+01:00`, found `Europe/Berlin`",
        "s.yaml:9:22: `type` must be `decimal(digits, digits behind the point)`",
        "s.yaml:10:38: `min` 3 is above `max` 2",
        "s.yaml:11:5: `x` is both true and false",
        "s.yaml:12:71: `thousands_separator` and `decimal_point` are the same",
        "s.yaml:13:5: type `binary` needs `encoding`",
        "s.yaml:14:13: `name` must be a name other than",
        "s.yaml:15:5: the column needs the key `name`",
        "s.yaml:16:22: `type` must be a type, found `varchar(10)`",
        "s.yaml:17:5: column `b` is listed twice",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n!=\n{expected}");
    }
}

#[test]
fn format_that_cannot_be_read_as_it_is_written_is_refused() {
    for (column, expected) in [
        ("type: timestamp, formats: '%F %T %Z'", "`%Z` in the format"),
        ("type: timestamp, formats: '%F %T.%f'", "`%f` in the format"),
        ("type: timestamp, formats: '%+'", "`%+` in the format"),
        (
            "type: timestamp_ntz, formats: epoch_millis",
            "`epoch_millis` counts from a moment, and type `timestamp_ntz` has no zone",
        ),
        (
            "type: boolean, true_values: [Y], false_values: [y]",
            "`Y` is both true and false",
        ),
    ] {
        let found = problems(&format!("version: 1\ncolumns: [{{ name: x, {column} }}]"));
        assert!(found[0].contains(expected), "{found:#?}");
    }
}

#[test]
fn defaults_of_the_file_hold_until_a_column_says_otherwise() {
    let text = "
version: 1
null_values: [NA, null, 0]
trim: true
columns:
  - { name: a, type: int }
  - { name: b, type: int, from: B, null_values: [], trim: false, nullable: false }
";
    let schema = SchemaFile::parse("s.yaml", text).unwrap();
    let [a, b] = schema.columns.as_slice() else {
        panic!("{schema:?}")
    };
    assert_eq!(a.null_values, ["NA", "null", "0"]);
    assert!(a.trims && a.is_nullable && a.from == "a");
    assert!(b.null_values.is_empty() && !b.trims && !b.is_nullable && b.from == "B");
    assert_eq!(schema.sha256.len(), 64);
}

#[test]
fn a_file_without_columns_is_refused() {
    assert_eq!(
        problems("version: 1\ncolumns: []"),
        ["s.yaml:2:10: `columns` is empty"]
    );
    assert_eq!(
        problems("version: 1"),
        ["s.yaml:1:1: the schema file needs the key `columns`"]
    );
}

#[test]
fn the_documented_example_is_read_and_has_every_key() {
    let example = crate::extract::documented_yaml(include_str!("../schema_file.rs"));
    let schema =
        SchemaFile::parse("s.yaml", &example).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(schema.columns.len(), 8);
    for key in COLUMN_KEYS.iter().filter(|key| **key != "description") {
        assert!(
            example.contains(&format!("{key}:")),
            "the example lacks `{key}`"
        );
    }
}
