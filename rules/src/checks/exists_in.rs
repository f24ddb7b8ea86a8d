//! Rows whose value occurs in another table.
//!
//! Below a column, `column` names the column of the other table (default: the same name). In
//! `table_checks`, `columns` are looked up together in `table_columns` (default: the same names).
//! `where` filters the checked rows, `table_where` the other table. A row with a null in one of
//! the columns passes. Values of two types are compared as `compare` does.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   customer_id:
//!     - exists_in: { table: silver.customers, column: customer_id, table_where: is_active }
//! table_checks:
//!   - exists_in: { columns: [customer_id, country], table: silver.customers, at_least: 10% }
//! ```
//!
//! Source: Deequ 2.0 `ReferentialIntegrity`, which counts values of the checked table once each, and a null as one.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::other_table::{OtherTable, TABLE, TABLE_WHERE};
use crate::plan::{Lookup, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct ExistsIn;

const SETTINGS: &[Setting] = &[
    TABLE,
    Setting::optional("column", Form::Text, "Its column, below a column.").only_in(Place::Column),
    Setting::optional(
        "columns",
        Form::Columns,
        "Columns of the checked table that are looked up together, in `table_checks`.",
    )
    .only_in(Place::Table),
    Setting::optional(
        "table_columns",
        Form::Columns,
        "The columns of the other table for them.",
    )
    .only_in(Place::Table),
    TABLE_WHERE,
];

impl CheckKind for ExistsIn {
    fn name(&self) -> &'static str {
        "exists_in"
    }

    fn source(&self) -> &'static str {
        include_str!("exists_in.rs")
    }

    fn place(&self) -> Place {
        Place::Either
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn table_settings(&self) -> &'static [&'static str] {
        &["columns"]
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let table = OtherTable::read(settings);
        let misplaced: &[&str] = match column {
            Some(_) => &["columns", "table_columns"],
            None => &["column"],
        };
        for key in misplaced {
            if settings.has(key) {
                let (message, hint) = match column {
                    Some(_) => ("belongs to a check of the table", "write `column`"),
                    None => (
                        "belongs to a check of a column",
                        "write `columns` and `table_columns`",
                    ),
                };
                settings.problem(
                    Some(key),
                    format!("`{key}` {message}"),
                    Some(hint.to_owned()),
                );
            }
        }
        let (columns, table_columns) = match column {
            Some(column) => {
                let other = settings.text("column").unwrap_or_else(|| column.to_owned());
                (vec![column.to_owned()], vec![other])
            }
            None => {
                let columns = settings.columns("columns")?;
                let others = settings
                    .columns("table_columns")
                    .unwrap_or_else(|| columns.clone());
                (columns, others)
            }
        };
        if columns.len() != table_columns.len() {
            let message = format!(
                "`columns` names {}, `table_columns` names {}",
                columns.len(),
                table_columns.len()
            );
            settings.problem(Some("table_columns"), message, None);
        }
        Some(Arc::new(OccursIn {
            columns,
            table: table?,
            table_columns,
        }))
    }
}

#[derive(Debug)]
struct OccursIn {
    columns: Vec<String>,
    table: OtherTable,
    table_columns: Vec<String>,
}

#[async_trait]
impl Rule for OccursIn {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        let found = self.table.find(planner).await?;
        let names = self.columns.iter().zip(&self.table_columns);
        let keys = names.map(|(column, other)| {
            self.table
                .pair(planner, &found, (column, other), "found in")
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Work::Lookup(Lookup {
            keys,
            table: found.table,
            table_where: found.filter,
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }

    fn references(&self) -> Vec<(String, Span)> {
        self.table.references()
    }
}
