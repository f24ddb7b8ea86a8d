//! Groups of equal values of a column, each with its rows, when there are few enough to hold.

use std::ops::Add;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, new_empty_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::finding::Measured;
use crate::frequencies::Frequencies;
use crate::plan::Trouble;
use crate::ranks::{self, RanksOf};

/// All distinct values of a column, smallest first behind null, and how many rows have each.
#[derive(Debug, Clone)]
pub(crate) struct ValueGroups {
    values: ArrayRef,
    rows: Int64Array,
}

impl ValueGroups {
    pub(crate) fn new(
        data_type: &DataType,
        groups: impl Iterator<Item = (ScalarValue, u64)>,
    ) -> Result<Self, Trouble> {
        let (values, rows): (Vec<_>, Vec<_>) = groups.unzip();
        let values = match values.is_empty() {
            true => new_empty_array(data_type),
            false => ScalarValue::iter_to_array(values)?,
        };
        let rows = rows.into_iter().map(u64::cast_signed);
        Ok(Self {
            values,
            rows: Int64Array::from_iter_values(rows),
        })
    }

    /// Each group's rows, and whether its value is null.
    fn groups(&self) -> impl Iterator<Item = (u64, bool)> {
        let rows = self.rows.values().iter().map(|rows| rows.unsigned_abs());
        rows.enumerate()
            .map(|(place, rows)| (rows, self.values.is_null(place)))
    }

    /// What a grouping of the rows by the column comes to.
    pub(crate) fn as_grouping(&self) -> Measured {
        let not_null = || self.groups().filter(|(_, is_null)| !is_null);
        let repeated = || not_null().map(|(rows, _)| rows).filter(|rows| *rows > 1);
        Measured::Groups {
            rows: self.groups().map(|(rows, _)| rows).sum(),
            values: not_null().map(|(rows, _)| rows).sum(),
            groups: not_null().count() as u64,
            repeated: repeated().sum(),
            weighted_logarithms: repeated()
                .map(|rows| rows as f64 * (rows as f64).ln())
                .fold(0.0, f64::add),
        }
    }

    /// The most frequent values.
    pub(crate) fn as_frequencies(&self, most: usize) -> Result<Measured, Trouble> {
        let found = Frequencies::of_groups(&self.values, &self.rows, most)?;
        Ok(Measured::Frequencies(found))
    }

    /// Exact quantiles.
    pub(crate) fn as_ranks(&self, of: &RanksOf) -> Result<Measured, Trouble> {
        ranks::of_groups(&self.values, &self.rows, of)
    }
}
