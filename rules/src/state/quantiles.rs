//! Approximate quantiles: the KLL sketch of the `datasketches` crate, fed with samples that have a weight.
//!
//! A sketch that takes in values one by one spends most of its time on its lowest levels, which hold a few values each.
//! So many values are sorted here at once and every eighth goes into the sketch for the eight of them; and once there are
//! so many values that their number hides it, a random one of a few stands for these. Both add less to the error than
//! [`OF_SKETCH`] leaves to them.

use datafusion::arrow::array::{Array, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};

use super::codec::{DecodeError, Reader, Writer, whole_sketch};
use super::float_keys::{of_key, sorted_keys};
use super::input::{Input, runs};
use crate::plan::Trouble;

/// A sample of the values whose ranks are known to within [`Quantiles::rank_error`].
#[derive(Debug, Clone)]
pub(crate) struct Quantiles {
    sketch: KllSketch<KllFloat<f64>>,
    /// Values that have not been sampled: fewer than one of them stands for.
    single: Vec<f64>,
    /// Samples that the sketch has not taken in.
    samples: Vec<f64>,
    /// Each sample stands for 2 to the power of this many values.
    lg_weight: u32,
    least: f64,
    greatest: f64,
    has_nan: bool,
}

/// The least rank error for which a sketch has a size.
pub(crate) const LEAST_RANK_ERROR: f64 = 0.0001;

/// The share of the wanted error that the sketch itself may have. Errors of independent samples add up by their squares:
/// with at most 0.5 for the two others it comes to the whole.
const OF_SKETCH: f64 = 0.86;

/// A sample stands for so many values that the standard deviation of a rank, which is at most half the root of the
/// number over that of all values, is at most this share of the wanted error. 99 in 100 are within 2.58 of it, or 0.49.
/// Sorted samples add 0.25 at first, and next to nothing once a sample stands for more than one value.
const OF_SAMPLING: f64 = 0.19;

/// A sample stands for at most 2 to the power of this many values.
const MOST_LG_WEIGHT: u32 = 12;

/// So many samples for each unit of the sketch's parameter are sorted at once.
const SORTED_AT_ONCE: usize = 16;

/// Of sorted samples, one in 2 to the power of this many is kept.
const LG_KEPT_OF_SORTED: u32 = 3;

/// How many units of whole numbers are 1; none for another type.
fn unit_of(data_type: &DataType) -> Option<f64> {
    match data_type {
        DataType::Int64 => Some(1.0),
        DataType::Decimal128(_, scale @ 0..) => Some(10_f64.powi(i32::from(*scale))),
        _ => None,
    }
}

impl Quantiles {
    /// A sketch whose ranks are within this share of all values of the true ones, for 99 in 100 quantiles.
    pub(super) fn new(rank_error: f64) -> Result<Self, Trouble> {
        // The inverse of the error that the library documents for its parameter.
        let k = (2.296 / (rank_error * OF_SKETCH)).powf(1.0 / 0.9723).ceil();
        let k = k.clamp(8.0, f64::from(u16::MAX)) as u16;
        let sketch = KllSketch::new(k).map_err(|error| Trouble::new(error.to_string()))?;
        Ok(Self {
            sketch,
            single: Vec::new(),
            samples: Vec::new(),
            lg_weight: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            has_nan: false,
        })
    }

    pub(super) fn update(&mut self, input: &Input) -> Result<(), Trouble> {
        let array = input.array();
        if let (Some(unit), Some(integers)) = (unit_of(array.data_type()), input.integers()) {
            let float = |integer: i64| integer as f64 / unit;
            self.least = self.least.min(float(integers.least));
            self.greatest = self.greatest.max(float(integers.greatest));
            for run in runs(&integers.values, array.nulls()) {
                self.take(run, float);
            }
            return self.take_full();
        }
        let floats = cast(array, &DataType::Float64)?;
        let floats: &Float64Array = floats.as_primitive();
        let has_nan = |values: &[f64]| values.iter().fold(false, |nan, v| nan | v.is_nan());
        if floats.null_count() == 0 && !has_nan(floats.values()) {
            return self.take_floats(floats.values());
        }
        let present: Vec<f64> = floats.iter().flatten().filter(|v| !v.is_nan()).collect();
        self.has_nan |= present.len() < floats.len() - floats.null_count();
        self.take_floats(&present)
    }

