//! Values of a rule file as values of a column's type.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use crate::assertion::{Number, parse_moment};
use crate::checks::sql_type;
use crate::plan::{Planner, Trouble};
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

/// A column that has to be text.
pub(crate) fn text_column(check: &Check, planner: &Planner, name: &str) -> Result<Expr, Trouble> {
    let column = planner.column(name)?;
    let data_type = planner.data_type(name)?;
    if is_text(&data_type) {
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
    let wrong = || {
        Trouble::new(format!(
            "`{text}` is no value of column `{column}`, whose type is {}",
            sql_type(data_type)
        ))
    };
    let value = if data_type.is_integer() {
        let Some(Number::Exact { unscaled, scale }) = Number::parse(text) else {
            return Err(wrong());
        };
        integer(
            rescale_exactly(unscaled, scale, 0).ok_or_else(wrong)?,
            data_type,
        )
    } else if let DataType::Decimal128(precision, to) = data_type {
        let Some(Number::Exact { unscaled, scale }) = Number::parse(text) else {
            return Err(wrong());
        };
        rescale_exactly(unscaled, scale, i32::from(*to))
            .filter(|v| v.unsigned_abs() < 10u128.pow(u32::from(*precision).min(38)))
            .map(|v| ScalarValue::Decimal128(Some(v), *precision, *to))
    } else if data_type.is_floating() {
        let number = Number::parse(text).ok_or_else(wrong)?.to_f64();
        match data_type {
            DataType::Float32 => Some(ScalarValue::Float32(Some(number as f32))),
            DataType::Float64 => Some(ScalarValue::Float64(Some(number))),
            _ => None,
        }
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

/// The same number with another scale; `None` when digits would be lost.
fn rescale_exactly(unscaled: i128, from: u32, to: i32) -> Option<i128> {
    let shift = to.checked_sub(i32::try_from(from).ok()?)?;
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        return unscaled.checked_mul(power);
    }
    (unscaled % power == 0).then_some(unscaled / power)
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
