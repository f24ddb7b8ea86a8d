//! Rows for which a SQL condition is true.
//!
//! A row is bad when the condition is false or null: write `x IS NULL OR ...` to let nulls pass.
//! The condition looks at one row; `:commit_time` and the parameters of the file are bound as
//! values. The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! table_checks:
//!   - satisfies: delivered_on IS NULL OR delivered_on >= shipped_on
//!   - satisfies: { condition: "amount > 0", at_least: 30%, where: "status <> 'returned'", severity: warn }
//! ```
//!
//! Source: Deequ 2.0 `Compliance`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Satisfies;

const SETTINGS: &[Setting] = &[Setting::required(
    "condition",
    Form::Text,
    "SQL that is true for good rows.",
)];

impl CheckKind for Satisfies {
    fn name(&self) -> &'static str {
        "satisfies"
    }

    fn source(&self) -> &'static str {
        include_str!("satisfies.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn shorthand(&self) -> Option<&'static str> {
        Some("condition")
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let span = settings.span("condition");
        let condition = settings.text("condition")?;
        Some(Arc::new(IsTrue { condition, span }))
    }
}

#[derive(Debug)]
struct IsTrue {
    condition: String,
    span: crate::yaml::Span,
}

#[async_trait]
impl Rule for IsTrue {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let condition = planner.condition(&self.condition);
        let condition = condition.map_err(|trouble| trouble.at(self.span))?;
        Ok(Work::Scan(Measure::False(condition.is_true())))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
