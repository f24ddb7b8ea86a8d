//! How heavy the tails are: the fourth standardized moment less 3, over the whole population.
//!
//! For numbers. A normal distribution has 0, and so have values that are all equal.
//! Nulls are left out. When there is NaN or an infinity among the values the metric is NaN, which
//! meets no threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   discount:
//!     - kurtosis: { at_most: 10 }
//! ```
//!
//! Source: Deequ 2.0 `Kurtosis`, excess.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Kurtosis;

impl CheckKind for Kurtosis {
    fn name(&self) -> &'static str {
        "kurtosis"
    }

    fn source(&self) -> &'static str {
        include_str!("kurtosis.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Kurtosis)))
    }
}
