//! How evenly the values are spread: the entropy of their shares, with the natural logarithm.
//!
//! One value that fills the column has 0, `n` values of equal shares have `ln(n)`.
//! Rows in which the column, or all of the columns, are null are left out; beside another value two
//! nulls are equal. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   status:
//!     - entropy: { at_least: 0.5 }
//! table_checks:
//!   - entropy: { columns: [order_id, line_no], at_least: 1 }
//! ```
//!
//! Source: Deequ 2.0 `Entropy`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::grouping::{COLUMNS, Grouping, Statistic};
use crate::settings::{Setting, Settings};

pub(crate) struct Entropy;

const SETTINGS: &[Setting] = &[COLUMNS];

impl CheckKind for Entropy {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn source(&self) -> &'static str {
        include_str!("entropy.rs")
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
            Statistic::Entropy,
        )?))
    }
}
