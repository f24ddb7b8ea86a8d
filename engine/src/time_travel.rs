//! `VERSION AS OF` and `TIMESTAMP AS OF`: a table as it was.
//!
//! ```sql
//! SELECT * FROM silver.flights VERSION AS OF 3
//! SELECT * FROM silver.flights FOR VERSION AS OF 3 AS before
//! SELECT * FROM silver.flights TIMESTAMP AS OF '2026-01-31 12:00:00'
//! SELECT * FROM silver.flights FOR TIMESTAMP AS OF :day
//! SELECT * FROM table_at_version('silver.flights', 3) AS before
//! SELECT * FROM table_at_timestamp('silver.flights', TIMESTAMP '2026-01-31 12:00:00')
//! ```
//!
//! A time without a zone is in UTC. DataFusion's parser does not know these clauses, and its planner drops
//! what other dialects parse. So the clauses are taken out of the token stream before parsing, each is put
//! back onto the table that it follows, and every clause that finds no table is refused.

use std::ops::ControlFlow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Spanned, TableAlias,
    TableFactor, Value, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use lakegate_catalog::{At, TableName};

use crate::parameters::{ParameterUse, Parameters, unknown};
use crate::statement::{place_of, table_name, visit_mut, written_parts};
use crate::{EngineError, Place};

/// A table at a version, as a statement asks for it.
#[derive(Debug, Clone)]
pub(crate) struct VersionUse {
    /// The table.
    pub(crate) table: TableName,
    /// The schema and the name that stand in the statement for the table at this version.
    pub(crate) schema: String,
    pub(crate) stand_in: String,
    /// Where the table is named.
    pub(crate) place: Option<Place>,
    unit: Unit,
    operand: Operand,
}

impl VersionUse {
    /// Whether a name in the statement stands for this table at this version.
    pub(crate) fn stands_for(&self, parts: &[String]) -> bool {
        parts.last() == Some(&self.stand_in)
    }

    /// Which version is meant.
    pub(crate) fn at(&self, parameters: &Parameters) -> Result<At, EngineError> {
        match (&self.operand, self.unit) {
            (Operand::Number(text), Unit::Version) => self.version(text),
            (Operand::Text(text), Unit::Timestamp) => self.timestamp(text),
            (Operand::Parameter(used), unit) => self.value_of(used, unit, parameters),
            (Operand::Number(text) | Operand::Text(text), unit) => Err(EngineError::invalid(
                format!("`{text}` does not fit after `{}`", unit.clause()),
                self.place,
                unit.wanted().to_owned(),
            )),
        }
    }

    /// The parameter that says which version is meant.
    pub(crate) fn parameter(&self) -> Option<&ParameterUse> {
        match &self.operand {
            Operand::Parameter(used) => Some(used),
            Operand::Number(_) | Operand::Text(_) => None,
        }
    }

    /// The type of the parameter that says which version is meant.
    pub(crate) const fn parameter_type(&self) -> DataType {
        match self.unit {
            Unit::Version => DataType::Int64,
            Unit::Timestamp => DataType::Utf8,
        }
    }

