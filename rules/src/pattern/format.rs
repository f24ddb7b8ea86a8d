//! Named formats of text.

mod card;
mod found;

use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A named format.
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
    CreditCard,
    UsSsn,
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
    ("credit_card", Format::CreditCard),
    ("us_ssn", Format::UsSsn),
];

/// The formats that are looked for inside of a text.
pub(crate) const FOUND_FORMATS: &[&str] = &["email", "url", "credit_card", "us_ssn"];

impl Format {
    /// Whether the whole text has the format.
    pub(super) fn is_met(self, text: &str) -> bool {
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
            Self::CreditCard => card::is_credit_card(text),
            Self::UsSsn => is_us_ssn(text),
        }
    }

    /// Whether a part of the text, between word boundaries, has the format. For the formats that are looked for; of
    /// the others the whole text is looked at.
    pub(super) fn is_found(self, text: &str) -> bool {
        match self {
            Self::Email => found::has_email(text),
            Self::Url => found::has_url(text),
            Self::CreditCard => found::has_credit_card(text),
            Self::UsSsn => found::has_us_ssn(text),
            whole => whole.is_met(text),
        }
    }
}

/// An address as forms take it: HTML standard, `input type=email`, with a dot in the domain.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.bytes().all(is_local)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

/// Whether a character may stand before the `@`.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
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
    // The letter of a drive is no scheme; no registered one has a single letter.
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(is_of_scheme);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    is_scheme
        && host.contains(|c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || c == '[')
        && !host.starts_with(['.', ':'])
        && !text.contains(ends_url)
}

/// Whether a character is one of a URL's scheme.
const fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Whether a character is none of a URL.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c)
}

/// A social security number of the United States: `123-45-6789`, `123 45 6789` or `123456789`. Numbers that are never
/// given out are none, nor are the two that were printed for show. Source: Social Security Administration, POMS RM
/// 10201.035.
fn is_us_ssn(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits: [u8; 9] = match bytes {
        [a @ .., b'-', m, n, b'-', w, x, y, z] | [a @ .., b' ', m, n, b' ', w, x, y, z] => {
            let [a, b, c] = a else {
                return false;
            };
            [*a, *b, *c, *m, *n, *w, *x, *y, *z]
        }
        _ => match bytes.try_into() {
            Ok(digits) => digits,
            Err(_) => return false,
        },
    };
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    digits.iter().all(u8::is_ascii_digit)
        && area != b"000"
        && area != b"666"
        && area[0] != b'9'
        && group != b"00"
        && serial != b"0000"
        && &digits != b"078051120"
        && &digits != b"219099999"
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
                &[
                    "example.org",
                    "http://",
                    "http:// x",
                    "://h",
                    "http://a b",
                    "h://test",
                    "http://../",
                    "http://.www.foo.bar/",
                    "https://,",
                ],
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
            (
                Format::CreditCard,
                &["378282246310005", "4111-1111-1111-1111"],
                &[
                    "",
                    "4111 1111 1111 1112",
                    "0000111122223333",
                    " 4111111111111111",
                ],
            ),
            (
                Format::UsSsn,
                &["111-05-1130", "111 05 1130", "111051130", "899-99-9999"],
                &[
                    "",
                    "111-05-000",
                    "111-00-1130",
                    "111-05-0000",
                    "000-05-1130",
                    "666-05-1130",
                    "900-05-1130",
                    "999-05-1130",
                    "111-05 1130",
                    "11105-1130",
                    "1111-05-1130",
                    "078-05-1120",
                    "078051120",
                    "219 09 9999",
                    "111-05-113a",
                    "１１１051130",
                ],
            ),
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
