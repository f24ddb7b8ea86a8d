//! Rows whose text has a length between two limits, both of them allowed.
//!
//! Characters are counted, not bytes. Either limit may be left out. Nulls pass.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   country:
//!     - length: [2, 2]
//!   email:
//!     - length: { max: 254, bad_rows: quarantine }
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::text_column;
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test::{self, TextLength};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::{Resolved, Scalar};

pub(crate) struct Length;

const SETTINGS: &[Setting] = &[
    Setting::optional(
        "min",
        Form::Count,
        "The fewest characters that are allowed.",
    ),
    Setting::optional("max", Form::Count, "The most characters that are allowed."),
];

impl CheckKind for Length {
    fn name(&self) -> &'static str {
        "length"
    }

    fn source(&self) -> &'static str {
        include_str!("length.rs")
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
        Some("limits")
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let before = settings.problems.len();
        let (min, max) = settings.limits();
        if min.is_none() && max.is_none() && settings.problems.len() == before {
            let message = "check `length` needs `min` or `max`".to_owned();
            let hint = Some("write `length: [1, 50]` or `length: {max: 50}`".to_owned());
            settings.problem(None, message, hint);
        }
        let mut count =
            |key: &str, scalar: Option<Scalar>| match scalar.as_ref().map(Scalar::resolve) {
                Some(Resolved::Integer(value)) if value >= 0 => usize::try_from(value).ok(),
                None => None,
                _ => {
                    let text = scalar.map(|s| s.text).unwrap_or_default();
                    let message = format!("`{text}` is no length");
                    let hint = Some("write a whole number of characters".to_owned());
                    settings.problem(Some(key), message, hint);
                    None
                }
            };
        let (min, max) = (count("min", min), count("max", max));
        let (least, most) = (min.unwrap_or(0), max.unwrap_or(usize::MAX));
        if least > most {
            let message = format!("no length is at least {least} and at most {most}");
            settings.problem(Some("min"), message, None);
        }
        let column = column?.to_owned();
        Some(Arc::new(HasLength {
            column,
            test: TextLength { least, most },
        }))
    }
}

#[derive(Debug)]
struct HasLength {
    column: String,
    test: TextLength,
}

#[async_trait]
impl Rule for HasLength {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = text_column(check, planner, &self.column)?;
        let test = row_test::call(self.test.clone(), column);
        Ok(Work::Scan(Measure::False(test)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }

    fn columns(&self) -> Vec<String> {
        vec![self.column.clone()]
    }
}
