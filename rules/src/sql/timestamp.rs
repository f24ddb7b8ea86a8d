//! `TIMESTAMP` has microseconds, unless a time that is written out is finer.
//!
//! `TIMESTAMP` without a number has six digits behind the point in the standard, and nine in DataFusion, whose
//! nanoseconds end in the year 2262: `TIMESTAMP '9999-12-31 00:00:00'` would be an error.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{DataType, Expr, Value, VisitMut, VisitorMut};

/// Digits of a microsecond behind the point of a second.
const DIGITS: u64 = 6;

/// Gives timestamps the digits of the standard.
pub(super) fn in_microseconds(parsed: &mut impl VisitMut) {
    let _always_continues = parsed.visit(&mut InMicroseconds);
}

struct InMicroseconds;

impl VisitorMut for InMicroseconds {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (value, data_type) = match expr {
            Expr::TypedString(typed) => (Some(&typed.value.value), &mut typed.data_type),
            Expr::Cast {
                expr, data_type, ..
            } => match &**expr {
                Expr::Value(value) => (Some(&value.value), data_type),
                _ => (None, data_type),
            },
            _ => return ControlFlow::Continue(()),
        };
        let is_finer = matches!(value, Some(Value::SingleQuotedString(text)) if is_finer(text));
        if let DataType::Timestamp(digits @ None, _) = data_type
            && !is_finer
        {
            *digits = Some(DIGITS);
        }
        ControlFlow::Continue(())
    }
}

/// Whether a time has digits behind its microseconds.
pub(crate) fn is_finer(text: &str) -> bool {
    let fraction = text.rsplit_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.chars().take_while(char::is_ascii_digit);
    digits.count() as u64 > DIGITS
}

#[cfg(test)]
mod tests {
    use crate::sql::{parse_expression, tokenize};

    #[test]
    fn timestamps_have_the_digits_of_the_standard() {
        for (sql, expected) in [
            (
                "TIMESTAMP '2024-01-31 10:00:00'",
                "TIMESTAMP(6) '2024-01-31 10:00:00'",
            ),
            (
                "TIMESTAMP '2024-01-31 10:00:00.123456'",
                "TIMESTAMP(6) '2024-01-31 10:00:00.123456'",
            ),
            (
                "TIMESTAMP '2024-01-31 10:00:00.123456789'",
                "TIMESTAMP '2024-01-31 10:00:00.123456789'",
            ),
            (
                "CAST('2024-01-31' AS TIMESTAMP WITH TIME ZONE)",
                "CAST('2024-01-31' AS TIMESTAMP(6) WITH TIME ZONE)",
            ),
            ("'2024-01-31'::TIMESTAMP(3)", "'2024-01-31'::TIMESTAMP(3)"),
            (
                "CAST(1700000000 AS TIMESTAMP)",
                "CAST(1700000000 AS TIMESTAMP(6))",
            ),
            ("CAST(a AS TIMESTAMP)", "CAST(a AS TIMESTAMP(6))"),
            ("TRY_CAST(a AS TIMESTAMP)", "TRY_CAST(a AS TIMESTAMP(6))"),
            ("CAST(a AS TIMESTAMP(9))", "CAST(a AS TIMESTAMP(9))"),
            ("DATE '2024-01-31'", "DATE '2024-01-31'"),
        ] {
            let parsed = parse_expression(tokenize(sql).unwrap())
                .unwrap()
                .to_string();
            assert_eq!(parsed, expected);
            let again = parse_expression(tokenize(&parsed).unwrap()).unwrap();
            assert_eq!(again.to_string(), expected);
        }
    }
}
