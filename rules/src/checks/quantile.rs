//! The value below which a share of the values lies: `at: 0.5` is the median.
//!
//! `method: approximate` reads the rows once, with the other checks, and keeps a sketch of them (KLL). Its answer is one
//! of the values as a double, the smallest of which at least that share is not greater. In 99 of 100 quantiles the rank
//! of the answer is off by less than `rank_error`; while there are not more than about 600 values it is not off. Judged
//! again, it may come out a little otherwise: a threshold should leave room for the error, or say `method: exact`.
//! `method: exact` sorts the distinct values; between two values the answer lies as far as the rank does. Between an
//! infinity and a number lies the infinity; between two infinities nothing does, and the check has the verdict `error`.
//! Nulls are left out. NaN among the values makes the metric NaN, which meets no threshold. Without any value the check
//! has the verdict `error`.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - quantile: { at: 0.99, at_most: 1000 }
//!     - quantile: { name: median, at: 50%, method: exact, between: [1, 500] }
//! ```
//!
//! Source: Deequ 2.0 `ApproxQuantile` and `ExactQuantile`.

use std::sync::Arc;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::quantile::{METHOD, Quantile as OfColumn, RANK_ERROR, Wanted};
use crate::settings::{Form, Setting, Settings};

pub(crate) struct Quantile;

const SETTINGS: &[Setting] = &[
    Setting::required("at", Form::Ratio, "The share of the values that lie below."),
    METHOD,
    RANK_ERROR,
];

impl CheckKind for Quantile {
    fn name(&self) -> &'static str {
        "quantile"
    }

    fn source(&self) -> &'static str {
        include_str!("quantile.rs")
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
        let at = settings.ratio("at");
        let read = OfColumn::read(column?, settings, Wanted::At(at?))?;
        Some(Arc::new(read))
    }
}
