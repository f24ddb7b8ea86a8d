//! States that merge into metrics: what one pass over a part of the rows leaves behind.
//!
//! Sums of integers and decimals are exact; they fail rather than overflow. Sums of floating-point
//! numbers are compensated, deviations are merged as Chan, Golub and LeVeque describe.

use std::fmt;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{cast, nullif};
use datafusion::arrow::datatypes::*;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;

use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::plan::{Measure, Trouble, plain_type};

/// The state of one measure.
pub(crate) struct State {
    /// Rows that pass the filter.
    rows: u64,
    kind: Kind,
}

enum Kind {
    Rows,
    Nulls { bad: u64 },
    False { bad: u64 },
    Extreme(Extreme),
    Sum(Sum),
    Moments(Moments),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl State {
    /// An empty state; `data_type` is the type of the measured expression.
    pub(crate) fn new(measure: &Measure, data_type: Option<&DataType>) -> Result<Self, Trouble> {
        let plain = || plain_type(data_type.unwrap_or(&DataType::Null));
        let kind = match measure {
            Measure::Rows => Kind::Rows,
            Measure::Nulls(_) => Kind::Nulls { bad: 0 },
            Measure::False(_) => Kind::False { bad: 0 },
            Measure::Min(_) => {
                Kind::Extreme(Extreme::new(Box::new(MinAccumulator::try_new(plain())?)))
            }
            Measure::Max(_) => {
                Kind::Extreme(Extreme::new(Box::new(MaxAccumulator::try_new(plain())?)))
            }
            Measure::Sum(_) => Kind::Sum(Sum::new(plain())?),
            Measure::Moments(_) => Kind::Moments(Moments::default()),
        };
        Ok(Self { rows: 0, kind })
    }

    /// Takes in the rows of one batch. `filter` has a bit for each row that counts.
    pub(crate) fn update(
        &mut self,
        rows: usize,
        input: Option<&ArrayRef>,
        filter: Option<&BooleanBuffer>,
    ) -> Result<(), Trouble> {
        self.rows += filter.map_or(rows, BooleanBuffer::count_set_bits) as u64;
        let Some(input) = input else {
            return Ok(());
        };
        match &mut self.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } => *bad += count_nulls(input, filter),
            Kind::False { bad } => {
                let Some(good) = input.as_boolean_opt() else {
                    // A condition that is always null has no type.
                    return Ok(());
                };
                *bad += count_false(good, filter);
            }
            Kind::Extreme(extreme) => extreme.update(&selected(input, filter)?)?,
            Kind::Sum(sum) => sum.update(&selected(input, filter)?)?,
            Kind::Moments(moments) => moments.update(&selected(input, filter)?)?,
        }
        Ok(())
    }

    /// Takes in the state of another part of the rows.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Trouble> {
        self.rows += other.rows;
        match (&mut self.kind, other.kind) {
            (Kind::Nulls { bad }, Kind::Nulls { bad: other })
            | (Kind::False { bad }, Kind::False { bad: other }) => *bad += other,
            (Kind::Extreme(extreme), Kind::Extreme(other)) => extreme.merge(other)?,
            (Kind::Sum(sum), Kind::Sum(other)) => sum.merge(&other)?,
            (Kind::Moments(moments), Kind::Moments(other)) => moments.merge(&other),
            _ => {}
        }
        Ok(())
    }

    /// The metric.
    pub(crate) fn finish(self) -> Result<Measured, Trouble> {
        let rows = self.rows;
        Ok(match self.kind {
            Kind::Rows => Measured::Rows { rows, bad: 0 },
            Kind::Nulls { bad } | Kind::False { bad } => Measured::Rows { rows, bad },
            Kind::Extreme(extreme) => extreme.finish(rows)?,
            Kind::Sum(sum) => sum.finish(rows)?,
            Kind::Moments(moments) => Measured::Moments {
                rows,
                values: moments.values,
                squares: moments.squares,
            },
        })
    }
}

