//! Values on their way into columns, in the SQL of a change.
//!
//! DataFusion's planner casts a value to the type of its column, and a cast cuts and rounds. So each value goes through
//! the column's own function first, which fails for a value that would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, ScalarUDF};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, Insert, MergeAction, MergeInsertKind,
    ObjectName, ObjectNamePart, Query, SetExpr, Statement as SqlStatement, TableFactor,
    TableObject, UnaryOperator, Value, Values,
};
use lakegate_catalog::{AssignedColumn, Assignments, CatalogError, TableSnapshot, function_name};
use lakegate_rules::sql_type;

use crate::parameters::{self, Parameters};
use crate::statement::written_parts;
use crate::{EngineError, Statement};

/// The columns of a statement's table, each with its function.
#[derive(Debug, Clone)]
pub(crate) struct Assigned {
    assignments: Assignments,
    columns: Vec<Arc<Field>>,
    functions: BTreeMap<String, Arc<ScalarUDF>>,
}

/// The name of the table whose columns a statement sets.
pub(crate) fn target(statement: &DfStatement) -> Option<&ObjectName> {
    let DfStatement::Statement(statement) = statement else {
        return None;
    };
    let factor = match statement.as_ref() {
        SqlStatement::Insert(insert) => match &insert.table {
            TableObject::TableName(name) => return Some(name),
            _ => return None,
        },
        SqlStatement::Update(update) => &update.table.relation,
        SqlStatement::Merge(merge) => &merge.table,
        _ => return None,
    };
    match factor {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// Writes the columns that a statement sets as SQL reads names: the planner takes them as they are written, whatever
/// their case.
pub(crate) fn fold_names(statement: &mut DfStatement) {
    let DfStatement::Statement(statement) = statement else {
        return;
    };
    let fold = |assignments: &mut [Assignment]| {
        for assignment in assignments {
            if let AssignmentTarget::ColumnName(name) = &mut assignment.target
                && let Some(column) = last_part(name)
                && let Some(ObjectNamePart::Identifier(ident)) = name.0.last_mut()
            {
                ident.value = column;
            }
        }
    };
    match statement.as_mut() {
        SqlStatement::Update(update) => fold(&mut update.assignments),
        SqlStatement::Merge(merge) => {
            for clause in &mut merge.clauses {
                if let MergeAction::Update(update) = &mut clause.action {
                    fold(&mut update.assignments);
                }
            }
        }
        _ => {}
    }
}

/// Puts a query in the place of that of an INSERT, which is returned. None when it has no query, but plain values.
pub(crate) fn replace_query(statement: &mut DfStatement, by: DfStatement) -> Option<DfStatement> {
    if inserted_values(statement).is_some() {
        return None;
    }
    let DfStatement::Statement(statement) = statement else {
        return None;
    };
    let SqlStatement::Insert(insert) = statement.as_mut() else {
        return None;
    };
    let source = insert.source.as_mut()?;
    let DfStatement::Statement(by) = by else {
        return None;
    };
    let SqlStatement::Query(by) = *by else {
        return None;
    };
    let query = std::mem::replace(source, by);
    Some(DfStatement::Statement(Box::new(SqlStatement::Query(query))))
}

/// The values of an INSERT that has nothing else.
fn plain_values(source: &mut Query) -> Option<&mut Values> {
    let has_more = source.with.is_some()
        || source.order_by.is_some()
        || source.limit_clause.is_some()
        || source.fetch.is_some();
    match source.body.as_mut() {
        SetExpr::Values(values) if !has_more => Some(values),
        _ => None,
    }
}

/// The values of a statement that inserts plain ones.
fn inserted_values(statement: &mut DfStatement) -> Option<&mut Values> {
    let DfStatement::Statement(statement) = statement else {
        return None;
    };
    match statement.as_mut() {
        SqlStatement::Insert(insert) => plain_values(insert.source.as_mut()?),
        _ => None,
    }
}

/// Rows that an INSERT comes to with all of its parameters.
const MOST_INSERTED_ROWS: usize = 10_000;

/// Bytes of SQL that they would be if they were written out, apart from the values of parameters.
const MOST_INSERTED_BYTES: usize = 16 << 20;

/// An INSERT of plain values, with those of all rows of parameters. None when the statement is something else.
///
/// # Errors
/// When it would come to too much, and as [`parameters::bind`].
pub(crate) fn insert_of_all(
    statement: &Statement,
    rows: &[Parameters],
) -> Result<Option<Statement>, EngineError> {
    if let Some(first) = rows.first() {
        // All rows have as many values.
        let style = statement.options.parameters;
        parameters::bind(&mut statement.inner.clone(), style, first)?;
    }
    let mut all = statement.clone();
    let Some(values) = inserted_values(&mut all.inner) else {
        return Ok(None);
    };
    let inserted = values.rows.len().saturating_mul(rows.len());
    let bytes = values.to_string().len().saturating_mul(rows.len());
    if inserted > MOST_INSERTED_ROWS || bytes > MOST_INSERTED_BYTES {
        return Err(EngineError::invalid(
            format!(
                "an INSERT of {} bytes of values is too long to be made with {} rows of parameters",
                bytes / rows.len(),
                rows.len()
            ),
            None,
            "bind fewer rows, or send the rows as a stream: `adbc_ingest`".to_owned(),
        ));
    }
    let one = values.clone();
    values.rows.clear();
    for parameters in rows {
        let mut bound = one.clone();
        parameters::bind_part(&mut bound, parameters)?;
        values.rows.append(&mut bound.rows);
    }
    Ok(Some(all))
}

impl Assigned {
    /// Makes the functions of a table's columns those of a session.
    pub(crate) fn register(session: &SessionContext, snapshot: &TableSnapshot) -> Option<Self> {
        let assignments = Assignments::new(snapshot.name.as_ref()?);
        let mut functions = BTreeMap::new();
        for field in snapshot.schema.fields() {
            let function = assignments.function(AssignedColumn {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                type_name: sql_type(field.data_type()),
                is_partition: snapshot.partition_columns.contains(field.name()),
            });
            session.register_udf(function.clone());
            functions.insert(field.name().clone(), Arc::new(function));
        }
        Some(Self {
            assignments,
            columns: snapshot.schema.fields().iter().cloned().collect(),
            functions,
        })
    }

    /// What is wrong with the first value that did not fit its column.
    pub(crate) fn error(&self) -> Option<CatalogError> {
        self.assignments.error()
    }

    /// Lets every value that a statement writes for a column go through the column's function.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a column that is set twice.
    pub(crate) fn apply(&self, statement: &mut DfStatement) -> Result<(), EngineError> {
        let DfStatement::Statement(statement) = statement else {
            return Ok(());
        };
        match statement.as_mut() {
            SqlStatement::Insert(insert) => self.insert(insert),
            SqlStatement::Update(update) => self.set(&mut update.assignments)?,
            SqlStatement::Merge(merge) => {
                for clause in &mut merge.clauses {
                    match &mut clause.action {
                        MergeAction::Update(update) => self.set(&mut update.assignments)?,
                        MergeAction::Insert(insert) => {
                            if let MergeInsertKind::Values(values) = &mut insert.kind {
                                self.values(values, &self.listed(&insert.columns));
                            }
                        }
                        MergeAction::Delete { .. } => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The rows of a query are made to be those of the columns once they are planned ([`Assigned::rows`]).
    fn insert(&self, insert: &mut Insert) {
        let columns = self.listed(&insert.columns);
        if let Some(source) = &mut insert.source
            && let Some(values) = plain_values(source)
        {
            self.values(values, &columns);
        }
    }

    /// The columns that are meant, in their order: all when none is named.
    fn listed(&self, names: &[ObjectName]) -> Vec<String> {
        if names.is_empty() {
            let columns = self.columns.iter();
            return columns.map(|field| field.name().clone()).collect();
        }
        let names = names.iter();
        names.filter_map(last_part).collect()
    }

    fn values(&self, values: &mut Values, columns: &[String]) {
        for row in &mut values.rows {
            for (value, column) in row.content.iter_mut().zip(columns) {
                self.through(value, column);
            }
        }
    }

    fn set(&self, assignments: &mut [Assignment]) -> Result<(), EngineError> {
        let mut seen: Vec<String> = Vec::new();
        for assignment in assignments {
            let AssignmentTarget::ColumnName(name) = &mut assignment.target else {
                continue;
            };
            let Some(column) = last_part(name) else {
                continue;
            };
            if seen.contains(&column) {
                return Err(EngineError::invalid(
                    format!("column `{column}` is set twice"),
                    None,
                    "set each column once".to_owned(),
                ));
            }
            self.through(&mut assignment.value, &column);
            seen.push(column);
        }
        Ok(())
    }

    fn through(&self, value: &mut SqlExpr, column: &str) {
        let mut fields = self.columns.iter();
        let Some(field) = fields.find(|field| field.name() == column) else {
            // The planner says that there is no such column.
            return;
        };
        let name = Ident::with_quote('"', function_name(column));
        let argument = std::mem::replace(value, SqlExpr::value(Value::Null));
        let argument = match field.data_type().is_floating() {
            true => argument,
            false => exactly(argument),
        };
        *value = SqlExpr::Function(Function {
            name: ObjectName(vec![ObjectNamePart::Identifier(name)]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        });
    }

    /// The rows of an INSERT, in which the planner casts columns of the query: these go through the functions too.
    pub(crate) fn rows(&self, rows: &LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let LogicalPlan::Projection(projection) = rows else {
            return Ok(rows.clone());
        };
        let exprs = projection.expr.iter().map(|expr| self.column(expr));
        let projected = Projection::try_new(exprs.collect(), Arc::clone(&projection.input))?;
        Ok(LogicalPlan::Projection(projected))
    }

    fn column(&self, expr: &Expr) -> Expr {
        if let Expr::Alias(alias) = expr
            && let Expr::Cast(cast) = alias.expr.as_ref()
            && matches!(cast.expr.as_ref(), Expr::Column(_))
            && let Some(function) = self.functions.get(&alias.name)
        {
            let value = ScalarFunction::new_udf(Arc::clone(function), vec![*cast.expr.clone()]);
            return Expr::Alias(Alias {
                expr: Box::new(Expr::ScalarFunction(value)),
                ..alias.clone()
            });
        }
        expr.clone()
    }
}

/// A number of more digits than a floating-point number holds, which the planner would make of it, as its text.
fn exactly(value: SqlExpr) -> SqlExpr {
    let (sign, number) = match &value {
        SqlExpr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => ("-", expr.as_ref()),
        number => ("", number),
    };
    let SqlExpr::Value(number) = number else {
        return value;
    };
    let Value::Number(number, _) = &number.value else {
        return value;
    };
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    match is_plain && digits > EXACT_DIGITS {
        true => SqlExpr::value(Value::SingleQuotedString(format!("{sign}{number}"))),
        false => value,
    }
}

/// Digits of a decimal number that a floating-point number of 64 bits always holds.
const EXACT_DIGITS: usize = 15;

fn last_part(name: &ObjectName) -> Option<String> {
    written_parts(name)?.pop()
}
