//! Rows in which the column has a value.
//!
//! A row is bad when the column is null. An empty string, zero and NaN are values.
//! The threshold is the share of good rows; without one, every row has to be good. Over no rows
//! the check passes.
//!
//! ```yaml
//! columns:
//!   order_id: [not_null]
//!   email:
//!     - not_null: { at_least: 50%, where: status <> 'returned' }
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::Settings;
use crate::suite::Check;

pub(crate) struct NotNull;

impl CheckKind for NotNull {
    fn name(&self) -> &'static str {
        "not_null"
    }

    fn source(&self) -> &'static str {
        include_str!("not_null.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let column = column?.to_owned();
        Some(Arc::new(HasValue { column }))
    }
}

#[derive(Debug)]
pub(super) struct HasValue {
    pub(super) column: String,
}

#[async_trait]
impl Rule for HasValue {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        Ok(Work::Scan(Measure::Nulls(planner.column(&self.column)?)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
