//! The largest value of the column less the smallest.
//!
//! For numbers; integers and decimals are subtracted exactly. Nulls are left out. When there is NaN
//! among the values, or all of them are the same infinity, the metric is NaN, which meets no threshold. Without any
//! value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - range: { at_most: 10000 }
//! ```
//!
//! Source: Deequ 2.0 `Range`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Range;

impl CheckKind for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn source(&self) -> &'static str {
        include_str!("range.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Range)))
    }
}
