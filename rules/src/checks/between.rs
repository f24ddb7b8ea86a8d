//! Rows whose value lies between two limits, both of them allowed.
//!
//! For numbers, dates and timestamps. Either limit may be left out. Nulls pass; NaN is never
//! between anything, and an infinity lies beyond every limit on its side.
//! Numbers of 32 bits (`float`) are compared as what they are: 0.1 in 32 bits is a little more than 0.1.
//! A date as the limit of a timestamp is its midnight, UTC; `:commit_time` is the time of the
//! commit. The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   amount:
//!     - between: { min: 0, max: 100000, where: status <> 'returned', bad_rows: quarantine }
//!   discount:
//!     - between: [0, 0.5]
//!   ordered_at:
//!     - between: { min: 2020-01-01, max: ":commit_time" }
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::range_test::{Limit, RangeTest};
use crate::row_test;
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Between;

const SETTINGS: &[Setting] = &[
    Setting::optional("min", Form::Limit, "The smallest value that is allowed."),
    Setting::optional("max", Form::Limit, "The largest value that is allowed."),
];

impl CheckKind for Between {
    fn name(&self) -> &'static str {
        "between"
    }

    fn source(&self) -> &'static str {
        include_str!("between.rs")
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
            let message = "check `between` needs `min` or `max`".to_owned();
            let hint = Some("write `between: [0, 100]` or `between: {min: 0}`".to_owned());
            settings.problem(None, message, hint);
        }
        let mut start = None;
        let [min, max] = limits.map(|limit| {
            let (scalar, node) = limit?;
            start.get_or_insert(node);
            let limit = Limit::parse(&scalar.text);
            if limit.is_none() {
                let message = format!("`{}` is no limit", scalar.text);
                let hint = "write a number, a date such as `2024-12-31`, or a timestamp such as `2024-12-31T23:59:59Z`";
                settings.problems.push(node.problem(message).with_hint(hint.to_owned()));
            }
            limit
        });
        if let (Some(low), Some(high), Some(node)) = (&min, &max, start)
            && low.is_more_than(high)
        {
            let message = format!("nothing lies between {low} and {high}");
            settings.problems.push(node.problem(message));
        }
        let column = column?.to_owned();
        Some(Arc::new(IsBetween { column, min, max }))
    }
}

#[derive(Debug)]
struct IsBetween {
    column: String,
    min: Option<Limit>,
    max: Option<Limit>,
}

#[async_trait]
impl Rule for IsBetween {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = planner.column(&self.column)?;
        let data_type = planner.data_type(&self.column)?;
        if data_type.is_null() {
            return Ok(Work::Scan(Measure::nothing_false()));
        }
        let known =
            |limit: &Option<Limit>| limit.as_ref().map(|l| l.at_commit(planner)).transpose();
        let (min, max) = (known(&self.min)?, known(&self.max)?);
        let test = RangeTest::new(&self.column, &data_type, min.as_ref(), max.as_ref())?;
        Ok(Work::Scan(Measure::False(row_test::call(test, column))))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
