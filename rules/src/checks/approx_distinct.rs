//! About how many distinct values the column has.
//!
//! The rows are read once, with the other checks, and leave a sketch (HyperLogLog with 4,096 registers): the relative
//! standard error is 1.63%. Small numbers come out exact, or nearly so. `distinct` counts exactly, at the cost of a
//! grouping when there are many. Nulls are left out; a column without values has none.
//!
//! ```yaml
//! columns:
//!   email:
//!     - approx_distinct: { at_least: 1 }
//! ```
//!
//! Source: Deequ 2.0 `ApproxCountDistinct`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_value};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::Settings;
use crate::suite::Check;

pub(crate) struct ApproxDistinct;

impl CheckKind for ApproxDistinct {
    fn name(&self) -> &'static str {
        "approx_distinct"
    }

    fn source(&self) -> &'static str {
        include_str!("approx_distinct.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let column = column?.to_owned();
        Some(Arc::new(Sketched { column }))
    }
}

#[derive(Debug)]
struct Sketched {
    column: String,
}

#[async_trait]
impl Rule for Sketched {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let data_type = planner.data_type(&self.column)?;
        if data_type.is_nested() {
            return Err(Trouble::new(format!(
                "column `{}` has type {}, check `{}` needs a column of single values",
                self.column,
                super::sql_type(&data_type),
                check.kind
            )));
        }
        Ok(Work::Scan(Measure::Distinct(planner.column(&self.column)?)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_value(check, &measured)
    }
}
