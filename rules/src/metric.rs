//! Metrics over the values of one column.

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};

use crate::assertion::{Amount, Number, Quantity};
use crate::checks::{Rule, sql_type};
use crate::finding::{Facts, Finding, Measured, assess_value, mismatch, no_values};
use crate::literal::{is_text, is_time, text_column};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test::{self, FloatSet};
use crate::suite::Check;
use crate::text_length::text_length;

/// Which number is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Min,
    Max,
    Range,
    Mean,
    Sum,
    Stddev,
    Variance,
    Skewness,
    Kurtosis,
    Zeros,
    MinLength,
    MaxLength,
    MeanLength,
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

    /// The column of a smallest or largest value, whose thresholds may be other than numbers.
    fn ordered_column(&self, check: &Check, planner: &Planner) -> Result<Expr, Trouble> {
        let column = planner.column(&self.column)?;
        let data_type = planner.data_type(&self.column)?;
        if !data_type.is_numeric() && !is_text(&data_type) && !is_time(&data_type) {
            let needs = "a number, a date, a timestamp or text";
            return Err(unfit(check, &self.column, &data_type, needs));
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
        Ok(column)
    }

    /// A condition that is false for zeros.
    fn is_not_zero(&self, check: &Check, planner: &Planner) -> Result<Expr, Trouble> {
        let column = number_column(check, planner, &self.column)?;
        let data_type = planner.data_type(&self.column)?;
        if data_type.is_floating() {
            let zeros = FloatSet::new([0.0].into_iter());
            return Ok(!row_test::call(zeros, column));
        }
        Ok(column.not_eq(lit(ScalarValue::new_zero(&data_type)?)))
    }
}

/// A column of numbers.
pub(crate) fn number_column(check: &Check, planner: &Planner, name: &str) -> Result<Expr, Trouble> {
    let column = planner.column(name)?;
    let data_type = planner.data_type(name)?;
    if !data_type.is_numeric() {
        return Err(unfit(check, name, &data_type, "a number"));
    }
    Ok(column)
}

fn unfit(check: &Check, column: &str, data_type: &DataType, needs: &str) -> Trouble {
    Trouble::new(format!(
        "column `{column}` has type {}, check `{}` needs {needs}",
        sql_type(data_type),
        check.kind
    ))
}

#[async_trait]
impl Rule for Metric {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let number = || number_column(check, planner, &self.column);
        let length = || -> Result<Expr, Trouble> {
            let column = text_column(check, planner, &self.column)?;
            Ok(text_length(column))
        };
        Ok(Work::Scan(match self.aggregate {
            Aggregate::Min => Measure::Min(self.ordered_column(check, planner)?),
            Aggregate::Max => Measure::Max(self.ordered_column(check, planner)?),
            Aggregate::Range => {
                let column = number()?;
                let ends = vec![Measure::Min(column.clone()), Measure::Max(column)];
                return Ok(Work::Several(ends));
            }
            Aggregate::Mean | Aggregate::Sum => Measure::Sum(number()?),
            Aggregate::Stddev | Aggregate::Variance => Measure::Moments(number()?),
            Aggregate::Skewness | Aggregate::Kurtosis => Measure::Shape(number()?),
            Aggregate::Zeros => Measure::False(self.is_not_zero(check, planner)?),
            Aggregate::MinLength => Measure::Min(length()?),
            Aggregate::MaxLength => Measure::Max(length()?),
            Aggregate::MeanLength => Measure::Sum(length()?),
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let measured = match self.aggregate {
            Aggregate::Min
            | Aggregate::Max
            | Aggregate::Sum
            | Aggregate::MinLength
            | Aggregate::MaxLength => measured,
            Aggregate::Mean | Aggregate::MeanLength => mean(check, measured)?,
            Aggregate::Stddev | Aggregate::Variance => spread(check, &measured, self.aggregate)?,
            Aggregate::Skewness | Aggregate::Kurtosis => shape(check, &measured, self.aggregate)?,
            Aggregate::Range => range(check, &measured)?,
            Aggregate::Zeros => zeros(check, &measured)?,
        };
        assess_value(check, &measured)
    }
}

fn number(rows: u64, values: u64, number: Number) -> Measured {
    Measured::Value {
        rows,
        values,
        value: Some(Quantity::Number(number)),
    }
}

fn mean(check: &Check, measured: Measured) -> Result<Measured, Trouble> {
    let Measured::Value {
        rows,
        values,
        value,
    } = measured
    else {
        return Err(mismatch(check));
    };
    let value = match value {
        Some(Quantity::Number(sum)) if values > 0 => Some(Quantity::Mean { sum, count: values }),
        _ => None,
    };
    Ok(Measured::Value {
        rows,
        values,
        value,
    })
}

fn spread(check: &Check, measured: &Measured, of: Aggregate) -> Result<Measured, Trouble> {
    let Measured::Moments {
        rows,
        values,
        squares,
        has_infinite,
    } = *measured
    else {
        return Err(mismatch(check));
    };
    if values == 0 {
        return Err(no_values(check, rows));
    }
    let variance = squares / values as f64;
    if !variance.is_finite() && !has_infinite {
        return Err(Trouble::new(
            "the squared deviations are beyond the range of floating-point numbers",
        ));
    }
    let metric = match of {
        Aggregate::Variance => variance,
        _ => variance.sqrt(),
    };
    Ok(number(rows, values, Number::Float(metric)))
}

fn shape(check: &Check, measured: &Measured, of: Aggregate) -> Result<Measured, Trouble> {
    let Measured::Shape {
        rows,
        values,
        powers: [second, third, fourth],
    } = *measured
    else {
        return Err(mismatch(check));
    };
    if values == 0 {
        return Err(no_values(check, rows));
    }
    let count = values as f64;
    let metric = match of {
        // Values that are all equal lean to no side.
        _ if second == 0.0 => 0.0,
        Aggregate::Skewness => count.sqrt() * third / second.powf(1.5),
        _ => count * fourth / (second * second) - 3.0,
    };
    Ok(number(rows, values, Number::Float(metric)))
}

fn range(check: &Check, measured: &Measured) -> Result<Measured, Trouble> {
    let Measured::Several(ends) = measured else {
        return Err(mismatch(check));
    };
    let [
        Measured::Value {
            rows,
            values,
            value: min,
        },
        Measured::Value { value: max, .. },
    ] = ends.as_slice()
    else {
        return Err(mismatch(check));
    };
    let (Some(Quantity::Number(min)), Some(Quantity::Number(max))) = (min, max) else {
        return Err(no_values(check, *rows));
    };
    Ok(number(*rows, *values, max.minus(*min)))
}

fn zeros(check: &Check, measured: &Measured) -> Result<Measured, Trouble> {
    let Measured::Rows { rows, bad } = *measured else {
        return Err(mismatch(check));
    };
    Ok(number(rows, rows, Number::integer(i128::from(bad))))
}
