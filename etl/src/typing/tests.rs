//! Typing: each type's texts, and what becomes of those that are none.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use proptest::prelude::*;

use super::*;
use crate::scratch::Scratch;
use crate::test_support::{Project, Rows, rows, session, shown};

/// A view with one column `x` of these texts; `∅` is null.
fn view(texts: &[&str]) -> Arc<dyn TableProvider> {
    let array =
        StringViewArray::from_iter(texts.iter().map(|text| (*text != "∅").then_some(*text)));
    let array: ArrayRef = Arc::new(array);
    let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn schema(column: &str) -> String {
    format!("version: 1\ncolumns: [{{ name: x, {column} }}]")
}

/// Types texts as a column: the value of each, or why it has none.
fn typed(column: &str, texts: &[&str]) -> Vec<Result<String, String>> {
    let project = Project::new();
    let input = view(texts);
    let typing = project.typing(&input, &schema(column), "null");
    let typing = typing.unwrap_or_else(|problems| panic!("{problems}"));
    let table = typing.table(input, Arc::default());
    let read = project.table_rows(table).unwrap();
    read.into_iter()
        .map(|row| {
            let [value, errors] = row.as_slice() else {
                panic!("{row:?}")
            };
            let errors = errors.clone().unwrap();
            match errors.split_once("reason: ") {
                Some((_, reason)) => Err(reason.trim_end_matches("}]").to_owned()),
                None => Ok(value.clone().unwrap_or_else(|| "∅".to_owned())),
            }
        })
        .collect()
}

/// Each text with its value.
fn good(column: &str, cases: &[(&str, &str)]) {
    let texts: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
    for ((text, expected), found) in cases.iter().zip(typed(column, &texts)) {
        assert_eq!(found.as_deref(), Ok(*expected), "{column}: {text}");
    }
}

/// Each text with the reason why it is refused.
fn bad(column: &str, cases: &[(&str, &str)]) {
    let texts: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
    for ((text, expected), found) in cases.iter().zip(typed(column, &texts)) {
        assert_eq!(found.as_deref().unwrap_err(), *expected, "{column}: {text}");
    }
}

#[test]
fn whole_numbers() {
    good(
        "type: bigint",
        &[
            ("0", "0"),
            ("-0012", "-12"),
            ("+7", "7"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("", "∅"),
            ("∅", "∅"),
        ],
    );
    good(
        "type: int, thousands_separator: ' '",
        &[
            ("1 234 567", "1234567"),
            ("1234", "1234"),
            ("-12 345", "-12345"),
        ],
    );
    let not_whole = "is not a whole number";
    bad(
        "type: int",
        &[
            ("1.0", not_whole),
            ("1e3", not_whole),
            (" 1", not_whole),
            ("-", not_whole),
            ("0x1", not_whole),
            ("NaN", not_whole),
            ("١", not_whole),
        ],
    );
    bad(
        "type: int, thousands_separator: ','",
        &[
            ("1,23", not_whole),
            ("1234,567", not_whole),
            (",123", not_whole),
            ("1,,123", not_whole),
        ],
    );
    bad(
        "type: tinyint",
        &[("128", "is out of range for tinyint (-128 to 127)")],
    );
    bad(
        "type: smallint",
        &[("-32769", "is out of range for smallint (-32768 to 32767)")],
    );
    bad(
        "type: int",
        &[(
            "2147483648",
            "is out of range for int (-2147483648 to 2147483647)",
        )],
    );
    bad(
        "type: bigint",
        &[(
            "9223372036854775808",
            "is out of range for bigint (-9223372036854775808 to 9223372036854775807)",
        )],
    );
    bad(
        "type: bigint, nullable: false",
        &[("", "is null, and the column is not nullable")],
    );
}

#[test]
fn floating_point_numbers() {
    good(
        "type: double",
        &[
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("-1e-3", "-0.001"),
            ("1E3", "1000.0"),
        ],
    );
    good(
        "type: double, decimal_point: ',', thousands_separator: '.'",
        &[("1.234,5", "1234.5"), ("1,5e3", "1500.0")],
    );
    good(
        "type: double, allow_non_finite: true",
        &[("NaN", "NaN"), ("-Infinity", "-inf"), ("inf", "inf")],
    );
    let not_finite = "is not a finite number, and `allow_non_finite` is not set";
    bad(
        "type: double",
        &[
            ("NaN", not_finite),
            ("inf", not_finite),
            ("-Infinity", not_finite),
            ("1e999", "is out of range for double"),
            ("1,5", "is not a number"),
            ("abc", "is not a number"),
            ("1_0", "is not a number"),
        ],
    );
    bad(
        "type: double, decimal_point: ','",
        &[("1.5", "is not a number"), ("1,5,0", "is not a number")],
    );
    bad("type: float", &[("1e39", "is out of range for float")]);
}

#[test]
fn decimals_are_exact() {
    good(
        "type: 'decimal(5,2)'",
        &[
            ("1.5", "1.50"),
            ("-999.99", "-999.99"),
            ("1.500", "1.50"),
            ("1.5e2", "150.00"),
            ("12e-1", "1.20"),
            (".5", "0.50"),
            ("0e30", "0.00"),
            ("000001", "1.00"),
        ],
    );
    good(
        "type: 'decimal(5,2)', decimal_point: ',', thousands_separator: '.'",
        &[("-1,5", "-1.50")],
    );
    good(
        "type: 'decimal(38,0)'",
        &[(
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        )],
    );
    bad(
        "type: 'decimal(5,2)'",
        &[
            ("1.505", "has more than 2 digits behind the point"),
            ("1e-9999", "has more than 2 digits behind the point"),
            ("1000", "is out of range for decimal(5,2)"),
            ("1e9999", "is out of range for decimal(5,2)"),
            (
                "9999999999999999999999999999999999999999999",
                "is out of range for decimal(5,2)",
            ),
            ("1e99999", "is not a number"),
            (".", "is not a number"),
            ("NaN", "is not a number"),
            ("1.2.3", "is not a number"),
        ],
    );
}

#[test]
fn dates() {
    good(
        "type: date",
        &[
            ("2013-01-31", "2013-01-31"),
            ("0001-01-01", "0001-01-01"),
            ("9999-12-31", "9999-12-31"),
        ],
    );
    good(
        "type: date, formats: ['%d.%m.%Y', iso]",
        &[("31.1.2013", "2013-01-31"), ("2013-01-31", "2013-01-31")],
    );
    let no_such = "is not a date that exists between the years 1 and 9999";
    let not_a_date = "is not a date of the expected format";
    bad(
        "type: date",
        &[
            ("2013-02-29", no_such),
            ("2013-13-01", no_such),
            ("0000-01-01", no_such),
            ("10000-01-01", not_a_date),
            ("2013-1-1", not_a_date),
            ("2013-01-31T00:00:00", not_a_date),
            ("31.01.2013", not_a_date),
        ],
    );
    bad(
        "type: date, formats: '%d.%m.%Y'",
        &[
            ("31.02.2013", not_a_date),
            ("01.01.99999", not_a_date),
            ("2013-01-31", not_a_date),
        ],
    );
}

#[test]
fn timestamps() {
    good(
        "type: timestamp",
        &[
            ("2013-01-01T10:00:00Z", "2013-01-01T10:00:00Z"),
            ("2013-01-01 10:00", "2013-01-01T10:00:00Z"),
            (
                "2013-01-01T10:00:00.123456+01:30",
                "2013-01-01T08:30:00.123456Z",
            ),
            (
                "2013-01-01T10:00:00.120000000-0800",
                "2013-01-01T18:00:00.120Z",
            ),
        ],
    );
    good(
        "type: timestamp, time_zone: '+01:00'",
        &[
            ("2013-01-01 10:00:00", "2013-01-01T09:00:00Z"),
            ("2013-01-01T10:00:00Z", "2013-01-01T10:00:00Z"),
        ],
    );
    good(
        "type: timestamp, formats: [epoch_seconds]",
        &[
            ("1357034400", "2013-01-01T10:00:00Z"),
            ("-1", "1969-12-31T23:59:59Z"),
        ],
    );
    good(
        "type: timestamp, formats: [epoch_millis]",
        &[("1357034400123", "2013-01-01T10:00:00.123Z")],
    );
    good(
        "type: timestamp, formats: ['%d/%m/%Y %H:%M:%S %z']",
        &[("31/01/2013 10:00:00 +0100", "2013-01-31T09:00:00Z")],
    );
    good(
        "type: timestamp_ntz, formats: ['%Y%m%d %H%M', iso]",
        &[
            ("20130131 1000", "2013-01-31T10:00:00"),
            ("2013-01-31T10:00", "2013-01-31T10:00:00"),
        ],
    );
    let no_such = "is not a time that exists between the years 1 and 9999";
    let not_a_time = "is not a timestamp of the expected format";
    bad(
        "type: timestamp",
        &[
            ("2013-01-01T24:00:00Z", no_such),
            ("2013-02-30T10:00:00Z", no_such),
            ("2013-01-01T10:00:60Z", no_such),
            ("0001-01-01T00:00:00+01:00", no_such),
            ("2013-01-01T10:00:00+25:00", no_such),
            (
                "2013-01-01T10:00:00.1234567Z",
                "is finer than a microsecond",
            ),
            ("2013-01-01", not_a_time),
            ("2013-01-01T10", not_a_time),
            ("2013-01-01T10:00:00 CET", not_a_time),
            ("2013-01-01T10:00:00.Z", not_a_time),
        ],
    );
    bad(
        "type: timestamp, formats: epoch_millis",
        &[
            ("99999999999999999", no_such),
            ("99999999999999999999", no_such),
            ("1.5", not_a_time),
        ],
    );
    bad(
        "type: timestamp_ntz",
        &[(
            "2013-01-01T10:00:00Z",
            "has an offset, and type `timestamp_ntz` has none",
        )],
    );
}

#[test]
fn booleans_texts_and_bytes() {
    good("type: boolean", &[("true", "true"), ("FALSE", "false")]);
    good(
        "type: boolean, true_values: [Y, '1'], false_values: [N, '0']",
        &[("y", "true"), ("0", "false")],
    );
    bad(
        "type: boolean",
        &[
            ("yes", "is neither true nor false"),
            ("1", "is neither true nor false"),
        ],
    );
    good("type: string, null_values: []", &[("", ""), (" a ", " a ")]);
    good("type: string, trim: true", &[("  ", "∅"), (" a ", "a")]);
    good(
        "type: string, length: { min: 2, max: 3 }",
        &[("äöü", "äöü"), ("ab", "ab")],
    );
    bad(
        "type: string, length: { min: 2, max: 3 }",
        &[
            ("a", "has 1 characters, fewer than 2"),
            ("äöüß", "has 4 characters, more than 3"),
        ],
    );
    good("type: binary, encoding: hex", &[("00fF", "00ff")]);
    good(
        "type: binary, encoding: base64",
        &[("aGk=", "6869"), ("aGk", "6869"), ("aGkh", "686921")],
    );
    bad(
        "type: binary, encoding: hex",
        &[("0", "is not hexadecimal"), ("0g", "is not hexadecimal")],
    );
    bad(
        "type: binary, encoding: base64",
        &[
            ("a", "is not base64"),
            ("aGk==", "is not base64"),
            ("aGl=", "is not base64"),
            ("a*==", "is not base64"),
        ],
    );
}

const CSV: &str = "id,day,note\n1,2013-01-01,x\ntwo,2013-02-30,\"y\"\n3,2013-01-03,z\n";
const SCHEMA: &str = "\
version: 1
columns:
  - { name: id, type: int, nullable: false }
  - { name: day, type: date }
  - { name: note, type: string }
";

fn csv_view(project: &Project) -> Arc<dyn TableProvider> {
    project.write("d/a.csv", CSV);
    project.provider("{ format: csv, path: d/a.csv }").unwrap()
}

#[test]
fn fail_names_file_line_column_value_reason_and_stage() {
    let project = Project::new();
    let raw = csv_view(&project);
    let typing = project.typing(&raw, SCHEMA, "fail").unwrap();
    assert!(!typing.output_schema().field(0).is_nullable());
    let error = project
        .table_rows(typing.table(raw, Arc::default()))
        .unwrap_err();
    let expected = "d/a.csv:3: column `id`: `two` is not a whole number (stage `typed`)\nhint: correct the delivery or `s.yaml`";
    assert!(shown(&error).starts_with(expected), "{}", shown(&error));
}

#[test]
fn fail_names_the_row_of_a_view_that_has_no_file() {
    let project = Project::new();
    let input = view(&["1", "2", "x"]);
    let typing = project
        .typing(&input, &schema("type: int"), "fail")
        .unwrap();
    let error = project
        .table_rows(typing.table(input, Arc::default()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("row 3: column `x`: `x` is not a whole number"),
        "{error}"
    );
}

fn expected_counts() -> TypingCounts {
    let example = |column: &str, value: &str, reason: &str| BadValue {
        place: "d/a.csv:3".into(),
        column: column.into(),
        value: Some(value.into()),
        reason: reason.into(),
    };
    TypingCounts {
        rows: 3,
        bad_rows: 1,
        bad_values: vec![("id".into(), 1), ("day".into(), 1)],
        examples: vec![
            example("id", "two", "is not a whole number"),
            example(
                "day",
                "2013-02-30",
                "is not a date that exists between the years 1 and 9999",
            ),
        ],
    }
}

const ERRORS: &str = "[{column: id, value: two, reason: is not a whole number}, {column: day, value: 2013-02-30, reason: is not a date that exists between the years 1 and 9999}]";

#[test]
fn null_keeps_the_row_and_says_why() {
    let project = Project::new();
    let raw = csv_view(&project);
    let typing = project.typing(&raw, SCHEMA, "null").unwrap();
    let counter = Arc::new(TypingCounter::default());
    let table = typing.table(raw, Arc::clone(&counter));
    let expected = rows(&[
        ["1", "2013-01-01", "x", "[]"],
        ["∅", "∅", "y", ERRORS],
        ["3", "2013-01-03", "z", "[]"],
    ]);
    // A second scan gives the same rows, and does not count twice.
    for _ in 0..2 {
        assert_eq!(project.table_rows(Arc::clone(&table)).unwrap(), expected);
        assert_eq!(counter.total(), expected_counts());
    }
}

#[test]
fn quarantine_takes_the_row_out_and_keeps_its_text() {
    let project = Project::new();
    let raw = csv_view(&project);
    let typing = project.typing(&raw, SCHEMA, "quarantine").unwrap();
    let counter = Arc::new(TypingCounter::default());
    let good = typing.table(Arc::clone(&raw), Arc::clone(&counter));
    let expected = rows(&[["1", "2013-01-01", "x"], ["3", "2013-01-03", "z"]]);
    assert_eq!(project.table_rows(good).unwrap(), expected);
    assert_eq!(counter.total(), expected_counts());
    let bad = typing.bad_table(raw);
    assert_eq!(bad.schema(), typing.bad_schema());
    assert_eq!(
        project.table_rows(bad).unwrap(),
        rows(&[["two", "2013-02-30", "y", ERRORS]])
    );
}

#[test]
fn one_reading_spools_good_and_bad_rows() {
    let project = Project::new();
    let raw = csv_view(&project);
    project.write("d/b.csv", CSV);
    let both = project
        .provider("{ format: csv, path: 'd/*.csv' }")
        .unwrap();
    let typing = project.typing(&raw, SCHEMA, "quarantine").unwrap();
    let (counts, good, bad) = project.block_on(async {
        let scratch = Scratch::new(project.root()).unwrap();
        let mut good = scratch.writer("typed", typing.output_schema()).unwrap();
        let mut bad = scratch.writer("bad", typing.bad_schema()).unwrap();
        let state = session().state();
        let counts = typing
            .spool(&state, both, &mut good, Some(&mut bad))
            .await
            .unwrap();
        (
            counts,
            good.finish().await.unwrap(),
            bad.finish().await.unwrap(),
        )
    });
    assert_eq!((counts.rows, counts.bad_rows), (6, 2));
    assert_eq!(
        counts.bad_values,
        [("id".to_owned(), 2), ("day".to_owned(), 2)]
    );
    assert_eq!((good.rows, bad.rows), (4, 2));
    assert_eq!(project.table_rows(good.provider).unwrap().len(), 4);
    let bad: Rows = project.table_rows(bad.provider).unwrap();
    assert_eq!(bad[0], rows(&[["two", "2013-02-30", "y", ERRORS]])[0]);
}

#[test]
fn spooling_stops_at_a_fault_of_the_file() {
    let project = Project::with("a.csv", "id,day,note\n1,2013-01-01\n");
    let raw = project.provider("{ format: csv, path: a.csv }").unwrap();
    let typing = project.typing(&raw, SCHEMA, "fail").unwrap();
    let error = project.block_on(async {
        let scratch = Scratch::new(project.root()).unwrap();
        let mut good = scratch.writer("typed", typing.output_schema()).unwrap();
        typing
            .spool(&session().state(), raw, &mut good, None)
            .await
            .unwrap_err()
    });
    assert!(
        error
            .to_string()
            .starts_with("a.csv:2: the record has 2 fields, wanted 3"),
        "{error}"
    );
    assert!(error.hint.is_some());
}

#[test]
fn columns_are_matched_by_name() {
    let project = Project::with("a.csv", "b,a,c\n2,1,3\n");
    let raw = project.provider("{ format: csv, path: a.csv }").unwrap();
    let renamed = |other: &str| {
        format!(
            "version: 1\nother_columns: {other}\ncolumns: [{{ name: x, from: a, type: int }}, {{ name: b, type: int }}]"
        )
    };
    let typing = project.typing(&raw, &renamed("keep"), "fail").unwrap();
    let table = typing.table(Arc::clone(&raw), Arc::default());
    assert_eq!(project.table_rows(table).unwrap(), rows(&[["1", "2", "3"]]));
    let typing = project.typing(&raw, &renamed("drop"), "fail").unwrap();
    assert_eq!(typing.output_schema().fields().len(), 2);
    let problems = project.typing(&raw, &renamed("error"), "fail").unwrap_err();
    let expected = "s.yaml: column `c` of view `raw` is not listed\nhint: list it, or set `other_columns: keep` or `drop`";
    assert_eq!(problems.to_string(), expected);
    let misspelt = "version: 1\nother_columns: drop\ncolumns:\n- { name: aa, type: int }";
    let problems = project.typing(&raw, misspelt, "fail").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "s.yaml:4:11: view `raw` has no column `aa`\nhint: did you mean `a`?"
    );
}

#[test]
fn source_columns_pass_through_and_typed_columns_stay() {
    let project = Project::with("a.csv", "x\n1\n");
    let raw = project
        .provider("{ format: csv, path: a.csv, source_columns: true }")
        .unwrap();
    let typing = project.typing(&raw, &schema("type: int"), "fail").unwrap();
    let table = typing.table(raw, Arc::default());
    assert_eq!(
        project.table_rows(table).unwrap(),
        rows(&[["1", "a.csv", "2"]])
    );

    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
    let input: Arc<dyn TableProvider> =
        Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap());
    let typing = project
        .typing(&input, &schema("type: bigint"), "fail")
        .unwrap();
    let table = typing.table(Arc::clone(&input), Arc::default());
    assert_eq!(project.table_rows(table).unwrap(), rows(&[["1"], ["∅"]]));
    let strict = project
        .typing(&input, &schema("type: bigint, nullable: false"), "fail")
        .unwrap();
    let error = project
        .table_rows(strict.table(Arc::clone(&input), Arc::default()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("row 2: column `x`: the value is null"),
        "{error}"
    );
    let problems = project
        .typing(&input, &schema("type: int"), "fail")
        .unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("column `x` is Int64, neither text nor Int32"),
        "{problems}"
    );
}

#[test]
fn the_outcome_does_not_depend_on_the_columns_that_are_asked_for() {
    let project = Project::new();
    let raw = csv_view(&project);
    let typing = project.typing(&raw, SCHEMA, "fail").unwrap();
    let context = session();
    context
        .register_table("typed", typing.table(raw, Arc::default()))
        .unwrap();
    let outcome = project.block_on(async {
        context
            .sql("SELECT count(note) FROM typed")
            .await
            .unwrap()
            .collect()
            .await
    });
    assert!(crate::input_error::InputError::find(&outcome.unwrap_err()).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn numbers_and_dates_that_are_written_are_read_back(
        numbers in prop::collection::vec(any::<i64>(), 1..50),
        floats in prop::collection::vec(any::<f64>().prop_filter("finite", |f| f.is_finite()), 1..50),
        days in prop::collection::vec(-719_162_i32..2_932_896, 1..50),
        units in prop::collection::vec(-99_999_999_999_i64..99_999_999_999, 1..50),
        micros in prop::collection::vec(-62_135_596_800_000_000_i64..253_402_300_799_999_999, 1..50),
    ) {
        use datafusion::arrow::temporal_conversions::date32_to_datetime;
        let as_str = |texts: &[String]| typed_texts("type: bigint", texts);
        let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        prop_assert_eq!(as_str(&texts), texts);
        let texts: Vec<String> = floats.iter().map(|float| format!("{float:?}")).collect();
        let read: Vec<f64> = typed_texts("type: double", &texts).iter().map(|text| text.parse().unwrap()).collect();
        prop_assert_eq!(read, floats);
        let texts: Vec<String> = days.iter().map(|day| date32_to_datetime(*day).unwrap().date().to_string()).collect();
        prop_assert_eq!(typed_texts("type: date", &texts), texts);
        let texts: Vec<String> = units.iter().map(|unit| format!("{}{}.{:03}", if *unit < 0 { "-" } else { "" }, unit.abs() / 1000, unit.abs() % 1000)).collect();
        prop_assert_eq!(typed_texts("type: 'decimal(11,3)'", &texts), texts);
        let texts: Vec<String> = micros.iter().map(|micros| chrono::DateTime::from_timestamp_micros(*micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()).collect();
        let read: Vec<i64> = typed_texts("type: timestamp", &texts).iter().map(|text| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros()).collect();
        prop_assert_eq!(read, micros);
    }
}

fn typed_texts(column: &str, texts: &[String]) -> Vec<String> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    typed(column, &texts)
        .into_iter()
        .map(Result::unwrap)
        .collect()
}
