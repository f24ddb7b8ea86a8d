//! The number of rows whose value, or values in several columns, occur more than once.
//!
//! Rows in which the column, or all of the columns, are null are left out; beside another value two
//! nulls are equal. Of two equal rows both are counted.
//!
//! ```yaml
//! columns:
//!   email:
//!     - duplicate_rows: { at_most: 0 }
//! table_checks:
//!   - duplicate_rows: { columns: [order_id, line_no], at_most: 0 }
//! ```
//!
//! Source: Deequ 2.0 `DuplicateRowCount`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::grouping::{COLUMNS, Grouping, Statistic};
use crate::settings::{Setting, Settings};

pub(crate) struct DuplicateRows;

const SETTINGS: &[Setting] = &[COLUMNS];

impl CheckKind for DuplicateRows {
    fn name(&self) -> &'static str {
        "duplicate_rows"
    }

    fn source(&self) -> &'static str {
        include_str!("duplicate_rows.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn table_settings(&self) -> &'static [&'static str] {
        &[COLUMNS.key]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Grouping::read(
            column,
            settings,
            Statistic::DuplicateRows,
        )?))
    }
}
