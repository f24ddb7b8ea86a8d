//! Scalars, and how their text is read.

use std::time::Duration;

/// A scalar as written. What it means depends on who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes.
    pub text: String,
    /// Whether it stands without quotes, so that `true`, `7` and `null` are not text.
    pub plain: bool,
}

/// What a scalar is in the core schema of YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Anything else.
    Text,
}

impl Scalar {
    /// What it is in the core schema.
    pub fn resolve(&self) -> Resolved {
        if !self.plain {
            return Resolved::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
                return Resolved::Float(f64::INFINITY);
            }
            "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
            _ => {}
        }
        if let Some(integer) = parse_integer(&self.text) {
            return Resolved::Integer(integer);
        }
        match parse_float(&self.text) {
            Some(float) => Resolved::Float(float),
            None => Resolved::Text,
        }
    }

    /// Whether it is `null`, `~` or nothing.
    pub fn is_null(&self) -> bool {
        self.resolve() == Resolved::Null
    }
}

/// A whole number in the core schema: decimal, `0o` or `0x`.
fn parse_integer(text: &str) -> Option<i64> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let are_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            return are_digits
                .then(|| i64::from_str_radix(digits, radix).ok())
                .flatten();
        }
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let are_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    are_digits.then(|| text.parse().ok()).flatten()
}

/// A number in the core schema that is neither infinite nor `.nan`.
fn parse_float(text: &str) -> Option<f64> {
    let is_numeric = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    if !is_numeric || !has_digit {
        return None;
    }
    text.parse().ok()
}

/// A duration with its units, such as `6h` or `1d 12h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let has_unit = text.bytes().any(|b| b.is_ascii_alphabetic());
    if !has_unit {
        return None;
    }
    humantime::parse_duration(text.trim()).ok()
}

/// A size such as `128MiB` or `2 GB`, in bytes; a number without unit is bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = parse_float(number)? * factor as f64;
    // Sizes beyond 2^53 bytes are no configuration anyone means.
    (bytes < 9_007_199_254_740_992.0).then_some(bytes as u64)
}
