//! Sums of powers of deviations, for the skewness and kurtosis of values.
//!
//! Merged by the formulas of Chan, Golub and LeVeque, taken to higher orders by Pébay.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::codec::{DecodeError, Reader, Writer};
use super::moments::{lanes, mean_of};
use crate::finding::Measured;
use crate::plan::Trouble;

/// Number, mean, and sums of the second, third and fourth powers of the deviations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    values: u64,
    mean: f64,
    powers: [f64; 3],
}

impl Shape {
    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let wide = cast(input, &DataType::Float64)?;
        let array = wide.as_primitive::<Float64Type>();
        let present: Vec<f64>;
        let values: &[f64] = match array.null_count() {
            0 => array.values(),
            _ => {
                present = array.iter().flatten().collect();
                &present
            }
        };
        if values.is_empty() {
            return Ok(());
        }
        let mean = mean_of(values);
        let power = |exponent: i32| lanes(values, |v| (v - mean).powi(exponent));
        self.merge(&Self {
            values: values.len() as u64,
            mean,
            powers: [power(2), power(3), power(4)],
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
        let delta = other.mean - self.mean;
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
        self.mean += part * m;
        self.values += other.values;
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.values);
        to.f64(self.mean);
        self.powers.iter().for_each(|power| to.f64(*power));
    }

    pub(super) fn read(from: &mut Reader<'_>, rows: u64) -> Result<Self, DecodeError> {
        Ok(Self {
            values: from.count_within(rows)?,
            mean: from.f64()?,
            powers: [from.f64()?, from.f64()?, from.f64()?],
        })
    }

    pub(super) const fn finish(self, rows: u64) -> Measured {
        Measured::Shape {
            rows,
            values: self.values,
            powers: self.powers,
        }
    }
}
