//! The share of distinct values that occur once.
//!
//! Rows in which the column, or all of the columns, are null are left out; beside another value two
//! nulls are equal. Without any value the check passes.
//!
//! ```yaml
//! columns:
//!   email:
//!     - unique_value_ratio: { at_least: 90% }
//! table_checks:
//!   - unique_value_ratio: { columns: [order_id, line_no], at_least: 100% }
//! ```
//!
//! Source: Deequ 2.0 `UniqueValueRatio`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::grouping::{COLUMNS, Grouping, Statistic};
use crate::settings::{Setting, Settings};

pub(crate) struct UniqueValueRatio;

const SETTINGS: &[Setting] = &[COLUMNS];

impl CheckKind for UniqueValueRatio {
    fn name(&self) -> &'static str {
        "unique_value_ratio"
    }

    fn source(&self) -> &'static str {
        include_str!("unique_value_ratio.rs")
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
            Statistic::UniqueValueRatio,
        )?))
    }
}
