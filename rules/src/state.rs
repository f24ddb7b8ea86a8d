//! States that merge into metrics: what one pass over a part of the rows leaves behind.
//!
//! Sums of integers and decimals are exact; they fail rather than overflow. Sums of floating-point
//! numbers are compensated.

mod bins;
pub(crate) mod codec;
mod comoments;
mod deviations;
mod distinct;
mod extreme;
pub(crate) mod fingerprint;
mod float_keys;
mod frequent;
mod input;
mod mean;
mod moments;
mod passing;
mod quantiles;
mod registers;
mod scalar;
mod shape;
mod sum;
mod types;
mod value_counts;

use std::fmt;

use datafusion::arrow::array::Array;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::finding::Measured;
use crate::plan::{Measure, Trouble, plain_type};
use codec::{DecodeError, Reader, Writer};
use comoments::Comoments;
use distinct::Distinct;
use extreme::Extreme;
use moments::Moments;
use passing::{
    conditions, count_false, count_nulls, only_passing, others_as_null, passing_plain,
    passing_times, sum_where,
};
use shape::Shape;
use sum::Sum;
use value_counts::ValueCounts;

pub(crate) use bins::{Bins, Edge};
pub(crate) use frequent::Frequent;
pub(crate) use input::Input;
pub(crate) use quantiles::{LEAST_RANK_ERROR, Quantiles};
pub(crate) use types::{Likeness, TypeCounts, looks_like};
pub(crate) use value_counts::is_counted;
pub(crate) use value_counts::{MOST_TEXT_BYTES, MOST_VALUES};

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
    ValueCounts(ValueCounts),
}

/// How often the rows of a batch occur.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Times<'a> {
    /// Once each; there are so many.
    Once(usize),
    /// Each row so often, at least once.
    Each(&'a [u64]),
}

/// So many rows cannot be in one file, and sums of so many do not overflow. A state with more is damaged.
const MOST_ROWS: u64 = 1 << 48;

