//! Rows whose text matches a regular expression or a named format.
//!
//! A `pattern` may match anywhere in the text: anchor it with `^` and `$` to mean all of it.
//! Look-around and back-references work. A named `format` means the whole text:
//! `email`, `url`, `uuid`, `ipv4`, `ipv6`, `iso_date` (`2024-12-31`, a day of the calendar),
//! `iso_timestamp` (`2024-12-31T23:59:59`, with or without fraction and zone), `integer`,
//! `decimal`, `country_code` (two upper-case letters), `currency_code` (three), `credit_card`
//! (a number of an issuer's length whose check digit is right, without separators or with blanks
//! or hyphens between its groups) and `us_ssn` (`123-45-6789`, with hyphens, blanks or neither, and
//! no number that is never given out).
//! With `anywhere: true` an `email`, `url`, `credit_card` or `us_ssn` may stand anywhere in the text,
//! between word boundaries; `at_most: 0%` then finds texts that must not hold one, where nulls are
//! left out by `where`.
//! Nulls pass; the empty string has to match.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   email:
//!     - matches: { format: email, at_least: 99.5%, bad_rows: quarantine }
//!   status:
//!     - matches: "^[a-z]+$"
//!     - matches: { format: credit_card, anywhere: true, at_most: 0%, where: status IS NOT NULL }
//! ```
//!
//! Source: Deequ 2.0 `PatternMatch`; its named patterns are those of `anywhere: true`, without the check digit.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::text_column;
use crate::pattern::{FORMATS, FOUND_FORMATS, Format, TextPattern};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test::{self, RowTest};
use crate::settings::{Form, Setting, Settings, quoted};
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
    "credit_card",
    "us_ssn",
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
    Setting::optional(
        "anywhere",
        Form::Flag,
        "Whether the format may stand anywhere in the text. Default: `false`.",
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
        let is_anywhere = settings.flag("anywhere").unwrap_or(false);
        if settings.has("anywhere") && settings.has("pattern") {
            let message = "`anywhere` belongs to a `format`".to_owned();
            let hint = Some("a pattern matches anywhere unless `^` and `$` anchor it".to_owned());
            settings.problem(Some("anywhere"), message, hint);
        }
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
            (false, true) => {
                let format = settings.choice("format", FORMATS)?;
                match is_anywhere {
                    true => found_format(format, settings)?,
                    false => TextPattern::Format(format),
                }
            }
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
        Some(Arc::new(PassesTest { column, test }))
    }
}

fn found_format(format: Format, settings: &mut Settings<'_>) -> Option<TextPattern> {
    let names = FORMATS.iter().filter(|(_, known)| *known == format);
    if names
        .into_iter()
        .any(|(name, _)| FOUND_FORMATS.contains(name))
    {
        return Some(TextPattern::Holds(format));
    }
    let message = "this format is always the whole text".to_owned();
    let hint = format!("`anywhere` goes with {}", quoted(FOUND_FORMATS));
    settings.problem(Some("anywhere"), message, Some(hint));
    None
}

/// Every text of a column passes a test.
#[derive(Debug)]
pub(super) struct PassesTest<T> {
    pub(super) column: String,
    pub(super) test: T,
}

#[async_trait]
impl<T: RowTest + Clone> Rule for PassesTest<T> {
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
