//! `:name` in SQL: a value that is bound, never pasted.
//!
//! The parser says where a parameter stands, so `:name` inside a string or a comment is not one. The value takes
//! the parameter's place in the parsed statement, with its type, so that functions see the type when they are
//! planned; it never becomes text that is parsed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, TimezoneInfo, Value, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut,
};
use lakegate_rules::sql;

use crate::error::nearest;
use crate::statement::{place_of, tokens, visit, visit_mut};
use crate::{EngineError, Place};

/// Values of parameters, by name.
pub type Parameters = BTreeMap<String, ScalarValue>;

/// A parameter that a statement uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterUse {
    /// Its name, without the colon.
    pub name: String,
    /// Where it is used first.
    pub place: Option<Place>,
}

/// The parameters of a statement, each once, in the order of the text.
pub(crate) fn uses(statement: &DfStatement) -> Result<Vec<ParameterUse>, EngineError> {
    let mut found = Found(Vec::new());
    match visit(statement, &mut found) {
        ControlFlow::Continue(()) => Ok(found.0),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Puts values in the place of parameters.
pub(crate) fn bind(
    statement: &mut DfStatement,
    parameters: &Parameters,
) -> Result<(), EngineError> {
    for used in uses(statement)? {
        if !parameters.contains_key(&used.name) {
            return Err(unknown(&used, parameters));
        }
    }
    match visit_mut(statement, &mut Bind(parameters)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Says that a parameter has no value, with the nearest one that has.
pub(crate) fn unknown(used: &ParameterUse, parameters: &Parameters) -> EngineError {
    let hint = match nearest(&used.name, parameters.keys().map(String::as_str)) {
        Some(name) => format!("did you mean `:{name}`?"),
        None if parameters.is_empty() => "there are no parameters here".to_owned(),
        None => {
            let names: Vec<_> = parameters.keys().map(|name| format!("`:{name}`")).collect();
            format!("there are: {}", names.join(", "))
        }
    };
    EngineError::invalid(
        format!("unknown parameter `:{}`", used.name),
        used.place,
        hint,
    )
}

/// Binds parameters in a SQL expression, and gives it back as SQL.
///
/// # Errors
/// When the text is not one expression, or uses a parameter without a value.
pub fn bind_expression(sql: &str, parameters: &Parameters) -> Result<String, EngineError> {
    let (mut expression, uses) = parse_expression(sql)?;
    for used in &uses {
        if !parameters.contains_key(&used.name) {
            return Err(unknown(used, parameters));
        }
    }
    if let ControlFlow::Break(error) = VisitMut::visit(&mut expression, &mut Bind(parameters)) {
        return Err(error);
    }
    let _always_continues = VisitMut::visit(&mut expression, &mut DoubleQuotes);
    Ok(expression.to_string())
}

/// Doubles the quotes in texts, so that a text that is printed is read as the same text.
///
/// The parser's own printing leaves a quote behind a backslash alone, and one that is followed by another: it takes
/// them for escaped already. A value such as `\' OR true --` would end its text there.
struct DoubleQuotes;

impl VisitorMut for DoubleQuotes {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::SingleQuotedString(text) = &mut value.value {
            *text = text.replace('\'', "''");
        }
        ControlFlow::Continue(())
    }
}

/// The parameters of a SQL expression, each once, with their places in its text.
///
/// # Errors
/// When the text is not one expression.
pub fn expression_parameters(sql: &str) -> Result<Vec<ParameterUse>, EngineError> {
    parse_expression(sql).map(|(_, uses)| uses)
}

fn parse_expression(sql: &str) -> Result<(Expr, Vec<ParameterUse>), EngineError> {
    let expression = sql::parse_expression(tokens(sql)?).map_err(EngineError::from_planning)?;
    let mut found = Found(Vec::new());
    match Visit::visit(&expression, &mut found) {
        ControlFlow::Continue(()) => Ok((expression, found.0)),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Found(Vec<ParameterUse>);

impl Visitor for Found {
    type Break = EngineError;

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<EngineError> {
        let Value::Placeholder(text) = &value.value else {
            return ControlFlow::Continue(());
        };
        let place = place_of(value.span.start);
        match text.strip_prefix(':') {
            Some(name) if !name.starts_with(|c: char| c.is_ascii_digit()) => {
                if !self.0.iter().any(|known| known.name == name) {
                    self.0.push(ParameterUse {
                        name: name.to_owned(),
                        place,
                    });
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(EngineError::invalid(
                format!("`{text}` is not a parameter here"),
                place,
                "parameters have names: write `:name`".to_owned(),
            )),
        }
    }
}

struct Bind<'a>(&'a Parameters);

impl VisitorMut for Bind<'_> {
    type Break = EngineError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<EngineError> {
        let Expr::Value(ValueWithSpan {
            value: Value::Placeholder(text),
            ..
        }) = expr
        else {
            return ControlFlow::Continue(());
        };
        let name = text.trim_start_matches(':').to_owned();
        match self.0.get(&name).map(|value| literal(&name, value)) {
            Some(Ok(literal)) => {
                *expr = literal;
                ControlFlow::Continue(())
            }
            Some(Err(error)) => ControlFlow::Break(error),
            None => ControlFlow::Continue(()),
        }
    }
}

/// A value as an expression of the parsed statement.
fn literal(name: &str, value: &ScalarValue) -> Result<Expr, EngineError> {
    let expr = match value {
        ScalarValue::Utf8(Some(text)) => text_literal(text),
        ScalarValue::Int64(Some(number)) if *number >= 0 => {
            Expr::Value(Value::Number(number.to_string(), false).into())
        }
        ScalarValue::Int64(Some(number)) => cast(&number.to_string(), DataType::BigInt(None)),
        ScalarValue::Float64(Some(number)) => cast(&number.to_string(), DataType::DoublePrecision),
        ScalarValue::Boolean(Some(truth)) => Expr::Value(Value::Boolean(*truth).into()),
        ScalarValue::Date32(Some(_)) => cast(&value.to_string(), DataType::Date),
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            let Some(time) = chrono::DateTime::from_timestamp_micros(*micros) else {
                return Err(EngineError::invalid(
                    format!("parameter `{name}` is not a point in time"),
                    None,
                    None,
                ));
            };
            let timezone = match zone {
                Some(_) => TimezoneInfo::WithTimeZone,
                None => TimezoneInfo::None,
            };
            cast(
                &time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
                DataType::Timestamp(Some(6), timezone),
            )
        }
        other => {
            return Err(EngineError::Bug(format!(
                "parameter `{name}` has a value of the type {}",
                other.data_type()
            )));
        }
    };
    Ok(expr)
}

fn text_literal(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn cast(text: &str, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text_literal(text)),
        data_type,
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Statement;

    fn bound(sql: &str) -> Result<String, EngineError> {
        let mut statement = Statement::parse(sql)?;
        let parameters = Parameters::from([
            (
                "name".to_owned(),
                ScalarValue::from("O'Hare'; DROP TABLE a; --"),
            ),
            ("number".to_owned(), ScalarValue::from(-5_i64)),
            ("day".to_owned(), ScalarValue::Date32(Some(0))),
        ]);
        bind(&mut statement.inner, &parameters)?;
        Ok(statement.inner.to_string())
    }

    #[test]
    fn values_take_the_place_of_parameters() {
        assert_eq!(
            bound("SELECT * FROM a WHERE b = :name AND c = :number AND d >= :day").unwrap(),
            "SELECT * FROM a WHERE b = 'O''Hare''; DROP TABLE a; --' \
             AND c = CAST('-5' AS BIGINT) AND d >= CAST('1970-01-01' AS DATE)"
        );
    }

    #[test]
    fn colons_in_strings_comments_and_casts_are_not_parameters() {
        let statement =
            Statement::parse("SELECT ':name', \":name\", x::int, {'a': 1} -- :name\n FROM a")
                .unwrap();
        assert_eq!(statement.parameters(), []);
    }

    #[test]
    fn unknown_parameter_is_named_with_its_place() {
        let error = bound("SELECT *\nFROM a WHERE b = :nam").unwrap_err();
        assert_eq!(error.to_string(), "unknown parameter `:nam`");
        assert_eq!(error.hint(), Some("did you mean `:name`?"));
        assert_eq!(
            error.place(),
            Some(Place {
                line: 2,
                column: 18
            })
        );
    }

    #[test]
    fn expression_is_bound_as_a_whole() {
        let parameters = Parameters::from([("m".to_owned(), ScalarValue::from("a' OR 1=1 --"))]);
        assert_eq!(
            bind_expression("x = :m AND y > 1", &parameters).unwrap(),
            "x = 'a'' OR 1=1 --' AND y > 1"
        );
        assert_eq!(
            bind_expression("a IS DISTINCT FROM :m OR b", &parameters).unwrap(),
            "(a IS DISTINCT FROM ('a'' OR 1=1 --')) OR b"
        );
        assert!(bind_expression("x = 1; DROP TABLE a", &parameters).is_err());
        assert!(bind_expression("x = :n", &parameters).is_err());
    }

    proptest! {
        #[test]
        fn bound_text_is_read_as_the_same_text(text in r#"(['"\\ ]|[a-z]|--|;|\PC){0,12}"#) {
            let parameters = Parameters::from([("m".to_owned(), ScalarValue::from(text.as_str()))]);
            let bound = bind_expression("x = :m", &parameters).unwrap();
            let read = sql::parse_expression(tokens(&bound).unwrap()).unwrap();
            let Expr::BinaryOp { right, .. } = read else {
                panic!("{bound} is not a comparison");
            };
            let Expr::Value(right) = *right else {
                panic!("{bound} has no value on its right");
            };
            prop_assert_eq!(right.value, Value::SingleQuotedString(text));
        }
    }

    #[test]
    fn texts_of_the_expression_itself_stay_as_they_are() {
        for sql in [
            r"x = '\''' OR y = 'a''''b'",
            r"x LIKE '\%' ESCAPE '\'",
            "x = DATE '2020-01-01'",
        ] {
            assert_eq!(bind_expression(sql, &Parameters::new()).unwrap(), sql);
        }
    }

    #[test]
    fn numbered_parameters_are_refused() {
        assert!(Statement::parse("SELECT $1").is_err());
        assert!(Statement::parse("SELECT ?").is_err());
        assert!(Statement::parse("SELECT :1").is_err());
    }
}
