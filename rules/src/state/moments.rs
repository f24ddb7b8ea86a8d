//! Number, mean and squared deviations of values, merged as Chan, Golub and LeVeque describe.

use datafusion::arrow::datatypes::DataType;

use super::codec::{DecodeError, Reader, Writer};
use super::deviations::{of_digits, scale_of};
use super::input::Input;
use super::mean::Mean;
use crate::finding::Measured;
use crate::plan::Trouble;

/// Number, mean and sum of squared deviations, in units of the last digit of the type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    scale: i8,
    values: u64,
    mean: Mean,
    squares: f64,
    /// Whether an infinity or NaN is among the values.
    has_infinite: bool,
}

impl Moments {
    pub(super) fn new(data_types: &[DataType]) -> Self {
        Self {
            scale: scale_of(data_types.first()),
            values: 0,
            mean: Mean::default(),
            squares: 0.0,
            has_infinite: false,
        }
    }

    pub(super) fn update(&mut self, input: &Input) -> Result<(), Trouble> {
        let Some(batch) = input.deviations()? else {
            return Ok(());
        };
        let squares = batch.sum(|d| d * d);
        self.merge(&Self {
            scale: self.scale,
            values: batch.count(),
            mean: batch.mean(),
            squares,
            // Only such values, or an overflow, make it infinite: the values are looked at in that rare case.
            has_infinite: !squares.is_finite() && batch.has_infinite(),
        });
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
        let delta = other.mean.minus(self.mean);
        self.mean = self.mean.plus(delta * right / total);
        self.squares += other.squares + delta * delta * left * right / total;
        self.values += other.values;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        self.mean.write(to);
        to.f64(self.squares);
        to.bool(self.has_infinite);
    }

    /// Reads what was written into empty moments of the same type.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.values = from.count_within(rows)?;
        self.mean = Mean::read(from)?;
        self.squares = from.f64()?;
        self.has_infinite = from.bool()?;
        Ok(())
    }

    pub(super) fn finish(self, rows: u64) -> Measured {
        Measured::Moments {
            rows,
            values: self.values,
            squares: of_digits(self.squares, self.scale, 2),
            has_infinite: self.has_infinite,
        }
    }
}

#[cfg(test)]
mod tests;
