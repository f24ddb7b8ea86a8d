//! Times are compared as microseconds.
//!
//! DataFusion compares a timestamp with a text or a date as nanoseconds, which end in the year 2262: a comparison with
//! `'9999-12-31'` is an error. Before it fits types to each other, the text or date becomes a timestamp in microseconds.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast};
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
                let compared = expr.transform_up(|expr| Ok(comparison(expr, &schema)))?;
                Ok(compared.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(compared?.data)
    }
}

fn comparison(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let (to_left, to_right) = (unit_of(&left, schema), unit_of(&right, schema));
            let (left, is_left) = fitted(*left, to_right.as_ref(), schema);
            let (right, is_right) = fitted(*right, to_left.as_ref(), schema);
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
            let (low, is_low) = fitted(*low, to.as_ref(), schema);
            let (high, is_high) = fitted(*high, to.as_ref(), schema);
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
                let (value, is_fitted) = fitted(value, to.as_ref(), schema);
                is_any |= is_fitted;
                value
            });
            let list = list.collect();
            let compared = Expr::InList(InList::new(expr, list, negated));
            transformed(compared, is_any)
        }
        expr => Transformed::no(expr),
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

/// The type in microseconds of an expression that is a timestamp, and no finer than that.
fn unit_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expr.get_type(schema).ok()? {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone)),
        _ => None,
    }
}

/// A side of a comparison, as a timestamp when the other side is one; and whether it was made one.
fn fitted(side: Expr, to: Option<&DataType>, schema: &DFSchema) -> (Expr, bool) {
    let Some(to) = to else {
        return (side, false);
    };
    let fits = match (&side, to) {
        (
            Expr::Literal(
                ScalarValue::Utf8(Some(text))
                | ScalarValue::LargeUtf8(Some(text))
                | ScalarValue::Utf8View(Some(text)),
                _,
            ),
            _,
        ) => !is_finer_than_microseconds(text),
        (side, DataType::Timestamp(_, zone)) => {
            let data_type = side.get_type(schema);
            let is_date =
                data_type.is_ok_and(|of| matches!(of, DataType::Date32 | DataType::Date64));
            // A date begins at midnight in UTC, whatever the zone of the other side.
            is_date && zone.as_deref().is_none_or(|zone| zone == "UTC")
        }
        _ => false,
    };
    match fits {
        true => (cast(side, to.clone()), true),
        false => (side, false),
    }
}
