//! Deviations of two columns beside each other, for their correlation.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::codec::{DecodeError, Reader, Writer};
use super::moments::{lanes, mean_of};
use crate::finding::Measured;
use crate::plan::Trouble;

/// Number and means of the rows in which neither value is null, and sums of their deviations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Comoments {
    values: u64,
    means: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

impl Comoments {
    pub(super) fn update(&mut self, left: &ArrayRef, right: &ArrayRef) -> Result<(), Trouble> {
        let (left, right) = (
            cast(left, &DataType::Float64)?,
            cast(right, &DataType::Float64)?,
        );
        let (left, right) = (
            left.as_primitive::<Float64Type>(),
            right.as_primitive::<Float64Type>(),
        );
        let (mut xs, mut ys) = (
            Vec::with_capacity(left.len()),
            Vec::with_capacity(left.len()),
        );
        for (x, y) in left.iter().zip(right.iter()) {
            if let (Some(x), Some(y)) = (x, y) {
                xs.push(x);
                ys.push(y);
            }
        }
        if xs.is_empty() {
            return Ok(());
        }
        let means = [mean_of(&xs), mean_of(&ys)];
        let deviations = |values: &[f64], mean: f64| lanes(values, |v| (v - mean) * (v - mean));
        self.merge(&Self {
            values: xs.len() as u64,
            means,
            squares: [deviations(&xs, means[0]), deviations(&ys, means[1])],
            products: std::iter::zip(&xs, &ys)
                .map(|(x, y)| (x - means[0]) * (y - means[1]))
                .sum(),
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
        let weight = n * m / total;
        let deltas = [0, 1].map(|side| other.means[side] - self.means[side]);
        self.products += other.products + deltas[0] * deltas[1] * weight;
        for side in [0, 1] {
            self.squares[side] += other.squares[side] + deltas[side] * deltas[side] * weight;
            self.means[side] += deltas[side] * m / total;
        }
        self.values += other.values;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        let pairs = self.means.iter().chain(&self.squares);
        pairs.for_each(|number| to.f64(*number));
        to.f64(self.products);
    }

    pub(super) fn read(from: &mut Reader<'_>, rows: u64) -> Result<Self, DecodeError> {
        Ok(Self {
            values: from.count_within(rows)?,
            means: [from.f64()?, from.f64()?],
            squares: [from.f64()?, from.f64()?],
            products: from.f64()?,
        })
    }

    pub(super) const fn finish(self, rows: u64) -> Measured {
        Measured::Comoments {
            rows,
            values: self.values,
            squares: self.squares,
            products: self.products,
        }
    }
}
