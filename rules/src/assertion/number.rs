//! Numbers as the file or the data has them, exact where they can be.

use std::cmp::Ordering;
use std::fmt;

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

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
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

pub(super) fn rescale(unscaled: i128, by: u32) -> Option<i128> {
    unscaled.checked_mul(10i128.checked_pow(by)?)
}
