//! Metrics in the form in which they are exact, and how they read for people.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use super::Bound;
use super::number::{Number, compare_exactly, rescale};
use super::value::{Amount, Value};
use crate::checks::sql_type;
use crate::plan::Trouble;

/// A metric, in the form in which it is exact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Quantity {
    /// A number.
    Number(Number),
    /// A share: `part` of `whole`, for example the good rows of all rows.
    Share {
        /// Numerator.
        part: u64,
        /// Denominator; not zero.
        whole: u64,
    },
    /// Milliseconds; negative when the newest value lies in the future.
    Age(i64),
    /// A mean: the sum of `count` values.
    Mean {
        /// Numerator.
        sum: Number,
        /// Denominator; not zero.
        count: u64,
    },
    /// The first number divided by the second, which may be zero; nothing of nothing is all of it.
    Ratio(Number, Number),
    /// A date or timestamp: microseconds since 1970, UTC, and its text.
    Moment(i64, String),
    /// Text.
    Text(String),
}

impl Quantity {
    /// The metric of a minimum or maximum; `None` for null.
    pub(crate) fn from_scalar(value: &ScalarValue) -> Result<Option<Self>, Trouble> {
        if value.is_null() {
            return Ok(None);
        }
        match Self::of_value(value) {
            Some(quantity) => Ok(Some(quantity)),
            None => Err(Trouble::new(format!(
                "a value of type {} is outside the range that can be compared",
                sql_type(&value.data_type())
            ))),
        }
    }

