//! How closely the column goes along with another one: Pearson's correlation, from -1 to 1.
//!
//! For numbers. Rows in which either is null are left out. When the values of one of them are all
//! equal, or when there is NaN or an infinity among them, the metric is NaN, which meets no threshold.
//! Without any pair the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - correlation: { with: discount, between: [-1, 1] }
//! ```
//!
//! Source: Deequ 2.0 `Correlation`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::metric::number_column;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Correlation;

const SETTINGS: &[Setting] = &[Setting::required("with", Form::Text, "The other column.")];

impl CheckKind for Correlation {
    fn name(&self) -> &'static str {
        "correlation"
    }

    fn source(&self) -> &'static str {
        include_str!("correlation.rs")
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
        Some(Arc::new(Pair {
            columns: [column?.to_owned(), other],
        }))
    }
}

#[derive(Debug)]
struct Pair {
    columns: [String; 2],
}

#[async_trait]
impl Rule for Pair {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let [left, right] = &self.columns;
        let left = number_column(check, planner, left)?;
        let right = number_column(check, planner, right)?;
        Ok(Work::Scan(Measure::Comoments(left, right)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Comoments {
            rows,
            values,
            squares: [left, right],
            products,
        } = measured
        else {
            return Err(mismatch(check));
        };
        if values == 0 {
            return Err(no_values(check, rows));
        }
        // Two roots: the product of the squares may be beyond the range of numbers.
        let correlation = products / (left.sqrt() * right.sqrt());
        let metric = Quantity::Number(Number::Float(correlation.clamp(-1.0, 1.0)));
        Ok(Finding::of(check, &metric, Some(rows)))
    }
}
