//! The arithmetic mean of the column.
//!
//! For numbers. Integers and decimals are added up exactly before the one division.
//! Nulls are left out. When there is NaN among the values the metric is NaN, which meets no
//! threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - mean: { between: [1, 20000], severity: warn }
//! ```
//!
//! Source: Deequ 2.0 `Mean`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Mean;

impl CheckKind for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn source(&self) -> &'static str {
        include_str!("mean.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Mean)))
    }
}