    fn of_value(value: &ScalarValue) -> Option<Self> {
        let integer = |v: i128| Some(Self::Number(Number::integer(v)));
        match value {
            ScalarValue::Int8(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int16(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int32(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int64(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt8(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt16(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt32(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt64(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Float16(Some(v)) => {
                Some(Self::Number(Number::Float(f64::from(v.to_f32()))))
            }
            ScalarValue::Float32(Some(v)) => Some(Self::Number(Number::Float(f64::from(*v)))),
            ScalarValue::Float64(Some(v)) => Some(Self::Number(Number::Float(*v))),
            ScalarValue::Decimal32(Some(v), _, scale) => decimal((*v).into(), *scale),
            ScalarValue::Decimal64(Some(v), _, scale) => decimal((*v).into(), *scale),
            ScalarValue::Decimal128(Some(v), _, scale) => decimal((*v).into(), *scale),
            ScalarValue::Decimal256(Some(v), _, scale) => decimal(*v, *scale),
            ScalarValue::Dictionary(_, inner) => Self::of_value(inner),
            ScalarValue::Utf8(Some(v))
            | ScalarValue::LargeUtf8(Some(v))
            | ScalarValue::Utf8View(Some(v)) => Some(Self::Text(v.clone())),
            _ => {
                let micros = moment_of(value)?;
                Some(Self::Moment(
                    micros,
                    moment_text(micros, &value.data_type())?,
                ))
            }
        }
    }

    /// Two numbers beside each other; `None` when one of them is none.
    pub(crate) fn ratio(part: &Self, whole: &Self) -> Option<Self> {
        match (part, whole) {
            (Self::Number(part), Self::Number(whole)) => Some(Self::Ratio(*part, *whole)),
            _ => None,
        }
    }

    pub(crate) fn is_nan(&self) -> bool {
        let (Self::Number(number) | Self::Mean { sum: number, .. }) = self else {
            return false;
        };
        number.to_f64().is_nan()
    }

    /// The metric as one number, for records and for comparing two reports.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        let value = match self {
            Self::Number(number) => number.to_f64(),
            Self::Share { part, whole } => *part as f64 / *whole as f64,
            Self::Mean { sum, count } => sum.to_f64() / *count as f64,
            Self::Ratio(part, whole) => ratio(*part, *whole),
            Self::Age(milliseconds) => *milliseconds as f64 / 1000.0,
            Self::Moment(micros, _) => *micros as f64 / 1e6,
            Self::Text(_) => return None,
        };
        value.is_finite().then_some(value)
    }

    /// The metric for people, beside the conditions that it breaks: never as one of their values, which it is not.
    pub(super) fn text_beside(&self, broken: &[&Bound]) -> String {
        let text = self.to_string();
        let values = broken.iter().flat_map(|bound| bound.values());
        for value in values.filter(|value| value.is_written(&text)) {
            match self.compare(value) {
                Some(Ordering::Less) => return format!("just below {text}"),
                Some(Ordering::Greater) => return format!("just above {text}"),
                Some(Ordering::Equal) | None => {}
            }
        }
        text
    }

    pub(super) fn compare(&self, wanted: &Value) -> Option<Ordering> {
        match (self, &wanted.amount) {
            (Self::Number(left), Amount::Number(right)) => left.compare(*right),
            (Self::Mean { sum, count }, Amount::Number(wanted)) => {
                compare_mean(*sum, *count, *wanted)
            }
            (Self::Share { part, whole }, Amount::Percent(percent)) => {
                compare_share(*part, *whole, *percent)
            }
            (Self::Ratio(part, whole), Amount::Percent(percent)) => {
                compare_ratio(*part, *whole, *percent)
            }
            (Self::Age(left), Amount::Duration(right)) => {
                Some(i128::from(*left).cmp(&i128::try_from(right.as_millis()).ok()?))
            }
            (Self::Moment(left, _), Amount::Moment(right)) => Some(left.cmp(right)),
            (Self::Text(left), _) => Some(left.as_str().cmp(wanted.text.as_str())),
            _ => None,
        }
    }
}

fn decimal(unscaled: i256, scale: i8) -> Option<Quantity> {
    let number = match u32::try_from(scale) {
        Ok(scale) => Number::Exact { unscaled, scale },
        Err(_) => Number::Exact {
            unscaled: rescale(unscaled, u32::from(scale.unsigned_abs()))?,
            scale: 0,
        },
    };
    Some(Quantity::Number(number))
}

/// A date or timestamp as microseconds since 1970; `None` beyond the range of 64 bits.
fn moment_of(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Date32(Some(days)) => i64::from(*days).checked_mul(86_400_000_000),
        ScalarValue::Date64(Some(millis)) => millis.checked_mul(1000),
        ScalarValue::TimestampSecond(Some(v), _) => v.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(v), _) => v.checked_mul(1000),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Some(*v),
        ScalarValue::TimestampNanosecond(Some(v), _) => Some(v.div_euclid(1000)),
        _ => None,
    }
}

/// A date or timestamp as a rule file writes it: `2024-12-31`, or `2024-12-31T23:59:59Z` with a zone.
fn moment_text(micros: i64, data_type: &DataType) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    Some(match data_type {
        DataType::Date32 | DataType::Date64 => moment.format("%Y-%m-%d").to_string(),
        DataType::Timestamp(_, None) => moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        _ => moment.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string(),
    })
}

/// A mean beside a number: the sum beside the number times the count, so that nothing is rounded.
fn compare_mean(sum: Number, count: u64, wanted: Number) -> Option<Ordering> {
    if let (
        Number::Exact { unscaled, scale },
        Number::Exact {
            unscaled: wanted,
            scale: wanted_scale,
        },
    ) = (sum, wanted)
    {
        let count = i256::from_i128(i128::from(count));
        if let Some(wanted) = wanted.checked_mul(count) {
            return compare_exactly((unscaled, scale), (wanted, wanted_scale));
        }
    }
    (sum.to_f64() / count as f64).partial_cmp(&wanted.to_f64())
}

/// A share beside a percent: a hundred parts beside the percent of the whole.
fn compare_share(part: u64, whole: u64, percent: Number) -> Option<Ordering> {
    let [part, whole] = [part, whole].map(|count| i256::from_i128(i128::from(count)));
    match percent {
        Number::Exact { unscaled, scale } => {
            let parts = part.checked_mul(i256::from_i128(100))?;
            let wanted = unscaled.checked_mul(whole)?;
            compare_exactly((parts, 0), (wanted, scale))
        }
        // A percent is read exactly.
        Number::Float(_) => None,
    }
}

/// The first number divided by the second, as a floating-point number.
fn ratio(part: Number, whole: Number) -> f64 {
    let (part, whole) = (part.to_f64(), whole.to_f64());
    if part == 0.0 && whole == 0.0 {
        1.0
    } else {
        part / whole
    }
}

/// A ratio beside a percent: a hundred parts beside the percent of the whole, where that is exact.
fn compare_ratio(part: Number, whole: Number, percent: Number) -> Option<Ordering> {
    if let (
        Number::Exact {
            unscaled: part,
            scale: part_scale,
        },
        Number::Exact {
            unscaled: whole,
            scale: whole_scale,
        },
        Number::Exact { unscaled, scale },
    ) = (part, whole, percent)
        && whole != i256::ZERO
        && let Some(parts) = part.checked_mul(i256::from_i128(100))
        && let Some(wanted) = unscaled.checked_mul(whole)
    {
        let order = compare_exactly((parts, part_scale), (wanted, whole_scale + scale))?;
        let is_negative = whole < i256::ZERO;
        return Some(if is_negative { order.reverse() } else { order });
    }
    (ratio(part, whole) * 100.0).partial_cmp(&percent.to_f64())
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Share { part, whole } => f.write_str(&percent(*part, *whole)),
            Self::Mean { sum, count } => mean(*sum, *count).fmt(f),
            Self::Ratio(part, whole) => f.write_str(&ratio_text(*part, *whole)),
            Self::Age(milliseconds) if *milliseconds < 0 => {
                write!(f, "{} in the future", duration(milliseconds.unsigned_abs()))
            }
            Self::Age(milliseconds) => f.write_str(&duration(milliseconds.unsigned_abs())),
            Self::Moment(_, text) | Self::Text(text) => f.write_str(text),
        }
    }
}

/// The mean of a sum; exact where the division is.
fn mean(sum: Number, count: u64) -> Number {
    let divisor = i256::from_i128(i128::from(count));
    if let Number::Exact { unscaled, scale } = sum
        && unscaled.checked_rem(divisor) == Some(i256::ZERO)
        && let Some(unscaled) = unscaled.checked_div(divisor)
    {
        return Number::Exact { unscaled, scale };
    }
    Number::Float(sum.to_f64() / count as f64)
}

/// A share for people. It says `100%` and `0%` only when that is exact.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "no rows".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    let text = percent_text(share, part == whole, part == 0);
    text.unwrap_or_else(|| format!("{part} of {whole}"))
}

/// A percent with as many digits as it takes not to read `100` or `0` unless it is.
fn percent_text(percent: f64, is_all: bool, is_nothing: bool) -> Option<String> {
    (2..17).find_map(|digits| {
        let text = format!("{percent:.digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let is_zero = matches!(text, "0" | "-0");
        let rounds_to_end = (text == "100" && !is_all) || (is_zero && !is_nothing);
        (!rounds_to_end).then(|| format!("{text}%"))
    })
}

/// A ratio for people, in percent.
fn ratio_text(part: Number, whole: Number) -> String {
    let ratio = ratio(part, whole);
    if !ratio.is_finite() {
        let text = if ratio.is_nan() { "NaN" } else { "infinite" };
        return text.to_owned();
    }
    let is_all = part.compare(whole) == Some(Ordering::Equal);
    let is_nothing = part.to_f64() == 0.0;
    let percent = if is_nothing && !is_all {
        0.0
    } else {
        ratio * 100.0
    };
    let text = percent_text(percent, is_all, is_nothing);
    text.unwrap_or_else(|| format!("{part} of {whole}"))
}

fn duration(milliseconds: u64) -> String {
    let seconds = Duration::from_secs(milliseconds / 1000);
    humantime::format_duration(seconds).to_string()
}
