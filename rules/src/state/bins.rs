//! How many values lie between given edges.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::codec::{DecodeError, Reader, Writer};
use crate::plan::Trouble;

/// Numbers that divide a line into bins: ascending, at least two.
///
/// A bin holds its lower edge and not its upper one, except the last, which holds both.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Edge(pub(crate) f64);

impl Eq for Edge {}

impl std::hash::Hash for Edge {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Counts of values in bins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bins {
    edges: Vec<f64>,
    /// Values in each bin.
    pub(crate) counts: Vec<u64>,
    /// Values below the first edge, above the last one, or NaN.
    pub(crate) outside: u64,
    pub(crate) nulls: u64,
}

impl Bins {
    pub(super) fn new(edges: &[Edge]) -> Self {
        Self {
            edges: edges.iter().map(|edge| edge.0).collect(),
            counts: vec![0; edges.len().saturating_sub(1)],
            outside: 0,
            nulls: 0,
        }
    }

    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let input = cast(input, &DataType::Float64)?;
        let input = input.as_primitive::<Float64Type>();
        self.nulls += input.null_count() as u64;
        for value in input.iter().flatten() {
            match self.bin_of(value) {
                Some(bin) => self.counts[bin] += 1,
                None => self.outside += 1,
            }
        }
        Ok(())
    }

    /// The edges are those of the measure, and not written.
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.nulls);
        to.u64(self.outside);
        self.counts.iter().for_each(|count| to.u64(*count));
    }

    /// Reads what was written into empty bins with the same edges.
    pub(super) fn read(&mut self, from: &mut Reader<'_>, rows: u64) -> Result<(), DecodeError> {
        self.nulls = from.count_within(rows)?;
        self.outside = from.count_within(rows)?;
        for count in &mut self.counts {
            *count = from.count_within(rows)?;
        }
        Ok(())
    }

    fn bin_of(&self, value: f64) -> Option<usize> {
        let (first, last) = (self.edges.first()?, self.edges.last()?);
        // NaN is in no range.
        if !(*first..=*last).contains(&value) {
            return None;
        }
        let above = self.edges.partition_point(|edge| *edge <= value);
        Some(
            above
                .saturating_sub(1)
                .min(self.counts.len().checked_sub(1)?),
        )
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
        self.outside += other.outside;
        self.nulls += other.nulls;
    }
}
