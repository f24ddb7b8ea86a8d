//! How far the values lean to one side: the third standardized moment, over the whole population.
//!
//! For numbers. Positive when the longer tail has the greater values, 0 when all values are equal.
//! Nulls are left out. When there is NaN or an infinity among the values the metric is NaN, which
//! meets no threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   discount:
//!     - skewness: { between: [-3, 3] }
//! ```
//!
//! Source: Deequ 2.0 `Skewness`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Skewness;

impl CheckKind for Skewness {
    fn name(&self) -> &'static str {
        "skewness"
    }

    fn source(&self) -> &'static str {
        include_str!("skewness.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Skewness)))
    }
}
