//! Sums of powers of deviations, for the skewness and kurtosis of values.
//!
//! Merged by the formulas of Chan, Golub and LeVeque, taken to higher orders by Pébay.

use datafusion::arrow::datatypes::DataType;

use super::codec::{DecodeError, Reader, Writer};
use super::deviations::{of_digits, scale_of};
use super::input::Input;
use super::mean::Mean;
use crate::finding::Measured;
use crate::plan::Trouble;

/// Number, mean, and sums of the second, third and fourth powers of the deviations, in units of the last digit of the
/// type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    scale: i8,
    values: u64,
    mean: Mean,
    powers: [f64; 3],
}

impl Shape {
    pub(super) fn new(data_types: &[DataType]) -> Self {
        Self {
            scale: scale_of(data_types.first()),
            values: 0,
            mean: Mean::default(),
            powers: [0.0; 3],
        }
    }

    pub(super) fn update(&mut self, input: &Input) -> Result<(), Trouble> {
        let Some(batch) = input.deviations()? else {
            return Ok(());
        };
        self.merge(&Self {
            scale: self.scale,
            values: batch.count(),
            mean: batch.mean(),
            powers: [
                batch.sum(|d| d * d),
                batch.sum(|d| d * d * d),
                batch.sum(|d| (d * d) * (d * d)),
            ],
        });
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.values == 0 {
            return;
        }
        if self.values == 0 {
            *self = *other;
            return;
        }
        let (n, m) = (self.values as f64, other.values as f64);
        let total = n + m;
        let delta = other.mean.minus(self.mean);
        let part = delta / total;
        let [a2, a3, a4] = self.powers;
        let [b2, b3, b4] = other.powers;
        self.powers = [
            a2 + b2 + delta * part * n * m,
            a3 + b3 + delta * part * part * n * m * (n - m) + 3.0 * part * (n * b2 - m * a2),
            a4 + b4
                + delta * part.powi(3) * n * m * (n * n - n * m + m * m)
                + 6.0 * part * part * (n * n * b2 + m * m * a2)
                + 4.0 * part * (n * b3 - m * a3),
        ];
        self.mean = self.mean.plus(part * m);
        self.values += other.values;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        self.mean.write(to);
        self.powers.iter().for_each(|power| to.f64(*power));
    }

    /// Reads what was written into an empty shape of the same type.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.values = from.count_within(rows)?;
        self.mean = Mean::read(from)?;
        self.powers = [from.f64()?, from.f64()?, from.f64()?];
        Ok(())
    }

    pub(super) fn finish(self, rows: u64) -> Measured {
        let [second, third, fourth] = self.powers;
        Measured::Shape {
            rows,
            values: self.values,
            powers: [
                of_digits(second, self.scale, 2),
                of_digits(third, self.scale, 3),
                of_digits(fourth, self.scale, 4),
            ],
        }
    }
}
