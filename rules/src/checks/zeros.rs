//! How many values of the column are zero.
//!
//! For numbers. A negative zero is zero. Nulls are not; a column without values has 0.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - zeros: { at_most: 10 }
//! ```
//!
//! Source: Deequ 2.0 `ZerosCount`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct Zeros;

impl CheckKind for Zeros {
    fn name(&self) -> &'static str {
        "zeros"
    }

    fn source(&self) -> &'static str {
        include_str!("zeros.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::Zeros)))
    }
}
