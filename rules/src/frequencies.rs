//! How often each value of a column occurs.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::DataFrame;
use futures::StreamExt;

use crate::plan::{Trouble, column};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrequenciesOf {
    /// The column of the values.
    pub(crate) column: String,
    /// How many values are kept, the most frequent first.
    pub(crate) most: usize,
}

/// The most frequent values, and how many others there are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frequencies {
    /// Rows that pass `where`.
    pub(crate) rows: u64,
    /// Rows among them without a value.
    pub(crate) nulls: u64,
    /// Distinct values.
    pub(crate) distinct: u64,
    /// The most frequent first; nulls are a value here.
    pub(crate) top: Vec<Frequency>,
}

/// One value with its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frequency {
    /// As text; none for null.
    pub(crate) value: Option<String>,
    /// The number of rows, or a share where a rule file gives it.
    pub(crate) amount: f64,
}

impl Eq for Frequency {}

impl Ord for Frequency {
    /// The most frequent first, and equal ones by their text.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_amount = other.amount.total_cmp(&self.amount);
        by_amount.then_with(|| self.value.cmp(&other.value))
    }
}

impl PartialOrd for Frequency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Counts the rows of each value; what does not fit in memory is spilled by the grouping.
pub(crate) async fn count_frequencies(
    rows: DataFrame,
    of: &FrequenciesOf,
    filter: Option<&Expr>,
) -> Result<Frequencies, Trouble> {
    let rows = match filter {
        Some(filter) => rows.filter(filter.clone())?,
        None => rows,
    };
    let counts = vec![count(lit(1)).alias("__lakegate_n")];
    let groups = rows.aggregate(vec![column(&of.column)], counts)?;
    let mut stream = groups.execute_stream().await?;
    let mut counting = Counting::new(of.most);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let counts = batch.column(1).as_primitive::<Int64Type>();
        counting.take(batch.column(0), counts)?;
    }
    Ok(counting.finish())
}

impl Frequencies {
    /// The most frequent ones of values that each occur so often.
    pub(crate) fn of_groups(
        values: &ArrayRef,
        counts: &Int64Array,
        most: usize,
    ) -> Result<Self, Trouble> {
        let mut counting = Counting::new(most);
        counting.take(values, counts)?;
        Ok(counting.finish())
    }
}

/// Frequencies that are not counted to the end.
struct Counting {
    found: Frequencies,
    most: usize,
    top: BTreeSet<Frequency>,
}

impl Counting {
    const fn new(most: usize) -> Self {
        Self {
            found: Frequencies {
                rows: 0,
                nulls: 0,
                distinct: 0,
                top: Vec::new(),
            },
            most,
            top: BTreeSet::new(),
        }
    }

    fn finish(self) -> Frequencies {
        Frequencies {
            top: self.top.into_iter().collect(),
            ..self.found
        }
    }

    fn take(&mut self, values: &ArrayRef, counts: &Int64Array) -> Result<(), Trouble> {
        let nulls = values.logical_nulls();
        let options = FormatOptions::default();
        let texts = ArrayFormatter::try_new(values.as_ref(), &options)?;
        for row in 0..values.len() {
            let count = counts.value(row).unsigned_abs();
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            self.found.rows += count;
            match is_null {
                true => self.found.nulls += count,
                false => self.found.distinct += 1,
            }
            let amount = count as f64;
            let is_full = self.top.len() >= self.most;
            if is_full && self.top.last().is_none_or(|last| amount < last.amount) {
                continue;
            }
            self.top.insert(Frequency {
                value: (!is_null).then(|| texts.value(row).to_string()),
                amount,
            });
            if is_full {
                self.top.pop_last();
            }
        }
        Ok(())
    }
}
