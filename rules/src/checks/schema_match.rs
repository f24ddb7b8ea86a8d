//! The columns of another table, and their types.
//!
//! With `mode: exact` (the default) both tables have the same columns with the same types; with `mode: at_least` the
//! checked one may have others. The order does not matter, nor does whether a column takes nulls. The message names
//! each difference.
//!
//! ```yaml
//! table_checks:
//!   - schema_match: { table: silver.orders }
//!   - schema_match: { table: silver.customers, mode: at_least, severity: warn }
//! ```
//!
//! Source: Deequ 2.0 `SchemaMatch`, which compares the number of columns and their types.

use std::sync::Arc;

use async_trait::async_trait;

use super::schema::assess_differences;
use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured};
use crate::other_table::{OtherTable, TABLE};
use crate::plan::{Planner, Trouble, Work, plain_type};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct SchemaMatch;

const SETTINGS: &[Setting] = &[
    TABLE,
    Setting::optional(
        "mode",
        Form::Choice(&["exact", "at_least"]),
        "Whether the checked table has no other columns. Default: `exact`.",
    ),
];

impl CheckKind for SchemaMatch {
    fn name(&self) -> &'static str {
        "schema_match"
    }

    fn source(&self) -> &'static str {
        include_str!("schema_match.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::None
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let table = OtherTable::read(settings);
        let modes = [("exact", true), ("at_least", false)];
        let is_exact = settings.choice("mode", &modes).unwrap_or(true);
        Some(Arc::new(HasSchemaOf {
            table: table?,
            is_exact,
        }))
    }
}

#[derive(Debug)]
struct HasSchemaOf {
    table: OtherTable,
    is_exact: bool,
}

#[async_trait]
impl Rule for HasSchemaOf {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let others = self.table.find(planner).await?.table.schema();
        let mut differences = Vec::new();
        for wanted in others.fields() {
            let name = wanted.name();
            let wanted = sql_type(plain_type(wanted.data_type()));
            match planner.schema.column_with_name(name) {
                None => differences.push(format!("column `{name}` ({wanted}) is missing")),
                Some((_, field)) => {
                    let found = sql_type(plain_type(field.data_type()));
                    if found != wanted {
                        differences.push(format!("column `{name}` is {found}, wanted {wanted}"));
                    }
                }
            }
        }
        for field in planner.schema.fields() {
            let name = field.name();
            if self.is_exact && others.column_with_name(name).is_none() {
                differences.push(format!("`{}` has no column `{name}`", self.table.name));
            }
        }
        Ok(Work::Known(Measured::Differences {
            columns: others.fields().len() as u64,
            differences,
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let table = &self.table.name;
        assess_differences(check, measured, |columns| match self.is_exact {
            true => format!("exactly the {columns} columns of `{table}`"),
            false => format!("the {columns} columns of `{table}`"),
        })
    }

    fn references(&self) -> Vec<(String, Span)> {
        self.table.references()
    }
}
