//! Each type's texts, and the reasons why others are refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::{schema, view};
use crate::test_support::Project;

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
        "type: date, formats: ['%-d.%-m.%Y', '%d.%m.%y', iso]",
        &[
            ("31.1.2013", "2013-01-31"),
            ("01.02.69", "2069-02-01"),
            ("01.02.70", "1970-02-01"),
            ("2013-01-31", "2013-01-31"),
        ],
    );
    good(
        "type: date, formats: ['%e %b %Y', '%Y-%j']",
        &[(" 1 feb 2013", "2013-02-01"), ("2013-032", "2013-02-01")],
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
            ("01.02.24", not_a_date),
            ("1.02.2024", not_a_date),
            (" 01.02.2024", not_a_date),
            ("01. 2.2024", not_a_date),
            ("01.02.+2024", not_a_date),
        ],
    );
    bad("type: date, formats: '%Y%m%d'", &[("2013123", not_a_date)]);
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
    good(
        "type: timestamp_ntz, formats: ['%Y-%m-%d %H:%M:%S%.f', '%Y%m%d%H%M%S%3f']",
        &[
            ("2013-01-31 10:00:00.5", "2013-01-31T10:00:00.500"),
            ("2013-01-31 10:00:00", "2013-01-31T10:00:00"),
            ("20130131100000250", "2013-01-31T10:00:00.250"),
        ],
    );
    let no_such = "is not a time that exists between the years 1 and 9999";
    let not_a_time = "is not a timestamp of the expected format";
    bad(
        "type: timestamp, formats: '%Y-%m-%d %H:%M:%S%.f'",
        &[
            ("2013-01-01 23:59:60", not_a_time),
            ("2013-01-01 1:02:03", not_a_time),
            ("2013-01-01  01:02:03", not_a_time),
            ("2013-01-01 01:02:03.1234567890", not_a_time),
            ("2013-01-01 01:02:03.1234567", "is finer than a microsecond"),
        ],
    );
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
