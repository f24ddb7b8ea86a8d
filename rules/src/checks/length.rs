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

    fn choices(&self) -> &'static [&'static [&'static str]] {
        &[&["min"], &["max"]]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let before = settings.problems.len();
        let limits = settings.limits();
        if limits.iter().all(Option::is_none) && settings.problems.len() == before {
            let message = "check `length` needs `min` or `max`".to_owned();
            let hint = Some("write `length: [1, 50]` or `length: {max: 50}`".to_owned());
            settings.problem(None, message, hint);
        }
        let mut start = None;
        let [min, max] = limits.map(|limit| {
            let (_, node) = limit?;
            start.get_or_insert(node);
            node.count("a length", settings.problems)
        });
        let limit = |count: Option<u64>, open: usize| {
            count.map_or(open, |count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let (least, most) = (limit(min, 0), limit(max, usize::MAX));
        if let (Some(node), true) = (start, least > most) {
            let message = format!("no length is at least {least} and at most {most}");
            settings.problems.push(node.problem(message));
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
}
