//! Values between two limits, in the type of the column.
//!
//! Limits are turned into the column's type once, so that a row costs two comparisons: a limit of
//! 0.5 on whole numbers becomes 1 from below and 0 from above, digit by digit for decimals.

use std::cmp::Ordering;
use std::fmt;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::*;
use datafusion::common::{Result, exec_err};

use crate::assertion::{Number, parse_moment};
use crate::checks::sql_type;
use crate::literal::is_time;
use crate::plan::{Planner, Trouble};
use crate::row_test::RowTest;

/// A limit as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    text: String,
    amount: Amount,
}

#[derive(Debug, Clone, PartialEq)]
enum Amount {
    Number(Number),
    /// Microseconds since 1970.
    Moment(i64),
    CommitTime,
}

impl Limit {
    /// Reads a number, a date, a timestamp or `:commit_time`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let amount = if text == ":commit_time" {
            Amount::CommitTime
        } else if let Some(number) = Number::parse(text) {
            if number.to_f64().is_nan() {
                return None;
            }
            Amount::Number(number)
        } else {
            Amount::Moment(parse_moment(text)?)
        };
        Some(Self {
            text: text.to_owned(),
            amount,
        })
    }

    /// The limit with the time of the commit in the place of `:commit_time`.
    pub(crate) fn at_commit(&self, planner: &Planner) -> Result<Self, Trouble> {
        let amount = match &self.amount {
            Amount::CommitTime => Amount::Moment(planner.now()?.timestamp_micros()),
            known => known.clone(),
        };
        Ok(Self {
            text: self.text.clone(),
            amount,
        })
    }

    /// Whether nothing can lie between this limit and a higher one.
    pub(crate) fn is_more_than(&self, high: &Self) -> bool {
        match (&self.amount, &high.amount) {
            (Amount::Number(low), Amount::Number(high)) => {
                low.compare(*high).is_some_and(Ordering::is_gt)
            }
            (Amount::Moment(low), Amount::Moment(high)) => low > high,
            _ => false,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Values between two limits, both included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RangeTest {
    /// Whole numbers, also the digits of decimals and the ticks of dates and timestamps.
    Integers {
        /// The smallest good one.
        low: i128,
        /// The largest good one.
        high: i128,
        /// The type whose ticks these are.
        data_type: DataType,
    },
    /// Floating-point numbers, as bits, so that tests can be compared.
    Floats {
        /// The smallest good one.
        low: u64,
        /// The largest good one.
        high: u64,
    },
}

impl RangeTest {
    /// A test between limits that are known: see [`Limit::at_commit`].
    pub(crate) fn new(
        column: &str,
        data_type: &DataType,
        min: Option<&Limit>,
        max: Option<&Limit>,
    ) -> Result<Self, Trouble> {
        if data_type.is_floating() {
            let bits = |limit: Option<&Limit>, open: f64| match limit {
                None => Ok(open.to_bits()),
                Some(limit) => match limit.amount {
                    Amount::Number(number) => Ok(number.to_f64().to_bits()),
                    _ => Err(wrong_limit(column, data_type, limit)),
                },
            };
            return Ok(Self::Floats {
                low: bits(min, f64::NEG_INFINITY)?,
                high: bits(max, f64::INFINITY)?,
            });
        }
        let is_known = data_type.is_integer() || data_type.is_decimal() || is_time(data_type);
        if !is_known || matches!(data_type, DataType::Decimal256(_, _)) {
            return Err(Trouble::new(format!(
                "column `{column}` has type {}, check `between` needs a number, a date or a timestamp",
                sql_type(data_type)
            )));
        }
        let low = match min {
            None => i128::MIN,
            Some(limit) => ticks(limit, data_type, Side::Low)
                .ok_or_else(|| wrong_limit(column, data_type, limit))?,
        };
        let high = match max {
            None => i128::MAX,
            Some(limit) => ticks(limit, data_type, Side::High)
                .ok_or_else(|| wrong_limit(column, data_type, limit))?,
        };
        Ok(Self::Integers {
            low,
            high,
            data_type: data_type.clone(),
        })
    }
}

fn wrong_limit(column: &str, data_type: &DataType, limit: &Limit) -> Trouble {
    Trouble::new(format!(
        "`{limit}` is no limit for column `{column}`, whose type is {}",
        sql_type(data_type)
    ))
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Low,
    High,
}

/// A limit in the smallest steps of the type, rounded into the range.
fn ticks(limit: &Limit, data_type: &DataType, side: Side) -> Option<i128> {
    let micros = match limit.amount {
        Amount::Number(number) if !is_time(data_type) => {
            return number_ticks(number, scale_of(data_type), side);
        }
        Amount::Moment(micros) if is_time(data_type) => micros,
        _ => return None,
    };
    let micros = i128::from(micros);
    match data_type {
        DataType::Date32 => Some(divide(micros, 86_400_000_000, side)),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Some(divide(micros, 1000, side))
        }
        DataType::Timestamp(TimeUnit::Second, _) => Some(divide(micros, 1_000_000, side)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(micros),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(micros * 1000),
        _ => None,
    }
}

fn number_ticks(number: Number, scale: i32, side: Side) -> Option<i128> {
    match number {
        Number::Float(value) if value.is_infinite() => {
            // Beyond every value on its own side, and no range at all on the other.
            return Some(if value < 0.0 { i128::MIN } else { i128::MAX });
        }
        Number::Float(value) => return float_ticks(value, scale, side),
        Number::Exact { .. } => {}
    }
    // A limit beyond all digits is beyond every value.
    let beyond = |is_negative| if is_negative { i128::MIN } else { i128::MAX };
    let Some((floor, has_rest)) = number.steps(scale) else {
        return Some(beyond(number.to_f64() < 0.0));
    };
    let ticks = match side {
        Side::Low if has_rest => floor.checked_add(i256::ONE)?,
        Side::Low | Side::High => floor,
    };
    Some(ticks.to_i128().unwrap_or(beyond(ticks.is_negative())))
}

/// A limit with more digits than are read exactly.
fn float_ticks(value: f64, scale: i32, side: Side) -> Option<i128> {
    let scaled = value * 10f64.powi(scale);
    let rounded = match side {
        Side::Low => scaled.ceil(),
        Side::High => scaled.floor(),
    };
    // The conversion saturates, which is right for limits.
    (!rounded.is_nan()).then_some(rounded as i128)
}

fn divide(value: i128, by: i128, side: Side) -> i128 {
    let floor = value.div_euclid(by);
    match side {
        Side::High => floor,
        Side::Low if value.rem_euclid(by) == 0 => floor,
        Side::Low => floor + 1,
    }
}

fn scale_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => i32::from(*scale),
        _ => 0,
    }
}

