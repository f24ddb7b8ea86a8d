//! The values of a batch as deviations from their mean.
//!
//! Of integers and decimals, the first value is subtracted before anything is rounded: the values may have more digits
//! than a floating-point number, their differences rarely do.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::buffer::{NullBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Float64Type, UInt64Type,
};

use super::input::{Input, Integers, runs};
use super::mean::Mean;
use crate::plan::{Trouble, plain_type};

/// Values of one batch, at least one, in units of the last digit of their type.
#[derive(Debug, Clone)]
pub(super) struct Deviations {
    /// What was subtracted from the values already.
    origin: Mean,
    values: ScalarBuffer<f64>,
    first: f64,
    /// The mean of the values, from the first one.
    offset: f64,
}

impl Deviations {
    /// The values where `valid` has a bit, none of them null; none without any.
    pub(super) fn of(input: &Input, valid: Option<&NullBuffer>) -> Result<Option<Self>, Trouble> {
        if let Some(integers) = input.integers() {
            return Ok(Self::of_integers(integers, valid));
        }
        let input = input.array();
        macro_rules! whole {
            ($type:ty) => {
                Ok(Self::of_whole(
                    input.as_primitive::<$type>().values(),
                    valid,
                ))
            };
        }
        match input.data_type() {
            DataType::UInt64 => whole!(UInt64Type),
            DataType::Decimal32(_, _) => whole!(Decimal32Type),
            DataType::Decimal64(_, _) => whole!(Decimal64Type),
            DataType::Decimal128(_, _) => whole!(Decimal128Type),
            _ => {
                let floats = cast(input, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>().values();
                Ok(Self::of_floats(floats, valid))
            }
        }
    }

    fn of_floats(floats: &ScalarBuffer<f64>, valid: Option<&NullBuffer>) -> Option<Self> {
        let values = match valid {
            None => floats.clone(),
            Some(valid) => {
                let mut present = Vec::with_capacity(valid.len() - valid.null_count());
                for (start, end) in valid.valid_slices() {
                    present.extend_from_slice(&floats[start..end]);
                }
                present.into()
            }
        };
        Self::new(Mean::default(), values)
    }

    fn of_integers(integers: &Integers, valid: Option<&NullBuffer>) -> Option<Self> {
        let values = &integers.values;
        if integers.greatest.checked_sub(integers.least).is_none() {
            return Self::of_whole(values, valid);
        }
        // No difference is greater than that of the outermost values.
        let first = *runs(values, valid).flatten().next()?;
        let mut differences = Vec::with_capacity(values.len());
        for run in runs(values, valid) {
            differences.extend(run.iter().map(|value| (value - first) as f64));
        }
        Self::new(Mean::of_whole(first.into()), differences.into())
    }

    fn of_whole<T: Whole>(values: &[T], valid: Option<&NullBuffer>) -> Option<Self> {
        let runs = || runs(values, valid);
        let first = *runs().flatten().next()?;
        let mut differences = Vec::with_capacity(values.len());
        let mut are_narrow = true;
        for run in runs() {
            differences.extend(run.iter().map(|value| {
                let (difference, is_narrow) = value.minus(first);
                are_narrow &= is_narrow;
                difference as f64
            }));
        }
        if !are_narrow {
            differences.clear();
            differences.extend(runs().flatten().map(|value| value.minus_wide(first)));
        }
        Self::new(Mean::of_whole(first.into()), differences.into())
    }

    fn new(origin: Mean, values: ScalarBuffer<f64>) -> Option<Self> {
        let first = *values.first()?;
        Some(Self {
            // Equal values have their value as their mean, so that they do not deviate.
            offset: lanes(&values, |value| value - first) / values.len() as f64,
            origin,
            values,
            first,
        })
    }

    pub(super) fn count(&self) -> u64 {
        self.values.len() as u64
    }

    pub(super) fn mean(&self) -> Mean {
        self.origin.plus(self.first).plus(self.offset)
    }

    /// The sum of a term over all deviations.
    pub(super) fn sum(&self, term: impl Fn(f64) -> f64) -> f64 {
        let (first, offset) = (self.first, self.offset);
        lanes(&self.values, |value| term((value - first) - offset))
    }

    /// The sum of the products with the deviations of as many other values.
    pub(super) fn products(&self, other: &Self) -> f64 {
        let deviation = |of: &Self, value: f64| (value - of.first) - of.offset;
        let product = |left: &f64, right: &f64| deviation(self, *left) * deviation(other, *right);
        let mut sums = [0.0; LANES];
        let (lefts, left_rest) = self.values.as_chunks::<LANES>();
        let (rights, right_rest) = other.values.as_chunks::<LANES>();
        for (left, right) in lefts.iter().zip(rights) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += product(&left[lane], &right[lane]);
            }
        }
        let rest = left_rest.iter().zip(right_rest);
        let rest: f64 = rest.map(|(left, right)| product(left, right)).sum();
        sums.iter().sum::<f64>() + rest
    }

    /// Whether an infinity or NaN is among the values.
    pub(super) fn has_infinite(&self) -> bool {
        self.values.iter().any(|value| !value.is_finite())
    }
}

/// Whole numbers, or the digits of decimals.
trait Whole: Copy + Into<i128> {
    /// How far it is above another one, when 64 bits hold that; whether they do.
    fn minus(self, origin: Self) -> (i64, bool);

    /// The same, rounded once, however far it is.
    fn minus_wide(self, origin: Self) -> f64 {
        let (left, right): (i128, i128) = (self.into(), origin.into());
        match left.checked_sub(right) {
            Some(difference) => difference as f64,
            None => left as f64 - right as f64,
        }
    }
}

impl Whole for i32 {
    fn minus(self, origin: Self) -> (i64, bool) {
        (i64::from(self) - i64::from(origin), true)
    }
}

impl Whole for i64 {
    fn minus(self, origin: Self) -> (i64, bool) {
        let (difference, overflows) = self.overflowing_sub(origin);
        (difference, !overflows)
    }
}

impl Whole for u64 {
    fn minus(self, origin: Self) -> (i64, bool) {
        let difference = self.wrapping_sub(origin).cast_signed();
        (difference, (self >= origin) == (difference >= 0))
    }
}

impl Whole for i128 {
    #[expect(clippy::cast_possible_truncation, reason = "it says whether it was")]
    fn minus(self, origin: Self) -> (i64, bool) {
        // Numbers of 38 digits that are so far apart that it wraps do not come near to 64 bits.
        let difference = self.wrapping_sub(origin);
        let narrow = difference as i64;
        (narrow, Self::from(narrow) == difference)
    }
}

/// So many sums are added up beside each other: the compiler may use wide registers, and rounding stays smaller.
const LANES: usize = 8;

/// Adds up in lanes.
fn lanes(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let chunks = values.chunks_exact(sums.len());
    let rest: f64 = chunks.remainder().iter().map(|v| term(*v)).sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += term(*value);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// A sum of powers of deviations of a type, from that of their digits. `power` is how many of them are multiplied.
pub(super) fn of_digits(sum: f64, scale: i8, power: i32) -> f64 {
    match scale {
        0 => sum,
        scale => sum / 10f64.powi(i32::from(scale) * power),
    }
}

/// The digits of a type behind the point, of those whose digits are measured.
pub(super) fn scale_of(data_type: Option<&DataType>) -> i8 {
    match data_type.map(plain_type) {
        Some(
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale),
        ) => *scale,
        _ => 0,
    }
}
