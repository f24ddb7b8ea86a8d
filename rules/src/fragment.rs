//! SQL in rule files: conditions and queries, with their parameters bound as values.
//!
//! A parameter is replaced in the parsed statement by a literal of its type. Text is never pasted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use crate::plan::Trouble;
use crate::sql;
use crate::yaml::{Resolved, Scalar, nearest_hint};

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq)]
enum Parameter {
    Value(Value),
    Timestamp(String),
}

/// The parameters of a rule file: its own, each with its default, and `:commit_time`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(BTreeMap<String, Parameter>);

/// The built-in parameter: when the commit that is judged is made.
pub(crate) const COMMIT_TIME: &str = "commit_time";

impl Parameters {
    /// Adds a parameter with its default.
    pub(crate) fn insert(&mut self, name: &str, scalar: &Scalar) {
        let value = match scalar.resolve() {
            Resolved::Bool(value) => Value::Boolean(value),
            Resolved::Integer(_) | Resolved::Float(_) => Value::Number(scalar.text.clone(), false),
            _ => Value::SingleQuotedString(scalar.text.clone()),
        };
        self.0.insert(name.to_owned(), Parameter::Value(value));
    }

    pub(crate) fn set_commit_time(&mut self, now: DateTime<Utc>) {
        let text = now.to_rfc3339_opts(SecondsFormat::Micros, true);
        self.0
            .insert(COMMIT_TIME.to_owned(), Parameter::Timestamp(text));
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
            Some(Parameter::Timestamp(text)) => Ok(ast::Expr::Cast {
                kind: ast::CastKind::Cast,
                expr: Box::new(literal(Value::SingleQuotedString(text.clone()))),
                data_type: ast::DataType::Timestamp(None, ast::TimezoneInfo::None),
                array: false,
                format: None,
            }),
            None => {
                let names: Vec<_> = self.0.keys().map(String::as_str).collect();
                Err(Trouble::new(format!("unknown parameter `:{name}`"))
                    .with_hint(nearest_hint(name, names)))
            }
        }
    }
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

fn has_subquery(expr: &Expr) -> Result<bool, Trouble> {
    use datafusion::common::tree_node::TreeNode;
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
    let tokens = sql::tokenize(sql);
    tokens.map_err(|error| DataFusionError::SQL(Box::new(error.into()), None).into())
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
