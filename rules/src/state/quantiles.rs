//! Approximate quantiles: the KLL sketch of the `datasketches` crate.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};

use super::codec::{DecodeError, Reader, Writer, whole_sketch};
use crate::plan::Trouble;

/// A sample of the values whose ranks are known to within [`Quantiles::rank_error`].
#[derive(Debug, Clone)]
pub(crate) struct Quantiles {
    sketch: KllSketch<KllFloat<f64>>,
    has_nan: bool,
}

/// Where a sketch's bytes have its parameter, two bytes. Apache DataSketches, preamble of KLL sketches.
const K_AT: usize = 4;

/// The least rank error for which a sketch has a size.
pub(crate) const LEAST_RANK_ERROR: f64 = 0.0001;

impl Quantiles {
    /// A sketch whose ranks are within this share of all values of the true ones, for 99 in 100 quantiles.
    pub(super) fn new(rank_error: f64) -> Result<Self, Trouble> {
        // The inverse of the error that the library documents for its parameter.
        let k = (2.296 / rank_error).powf(1.0 / 0.9723).ceil();
        let k = k.clamp(8.0, f64::from(u16::MAX)) as u16;
        let sketch = KllSketch::new(k).map_err(|error| Trouble::new(error.to_string()))?;
        Ok(Self {
            sketch,
            has_nan: false,
        })
    }

    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let input = cast(input, &DataType::Float64)?;
        let input = input.as_primitive::<Float64Type>();
        let mut take = |value: f64| match KllFloat::<f64>::new(value) {
            Ok(value) => self.sketch.update(value),
            Err(_) => self.has_nan = true,
        };
        match input.null_count() {
            0 => input.values().iter().for_each(|value| take(*value)),
            _ => input.iter().flatten().for_each(take),
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Trouble> {
        self.has_nan |= other.has_nan;
        let merged = self.sketch.merge(&other.sketch);
        merged.map_err(|error| Trouble::new(error.to_string()))
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.bool(self.has_nan);
        to.bytes(&self.sketch.serialize());
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
        self.sketch = sketch;
        Ok(())
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
            true => self.sketch.normalized_rank_error(),
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
