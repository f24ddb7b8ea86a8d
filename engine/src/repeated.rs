//! Queries two of whose columns have one name, which DataFusion's planner refuses.
//!
//! In the query of an INSERT it is the place of a column that counts: its columns are given other names then.

use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Ident, Query, SelectItem, SetExpr, Statement as SqlStatement,
};

use crate::EngineError;

/// What DataFusion says of names that repeat.
const REPEATED: &str = "Projections require unique expression names";

/// Plans a statement. Names may repeat in the query of an INSERT, or in a query that is one.
pub(crate) async fn plan(
    session: &SessionContext,
    statement: DfStatement,
    is_inserted: bool,
) -> Result<LogicalPlan, EngineError> {
    let state = session.state();
    // Boxed, since these futures are large, and there are two.
    let planned = Box::pin(state.statement_to_plan(statement.clone()));
    let error = match planned.await {
        Err(error) if is_repeated(&error) => error,
        planned => return planned.map_err(EngineError::from_planning),
    };
    let DfStatement::Statement(mut statement) = statement else {
        return Err(EngineError::from_planning(error));
    };
    match statement.as_mut() {
        SqlStatement::Query(query) if is_inserted => name_columns(query),
        SqlStatement::Insert(insert) => {
            if let Some(source) = &mut insert.source {
                name_columns(source);
            }
        }
        SqlStatement::CreateTable(_) => return Err(of_new_table(&error)),
        _ => return Err(EngineError::from_planning(error)),
    }
    let again = Box::pin(state.statement_to_plan(DfStatement::Statement(statement)));
    again.await.map_err(EngineError::from_planning)
}

fn is_repeated(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(message) if message.starts_with(REPEATED))
}

/// Gives a name to each column of a query that has none, or that of another one.
fn name_columns(query: &mut Query) {
    let mut bodies = vec![query.body.as_mut()];
    while let Some(body) = bodies.pop() {
        match body {
            SetExpr::Select(select) => {
                let mut known = Vec::new();
                for (index, item) in select.projection.iter_mut().enumerate() {
                    let name = Ident::with_quote('"', format!("__column_{index}"));
                    match item {
                        SelectItem::UnnamedExpr(expr) => {
                            *item = SelectItem::ExprWithAlias {
                                expr: expr.clone(),
                                alias: name,
                            };
                        }
                        SelectItem::ExprWithAlias { alias, .. } => match known.contains(&*alias) {
                            true => *alias = name,
                            false => known.push(alias.clone()),
                        },
                        _ => {}
                    }
                }
            }
            SetExpr::Query(query) => bodies.push(query.body.as_mut()),
            SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_mut(), right]),
            _ => {}
        }
    }
}

/// That two columns of a new table would have one name, which is in DataFusion's message.
fn of_new_table(error: &DataFusionError) -> EngineError {
    let message = error.find_root().to_string();
    let expression = message.split('"').nth(1).unwrap_or_default();
    let name = match expression.rsplit_once(" AS ") {
        Some((_, name)) => name,
        None => expression,
    };
    let places = message.split("at position ").skip(1);
    let places = places.filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(digits.parse::<usize>().ok()? + 1)
    });
    let places: Vec<String> = places.map(|place| place.to_string()).collect();
    EngineError::invalid(
        format!(
            "two columns of the new table have the name `{name}`: those at {}",
            places.join(" and ")
        ),
        None,
        "give each a name of its own: `SELECT ... AS name`".to_owned(),
    )
}
