//! Numbers from text: nothing wraps, and whole numbers and decimals are not rounded. `float` and `double` take the
//! nearest number that they have.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::values::Reason;
use crate::schema_file::NumberFormat;

/// A whole number that fits its type.
pub(super) fn integer<T: TryFrom<i64> + Bounds>(
    text: &str,
    format: NumberFormat,
    type_name: &str,
) -> Result<T, Reason> {
    let plain = plain(text, format).ok_or(NOT_WHOLE)?;
    let (is_negative, digits) = match plain.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NOT_WHOLE.into());
    }
    let mut value: Option<i64> = Some(0);
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let shifted = value.and_then(|value| value.checked_mul(10));
        // Counted below zero when negative, so that the least value is reached too.
        value = if is_negative {
            shifted.and_then(|value| value.checked_sub(digit))
        } else {
            shifted.and_then(|value| value.checked_add(digit))
        };
    }
    value
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| {
            let (min, max) = T::bounds();
            format!("is out of range for {type_name} ({min} to {max})").into()
        })
}

const NOT_WHOLE: &str = "is not a whole number";
const NOT_A_NUMBER: &str = "is not a number";

/// Least and greatest value of a type, for messages.
pub(super) trait Bounds {
    fn bounds() -> (i64, i64);
}

macro_rules! bounds {
    ($($integer:ty),*) => {
        $(impl Bounds for $integer {
            fn bounds() -> (i64, i64) {
                (i64::from(Self::MIN), i64::from(Self::MAX))
            }
        })*
    };
}
bounds!(i8, i16, i32, i64);

/// A floating-point number. NaN and infinities only when they are allowed.
pub(super) fn float<T: FromStr + Finite + Display>(
    text: &str,
    format: NumberFormat,
    allows_non_finite: bool,
    type_name: &str,
) -> Result<T, Reason> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_non_finite = ["nan", "inf", "infinity"]
        .iter()
        .any(|name| unsigned.eq_ignore_ascii_case(name));
    if is_non_finite {
        if !allows_non_finite {
            return Err("is not a finite number, and `allow_non_finite` is not set".into());
        }
        return text.parse().map_err(|_| NOT_A_NUMBER.into());
    }
    let plain = plain(text, format).ok_or(NOT_A_NUMBER)?;
    // Rust reads more than numbers: the names above.
    let is_spelled_in_digits = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    if !is_spelled_in_digits {
        return Err(NOT_A_NUMBER.into());
    }
    let value: T = plain.parse().map_err(|_| NOT_A_NUMBER)?;
    if !value.is_finite_number() {
        return Err(format!("is out of range for {type_name}").into());
    }
    Ok(value)
}

/// Whether a number is neither infinite nor NaN.
pub(super) trait Finite {
    fn is_finite_number(&self) -> bool;
}

impl Finite for f32 {
    fn is_finite_number(&self) -> bool {
        self.is_finite()
    }
}

impl Finite for f64 {
    fn is_finite_number(&self) -> bool {
        self.is_finite()
    }
}

/// A decimal in units of its last digit. Digits beyond the scale must be zeros.
pub(super) fn decimal(
    text: &str,
    format: NumberFormat,
    precision: u8,
    scale: i8,
) -> Result<i128, Reason> {
    let plain = plain(text, format).ok_or(NOT_A_NUMBER)?;
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i16 = exponent.parse().map_err(|_| NOT_A_NUMBER)?;
            (mantissa, i64::from(exponent))
        }
        None => (&*plain, 0),
    };
    let (is_negative, unsigned) = match mantissa.as_bytes() {
        [b'-', ..] => (true, &mantissa[1..]),
        [b'+', ..] => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
        return Err(NOT_A_NUMBER.into());
    }
    // The value is `digits * 10^(exponent - fraction.len())`; what counts is how far that is from the scale.
    let fraction_digits = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let shift = i64::from(scale) + exponent - fraction_digits;
    let all = whole.len() + fraction.len();
    let dropped = usize::try_from(-shift).unwrap_or(0).min(all);
    let digits = whole.bytes().chain(fraction.bytes());
    let mut value: i128 = 0;
    let mut is_too_large = false;
    for (i, byte) in digits.enumerate() {
        if i >= all - dropped {
            if byte != b'0' {
                return Err(format!("has more than {scale} digits behind the point").into());
            }
            continue;
        }
        let grown = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(i128::from(byte - b'0')));
        match grown {
            Some(grown) => value = grown,
            None => is_too_large = true,
        }
    }
    for _ in 0..shift.max(0) {
        if value == 0 || is_too_large {
            break;
        }
        match value.checked_mul(10) {
            Some(grown) => value = grown,
            None => is_too_large = true,
        }
    }
    let limit = 10_i128.checked_pow(u32::from(precision));
    if is_too_large || limit.is_some_and(|limit| value >= limit) {
        return Err(format!("is out of range for decimal({precision},{scale})").into());
    }
    Ok(if is_negative { -value } else { value })
}

/// The number with a point and without separators; none when separators stand where they must not.
fn plain(text: &str, format: NumberFormat) -> Option<Cow<'_, str>> {
    if format == NumberFormat::PLAIN {
        return Some(Cow::Borrowed(text));
    }
    let point = char::from(format.decimal_point);
    if point != '.' && format.thousands_separator != Some(b'.') && text.contains('.') {
        return None;
    }
    let (whole, behind) = match text.find([point, 'e', 'E']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut plain = String::with_capacity(text.len());
    match format.thousands_separator {
        Some(separator) if whole.as_bytes().contains(&separator) => {
            let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
            plain.push_str(&whole[..whole.len() - unsigned.len()]);
            for (i, group) in unsigned.split(char::from(separator)).enumerate() {
                let is_whole_group = match i {
                    0 => (1..=3).contains(&group.len()),
                    _ => group.len() == 3,
                };
                if !is_whole_group {
                    return None;
                }
                plain.push_str(group);
            }
        }
        _ => plain.push_str(whole),
    }
    match behind.strip_prefix(point) {
        // A second separator or point stays, and is refused as no digit.
        Some(fraction) => {
            plain.push('.');
            plain.push_str(fraction);
        }
        None => plain.push_str(behind),
    }
    Some(Cow::Owned(plain))
}
