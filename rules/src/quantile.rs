//! Quantiles of one column, exact and approximate.

use async_trait::async_trait;

use crate::assertion::{Number, Quantity};
use crate::checks::Rule;
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::metric::number_column;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::ranks::RanksOf;
use crate::settings::{Form, Setting, Settings};
use crate::state::{Edge, LEAST_RANK_ERROR};
use crate::suite::Check;

/// How a quantile is found.
pub(crate) const METHOD: Setting = Setting::optional(
    "method",
    Form::Choice(&["approximate", "exact"]),
    "`approximate` (default) reads the rows once with the other checks, `exact` sorts the distinct values.",
);

/// How far an approximate quantile may be off.
pub(crate) const RANK_ERROR: Setting = Setting::optional(
    "rank_error",
    Form::Ratio,
    "How far the rank of an approximate quantile may be off, as a share of all values. Default: 0.5%.",
);

/// The rank error when none is given.
const DEFAULT_RANK_ERROR: f64 = 0.005;

/// What the metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    /// The value at a rank.
    At(f64),
    /// The difference of the values at three quarters and at one quarter.
    InterquartileRange,
}

impl Wanted {
    fn ranks(self) -> Vec<f64> {
        match self {
            Self::At(rank) => vec![rank],
            Self::InterquartileRange => vec![0.25, 0.75],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Approximate(Edge),
    Exact,
}

/// A metric over quantiles.
#[derive(Debug)]
pub(crate) struct Quantile {
    column: String,
    wanted: Wanted,
    method: Method,
}

impl Quantile {
    pub(crate) fn read(column: &str, settings: &mut Settings<'_>, wanted: Wanted) -> Option<Self> {
        #[derive(Clone, Copy, PartialEq)]
        enum Name {
            Approximate,
            Exact,
        }
        let names = [("approximate", Name::Approximate), ("exact", Name::Exact)];
        let method = settings.choice(METHOD.key, &names);
        let rank_error = settings.ratio(RANK_ERROR.key);
        if settings.has(RANK_ERROR.key) {
            if method == Some(Name::Exact) {
                let message = "`rank_error` belongs to `method: approximate`".to_owned();
                settings.problem(Some(RANK_ERROR.key), message, None);
            }
            if rank_error.is_some_and(|error| error < LEAST_RANK_ERROR) {
                let message = "`rank_error` is too small for a sketch".to_owned();
                let hint = Some("write `0.01%` or more, or `method: exact`".to_owned());
                settings.problem(Some(RANK_ERROR.key), message, hint);
            }
        }
        let method = match method {
            Some(Name::Exact) => Method::Exact,
            _ => Method::Approximate(Edge(rank_error.unwrap_or(DEFAULT_RANK_ERROR))),
        };
        Some(Self {
            column: column.to_owned(),
            wanted,
            method,
        })
    }

    /// The number, from the numbers at the ranks.
    fn metric(&self, check: &Check, found: &[Number]) -> Result<Number, Trouble> {
        match (self.wanted, found) {
            (Wanted::At(_), [found]) => Ok(*found),
            (Wanted::InterquartileRange, [low, high]) => {
                let range = high.minus(*low);
                if range.to_f64().is_nan() {
                    return Err(Trouble::new(format!(
                        "the quantiles at 25% and 75% are both infinite, {low} and {high}: they have no difference"
                    )));
                }
                Ok(range)
            }
            _ => Err(mismatch(check)),
        }
    }
}

#[async_trait]
impl Rule for Quantile {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = number_column(check, planner, &self.column)?;
        Ok(match self.method {
            Method::Approximate(error) => Work::Scan(Measure::Quantiles(column, error)),
            Method::Exact => Work::Ranks(RanksOf {
                column: self.column.clone(),
                ranks: self.wanted.ranks(),
            }),
        })
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let (rows, found, note) = match measured {
            Measured::Quantiles { rows, quantiles } => {
                if quantiles.has_nan() {
                    return Ok(nan(check, rows));
                }
                let ranks = self.wanted.ranks();
                let found = ranks.iter().filter_map(|rank| quantiles.at(*rank));
                let found: Vec<Number> = found.map(Number::Float).collect();
                (rows, found, rank_error_note(quantiles.rank_error()))
            }
            Measured::Ranks { rows, found, .. } => {
                if found.iter().any(Quantity::is_nan) {
                    return Ok(nan(check, rows));
                }
                let number = |found: &Quantity| match found {
                    Quantity::Number(number) => Some(*number),
                    _ => None,
                };
                (rows, found.iter().filter_map(number).collect(), None)
            }
            _ => return Err(mismatch(check)),
        };
        if found.is_empty() {
            return Err(no_values(check, rows));
        }
        let metric = self.metric(check, &found)?;
        let mut finding = Finding::of(check, &Quantity::Number(metric), Some(rows));
        finding.message = note;
        Ok(finding)
    }
}

fn nan(check: &Check, rows: u64) -> Finding {
    let metric = Quantity::Number(Number::Float(f64::NAN));
    let mut finding = Finding::of(check, &metric, Some(rows));
    finding.message = Some("there is NaN among the values".to_owned());
    finding
}

/// Says how far an approximation may be off.
fn rank_error_note(rank_error: f64) -> Option<String> {
    let percent = rank_error * 100.0;
    (rank_error > 0.0).then(|| format!("approximate: its rank may be off by {percent:.2}%"))
}
