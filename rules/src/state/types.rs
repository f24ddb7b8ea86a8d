//! What values look like: numbers, truth values or other text.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArrayType};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::codec::{DecodeError, Reader, Writer};
use crate::literal::is_text;
use crate::plan::Trouble;
use crate::row_test::test_text;

/// What a value looks like, whatever the type of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Likeness {
    /// A number with a fraction or an exponent.
    Fractional,
    /// A whole number.
    Integral,
    /// `true` or `false`.
    Boolean,
    /// Anything else.
    Text,
}

impl Likeness {
    /// The name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fractional => "fractional",
            Self::Integral => "integral",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }
}

/// How many values look like what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TypeCounts {
    pub(crate) nulls: u64,
    pub(crate) fractional: u64,
    pub(crate) integral: u64,
    pub(crate) boolean: u64,
    pub(crate) text: u64,
}

impl TypeCounts {
    pub(super) fn update(&mut self, input: &ArrayRef) -> Result<(), Trouble> {
        let nulls = input.logical_null_count() as u64;
        let values = input.len() as u64 - nulls;
        self.nulls += nulls;
        match input.data_type() {
            DataType::Utf8 => self.take(&input.as_string::<i32>()),
            DataType::LargeUtf8 => self.take(&input.as_string::<i64>()),
            DataType::Utf8View => self.take(&input.as_string_view()),
            DataType::Dictionary(_, value) if is_text(value) => {
                self.nulls -= nulls;
                self.update(&cast(input, value)?)?;
            }
            data_type if data_type.is_floating() => {
                let floats = cast(input, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>();
                let finite = floats.iter().flatten().filter(|v| v.is_finite()).count() as u64;
                self.fractional += finite;
                self.text += values - finite;
            }
            data_type => *self.of(likeness_of_type(data_type)) += values,
        }
        Ok(())
    }

    /// Takes in values, each so many times.
    pub(super) fn update_each(&mut self, times: &[u64], input: &ArrayRef) -> Result<(), Trouble> {
        for (row, times) in times.iter().enumerate() {
            let mut one = Self::default();
            one.update(&input.slice(row, 1))?;
            for count in [
                &mut one.nulls,
                &mut one.fractional,
                &mut one.integral,
                &mut one.boolean,
                &mut one.text,
            ] {
                *count *= times;
            }
            self.merge(&one);
        }
        Ok(())
    }

    const fn of(&mut self, likeness: Likeness) -> &mut u64 {
        match likeness {
            Likeness::Fractional => &mut self.fractional,
            Likeness::Integral => &mut self.integral,
            Likeness::Boolean => &mut self.boolean,
            Likeness::Text => &mut self.text,
        }
    }

    fn take<'a>(&mut self, texts: &impl StringArrayType<'a>) {
        for text in texts.iter().flatten() {
            *self.of(likeness(text.as_bytes())) += 1;
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        for count in [
            self.nulls,
            self.fractional,
            self.integral,
            self.boolean,
            self.text,
        ] {
            to.u64(count);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>, rows: u64) -> Result<Self, DecodeError> {
        Ok(Self {
            nulls: from.count_within(rows)?,
            fractional: from.count_within(rows)?,
            integral: from.count_within(rows)?,
            boolean: from.count_within(rows)?,
            text: from.count_within(rows)?,
        })
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.fractional += other.fractional;
        self.integral += other.integral;
        self.boolean += other.boolean;
        self.text += other.text;
    }

    /// The values that are not null.
    pub(crate) const fn values(&self) -> u64 {
        self.fractional + self.integral + self.boolean + self.text
    }

    /// The type that all values fit; none when there are none.
    pub(crate) const fn inferred(&self) -> Option<Likeness> {
        let has_numbers = self.fractional > 0 || self.integral > 0;
        if self.values() == 0 {
            None
        } else if self.text > 0 || self.boolean > 0 && has_numbers {
            Some(Likeness::Text)
        } else if self.boolean > 0 {
            Some(Likeness::Boolean)
        } else if self.fractional > 0 {
            Some(Likeness::Fractional)
        } else {
            Some(Likeness::Integral)
        }
    }
}

/// What all values of a type look like, floating-point numbers aside.
fn likeness_of_type(data_type: &DataType) -> Likeness {
    match data_type {
        DataType::Boolean => Likeness::Boolean,
        DataType::Decimal32(_, 0)
        | DataType::Decimal64(_, 0)
        | DataType::Decimal128(_, 0)
        | DataType::Decimal256(_, 0) => Likeness::Integral,
        data_type if data_type.is_integer() => Likeness::Integral,
        data_type if data_type.is_decimal() => Likeness::Fractional,
        _ => Likeness::Text,
    }
}

/// True for the values that look like one of some types; null for null.
pub(crate) fn looks_like(
    values: &ArrayRef,
    wanted: &[Likeness],
) -> datafusion::common::Result<BooleanArray> {
    let is_wanted = |likeness| wanted.contains(&likeness);
    let data_type = values.data_type();
    if is_text(data_type) {
        return test_text(values, |text| is_wanted(likeness(text.as_bytes())));
    }
    let good = if data_type.is_floating() {
        let floats = cast(values, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        let (finite, other) = (is_wanted(Likeness::Fractional), is_wanted(Likeness::Text));
        let good = |row| {
            if floats.value(row).is_finite() {
                finite
            } else {
                other
            }
        };
        BooleanBuffer::collect_bool(values.len(), good)
    } else if is_wanted(likeness_of_type(data_type)) {
        BooleanBuffer::new_set(values.len())
    } else {
        BooleanBuffer::new_unset(values.len())
    };
    Ok(BooleanArray::new(good, values.logical_nulls()))
}

/// A sign, with or without a space behind it, digits, then a fraction, an exponent, both or neither.
fn likeness(text: &[u8]) -> Likeness {
    let unsigned = match text {
        [b'-' | b'+', b' ', rest @ ..] | [b'-' | b'+' | b' ', rest @ ..] => rest,
        b"true" | b"false" => return Likeness::Boolean,
        other => other,
    };
    let Some(rest) = after_digits(unsigned) else {
        return Likeness::Text;
    };
    let rest = match rest {
        [] => return Likeness::Integral,
        [b'.', fraction @ ..] => match after_digits(fraction) {
            Some(rest) => rest,
            None => return Likeness::Text,
        },
        other => other,
    };
    let exponent = match rest {
        [] => return Likeness::Fractional,
        [b'e' | b'E', b'-' | b'+', rest @ ..] | [b'e' | b'E', rest @ ..] => rest,
        _ => return Likeness::Text,
    };
    match after_digits(exponent) {
        Some([]) => Likeness::Fractional,
        _ => Likeness::Text,
    }
}

/// What follows one digit or more; none when there is no digit.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then(|| &text[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_text() {
        let pattern = |text: &str| regex::Regex::new(text).unwrap();
        let fractional = pattern(r"^(-|\+)? ?[0-9]+((\.[0-9]+)|((?:\.[0-9]+)?[Ee][-+]?[0-9]+))$");
        let integral = pattern(r"^(-|\+)? ?[0-9]+$");
        proptest::proptest!(|(text in "[-+ ]{0,2}[0-9]{0,3}[.eE+-]{0,2}[0-9]{0,2}[eE.]?[-+]?[0-9]{0,2}|true|false|True|ä")| {
            let wanted = if fractional.is_match(&text) {
                Likeness::Fractional
            } else if integral.is_match(&text) {
                Likeness::Integral
            } else if text == "true" || text == "false" {
                Likeness::Boolean
            } else {
                Likeness::Text
            };
            proptest::prop_assert_eq!(likeness(text.as_bytes()), wanted, "{}", text);
        });
    }
}
