//! SQL in rule files: conditions and queries, with their parameters bound as values.
//!
//! A parameter is replaced in the parsed statement by a literal of its type. Text is never pasted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use crate::arithmetic::checked;
use crate::assertion::Number;
use crate::comparison::compared_exactly;
use crate::plan::Trouble;
use crate::sql;
use crate::yaml::{Resolved, Scalar, nearest_hint};

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq)]
enum Parameter {
    Value(Value),
    /// A timestamp with microseconds, in UTC.
    Moment(DateTime<Utc>),
}

/// The parameters of a rule file: its own, each with its default, and `:commit_time`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(BTreeMap<String, Parameter>);

/// The built-in parameter: when the commit that is judged is made.
pub(crate) const COMMIT_TIME: &str = "commit_time";

impl Parameters {
    /// Adds a parameter with its default.
    pub(crate) fn insert(&mut self, name: &str, scalar: &Scalar) {
        let value = match (scalar.resolve(), Number::parse(&scalar.text)) {
            (Resolved::Bool(value), _) => Value::Boolean(value),
            // By its value: SQL does not read every number that YAML has.
            (Resolved::Integer(_) | Resolved::Float(_), Some(number @ Number::Exact { .. })) => {
                Value::Number(number.to_string(), false)
            }
            (Resolved::Float(value), _) if value.is_finite() => {
                Value::Number(format!("{value:e}"), false)
            }
            _ => Value::SingleQuotedString(scalar.text.clone()),
        };
        self.0.insert(name.to_owned(), Parameter::Value(value));
    }

    pub(crate) fn set_commit_time(&mut self, now: DateTime<Utc>) {
        self.0
            .insert(COMMIT_TIME.to_owned(), Parameter::Moment(now));
    }

    /// Puts the values in the place of the names.
    fn bind<T: VisitMut>(&self, ast: &mut T) -> Result<(), Trouble> {
        match ast.visit(&mut Binder { parameters: self }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(trouble) => Err(trouble),
        }
    }

    fn expression(&self, placeholder: &str) -> Result<ast::Expr, Trouble> {
        let name = placeholder.strip_prefix(':').ok_or_else(|| {
            Trouble::new(format!("`{placeholder}` is no parameter"))
                .with_hint("write a parameter as `:name`".to_owned())
        })?;
        let literal = |value: Value| ast::Expr::Value(value.with_empty_span());
        match self.0.get(name) {
            Some(Parameter::Value(value)) => Ok(literal(value.clone())),
            Some(Parameter::Moment(moment)) => moment_literal(*moment),
            None => {
                let names: Vec<_> = self.0.keys().map(String::as_str).collect();
                Err(Trouble::new(format!("unknown parameter `:{name}`"))
                    .with_hint(nearest_hint(name, names)))
            }
        }
    }
}

/// A moment in SQL.
///
/// SQL's own `TIMESTAMP` would have nanoseconds and no zone: columns of microseconds would be turned into it, which
/// overflows in the year 2262, and columns of another zone would be compared by their wall clock.
fn moment_literal(moment: DateTime<Utc>) -> Result<ast::Expr, Trouble> {
    let text = moment.to_rfc3339_opts(SecondsFormat::Micros, true);
    let text = format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')");
    Ok(sql::parse_expression(tokens(&text)?)?)
}

struct Binder<'p> {
    parameters: &'p Parameters,
}

impl VisitorMut for Binder<'_> {
    type Break = Trouble;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Trouble> {
        let ast::Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(name) = &value.value else {
            return ControlFlow::Continue(());
        };
        match self.parameters.expression(name) {
            Ok(bound) => *expr = bound,
            Err(trouble) => return ControlFlow::Break(trouble),
        }
        ControlFlow::Continue(())
    }
}

/// Lets a name without quotes mean the only column that is spelt like it but for upper and lower case, as in Spark and
/// Athena.
fn name_columns(expr: &mut ast::Expr, schema: &DFSchema) {
    match expr.visit(&mut Namer { schema }) {
        ControlFlow::Continue(()) => {}
        ControlFlow::Break(never) => match never {},
    }
}

struct Namer<'s> {
    schema: &'s DFSchema,
}

