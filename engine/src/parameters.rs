//! `:name`, `$1` and `?` in SQL: values that are bound, never pasted.
//!
//! The parser says where a parameter stands, so `:name` inside a string or a comment is not one. The value takes
//! the parameter's place in the parsed statement, with its type, so that functions see the type when they are
//! planned; it never becomes text that is parsed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DataType as ArrowType, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, GroupByExpr, OrderByKind, Query, Select,
    TimezoneInfo, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use lakegate_rules::sql;

use crate::error::nearest;
use crate::statement::{ParameterStyle, place_of, tokens, visit, visit_mut};
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

/// Most parameters of a statement that are written with numbers.
const MOST_NUMBERED: usize = 65_535;

/// Gives each `?` the number of its turn, as `$1`.
pub(crate) fn number(tokens: &mut [TokenWithSpan]) -> Result<(), EngineError> {
    let mut turns = 0;
    let mut numbered = None;
    for token in tokens {
        let place = place_of(token.span.start);
        let Token::Placeholder(text) = &mut token.token else {
            continue;
        };
        if text != "?" {
            numbered = numbered.or(Some(place));
            continue;
        }
        turns += 1;
        *text = format!("${turns}");
    }
    match numbered {
        Some(place) if turns > 0 => Err(EngineError::invalid(
            "parameters are written in two ways",
            place,
            "write all of them as `?`, or all as `$1`, `$2`".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The parameters of a statement, each once, in the order of the text.
pub(crate) fn uses(
    statement: &DfStatement,
    style: ParameterStyle,
) -> Result<Vec<ParameterUse>, EngineError> {
    let mut found = Found::new(style);
    match visit(statement, &mut found) {
        ControlFlow::Continue(()) => Ok(found.uses),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Puts values in the place of parameters.
pub(crate) fn bind(
    statement: &mut DfStatement,
    style: ParameterStyle,
    parameters: &Parameters,
) -> Result<(), EngineError> {
    for used in uses(statement, style)? {
        if !parameters.contains_key(&used.name) {
            return Err(match style {
                ParameterStyle::Named => unknown(&used, parameters),
                ParameterStyle::Numbered => unbound(&used, parameters),
            });
        }
    }
    match visit_mut(statement, &mut Bind(parameters)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Puts values in the place of parameters in a part of a statement, of which each parameter has one.
pub(crate) fn bind_part(
    part: &mut impl VisitMut,
    parameters: &Parameters,
) -> Result<(), EngineError> {
    match part.visit(&mut Bind(parameters)) {
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

/// Says that a parameter with a number has no value.
fn unbound(used: &ParameterUse, parameters: &Parameters) -> EngineError {
    EngineError::invalid(
        format!("parameter `${}` has no value", used.name),
        used.place,
        match parameters.len() {
            0 => "bind values to the prepared statement".to_owned(),
            bound => format!("values were bound to {bound} parameters"),
        },
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
    let mut found = Found::new(ParameterStyle::Named);
    match Visit::visit(&expression, &mut found) {
        ControlFlow::Continue(()) => Ok((expression, found.uses)),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Found {
    style: ParameterStyle,
    uses: Vec<ParameterUse>,
}

impl Found {
    fn new(style: ParameterStyle) -> Self {
        Self {
            style,
            uses: Vec::new(),
        }
    }

    /// The name of a parameter that is written in the style.
    fn name<'t>(&self, text: &'t str) -> Option<&'t str> {
        let is_digit = |c: char| c.is_ascii_digit();
        match self.style {
            ParameterStyle::Named => text
                .strip_prefix(':')
                .filter(|name| !name.starts_with(is_digit)),
            ParameterStyle::Numbered => text.strip_prefix('$').filter(|name| {
                let number = name.parse::<usize>();
                !name.starts_with(['0', '+']) && number.is_ok_and(|number| number <= MOST_NUMBERED)
            }),
        }
    }
}

/// A parameter alone in ORDER BY or GROUP BY: a number in its place would be read as the position of a column.
fn bare(expr: &Expr) -> Option<&ValueWithSpan> {
    match expr {
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => Some(value),
        Expr::Nested(inner) => bare(inner),
        _ => None,
    }
}

fn refuse_bare<'e>(
    mut exprs: impl Iterator<Item = &'e Expr>,
    clause: &str,
) -> ControlFlow<EngineError> {
    match exprs.find_map(bare) {
        None => ControlFlow::Continue(()),
        Some(value) => ControlFlow::Break(EngineError::invalid(
            format!("a parameter alone in {clause} is one value for all rows"),
            place_of(value.span.start),
            "write the column's name or position into the SQL".to_owned(),
        )),
    }
}

impl Visitor for Found {
    type Break = EngineError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<EngineError> {
        match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(exprs)) => {
                refuse_bare(exprs.iter().map(|order| &order.expr), "ORDER BY")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<EngineError> {
        match &select.group_by {
            GroupByExpr::Expressions(exprs, _) => refuse_bare(exprs.iter(), "GROUP BY"),
            GroupByExpr::All(_) => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<EngineError> {
        let Value::Placeholder(text) = &value.value else {
            return ControlFlow::Continue(());
        };
        let place = place_of(value.span.start);
        let Some(name) = self.name(text) else {
            return ControlFlow::Break(EngineError::invalid(
                format!("`{text}` is not a parameter here"),
                place,
                match self.style {
                    ParameterStyle::Named => "parameters have names: write `:name`".to_owned(),
                    ParameterStyle::Numbered => {
                        "parameters have numbers: write `$1`, or `?` for each in turn".to_owned()
                    }
                },
            ));
        };
        if !self.uses.iter().any(|known| known.name == name) {
            self.uses.push(ParameterUse {
                name: name.to_owned(),
                place,
            });
        }
        ControlFlow::Continue(())
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
        let name = text.trim_start_matches([':', '$']).to_owned();
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

/// A value as an expression of the parsed statement, which has the value's type.
fn literal(name: &str, value: &ScalarValue) -> Result<Expr, EngineError> {
    let unfit = || {
        EngineError::invalid(
            format!(
                "a value of type {} cannot be bound to parameter `{name}`",
                value.data_type()
            ),
            None,
            "bind a number, a text, bytes, a truth value, a date or a time".to_owned(),
        )
    };
    match value {
        ScalarValue::Dictionary(_, inner) => return literal(name, inner),
        ScalarValue::Null => return Ok(Expr::Value(Value::Null.into())),
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => return Ok(text_literal(text)),
        ScalarValue::Boolean(Some(truth)) => {
            return Ok(Expr::Value(Value::Boolean(*truth).into()));
        }
        ScalarValue::Int64(Some(number)) if *number >= 0 => {
            return Ok(Expr::Value(Value::Number(number.to_string(), false).into()));
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => {
            let hexadecimal = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Expr::Value(Value::HexStringLiteral(hexadecimal).into()));
        }
        _ => {}
    }
    let data_type = sql_type(&value.data_type()).ok_or_else(unfit)?;
    if value.is_null() {
        return Ok(cast(Expr::Value(Value::Null.into()), data_type));
    }
    let text = value
        .to_array()
        .and_then(|array| Ok(array_value_to_string(&array, 0)?))
        .map_err(|_| unfit())?;
    Ok(cast(text_literal(&text), data_type))
}

/// The SQL type of values of an Arrow type; none for a type that has none here.
pub(crate) fn sql_type(data_type: &ArrowType) -> Option<DataType> {
    let digits = |unit: &TimeUnit| {
        Some(match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        })
    };
    Some(match data_type {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 => DataType::TinyInt(None),
        ArrowType::Int16 => DataType::SmallInt(None),
        ArrowType::Int32 => DataType::Int(None),
        ArrowType::Int64 => DataType::BigInt(None),
        ArrowType::UInt8 => DataType::TinyIntUnsigned(None),
        ArrowType::UInt16 => DataType::SmallIntUnsigned(None),
        ArrowType::UInt32 => DataType::IntUnsigned(None),
        ArrowType::UInt64 => DataType::BigIntUnsigned(None),
        ArrowType::Float16 | ArrowType::Float32 => DataType::Real,
        ArrowType::Float64 => DataType::DoublePrecision,
        ArrowType::Decimal32(precision, scale @ 0..)
        | ArrowType::Decimal64(precision, scale @ 0..)
        | ArrowType::Decimal128(precision, scale @ 0..)
        | ArrowType::Decimal256(precision, scale @ 0..) => DataType::Decimal(
            ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)),
        ),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::Varchar(None),
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => DataType::Bytea,
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time(None, TimezoneInfo::None),
        ArrowType::Timestamp(unit, zone) => {
            let zone = match zone {
                Some(_) => TimezoneInfo::WithTimeZone,
                None => TimezoneInfo::None,
            };
            DataType::Timestamp(digits(unit), zone)
        }
        _ => return None,
    })
}

fn text_literal(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn cast(value: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type,
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests;
