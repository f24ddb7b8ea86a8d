//! Rows whose text is a date in a wanted format.
//!
//! Formats are those of strftime: `%Y` year, `%m` month, `%d` day, `%b` `Dec`, `%B` `December`, `%y` two digits of the
//! year, `%j` day of the year, `%H` hour, `%M` minute, `%S` second, `%.f` fraction with its point, `%z` `+0100`,
//! `%:z` `+01:00`, and the others of <https://docs.rs/chrono/latest/chrono/format/strftime/>, of which `%Z`, `%f` and
//! `%+` are refused: they do not read what they write. A text is taken only as the format would write it: `%d` has two
//! digits, `%-d` one or two. It has to be a day of the calendar and of the years 1 to 9999, and a time of the day where
//! the format has hours and minutes. With several formats, one of them has to fit. Nulls pass.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   email:
//!     - date_format: { formats: "%d.%m.%Y", where: status = 'dated' }
//!     - date_format: { formats: ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S"], where: status = 'dated', at_least: 99% }
//! ```

use std::sync::Arc;

use super::matches::PassesTest;
use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::settings::{Form, Setting, Settings};
use crate::time_pattern::{DateText, TimePattern};

pub(crate) struct DateFormat;

const SETTINGS: &[Setting] = &[Setting::required(
    "formats",
    Form::Texts,
    "The formats of which one has to fit.",
)];

impl CheckKind for DateFormat {
    fn name(&self) -> &'static str {
        "date_format"
    }

    fn source(&self) -> &'static str {
        include_str!("date_format.rs")
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
        Some("formats")
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let mut formats = Vec::new();
        for text in settings.texts("formats")? {
            match TimePattern::parse(&text) {
                Ok(format) if format.has_date() || format.has_time() => formats.push(format),
                Ok(_) => {
                    let message = format!("the format `{text}` does not hold a whole date");
                    let hint = "for example `%d.%m.%Y`".to_owned();
                    settings.problem(Some("formats"), message, Some(hint));
                }
                Err((message, hint)) => settings.problem(Some("formats"), message, Some(hint)),
            }
        }
        Some(Arc::new(PassesTest {
            column: column?.to_owned(),
            test: DateText(formats),
        }))
    }
}