impl VisitorMut for Namer<'_> {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Infallible> {
        let ident = match expr {
            ast::Expr::Identifier(ident) => Some(ident),
            ast::Expr::CompoundIdentifier(idents) => idents.first_mut(),
            _ => None,
        };
        if let Some(ident) = ident.filter(|ident| ident.quote_style.is_none()) {
            let names = self.schema.fields().iter().map(|field| field.name());
            let mut like = names.filter(|name| name.eq_ignore_ascii_case(&ident.value));
            // Two such columns are told apart by quotes.
            if let (Some(only), None) = (like.next(), like.next()) {
                *ident = ast::Ident::with_quote('"', only);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Plans a condition over the columns of a schema.
pub(crate) fn condition(
    session: &SessionContext,
    sql: &str,
    schema: &DFSchema,
    parameters: &Parameters,
) -> Result<Expr, Trouble> {
    let state = session.state();
    let mut parsed = sql::parse_expression(tokens(sql)?)?;
    parameters.bind(&mut parsed)?;
    name_columns(&mut parsed, schema);
    let parsed = ast::ExprWithAlias {
        expr: parsed,
        alias: None,
    };
    let expr = state.create_logical_expr_from_sql_expr(parsed, schema)?;
    if has_subquery(&expr)? {
        return Err(
            Trouble::new("a condition has no subqueries: it looks at one row at a time")
                .with_hint("use a check `sql` or `exists_in`".to_owned()),
        );
    }
    refuse_changing_functions(&expr)?;
    let expr = with_simplified_functions(expr, schema)?;
    let expr = checked(compared_exactly(expr, schema)?, schema)?;
    // Planning the expression finds what only the physical planner refuses, such as aggregates.
    let physical = state.create_physical_expr(expr.clone(), schema)?;
    let data_type = physical.data_type(schema.as_arrow())?;
    if data_type != DataType::Boolean {
        return Err(Trouble::new(format!(
            "the condition `{sql}` gives {}, not true or false",
            crate::checks::sql_type(&data_type)
        )));
    }
    Ok(expr)
}

/// A number that is computed from all rows: functions over them, and what is made of their results.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    /// Each under a name of its own.
    parts: Vec<Expr>,
    /// In terms of these names.
    result: Expr,
}

impl Aggregate {
    /// The number over some rows.
    pub(crate) fn over(&self, rows: DataFrame) -> Result<DataFrame, Trouble> {
        let parts = rows.aggregate(Vec::new(), self.parts.clone())?;
        Ok(parts.select(vec![self.result.clone()])?)
    }
}

/// Plans an aggregate over the columns of a schema.
pub(crate) fn aggregate(
    session: &SessionContext,
    sql: &str,
    schema: &SchemaRef,
    parameters: &Parameters,
) -> Result<Aggregate, Trouble> {
    let state = session.state();
    let columns = DFSchema::try_from(Arc::clone(schema))?;
    let mut parsed = sql::parse_expression(tokens(sql)?)?;
    parameters.bind(&mut parsed)?;
    name_columns(&mut parsed, &columns);
    let parsed = ast::ExprWithAlias {
        expr: parsed,
        alias: None,
    };
    let expr = state.create_logical_expr_from_sql_expr(parsed, &columns)?;
    if has_subquery(&expr)? || expr.exists(|e| Ok(matches!(e, Expr::WindowFunction(_))))? {
        return Err(
            Trouble::new("an aggregate has neither subqueries nor window functions")
                .with_hint("use a check `sql`".to_owned()),
        );
    }
    refuse_changing_functions(&expr)?;
    let mut parts = Vec::new();
    let result = expr.transform_down(|part| {
        if !matches!(part, Expr::AggregateFunction(_)) {
            return Ok(Transformed::no(part));
        }
        let name = format!("__lakegate_part_{}", parts.len());
        parts.push(part.alias(&name));
        let result = Expr::Column(Column::new_unqualified(name));
        Ok(Transformed::new(result, true, TreeNodeRecursion::Jump))
    })?;
    let result = result.data;
    let mut names = result.column_refs().into_iter().map(|column| &column.name);
    let outside = names.find(|name| schema.column_with_name(name).is_some());
    if let Some(name) = outside {
        let message = format!("`{name}` in `{sql}` stands outside of an aggregate");
        return Err(Trouble::new(message).with_hint(format!("for example `sum({name})`")));
    }
    if parts.is_empty() {
        let message = format!("`{sql}` is no aggregate");
        return Err(Trouble::new(message).with_hint("for example `sum(amount)`".to_owned()));
    }
    let aggregate = Aggregate { parts, result };
    // Planning it over no rows finds types that do not fit.
    let rows = session.read_table(Arc::new(EmptyTable::new(Arc::clone(schema))))?;
    let planned = state.optimize(aggregate.over(rows)?.logical_plan())?;
    let field = planned.schema().field(0);
    if !field.data_type().is_numeric() && !field.data_type().is_null() {
        return Err(Trouble::new(format!(
            "`{sql}` gives {}, not a number",
            crate::checks::sql_type(field.data_type())
        )));
    }
    Ok(aggregate)
}

/// Lets each function write itself as another expression: some, such as `arrow_cast`, do nothing else.
fn with_simplified_functions(expr: Expr, schema: &DFSchema) -> Result<Expr, Trouble> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .build();
    let simplified = expr.transform_up(|part| {
        let Expr::ScalarFunction(mut call) = part else {
            return Ok(Transformed::no(part));
        };
        Ok(match call.func.simplify(call.args, &context)? {
            ExprSimplifyResult::Simplified(other) => Transformed::yes(other),
            ExprSimplifyResult::Original(args) => {
                call.args = args;
                Transformed::no(Expr::ScalarFunction(call))
            }
        })
    })?;
    Ok(simplified.data)
}

