//! What a measure takes in of a batch.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type};

use super::deviations::Deviations;
use super::passing::others_as_null;
use crate::plan::Trouble;

/// The values of an expression over a batch. What several measures have to find out about them is found once.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    array: ArrayRef,
    integers: OnceCell<Option<Integers>>,
    deviations: OnceCell<Option<Deviations>>,
}

/// Values as whole numbers of 64 bits: integers, or the digits of decimals.
#[derive(Debug, Clone)]
pub(super) struct Integers {
    /// Under a null stands any number.
    pub(super) values: ScalarBuffer<i64>,
    /// The least value that is not null.
    pub(super) least: i64,
    /// The greatest value that is not null.
    pub(super) greatest: i64,
}

/// Decimals of so many digits fit into 64 bits.
const MOST_DIGITS: u8 = 18;

impl Input {
    pub(crate) const fn new(array: ArrayRef) -> Self {
        Self {
            array,
            integers: OnceCell::new(),
            deviations: OnceCell::new(),
        }
    }

    pub(super) const fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// The input without dictionary, with the rows that do not count as nulls.
    pub(super) fn counting(
        &self,
        filter: Option<&BooleanBuffer>,
    ) -> Result<Cow<'_, Self>, Trouble> {
        let counting = others_as_null(&self.array, filter)?;
        // What is known of the values holds for the same ones only.
        Ok(match Arc::ptr_eq(&counting, &self.array) {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Self::new(counting)),
        })
    }

    /// The values as integers; none when all are null, or their type or one of them does not fit.
    pub(super) fn integers(&self) -> Option<&Integers> {
        let integers = || Integers::of(&self.array);
        self.integers.get_or_init(integers).as_ref()
    }

    /// The least and the greatest value, in the type of the values; none when they are not known.
    pub(super) fn ends(&self) -> Result<Option<ArrayRef>, Trouble> {
        let Some(Integers {
            least, greatest, ..
        }) = self.integers()
        else {
            return Ok(None);
        };
        let ends = [*least, *greatest];
        Ok(match self.array.data_type() {
            DataType::Decimal128(digits, scale) => {
                let ends = Decimal128Array::from(ends.map(i128::from).to_vec());
                Some(Arc::new(ends.with_precision_and_scale(*digits, *scale)?))
            }
            DataType::Int64 => Some(Arc::new(Int64Array::from(ends.to_vec()))),
            _ => None,
        })
    }

    /// The deviations of all values that are not null; none without any.
    pub(super) fn deviations(&self) -> Result<Option<&Deviations>, Trouble> {
        if let Some(known) = self.deviations.get() {
            return Ok(known.as_ref());
        }
        let found = Deviations::of(self, self.array.logical_nulls().as_ref())?;
        Ok(self.deviations.get_or_init(|| found).as_ref())
    }
}

impl Integers {
    fn of(array: &ArrayRef) -> Option<Self> {
        let values = match array.data_type() {
            DataType::Int64 => array.as_primitive::<Int64Type>().values().clone(),
            DataType::Decimal128(digits, _) if *digits <= MOST_DIGITS => {
                narrow(array.as_primitive::<Decimal128Type>().values())?.into()
            }
            _ => return None,
        };
        let mut ends = None;
        for run in runs(&values, array.nulls()) {
            let (least, greatest) = ends.unwrap_or((i64::MAX, i64::MIN));
            ends = Some(
                run.iter()
                    .fold((least, greatest), |(least, greatest), value| {
                        (least.min(*value), greatest.max(*value))
                    }),
            );
        }
        let (least, greatest) = ends?;
        Some(Self {
            values,
            least,
            greatest,
        })
    }

    /// The sum of the values that are not null. So many as are in an array cannot overflow it.
    pub(super) fn sum(&self, nulls: Option<&NullBuffer>) -> i128 {
        let most = self.least.unsigned_abs().max(self.greatest.unsigned_abs());
        let fits = (most as u128 * self.values.len() as u128) < 1 << 63;
        let sum = |run: &[i64]| match fits {
            true => i128::from(run.iter().sum::<i64>()),
            false => run.iter().map(|value| i128::from(*value)).sum(),
        };
        runs(&self.values, nulls).map(sum).sum()
    }
}

/// The numbers in 64 bits; none when one of them does not fit, be it of more digits than its type has.
fn narrow(decimals: &[i128]) -> Option<Vec<i64>> {
    let mut lost = 0;
    let narrow = decimals.iter().map(|decimal| {
        let number = *decimal as i64;
        // All of the upper half is the sign of the lower one.
        lost |= (*decimal >> 64) as i64 ^ number >> 63;
        number
    });
    let narrow = narrow.collect();
    (lost == 0).then_some(narrow)
}

/// The values that are valid, run by run; no run is empty.
pub(super) fn runs<'v, T>(
    values: &'v [T],
    valid: Option<&'v NullBuffer>,
) -> impl Iterator<Item = &'v [T]> {
    let all = (valid.is_none() && !values.is_empty()).then_some((0, values.len()));
    let some = valid.into_iter().flat_map(NullBuffer::valid_slices);
    all.into_iter()
        .chain(some)
        .map(|(start, end)| &values[start..end])
}

#[cfg(test)]
mod tests;
