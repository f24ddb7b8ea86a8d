//! Formats of dates and times, as strftime has them: a text is taken only as the format would write it.

use std::hash::{Hash, Hasher};

use chrono::format::{Fixed, Item, Numeric, Pad, Parsed, StrftimeItems, parse_and_remainder};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;

use crate::row_test::{RowTest, test_text};

const NANOS_IN_SECOND: u32 = 1_000_000_000;

/// A format of dates and times. The directives are those of chrono's `strftime`.
#[derive(Debug, Clone)]
pub struct TimePattern {
    text: String,
    items: Vec<Item<'static>>,
    has_time: bool,
}

/// A moment, or a time without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParsedTime {
    /// With an offset.
    Moment(DateTime<FixedOffset>),
    /// Without.
    Local(NaiveDateTime),
}

impl TimePattern {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong with the format, and the way out: a directive that is not known, or that does not read what it
    /// writes.
    pub fn parse(text: &str) -> std::result::Result<Self, (String, String)> {
        let Ok(items) = StrftimeItems::new(text).parse_to_owned() else {
            let hint = "for example `%Y-%m-%d %H:%M:%S`".to_owned();
            return Err((format!("`{text}` is not a format of strftime"), hint));
        };
        if let Some((specifier, why, hint)) = items.iter().find_map(unreadable) {
            let message = format!("`{specifier}` in the format `{text}` {why}");
            return Err((message, hint.to_owned()));
        }
        let mut pattern = Self {
            text: text.to_owned(),
            items,
            has_time: false,
        };
        pattern.has_time = pattern.reads_back_time();
        Ok(pattern)
    }

    /// Whether a text of the format says a date, and nothing else.
    pub fn has_date(&self) -> bool {
        let Some(date) = sample().map(|sample| sample.date_naive()) else {
            return false;
        };
        let mut text = String::new();
        let format = date.format_with_items(self.items.iter());
        let written = std::fmt::write(&mut text, format_args!("{format}"));
        written.is_ok() && self.date(&text) == Some(date)
    }

    /// Whether a text of the format says a date and a time of day. Seconds may be missing, hours and minutes not.
    pub const fn has_time(&self) -> bool {
        self.has_time
    }

    fn reads_back_time(&self) -> bool {
        let Some(moment) = sample() else {
            return false;
        };
        let mut text = String::new();
        let format = moment.format_with_items(self.items.iter());
        let written = std::fmt::write(&mut text, format_args!("{format}"));
        let found = self.time(&text).map(|found| match found {
            ParsedTime::Moment(moment) => moment.naive_utc(),
            ParsedTime::Local(local) => local,
        });
        let minutes = |time: NaiveDateTime| time.and_utc().timestamp() / 60;
        written.is_ok() && found.map(minutes) == Some(minutes(moment.naive_utc()))
    }

    /// The date of a text, between the years 1 and 9999.
    pub fn date(&self, text: &str) -> Option<NaiveDate> {
        let date = self.read(text)?.to_naive_date().ok()?;
        (1..=9999).contains(&date.year()).then_some(date)
    }

    /// The date and time of a text, between the years 1 and 9999.
    pub fn time(&self, text: &str) -> Option<ParsedTime> {
        let parsed = self.read(text)?;
        let found = if parsed.offset().is_some() || parsed.timestamp().is_some() {
            let moment = match parsed.offset() {
                Some(_) => parsed.to_datetime().ok()?,
                None => parsed
                    .to_naive_datetime_with_offset(0)
                    .ok()?
                    .and_utc()
                    .fixed_offset(),
            };
            ParsedTime::Moment(moment)
        } else {
            ParsedTime::Local(parsed.to_naive_datetime_with_offset(0).ok()?)
        };
        let time = match found {
            ParsedTime::Moment(moment) => moment.naive_utc(),
            ParsedTime::Local(local) => local,
        };
        // Chrono keeps a second 60 as more than a whole second of nanoseconds.
        let exists = (1..=9999).contains(&time.year()) && time.nanosecond() < NANOS_IN_SECOND;
        exists.then_some(found)
    }

    /// Whether a text says a date, and a time of day where the format has one.
    fn is_met(&self, text: &str) -> bool {
        match self.has_time {
            true => self.time(text).is_some(),
            false => self.date(text).is_some(),
        }
    }

    /// Reads a text item by item: each takes what it would write. Chrono by itself passes over blanks, and takes fewer
    /// digits than there have to be.
    fn read(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        let mut rest = text;
        for item in &self.items {
            let behind = parse_and_remainder(&mut parsed, rest, std::iter::once(item)).ok()?;
            let taken = rest.get(..rest.len() - behind.len())?;
            if !is_whole(item, taken) {
                return None;
            }
            rest = behind;
        }
        rest.is_empty().then_some(parsed)
    }
}

impl PartialEq for TimePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TimePattern {}

