//! Exact quantiles: values at places of the sorted column.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::DataFrame;
use futures::StreamExt;

use crate::assertion::{Number, Quantity};
use crate::finding::Measured;
use crate::plan::{Trouble, column};

/// The quantiles that are wanted of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RanksOf {
    /// A column of numbers.
    pub(crate) column: String,
    /// Shares of the values that are below what is wanted, from 0 to 1.
    pub(crate) ranks: Vec<f64>,
}

/// Sorts the distinct values, and finds those at the ranks; between two values it lies as far as the rank does.
///
/// What does not fit in memory is spilled by the grouping and by the sort.
pub(crate) async fn find_ranks(
    rows: DataFrame,
    of: &RanksOf,
    filter: Option<&Expr>,
) -> Result<Measured, Trouble> {
    let rows = match filter {
        Some(filter) => rows.filter(filter.clone())?,
        None => rows,
    };
    let value = column(&of.column);
    let all = rows.clone().count().await? as u64;
    let rows = rows.filter(value.clone().is_not_null())?;
    let values = rows.clone().count().await? as u64;
    let mut walk = Walk::new(of, values);
    if values > 0 {
        let counts = vec![count(lit(1)).alias("__lakegate_n")];
        let groups = rows.aggregate(vec![value.clone()], counts)?;
        let sorted = groups.sort(vec![value.sort(true, false)])?;
        let mut stream = sorted.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            walk.pass_all(batch.column(0), batch.column(1).as_primitive::<Int64Type>())?;
        }
    }
    walk.finish(all, values)
}

/// The same of values that are sorted, null first, and each occur so often.
pub(crate) fn of_groups(
    values: &ArrayRef,
    counts: &Int64Array,
    of: &RanksOf,
) -> Result<Measured, Trouble> {
    let nulls = values.null_count();
    let (values, present) = (
        values.slice(nulls, values.len() - nulls),
        counts.slice(nulls, counts.len() - nulls),
    );
    let rows = |counts: &Int64Array| counts.values().iter().map(|n| n.unsigned_abs()).sum();
    let mut walk = Walk::new(of, rows(&present));
    walk.pass_all(&values, &present)?;
    walk.finish(rows(counts), rows(&present))
}

/// Where a rank is among so many sorted values: between which two places, and how far.
fn place(rank: f64, values: u64) -> (u64, f64) {
    let position = rank * values.saturating_sub(1) as f64;
    (position.floor() as u64, position.fract())
}

/// A walk over the sorted values.
struct Walk {
    places: Vec<(u64, f64)>,
    /// The values at each place and at the next one.
    found: Vec<[Option<Number>; 2]>,
    passed: u64,
    has_nan: bool,
}

impl Walk {
    fn new(of: &RanksOf, values: u64) -> Self {
        Self {
            places: of.ranks.iter().map(|rank| place(*rank, values)).collect(),
            found: vec![[None; 2]; of.ranks.len()],
            passed: 0,
            has_nan: false,
        }
    }

    fn pass_all(&mut self, values: &ArrayRef, counts: &Int64Array) -> Result<(), Trouble> {
        for row in 0..values.len() {
            self.pass(values.as_ref(), row, counts.value(row).unsigned_abs())?;
        }
        Ok(())
    }

    fn pass(&mut self, values: &dyn Array, row: usize, count: u64) -> Result<(), Trouble> {
        let before = self.passed;
        self.passed += count;
        let range = before..self.passed;
        let wanted = |place: u64| range.contains(&place) || range.contains(&(place + 1));
        let is_wanted = self.places.iter().any(|(place, _)| wanted(*place));
        if !is_wanted && !values.data_type().is_floating() {
            return Ok(());
        }
        let value = Quantity::from_scalar(&ScalarValue::try_from_array(values, row)?)?;
        let Some(Quantity::Number(value)) = value else {
            return Err(Trouble::new("bug: a quantile is no number"));
        };
        self.has_nan |= value.to_f64().is_nan();
        for ((place, _), found) in self.places.iter().zip(&mut self.found) {
            for (next, slot) in (0..).zip(found) {
                if range.contains(&(place + next)) {
                    *slot = Some(value);
                }
            }
        }
        Ok(())
    }

    fn finish(self, rows: u64, values: u64) -> Result<Measured, Trouble> {
        let found = match values {
            0 => Vec::new(),
            _ => self.found()?,
        };
        Ok(Measured::Ranks {
            rows,
            values,
            found,
        })
    }

    fn found(self) -> Result<Vec<Quantity>, Trouble> {
        let value = |(place, found): (&(u64, f64), [Option<Number>; 2])| {
            let [low, high] = found;
            let number = match (low, high) {
                _ if self.has_nan => Number::Float(f64::NAN),
                (Some(low), Some(high)) if place.1 > 0.0 && low != high => {
                    Number::Float(between(low.to_f64(), high.to_f64(), place.1)?)
                }
                (Some(low), _) => low,
                (None, _) => Number::Float(f64::NAN),
            };
            Ok(Quantity::Number(number))
        };
        self.places.iter().zip(self.found).map(value).collect()
    }
}

/// What lies so far between two different numbers: an infinity when one of them is.
fn between(low: f64, high: f64, share: f64) -> Result<f64, Trouble> {
    let found = (high - low).mul_add(share, low);
    if found.is_finite() {
        return Ok(found);
    }
    // The difference may be beyond the range of numbers where its part is not.
    let found = high.mul_add(share, low * (1.0 - share));
    if found.is_nan() {
        return Err(Trouble::new(
            "the quantile lies between -infinity and infinity, where there is no number",
        ));
    }
    Ok(found)
}
