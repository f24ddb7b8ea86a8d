//! Metrics over the values of one column.

use async_trait::async_trait;

use crate::assertion::{Amount, Number, Quantity};
use crate::checks::{Rule, sql_type};
use crate::finding::{Facts, Finding, Measured, assess_value, mismatch, no_values};
use crate::literal::{is_text, is_time};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::suite::Check;

/// Which number is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Min,
    Max,
    Mean,
    Sum,
    Stddev,
}

/// A metric over the values of one column.
#[derive(Debug)]
pub(crate) struct Metric {
    column: String,
    aggregate: Aggregate,
}

impl Metric {
    pub(crate) fn new(column: &str, aggregate: Aggregate) -> Self {
        Self {
            column: column.to_owned(),
            aggregate,
        }
    }
}

#[async_trait]
impl Rule for Metric {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = planner.column(&self.column)?;
        let data_type = planner.data_type(&self.column)?;
        let is_ordered = matches!(self.aggregate, Aggregate::Min | Aggregate::Max);
        let has_order = is_text(&data_type) || is_time(&data_type);
        let is_fit = data_type.is_numeric() || is_ordered && has_order;
        if !is_fit {
            let needs = if is_ordered {
                "a number, a date, a timestamp or text"
            } else {
                "a number"
            };
            return Err(Trouble::new(format!(
                "column `{}` has type {}, check `{}` needs {needs}",
                self.column,
                sql_type(&data_type),
                check.kind
            )));
        }
        for value in check.thresholds.bounds().flat_map(|bound| bound.values()) {
            let fits = match &value.amount {
                Amount::Number(_) => data_type.is_numeric() || is_text(&data_type),
                Amount::Moment(_) => is_time(&data_type) || is_text(&data_type),
                _ => is_text(&data_type),
            };
            if !fits {
                return Err(Trouble::new(format!(
                    "`{}` cannot be compared with column `{}`, whose type is {}",
                    value.text,
                    self.column,
                    sql_type(&data_type)
                )));
            }
        }
        Ok(Work::Scan(match self.aggregate {
            Aggregate::Min => Measure::Min(column),
            Aggregate::Max => Measure::Max(column),
            Aggregate::Mean | Aggregate::Sum => Measure::Sum(column),
            Aggregate::Stddev => Measure::Moments(column),
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let measured = match (self.aggregate, measured) {
            (
                Aggregate::Mean,
                Measured::Value {
                    rows,
                    values,
                    value,
                },
            ) => Measured::Value {
                rows,
                values,
                value: match value {
                    Some(Quantity::Number(sum)) if values > 0 => {
                        Some(Quantity::Mean { sum, count: values })
                    }
                    _ => None,
                },
            },
            (
                Aggregate::Stddev,
                Measured::Moments {
                    rows,
                    values,
                    squares,
                    has_infinite,
                },
            ) => {
                if values == 0 {
                    return Err(no_values(check, rows));
                }
                let deviation = (squares / values as f64).sqrt();
                if !deviation.is_finite() && !has_infinite {
                    return Err(Trouble::new(
                        "the squared deviations are beyond the range of floating-point numbers",
                    ));
                }
                Measured::Value {
                    rows,
                    values,
                    value: Some(Quantity::Number(Number::Float(deviation))),
                }
            }
            (Aggregate::Stddev, _) => return Err(mismatch(check)),
            (_, measured) => measured,
        };
        assess_value(check, &measured)
    }
}
