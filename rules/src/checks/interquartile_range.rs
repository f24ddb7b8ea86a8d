//! The width of the middle half of the values: the quantile at 75% less the one at 25%.
//!
//! `method` and `rank_error` are those of `quantile`. Nulls are left out. NaN among the values makes the metric NaN,
//! which meets no threshold. Without any value, and when both quantiles are the same infinity, the check has the verdict
//! `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - interquartile_range: { at_most: 1000 }
//!     - interquartile_range: { name: exactly, method: exact, at_least: 1 }
//! ```
//!
//! Source: Deequ 2.0 `InterquartileRange`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::quantile::{METHOD, Quantile, RANK_ERROR, Wanted};
use crate::settings::{Setting, Settings};

pub(crate) struct InterquartileRange;

const SETTINGS: &[Setting] = &[METHOD, RANK_ERROR];

impl CheckKind for InterquartileRange {
    fn name(&self) -> &'static str {
        "interquartile_range"
    }

    fn source(&self) -> &'static str {
        include_str!("interquartile_range.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let read = Quantile::read(column?, settings, Wanted::InterquartileRange)?;
        Some(Arc::new(read))
    }
}
