//! Single values in a form that depends on no library: a tag and the value, read back by the type that it is to have.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;

use super::codec::{DecodeError, Reader, Writer};

/// Whole numbers, digits of decimals, ticks of dates and timestamps.
const INTEGER: u8 = 1;
/// Digits of decimals of more than 38 digits.
const WIDE: u8 = 2;
/// Floating-point numbers, as the bits of 64-bit ones.
const FLOAT: u8 = 3;
const TEXT: u8 = 4;

/// Writes a value that is not null. None when values of its type have no form.
pub(crate) fn write(value: &ScalarValue, to: &mut Writer) -> Option<()> {
    if let ScalarValue::Dictionary(_, value) = value {
        return write(value, to);
    }
    if let Some(text) = value.try_as_str() {
        to.u8(TEXT);
        to.text(text?);
        return Some(());
    }
    let float = match value {
        ScalarValue::Float16(value) => Some(f64::from((*value)?)),
        ScalarValue::Float32(value) => Some(f64::from((*value)?)),
        ScalarValue::Float64(value) => Some((*value)?),
        _ => None,
    };
    if let Some(float) = float {
        to.u8(FLOAT);
        to.f64(float);
        return Some(());
    }
    if let ScalarValue::Decimal256(value, _, _) = value {
        to.u8(WIDE);
        to.i256((*value)?);
        return Some(());
    }
    let ticks = ticks(value)?;
    to.u8(INTEGER);
    to.i128(ticks);
    Some(())
}

pub(super) fn ticks(value: &ScalarValue) -> Option<i128> {
    use ScalarValue as S;
    Some(match value {
        S::Boolean(value) => i128::from((*value)?),
        S::Int8(value) => i128::from((*value)?),
        S::Int16(value) => i128::from((*value)?),
        S::Int32(value) | S::Date32(value) | S::Decimal32(value, _, _) => i128::from((*value)?),
        S::Int64(value)
        | S::Date64(value)
        | S::Decimal64(value, _, _)
        | S::TimestampSecond(value, _)
        | S::TimestampMillisecond(value, _)
        | S::TimestampMicrosecond(value, _)
        | S::TimestampNanosecond(value, _) => i128::from((*value)?),
        S::UInt8(value) => i128::from((*value)?),
        S::UInt16(value) => i128::from((*value)?),
        S::UInt32(value) => i128::from((*value)?),
        S::UInt64(value) => i128::from((*value)?),
        S::Decimal128(value, _, _) => (*value)?,
        _ => return None,
    })
}

/// Reads a value of a type.
pub(crate) fn read(
    from: &mut Reader<'_>,
    data_type: &DataType,
) -> Result<ScalarValue, DecodeError> {
    match from.u8()? {
        INTEGER => of_ticks(from.i128()?, data_type),
        WIDE => match data_type {
            DataType::Decimal256(precision, scale) => {
                let value = Some(from.i256()?);
                Some(ScalarValue::Decimal256(value, *precision, *scale))
            }
            _ => None,
        },
        FLOAT => of_float(from.f64()?, data_type),
        TEXT => of_text(from.text()?, data_type),
        _ => None,
    }
    .ok_or(DecodeError::Damaged("a value of another type"))
}

pub(super) fn of_ticks(ticks: i128, data_type: &DataType) -> Option<ScalarValue> {
    use ScalarValue as S;
    fn narrow<T: TryFrom<i128>>(ticks: i128) -> Option<Option<T>> {
        T::try_from(ticks).ok().map(Some)
    }
    Some(match data_type {
        DataType::Boolean => S::Boolean(Some(match ticks {
            0 => false,
            1 => true,
            _ => return None,
        })),
        DataType::Int8 => S::Int8(narrow(ticks)?),
        DataType::Int16 => S::Int16(narrow(ticks)?),
        DataType::Int32 => S::Int32(narrow(ticks)?),
        DataType::Int64 => S::Int64(narrow(ticks)?),
        DataType::UInt8 => S::UInt8(narrow(ticks)?),
        DataType::UInt16 => S::UInt16(narrow(ticks)?),
        DataType::UInt32 => S::UInt32(narrow(ticks)?),
        DataType::UInt64 => S::UInt64(narrow(ticks)?),
        DataType::Decimal32(precision, scale) => S::Decimal32(narrow(ticks)?, *precision, *scale),
        DataType::Decimal64(precision, scale) => S::Decimal64(narrow(ticks)?, *precision, *scale),
        DataType::Decimal128(precision, scale) => S::Decimal128(Some(ticks), *precision, *scale),
        DataType::Date32 => S::Date32(narrow(ticks)?),
        DataType::Date64 => S::Date64(narrow(ticks)?),
        DataType::Timestamp(unit, zone) => {
            let (ticks, zone) = (narrow(ticks)?, zone.clone());
            match unit {
                TimeUnit::Second => S::TimestampSecond(ticks, zone),
                TimeUnit::Millisecond => S::TimestampMillisecond(ticks, zone),
                TimeUnit::Microsecond => S::TimestampMicrosecond(ticks, zone),
                TimeUnit::Nanosecond => S::TimestampNanosecond(ticks, zone),
            }
        }
        _ => return None,
    })
}

fn of_float(float: f64, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Float64 => Some(ScalarValue::Float64(Some(float))),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it was one of 32 bits when it was written"
        )]
        DataType::Float32 => Some(ScalarValue::Float32(Some(float as f32))),
        DataType::Float16 => ScalarValue::Float64(Some(float))
            .cast_to(&DataType::Float16)
            .ok(),
        _ => None,
    }
}

pub(super) fn of_text(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let text = Some(text.to_owned());
    match data_type {
        DataType::Utf8 => Some(ScalarValue::Utf8(text)),
        DataType::LargeUtf8 => Some(ScalarValue::LargeUtf8(text)),
        DataType::Utf8View => Some(ScalarValue::Utf8View(text)),
        _ => None,
    }
}
