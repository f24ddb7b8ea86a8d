//! Text that matches a regular expression or a named format.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::common::{DataFusionError, Result};
use regex::Regex;

use crate::row_test::{RowTest, test_text};

/// A named format of the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Email,
    Url,
    Uuid,
    Ipv4,
    Ipv6,
    IsoDate,
    IsoTimestamp,
    Integer,
    Decimal,
    CountryCode,
    CurrencyCode,
}

/// The formats by name.
pub(crate) const FORMATS: &[(&str, Format)] = &[
    ("email", Format::Email),
    ("url", Format::Url),
    ("uuid", Format::Uuid),
    ("ipv4", Format::Ipv4),
    ("ipv6", Format::Ipv6),
    ("iso_date", Format::IsoDate),
    ("iso_timestamp", Format::IsoTimestamp),
    ("integer", Format::Integer),
    ("decimal", Format::Decimal),
    ("country_code", Format::CountryCode),
    ("currency_code", Format::CurrencyCode),
];

impl Format {
    fn is_met(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Url => is_url(text),
            Self::Uuid => is_uuid(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::IsoDate => is_iso_date(text),
            Self::IsoTimestamp => is_iso_timestamp(text),
            Self::Integer => is_integer(text),
            Self::Decimal => is_decimal(text),
            Self::CountryCode => text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()),
            Self::CurrencyCode => text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()),
        }
    }
}

/// An address as forms take it: HTML standard, `input type=email`, with a dot in the domain.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.bytes().all(is_local)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A URL with a scheme and a host: `https://example.org/path`.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    is_scheme
        && !host.is_empty()
        && !host.starts_with(['.', ':'])
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

fn is_iso_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
        && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn is_iso_timestamp(text: &str) -> bool {
    let has_shape = text.is_char_boundary(10)
        && text.len() >= 19
        && is_iso_date(&text[..10])
        && text.as_bytes()[10] == b'T';
    has_shape
        && (DateTime::parse_from_rfc3339(text).is_ok()
            || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_ok())
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    match number.split_once('.') {
        None => is_integer(text),
        Some((whole, fraction)) => {
            let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            is_digits(whole) && is_digits(fraction) && number.len() > 1
        }
    }
}

/// What a text has to match.
#[derive(Debug, Clone)]
pub(crate) enum TextPattern {
    /// A named format.
    Format(Format),
    /// A regular expression in linear time.
    Regex(Regex),
    /// One with look-around or back-references.
    Fancy(Arc<fancy_regex::Regex>),
}

impl TextPattern {
    pub(crate) const fn format(format: Format) -> Self {
        Self::Format(format)
    }

    /// Compiles a pattern; the error is a message.
    pub(crate) fn regex(pattern: &str) -> Result<Self, String> {
        let error = match Regex::new(pattern) {
            Ok(regex) => return Ok(Self::Regex(regex)),
            Err(error) => error,
        };
        // Only what the linear engine lacks goes to the one that backtracks.
        if let (regex::Error::Syntax(_), Ok(regex)) = (&error, fancy_regex::Regex::new(pattern)) {
            return Ok(Self::Fancy(Arc::new(regex)));
        }
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        Err(format!(
            "the pattern `{pattern}` is no regular expression: {reason}"
        ))
    }

