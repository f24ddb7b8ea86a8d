//! Numbers as the file or the data has them, exact where they can be.

use std::cmp::Ordering;
use std::fmt;

use datafusion::arrow::datatypes::i256;

use crate::yaml::{Resolved, Scalar};

/// A number as the file or the data has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// `unscaled * 10^-scale`.
    Exact {
        /// All digits.
        unscaled: i256,
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
            unscaled: i256::from_i128(value),
            scale: 0,
        }
    }

    /// Reads `-12.50`, `2.9e-1` and `0x1f` exactly; `.inf`, `.nan` and what has too many digits as a
    /// floating-point number. What is no number in YAML is none here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(exact) = parse_exact(text) {
            return Some(exact);
        }
        let scalar = Scalar {
            text: text.to_owned(),
            plain: true,
        };
        match scalar.resolve() {
            Resolved::Integer(value) => Some(Self::integer(i128::from(value))),
            Resolved::Float(value) => Some(Self::Float(value)),
            Resolved::Null | Resolved::Bool(_) | Resolved::Text => None,
        }
    }

    /// The nearest floating-point number.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            // Parsing rounds once; dividing by a power of ten would round twice.
            Self::Exact { unscaled, scale } => {
                format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)
            }
            Self::Float(value) => value,
        }
    }

    /// The difference: exact when both numbers are, and it has no more digits than a decimal.
    pub(crate) fn minus(self, other: Self) -> Self {
        let exact = || {
            let (
                Self::Exact { unscaled, scale },
                Self::Exact {
                    unscaled: other,
                    scale: other_scale,
                },
            ) = (self, other)
            else {
                return None;
            };
            let common = scale.max(other_scale);
            let left = rescale(unscaled, common - scale)?;
            let right = rescale(other, common - other_scale)?;
            Some(Self::Exact {
                unscaled: left.checked_sub(right)?,
                scale: common,
            })
        };
        exact().unwrap_or_else(|| Self::Float(self.to_f64() - other.to_f64()))
    }

    /// How the two compare: exactly when both are exact. NaN does not compare.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (
                Self::Exact { unscaled, scale },
                Self::Exact {
                    unscaled: other,
                    scale: other_scale,
                },
            ) => compare_exactly((unscaled, scale), (other, other_scale)),
            _ => self.to_f64().partial_cmp(&other.to_f64()),
        }
    }

    /// An exact number in steps of a scale, rounded down, and whether something is left. None beyond the digits of a
    /// decimal.
    pub(crate) fn steps(self, scale: i32) -> Option<(i256, bool)> {
        let Self::Exact {
            unscaled,
            scale: from,
        } = self
        else {
            return None;
        };
        let shift = scale.checked_sub(i32::try_from(from).ok()?)?;
        let power = shift.unsigned_abs();
        if shift >= 0 {
            return Some((rescale(unscaled, power)?, false));
        }
        let (whole, rest) = split((unscaled, power))?;
        Some((whole, rest != i256::ZERO))
    }
}

/// Most digits, behind the point and in all: as many as a decimal has.
const MAX_SCALE: u32 = 76;

/// Compares two numbers, each all digits and how many of them stand behind the point. None beyond the digits of a decimal.
pub(super) fn compare_exactly(left: (i256, u32), right: (i256, u32)) -> Option<Ordering> {
    let scale = left.1.max(right.1);
    let (left_whole, left_fraction) = split(left)?;
    let (right_whole, right_fraction) = split(right)?;
    if left_whole != right_whole {
        return Some(left_whole.cmp(&right_whole));
    }
    // A fraction has fewer digits than its scale, so the common scale always fits.
    let left = left_fraction.checked_mul(power_of_ten(scale - left.1)?)?;
    let right = right_fraction.checked_mul(power_of_ten(scale - right.1)?)?;
    Some(left.cmp(&right))
}

/// The whole part, rounded down, and the digits of the rest.
fn split((unscaled, scale): (i256, u32)) -> Option<(i256, i256)> {
    let power = power_of_ten(scale)?;
    let rest = unscaled.checked_rem(power)?;
    let whole = unscaled.checked_div(power)?;
    if rest.is_negative() {
        return Some((whole.checked_sub(i256::ONE)?, rest.checked_add(power)?));
    }
    Some((whole, rest))
}

fn power_of_ten(exponent: u32) -> Option<i256> {
    if exponent > MAX_SCALE {
        return None;
    }
    i256::from_i128(10).checked_pow(exponent)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exact { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Self::Exact { unscaled, scale } => {
                let scale = scale as usize;
                let text = unscaled.to_string();
                let (sign, digits) = match text.strip_prefix('-') {
                    Some(digits) => ("-", digits),
                    None => ("", text.as_str()),
                };
                let digits = format!("{digits:0>width$}", width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
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

/// Digits with a point and an exponent, each where it is wanted.
fn parse_exact(text: &str) -> Option<Number> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(Number::integer(0));
    }
    if digits.len() > MAX_SCALE as usize {
        return None;
    }
    let magnitude: i256 = digits.parse().ok()?;
    let unscaled = if is_negative {
        magnitude.checked_neg()?
    } else {
        magnitude
    };
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    match u32::try_from(scale) {
        Ok(scale) if scale <= MAX_SCALE => Some(Number::Exact { unscaled, scale }),
        Ok(_) => None,
        Err(_) => Some(Number::Exact {
            unscaled: rescale(unscaled, scale.unsigned_abs())?,
            scale: 0,
        }),
    }
}

pub(super) fn rescale(unscaled: i256, by: u32) -> Option<i256> {
    unscaled.checked_mul(power_of_ten(by)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(left: &str, right: &str) -> Option<Ordering> {
        Number::parse(left)?.compare(Number::parse(right)?)
    }

    #[test]
    fn numbers_of_any_size_compare_exactly() {
        let many = "123456789012345678901234567890";
        for (left, right, expected) in [
            ("2.9e-1", "0.29", Ordering::Equal),
            ("1e3", "1000.0", Ordering::Equal),
            ("-1.5E+1", "-15", Ordering::Equal),
            ("0x10", "16", Ordering::Equal),
            ("-0.1", "-0.2", Ordering::Greater),
            ("-0.1", "0", Ordering::Less),
            ("1e-70", "0", Ordering::Greater),
            ("-1e-70", "1e-71", Ordering::Less),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890.00000001",
                Ordering::Less,
            ),
            (
                "9999999999999999999999999999999999999",
                "9999999999999999999999999999999999998.9",
                Ordering::Greater,
            ),
            (many, "1e300", Ordering::Less),
            (
                "99999999999999999999999999999999999999",
                "99999999999999999999999999999999999998.5",
                Ordering::Greater,
            ),
        ] {
            assert_eq!(compare(left, right), Some(expected), "{left} {right}");
            assert_eq!(
                compare(right, left),
                Some(expected.reverse()),
                "{left} {right}"
            );
        }
        assert_eq!(compare(".nan", "1"), None);
    }

    #[test]
    fn what_is_no_number_in_yaml_is_none() {
        for text in [
            "1_0", "", "-", ".", "e5", "1e", "1e5.5", "0x", "inf", "1-2", "5 %",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
