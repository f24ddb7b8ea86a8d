//! The types that columns can have, as ODBC and its relatives ask for them: `GetXdbcTypeInfo`.

use std::sync::LazyLock;

use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use datafusion::arrow::array::RecordBatch;
use tonic::Status;

use crate::status;

static ALL: LazyLock<Result<XdbcTypeInfoData, String>> = LazyLock::new(|| {
    let mut all = XdbcTypeInfoDataBuilder::new();
    types().into_iter().for_each(|info| all.append(info));
    all.build().map_err(|error| error.to_string())
});

/// The types, or those with this number.
pub(crate) fn values(data_type: Option<i32>) -> Result<RecordBatch, Status> {
    let all = ALL.as_ref();
    let all = all.map_err(|error| status::bug("`GetXdbcTypeInfo` has no values", error))?;
    all.record_batch(data_type).map_err(status::of_flight)
}

/// A type without quotes around its values.
fn plain(name: &str, data_type: XdbcDataType, column_size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: Some(column_size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: data_type,
        ..XdbcTypeInfo::default()
    }
}

/// A whole number: digits in decimal.
fn whole(name: &str, data_type: XdbcDataType, digits: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        num_prec_radix: Some(10),
        ..plain(name, data_type, digits)
    }
}

/// A floating-point number: digits in binary.
fn floating(name: &str, data_type: XdbcDataType, digits: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(2),
        ..plain(name, data_type, digits)
    }
}

/// A type whose values stand in quotes behind a word.
fn quoted(info: XdbcTypeInfo, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..info
    }
}

/// A date or time, which is a kind of `XdbcDatetime`.
fn time(
    name: &str,
    data_type: XdbcDataType,
    subcode: XdbcDatetimeSubcode,
    column_size: i32,
    prefix: &str,
) -> XdbcTypeInfo {
    let info = XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..plain(name, data_type, column_size)
    };
    quoted(info, prefix)
}

fn types() -> Vec<XdbcTypeInfo> {
    let text = |name: &str| XdbcTypeInfo {
        case_sensitive: true,
        ..quoted(plain(name, XdbcDataType::XdbcVarchar, i32::MAX), "'")
    };
    vec![
        plain("boolean", XdbcDataType::XdbcBit, 1),
        whole("tinyint", XdbcDataType::XdbcTinyint, 3),
        whole("smallint", XdbcDataType::XdbcSmallint, 5),
        whole("int", XdbcDataType::XdbcInteger, 10),
        whole("bigint", XdbcDataType::XdbcBigint, 19),
        floating("float", XdbcDataType::XdbcReal, 24),
        floating("double", XdbcDataType::XdbcDouble, 53),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            fixed_prec_scale: false,
            maximum_scale: Some(38),
            ..whole("decimal", XdbcDataType::XdbcDecimal, 38)
        },
        text("string"),
        quoted(plain("binary", XdbcDataType::XdbcVarbinary, i32::MAX), "X'"),
        time(
            "date",
            XdbcDataType::XdbcDate,
            // The same number as that of dates.
            XdbcDatetimeSubcode::XdbcSubcodeYear,
            10,
            "DATE '",
        ),
        time(
            "time",
            XdbcDataType::XdbcTime,
            XdbcDatetimeSubcode::XdbcSubcodeTime,
            15,
            "TIME '",
        ),
        time(
            "timestamp_ntz",
            XdbcDataType::XdbcTimestamp,
            XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
            26,
            "TIMESTAMP '",
        ),
        time(
            "timestamp",
            XdbcDataType::XdbcTimestamp,
            XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
            32,
            "TIMESTAMP '",
        ),
    ]
}