    fn identity(&self) -> (u8, String) {
        match self {
            Self::Format(format) => (0, format!("{format:?}")),
            Self::Regex(regex) => (1, regex.as_str().to_owned()),
            Self::Fancy(regex) => (2, regex.as_str().to_owned()),
        }
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for TextPattern {}

impl Hash for TextPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl RowTest for TextPattern {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        match self {
            Self::Format(format) => test_text(values, |text| format.is_met(text)),
            Self::Regex(regex) => {
                if let Some(tested) = test_distinct(values, |text| regex.is_match(text))? {
                    return Ok(tested);
                }
                test_text(values, |text| regex.is_match(text))
            }
            Self::Fancy(regex) => {
                let mut failure = None;
                let tested = test_text(values, |text| match regex.is_match(text) {
                    Ok(is_match) => is_match,
                    Err(error) => {
                        failure.get_or_insert(error);
                        false
                    }
                })?;
                match failure {
                    None => Ok(tested),
                    Some(error) => Err(DataFusionError::Execution(format!(
                        "the pattern `{}` could not be matched: {error}",
                        regex.as_str()
                    ))),
                }
            }
        }
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let (kind, text) = self.identity();
        Some(vec!["text pattern".to_owned(), kind.to_string(), text])
    }
}

/// So many distinct values are remembered in a batch.
const MOST_REMEMBERED: usize = 64;

/// So many rows decide whether remembering pays.
const PROBED_ROWS: usize = 256;

/// Tests each distinct value once. `None` when the values repeat too little for that to pay.
fn test_distinct(values: &ArrayRef, test: impl Fn(&str) -> bool) -> Result<Option<BooleanArray>> {
    if values.len() < PROBED_ROWS {
        return Ok(None);
    }
    let probe = values.slice(0, PROBED_ROWS);
    let mut seen: HashMap<String, bool> = HashMap::new();
    test_text(&probe, |text| {
        if seen.len() <= MOST_REMEMBERED && !seen.contains_key(text) {
            seen.insert(text.to_owned(), test(text));
        }
        true
    })?;
    if seen.len() > MOST_REMEMBERED {
        return Ok(None);
    }
    let tested = test_text(values, |text| match seen.get(text) {
        Some(is_match) => *is_match,
        None => test(text),
    })?;
    Ok(Some(tested))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_know_good_from_bad() {
        let cases: &[(Format, &[&str], &[&str])] = &[
            (
                Format::Email,
                &["a@b.co", "first.last+tag@sub.example.org", "o'neil@x-y.io"],
                &[
                    "",
                    "a@b",
                    "a b@c.de",
                    ".a@b.co",
                    "a..b@c.de",
                    "a@-b.de",
                    "a@b..de",
                    "@b.de",
                ],
            ),
            (
                Format::Url,
                &[
                    "https://example.org",
                    "http://u:p@h:80/p?q#f",
                    "s3://bucket/key",
                ],
                &["example.org", "http://", "http:// x", "://h", "http://a b"],
            ),
            (
                Format::Uuid,
                &["123e4567-e89b-12d3-a456-426614174000"],
                &[
                    "123e4567e89b12d3a456426614174000",
                    "g23e4567-e89b-12d3-a456-426614174000",
                ],
            ),
            (
                Format::Ipv4,
                &["127.0.0.1"],
                &["127.0.0.256", "1.2.3", "01.2.3.4"],
            ),
            (
                Format::Ipv6,
                &["::1", "2001:db8::8a2e:370:7334"],
                &["1.2.3.4", ":::"],
            ),
            (
                Format::IsoDate,
                &["2024-02-29"],
                &[
                    "2023-02-29",
                    "2024-2-29",
                    "2024-02-29T00:00:00",
                    "+024-02-29",
                ],
            ),
            (
                Format::IsoTimestamp,
                &[
                    "2024-02-29T01:02:03",
                    "2024-02-29T01:02:03.5Z",
                    "2024-02-29T01:02:03+02:00",
                ],
                &[
                    "2024-02-29",
                    "2024-02-29 01:02:03",
                    "2024-02-29T25:00:00",
                    "ääääääääää",
                ],
            ),
            (
                Format::Integer,
                &["0", "-12", "+7"],
                &["", "-", "1.0", "1e3"],
            ),
            (
                Format::Decimal,
                &["0", "-12.50", ".5", "5."],
                &["", ".", "-", "1,5", "1e3"],
            ),
            (Format::CountryCode, &["DE"], &["de", "DEU", "Ä"]),
            (Format::CurrencyCode, &["EUR"], &["eur", "EU"]),
        ];
        assert_eq!(cases.len(), FORMATS.len());
        for (format, good, bad) in cases {
            for text in *good {
                assert!(format.is_met(text), "{format:?} {text:?}");
            }
            for text in *bad {
                assert!(!format.is_met(text), "{format:?} {text:?}");
            }
        }
    }
}
