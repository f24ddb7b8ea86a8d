//! Rows whose values look like a type, whatever the type of their column.
//!
//! For text that another system is going to read: `integral` (digits, with or without a sign), `fractional` (with a point
//! or an exponent), `numeric` (either), `boolean` (`true` or `false`, in lower case) or `text` (none of them). A space may
//! stand behind the sign. Of columns of other types, whole numbers are integral, floating-point numbers and decimals with
//! a scale fractional, NaN and infinities text, and dates and timestamps text. Nulls pass.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   line_no:
//!     - data_type: integral
//!   order_id:
//!     - data_type: { is: numeric, at_least: 99%, bad_rows: quarantine }
//! ```
//!
//! Source: Deequ 2.0 `DataType`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray};

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test::{self, RowTest};
use crate::settings::{Form, Setting, Settings};
use crate::state::{Likeness, looks_like};
use crate::suite::Check;

pub(crate) struct DataType;

const SETTINGS: &[Setting] = &[Setting::required(
    "is",
    Form::Choice(&["integral", "fractional", "numeric", "boolean", "text"]),
    "What every value has to look like.",
)];

const TYPES: &[(&str, &[Likeness])] = &[
    ("integral", &[Likeness::Integral]),
    ("fractional", &[Likeness::Fractional]),
    ("numeric", &[Likeness::Integral, Likeness::Fractional]),
    ("boolean", &[Likeness::Boolean]),
    ("text", &[Likeness::Text]),
];

impl CheckKind for DataType {
    fn name(&self) -> &'static str {
        "data_type"
    }

    fn source(&self) -> &'static str {
        include_str!("data_type.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn shorthand(&self) -> Option<&'static str> {
        Some("is")
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let wanted = settings.choice("is", TYPES)?;
        let column = column?.to_owned();
        Some(Arc::new(Looks {
            column,
            test: LooksLike(wanted),
        }))
    }
}

/// Values that look like one of some types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LooksLike(&'static [Likeness]);

impl RowTest for LooksLike {
    fn test(&self, values: &ArrayRef) -> datafusion::common::Result<BooleanArray> {
        looks_like(values, self.0)
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let name = std::iter::once("looks like".to_owned());
        let wanted = self.0.iter().map(|likeness| format!("{likeness:?}"));
        Some(name.chain(wanted).collect())
    }
}

#[derive(Debug)]
struct Looks {
    column: String,
    test: LooksLike,
}

#[async_trait]
impl Rule for Looks {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = planner.column(&self.column)?;
        let test = row_test::call(self.test, column);
        Ok(Work::Scan(Measure::False(test)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
