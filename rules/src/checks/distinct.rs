//! The number of distinct values of the column, or of several columns together, or their share.
//!
//! Rows in which the column, or all of the columns, are null are left out; beside another value two nulls are equal. A number is held against the count of distinct values; a percent against
//! their share of the values that are not null. The share of no values passes; their count is 0.
//!
//! ```yaml
//! columns:
//!   status:
//!     - distinct: { at_most: 10 }
//!   email:
//!     - distinct: { at_least: 10%, severity: warn }
//! table_checks:
//!   - distinct: { columns: [customer_id, country], at_least: 1 }
//! ```
//!
//! Source: Deequ 2.0 `CountDistinct` and `Distinctness`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Amount, Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::grouping::{COLUMNS, columns_of};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Setting, Settings};
use crate::suite::Check;

pub(crate) struct Distinct;

const SETTINGS: &[Setting] = &[COLUMNS];

impl CheckKind for Distinct {
    fn name(&self) -> &'static str {
        "distinct"
    }

    fn source(&self) -> &'static str {
        include_str!("distinct.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::CountOrShare
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn table_settings(&self) -> &'static [&'static str] {
        &[COLUMNS.key]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let columns = columns_of(column, settings)?;
        Some(Arc::new(DistinctValues { columns }))
    }
}

#[derive(Debug)]
struct DistinctValues {
    columns: Vec<String>,
}

/// Whether the thresholds are shares. A mixture has no one metric.
fn wants_share(check: &Check) -> Result<bool, Trouble> {
    let mut values = check.thresholds.bounds().flat_map(|bound| bound.values());
    let is_percent = |amount: &Amount| matches!(amount, Amount::Percent(_));
    let first = values.next().is_some_and(|v| is_percent(&v.amount));
    if values.any(|v| is_percent(&v.amount) != first) {
        return Err(Trouble::new(
            "check `distinct` has both counts and percents in its thresholds",
        )
        .with_hint("write two checks".to_owned()));
    }
    Ok(first)
}

#[async_trait]
impl Rule for DistinctValues {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        wants_share(check)?;
        Ok(Work::Groups(self.columns.clone()))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Groups {
            rows,
            values,
            groups,
            ..
        } = measured
        else {
            return Err(mismatch(check));
        };
        if !wants_share(check)? {
            let count = Quantity::Number(Number::integer(i128::from(groups)));
            return Ok(Finding::of(check, &count, Some(rows)));
        }
        if values == 0 {
            return Ok(Finding::nothing_to_judge(
                check,
                Some(rows),
                "no values to judge",
            ));
        }
        let share = Quantity::Share {
            part: groups,
            whole: values,
        };
        Ok(Finding::of(check, &share, Some(rows)))
    }
}