    fn take_floats(&mut self, values: &[f64]) -> Result<(), Trouble> {
        self.least = values.iter().copied().fold(self.least, f64::min);
        self.greatest = values.iter().copied().fold(self.greatest, f64::max);
        self.take(values, |value| value);
        self.take_full()
    }

    /// Takes samples of values. Only these are turned into floating-point numbers.
    fn take<V: Copy>(&mut self, values: &[V], float: impl Fn(V) -> f64) {
        if self.lg_weight == 0 {
            self.samples
                .extend(values.iter().map(|value| float(*value)));
            return;
        }
        let of = 1 << self.lg_weight;
        let missing = (of - self.single.len()) % of;
        let (begun, values) = values.split_at(missing.min(values.len()));
        self.single.extend(begun.iter().map(|value| float(*value)));
        if self.single.len() == of {
            self.samples.push(self.single[fastrand::usize(..of)]);
            self.single.clear();
        }
        let blocks = values.chunks_exact(of);
        self.single
            .extend(blocks.remainder().iter().map(|value| float(*value)));
        self.samples
            .extend(blocks.map(|block| float(block[fastrand::usize(..of)])));
    }

    /// Lets the sketch take in samples when there are many.
    fn take_full(&mut self) -> Result<(), Trouble> {
        // No more at once than the sketch has room for.
        let at_once = SORTED_AT_ONCE * usize::from(self.sketch.k());
        while self.samples.len() >= at_once {
            let rest = self.samples.split_off(at_once);
            self.take_samples()?;
            self.samples = rest;
        }
        self.raise_weight()
    }

    /// Expects so many values, in this state and those that it is merged with: samples stand for several from the first
    /// one on. With fewer values than expected the ranks are further off.
    pub(super) fn expect(&mut self, values: u64) {
        if self.sketch.n() == 0 && self.samples.is_empty() && self.single.is_empty() {
            self.lg_weight = self.lg_weight_of(values);
        }
    }

    /// How many of so many values a sample may stand for, as a power of 2.
    fn lg_weight_of(&self, values: u64) -> u32 {
        let error = OF_SAMPLING * self.sketch.normalized_rank_error() / OF_SKETCH;
        let most = 4.0 * error * error * values as f64;
        (most.max(1.0).log2() as u32).min(MOST_LG_WEIGHT)
    }

    /// Lets a sample stand for more values when there are so many that it may.
    fn raise_weight(&mut self) -> Result<(), Trouble> {
        let wanted = self.lg_weight_of(self.sketch.n());
        if wanted > self.lg_weight {
            // Those that wait have the weight of before.
            self.take_samples()?;
            self.lg_weight = wanted;
        }
        Ok(())
    }

    /// Lets the sketch take in the samples.
    fn take_samples(&mut self) -> Result<(), Trouble> {
        let step = 1 << LG_KEPT_OF_SORTED;
        if self.samples.is_empty() {
            return Ok(());
        }
        if self.lg_weight == 0 && self.samples.len() < step {
            update_each(&mut self.sketch, self.samples.drain(..));
            return Ok(());
        }
        let sorted = self.samples.len() / step * step;
        let rest = sorted_keys(&self.samples[sorted..]);
        let kept = sorted_keys(&self.samples[..sorted]);
        let kept = kept.into_iter().skip(fastrand::usize(..step)).step_by(step);
        let (weight, of_kept) = (self.lg_weight, self.lg_weight + LG_KEPT_OF_SORTED);
        let rest = rest.into_iter().map(of_key).collect();
        let levels = [(weight, rest), (of_kept, kept.map(of_key).collect())];
        self.samples.clear();
        self.merge_levels(&levels)
    }

