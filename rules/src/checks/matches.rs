//! Rows whose text matches a regular expression or a named format.
//!
//! A `pattern` may match anywhere in the text: anchor it with `^` and `$` to mean all of it.
//! Look-around and back-references work. A named `format` means the whole text:
//! `email`, `url`, `uuid`, `ipv4`, `ipv6`, `iso_date` (`2024-12-31`, a day of the calendar),
//! `iso_timestamp` (`2024-12-31T23:59:59`, with or without fraction and zone), `integer`,
//! `decimal`, `country_code` (two upper-case letters) and `currency_code` (three).
//! Nulls pass; the empty string has to match.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   email:
//!     - matches: { format: email, at_least: 99.5%, bad_rows: quarantine }
//!   status:
//!     - matches: "^[a-z]+$"
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::text_column;
use crate::pattern::{FORMATS, TextPattern};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test;
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

pub(crate) struct Matches;

const FORMAT_NAMES: &[&str] = &[
    "email",
    "url",
    "uuid",
    "ipv4",
    "ipv6",
    "iso_date",
    "iso_timestamp",
    "integer",
    "decimal",
    "country_code",
    "currency_code",
];

const SETTINGS: &[Setting] = &[
    Setting::optional(
        "pattern",
        Form::Text,
        "A regular expression that has to match somewhere.",
    ),
    Setting::optional(
        "format",
        Form::Choice(FORMAT_NAMES),
        "A named format of the whole text.",
    ),
];

impl CheckKind for Matches {
    fn name(&self) -> &'static str {
        "matches"
    }

    fn source(&self) -> &'static str {
        include_str!("matches.rs")
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
        Some("pattern")
    }

    fn choices(&self) -> &'static [&'static [&'static str]] {
        &[&["pattern"], &["format"]]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let test = match (settings.has("pattern"), settings.has("format")) {
            (true, false) => {
                let pattern = settings.text("pattern")?;
                match TextPattern::regex(&pattern) {
                    Ok(test) => test,
                    Err(message) => {
                        settings.problem(Some("pattern"), message, None);
                        return None;
                    }
                }
            }
            (false, true) => TextPattern::format(settings.choice("format", FORMATS)?),
            (true, true) => {
                let message = "check `matches` has both `pattern` and `format`".to_owned();
                let hint = Some("write two checks".to_owned());
                settings.problem(None, message, hint);
                return None;
            }
            (false, false) => {
                let message = "check `matches` needs `pattern` or `format`".to_owned();
                let hint =
                    Some("write `matches: \"^[a-z]+$\"` or `matches: {format: email}`".to_owned());
                settings.problem(None, message, hint);
                return None;
            }
        };
        let column = column?.to_owned();
        Some(Arc::new(HasPattern { column, test }))
    }
}

#[derive(Debug)]
struct HasPattern {
    column: String,
    test: TextPattern,
}

#[async_trait]
impl Rule for HasPattern {
    async fn plan(&self, check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let column = text_column(check, planner, &self.column)?;
        let test = row_test::call(self.test.clone(), column);
        Ok(Work::Scan(Measure::False(test)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_documented() {
        let known: Vec<_> = FORMATS.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, FORMAT_NAMES);
        for name in known {
            assert!(Matches.source().contains(&format!("`{name}`")), "{name}");
        }
    }
}
