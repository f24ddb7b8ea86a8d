//! Timestamps that are written out have microseconds, unless they are finer.
//!
//! `TIMESTAMP` without a number has six digits behind the point in the standard, and nine in DataFusion, whose
//! nanoseconds end in the year 2262: `TIMESTAMP '9999-12-31 00:00:00'` would be an error.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{DataType, Expr, TableFactor, Value, VisitMut, VisitorMut};

/// Digits of a microsecond behind the point of a second.
const DIGITS: u64 = 6;

/// Gives timestamps that are written out the digits of the standard.
pub(super) fn in_microseconds(parsed: &mut impl VisitMut) {
    let _always_continues = parsed.visit(&mut InMicroseconds::default());
}

/// How many table functions it is inside of: theirs take nanoseconds.
#[derive(Default)]
struct InMicroseconds(usize);

/// Whether a table is what a function gives.
fn is_function(table: &TableFactor) -> bool {
    matches!(
        table,
        TableFactor::Table { args: Some(_), .. }
            | TableFactor::Function { .. }
            | TableFactor::TableFunction { .. }
    )
}

impl VisitorMut for InMicroseconds {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        self.0 += usize::from(is_function(table));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        self.0 -= usize::from(is_function(table));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.0 > 0 {
            return ControlFlow::Continue(());
        }
        let (value, data_type) = match expr {
            Expr::TypedString(typed) => (&typed.value.value, &mut typed.data_type),
            Expr::Cast {
                expr, data_type, ..
            } => match &**expr {
                Expr::Value(value) => (&value.value, data_type),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if let (Value::SingleQuotedString(text), DataType::Timestamp(digits @ None, _)) =
            (value, data_type)
            && !is_finer(text)
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
            // A number is one of seconds.
            (
                "CAST(1700000000 AS TIMESTAMP)",
                "CAST(1700000000 AS TIMESTAMP)",
            ),
            ("CAST(a AS TIMESTAMP)", "CAST(a AS TIMESTAMP)"),
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
