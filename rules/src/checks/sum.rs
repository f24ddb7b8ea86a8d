//! The sum of the column.
//!
//! For numbers. Integers and decimals are added up exactly, up to 38 digits; a larger sum has the
//! verdict `error`, never a wrong number.
//! Nulls are left out. When there is NaN among the values the metric is NaN, which meets no
//! threshold. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - sum: { at_least: 1, where: status <> 'returned' }
//! ```
//!
//! Source: Deequ 2.0 `Sum`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Sum;

impl CheckKind for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn source(&self) -> &'static str {
        include_str!("sum.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Sum)))
    }
}
