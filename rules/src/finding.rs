//! From what was measured to what is said about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;

use crate::assertion::{Quantity, Thresholds};
use crate::frequencies::{Frequencies, Frequency};
use crate::plan::Trouble;
use crate::state::{Bins, Frequent, Quantiles, TypeCounts};
use crate::suite::Check;
use crate::value_groups::ValueGroups;
use crate::{Previous, Verdict};

/// What was measured for a check.
#[derive(Debug, Clone)]
pub(crate) enum Measured {
    /// Rows that pass `where`, and the bad ones among them.
    Rows {
        /// All of them.
        rows: u64,
        /// The bad ones.
        bad: u64,
    },
    /// A metric over the values of an expression.
    Value {
        /// Rows that pass `where`.
        rows: u64,
        /// Values that are not null.
        values: u64,
        /// The metric; `None` without values.
        value: Option<Quantity>,
    },
    /// Number and sum of squared deviations.
    Moments {
        /// Rows that pass `where`.
        rows: u64,
        /// Values that are not null.
        values: u64,
        /// Sum of the squared deviations from their mean.
        squares: f64,
        /// Whether an infinity or NaN is among them.
        has_infinite: bool,
    },
    /// Number of values, and sums of powers of their deviations from their mean.
    Shape {
        /// Rows that pass `where`.
        rows: u64,
        /// Values that are not null.
        values: u64,
        /// Sums of the second, third and fourth powers.
        powers: [f64; 3],
    },
    /// Two columns beside each other.
    Comoments {
        /// Rows that pass `where`.
        rows: u64,
        /// Rows among them in which neither is null.
        values: u64,
        /// Sum of the squared deviations of each.
        squares: [f64; 2],
        /// Sum of their products.
        products: f64,
    },
    /// A sketch of the values, for quantiles.
    Quantiles {
        /// Rows that pass `where`.
        rows: u64,
        /// The sketch.
        quantiles: Box<Quantiles>,
    },
    /// A sketch of the most frequent values.
    Frequent {
        /// Rows that pass `where`.
        rows: u64,
        /// The sketch.
        frequent: Box<Frequent>,
    },
    /// What the values look like.
    Types {
        /// Rows that pass `where`.
        rows: u64,
        /// Counts, nulls among them.
        types: TypeCounts,
    },
    /// Counts of values between edges.
    Bins {
        /// Rows that pass `where`.
        rows: u64,
        /// Counts, nulls among them.
        bins: Bins,
    },
    /// How often each value occurs; none when there are too many values to tell.
    ValueCounts(Option<ValueGroups>),
    /// How often the most frequent values occur.
    Frequencies(Frequencies),
    /// Values of a column at some places of its order.
    Ranks {
        /// Rows that pass `where`.
        rows: u64,
        /// Values that are not null.
        values: u64,
        /// The values at the places; empty without values.
        found: Vec<Quantity>,
    },
    /// Shares that a rule file gives.
    Shares(Vec<f64>),
    /// The same measured here and in the last published version; none without one.
    Versus(Box<(Self, Option<Self>)>),
    /// What several measures came to.
    Several(Vec<Self>),
    /// Groups of equal values.
    Groups {
        /// Rows that pass `where`.
        rows: u64,
        /// Rows among them in which a column of the group is not null.
        values: u64,
        /// Distinct values.
        groups: u64,
        /// Rows whose value occurs more than once.
        repeated: u64,
        /// For the groups, the sum of their sizes times the natural logarithms of these.
        weighted_logarithms: f64,
    },
    /// The number of columns.
    Columns(u64),
    /// The result of a query.
    Answer {
        /// All rows of it.
        rows: u64,
        /// The first ones.
        head: Option<RecordBatch>,
    },
    /// Differences between the wanted and the found schema.
    Differences {
        /// Columns that were compared.
        columns: u64,
        /// One text a difference.
        differences: Vec<String>,
    },
}

/// Where the states of a measure came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Some rows were measured while they were written.
    pub(crate) is_collected: bool,
    /// Parts of which the log's statistics told.
    pub(crate) log_statistics: u64,
    /// Parts whose states were kept.
    pub(crate) stored_states: u64,
    /// Parts that were read.
    pub(crate) scanned: u64,
    /// The rows have no parts, and were read as a whole.
    pub(crate) is_scanned_whole: bool,
}

impl Measured {
    /// The shares of values that a rule file gives.
    pub(crate) fn shares_of_values(values: &BTreeMap<String, f64>) -> Self {
        let frequency = |(value, share): (&String, &f64)| Frequency {
            value: Some(value.clone()),
            amount: *share,
        };
        Self::Frequencies(Frequencies {
            rows: 0,
            nulls: 0,
            distinct: values.len() as u64,
            top: values.iter().map(frequency).collect(),
        })
    }

