//! The alias of the table of a `DELETE`, which the planner does not look at: the table's name takes its place.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, FromTable, Ident, Statement as SqlStatement, TableFactor, VisitMut, VisitorMut,
};

use crate::statement::written_name;

/// Writes the table's name in the place of its alias.
pub(crate) fn resolve(statement: &mut DfStatement) {
    let DfStatement::Statement(statement) = statement else {
        return;
    };
    let SqlStatement::Delete(delete) = statement.as_mut() else {
        return;
    };
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &mut delete.from;
    let [table] = tables.as_mut_slice() else {
        return;
    };
    let TableFactor::Table { name, alias, .. } = &mut table.relation else {
        return;
    };
    let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
    let Some(name) = parts else {
        return;
    };
    if let (Some(alias), Some(condition)) = (alias.take(), &mut delete.selection) {
        let alias = written_name(&alias.name);
        let _always_continues = condition.visit(&mut InPlaceOf { alias, name });
    }
}

struct InPlaceOf {
    alias: String,
    name: Vec<Ident>,
}

impl VisitorMut for InPlaceOf {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() > 1
            && written_name(&parts[0]) == self.alias
        {
            parts.splice(0..1, self.name.iter().cloned());
        }
        ControlFlow::Continue(())
    }
}
