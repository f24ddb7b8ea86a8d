//! Rows whose value is not less than any before it, in the order of other columns.
//!
//! `by` says what puts the rows one after the other; where they lie in files makes no difference. A row is bad when a
//! row with a smaller `by` has a greater value, with `strictly: true` also when it has the same one; with
//! `direction: descending` when it has a smaller value. Without the bad rows, the rest is in order. Rows with equal `by`
//! are not compared with each other. With `per`, the rows of each device, customer and so on are looked at by
//! themselves; nulls there are a group of their own.
//! Rows with a null in the column or in `by` are good, and no row is compared with them; NaN is bad.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   order_id:
//!     - ordered: { by: ordered_at, strictly: true }
//!   shipped_on:
//!     - ordered: { by: [ordered_at, order_id], per: customer_id, bad_rows: quarantine }
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::logical_expr::Expr;

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::comparable;
use crate::plan::{Order, Planner, Trouble, Work, plain_type};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Ordered;

const SETTINGS: &[Setting] = &[
    Setting::required(
        "by",
        Form::Columns,
        "The columns that put the rows one after the other, from small to great.",
    ),
    Setting::optional(
        "per",
        Form::Columns,
        "Columns: only rows with the same values in them are compared.",
    ),
    Setting::optional(
        "strictly",
        Form::Flag,
        "Whether a value has to differ from those before. Default: `false`.",
    ),
    Setting::optional(
        "direction",
        Form::Choice(&["ascending", "descending"]),
        "Whether values increase or decrease. Default: `ascending`.",
    ),
];

impl CheckKind for Ordered {
    fn name(&self) -> &'static str {
        "ordered"
    }

    fn source(&self) -> &'static str {
        include_str!("ordered.rs")
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
        let by = settings.columns("by");
        let per = settings.columns("per").unwrap_or_default();
        let is_strict = settings.flag("strictly").unwrap_or(false);
        let directions = [("ascending", false), ("descending", true)];
        let is_descending = settings.choice("direction", &directions).unwrap_or(false);
        let column = column?.to_owned();
        let by = by?;
        if by.contains(&column) {
            let message = format!("column `{column}` is always in its own order");
            settings.problem(Some("by"), message, None);
        }
        Some(Arc::new(IsOrdered {
            column,
            by,
            per,
            is_strict,
            is_descending,
        }))
    }
}

#[derive(Debug)]
struct IsOrdered {
    column: String,
    by: Vec<String>,
    per: Vec<String>,
    is_strict: bool,
    is_descending: bool,
}

/// A column whose values can be put in order.
fn orderable(planner: &Planner, name: &str) -> Result<Expr, Trouble> {
    let found = planner.field(name)?.data_type();
    let plain = plain_type(found);
    if plain.is_nested() {
        return Err(Trouble::new(format!(
            "column `{name}` has type {}, whose values have no order",
            sql_type(plain)
        )));
    }
    Ok(comparable(name, found, plain))
}

#[async_trait]
impl Rule for IsOrdered {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let all = |names: &[String]| -> Result<Vec<Expr>, Trouble> {
            names.iter().map(|name| orderable(planner, name)).collect()
        };
        Ok(Work::Order(Order {
            value: orderable(planner, &self.column)?,
            is_float: planner.data_type(&self.column)?.is_floating(),
            by: all(&self.by)?,
            per: all(&self.per)?,
            is_strict: self.is_strict,
            is_descending: self.is_descending,
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
