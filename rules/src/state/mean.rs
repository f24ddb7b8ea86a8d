//! Means that keep more digits than one floating-point number has, so that those of two states can be subtracted.

use super::codec::{DecodeError, Reader, Writer};

/// A number as the sum of three, the largest first: enough for every digit of a decimal of 38 digits and of what
/// follows them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean([f64; 3]);

impl Mean {
    /// A whole number, exactly.
    pub(super) fn of_whole(number: i128) -> Self {
        let mut rest = number;
        Self([0; 3].map(|_: i32| {
            let part = rest as f64;
            rest = rest.wrapping_sub(part as i128);
            part
        }))
    }

    pub(super) fn plus(self, number: f64) -> Self {
        let [high, middle, low] = self.0;
        let (high, lost) = sum(high, number);
        let (middle, lost) = sum(middle, lost);
        let (middle, low) = sum(middle, low + lost);
        let (high, middle) = sum(high, middle);
        let (middle, low) = sum(middle, low);
        Self([high, middle, low])
    }

    /// How far this mean is above another one.
    pub(super) fn minus(self, other: Self) -> f64 {
        let [high, middle, low] = other.0.iter().fold(self, |left, part| left.plus(-part)).0;
        high + (middle + low)
    }

    pub(super) fn write(&self, to: &mut Writer) {
        self.0.iter().for_each(|part| to.f64(*part));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self([from.f64()?, from.f64()?, from.f64()?]))
    }
}

/// A sum, and what rounding took from it (Knuth).
fn sum(left: f64, right: f64) -> (f64, f64) {
    let sum = left + right;
    let of_right = sum - left;
    let of_left = sum - of_right;
    (sum, (left - of_left) + (right - of_right))
}
