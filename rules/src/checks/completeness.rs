//! Share of rows in which the column is not null.
//!
//! A ratio from 0% to 100% over the rows that pass `where`. Nulls only: an empty string counts as
//! present. Over no rows the check passes. It differs from `not_null` in that the threshold has
//! to be given and that it judges the column, not single rows: there is no `bad_rows`.
//!
//! ```yaml
//! columns:
//!   email:
//!     - completeness: { at_least: { warn: 99%, error: 50% } }
//! ```
//!
//! Source: Deequ 2.0 `Completeness`, which fails over no rows.

use std::sync::Arc;

use super::not_null::HasValue;
use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::settings::Settings;

pub(crate) struct Completeness;

impl CheckKind for Completeness {
    fn name(&self) -> &'static str {
        "completeness"
    }

    fn source(&self) -> &'static str {
        include_str!("completeness.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn is_row_level(&self) -> bool {
        false
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let column = column?.to_owned();
        Some(Arc::new(HasValue { column }))
    }
}
