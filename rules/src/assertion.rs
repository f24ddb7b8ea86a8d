//! What a metric is wanted to be: thresholds, and how a metric is held against them.
//!
//! Values are compared exactly where both sides are exact: a share as a fraction of two counts,
//! integers and decimals digit by digit. Only floating-point metrics are compared as such.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::common::ScalarValue;

use crate::{Severity, Verdict};

/// A number as the file or the data has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// `unscaled * 10^-scale`.
    Exact {
        /// All digits.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u32,
    },
    /// A floating-point number.
    Float(f64),
}

impl Number {
    /// A whole number.
    pub(crate) const fn integer(value: i128) -> Self {
        Self::Exact {
            unscaled: value,
            scale: 0,
        }
    }

    /// Reads `-12.50` exactly, and `1e9`, `.inf` or `.nan` as a floating-point number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(exact) = parse_exact(text) {
            return Some(exact);
        }
        match text {
            ".inf" | "+.inf" => return Some(Self::Float(f64::INFINITY)),
            "-.inf" => return Some(Self::Float(f64::NEG_INFINITY)),
            ".nan" => return Some(Self::Float(f64::NAN)),
            _ => {}
        }
        let is_numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        if is_numeric {
            text.parse().ok().map(Self::Float)
        } else {
            None
        }
    }

    /// The nearest floating-point number.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            // Parsing rounds once; dividing by a power of ten would round twice.
            Self::Exact { unscaled, scale } if scale > 0 => {
                format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)
            }
            Self::Exact { unscaled, .. } => unscaled as f64,
            Self::Float(value) => value,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        if let (
            Self::Exact {
                unscaled: left,
                scale: left_scale,
            },
            Self::Exact {
                unscaled: right,
                scale: right_scale,
            },
        ) = (self, other)
        {
            let scale = left_scale.max(right_scale);
            let left = rescale(left, scale - left_scale);
            let right = rescale(right, scale - right_scale);
            if let (Some(left), Some(right)) = (left, right) {
                return Some(left.cmp(&right));
            }
        }
        self.to_f64().partial_cmp(&other.to_f64())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exact { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Self::Exact { unscaled, scale } => {
                let scale = scale as usize;
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let sign = if unscaled < 0 { "-" } else { "" };
                let fraction = fraction.trim_end_matches('0');
                if fraction.is_empty() {
                    write!(f, "{sign}{whole}")
                } else {
                    write!(f, "{sign}{whole}.{fraction}")
                }
            }
            Self::Float(value) => {
                let shortest = format!("{value}");
                if shortest.len() <= 12 {
                    return f.write_str(&shortest);
                }
                if value.abs() >= 1e15 || value.abs() < 1e-3 {
                    return write!(f, "{value:e}");
                }
                let rounded = format!("{value:.6}");
                f.write_str(rounded.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

fn parse_exact(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let fraction: String = fraction.chars().filter(|c| *c != '_').collect();
    let joined: String = whole
        .chars()
        .filter(|c| *c != '_')
        .chain(fraction.chars())
        .collect();
    if joined.is_empty() {
        return None;
    }
    let magnitude: i128 = joined.parse().ok()?;
    Some(Number::Exact {
        unscaled: if is_negative { -magnitude } else { magnitude },
        scale: u32::try_from(fraction.len()).ok()?,
    })
}

fn rescale(unscaled: i128, by: u32) -> Option<i128> {
    unscaled.checked_mul(10i128.checked_pow(by)?)
}

/// A metric, in the form in which it is exact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Quantity {
    /// A number.
    Number(Number),
    /// A share: `part` of `whole`, for example the good rows of all rows.
    Share {
        /// Numerator.
        part: u64,
        /// Denominator; not zero.
        whole: u64,
    },
    /// Milliseconds; negative when the newest value lies in the future.
    Age(i64),
    /// A date or timestamp: microseconds since 1970, UTC.
    Moment(i64, String),
    /// Text.
    Text(String),
}

impl Quantity {
    /// The metric of a minimum or maximum; `None` for null.
    pub(crate) fn from_scalar(value: &ScalarValue) -> Option<Self> {
        if value.is_null() {
            return None;
        }
        let integer = |v: i128| Some(Self::Number(Number::integer(v)));
        match value {
            ScalarValue::Int8(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int16(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int32(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Int64(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt8(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt16(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt32(Some(v)) => integer(i128::from(*v)),
            ScalarValue::UInt64(Some(v)) => integer(i128::from(*v)),
            ScalarValue::Float16(Some(v)) => {
                Some(Self::Number(Number::Float(f64::from(v.to_f32()))))
            }
            // Through text: 1.1 in 32 bits is meant as 1.1, not as 1.10000002384.
            ScalarValue::Float32(Some(v)) => Some(Self::Number(Number::Float(
                v.to_string().parse().unwrap_or(f64::from(*v)),
            ))),
            ScalarValue::Float64(Some(v)) => Some(Self::Number(Number::Float(*v))),
            ScalarValue::Decimal32(Some(v), _, scale) => decimal(i128::from(*v), *scale),
            ScalarValue::Decimal64(Some(v), _, scale) => decimal(i128::from(*v), *scale),
            ScalarValue::Decimal128(Some(v), _, scale) => decimal(*v, *scale),
            ScalarValue::Decimal256(Some(v), _, scale) => match v.to_i128() {
                Some(v) => decimal(v, *scale),
                None => format!("{v}e{}", -i32::from(*scale))
                    .parse()
                    .ok()
                    .map(|v| Self::Number(Number::Float(v))),
            },
            ScalarValue::Dictionary(_, inner) => Self::from_scalar(inner),
            ScalarValue::Utf8(Some(v))
            | ScalarValue::LargeUtf8(Some(v))
            | ScalarValue::Utf8View(Some(v)) => Some(Self::Text(v.clone())),
            _ => {
                let micros = moment_of(value)?;
                Some(Self::Moment(micros, value.to_string()))
            }
        }
    }

    /// The metric as one number, for records and for comparing two reports.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        let value = match self {
            Self::Number(number) => number.to_f64(),
            Self::Share { part, whole } => *part as f64 / *whole as f64,
            Self::Age(milliseconds) => *milliseconds as f64 / 1000.0,
            Self::Moment(micros, _) => *micros as f64 / 1e6,
            Self::Text(_) => return None,
        };
        value.is_finite().then_some(value)
    }

    fn compare(&self, wanted: &Value) -> Option<Ordering> {
        match (self, &wanted.amount) {
            (Self::Number(left), Amount::Number(right)) => left.compare(*right),
            (Self::Share { part, whole }, Amount::Percent(percent)) => {
                compare_share(*part, *whole, *percent)
            }
            (Self::Age(left), Amount::Duration(right)) => {
                Some(i128::from(*left).cmp(&i128::try_from(right.as_millis()).ok()?))
            }
            (Self::Moment(left, _), Amount::Moment(right)) => Some(left.cmp(right)),
            (Self::Text(left), _) => Some(left.as_str().cmp(wanted.text.as_str())),
            _ => None,
        }
    }
}

fn decimal(unscaled: i128, scale: i8) -> Option<Quantity> {
    let number = match u32::try_from(scale) {
        Ok(scale) => Number::Exact { unscaled, scale },
        Err(_) => match rescale(unscaled, u32::from(scale.unsigned_abs())) {
            Some(unscaled) => Number::integer(unscaled),
            None => Number::Float(unscaled as f64 * 10f64.powi(-i32::from(scale))),
        },
    };
    Some(Quantity::Number(number))
}

/// A date or timestamp as microseconds since 1970.
pub(crate) fn moment_of(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Date32(Some(days)) => Some(i64::from(*days) * 86_400_000_000),
        ScalarValue::Date64(Some(millis)) => millis.checked_mul(1000),
        ScalarValue::TimestampSecond(Some(v), _) => v.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(v), _) => v.checked_mul(1000),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Some(*v),
        ScalarValue::TimestampNanosecond(Some(v), _) => Some(v.div_euclid(1000)),
        _ => None,
    }
}

fn compare_share(part: u64, whole: u64, percent: Number) -> Option<Ordering> {
    if let Number::Exact { unscaled, scale } = percent {
        let left = rescale(i128::from(part), scale.checked_add(2)?);
        let right = unscaled.checked_mul(i128::from(whole));
        if let (Some(left), Some(right)) = (left, right) {
            return Some(left.cmp(&right));
        }
    }
    (part as f64 * 100.0 / whole as f64).partial_cmp(&percent.to_f64())
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Share { part, whole } => f.write_str(&percent(*part, *whole)),
            Self::Age(milliseconds) if *milliseconds < 0 => {
                write!(f, "{} in the future", duration(milliseconds.unsigned_abs()))
            }
            Self::Age(milliseconds) => f.write_str(&duration(milliseconds.unsigned_abs())),
            Self::Moment(_, text) | Self::Text(text) => f.write_str(text),
        }
    }
}

/// A share for people. It says `100%` and `0%` only when that is exact.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "no rows".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    for digits in 2..17 {
        let text = format!("{share:.digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let rounds_to_end = (text == "100" && part != whole) || (text == "0" && part != 0);
        if !rounds_to_end {
            return format!("{text}%");
        }
    }
    format!("{part} of {whole}")
}

fn duration(milliseconds: u64) -> String {
    let seconds = Duration::from_secs(milliseconds / 1000);
    humantime::format_duration(seconds).to_string()
}

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
    /// In the unit of [`Quantity::as_f64`].
    fn as_f64(&self) -> Option<f64> {
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
            Self::Duration => "a duration with its unit, such as `6h` or `30min`",
            Self::Any => "a number, a date, a timestamp or text",
        }
    }

    fn takes(self, amount: &Amount) -> bool {
        match self {
            Self::None => false,
            Self::Share => matches!(amount, Amount::Percent(_)),
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

    /// Text, whatever it looks like.
    pub(crate) fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            amount: Amount::Text,
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

    fn amount(text: &str, unit: Unit) -> Amount {
        if unit == Unit::Duration {
            // A bare number has no unit and is no duration, not even 0.
            return match humantime::parse_duration(text) {
                Ok(duration) if text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                    Amount::Duration(duration)
                }
                _ => Amount::Text,
            };
        }
        if let Some(number) = text.strip_suffix('%')
            && let Some(number @ Number::Exact { .. }) = Number::parse(number.trim_end())
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

/// One condition on a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    /// Not less.
    AtLeast(Value),
    /// Not more.
    AtMost(Value),
    /// Not less than the first, not more than the second.
    Between(Value, Value),
    /// The same.
    Equals(Value),
}

impl Bound {
    /// Whether the metric is as wanted. NaN never is.
    pub(crate) fn holds(&self, metric: &Quantity) -> bool {
        let is =
            |value: &Value, wanted: fn(Ordering) -> bool| metric.compare(value).is_some_and(wanted);
        match self {
            Self::AtLeast(value) => is(value, Ordering::is_ge),
            Self::AtMost(value) => is(value, Ordering::is_le),
            Self::Between(low, high) => is(low, Ordering::is_ge) && is(high, Ordering::is_le),
            Self::Equals(value) => is(value, Ordering::is_eq),
        }
    }

    fn distance(&self, metric: &Quantity) -> Option<f64> {
        let metric = metric.as_f64()?;
        let distances = self.values().into_iter().map(|value| {
            let wanted = value.amount.as_f64()?;
            Some((metric - wanted).abs())
        });
        // Outside a range the nearer end counts.
        let nearest = distances.collect::<Option<Vec<f64>>>()?;
        nearest.into_iter().reduce(f64::min)
    }

    /// The values that it names.
    pub(crate) fn values(&self) -> Vec<&Value> {
        match self {
            Self::AtLeast(value) | Self::AtMost(value) | Self::Equals(value) => vec![value],
            Self::Between(low, high) => vec![low, high],
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(value) => write!(f, "at least {}", value.text),
            Self::AtMost(value) => write!(f, "at most {}", value.text),
            Self::Between(low, high) => write!(f, "between {} and {}", low.text, high.text),
            Self::Equals(value) => write!(f, "equal to {}", value.text),
        }
    }
}

/// The conditions of a check, by what happens when they do not hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thresholds {
    pub(crate) warn: Vec<Bound>,
    pub(crate) error: Vec<Bound>,
}