    fn value_of(
        &self,
        used: &ParameterUse,
        unit: Unit,
        parameters: &Parameters,
    ) -> Result<At, EngineError> {
        let name = used.name.as_str();
        let value = parameters
            .get(name)
            .ok_or_else(|| unknown(used, parameters))?;
        // Clients send numbers, texts and times in whichever type they have them.
        let wanted = match (unit, value.data_type()) {
            (Unit::Version, data_type) if data_type.is_integer() => DataType::Int64,
            (Unit::Timestamp, DataType::LargeUtf8 | DataType::Utf8View) => DataType::Utf8,
            (Unit::Timestamp, DataType::Timestamp(_, zone)) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone)
            }
            (_, data_type) => data_type,
        };
        let value = &value.cast_to(&wanted).unwrap_or_else(|_| value.clone());
        match (unit, value) {
            (Unit::Version, ScalarValue::Int64(Some(version))) => {
                self.version(&version.to_string())
            }
            (Unit::Timestamp, ScalarValue::Utf8(Some(text))) => self.timestamp(text),
            (Unit::Timestamp, ScalarValue::TimestampMicrosecond(Some(micros), _)) => {
                DateTime::from_timestamp_micros(*micros)
                    .map(At::Timestamp)
                    .ok_or_else(|| self.no_time(&micros.to_string()))
            }
            (Unit::Timestamp, ScalarValue::Date32(Some(days))) => {
                DateTime::from_timestamp(i64::from(*days) * 86_400, 0)
                    .map(At::Timestamp)
                    .ok_or_else(|| self.no_time(&days.to_string()))
            }
            (unit, value) => Err(EngineError::invalid(
                format!(
                    "parameter `{name}` ({value}) does not fit after `{}`",
                    unit.clause()
                ),
                self.place,
                unit.wanted().to_owned(),
            )),
        }
    }

    fn version(&self, text: &str) -> Result<At, EngineError> {
        match text.parse::<i64>() {
            Ok(version) if version >= 0 => Ok(At::Version(version)),
            _ => Err(EngineError::invalid(
                format!("`{text}` is not a version of a table"),
                self.place,
                Unit::Version.wanted().to_owned(),
            )),
        }
    }

    fn timestamp(&self, text: &str) -> Result<At, EngineError> {
        parse_timestamp(text)
            .map(At::Timestamp)
            .ok_or_else(|| self.no_time(text))
    }

    fn no_time(&self, text: &str) -> EngineError {
        EngineError::invalid(
            format!("`{text}` is not a point in time"),
            self.place,
            Unit::Timestamp.wanted().to_owned(),
        )
    }
}

