//! Values of a rule file as values of a column's type.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{Expr, cast, lit};

use crate::assertion::{Number, parse_moment};
use crate::checks::sql_type;
use crate::plan::{Planner, Trouble, column, plain_type};
use crate::suite::Check;
use crate::yaml::{Resolved, Scalar};

/// Whether it is text in any of its layouts.
pub(crate) const fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Whether it is a date or a timestamp.
pub(crate) const fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)
    )
}

/// The type to which two types of values are cast before they are compared; `None` for values that do not compare.
///
/// Dates and timestamps are compared as microseconds in UTC: a timestamp without a zone is in UTC everywhere, and
/// nanoseconds, which would be the finer unit, end in the year 2262.
pub(crate) fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (plain_type(left), plain_type(right));
    if left == right {
        return (!left.is_nested()).then(|| left.clone());
    }
    if left.is_null() || right.is_null() {
        return Some(if left.is_null() { right } else { left }.clone());
    }
    if is_text(left) && is_text(right) {
        return Some(DataType::Utf8View);
    }
    if is_time(left) && is_time(right) {
        return Some(DataType::Timestamp(
            TimeUnit::Microsecond,
            Some("UTC".into()),
        ));
    }
    if left.is_integer() && right.is_integer() {
        return comparison_coercion(left, right);
    }
    if let (Some(left), Some(right)) = (digits_of(left), digits_of(right)) {
        return decimal_for(left, right);
    }
    (fits_double(left) && fits_double(right)).then_some(DataType::Float64)
}

/// Digits before and behind the point of a number without rounding.
fn digits_of(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let scale = i16::from(*scale);
            Some((i16::from(*precision) - scale, scale))
        }
        // As many as 64 bits have.
        data_type if data_type.is_integer() => Some((20, 0)),
        _ => None,
    }
}

/// The decimal that holds the digits of both.
fn decimal_for(left: (i16, i16), right: (i16, i16)) -> Option<DataType> {
    let scale = left.1.max(right.1);
    let precision = u8::try_from(left.0.max(right.0) + scale).ok()?;
    let scale = i8::try_from(scale).ok()?;
    match precision {
        0..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// Whether every value is a double, so that comparing it with one rounds nothing.
fn fits_double(data_type: &DataType) -> bool {
    data_type.is_floating()
        || matches!(
            data_type,
            DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::UInt8
                | DataType::UInt16
                | DataType::UInt32
        )
}

/// The way out when two types of numbers do not compare.
pub(crate) fn rounding_hint(left: &DataType, right: &DataType) -> Option<String> {
    let is_rounding = left.is_numeric() && right.is_numeric();
    is_rounding.then(|| {
        "a floating-point number rounds the other one: give both columns one type, or say how to round in a check `sql`"
            .to_owned()
    })
}

/// A column as values of the type in which they are compared. Equal values are equal in every bit: a negative zero is zero.
pub(crate) fn comparable(name: &str, found: &DataType, wanted: &DataType) -> Expr {
    let mut values = column(name);
    if found != wanted {
        values = cast(values, wanted.clone());
    }
    match wanted {
        DataType::Float64 => values + lit(0f64),
        DataType::Float32 => values + lit(0f32),
        _ => values,
    }
}

/// A column that has to be text.
pub(crate) fn text_column(check: &Check, planner: &Planner, name: &str) -> Result<Expr, Trouble> {
    let column = planner.column(name)?;
    let data_type = planner.data_type(name)?;
    if is_text(&data_type) || data_type.is_null() {
        return Ok(column);
    }
    Err(Trouble::new(format!(
        "column `{name}` has type {}, check `{}` needs text",
        sql_type(&data_type),
        check.kind
    )))
}

/// A value as one of the column's type. A value that the type cannot hold is an error: no row could equal it.
pub(crate) fn literal(
    scalar: &Scalar,
    data_type: &DataType,
    column: &str,
) -> Result<ScalarValue, Trouble> {
    let text = scalar.text.as_str();
    let wrong = || no_value(text, data_type, column);
    let value = if data_type.is_integer() {
        integer(digits(text, 0).ok_or_else(wrong)?, data_type)
    } else if let DataType::Decimal128(precision, to) = data_type {
        digits(text, i32::from(*to))
            .filter(|v| v.unsigned_abs() < 10u128.pow(u32::from(*precision).min(38)))
            .map(|v| ScalarValue::Decimal128(Some(v), *precision, *to))
    } else if is_time(data_type) {
        parse_moment(text).and_then(|micros| moment(micros, data_type))
    } else if data_type == &DataType::Boolean {
        match scalar.resolve() {
            Resolved::Bool(value) => Some(ScalarValue::Boolean(Some(value))),
            _ => None,
        }
    } else {
        return Err(Trouble::new(format!(
            "column `{column}` has type {}, whose values a rule file cannot list",
            sql_type(data_type)
        )));
    };
    value.ok_or_else(wrong)
}

/// The trouble of a value that the column's type does not have.
pub(crate) fn no_value(text: &str, data_type: &DataType, column: &str) -> Trouble {
    Trouble::new(format!(
        "`{text}` is no value of column `{column}`, whose type is {}",
        sql_type(data_type)
    ))
}

fn integer(value: i128, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value.try_into().ok()?)),
        DataType::UInt8 => ScalarValue::UInt8(Some(value.try_into().ok()?)),
        DataType::UInt16 => ScalarValue::UInt16(Some(value.try_into().ok()?)),
        DataType::UInt32 => ScalarValue::UInt32(Some(value.try_into().ok()?)),
        DataType::UInt64 => ScalarValue::UInt64(Some(value.try_into().ok()?)),
        _ => return None,
    })
}

/// A number as all its digits at a scale; `None` when digits would be lost.
fn digits(text: &str, scale: i32) -> Option<i128> {
    let (digits, has_rest) = Number::parse(text)?.steps(scale)?;
    digits.to_i128().filter(|_| !has_rest)
}

fn moment(micros: i64, data_type: &DataType) -> Option<ScalarValue> {
    const DAY: i64 = 86_400_000_000;
    let whole = |unit: i64| (micros % unit == 0).then_some(micros / unit);
    Some(match data_type {
        DataType::Date32 => ScalarValue::Date32(Some(whole(DAY)?.try_into().ok()?)),
        DataType::Date64 => ScalarValue::Date64(Some(whole(DAY)? * 86_400_000)),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(Some(whole(1_000_000)?), zone),
                TimeUnit::Millisecond => {
                    ScalarValue::TimestampMillisecond(Some(whole(1000)?), zone)
                }
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(micros), zone),
                TimeUnit::Nanosecond => {
                    ScalarValue::TimestampNanosecond(Some(micros.checked_mul(1000)?), zone)
                }
            }
        }
        _ => return None,
    })
}