impl Kind {
    /// How the kind is written. A tag is never used again for another kind.
    const fn tag(&self) -> u8 {
        match self {
            Self::Rows => 0,
            Self::Nulls { .. } => 1,
            Self::False { .. } => 2,
            Self::Extreme(_) => 3,
            Self::Sum(_) => 4,
            Self::Moments(_) => 5,
            Self::Shape(_) => 6,
            Self::Comoments(_) => 7,
            Self::Quantiles(_) => 8,
            Self::Distinct(_) => 9,
            Self::Types(_) => 10,
            Self::Frequent(_) => 11,
            Self::Bins(_) => 12,
            Self::ValueCounts(_) => 13,
        }
    }
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
            Measure::Moments(_) => Kind::Moments(Moments::new(data_types)),
            Measure::Shape(_) => Kind::Shape(Shape::new(data_types)),
            Measure::Comoments(_, _) => Kind::Comoments(Comoments::new(data_types)),
            Measure::Quantiles(_, rank_error) => {
                Kind::Quantiles(Box::new(Quantiles::new(rank_error.0)?))
            }
            Measure::Distinct(_) => Kind::Distinct(Box::new(Distinct::new()?)),
            Measure::Frequent(_) => Kind::Frequent(Box::new(Frequent::new()?)),
            Measure::Types(_) => Kind::Types(TypeCounts::default()),
            Measure::Bins(_, edges) => Kind::Bins(Bins::new(edges)),
            Measure::ValueCounts(_) => Kind::ValueCounts(ValueCounts::new(plain())?),
        };
        Ok(Self { rows: 0, kind })
    }

    /// The state of how often each value occurs over rows in which so many are null, and the others one value.
    pub(crate) fn of_only_value(
        measure: &Measure,
        data_types: &[DataType],
        rows: u64,
        nulls: u64,
        only: Option<&ScalarValue>,
    ) -> Result<Self, Trouble> {
        let mut state = Self::new(measure, data_types)?;
        state.rows = rows;
        if let Kind::ValueCounts(counts) = &mut state.kind {
            counts.take_only(nulls, only.map(|value| (value, rows - nulls)))?;
        }
        Ok(state)
    }

    /// Takes in the rows of one batch. `filter` has a bit for each row that counts.
    pub(crate) fn update(
        &mut self,
        times: Times<'_>,
        inputs: &[&Input],
        filter: Option<&BooleanBuffer>,
    ) -> Result<(), Trouble> {
        match times {
            Times::Once(rows) => {
                self.rows += filter.map_or(rows, BooleanBuffer::count_set_bits) as u64;
                self.update_once(inputs, filter)
            }
            Times::Each(times) => {
                let counts = |row: usize| filter.is_none_or(|filter| filter.value(row));
                self.rows += sum_where(times, counts);
                self.update_each(times, inputs, filter)
            }
        }
    }

    /// Takes in the inputs of rows that occur more than once: see [`Measure::is_countable`].
    fn update_each(
        &mut self,
        times: &[u64],
        inputs: &[&Input],
        filter: Option<&BooleanBuffer>,
    ) -> Result<(), Trouble> {
        let Some(input) = inputs.first().copied() else {
            return Ok(());
        };
        let input = input.array();
        let nulls = input.logical_nulls();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let counts = |row: usize| filter.is_none_or(|filter| filter.value(row));
        let values = || sum_where(times, |row| counts(row) && !is_null(row));
        match &mut self.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } => *bad += sum_where(times, |row| counts(row) && is_null(row)),
            Kind::False { bad } => {
                let Some(good) = conditions(input)? else {
                    return Ok(());
                };
                *bad += sum_where(times, |row| {
                    counts(row) && !is_null(row) && !good.value(row)
                });
            }
            Kind::Extreme(extreme) => {
                extreme.update_each(values(), &others_as_null(input, filter)?)?;
            }
            Kind::Distinct(distinct) => {
                distinct.update_each(values(), &others_as_null(input, filter)?)?;
            }
            Kind::Sum(sum) => sum.update_each(times, &others_as_null(input, filter)?)?,
            Kind::Frequent(frequent) => {
                frequent.update_each(times, &others_as_null(input, filter)?)?;
            }
            Kind::ValueCounts(counts) if counts.is_settled() => {}
            Kind::ValueCounts(counts) => {
                let times = passing_times(times, filter);
                counts.update_each(&times, &passing_plain(input, filter)?)?;
            }
            Kind::Types(types) => {
                let times = passing_times(times, filter);
                types.update_each(&times, &only_passing(input, filter)?)?;
            }
            Kind::Moments(_)
            | Kind::Shape(_)
            | Kind::Comoments(_)
            | Kind::Quantiles(_)
            | Kind::Bins(_) => {
                return Err(Trouble::new(
                    "bug: the measure is not of distinct values and their counts",
                ));
            }
        }
        Ok(())
    }

    /// Takes in the inputs of rows.
    fn update_once(
        &mut self,
        inputs: &[&Input],
        filter: Option<&BooleanBuffer>,
    ) -> Result<(), Trouble> {
        let Some(input) = inputs.first().copied() else {
            return Ok(());
        };
        match &mut self.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } => *bad += count_nulls(input.array(), filter),
            Kind::False { bad } => {
                if let Some(good) = conditions(input.array())? {
                    *bad += count_false(good, filter);
                }
            }
            Kind::Extreme(extreme) => extreme.update(input.counting(filter)?.as_ref())?,
            Kind::Sum(sum) => sum.update(input.counting(filter)?.as_ref())?,
            Kind::Moments(moments) => moments.update(input.counting(filter)?.as_ref())?,
            Kind::Shape(shape) => shape.update(input.counting(filter)?.as_ref())?,
            Kind::Quantiles(quantiles) => quantiles.update(input.counting(filter)?.as_ref())?,
            Kind::Distinct(distinct) => distinct.update(&others_as_null(input.array(), filter)?)?,
            Kind::Frequent(frequent) => frequent.update(&others_as_null(input.array(), filter)?)?,
            Kind::Types(types) => types.update(&only_passing(input.array(), filter)?)?,
            Kind::Bins(bins) => bins.update(&only_passing(input.array(), filter)?)?,
            Kind::ValueCounts(counts) if counts.is_settled() => {}
            Kind::ValueCounts(counts) => counts.update(&passing_plain(input.array(), filter)?)?,
            Kind::Comoments(comoments) => {
                let [left, right] = inputs else {
                    return Err(Trouble::new("bug: two columns were to be measured"));
                };
                comoments.update(
                    left.counting(filter)?.as_ref(),
                    right.counting(filter)?.as_ref(),
                )?;
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

    /// The state of so many rows, of which so many are null.
    pub(crate) const fn of_nulls(rows: u64, nulls: u64) -> Self {
        Self {
            rows,
            kind: Kind::Nulls { bad: nulls },
        }
    }

    /// The state of a smallest or largest value over so many rows: the value, and how many values there are.
    pub(crate) fn of_extreme(
        measure: &Measure,
        data_types: &[DataType],
        rows: u64,
        outermost: Option<(ScalarValue, u64)>,
    ) -> Result<Self, Trouble> {
        let mut state = Self::new(measure, data_types)?;
        state.rows = rows;
        if let (Kind::Extreme(extreme), Some((value, values))) = (&mut state.kind, outermost) {
            extreme.take(&value, values)?;
        }
        Ok(state)
    }

    /// Expects so many values, in this state and those that it is merged with.
    pub(crate) fn expect(&mut self, values: u64) {
        if let Kind::Quantiles(quantiles) = &mut self.kind {
            quantiles.expect(values);
        }
    }

    /// Whether more rows make no difference to what it tells.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(&self.kind, Kind::ValueCounts(counts) if counts.is_settled())
    }

    /// Takes in the state of another part of the rows, which goes on to mean the same.
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
            (Kind::ValueCounts(counts), Kind::ValueCounts(other)) => counts.merge(other)?,
            (Kind::Rows, Kind::Rows) => {}
            _ => {
                return Err(Trouble::new(
                    "bug: states of two different measures were merged",
                ));
            }
        }
        Ok(())
    }

    /// The state's bytes; none when it holds a value that has no form. Reading an accumulator takes it mutably.
    pub(crate) fn write(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let mut to = Writer::default();
        to.u8(self.kind.tag());
        // How many were read before a measure settled is chance.
        to.u64(if self.is_settled() { 0 } else { self.rows });
        match &mut self.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } | Kind::False { bad } => to.u64(*bad),
            Kind::Extreme(extreme) => {
                if !extreme.write(&mut to)? {
                    return Ok(None);
                }
            }
            Kind::Sum(sum) => sum.write(&mut to),
            Kind::Moments(moments) => moments.write(&mut to),
            Kind::Shape(shape) => shape.write(&mut to),
            Kind::Comoments(comoments) => comoments.write(&mut to),
            Kind::Quantiles(quantiles) => quantiles.write(&mut to)?,
            Kind::Distinct(distinct) => distinct.write(&mut to),
            Kind::Types(types) => types.write(&mut to),
            // Text of any length, which only profiles ask for.
            Kind::Frequent(_) => return Ok(None),
            Kind::Bins(bins) => bins.write(&mut to),
            Kind::ValueCounts(counts) => counts.write(&mut to)?,
        }
        Ok(Some(to.into_bytes()))
    }

    /// Reads the bytes of a state of this measure; `data_types` are those of the measured expressions.
    pub(crate) fn read(
        bytes: &[u8],
        measure: &Measure,
        data_types: &[DataType],
    ) -> Result<Self, DecodeError> {
        let mut state = Self::new(measure, data_types)
            .map_err(|_| DecodeError::Damaged("values of this type have no such state"))?;
        let mut from = Reader::new(bytes);
        if from.u8()? != state.kind.tag() {
            return Err(DecodeError::Damaged("a state of another kind"));
        }
        let rows = from.u64()?;
        if rows > MOST_ROWS {
            return Err(DecodeError::Damaged("more rows than there can be"));
        }
        state.rows = rows;
        let from = &mut from;
        match &mut state.kind {
            Kind::Rows => {}
            Kind::Nulls { bad } | Kind::False { bad } => *bad = from.count_within(rows)?,
            Kind::Extreme(extreme) => {
                let data_type = plain_type(data_types.first().unwrap_or(&DataType::Null));
                extreme.read(from, rows, data_type)?;
            }
            Kind::Sum(sum) => sum.read(from, rows)?,
            Kind::Moments(moments) => moments.read(from, rows)?,
            Kind::Shape(shape) => shape.read(from, rows)?,
            Kind::Comoments(comoments) => comoments.read(from, rows)?,
            Kind::Quantiles(quantiles) => quantiles.read(from, rows)?,
            Kind::Distinct(distinct) => distinct.read(from, rows)?,
            Kind::Types(types) => *types = TypeCounts::read(from, rows)?,
            Kind::Frequent(_) => return Err(DecodeError::Damaged("such a state is not kept")),
            Kind::Bins(bins) => bins.read(from, rows)?,
            Kind::ValueCounts(counts) => counts.read(from, rows)?,
        }
        from.end()?;
        Ok(state)
    }

    /// The metric.
    pub(crate) fn finish(self) -> Result<Measured, Trouble> {
        let rows = self.rows;
        Ok(match self.kind {
            Kind::Rows => Measured::Rows { rows, bad: 0 },
            Kind::Nulls { bad } | Kind::False { bad } => Measured::Rows { rows, bad },
            Kind::Extreme(extreme) => extreme.finish(rows)?,
            Kind::Sum(sum) => sum.finish(rows)?,
            Kind::Moments(moments) => moments.finish(rows),
            Kind::Shape(shape) => shape.finish(rows),
            Kind::Comoments(comoments) => comoments.finish(rows),
            Kind::Quantiles(quantiles) => Measured::Quantiles {
                rows,
                quantiles: Box::new(quantiles.finish()?),
            },
            Kind::Distinct(distinct) => distinct.finish(rows),
            Kind::Frequent(frequent) => Measured::Frequent { rows, frequent },
            Kind::Types(types) => Measured::Types { rows, types },
            Kind::Bins(bins) => Measured::Bins { rows, bins },
            Kind::ValueCounts(counts) => Measured::ValueCounts(counts.finish()?),
        })
    }
}

#[cfg(test)]
mod tests;
