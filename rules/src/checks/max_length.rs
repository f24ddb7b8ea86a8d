//! The length of the longest text of the column, in characters (Unicode code points).
//!
//! Nulls are left out. Without any value the check has the verdict `error`. To judge single rows,
//! use `length`.
//!
//! ```yaml
//! columns:
//!   email:
//!     - max_length: { at_most: 320 }
//! ```
//!
//! Source: Deequ 2.0 `MaxLength`, which leaves nulls out by default.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct MaxLength;

impl CheckKind for MaxLength {
    fn name(&self) -> &'static str {
        "max_length"
    }

    fn source(&self) -> &'static str {
        include_str!("max_length.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::MaxLength)))
    }
}
