//! The standard deviation of the column, over the whole population.
//!
//! For numbers. One value has the deviation 0. An infinity among the values makes the metric NaN.
//! Nulls are left out. When there is NaN among the values the metric is NaN, which meets no
//! threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   discount:
//!     - stddev: { at_most: 0.5 }
//! ```
//!
//! Source: Deequ 2.0 `StandardDeviation`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Stddev;

impl CheckKind for Stddev {
    fn name(&self) -> &'static str {
        "stddev"
    }

    fn source(&self) -> &'static str {
        include_str!("stddev.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Stddev)))
    }
}
