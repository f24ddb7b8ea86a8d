//! Sums: exact for integers and decimals, compensated for floating-point numbers.

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;

use super::codec::{DecodeError, Reader, Writer};
use super::input::Input;
use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::plan::Trouble;

/// The sum of the values, exact where the type is.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    values: u64,
    total: Total,
}

#[derive(Debug, Clone)]
enum Total {
    /// Integers and decimals; `None` after an overflow.
    Exact {
        unscaled: Option<i128>,
        scale: i8,
    },
    Wide {
        unscaled: Option<i256>,
        scale: i8,
    },
    /// The sum, and what rounding took from it.
    Float {
        sum: f64,
        lost: f64,
        /// Whether an infinity or NaN is among the values.
        has_infinite: bool,
    },
}

impl Total {
    /// The sum of no values of the same type.
    const fn nothing(&self) -> Self {
        match self {
            Self::Exact { scale, .. } => Self::Exact {
                unscaled: Some(0),
                scale: *scale,
            },
            Self::Wide { scale, .. } => Self::Wide {
                unscaled: Some(i256::ZERO),
                scale: *scale,
            },
            Self::Float { .. } => Self::Float {
                sum: 0.0,
                lost: 0.0,
                has_infinite: false,
            },
        }
    }
}

/// The kinds of totals, as they are written.
const EXACT: u8 = 0;
const WIDE: u8 = 1;
const FLOAT: u8 = 2;

impl Sum {
    pub(super) fn new(data_type: &DataType) -> Result<Self, Trouble> {
        let exact = |scale| Total::Exact {
            unscaled: Some(0),
            scale,
        };
        let total = match data_type {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale) => exact(*scale),
            DataType::Decimal256(_, scale) => Total::Wide {
                unscaled: Some(i256::ZERO),
                scale: *scale,
            },
            data_type if data_type.is_integer() => exact(0),
            data_type if data_type.is_floating() => Total::Float {
                sum: 0.0,
                lost: 0.0,
                has_infinite: false,
            },
            other => return Err(Trouble::new(format!("values of type {other} have no sum"))),
        };
        Ok(Self { values: 0, total })
    }

    pub(super) fn update(&mut self, input: &Input) -> Result<(), Trouble> {
        let (Total::Exact { unscaled, .. }, Some(integers)) = (&mut self.total, input.integers())
        else {
            return self.update_array(input.array());
        };
        let array = input.array();
        self.values += (array.len() - array.null_count()) as u64;
        *unscaled = add(*unscaled, Some(integers.sum(array.nulls())));
        Ok(())
    }

    fn update_array(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        self.values += (input.len() - input.null_count()) as u64;
        match &mut self.total {
            Total::Exact { unscaled, .. } => {
                *unscaled = add(*unscaled, sum_exactly(input)?);
            }
            Total::Wide { unscaled, .. } => {
                let array = input.as_primitive::<Decimal256Type>();
                let sum = array
                    .iter()
                    .flatten()
                    .try_fold(i256::ZERO, i256::checked_add);
                *unscaled = (*unscaled).and_then(|total| total.checked_add(sum?));
            }
            Total::Float {
                sum,
                lost,
                has_infinite,
            } => {
                let wide = match input.data_type() {
                    DataType::Float64 => std::sync::Arc::clone(input),
                    _ => cast(input, &DataType::Float64)?,
                };
                let array = wide.as_primitive::<Float64Type>();
                if array.null_count() == 0 {
                    array.values().iter().for_each(|v| add_float(sum, lost, *v));
                } else {
                    array.iter().flatten().for_each(|v| add_float(sum, lost, v));
                }
                // Only such values, or an overflow, make it infinite: they are looked for in that rare case.
                *has_infinite |= !sum.is_finite() && array.iter().flatten().any(|v| !v.is_finite());
            }
        }
        Ok(())
    }

    /// Takes in values, each so many times.
    pub(super) fn update_each(&mut self, times: &[u64], input: &ArrayRef) -> Result<(), Trouble> {
        for (row, times) in times.iter().enumerate() {
            let mut one = Self {
                values: 0,
                total: self.total.nothing(),
            };
            one.update_array(&input.slice(row, 1))?;
            one.values *= times;
            match &mut one.total {
                Total::Exact { unscaled, .. } => {
                    *unscaled = unscaled.and_then(|value| value.checked_mul(i128::from(*times)));
                }
                Total::Wide { unscaled, .. } => {
                    let times = i256::from_i128(i128::from(*times));
                    *unscaled = unscaled.and_then(|value| value.checked_mul(times));
                }
                Total::Float { sum, lost, .. } => {
                    let (value, times) = (*sum, *times as f64);
                    *sum = value * times;
                    *lost = value.mul_add(times, -*sum);
                }
            }
            self.merge(&one)?;
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Trouble> {
        self.values += other.values;
        match (&mut self.total, &other.total) {
            (
                Total::Exact { unscaled, .. },
                Total::Exact {
                    unscaled: other, ..
                },
            ) => {
                *unscaled = add(*unscaled, *other);
            }
            (
                Total::Wide { unscaled, .. },
                Total::Wide {
                    unscaled: other, ..
                },
            ) => {
                *unscaled = (*unscaled).and_then(|total| total.checked_add((*other)?));
            }
            (
                Total::Float {
                    sum,
                    lost,
                    has_infinite,
                },
                Total::Float {
                    sum: other,
                    lost: more,
                    has_infinite: is_infinite,
                },
            ) => {
                *has_infinite |= is_infinite;
                add_float(sum, lost, *other);
                *lost += more;
            }
            _ => return Err(Trouble::new("bug: sums of two types were merged")),
        }
        Ok(())
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        match &self.total {
            Total::Exact { unscaled, .. } => {
                to.u8(EXACT);
                to.bool(unscaled.is_some());
                to.i128(unscaled.unwrap_or_default());
            }
            Total::Wide { unscaled, .. } => {
                to.u8(WIDE);
                to.bool(unscaled.is_some());
                to.i256(unscaled.unwrap_or_default());
            }
            Total::Float {
                sum,
                lost,
                has_infinite,
            } => {
                to.u8(FLOAT);
                to.f64(*sum);
                to.f64(*lost);
                to.bool(*has_infinite);
            }
        }
    }

    /// Reads what was written into an empty sum of the same type.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.values = from.count_within(rows)?;
        match (from.u8()?, &mut self.total) {
            (EXACT, Total::Exact { unscaled, .. }) => {
                let is_known = from.bool()?;
                *unscaled = Some(from.i128()?).filter(|_| is_known);
            }
            (WIDE, Total::Wide { unscaled, .. }) => {
                let is_known = from.bool()?;
                *unscaled = Some(from.i256()?).filter(|_| is_known);
            }
            (
                FLOAT,
                Total::Float {
                    sum,
                    lost,
                    has_infinite,
                },
            ) => {
                *sum = from.f64()?;
                *lost = from.f64()?;
                *has_infinite = from.bool()?;
            }
            _ => return Err(DecodeError::Damaged("a sum of another type")),
        }
        Ok(())
    }

    pub(super) fn finish(self, rows: u64) -> Result<Measured, Trouble> {
        let overflow = || {
            Trouble::new("the sum has more than 38 digits")
                .with_hint("sum a smaller part with `where`".to_owned())
        };
        let number = match self.total {
            Total::Exact { unscaled, scale } => {
                scaled(unscaled.ok_or_else(overflow)?, scale).ok_or_else(overflow)?
            }
            Total::Wide { unscaled, scale } => {
                let narrow = unscaled.and_then(i256::to_i128).ok_or_else(overflow)?;
                scaled(narrow, scale).ok_or_else(overflow)?
            }
            // After an infinity the compensation is NaN, the sum itself is right.
            Total::Float {
                sum, has_infinite, ..
            } if !sum.is_finite() => {
                if !has_infinite {
                    return Err(Trouble::new(
                        "the sum is beyond the range of floating-point numbers",
                    )
                    .with_hint("sum a smaller part with `where`".to_owned()));
                }
                Number::Float(sum)
            }
            Total::Float { sum, lost, .. } => Number::Float(sum + lost),
        };
        Ok(Measured::Value {
            rows,
            values: self.values,
            value: (self.values > 0).then_some(Quantity::Number(number)),
        })
    }
}

