//! The length of the shortest text of the column, in characters (Unicode code points).
//!
//! Nulls are left out. Without any value the check has the verdict `error`. To judge single rows,
//! use `length`.
//!
//! ```yaml
//! columns:
//!   email:
//!     - min_length: { at_least: 3 }
//! ```
//!
//! Source: Deequ 2.0 `MinLength`, which leaves nulls out by default.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct MinLength;

impl CheckKind for MinLength {
    fn name(&self) -> &'static str {
        "min_length"
    }

    fn source(&self) -> &'static str {
        include_str!("min_length.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::MinLength)))
    }
}