impl RowTest for RangeTest {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        match self {
            // Ticks of another scale or unit would give wrong answers.
            Self::Integers { data_type, .. } if values.data_type() != data_type => exec_err!(
                "the column has the type {}, not {data_type} as planned",
                values.data_type()
            ),
            Self::Integers { low, high, .. } => test_integers(values, *low, *high),
            Self::Floats { low, high } => {
                test_floats(values, f64::from_bits(*low), f64::from_bits(*high))
            }
        }
    }

    fn meaning(&self) -> Option<Vec<String>> {
        Some(match self {
            Self::Integers {
                low,
                high,
                data_type,
            } => vec![
                "integer range".to_owned(),
                low.to_string(),
                high.to_string(),
                format!("{data_type:?}"),
            ],
            Self::Floats { low, high } => vec![
                "float range".to_owned(),
                format!("{low:016x}"),
                format!("{high:016x}"),
            ],
        })
    }
}

fn test_integers(values: &ArrayRef, low: i128, high: i128) -> Result<BooleanArray> {
    macro_rules! narrow {
        ($type:ty) => {
            test_primitive::<$type>(values, low, high)
        };
    }
    match values.data_type() {
        DataType::Int8 => narrow!(Int8Type),
        DataType::Int16 => narrow!(Int16Type),
        DataType::Int32 => narrow!(Int32Type),
        DataType::Int64 => narrow!(Int64Type),
        DataType::UInt8 => narrow!(UInt8Type),
        DataType::UInt16 => narrow!(UInt16Type),
        DataType::UInt32 => narrow!(UInt32Type),
        DataType::UInt64 => narrow!(UInt64Type),
        DataType::Date32 => narrow!(Date32Type),
        DataType::Date64 => narrow!(Date64Type),
        DataType::Timestamp(TimeUnit::Second, _) => narrow!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => narrow!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => narrow!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => narrow!(TimestampNanosecondType),
        DataType::Decimal32(_, _) => narrow!(Decimal32Type),
        DataType::Decimal64(_, _) => narrow!(Decimal64Type),
        DataType::Decimal128(_, _) => Ok(test_decimals(values.as_primitive(), low, high)),
        other => exec_err!("expected the type of the column, found {other}"),
    }
}

