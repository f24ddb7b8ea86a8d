//! Number, mean and squared deviations of values, merged as Chan, Golub and LeVeque describe.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::codec::{DecodeError, Reader, Writer};
use crate::plan::Trouble;

/// Number, mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    pub(super) values: u64,
    mean: f64,
    pub(super) squares: f64,
    /// Whether an infinity or NaN is among the values.
    pub(super) has_infinite: bool,
}

impl Moments {
    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let wide = cast(input, &DataType::Float64)?;
        let array = wide.as_primitive::<Float64Type>();
        let values = (array.len() - array.null_count()) as u64;
        if values == 0 {
            return Ok(());
        }
        let mut batch = if array.null_count() == 0 {
            let slice = array.values();
            let mean = mean_of(slice);
            Self {
                values,
                mean,
                squares: lanes(slice, |v| (v - mean) * (v - mean)),
                has_infinite: false,
            }
        } else {
            let present: Vec<f64> = array.iter().flatten().collect();
            let mean = mean_of(&present);
            Self {
                values,
                mean,
                squares: lanes(&present, |v| (v - mean) * (v - mean)),
                has_infinite: false,
            }
        };
        // Only such values, or an overflow, make it infinite: the values are looked at in that rare case.
        batch.has_infinite =
            !batch.squares.is_finite() && array.iter().flatten().any(|value| !value.is_finite());
        self.merge(&batch);
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.has_infinite |= other.has_infinite;
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

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        to.f64(self.mean);
        to.f64(self.squares);
        to.bool(self.has_infinite);
    }

    pub(super) fn read(from: &mut Reader<'_>, rows: u64) -> Result<Self, DecodeError> {
        Ok(Self {
            values: from.count_within(rows)?,
            mean: from.f64()?,
            squares: from.f64()?,
            has_infinite: from.bool()?,
        })
    }
}

/// The mean of some values, at least one. That of equal values is their value, so that they do not deviate.
pub(super) fn mean_of(values: &[f64]) -> f64 {
    let first = values.first().copied().unwrap_or(0.0);
    let mean = first + lanes(values, |v| v - first) / values.len() as f64;
    if mean.is_finite() {
        return mean;
    }
    // The differences may be beyond the range of numbers where the values are not.
    lanes(values, |v| v / values.len() as f64)
}

/// Adds up in eight lanes: the compiler may use wide registers, and rounding stays smaller.
pub(super) fn lanes(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
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