fn count_nulls(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> u64 {
    let nulls = match filter {
        None => input.logical_null_count(),
        Some(filter) => match input.logical_nulls() {
            None => 0,
            Some(nulls) => filter.count_set_bits() - (filter & nulls.inner()).count_set_bits(),
        },
    };
    nulls as u64
}

fn count_false(good: &BooleanArray, filter: Option<&BooleanBuffer>) -> u64 {
    let bad = match (good.nulls().filter(|n| n.null_count() > 0), filter) {
        (None, None) => good.len() - good.values().count_set_bits(),
        (None, Some(filter)) => filter.count_set_bits() - (filter & good.values()).count_set_bits(),
        (Some(nulls), None) => {
            let valid = nulls.inner();
            valid.count_set_bits() - (valid & good.values()).count_set_bits()
        }
        (Some(nulls), Some(filter)) => {
            let valid = nulls.inner() & filter;
            valid.count_set_bits() - (&valid & good.values()).count_set_bits()
        }
    };
    bad as u64
}

/// The input without dictionary, with the rows that do not count as nulls.
fn selected(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> Result<ArrayRef, Trouble> {
    let plain = match input.data_type() {
        DataType::Dictionary(_, value) => cast(input, value)?,
        _ => std::sync::Arc::clone(input),
    };
    match filter {
        None => Ok(plain),
        Some(filter) => Ok(nullif(&plain, &BooleanArray::new(!filter, None))?),
    }
}

/// A minimum or maximum. NaN is not ordered: one NaN makes the metric NaN.
struct Extreme {
    accumulator: Box<dyn Accumulator>,
    values: u64,
    has_nan: bool,
}

impl Extreme {
    fn new(accumulator: Box<dyn Accumulator>) -> Self {
        Self {
            accumulator,
            values: 0,
            has_nan: false,
        }
    }

    fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let values = input.len() - input.null_count();
        if values == 0 {
            return Ok(());
        }
        self.values += values as u64;
        self.has_nan |= has_nan(input)?;
        Ok(self.accumulator.update_batch(std::slice::from_ref(input))?)
    }

    fn merge(&mut self, mut other: Self) -> Result<(), Trouble> {
        self.has_nan |= other.has_nan;
        if other.values == 0 {
            return Ok(());
        }
        self.values += other.values;
        let states = other.accumulator.state()?;
        let arrays = states
            .iter()
            .map(|state| state.to_array())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.accumulator.merge_batch(&arrays)?)
    }

    fn finish(mut self, rows: u64) -> Result<Measured, Trouble> {
        let value = if self.has_nan {
            Some(Quantity::Number(Number::Float(f64::NAN)))
        } else if self.values == 0 {
            None
        } else {
            Quantity::from_scalar(&self.accumulator.evaluate()?)
        };
        Ok(Measured::Value {
            rows,
            values: self.values,
            value,
        })
    }
}

fn has_nan(input: &ArrayRef) -> Result<bool, Trouble> {
    Ok(match input.data_type() {
        DataType::Float16 => has_nan(&cast(input, &DataType::Float32)?)?,
        DataType::Float32 => any_value(input.as_primitive::<Float32Type>(), |v: f32| v.is_nan()),
        DataType::Float64 => any_value(input.as_primitive::<Float64Type>(), |v: f64| v.is_nan()),
        _ => false,
    })
}

fn any_value<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    test: impl Fn(T::Native) -> bool,
) -> bool {
    if array.null_count() == 0 {
        // Without an early exit the loop is vectorized, and finding one is the rare case.
        array
            .values()
            .iter()
            .fold(false, |found, v| found | test(*v))
    } else {
        array.iter().flatten().any(test)
    }
}

/// The sum of the values, exact where the type is.
#[derive(Debug, Clone)]
struct Sum {
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
    },
}

impl Sum {
    fn new(data_type: &DataType) -> Result<Self, Trouble> {
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
            },
            other => return Err(Trouble::new(format!("values of type {other} have no sum"))),
        };
        Ok(Self { values: 0, total })
    }

    fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
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
            Total::Float { sum, lost } => {
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
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<(), Trouble> {
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
                Total::Float { sum, lost },
                Total::Float {
                    sum: other,
                    lost: more,
                },
            ) => {
                add_float(sum, lost, *other);
                *lost += more;
            }
            _ => return Err(Trouble::new("bug: sums of two types were merged")),
        }
        Ok(())
    }

    fn finish(self, rows: u64) -> Result<Measured, Trouble> {
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
            Total::Float { sum, .. } if !sum.is_finite() => Number::Float(sum),
            Total::Float { sum, lost } => Number::Float(sum + lost),
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
        Ok(scale) => Some(Number::Exact { unscaled, scale }),
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

/// Number, mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    values: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let wide = cast(input, &DataType::Float64)?;
        let array = wide.as_primitive::<Float64Type>();
        let values = (array.len() - array.null_count()) as u64;
        if values == 0 {
            return Ok(());
        }
        let batch = if array.null_count() == 0 {
            let slice = array.values();
            let mean = lanes(slice, |v| v) / values as f64;
            Self {
                values,
                mean,
                squares: lanes(slice, |v| (v - mean) * (v - mean)),
            }
        } else {
            let mean = array.iter().flatten().sum::<f64>() / values as f64;
            let square = |v: f64| (v - mean) * (v - mean);
            Self {
                values,
                mean,
                squares: array.iter().flatten().map(square).sum(),
            }
        };
        self.merge(&batch);
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if other.values == 0 {
            return;
        }
        if self.values == 0 {
            *self = *other;
            return;
        }
        let (left, right) = (self.values as f64, other.values as f64);
        let total = left + right;
        let delta = other.mean - self.mean;
        self.mean += delta * right / total;
        self.squares += other.squares + delta * delta * left * right / total;
        self.values += other.values;
    }
}

/// Adds up in eight lanes: the compiler may use wide registers, and rounding stays smaller.
fn lanes(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let chunks = values.chunks_exact(sums.len());
    let rest: f64 = chunks.remainder().iter().map(|v| term(*v)).sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += term(*value);
        }
    }
    sums.iter().sum::<f64>() + rest
}
