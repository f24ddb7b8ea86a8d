//! States that merge into metrics: what one pass over a part of the rows leaves behind.
//!
//! Sums of integers and decimals are exact; they fail rather than overflow. Sums of floating-point
//! numbers are compensated.

mod bins;
mod comoments;
mod distinct;
mod extreme;
mod frequent;
mod moments;
mod quantiles;
mod shape;
mod sum;
mod types;

use std::fmt;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{cast, filter as keep, nullif};
use datafusion::arrow::datatypes::DataType;

use crate::finding::Measured;
use crate::plan::{Measure, Trouble, plain_type};
use comoments::Comoments;
use distinct::Distinct;
use extreme::Extreme;
use moments::Moments;
use shape::Shape;
use sum::Sum;

pub(crate) use bins::{Bins, Edge};
pub(crate) use frequent::Frequent;
pub(crate) use quantiles::{LEAST_RANK_ERROR, Quantiles};
pub(crate) use types::{Likeness, TypeCounts, looks_like};

/// The state of one measure.
pub(crate) struct State {
    /// Rows that pass the filter.
    rows: u64,
    kind: Kind,
}

enum Kind {
    Rows,
    Nulls { bad: u64 },
    False { bad: u64 },
    Extreme(Extreme),
    Sum(Sum),
    Moments(Moments),
    Shape(Shape),
    Comoments(Comoments),
    Quantiles(Box<Quantiles>),
    Distinct(Box<Distinct>),
    Types(TypeCounts),
    Frequent(Box<Frequent>),
    Bins(Bins),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl State {
    /// An empty state; `data_types` are those of the measured expressions.
    pub(crate) fn new(measure: &Measure, data_types: &[DataType]) -> Result<Self, Trouble> {
        let plain = || plain_type(data_types.first().unwrap_or(&DataType::Null));
        let kind = match measure {
            Measure::Rows => Kind::Rows,
            Measure::Nulls(_) => Kind::Nulls { bad: 0 },
            Measure::False(_) => Kind::False { bad: 0 },
            Measure::Min(_) => Kind::Extreme(Extreme::min(plain())?),
            Measure::Max(_) => Kind::Extreme(Extreme::max(plain())?),
            Measure::Sum(_) => Kind::Sum(Sum::new(plain())?),
            Measure::Moments(_) => Kind::Moments(Moments::default()),
            Measure::Shape(_) => Kind::Shape(Shape::default()),
            Measure::Comoments(_, _) => Kind::Comoments(Comoments::default()),
            Measure::Quantiles(_, rank_error) => {
                Kind::Quantiles(Box::new(Quantiles::new(rank_error.0)?))
            }
            Measure::Distinct(_) => Kind::Distinct(Box::new(Distinct::new()?)),
            Measure::Frequent(_) => Kind::Frequent(Box::new(Frequent::new()?)),
            Measure::Types(_) => Kind::Types(TypeCounts::default()),
            Measure::Bins(_, edges) => Kind::Bins(Bins::new(edges)),
        };
        Ok(Self { rows: 0, kind })
    }

    /// Takes in the rows of one batch. `filter` has a bit for each row that counts.
    pub(crate) fn update(
        &mut self,
        rows: usize,
        inputs: &[&ArrayRef],
        filter: Option<&BooleanBuffer>,
    ) -> Result<(), Trouble> {
        self.rows += filter.map_or(rows, BooleanBuffer::count_set_bits) as u64;
        let Some(input) = inputs.first().copied() else {
            return Ok(());
        };
        match &mut self.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } => *bad += count_nulls(input, filter),
            Kind::False { bad } => {
                match input.as_boolean_opt() {
                    Some(good) => *bad += count_false(good, filter),
                    // A condition that is always null has no type.
                    None if input.data_type().is_null() => {}
                    None => {
                        return Err(Trouble::new(format!(
                            "a condition has the type {}, which is neither true nor false",
                            input.data_type()
                        )));
                    }
                }
            }
            Kind::Extreme(extreme) => extreme.update(&selected(input, filter)?)?,
            Kind::Sum(sum) => sum.update(&selected(input, filter)?)?,
            Kind::Moments(moments) => moments.update(&selected(input, filter)?)?,
            Kind::Shape(shape) => shape.update(&selected(input, filter)?)?,
            Kind::Quantiles(quantiles) => quantiles.update(&selected(input, filter)?)?,
            Kind::Distinct(distinct) => distinct.update(&selected(input, filter)?)?,
            Kind::Frequent(frequent) => frequent.update(&selected(input, filter)?)?,
            Kind::Types(types) => types.update(&chosen(input, filter)?)?,
            Kind::Bins(bins) => bins.update(&chosen(input, filter)?)?,
            Kind::Comoments(comoments) => {
                let [left, right] = inputs else {
                    return Err(Trouble::new("bug: two columns were to be measured"));
                };
                comoments.update(&selected(left, filter)?, &selected(right, filter)?)?;
            }
        }
        Ok(())
    }

    /// The state of so many rows of which nothing else is measured.
    pub(crate) const fn of_rows(rows: u64) -> Self {
        Self {
            rows,
            kind: Kind::Rows,
        }
    }

    /// Takes in the state of another part of the rows, which stays as it is.
    pub(crate) fn merge(&mut self, other: &mut Self) -> Result<(), Trouble> {
        self.rows += other.rows;
        match (&mut self.kind, &mut other.kind) {
            (Kind::Nulls { bad }, Kind::Nulls { bad: other })
            | (Kind::False { bad }, Kind::False { bad: other }) => *bad += *other,
            (Kind::Extreme(extreme), Kind::Extreme(other)) => extreme.merge(other)?,
            (Kind::Sum(sum), Kind::Sum(other)) => sum.merge(other)?,
            (Kind::Moments(moments), Kind::Moments(other)) => moments.merge(other),
            (Kind::Shape(shape), Kind::Shape(other)) => shape.merge(other),
            (Kind::Comoments(comoments), Kind::Comoments(other)) => comoments.merge(other),
            (Kind::Quantiles(quantiles), Kind::Quantiles(other)) => quantiles.merge(other)?,
            (Kind::Distinct(distinct), Kind::Distinct(other)) => distinct.merge(other)?,
            (Kind::Frequent(frequent), Kind::Frequent(other)) => frequent.merge(other),
            (Kind::Types(types), Kind::Types(other)) => types.merge(other),
            (Kind::Bins(bins), Kind::Bins(other)) => bins.merge(other),
            (Kind::Rows, Kind::Rows) => {}
            _ => {
                return Err(Trouble::new(
                    "bug: states of two different measures were merged",
                ));
            }
        }
        Ok(())
    }

    /// The metric.
    pub(crate) fn finish(self) -> Result<Measured, Trouble> {
        let rows = self.rows;
        Ok(match self.kind {
            Kind::Rows => Measured::Rows { rows, bad: 0 },
            Kind::Nulls { bad } | Kind::False { bad } => Measured::Rows { rows, bad },
            Kind::Extreme(extreme) => extreme.finish(rows)?,
            Kind::Sum(sum) => sum.finish(rows)?,
            Kind::Moments(moments) => Measured::Moments {
                rows,
                values: moments.values,
                squares: moments.squares,
                has_infinite: moments.has_infinite,
            },
            Kind::Shape(shape) => shape.finish(rows),
            Kind::Comoments(comoments) => comoments.finish(rows),
            Kind::Quantiles(quantiles) => Measured::Quantiles { rows, quantiles },
            Kind::Distinct(distinct) => distinct.finish(rows),
            Kind::Frequent(frequent) => Measured::Frequent { rows, frequent },
            Kind::Types(types) => Measured::Types { rows, types },
            Kind::Bins(bins) => Measured::Bins { rows, bins },
        })
    }
}

