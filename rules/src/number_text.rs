//! Text that is a number in some spelling.

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;

use crate::row_test::{RowTest, test_text};

/// A spelling of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NumberText {
    /// Between the whole part and the fraction.
    pub(crate) decimal_point: char,
    /// Between groups of three digits of the whole part, where they are grouped.
    pub(crate) thousands_separator: Option<char>,
    /// So many digits have to stand behind the point; none when any number may.
    pub(crate) decimals: Option<usize>,
}

impl NumberText {
    fn is_met(self, text: &str) -> bool {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once(self.decimal_point) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let digits = fraction.map_or(0, str::len);
        let is_wide = match self.decimals {
            Some(wanted) => digits == wanted && fraction.is_some() == (wanted > 0),
            None => true,
        };
        is_wide
            && fraction.is_none_or(are_digits)
            && self.is_whole(whole)
            && whole.len() + digits > 0
    }

    fn is_whole(self, whole: &str) -> bool {
        let Some(separator) = self.thousands_separator.filter(|s| whole.contains(*s)) else {
            return are_digits(whole);
        };
        whole.split(separator).enumerate().all(|(place, group)| {
            let is_full = match place {
                0 => (1..=3).contains(&group.len()),
                _ => group.len() == 3,
            };
            is_full && are_digits(group)
        })
    }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl RowTest for NumberText {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        test_text(values, |text| self.is_met(text))
    }

    fn meaning(&self) -> Option<Vec<String>> {
        Some(vec![
            "number text".to_owned(),
            self.decimal_point.to_string(),
            format!("{:?}", self.thousands_separator),
            format!("{:?}", self.decimals),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::NumberText;

    #[test]
    fn numbers_are_spelled_as_wanted() {
        let number = |decimal_point, thousands_separator, decimals| NumberText {
            decimal_point,
            thousands_separator,
            decimals,
        };
        let cases: &[(NumberText, &[&str], &[&str])] = &[
            (
                number('.', None, None),
                &["0", "-12.50", "+7", ".5", "5."],
                &["", ".", "-", "--1", "1,5", "1e3", "1.2.3", " 1", "١"],
            ),
            (
                number(',', Some('.'), None),
                &["1.234,56", "1234,56", "12", "123.456.789"],
                &["1,234.56", "1.23,4", ".123", "1..234", "1234.567", "1,2,3"],
            ),
            (
                number('.', Some(','), Some(2)),
                &["1,234.56", "-0.10", ".10"],
                &["1,234", "1.5", "1.234", "."],
            ),
            (
                number('.', None, Some(0)),
                &["12", "-3"],
                &["12.", "1.0", ""],
            ),
        ];
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
