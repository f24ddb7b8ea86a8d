//! The mean length of the texts of the column, in characters (Unicode code points).
//!
//! Nulls are left out. Without any value the check has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   email:
//!     - mean_length: { between: [5, 60] }
//! ```
//!
//! Source: the mean of `length`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::metric::{Aggregate, Metric};
use crate::settings::Settings;

pub(crate) struct MeanLength;

impl CheckKind for MeanLength {
    fn name(&self) -> &'static str {
        "mean_length"
    }

    fn source(&self) -> &'static str {
        include_str!("mean_length.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(Metric::new(column?, Aggregate::MeanLength)))
    }
}
