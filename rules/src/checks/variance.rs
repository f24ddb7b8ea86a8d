//! The variance of the column, over the whole population.
//!
//! For numbers. One value has the variance 0.
//! Nulls are left out. When there is NaN or an infinity among the values the metric is NaN, which
//! meets no threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   discount:
//!     - variance: { at_most: 0.25 }
//! ```
//!
//! Source: Deequ 2.0 `Variance`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Variance;

impl CheckKind for Variance {
    fn name(&self) -> &'static str {
        "variance"
    }

    fn source(&self) -> &'static str {
        include_str!("variance.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Variance)))
    }
}
