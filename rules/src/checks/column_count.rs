//! The number of columns.
//!
//! It is known from the schema: no rows are read.
//!
//! ```yaml
//! table_checks:
//!   - column_count: { equals: 12 }
//! ```
//!
//! Source: Deequ 2.0 `ColumnCount`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::Settings;
use crate::suite::Check;

pub(crate) struct ColumnCount;

impl CheckKind for ColumnCount {
    fn name(&self) -> &'static str {
        "column_count"
    }

    fn source(&self) -> &'static str {
        include_str!("column_count.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn read(&self, _column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Columns))
    }
}

#[derive(Debug)]
struct Columns;

#[async_trait]
impl Rule for Columns {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let columns = planner.schema.fields().len();
        Ok(Work::Known(Measured::Columns(columns as u64)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Columns(columns) = measured else {
            return Err(mismatch(check));
        };
        let count = Quantity::Number(Number::integer(i128::from(columns)));
        Ok(Finding::of(check, &count, None))
    }
}
