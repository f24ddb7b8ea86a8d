//! The rows of a batch that count: those that pass a filter, each as often as it occurs.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{cast, filter as keep, nullif};
use datafusion::arrow::datatypes::DataType;

use crate::plan::Trouble;

/// The truth values of a condition; none when all are null.
pub(super) fn conditions(input: &ArrayRef) -> Result<Option<&BooleanArray>, Trouble> {
    match input.as_boolean_opt() {
        Some(good) => Ok(Some(good)),
        // A condition that is always null has no type.
        None if input.data_type().is_null() => Ok(None),
        None => Err(Trouble::new(format!(
            "a condition has the type {}, which is neither true nor false",
            input.data_type()
        ))),
    }
}

/// How often the rows occur for which something is true.
pub(super) fn sum_where(times: &[u64], is_true: impl Fn(usize) -> bool) -> u64 {
    let rows = times.iter().enumerate();
    rows.filter(|(row, _)| is_true(*row)).map(|(_, n)| n).sum()
}

pub(super) fn count_nulls(input: &ArrayRef, filter: Option<&BooleanBuffer>) -> u64 {
    let nulls = match filter {
        None => input.logical_null_count(),
        Some(filter) => match input.logical_nulls() {
            None => 0,
            Some(nulls) => filter.count_set_bits() - (filter & nulls.inner()).count_set_bits(),
        },
    };
    nulls as u64
}

pub(super) fn count_false(good: &BooleanArray, filter: Option<&BooleanBuffer>) -> u64 {
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

/// The rows that pass the filter, nulls among them.
pub(super) fn only_passing(
    input: &ArrayRef,
    filter: Option<&BooleanBuffer>,
) -> Result<ArrayRef, Trouble> {
    match filter {
        None => Ok(Arc::clone(input)),
        Some(filter) => Ok(keep(input, &BooleanArray::new(filter.clone(), None))?),
    }
}

/// How often each of the rows occurs that pass the filter.
pub(super) fn passing_times(times: &[u64], filter: Option<&BooleanBuffer>) -> Vec<u64> {
    let passes = |row: usize| filter.is_none_or(|filter| filter.value(row));
    let passing = |(row, times): (usize, &u64)| passes(row).then_some(*times);
    times.iter().enumerate().filter_map(passing).collect()
}

/// The rows that pass the filter, nulls among them, without dictionary.
pub(super) fn passing_plain(
    input: &ArrayRef,
    filter: Option<&BooleanBuffer>,
) -> Result<ArrayRef, Trouble> {
    let passing = only_passing(input, filter)?;
    match passing.data_type() {
        DataType::Dictionary(_, value) => Ok(cast(&passing, value)?),
        _ => Ok(passing),
    }
}

/// The input without dictionary, with the rows that do not count as nulls.
pub(super) fn others_as_null(
    input: &ArrayRef,
    filter: Option<&BooleanBuffer>,
) -> Result<ArrayRef, Trouble> {
    let plain = match input.data_type() {
        DataType::Dictionary(_, value) => cast(input, value)?,
        _ => Arc::clone(input),
    };
    match filter {
        None => Ok(plain),
        Some(filter) => Ok(nullif(&plain, &BooleanArray::new(!filter, None))?),
    }
}
