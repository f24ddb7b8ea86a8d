//! Rows whose text is a number in a wanted spelling.
//!
//! Digits with an optional sign before and an optional fraction behind the `decimal_point`, and no exponent. With a
//! `thousands_separator` the digits before the point may be grouped by threes; a number that has one separator has
//! all. Blanks around the number are not allowed. Nulls pass.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   email:
//!     - number_format: { where: status = 'number' }
//!     - number_format: { decimal_point: ",", thousands_separator: ".", decimals: 2, where: status = 'number' }
//! ```

use std::sync::Arc;

use super::matches::PassesTest;
use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::number_text::NumberText;
use crate::settings::{Form, Setting, Settings};

pub(crate) struct NumberFormat;

const POINTS: &[(&str, char)] = &[(".", '.'), (",", ',')];

const SEPARATORS: &[(&str, Option<char>)] = &[
    ("none", None),
    (",", Some(',')),
    (".", Some('.')),
    (" ", Some(' ')),
    ("'", Some('\'')),
    ("_", Some('_')),
];

const SETTINGS: &[Setting] = &[
    Setting::optional(
        "decimal_point",
        Form::Choice(&[".", ","]),
        "What stands before the fraction. Default: `.`.",
    ),
    Setting::optional(
        "thousands_separator",
        Form::Choice(&["none", ",", ".", " ", "'", "_"]),
        "What may stand between groups of three digits. Default: `none`.",
    ),
    Setting::optional(
        "decimals",
        Form::Count,
        "How many digits there are behind the point; with 0 there is no point. Default: any number.",
    ),
];

impl CheckKind for NumberFormat {
    fn name(&self) -> &'static str {
        "number_format"
    }

    fn source(&self) -> &'static str {
        include_str!("number_format.rs")
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

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let decimal_point = settings.choice("decimal_point", POINTS).unwrap_or('.');
        let thousands_separator = settings.choice("thousands_separator", SEPARATORS).flatten();
        if thousands_separator == Some(decimal_point) {
            let message = format!("`{decimal_point}` is the decimal point too");
            let hint = Some("give `decimal_point` and `thousands_separator`".to_owned());
            settings.problem(Some("thousands_separator"), message, hint);
        }
        let decimals = settings.count("decimals");
        Some(Arc::new(PassesTest {
            column: column?.to_owned(),
            test: NumberText {
                decimal_point,
                thousands_separator,
                decimals,
            },
        }))
    }
}
