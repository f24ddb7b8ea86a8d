//! Times and decimals are compared as what is written, and numbers are cast to times as seconds.
//!
//! DataFusion compares a timestamp with a text or a date as nanoseconds, which end in the year 2262: a comparison with
//! `'9999-12-31'` is an error. Before it fits types to each other, the text or date becomes a timestamp in microseconds.
//!
//! A difference of times it compares with an interval field by field, as one of no days and many nanoseconds: ten days are
//! less than one. So the interval becomes a difference, and one without a fixed length is refused.
//!
//! A decimal it compares with a number that is written out, such as `100000.01`, in fifteen digits behind the point, of which
//! the number has not so many: the number becomes the decimal that it is written as. A floating-point column it would
//! make decimals of, which not all of its numbers are: so the other side becomes floating-point.
//!
//! A number that is cast to a timestamp is one of seconds since 1970. DataFusion knows that of `bigint` alone, and takes
//! any other for nanoseconds.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::arithmetic::schema_of_expressions;
use crate::sql::is_finer_than_microseconds;

/// Gives what is compared types in which it means what is written, before DataFusion fits types to each other.
#[derive(Debug)]
pub struct ExactComparisons;

impl AnalyzerRule for ExactComparisons {
    fn name(&self) -> &str {
        "exact_comparisons"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = plan.transform_up_with_subqueries(|plan| {
            let schema = schema_of_expressions(&plan);
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let compared = expr.transform_up(|expr| exact(expr, &schema))?;
                Ok(compared.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(compared?.data)
    }
}

/// An expression over columns in which comparisons mean what is written.
pub(crate) fn compared_exactly(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let compared = expr.transform_up(|expr| exact(expr, schema))?;
    Ok(compared.data)
}

fn exact(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Cast(mut of) if is_finer_than_seconds(of.field.data_type()) => {
            let (value, is_number) = seconds(*of.expr, of.field.data_type(), schema)?;
            of.expr = Box::new(value);
            transformed(Expr::Cast(of), is_number)
        }
        Expr::TryCast(mut of) if is_finer_than_seconds(of.field.data_type()) => {
            let (value, is_number) = seconds(*of.expr, of.field.data_type(), schema)?;
            of.expr = Box::new(value);
            transformed(Expr::TryCast(of), is_number)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let (to_left, to_right) = (compared_as(&left, schema), compared_as(&right, schema));
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
            let to = compared_as(&expr, schema);
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
            let to = compared_as(&expr, schema);
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

fn is_finer_than_seconds(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(unit, _) if *unit != TimeUnit::Second)
}

/// What is cast to a timestamp, which is one of seconds when it was a whole number; and whether it was one.
fn seconds(value: Expr, to: &DataType, schema: &DFSchema) -> Result<(Expr, bool)> {
    let of = value.get_type(schema);
    match (of, to) {
        (Ok(of), DataType::Timestamp(_, zone)) if of.is_integer() => {
            let seconds = DataType::Timestamp(TimeUnit::Second, zone.clone());
            Ok((cast(value, seconds), true))
        }
        (Ok(of), _) if of.is_numeric() => plan_err!(
            "a number with a fraction is cast to a timestamp: write `to_timestamp({value})`, which takes it for seconds since 1970"
        ),
        _ => Ok((value, false)),
    }
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

/// What the other side of an expression is compared as: with a timestamp no finer than microseconds as one in
/// microseconds, with a difference of times or a decimal as such, with a floating-point number as one of 64 bits. A number
/// that is written out with a point is none of the latter when it is exact as a decimal.
fn compared_as(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expr.get_type(schema).ok()? {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone)),
        same @ (DataType::Duration(_) | DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            Some(same)
        }
        DataType::Float32 | DataType::Float64 if decimal(expr).is_none() => Some(DataType::Float64),
        _ => None,
    }
}

/// A side of a comparison as what the other side is compared as; and whether it was made that.
fn fitted(side: Expr, to: Option<&DataType>, schema: &DFSchema) -> Result<(Expr, bool)> {
    let fits = match (&side, to) {
        (side, Some(DataType::Decimal128(..) | DataType::Decimal256(..))) => {
            return Ok(match decimal(side) {
                Some(exact) => (lit(exact), true),
                None => (side.clone(), false),
            });
        }
        (side, Some(DataType::Float64)) => {
            let data_type = side.get_type(schema);
            data_type.is_ok_and(|of| of.is_decimal())
        }
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

/// A number that is written out with a point, exactly as it is written; none when a decimal has too few digits.
fn decimal(number: &Expr) -> Option<ScalarValue> {
    let text = match number {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => number.to_string(),
        Expr::Literal(ScalarValue::Float32(Some(number)), _) => number.to_string(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let scale = i8::try_from(fraction.len()).ok()?;
    let value = format!("{whole}{fraction}").parse::<i128>().ok()?;
    let digits = value.unsigned_abs().to_string().len().max(fraction.len());
    let precision = u8::try_from(digits).ok()?;
    let fits = precision <= DECIMAL128_MAX_PRECISION;
    fits.then_some(ScalarValue::Decimal128(Some(value), precision, scale))
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