    /// Lets the sketch take in sorted values, each of which stands for 2 to a power of values; the powers ascend.
    fn merge_levels(&mut self, levels: &[(u32, Vec<f64>)]) -> Result<(), Trouble> {
        let bytes = sketch_bytes(self.sketch.k(), levels, self.least, self.greatest);
        let failed = |error: datasketches::error::Error| Trouble::new(error.to_string());
        let taken = KllSketch::deserialize(&bytes).map_err(failed)?;
        self.sketch.merge(&taken).map_err(failed)
    }

    /// Lets the sketch take in what it has not. While no sample stands for others, all values are kept as long as the
    /// sketch can.
    fn settle(&mut self) -> Result<(), Trouble> {
        if self.lg_weight == 0 {
            update_each(&mut self.sketch, self.samples.drain(..));
        }
        self.take_samples()?;
        update_each(&mut self.sketch, self.single.drain(..));
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &mut Self) -> Result<(), Trouble> {
        self.settle()?;
        other.settle()?;
        self.has_nan |= other.has_nan;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        let merged = self.sketch.merge(&other.sketch);
        merged.map_err(|error| Trouble::new(error.to_string()))
    }

    pub(super) fn write(&mut self, to: &mut Writer) -> Result<(), Trouble> {
        self.settle()?;
        to.bool(self.has_nan);
        to.bytes(&self.sketch.serialize());
        Ok(())
    }

    /// Reads what was written into an empty state of the same error.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.has_nan = from.bool()?;
        let bytes = from.bytes()?;
        let k = self.sketch.k().to_le_bytes();
        if bytes.get(K_AT..K_AT + k.len()) != Some(k.as_slice()) {
            return Err(DecodeError::Damaged("a sketch of another size"));
        }
        let sketch: KllSketch<KllFloat<f64>> = whole_sketch(|| KllSketch::deserialize(bytes))?;
        if sketch.n() > rows {
            return Err(DecodeError::Damaged("more values than rows"));
        }
        let bound = |item: Option<&KllFloat<f64>>| item.copied().map(KllFloat::into_inner);
        self.least = bound(sketch.min_item()).unwrap_or(f64::INFINITY);
        self.greatest = bound(sketch.max_item()).unwrap_or(f64::NEG_INFINITY);
        self.sketch = sketch;
        Ok(())
    }

    /// The state when all values are in.
    pub(super) fn finish(mut self) -> Result<Self, Trouble> {
        self.settle()?;
        Ok(self)
    }

    /// The values that are numbers.
    pub(crate) fn values(&self) -> u64 {
        self.sketch.n()
    }

    /// Whether NaN was among the values; it has no rank.
    pub(crate) const fn has_nan(&self) -> bool {
        self.has_nan
    }

    /// The smallest value of which at least this share of the values is not greater; none without values.
    pub(crate) fn at(&self, rank: f64) -> Option<f64> {
        let found = self.sketch.quantile(rank, SearchCriteria::Inclusive);
        found.ok().flatten().map(KllFloat::into_inner)
    }

    /// How far a rank may be off, as a share of all values, for 99 in 100 quantiles; 0 while all values are kept.
    pub(crate) fn rank_error(&self) -> f64 {
        match self.sketch.is_estimation_mode() {
            true => self.sketch.normalized_rank_error() / OF_SKETCH,
            false => 0.0,
        }
    }

    /// For each of some ascending numbers, the share of the values that are below it.
    pub(crate) fn shares_below(&self, numbers: &[f64]) -> Vec<f64> {
        let view = self.sketch.sorted_view();
        let share = |number: &f64| {
            let number = KllFloat::<f64>::new(*number).ok()?;
            view.rank(&number, SearchCriteria::Exclusive)
        };
        numbers
            .iter()
            .map(|number| share(number).unwrap_or(0.0))
            .collect()
    }
}

/// Lets a sketch take in numbers one by one.
fn update_each(sketch: &mut KllSketch<KllFloat<f64>>, values: impl Iterator<Item = f64>) {
    for value in values.flat_map(KllFloat::<f64>::new) {
        sketch.update(value);
    }
}

