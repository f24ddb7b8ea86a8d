//! Rows whose values in several columns, taken together, occur once.
//!
//! A row is bad when another row has the same values in all of the columns; of two equal rows
//! both are bad. Two nulls are equal here, so that `(1, null)` twice is found; a row in which all
//! of the columns are null passes: `not_null` finds it.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! table_checks:
//!   - unique_key: [order_id, line_no]
//!   - unique_key: { columns: [customer_id, ordered_at], at_least: 10%, severity: warn }
//! ```
//!
//! Source: Deequ 2.0 `Uniqueness` over several columns.

use std::sync::Arc;

use super::unique::OccursOnce;
use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::settings::{Form, Setting, Settings};

pub(crate) struct UniqueKey;

const SETTINGS: &[Setting] = &[Setting::required(
    "columns",
    Form::Columns,
    "The columns that identify a row together.",
)];

impl CheckKind for UniqueKey {
    fn name(&self) -> &'static str {
        "unique_key"
    }

    fn source(&self) -> &'static str {
        include_str!("unique_key.rs")
    }

    fn place(&self) -> Place {
        Place::Table
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

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let columns = settings.columns("columns")?;
        Some(Arc::new(OccursOnce { columns }))
    }
}