/// Decimals take two registers: how far one is above the lower limit tells whether it is above the higher one too.
fn test_decimals(decimals: &PrimitiveArray<Decimal128Type>, low: i128, high: i128) -> BooleanArray {
    let values: &[i128] = decimals.values();
    let above = |value: i128| value.wrapping_sub(low).cast_unsigned();
    let most = above(high);
    // Counting rows would take as long as comparing them.
    let words = values.chunks(64).map(|chunk| {
        let bits = chunk.iter().rev().map(|value| above(*value) <= most);
        bits.fold(0, |word, is_good| word << 1 | u64::from(is_good))
    });
    let good = match low <= high {
        true => BooleanBuffer::new(words.collect::<Vec<u64>>().into(), 0, values.len()),
        false => BooleanBuffer::new_unset(values.len()),
    };
    BooleanArray::new(good, decimals.nulls().cloned())
}

fn test_primitive<T>(values: &ArrayRef, low: i128, high: i128) -> Result<BooleanArray>
where
    T: ArrowPrimitiveType,
    T::Native: Ord + TryFrom<i128> + Copy,
{
    let array: &PrimitiveArray<T> = values.as_primitive::<T>();
    let nulls = array.nulls().cloned();
    let slice = array.values();
    // A limit outside the type's range is beyond all or none of its values.
    let low_native = T::Native::try_from(low).ok();
    let high_native = T::Native::try_from(high).ok();
    let len = slice.len();
    let is_empty_range =
        low > high || low_native.is_none() && low > 0 || high_native.is_none() && high < 0;
    let good = match (low_native, high_native) {
        _ if is_empty_range => BooleanBuffer::new_unset(len),
        (Some(low), Some(high)) => {
            BooleanBuffer::collect_bool(len, |i| slice[i] >= low && slice[i] <= high)
        }
        (Some(low), None) => BooleanBuffer::collect_bool(len, |i| slice[i] >= low),
        (None, Some(high)) => BooleanBuffer::collect_bool(len, |i| slice[i] <= high),
        (None, None) => BooleanBuffer::new_set(len),
    };
    Ok(BooleanArray::new(good, nulls))
}

fn test_floats(values: &ArrayRef, low: f64, high: f64) -> Result<BooleanArray> {
    // NaN fails both comparisons.
    match values.data_type() {
        DataType::Float64 => {
            let array = values.as_primitive::<Float64Type>();
            let slice = array.values();
            let good =
                BooleanBuffer::collect_bool(slice.len(), |i| slice[i] >= low && slice[i] <= high);
            Ok(BooleanArray::new(good, array.nulls().cloned()))
        }
        DataType::Float32 => {
            // As the numbers that they are: 0.1 in 32 bits is more than 0.1.
            let array = values.as_primitive::<Float32Type>();
            let slice = array.values();
            let good = BooleanBuffer::collect_bool(slice.len(), |i| {
                let value = f64::from(slice[i]);
                value >= low && value <= high
            });
            Ok(BooleanArray::new(good, array.nulls().cloned()))
        }
        DataType::Float16 => {
            let wide = datafusion::arrow::compute::cast(values, &DataType::Float64)?;
            test_floats(&wide, low, high)
        }
        other => exec_err!("expected a floating-point number, found {other}"),
    }
}

#[cfg(test)]
mod tests;