/// Where a sketch's bytes have its parameter, two bytes. Apache DataSketches, preamble of KLL sketches.
const K_AT: usize = 4;

/// Values that each level of a sketch holds at least.
const LEAST_CAPACITY: u32 = 8;

/// A sketch that holds sorted values at some of its levels, as Apache DataSketches writes KLL sketches.
fn sketch_bytes(k: u16, levels: &[(u32, Vec<f64>)], least: f64, greatest: f64) -> Vec<u8> {
    let count = levels.last().map_or(1, |(level, _)| level + 1);
    let of_level = |level: u32| levels.iter().find(|(at, _)| *at == level);
    let length = |level: u32| of_level(level).map_or(0, |(_, values)| values.len());
    let n: u64 = levels
        .iter()
        .map(|(at, values)| (values.len() as u64) << at)
        .sum();
    // Two thirds of the level above, rounded.
    let capacity = |level: u32| {
        let depth = count - 1 - level;
        let twice = 2 * u128::from(k) * 2u128.pow(depth) / 3u128.pow(depth);
        let capacity = twice.div_ceil(2);
        u32::try_from(capacity)
            .unwrap_or(u32::MAX)
            .max(LEAST_CAPACITY)
    };
    let mut bytes = vec![5, 1, 15, 0];
    bytes.extend(k.to_le_bytes());
    bytes.extend([LEAST_CAPACITY as u8, 0]);
    bytes.extend(n.to_le_bytes());
    bytes.extend(k.to_le_bytes());
    bytes.extend([count as u8, 0]);
    let total: u32 = (0..count).map(capacity).sum();
    let retained: usize = (0..count).map(length).sum();
    let mut from = total.saturating_sub(u32::try_from(retained).unwrap_or(u32::MAX));
    for level in 0..count {
        bytes.extend(from.to_le_bytes());
        from += length(level) as u32;
    }
    bytes.extend(least.to_le_bytes());
    bytes.extend(greatest.to_le_bytes());
    for (_, values) in levels {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};

    use super::*;

    /// Numbers that look random.
    fn shuffled(count: u64) -> impl Iterator<Item = f64> {
        (0..count).map(move |n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count) as f64)
    }

    /// The state of values that come in batches of a length.
    fn state(values: &[f64], rank_error: f64, batch: usize) -> Quantiles {
        let mut state = Quantiles::new(rank_error).unwrap();
        for values in values.chunks(batch) {
            let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
            state.update(&Input::new(values)).unwrap();
        }
        state
    }

    /// How many of 99 ranks are off by more than the error, and by how much of it the worst one is.
    fn errors(state: Quantiles, values: &[f64], rank_error: f64) -> (usize, f64) {
        let state = state.finish().unwrap();
        assert_eq!(state.values(), values.len() as u64);
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(state.at(0.0), sorted.first().copied());
        assert_eq!(state.at(1.0), sorted.last().copied());
        let error = |percent: i32| {
            let rank = f64::from(percent) / 100.0;
            let found = state.at(rank).unwrap();
            let below = sorted.partition_point(|value| *value < found);
            let upto = sorted.partition_point(|value| *value <= found);
            let [below, upto] = [below, upto].map(|n| n as f64 / values.len() as f64);
            let off = if rank < below {
                below - rank
            } else {
                (rank - upto).max(0.0)
            };
            off / rank_error
        };
        let errors: Vec<f64> = (1..100).map(error).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        (errors.iter().filter(|error| **error > 1.0).count(), worst)
    }

    #[test]
    fn ranks_are_within_the_error_whatever_their_number_and_order() {
        for (count, rank_error) in [
            (3, 0.01),
            (9_000, 0.01),
            (9_001, 0.2),
            (300_007, 0.01),
            (300_007, 0.0005),
            (2_000_003, 0.03),
        ] {
            let random: Vec<f64> = shuffled(count).collect();
            let mut ascending = random.clone();
            ascending.sort_by(f64::total_cmp);
            let repeated: Vec<f64> = random.iter().map(|value| (value / 97.0).floor()).collect();
            for values in [random, ascending, repeated] {
                for batch in [8192, 1000, 1_000_000] {
                    let (outside, worst) =
                        errors(state(&values, rank_error, batch), &values, rank_error);
                    assert!(
                        outside <= 10 && worst < 2.0,
                        "{count} {rank_error} {batch}: {outside} {worst}"
                    );
                }
            }
        }
    }

    #[test]
    fn ranks_of_merged_states_are_within_the_error() {
        let values: Vec<f64> = shuffled(400_009).collect();
        for parts in [2, 7, 50] {
            let mut merged = Quantiles::new(0.01).unwrap();
            for part in values.chunks(values.len().div_ceil(parts)) {
                merged.merge(&mut state(part, 0.01, 8192)).unwrap();
            }
            let (outside, worst) = errors(merged, &values, 0.01);
            assert!(outside <= 10 && worst < 2.0, "{parts}: {outside} {worst}");
        }
    }

    #[test]
    fn ranks_of_expected_values_are_within_the_error() {
        for count in [9_001, 400_009] {
            let values: Vec<f64> = shuffled(count).collect();
            for parts in [1, 7] {
                let mut merged = Quantiles::new(0.01).unwrap();
                for part in values.chunks(values.len().div_ceil(parts)) {
                    let mut state = Quantiles::new(0.01).unwrap();
                    state.expect(count);
                    assert_eq!(state.lg_weight > 0, count > 100_000);
                    for values in part.chunks(8192) {
                        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
                        state.update(&Input::new(values)).unwrap();
                    }
                    merged.merge(&mut state).unwrap();
                }
                let (outside, worst) = errors(merged, &values, 0.01);
                assert!(
                    outside <= 10 && worst < 2.0,
                    "{count} {parts}: {outside} {worst}"
                );
            }
        }
    }

    #[test]
    fn few_values_are_all_kept() {
        let values: Vec<f64> = (0..200).rev().map(f64::from).collect();
        let state = state(&values, 0.01, 30).finish().unwrap();
        assert_eq!(state.rank_error().to_bits(), 0.0_f64.to_bits());
        assert_eq!(state.at(0.5), Some(99.0));
    }

    #[test]
    fn infinities_and_zeros_of_both_signs_have_a_rank_and_nan_has_none() {
        let mut values = vec![f64::INFINITY, 0.0, -0.0, f64::NEG_INFINITY, 1.0];
        values.extend(std::iter::repeat_n([-0.0, 0.0, 2.0], 20_000).flatten());
        let count = values.len() as u64;
        values.push(f64::NAN);
        let state = state(&values, 0.01, 8192).finish().unwrap();
        assert!(state.has_nan());
        assert_eq!(state.values(), count);
        assert_eq!(state.at(0.0), Some(f64::NEG_INFINITY));
        assert_eq!(state.at(0.5), Some(0.0));
        assert_eq!(state.at(1.0), Some(f64::INFINITY));
    }

    #[test]
    fn integers_are_sampled_as_floating_point_numbers_are() {
        let value = |n: f64| (n % 7.0 > 0.0).then_some(n as i64);
        let integers: Int64Array = shuffled(400_009).map(value).collect();
        let floats = cast(&integers, &DataType::Float64).unwrap();
        let columns: [ArrayRef; 2] = [Arc::new(integers), floats];
        let states = columns.map(|column| {
            fastrand::seed(1);
            let mut state = Quantiles::new(0.01).unwrap();
            state.expect(400_009);
            for from in (0..column.len()).step_by(8192) {
                let rows = 8192.min(column.len() - from);
                state.update(&Input::new(column.slice(from, rows))).unwrap();
            }
            assert!(state.lg_weight > 0);
            (state.least, state.greatest, state.samples, state.single)
        });
        assert_eq!(states[0], states[1]);
    }
}
