//! Times are compared as microseconds, and their differences as what they are.
//!
//! DataFusion compares a timestamp with a text or a date as nanoseconds, which end in the year 2262: a comparison with
//! `'9999-12-31'` is an error. Before it fits types to each other, the text or date becomes a timestamp in microseconds.
//!
//! A difference of times it compares with an interval field by field, as one of no days and many nanoseconds: ten days are
//! less than one. So the interval becomes a difference, and one without a fixed length is refused.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::arithmetic::schema_of_expressions;
use crate::sql::is_finer_than_microseconds;

/// Makes timestamps of the texts and dates that are compared with timestamps.
#[derive(Debug)]
pub struct MicrosecondComparisons;

impl AnalyzerRule for MicrosecondComparisons {
    fn name(&self) -> &str {
        "microsecond_comparisons"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = plan.transform_up_with_subqueries(|plan| {
            let schema = schema_of_expressions(&plan);
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let compared = expr.transform_up(|expr| comparison(expr, &schema))?;
                Ok(compared.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(compared?.data)
    }
}

/// An expression over columns in which times are compared so.
pub(crate) fn compared(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let compared = expr.transform_up(|expr| comparison(expr, schema))?;
    Ok(compared.data)
}

fn comparison(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let (to_left, to_right) = (unit_of(&left, schema), unit_of(&right, schema));
            let (left, is_left) = fitted(*left, to_right.as_ref(), schema)?;
            let (right, is_right) = fitted(*right, to_left.as_ref(), schema)?;
            let compared = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
            transformed(compared, is_left || is_right)
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let to = unit_of(&expr, schema);
            let (low, is_low) = fitted(*low, to.as_ref(), schema)?;
            let (high, is_high) = fitted(*high, to.as_ref(), schema)?;
            let compared =
                Expr::Between(Between::new(expr, negated, Box::new(low), Box::new(high)));
            transformed(compared, is_low || is_high)
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let to = unit_of(&expr, schema);
            let mut is_any = false;
            let list = list.into_iter().map(|value| {
                let (value, is_fitted) = fitted(value, to.as_ref(), schema)?;
                is_any |= is_fitted;
                Ok(value)
            });
            let list = list.collect::<Result<_>>()?;
            let compared = Expr::InList(InList::new(expr, list, negated));
            transformed(compared, is_any)
        }
        expr => Transformed::no(expr),
    })
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn transformed(expr: Expr, is_transformed: bool) -> Transformed<Expr> {
    match is_transformed {
        true => Transformed::yes(expr),
        false => Transformed::no(expr),
    }
}

/// What an expression is compared as: a timestamp no finer than microseconds as one in microseconds, a difference of times
/// as itself.
fn unit_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expr.get_type(schema).ok()? {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone)),
        duration @ DataType::Duration(_) => Some(duration),
        _ => None,
    }
}

/// A side of a comparison as what the other side is compared as; and whether it was made that.
fn fitted(side: Expr, to: Option<&DataType>, schema: &DFSchema) -> Result<(Expr, bool)> {
    let fits = match (&side, to) {
        (_, Some(DataType::Duration(unit))) => {
            let data_type = side.get_type(schema);
            return match data_type.is_ok_and(|of| matches!(of, DataType::Interval(_))) {
                true => Ok((lit(difference(&side, *unit)?), true)),
                false => Ok((side, false)),
            };
        }
        (
            Expr::Literal(
                ScalarValue::Utf8(Some(text))
                | ScalarValue::LargeUtf8(Some(text))
                | ScalarValue::Utf8View(Some(text)),
                _,
            ),
            Some(_),
        ) => !is_finer_than_microseconds(text),
        (side, Some(DataType::Timestamp(_, zone))) => {
            let data_type = side.get_type(schema);
            let is_date =
                data_type.is_ok_and(|of| matches!(of, DataType::Date32 | DataType::Date64));
            // A date begins at midnight in UTC, whatever the zone of the other side.
            is_date && zone.as_deref().is_none_or(|zone| zone == "UTC")
        }
        _ => false,
    };
    Ok(match (fits, to) {
        (true, Some(to)) => (cast(side, to.clone()), true),
        _ => (side, false),
    })
}

/// An interval of days and less as a difference of times.
fn difference(interval: &Expr, unit: TimeUnit) -> Result<ScalarValue> {
    const DAY: i128 = 24 * 60 * 60 * 1_000_000_000;
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) = interval else {
        return plan_err!(
            "a difference of times is compared with an interval that is not written out: compare the times, `a > b + ...`"
        );
    };
    let Some(interval) = interval else {
        return ScalarValue::try_new_null(&DataType::Duration(unit));
    };
    if interval.months != 0 {
        return plan_err!(
            "a difference of times is compared with months, which have no fixed length: write days, or compare the times, `a > b + ...`"
        );
    }
    let nanoseconds = i128::from(interval.days) * DAY + i128::from(interval.nanoseconds);
    let (value, is_whole) = match unit {
        TimeUnit::Second => (
            nanoseconds / 1_000_000_000,
            nanoseconds % 1_000_000_000 == 0,
        ),
        TimeUnit::Millisecond => (nanoseconds / 1_000_000, nanoseconds % 1_000_000 == 0),
        TimeUnit::Microsecond => (nanoseconds / 1_000, nanoseconds % 1_000 == 0),
        TimeUnit::Nanosecond => (nanoseconds, true),
    };
    let value = i64::try_from(value).ok().filter(|_| is_whole);
    let Some(value) = value else {
        return plan_err!(
            "an interval is finer or longer than the difference of times that it is compared with"
        );
    };
    let value = Some(value);
    Ok(match unit {
        TimeUnit::Second => ScalarValue::DurationSecond(value),
        TimeUnit::Millisecond => ScalarValue::DurationMillisecond(value),
        TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(value),
        TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(value),
    })
}
