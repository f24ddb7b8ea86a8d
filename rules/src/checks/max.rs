//! The largest value of the column.
//!
//! For numbers, dates, timestamps and text, in the thresholds as in the column. Numbers of 32 bits (`float`) are
//! compared as what they are: 0.1 in 32 bits is a little more than 0.1.
//! Nulls are left out. When there is NaN among the values the metric is NaN, which meets no
//! threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - max: { at_most: { warn: 1000, error: 100000 } }
//!   shipped_on:
//!     - max: { at_least: 2020-01-01 }
//! ```
//!
//! Source: Deequ 2.0 `Maximum`, for more types.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Max;

impl CheckKind for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn source(&self) -> &'static str {
        include_str!("max.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Any
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Max)))
    }
}