impl Hash for TimePattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Items that write what they cannot read: the specifier, why, and the way out.
fn unreadable(item: &Item<'_>) -> Option<(&'static str, &'static str, &'static str)> {
    match item {
        Item::Fixed(Fixed::TimezoneName) => Some((
            "%Z",
            "stands for the name of a zone, which says no offset",
            "`%z` reads an offset such as `+0100`; a name that is always the same is text of the format, as in `%H:%M UTC`",
        )),
        Item::Numeric(Numeric::Nanosecond, _) => Some((
            "%f",
            "counts nanoseconds: it would read `.5` as 5 of them",
            "`%.f` reads a fraction of a second with its point, `%6f` six digits of one",
        )),
        Item::Fixed(Fixed::RFC3339) => Some((
            "%+",
            "does not say how many digits there are",
            "write out its parts, as in `%Y-%m-%dT%H:%M:%S%.f%:z`; columns that are typed have the format `iso`",
        )),
        _ => None,
    }
}

/// Whether an item could have written the text that it took.
fn is_whole(item: &Item<'_>, taken: &str) -> bool {
    match item {
        Item::Space(blanks) => taken == *blanks,
        Item::OwnedSpace(blanks) => taken == &**blanks,
        Item::Numeric(numeric, pad) => {
            let digits = match pad {
                Pad::Space => taken.trim_start_matches(' '),
                Pad::Zero | Pad::None => taken,
            };
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // Without padding, as in `%-d`, a number has as many digits as it likes.
            let is_wide = *pad == Pad::None || width(numeric).is_none_or(|w| taken.len() == w);
            is_number && is_wide
        }
        Item::Fixed(Fixed::Nanosecond) => taken.len() <= ".123456789".len(),
        Item::Fixed(Fixed::Nanosecond3) => taken.len() == ".123".len(),
        Item::Fixed(Fixed::Nanosecond6) => taken.len() == ".123456".len(),
        Item::Fixed(Fixed::Nanosecond9) => taken.len() == ".123456789".len(),
        Item::Fixed(_) => !taken.contains(char::is_whitespace),
        Item::Literal(_) | Item::OwnedLiteral(_) | Item::Error => true,
    }
}

/// Characters of a number; none when it has no limit.
fn width(numeric: &Numeric) -> Option<usize> {
    match numeric {
        Numeric::Year | Numeric::IsoYear => Some(4),
        Numeric::Ordinal => Some(3),
        Numeric::Quarter | Numeric::NumDaysFromSun | Numeric::WeekdayFromMon => Some(1),
        Numeric::Timestamp => None,
        _ => Some(2),
    }
}

/// A date whose parts all differ, in the afternoon.
fn sample() -> Option<DateTime<FixedOffset>> {
    let date = NaiveDate::from_ymd_opt(2013, 2, 3)?;
    let time = NaiveTime::from_hms_opt(16, 5, 6)?;
    Some(NaiveDateTime::new(date, time).and_utc().fixed_offset())
}

/// Text that says a date by one of some formats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DateText(pub(crate) Vec<TimePattern>);

impl RowTest for DateText {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        test_text(values, |text| {
            self.0.iter().any(|format| format.is_met(text))
        })
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let formats = self.0.iter().map(|format| format.text.clone());
        Some(
            ["date text".to_owned()]
                .into_iter()
                .chain(formats)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::TimePattern;

    #[test]
    fn text_is_taken_as_the_format_writes_it() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "%d.%m.%Y",
                &["31.12.2024", "29.02.2024"],
                &[
                    "",
                    "1.12.2024",
                    "31.11.2024",
                    "29.02.2023",
                    "31.12.24",
                    " 31.12.2024",
                    "31.12.2024 ",
                    "31.12.0000",
                ],
            ),
            (
                "%-d.%-m.%Y",
                &["1.2.2024", "01.02.2024"],
                &["1. 2.2024", "+1.2.2024"],
            ),
            (
                "%d %b %Y",
                &["31 Dec 2024"],
                &["31 December 2024", "31 Foo 2024"],
            ),
            (
                "%Y-%m-%d %H:%M:%S",
                &["2024-12-31 23:59:59"],
                &[
                    "2024-12-31 24:00:00",
                    "2024-12-31 23:59:60",
                    "2024-12-31T23:59:59",
                    "2024-12-31",
                ],
            ),
            (
                "%Y-%m-%dT%H:%M:%S%:z",
                &["2024-12-31T23:59:59+01:00"],
                &["2024-12-31T23:59:59"],
            ),
            ("%Y%j", &["2024366"], &["2023366"]),
        ];
        for (format, good, bad) in cases {
            let format = TimePattern::parse(format).unwrap();
            assert!(format.has_date() || format.has_time(), "{format:?}");
            for text in *good {
                assert!(format.is_met(text), "{format:?} {text:?}");
            }
            for text in *bad {
                assert!(!format.is_met(text), "{format:?} {text:?}");
            }
        }
        for format in ["%Y-%m", "%H:%M", "text", ""] {
            let format = TimePattern::parse(format).unwrap();
            assert!(!format.has_date() && !format.has_time(), "{format:?}");
        }
        for format in ["%Q", "%", "%Y-%m-%d %Z", "%f", "%+"] {
            assert!(TimePattern::parse(format).is_err(), "{format}");
        }
    }
}