fn count_nulls(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> u64 {
    let nulls = match filter {
        None => input.logical_null_count(),
        Some(filter) => match input.logical_nulls() {
            None => 0,
            Some(nulls) => filter.count_set_bits() - (filter & nulls.inner()).count_set_bits(),
        },
    };
    nulls as u64
}

fn count_false(good: &BooleanArray, filter: Option<&BooleanBuffer>) -> u64 {
    let bad = match (good.nulls().filter(|n| n.null_count() > 0), filter) {
        (None, None) => good.len() - good.values().count_set_bits(),
        (None, Some(filter)) => filter.count_set_bits() - (filter & good.values()).count_set_bits(),
        (Some(nulls), None) => {
            let valid = nulls.inner();
            valid.count_set_bits() - (valid & good.values()).count_set_bits()
        }
        (Some(nulls), Some(filter)) => {
            let valid = nulls.inner() & filter;
            valid.count_set_bits() - (&valid & good.values()).count_set_bits()
        }
    };
    bad as u64
}

/// The input without dictionary, with the rows that do not count as nulls.
/// The rows that pass the filter, nulls among them.
fn chosen(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> Result<ArrayRef, Trouble> {
    match filter {
        None => Ok(std::sync::Arc::clone(input)),
        Some(filter) => Ok(keep(input, &BooleanArray::new(filter.clone(), None))?),
    }
}

fn selected(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> Result<ArrayRef, Trouble> {
    let plain = match input.data_type() {
        DataType::Dictionary(_, value) => cast(input, value)?,
        _ => std::sync::Arc::clone(input),
    };
    match filter {
        None => Ok(plain),
        Some(filter) => Ok(nullif(&plain, &BooleanArray::new(!filter, None))?),
    }
}
