//! The number of distinct values as a share of all values.
//!
//! Rows in which the column, or all of the columns, are null are left out; beside another value two
//! nulls are equal. Without any value the check passes.
//!
//! ```yaml
//! columns:
//!   email:
//!     - distinctness: { at_least: 90% }
//! table_checks:
//!   - distinctness: { columns: [order_id, line_no], at_least: 100% }
//! ```
//!
//! Source: Deequ 2.0 `Distinctness`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::grouping::{COLUMNS, Grouping, Statistic};
use crate::settings::{Setting, Settings};

pub(crate) struct Distinctness;

const SETTINGS: &[Setting] = &[COLUMNS];

impl CheckKind for Distinctness {
    fn name(&self) -> &'static str {
        "distinctness"
    }

    fn source(&self) -> &'static str {
        include_str!("distinctness.rs")
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

    fn table_settings(&self) -> &'static [&'static str] {
        &[COLUMNS.key]
    }

    fn is_row_level(&self) -> bool {
        false
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Grouping::read(
            column,
            settings,
            Statistic::Distinctness,
        )?))
    }
}
