//! Deviations of two columns beside each other, for their correlation.

use datafusion::arrow::array::Array;
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::DataType;

use super::codec::{DecodeError, Reader, Writer};
use super::deviations::{Deviations, of_digits, scale_of};
use super::input::Input;
use super::mean::Mean;
use crate::finding::Measured;
use crate::plan::Trouble;

/// Number and means of the rows in which neither value is null, and sums of their deviations, in units of the last
/// digits of the types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comoments {
    scales: [i8; 2],
    values: u64,
    means: [Mean; 2],
    squares: [f64; 2],
    products: f64,
}

impl Comoments {
    pub(super) fn new(data_types: &[DataType]) -> Self {
        Self {
            scales: [0, 1].map(|side| scale_of(data_types.get(side))),
            values: 0,
            means: [Mean::default(); 2],
            squares: [0.0; 2],
            products: 0.0,
        }
    }

    pub(super) fn update(&mut self, left: &Input, right: &Input) -> Result<(), Trouble> {
        let nulls = [left, right].map(|side| side.array().logical_nulls());
        let valid = NullBuffer::union(nulls[0].as_ref(), nulls[1].as_ref());
        if valid.as_ref().is_none_or(|valid| valid.null_count() == 0) {
            self.take(left.deviations()?, right.deviations()?);
            return Ok(());
        }
        let left = Deviations::of(left, valid.as_ref())?;
        let right = Deviations::of(right, valid.as_ref())?;
        self.take(left.as_ref(), right.as_ref());
        Ok(())
    }

    /// Takes in the deviations of as many values of both sides.
    fn take(&mut self, left: Option<&Deviations>, right: Option<&Deviations>) {
        let (Some(left), Some(right)) = (left, right) else {
            return;
        };
        self.merge(&Self {
            scales: self.scales,
            values: left.count(),
            means: [left.mean(), right.mean()],
            squares: [left.sum(|d| d * d), right.sum(|d| d * d)],
            products: left.products(right),
        });
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
        let weight = n * m / total;
        let deltas = [0, 1].map(|side| other.means[side].minus(self.means[side]));
        self.products += other.products + deltas[0] * deltas[1] * weight;
        for side in [0, 1] {
            self.squares[side] += other.squares[side] + deltas[side] * deltas[side] * weight;
            self.means[side] = self.means[side].plus(deltas[side] * m / total);
        }
        self.values += other.values;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        self.means.iter().for_each(|mean| mean.write(to));
        self.squares.iter().for_each(|squares| to.f64(*squares));
        to.f64(self.products);
    }

    /// Reads what was written into empty comoments of the same types.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.values = from.count_within(rows)?;
        self.means = [Mean::read(from)?, Mean::read(from)?];
        self.squares = [from.f64()?, from.f64()?];
        self.products = from.f64()?;
        Ok(())
    }

    pub(super) fn finish(self, rows: u64) -> Measured {
        let [left, right] = self.scales;
        Measured::Comoments {
            rows,
            values: self.values,
            squares: [0, 1].map(|side| of_digits(self.squares[side], self.scales[side], 2)),
            products: of_digits(of_digits(self.products, left, 1), right, 1),
        }
    }
}
