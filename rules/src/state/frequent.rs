//! The most frequent values: the frequent items sketch of the `datasketches` crate.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

use crate::plan::Trouble;

/// Three quarters of so many distinct values are counted exactly; with more, the rare ones are forgotten.
const MAP_SIZE: usize = 4096;

/// Bytes of a value that are kept: longer ones count by their beginning.
const MOST_BYTES: usize = 256;

/// The counts of frequent values, as text.
#[derive(Clone)]
pub(crate) struct Frequent {
    sketch: FrequentItemsSketch<String>,
    /// Whether a value was cut, so that values which are not equal may count as one.
    is_cut: bool,
}

impl fmt::Debug for Frequent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frequent")
            .field("values", &self.sketch.total_weight())
            .finish_non_exhaustive()
    }
}

/// Floating-point numbers with one zero: it has two signs, and is one value.
fn one_zero(input: &ArrayRef) -> Result<ArrayRef, Trouble> {
    Ok(match input.data_type() {
        DataType::Float16 => one_zero(&cast(input, &DataType::Float32)?)?,
        DataType::Float32 => {
            let floats = input.as_primitive::<Float32Type>();
            Arc::new(floats.unary::<_, Float32Type>(|value| value + 0.0))
        }
        DataType::Float64 => {
            let floats = input.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(|value| value + 0.0))
        }
        _ => Arc::clone(input),
    })
}

impl Frequent {
    pub(super) fn new() -> Result<Self, Trouble> {
        let sketch = FrequentItemsSketch::new(MAP_SIZE);
        let sketch = sketch.map_err(|error| Trouble::new(error.to_string()))?;
        Ok(Self {
            sketch,
            is_cut: false,
        })
    }

    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let text = cast(&one_zero(input)?, &DataType::Utf8View)?;
        for value in text.as_string_view().iter().flatten() {
            self.take(value, 1);
        }
        Ok(())
    }

    /// Takes in values, each so many times.
    pub(super) fn update_each(&mut self, times: &[u64], input: &ArrayRef) -> Result<(), Trouble> {
        let text = cast(&one_zero(input)?, &DataType::Utf8View)?;
        for (value, times) in std::iter::zip(text.as_string_view(), times) {
            if let Some(value) = value {
                self.take(value, *times);
            }
        }
        Ok(())
    }

    fn take(&mut self, value: &str, times: u64) {
        let kept = &value[..value.floor_char_boundary(MOST_BYTES)];
        self.is_cut |= kept.len() < value.len();
        self.sketch.update_with_count_ref(kept, times);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.is_cut |= other.is_cut;
        self.sketch.merge(&other.sketch);
    }

    /// How many distinct values there are, when all of them were counted.
    pub(crate) fn distinct(&self) -> Option<u64> {
        let is_exact = self.sketch.maximum_error() == 0 && !self.is_cut;
        is_exact.then(|| self.sketch.num_active_items() as u64)
    }

    /// The most frequent values with their rows, most frequent first, and equal ones by their text. The rows are not
    /// fewer than said, and, when not all values were counted, [`Self::error`] more at most.
    pub(crate) fn top(&self, most: usize) -> Vec<(String, u64)> {
        let rows = self.sketch.frequent_items(ErrorType::NoFalsePositives);
        let mut found: Vec<(String, u64)> = rows
            .into_iter()
            .map(|row| (row.item().clone(), row.lower_bound()))
            .collect();
        found.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        found.truncate(most);
        found
    }

    /// How many rows of a value may not have been counted.
    pub(crate) fn error(&self) -> u64 {
        self.sketch.maximum_error()
    }
}