    /// The rows that were counted, when it has been told.
    pub(crate) const fn rows(&self) -> Option<u64> {
        match self {
            Self::Rows { rows, .. }
            | Self::Value { rows, .. }
            | Self::Quantiles { rows, .. }
            | Self::Frequent { rows, .. }
            | Self::Types { rows, .. }
            | Self::Bins { rows, .. }
            | Self::Ranks { rows, .. }
            | Self::Groups { rows, .. } => Some(*rows),
            Self::Frequencies(frequencies) => Some(frequencies.rows),
            _ => None,
        }
    }
}

/// What else an assessment may look at.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) previous: Option<Previous>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) sample_rows: usize,
    pub(crate) key: Vec<String>,
}

/// Keys of rows: column and value.
pub(crate) type Samples = Vec<Vec<(String, String)>>;

/// What is said about a check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) metric: Option<f64>,
    /// How far the metric is from the condition that it breaks; 0 when it breaks none.
    pub(crate) distance: Option<f64>,
    pub(crate) observed: String,
    pub(crate) expected: String,
    pub(crate) rows: Option<u64>,
    pub(crate) bad_rows: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) samples: Samples,
}

impl Finding {
    /// A check that had nothing to judge.
    pub(crate) fn nothing_to_judge(check: &Check, rows: Option<u64>, note: &str) -> Self {
        Self {
            verdict: Verdict::Pass,
            metric: None,
            distance: Some(0.0),
            observed: note.to_owned(),
            expected: check.thresholds.to_string(),
            rows,
            bad_rows: None,
            message: None,
            samples: Vec::new(),
        }
    }

    /// A metric held against the thresholds.
    pub(crate) fn of(check: &Check, metric: &Quantity, rows: Option<u64>) -> Self {
        Self::by(&check.thresholds, metric, rows)
    }

    /// A metric held against thresholds of a form of their own.
    pub(crate) fn by(thresholds: &Thresholds, metric: &Quantity, rows: Option<u64>) -> Self {
        let decision = thresholds.decide(metric);
        Self {
            verdict: decision.verdict,
            metric: metric.as_f64(),
            distance: thresholds.distance(metric),
            observed: decision.observed,
            expected: decision.expected,
            rows,
            bad_rows: None,
            message: None,
            samples: Vec::new(),
        }
    }
}

/// The share of good rows held against the thresholds. No rows pass.
pub(crate) fn assess_rows(check: &Check, rows: u64, bad: u64) -> Finding {
    if rows == 0 {
        return Finding::nothing_to_judge(check, Some(0), "no rows to judge");
    }
    let share = Quantity::Share {
        part: rows.saturating_sub(bad),
        whole: rows,
    };
    let mut finding = Finding::of(check, &share, Some(rows));
    finding.bad_rows = Some(bad);
    finding
}

/// Assesses the share of good rows, for kinds that judge single rows.
pub(crate) fn assess_row_level(check: &Check, measured: &Measured) -> Result<Finding, Trouble> {
    match *measured {
        Measured::Rows { rows, bad } => Ok(assess_rows(check, rows, bad)),
        Measured::Groups { rows, repeated, .. } => Ok(assess_rows(check, rows, repeated)),
        _ => Err(mismatch(check)),
    }
}

/// Assesses a metric over values. No value is an error: there is nothing to compute.
pub(crate) fn assess_value(check: &Check, measured: &Measured) -> Result<Finding, Trouble> {
    let Measured::Value {
        rows,
        values,
        value,
    } = measured
    else {
        return Err(mismatch(check));
    };
    let Some(value) = value else {
        return Err(no_values(check, *rows));
    };
    let mut finding = Finding::of(check, value, Some(*rows));
    if value.is_nan() && *values > 0 {
        let cause = match check.kind {
            "min" | "max" => "there is NaN among the values",
            "stddev" | "variance" => "there is NaN or an infinity among the values",
            "skewness" | "kurtosis" => {
                "there is NaN or an infinity among the values, or they deviate too far"
            }
            _ => "there is NaN, or an infinity of either sign, among the values",
        };
        finding.message = Some(cause.to_owned());
    }
    Ok(finding)
}

/// The trouble of a metric that has nothing to be computed from.
pub(crate) fn no_values(check: &Check, rows: u64) -> Trouble {
    let suffix = check.where_suffix();
    if rows == 0 {
        return Trouble::new(format!("no rows to compute `{}`{suffix}", check.kind));
    }
    Trouble::new(format!(
        "all {rows} values are null, nothing to compute `{}`{suffix}",
        check.kind
    ))
}

/// A broken invariant: a rule asked for one metric and got another.
pub(crate) fn mismatch(check: &Check) -> Trouble {
    Trouble::new(format!(
        "bug: check `{}` was given a metric that it did not ask for",
        check.id
    ))
    .with_hint("please report this".to_owned())
}
