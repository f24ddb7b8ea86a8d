//! How much one column tells of another: their mutual information, with the natural logarithm.
//!
//! Independent columns have 0; a column that determines the other has the entropy of the other. Only rows in which
//! neither column is null count. Without any, the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   status:
//!     - mutual_information: { with: country, at_least: 0 }
//! ```
//!
//! Source: Deequ 2.0 `MutualInformation`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct MutualInformation;

const SETTINGS: &[Setting] = &[Setting::required("with", Form::Text, "The other column.")];

impl CheckKind for MutualInformation {
    fn name(&self) -> &'static str {
        "mutual_information"
    }

    fn source(&self) -> &'static str {
        include_str!("mutual_information.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let with = settings.text("with")?;
        Some(Arc::new(Pair {
            columns: [column?.to_owned(), with],
        }))
    }
}

#[derive(Debug)]
struct Pair {
    columns: [String; 2],
}

#[async_trait]
impl Rule for Pair {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        let [left, right] = self.columns.clone();
        // The last grouping is that of the pairs.
        let groupings = vec![vec![left.clone()], vec![right.clone()], vec![left, right]];
        Ok(Work::CompleteGroups(groupings))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Several(groupings) = measured else {
            return Err(mismatch(check));
        };
        let mut sum = 0.0;
        let mut all = (0, 0);
        for (grouping, sign) in groupings.iter().zip([-1.0, -1.0, 1.0]) {
            let Measured::Groups {
                rows,
                values,
                weighted_logarithms,
                ..
            } = grouping
            else {
                return Err(mismatch(check));
            };
            sum += sign * weighted_logarithms;
            all = (*rows, *values);
        }
        let (rows, values) = all;
        if values == 0 {
            return Err(no_values(check, rows));
        }
        // The entropies of the columns less that of the pairs.
        let total = values as f64;
        let information = total.ln() + sum / total;
        let metric = Quantity::Number(Number::Float(information.max(0.0)));
        Ok(Finding::of(check, &metric, Some(rows)))
    }
}
