//! How often each value of a dictionary occurs.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, StringArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Int32Type};

use crate::plan::Trouble;

/// The dictionaries that are counted, which is the type in which the catalog reads them: see [`crate::Parts::scan`].
pub(crate) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Dictionaries of at most so many values are counted in several lanes.
const FEW_VALUES: usize = 256;

/// Neighbouring rows count in different lanes, so that one addition need not wait for the one before.
const LANES: usize = 4;

/// How often each value of a dictionary occurred, over the batches that share it.
#[derive(Debug, Default)]
pub(super) struct KeyCounts {
    values: Option<StringArray>,
    /// The counts of the values, one after the other in each lane.
    counts: Vec<u64>,
    lanes: usize,
    nulls: u64,
}

impl KeyCounts {
    /// Whether an array has the dictionary that is being counted.
    pub(super) fn have_values_of(&self, array: &DictionaryArray<Int32Type>) -> bool {
        let same = |known: &StringArray, new: &StringArray| {
            known.len() == new.len()
                && known.value_offsets().as_ptr() == new.value_offsets().as_ptr()
                && known.value_data().as_ptr() == new.value_data().as_ptr()
                && known.null_count() == 0
                && new.null_count() == 0
        };
        match (&self.values, array.values().as_string_opt::<i32>()) {
            (Some(known), Some(new)) => same(known, new),
            _ => false,
        }
    }

    /// Begins with another dictionary.
    pub(super) fn begin(&mut self, values: &ArrayRef) -> Result<(), Trouble> {
        let Some(values) = values.as_string_opt::<i32>().cloned() else {
            return Err(Trouble::new(
                "bug: a dictionary of text holds something else",
            ));
        };
        self.lanes = match values.len() {
            0..=FEW_VALUES => LANES,
            _ => 1,
        };
        self.counts.clear();
        self.counts.resize(self.lanes * values.len(), 0);
        self.nulls = 0;
        self.values = Some(values);
        Ok(())
    }

    /// Counts the keys of an array that has the dictionary.
    pub(super) fn count(&mut self, array: &DictionaryArray<Int32Type>) -> Result<(), Trouble> {
        let keys = array.keys();
        let values = array.values().len();
        let wrong = || Trouble::new("bug: a key is not in its dictionary");
        let has_wrong = |keys: &[i32]| {
            let limit = u32::try_from(values).unwrap_or(u32::MAX);
            // A negative one is a large one without a sign.
            keys.iter()
                .fold(false, |wrong, key| wrong | (key.cast_unsigned() >= limit))
        };
        if keys.null_count() > 0 {
            self.nulls += keys.null_count() as u64;
            for key in keys.iter().flatten() {
                let place = usize::try_from(key).ok().filter(|place| *place < values);
                let count = place.and_then(|place| self.counts.get_mut(place));
                *count.ok_or_else(wrong)? += 1;
            }
            return Ok(());
        }
        let keys: &[i32] = keys.values();
        if has_wrong(keys) {
            return Err(wrong());
        }
        let lane = |lane: usize| if self.lanes == 1 { 0 } else { lane * values };
        let offsets: [usize; LANES] = std::array::from_fn(lane);
        let (chunks, rest) = keys.as_chunks::<LANES>();
        for chunk in chunks {
            for (offset, key) in std::iter::zip(offsets, chunk) {
                self.counts[offset + key.cast_unsigned() as usize] += 1;
            }
        }
        for key in rest {
            self.counts[key.cast_unsigned() as usize] += 1;
        }
        Ok(())
    }

    /// The values that occurred, null among them, and how often each did; none when none did.
    pub(super) fn take(&mut self) -> Result<Option<(ArrayRef, Vec<u64>)>, Trouble> {
        let Some(values) = self.values.take() else {
            return Ok(None);
        };
        let count = |value: usize| {
            let lanes = (0..self.lanes).map(|lane| self.counts[lane * values.len() + value]);
            lanes.sum::<u64>()
        };
        let mut places = Vec::new();
        let mut counts = Vec::new();
        for value in 0..values.len() {
            let count = count(value);
            if count > 0 {
                places.push(Some(u32::try_from(value).unwrap_or(u32::MAX)));
                counts.push(count);
            }
        }
        if self.nulls > 0 {
            places.push(None);
            counts.push(self.nulls);
        }
        if counts.is_empty() {
            return Ok(None);
        }
        let values: ArrayRef = Arc::new(values);
        Ok(Some((
            take(&values, &UInt32Array::from(places), None)?,
            counts,
        )))
    }
}
