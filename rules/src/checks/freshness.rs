//! The age of the newest value of a date or timestamp column, at the time of the commit.
//!
//! Thresholds are durations with their unit: `30min`, `6h`, `2d`. A date is as old as its midnight,
//! UTC, a timestamp without a zone is read as UTC. A newest value in the future has an age below
//! zero. Nulls are left out; without any value the check has the verdict `error`.
//! A new commit is judged when it is made: a table that nobody writes to is found stale by
//! `lakegate check`.
//!
//! ```yaml
//! table_checks:
//!   - freshness: { column: updated_at, at_most: 36500d }
//! columns:
//!   ordered_at:
//!     - freshness: { at_most: { warn: 36500d, error: 40000d } }
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::{Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::literal::is_time;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Freshness;

const SETTINGS: &[Setting] = &[Setting::optional(
    "column",
    Form::Text,
    "The column, in `table_checks`; below a column it is that column.",
)
.only_in(Place::Table)];

impl CheckKind for Freshness {
    fn name(&self) -> &'static str {
        "freshness"
    }

    fn source(&self) -> &'static str {
        include_str!("freshness.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::Duration
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn table_settings(&self) -> &'static [&'static str] {
        &["column"]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let named = settings.text("column");
        let column = match (column, named) {
            (Some(column), None) => column.to_owned(),
            (None, Some(column)) => column,
            (Some(_), Some(_)) => {
                let message = "check `freshness` below a column does not take `column`".to_owned();
                settings.problem(Some("column"), message, None);
                return None;
            }
            // The settings of a check of the table say that it is missing.
            (None, None) => return None,
        };
        Some(Arc::new(Age { column }))
    }
}

#[derive(Debug)]
struct Age {
    column: String,
}

#[async_trait]
impl Rule for Age {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = planner.column(&self.column)?;
        let data_type = planner.data_type(&self.column)?;
        if !is_time(&data_type) {
            return Err(Trouble::new(format!(
                "column `{}` has type {}, check `freshness` needs a date or a timestamp",
                self.column,
                sql_type(&data_type)
            )));
        }
        Ok(Work::Scan(Measure::Max(column)))
    }

    fn assess(&self, check: &Check, measured: Measured, facts: &Facts) -> Result<Finding, Trouble> {
        let Measured::Value { rows, value, .. } = measured else {
            return Err(mismatch(check));
        };
        let Some(Quantity::Moment(newest, text)) = value else {
            return Err(no_values(check, rows));
        };
        let age = facts.now.timestamp_micros().saturating_sub(newest) / 1000;
        let mut finding = Finding::of(check, &Quantity::Age(age), Some(rows));
        finding.message = Some(format!("the newest value is {text}"));
        Ok(finding)
    }
}