impl Thresholds {
    /// Conditions of one level.
    pub(crate) fn of(severity: Severity, bounds: Vec<Bound>) -> Self {
        match severity {
            Severity::Warn => Self {
                warn: bounds,
                error: Vec::new(),
            },
            Severity::Error => Self {
                warn: Vec::new(),
                error: bounds,
            },
        }
    }

    /// What failing the hardest condition does.
    pub(crate) fn severity(&self) -> Severity {
        if self.error.is_empty() && !self.warn.is_empty() {
            Severity::Warn
        } else {
            Severity::Error
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.warn.is_empty() && self.error.is_empty()
    }

    /// All conditions of both levels.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Bound> {
        self.error.iter().chain(&self.warn)
    }

    /// How far the metric is from the conditions that it breaks, the blocking ones first: 0 when it
    /// breaks none, `None` when it is no number.
    pub(crate) fn distance(&self, metric: &Quantity) -> Option<f64> {
        let level = match self.error.iter().all(|bound| bound.holds(metric)) {
            true => &self.warn,
            false => &self.error,
        };
        let broken = level.iter().filter(|bound| !bound.holds(metric));
        broken
            .map(|bound| bound.distance(metric))
            .try_fold(0.0, |most: f64, distance| Some(most.max(distance?)))
    }

    /// The verdict over a metric, and the conditions that decided it, for people.
    pub(crate) fn decide(&self, metric: &Quantity) -> (Verdict, String) {
        let broken = |bounds: &[Bound]| {
            let broken: Vec<_> = bounds.iter().filter(|b| !b.holds(metric)).collect();
            (!broken.is_empty()).then(|| join(&broken))
        };
        if let Some(expected) = broken(&self.error) {
            return (Verdict::Fail, expected);
        }
        if let Some(expected) = broken(&self.warn) {
            return (Verdict::Warn, expected);
        }
        (Verdict::Pass, self.to_string())
    }
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warn: Vec<_> = self.warn.iter().collect();
        let error: Vec<_> = self.error.iter().collect();
        match (warn.is_empty(), error.is_empty()) {
            (false, false) => write!(f, "{} (warn: {})", join(&error), join(&warn)),
            (false, true) => f.write_str(&join(&warn)),
            _ => f.write_str(&join(&error)),
        }
    }
}

fn join(bounds: &[&Bound]) -> String {
    let texts: Vec<_> = bounds.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}
