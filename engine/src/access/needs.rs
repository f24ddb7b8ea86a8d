//! What a statement needs the right to, as far as its text tells. What it reads is looked up for its caller anyway.

use datafusion::sql::parser::Statement as DfStatement;
use lakegate_catalog::TableName;

use super::Right;
use crate::Statement;

impl Statement {
    /// The rights that it needs beside reading tables as they are.
    pub(super) fn needs(&self) -> Vec<(Right, TableName)> {
        let made = self.makes_or_drops().into_iter();
        let made = made.map(|table| (Right::Manage, table));
        let maintained = self.maintenance.iter();
        let maintained = maintained.map(|what| (Right::Manage, what.table().clone()));
        let assigned = self.assigns_to().into_iter();
        let assigned = assigned.map(|table| (Right::Write, table));
        let shown = self.definition.iter();
        let shown = shown.map(|table| (Right::Read, table.clone()));
        // A plan tells of all rows of a table, whoever may read which.
        let is_explained = matches!(self.inner, DfStatement::Explain(_));
        let explained = self.tables().iter().filter(|_| is_explained);
        let explained = explained.filter(|table| table.name.is_of_the_system());
        let explained = explained.map(|table| (Right::Read, table.name.clone()));
        made.chain(explained)
            .chain(maintained)
            .chain(assigned)
            .chain(shown)
            .collect()
    }
}
