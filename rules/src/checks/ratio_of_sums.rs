//! The sum of the column divided by the sum of another one.
//!
//! For numbers; integers and decimals are added up exactly before the one division. Nulls are left
//! out of each sum. A sum of zero gives an infinity of the sign of the other, and NaN, which meets no
//! threshold, when both are zero. Without any value on either side the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - ratio_of_sums: { with: order_id, at_most: 1000 }
//! ```
//!
//! Source: Deequ 2.0 `RatioOfSums`, which is wrong beside other metrics.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::metric::number_column;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct RatioOfSums;

const SETTINGS: &[Setting] = &[Setting::required(
    "with",
    Form::Text,
    "The column whose sum is divided by.",
)];

impl CheckKind for RatioOfSums {
    fn name(&self) -> &'static str {
        "ratio_of_sums"
    }

    fn source(&self) -> &'static str {
        include_str!("ratio_of_sums.rs")
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
        let other = settings.text("with")?;
        Some(Arc::new(Sums {
            columns: [column?.to_owned(), other],
        }))
    }
}

#[derive(Debug)]
struct Sums {
    columns: [String; 2],
}

#[async_trait]
impl Rule for Sums {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let [left, right] = &self.columns;
        let left = number_column(check, planner, left)?;
        let right = number_column(check, planner, right)?;
        Ok(Work::Several(vec![Measure::Sum(left), Measure::Sum(right)]))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Several(sums) = measured else {
            return Err(mismatch(check));
        };
        let mut of = Vec::new();
        for sum in &sums {
            let Measured::Value { rows, value, .. } = sum else {
                return Err(mismatch(check));
            };
            let Some(Quantity::Number(number)) = value else {
                return Err(no_values(check, *rows));
            };
            of.push((*rows, number.to_f64()));
        }
        let [(rows, left), (_, right)] = of.as_slice() else {
            return Err(mismatch(check));
        };
        let ratio = Quantity::Number(Number::Float(left / right));
        Ok(Finding::of(check, &ratio, Some(*rows)))
    }
}
