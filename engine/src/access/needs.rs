//! What a statement needs the right to, as far as its text tells. What it reads is looked up for its caller anyway.

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
        made.chain(maintained)
            .chain(assigned)
            .chain(shown)
            .collect()
    }
}