/// A point in time as people write it; in UTC unless it says otherwise, and midnight for a day.
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f %#z",
    ] {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Some(time.with_timezone(&Utc));
        }
    }
    let in_utc = text.strip_suffix('Z').unwrap_or(text);
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(time) = NaiveDateTime::parse_from_str(in_utc, format) {
            return Some(time.and_utc());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// A clause that was taken out of a statement, with the place of the token before it.
#[derive(Debug)]
pub(crate) struct Clause {
    after: Option<Location>,
    place: Option<Place>,
    unit: Unit,
    operand: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Version,
    Timestamp,
}

impl Unit {
    fn clause(self) -> &'static str {
        match self {
            Self::Version => "VERSION AS OF",
            Self::Timestamp => "TIMESTAMP AS OF",
        }
    }

    /// The function that gives a table at such a version.
    fn function(self) -> &'static str {
        match self {
            Self::Version => "table_at_version",
            Self::Timestamp => "table_at_timestamp",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Version => "table_at_version('schema.table', 3)",
            Self::Timestamp => {
                "table_at_timestamp('schema.table', TIMESTAMP '2026-01-31 12:00:00')"
            }
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Version => "a version is a whole number, for example `VERSION AS OF 3`",
            Self::Timestamp => {
                "a time is written `TIMESTAMP AS OF '2026-01-31 12:00:00'`, in UTC unless it has a zone"
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Number(String),
    Text(String),
    Parameter(ParameterUse),
}

/// Takes every `[FOR] VERSION|TIMESTAMP AS OF value` out of a token stream.
pub(crate) fn take_clauses(
    tokens: Vec<TokenWithSpan>,
) -> Result<(Vec<TokenWithSpan>, Vec<Clause>), EngineError> {
    let words: Vec<usize> = (0..tokens.len())
        .filter(|i| !matches!(tokens[*i].token, Token::Whitespace(_)))
        .collect();
    let token = |position: usize| words.get(position).map(|i| &tokens[*i]);
    let is = |position: usize, word: &str| token(position).is_some_and(|t| is_word(&t.token, word));

    let mut clauses = Vec::new();
    let mut taken = vec![false; tokens.len()];
    let mut position = 0;
    while position < words.len() {
        let start = position + usize::from(is(position, "for"));
        let unit = if is(start, "version") {
            Unit::Version
        } else if is(start, "timestamp") {
            Unit::Timestamp
        } else {
            position += 1;
            continue;
        };
        if !(is(start + 1, "as") && is(start + 2, "of")) {
            position += 1;
            continue;
        }
        let place = token(position).and_then(|t| place_of(t.span.start));
        let value = start + 3;
        // `TIMESTAMP AS OF TIMESTAMP '...'`, as Trino writes it.
        let value = value + usize::from(unit == Unit::Timestamp && is(value, "timestamp"));
        let (operand, length) = match (token(value).map(|t| &t.token), token(value + 1)) {
            (Some(Token::Number(text, _)), _) => (Operand::Number(text.clone()), 1),
            (Some(Token::SingleQuotedString(text)), _) => (Operand::Text(text.clone()), 1),
            (Some(Token::Colon), Some(next)) => match &next.token {
                Token::Word(word) => {
                    let used = ParameterUse {
                        name: word.value.clone(),
                        place: token(value).and_then(|colon| place_of(colon.span.start)),
                    };
                    (Operand::Parameter(used), 2)
                }
                _ => return Err(no_value(unit, place)),
            },
            (Some(Token::Placeholder(text)), _) if text.starts_with('$') => {
                let used = ParameterUse {
                    name: text.trim_start_matches('$').to_owned(),
                    place: token(value).and_then(|placeholder| place_of(placeholder.span.start)),
                };
                (Operand::Parameter(used), 1)
            }
            _ => return Err(no_value(unit, place)),
        };
        let end = value + length;
        clauses.push(Clause {
            after: position.checked_sub(1).and_then(token).map(|t| t.span.end),
            place,
            unit,
            operand,
        });
        for index in &words[position..end] {
            taken[*index] = true;
        }
        position = end;
    }
    let left = tokens
        .into_iter()
        .zip(taken)
        .filter_map(|(token, taken)| (!taken).then_some(token))
        .collect();
    Ok((left, clauses))
}

fn no_value(unit: Unit, place: Option<Place>) -> EngineError {
    EngineError::invalid(
        format!("`{}` needs a value or a parameter", unit.clause()),
        place,
        unit.wanted().to_owned(),
    )
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Puts each clause onto the table that it follows, by giving that table a name of its own.
pub(crate) fn apply_clauses(
    statement: &mut DfStatement,
    clauses: Vec<Clause>,
    default_schema: &str,
) -> Result<Vec<VersionUse>, EngineError> {
    let (_, defined) =
        resolve_table_references(statement, true).map_err(EngineError::from_planning)?;
    let mut rewrite = Rewrite {
        clauses,
        defined: defined.iter().map(ToString::to_string).collect(),
        versions: Vec::new(),
        default_schema: default_schema.to_owned(),
    };
    if let ControlFlow::Break(error) = visit_mut(statement, &mut rewrite) {
        return Err(error);
    }
    match rewrite.clauses.first() {
        None => Ok(rewrite.versions),
        Some(clause) => Err(EngineError::invalid(
            format!(
                "`{}` does not follow the name of a table",
                clause.unit.clause()
            ),
            clause.place,
            "write it directly behind the table's name, before its alias".to_owned(),
        )),
    }
}

struct Rewrite {
    clauses: Vec<Clause>,
    defined: Vec<String>,
    versions: Vec<VersionUse>,
    default_schema: String,
}

impl VisitorMut for Rewrite {
    type Break = EngineError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<EngineError> {
        match self.rewrite(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewrite {
    fn rewrite(&mut self, factor: &mut TableFactor) -> Result<(), EngineError> {
        let TableFactor::Table {
            name, alias, args, ..
        } = factor
        else {
            return Ok(());
        };
        if let (Some(arguments), Some(unit)) = (&args, unit_of_function(name)) {
            let place = place_of(name.span().start);
            let (table, operand) = arguments_of(&arguments.args, unit, place)?;
            let parts: Vec<String> = table.split('.').map(str::to_owned).collect();
            let named = table_name(&parts, place, &self.default_schema)?;
            let named = named.ok_or_else(|| without_versions(&table, place))?;
            *args = None;
            let shown = named.table.clone();
            self.stand_in(
                name,
                alias,
                &shown,
                Wanted {
                    table: named,
                    place,
                    unit,
                    operand,
                },
            );
            return Ok(());
        }
        let end = name.span().end;
        let Some(index) = self.clauses.iter().position(|c| c.after == Some(end)) else {
            return Ok(());
        };
        let place = place_of(name.span().start);
        let parts = written_parts(name).filter(|_| args.is_none());
        let versioned = match &parts {
            Some(parts) if !self.defined.contains(&parts.join(".")) => {
                table_name(parts, place, &self.default_schema)?
            }
            _ => None,
        };
        let (Some(parts), Some(table)) = (parts, versioned) else {
            return Err(without_versions(&name.to_string(), place));
        };
        let Clause { unit, operand, .. } = self.clauses.remove(index);
        let Some(shown) = parts.last() else {
            return Ok(());
        };
        self.stand_in(
            name,
            alias,
            shown,
            Wanted {
                table,
                place,
                unit,
                operand,
            },
        );
        Ok(())
    }

    /// Puts a name of its own in the place of a table at a version.
    fn stand_in(
        &mut self,
        name: &mut ObjectName,
        alias: &mut Option<TableAlias>,
        shown: &str,
        wanted: Wanted,
    ) {
        let Wanted {
            table,
            place,
            unit,
            operand,
        } = wanted;
        let stand_in = format!("{shown}@{}", self.versions.len());
        if alias.is_none() {
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', shown),
                columns: Vec::new(),
                at: None,
            });
        }
        *name = ObjectName(
            [table.schema.as_str(), stand_in.as_str()]
                .map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part)))
                .to_vec(),
        );
        self.versions.push(VersionUse {
            schema: table.schema.clone(),
            table,
            stand_in,
            place,
            unit,
            operand,
        });
    }
}

/// A table at a version, and where it is named.
struct Wanted {
    table: TableName,
    place: Option<Place>,
    unit: Unit,
    operand: Operand,
}

/// Which kind of version a function asks for that gives a table at a version.
fn unit_of_function(name: &ObjectName) -> Option<Unit> {
    let parts = written_parts(name)?;
    match parts.as_slice() {
        [name] if name == Unit::Version.function() => Some(Unit::Version),
        [name] if name == Unit::Timestamp.function() => Some(Unit::Timestamp),
        _ => None,
    }
}

/// The table and the version of a function's arguments.
fn arguments_of(
    arguments: &[FunctionArg],
    unit: Unit,
    place: Option<Place>,
) -> Result<(String, Operand), EngineError> {
    let values = arguments.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => operand_of(expr),
        _ => None,
    });
    let values: Option<Vec<Operand>> = values.collect();
    match values.as_deref() {
        Some([Operand::Text(table), version]) => Ok((table.clone(), version.clone())),
        _ => Err(EngineError::invalid(
            format!(
                "`{}` needs the name of a table, and a value or a parameter",
                unit.function()
            ),
            place,
            format!("write `{}`", unit.example()),
        )),
    }
}

fn operand_of(expr: &Expr) -> Option<Operand> {
    let value = match expr {
        Expr::Value(value) => value,
        Expr::TypedString(typed) => &typed.value,
        _ => return None,
    };
    match &value.value {
        Value::Number(text, _) => Some(Operand::Number(text.clone())),
        Value::SingleQuotedString(text) => Some(Operand::Text(text.clone())),
        Value::Placeholder(text) => Some(Operand::Parameter(ParameterUse {
            name: text.trim_start_matches(['$', ':']).to_owned(),
            place: place_of(value.span.start),
        })),
        _ => None,
    }
}

fn without_versions(name: &str, place: Option<Place>) -> EngineError {
    EngineError::invalid(
        format!("`{name}` is not a table with versions"),
        place,
        "only tables of the catalog have versions".to_owned(),
    )
}

#[cfg(test)]
mod tests;
