use serde_json::json;

use super::*;

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn micros(value: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(value), None)
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

#[test]
fn bounds_are_widened_by_what_a_log_may_leave_out() {
    let long = "p".repeat(32);
    let raised = format!("{}q", "p".repeat(31));
    let last = "\u{10ffff}".repeat(32);
    for (value, data_type, lower, upper) in [
        (
            json!(5),
            DataType::Int64,
            Some(ScalarValue::Int64(Some(5))),
            Some(ScalarValue::Int64(Some(5))),
        ),
        (json!(300), DataType::Int8, None, None),
        (json!("5"), DataType::Int32, None, None),
        (
            json!(true),
            DataType::Boolean,
            Some(ScalarValue::Boolean(Some(true))),
            Some(ScalarValue::Boolean(Some(true))),
        ),
        (
            json!("1970-01-02"),
            DataType::Date32,
            Some(ScalarValue::Date32(Some(1))),
            Some(ScalarValue::Date32(Some(1))),
        ),
        (json!("yesterday"), DataType::Date32, None, None),
        // Up to 999 microseconds are cut, also before 1970.
        (
            json!("1970-01-01T00:00:00.001Z"),
            TIMESTAMP,
            Some(micros(1_000)),
            Some(micros(1_999)),
        ),
        (
            json!("1970-01-01 00:00:01"),
            TIMESTAMP,
            Some(micros(1_000_000)),
            Some(micros(1_000_999)),
        ),
        (
            json!("1969-12-31T23:59:59.999Z"),
            TIMESTAMP,
            Some(micros(-1_000)),
            Some(micros(-1)),
        ),
        // 0.3 is no float: the decimal lies somewhere around it.
        (
            json!(0.3),
            DataType::Decimal128(10, 2),
            Some(ScalarValue::Decimal128(Some(29), 10, 2)),
            Some(ScalarValue::Decimal128(Some(31), 10, 2)),
        ),
        (
            json!(-0.3),
            DataType::Decimal128(10, 2),
            Some(ScalarValue::Decimal128(Some(-31), 10, 2)),
            Some(ScalarValue::Decimal128(Some(-29), 10, 2)),
        ),
        // What was put through 64 bits says nothing at their ends.
        (json!(i64::MAX), DataType::Decimal128(38, 0), None, None),
        (json!(i64::MIN), DataType::Decimal128(38, 0), None, None),
        (
            json!("short"),
            DataType::Utf8,
            Some(text("short")),
            Some(text("short")),
        ),
        (
            json!(long),
            DataType::Utf8,
            Some(text(&long)),
            Some(text(&raised)),
        ),
        (json!(last), DataType::Utf8, Some(text(&last)), None),
        (json!("abc"), DataType::Binary, None, None),
        (json!({"a": 1}), DataType::Utf8, None, None),
    ] {
        assert_eq!(
            bound(&value, &data_type, Side::Lower),
            lower,
            "lower {value} {data_type}"
        );
        assert_eq!(
            bound(&value, &data_type, Side::Upper),
            upper,
            "upper {value} {data_type}"
        );
    }
    for data_type in [DataType::Float32, DataType::Float64] {
        let below = bound(&json!(0.1), &data_type, Side::Lower).unwrap();
        let above = bound(&json!(0.1), &data_type, Side::Upper).unwrap();
        assert!(
            finite(&below).unwrap() < 0.1 && 0.1 < finite(&above).unwrap(),
            "{below} {above}"
        );
    }
}

fn file(stats: Option<&str>, partition: Option<&str>) -> DataFile {
    DataFile {
        path: "a.parquet".to_owned(),
        size: 10,
        partition_values: [("p".to_owned(), partition.map(str::to_owned))].into(),
        stats: stats.map(Arc::from),
        modification_time: 0,
    }
}

fn statistics(files: &[DataFile]) -> Result<FileStatistics, DataFusionError> {
    let fields = vec![
        Field::new("a", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("p", DataType::Int32, true),
    ];
    FileStatistics::parse(&Arc::new(Schema::new(fields)), &["p".to_owned()], files)
}

#[test]
fn only_what_is_exact_is_told_as_exact() {
    let stats = r#"{"numRecords":3,"minValues":{"a":1,"f":1.5},"maxValues":{"a":9,"f":2.5},"nullCount":{"a":1,"f":0}}"#;
    let parsed = statistics(&[file(Some(stats), Some("7"))]).unwrap();
    let planner = parsed.planner(0);
    assert_eq!(planner.num_rows, Precision::Exact(3));
    let [a, f, p] = planner.column_statistics.as_slice() else {
        panic!("{planner:?}")
    };
    assert_eq!(a.min_value, Precision::Inexact(ScalarValue::Int64(Some(1))));
    assert_eq!(a.max_value, Precision::Inexact(ScalarValue::Int64(Some(9))));
    assert_eq!(a.null_count, Precision::Inexact(1));
    assert_eq!(
        (&f.min_value, &f.max_value),
        (&Precision::Absent, &Precision::Absent)
    );
    assert_eq!(p.min_value, Precision::Exact(ScalarValue::Int32(Some(7))));
}

#[test]
fn a_file_without_rows_has_no_exact_partition_value() {
    let parsed = statistics(&[file(Some(r#"{"numRecords":0}"#), Some("7"))]).unwrap();
    assert_eq!(
        parsed.planner(0).column_statistics[2].min_value,
        Precision::Inexact(ScalarValue::Int32(Some(7)))
    );
}

#[test]
fn broken_statistics_are_no_statistics() {
    for broken in [
        None,
        Some(""),
        Some("{"),
        Some("[]"),
        Some(r#"{"numRecords":-1}"#),
        Some(r#"{"numRecords":"3"}"#),
    ] {
        let parsed = statistics(&[file(broken, None)]).unwrap();
        assert_eq!(parsed.row_count(0), None, "{broken:?}");
        assert_eq!(parsed.planner(0).num_rows, Precision::Absent, "{broken:?}");
        assert!(
            parsed
                .min_values(&Column::from_name("a"))
                .unwrap()
                .is_null(0),
            "{broken:?}"
        );
    }
}

#[test]
fn a_partition_value_of_another_type_is_an_error_that_names_it() {
    let error = statistics(&[file(None, Some("seven"))])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("partition value `seven` of column `p` is not a Int32"),
        "{error}"
    );
    let empty = statistics(&[file(None, Some(""))]).unwrap();
    assert!(
        empty.partition_values(2).is_null(0),
        "an empty string is null"
    );
}
