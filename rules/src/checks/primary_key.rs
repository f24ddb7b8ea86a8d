//! Rows whose values in some columns, taken together, occur once and are not null.
//!
//! A row is bad when one of the columns is null, or when another row has the same values in all of them; of two equal
//! rows both are bad. Below a column it is the key alone.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   order_id: [primary_key]
//! table_checks:
//!   - primary_key: [order_id, line_no]
//!   - primary_key: { columns: [customer_id, ordered_at], at_least: 70%, bad_rows: quarantine }
//! ```
//!
//! Source: Deequ 2.0 `isPrimaryKey`, which lets nulls pass.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::grouping::columns_of;
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct PrimaryKey;

const SETTINGS: &[Setting] = &[Setting::optional(
    "columns",
    Form::Columns,
    "The columns that identify a row together, in `table_checks`.",
)
.only_in(Place::Table)];

impl CheckKind for PrimaryKey {
    fn name(&self) -> &'static str {
        "primary_key"
    }

    fn source(&self) -> &'static str {
        include_str!("primary_key.rs")
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
        Some("columns")
    }

    fn table_settings(&self) -> &'static [&'static str] {
        &["columns"]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let columns = columns_of(column, settings)?;
        Some(Arc::new(IsKey { columns }))
    }
}

#[derive(Debug)]
struct IsKey {
    columns: Vec<String>,
}

#[async_trait]
impl Rule for IsKey {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        Ok(Work::Key(self.columns.clone()))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