fn scaled(unscaled: i128, scale: i8) -> Option<Number> {
    match u32::try_from(scale) {
        Ok(scale) => Some(Number::Exact {
            unscaled: unscaled.into(),
            scale,
        }),
        Err(_) => {
            let power = 10i128.checked_pow(u32::from(scale.unsigned_abs()))?;
            Some(Number::integer(unscaled.checked_mul(power)?))
        }
    }
}

fn add(left: Option<i128>, right: Option<i128>) -> Option<i128> {
    left?.checked_add(right?)
}

/// Adds a value and keeps what rounding loses (Neumaier).
fn add_float(sum: &mut f64, lost: &mut f64, value: f64) {
    let total = *sum + value;
    *lost += if sum.abs() >= value.abs() {
        (*sum - total) + value
    } else {
        (value - total) + *sum
    };
    *sum = total;
}

fn sum_exactly(input: &ArrayRef) -> Result<Option<i128>, Trouble> {
    macro_rules! sum {
        ($type:ty) => {
            Ok(sum_narrow(input.as_primitive::<$type>()))
        };
    }
    match input.data_type() {
        DataType::Int8 => sum!(Int8Type),
        DataType::Int16 => sum!(Int16Type),
        DataType::Int32 => sum!(Int32Type),
        DataType::Int64 => sum!(Int64Type),
        DataType::UInt8 => sum!(UInt8Type),
        DataType::UInt16 => sum!(UInt16Type),
        DataType::UInt32 => sum!(UInt32Type),
        DataType::UInt64 => sum!(UInt64Type),
        DataType::Decimal32(_, _) => sum!(Decimal32Type),
        DataType::Decimal64(_, _) => sum!(Decimal64Type),
        DataType::Decimal128(_, _) => {
            let array = input.as_primitive::<Decimal128Type>();
            if array.null_count() == 0 {
                let mut values = array.values().iter();
                return Ok(values.try_fold(0i128, |total, v| total.checked_add(*v)));
            }
            Ok(array.iter().flatten().try_fold(0, i128::checked_add))
        }
        other => Err(Trouble::new(format!(
            "values of type {other} have no exact sum"
        ))),
    }
}

/// Numbers of up to 64 bits: a batch of them cannot overflow 128.
fn sum_narrow<T>(array: &PrimitiveArray<T>) -> Option<i128>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    Some(if array.null_count() == 0 {
        array.values().iter().map(|v| (*v).into()).sum::<i128>()
    } else {
        array.iter().flatten().map(Into::into).sum::<i128>()
    })
}
