//! The values that a threshold names, and what they may be.

use std::cmp::Ordering;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::number::Number;
use crate::yaml::parse_duration;

/// One value in a threshold, with the text by which the file names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// As written.
    pub(crate) text: String,
    /// What it means.
    pub(crate) amount: Amount,
}

/// What a threshold's value means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    /// A number.
    Number(Number),
    /// `99.5%`: the number before the sign.
    Percent(Number),
    /// `6h`.
    Duration(Duration),
    /// A date or timestamp: microseconds since 1970, UTC.
    Moment(i64),
    /// Anything else.
    Text,
}

impl Amount {
    /// In the unit of [`Quantity::as_f64`](super::Quantity::as_f64).
    pub(super) fn as_f64(&self) -> Option<f64> {
        let value = match self {
            Self::Number(number) => number.to_f64(),
            Self::Percent(number) => number.to_f64() / 100.0,
            Self::Duration(duration) => duration.as_secs_f64(),
            Self::Moment(micros) => *micros as f64 / 1e6,
            Self::Text => return None,
        };
        value.is_finite().then_some(value)
    }
}

/// What the values of a check's thresholds may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The check has no thresholds.
    None,
    /// Percents: the share of good rows.
    Share,
    /// Numbers.
    Number,
    /// Numbers, or percents of the values.
    CountOrShare,
    /// Percents of another number, more than all of it among them.
    Ratio,
    /// Durations.
    Duration,
    /// Numbers, dates, timestamps or text, as the column has.
    Any,
}

impl Unit {
    /// The form that a value has, for messages.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Share => "a percent such as `99.5%`",
            Self::Number => "a number",
            Self::CountOrShare => "a number, or a percent such as `90%`",
            Self::Ratio => "a percent such as `99.5%` or `102%`",
            Self::Duration => "a duration with its unit, such as `6h` or `30min`",
            Self::Any => "a number, a date, a timestamp or text",
        }
    }

    fn takes(self, amount: &Amount) -> bool {
        match self {
            Self::None => false,
            Self::Share | Self::Ratio => matches!(amount, Amount::Percent(_)),
            Self::Number => matches!(amount, Amount::Number(_)),
            Self::CountOrShare => matches!(amount, Amount::Number(_) | Amount::Percent(_)),
            Self::Duration => matches!(amount, Amount::Duration(_)),
            Self::Any => !matches!(amount, Amount::Percent(_) | Amount::Duration(_)),
        }
    }
}

impl Value {
    /// Reads a value of the unit; `None` when the text is none.
    pub(crate) fn parse(text: &str, unit: Unit) -> Option<Self> {
        let amount = Self::amount(text, unit);
        let is_sane = match &amount {
            Amount::Percent(number) => {
                let percent = number.to_f64();
                unit != Unit::Share && percent >= 0.0 || (0.0..=100.0).contains(&percent)
            }
            Amount::Number(number) => !number.to_f64().is_nan(),
            _ => true,
        };
        (is_sane && unit.takes(&amount)).then(|| Self {
            text: text.to_owned(),
            amount,
        })
    }

    /// Text in quotes: a date or timestamp, or text, and never a number. Beside text it is text.
    pub(crate) fn quoted(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            amount: parse_moment(text).map_or(Amount::Text, Amount::Moment),
        }
    }

    /// Whether it is more than another value of the same form.
    pub(crate) fn is_more_than(&self, other: &Self) -> bool {
        let order = match (&self.amount, &other.amount) {
            (Amount::Number(left), Amount::Number(right))
            | (Amount::Percent(left), Amount::Percent(right)) => left.compare(*right),
            (Amount::Duration(left), Amount::Duration(right)) => Some(left.cmp(right)),
            (Amount::Moment(left), Amount::Moment(right)) => Some(left.cmp(right)),
            (Amount::Text, Amount::Text) => Some(self.text.cmp(&other.text)),
            _ => None,
        };
        order.is_some_and(Ordering::is_gt)
    }

    /// Whether the text means this value.
    pub(super) fn is_written(&self, text: &str) -> bool {
        let unit = match self.amount {
            Amount::Duration(_) => Unit::Duration,
            _ => Unit::Any,
        };
        match (Self::amount(text, unit), &self.amount) {
            (Amount::Number(left), Amount::Number(right))
            | (Amount::Percent(left), Amount::Percent(right)) => {
                left.compare(*right) == Some(Ordering::Equal)
            }
            (left, right) => left == *right && left != Amount::Text,
        }
    }

    fn amount(text: &str, unit: Unit) -> Amount {
        if unit == Unit::Duration {
            return parse_duration(text).map_or(Amount::Text, Amount::Duration);
        }
        if let Some(number) = text.strip_suffix('%').map(str::trim_end)
            && !number.contains(|c: char| c.is_ascii_alphabetic())
            && let Some(number @ Number::Exact { .. }) = Number::parse(number)
        {
            return Amount::Percent(number);
        }
        if let Some(number) = Number::parse(text) {
            return Amount::Number(number);
        }
        match parse_moment(text) {
            Some(micros) => Amount::Moment(micros),
            None => Amount::Text,
        }
    }
}

/// Reads a date, or a timestamp with or without a zone, as microseconds since 1970 (UTC).
pub(crate) fn parse_moment(text: &str) -> Option<i64> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_micros());
    }
    for format in [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.fZ",
    ] {
        if let Ok(moment) = DateTime::parse_from_str(text, format) {
            return Some(moment.timestamp_micros());
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(text, format) {
            return Some(moment.and_utc().timestamp_micros());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}
