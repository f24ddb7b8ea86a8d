//! Rows in which the column stands in a relation to another column.
//!
//! `operator` is one of `=`, `<>`, `<`, `<=`, `>` and `>=`; the check's column stands on its left.
//! A row in which either side is null passes. NaN is in no relation, but in `<>` with a number.
//! Dates and timestamps are compared to the microsecond; one without a zone is in UTC. Whole numbers of 64 bits and
//! decimals are not compared with floating-point numbers, which would round them.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   delivered_on:
//!     - compare: { operator: ">=", column: shipped_on }
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::functions::expr_fn::isnan;
use datafusion::logical_expr::{Expr, Operator, binary_expr};

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::{common_type, comparable, rounding_hint};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Compare;

const OPERATORS: &[(&str, Operator)] = &[
    ("=", Operator::Eq),
    ("<>", Operator::NotEq),
    ("<", Operator::Lt),
    ("<=", Operator::LtEq),
    (">", Operator::Gt),
    (">=", Operator::GtEq),
];

const SETTINGS: &[Setting] = &[
    Setting::required(
        "operator",
        Form::Choice(&["=", "<>", "<", "<=", ">", ">="]),
        "The relation.",
    ),
    Setting::required("column", Form::Text, "The column on the right."),
];

impl CheckKind for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }

    fn source(&self) -> &'static str {
        include_str!("compare.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let operator = settings.choice("operator", OPERATORS);
        let right = settings.text("column");
        Some(Arc::new(Relation {
            left: column?.to_owned(),
            operator: operator?,
            right: right?,
        }))
    }
}

#[derive(Debug)]
struct Relation {
    left: String,
    operator: Operator,
    right: String,
}

impl Relation {
    fn condition(&self, planner: &Planner) -> Result<Expr, Trouble> {
        let left_type = planner.data_type(&self.left)?;
        let right_type = planner.data_type(&self.right)?;
        let Some(common) = common_type(&left_type, &right_type) else {
            return Err(Trouble::new(format!(
                "column `{}` ({}) cannot be compared with column `{}` ({})",
                self.left,
                sql_type(&left_type),
                self.right,
                sql_type(&right_type)
            ))
            .with_hint(rounding_hint(&left_type, &right_type)));
        };
        let (left, right) = (planner.column(&self.left)?, planner.column(&self.right)?);
        let side = |name: &str| -> Result<Expr, Trouble> {
            Ok(comparable(name, planner.field(name)?.data_type(), &common))
        };
        let mut condition = binary_expr(side(&self.left)?, self.operator, side(&self.right)?);
        let has_nan = left_type.is_floating() || right_type.is_floating();
        if has_nan && self.operator != Operator::NotEq {
            for (side, data_type) in [(&left, left_type), (&right, right_type)] {
                if data_type.is_floating() {
                    condition = condition.and(!isnan(side.clone()));
                }
            }
            // NaN beside null is false by the condition above, but a null side passes.
            condition = left.is_null().or(right.is_null()).or(condition);
        }
        Ok(condition)
    }
}

#[async_trait]
impl Rule for Relation {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        Ok(Work::Scan(Measure::False(self.condition(planner)?)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