/// Refuses functions that give another answer each time: rows are counted and named in passes of their own, and a
/// commit that is judged again has to be judged alike.
fn refuse_changing_functions(expr: &Expr) -> Result<(), Trouble> {
    let mut found = None;
    expr.apply(|part| {
        if let Expr::ScalarFunction(call) = part {
            let name = call.func.name();
            found = match call.func.signature().volatility {
                Volatility::Volatile => Some(
                    Trouble::new(format!(
                        "a condition cannot call `{name}`, whose answer is another one each time"
                    ))
                    .with_hint("use columns and parameters only".to_owned()),
                ),
                // The time at which a query runs: `now()`, `current_date`.
                Volatility::Stable if call.args.is_empty() => Some(
                    Trouble::new(format!(
                        "a condition cannot call `{name}`, which is not the time of the commit"
                    ))
                    .with_hint("write `:commit_time`, or `CAST(:commit_time AS DATE)`".to_owned()),
                ),
                Volatility::Stable | Volatility::Immutable => None,
            };
        }
        Ok(match found {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    match found {
        Some(trouble) => Err(trouble),
        None => Ok(()),
    }
}

fn has_subquery(expr: &Expr) -> Result<bool, Trouble> {
    Ok(expr.exists(|e| {
        Ok(matches!(
            e,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
        ))
    })?)
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, Trouble> {
    sql::tokenize(sql).map_err(|error| Trouble::new(error.to_string()))
}

/// Parses one query.
pub(crate) fn parse_query(sql: &str) -> Result<Statement, Trouble> {
    let mut statements = sql::parse_statements(tokens(sql)?)?;
    let statement = statements.pop_front();
    match statement {
        Some(Statement::Statement(inner))
            if statements.is_empty() && matches!(*inner, ast::Statement::Query(_)) =>
        {
            Ok(Statement::Statement(inner))
        }
        _ => Err(Trouble::new("the SQL is not one query")
            .with_hint("write one `SELECT`; checks only read".to_owned())),
    }
}

/// Plans a query that reads only.
pub(crate) async fn query(
    session: &SessionContext,
    sql: &str,
    parameters: &Parameters,
) -> Result<LogicalPlan, Trouble> {
    let mut statement = parse_query(sql)?;
    if let Statement::Statement(inner) = &mut statement {
        parameters.bind(inner.as_mut())?;
    }
    let plan = session.state().statement_to_plan(statement).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(plan)
}

/// The tables that a query names, common table expressions aside. Nothing when it does not parse.
pub(crate) fn tables_of(sql: &str) -> Vec<String> {
    let Ok(statement) = parse_query(sql) else {
        return Vec::new();
    };
    datafusion::sql::resolve::resolve_table_references(&statement, true)
        .map(|(tables, _)| tables.iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}
