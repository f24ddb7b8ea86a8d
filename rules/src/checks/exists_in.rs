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

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::TableReference;

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::{common_type, comparable, rounding_hint};
use crate::plan::{Lookup, LookupKey, Planner, Trouble, Work, field_of, plain_type};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct ExistsIn;

const SETTINGS: &[Setting] = &[
    Setting::required("table", Form::Text, "The other table."),
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
    Setting::optional(
        "table_where",
        Form::Text,
        "SQL condition: only rows of the other table for which it is true count.",
    ),
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
        let table_span = settings.span("table");
        let table = settings.text("table");
        let where_span = settings.span("table_where");
        let table_where = settings.text("table_where").map(|sql| (sql, where_span));
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
                if !settings.has("columns") {
                    let message = "check `exists_in` of a table needs `columns`".to_owned();
                    settings.problem(None, message, None);
                    return None;
                }
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
        let table = table?;
        if !is_table_name(&table) {
            let message = format!("`{table}` is no table name");
            let hint = Some("write `schema.table`".to_owned());
            settings.problem(Some("table"), message, hint);
        }
        Some(Arc::new(OccursIn {
            columns,
            table,
            table_span,
            table_columns,
            table_where,
        }))
    }
}

fn is_table_name(name: &str) -> bool {
    let reference = TableReference::parse_str(name);
    !reference.table().trim().is_empty()
        && reference.schema().is_none_or(|s| !s.trim().is_empty())
        && reference.to_vec().len() == name.matches('.').count() + 1
        || name.contains('"')
}

#[derive(Debug)]
struct OccursIn {
    columns: Vec<String>,
    table: String,
    table_span: Span,
    table_columns: Vec<String>,
    table_where: Option<(String, Span)>,
}

#[async_trait]
impl Rule for OccursIn {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        let table = planner.table(&self.table).await?;
        let schema = table.schema();
        let mut keys = Vec::new();
        for (column, other) in self.columns.iter().zip(&self.table_columns) {
            let whose = format!("table `{}`", self.table);
            let other_type = field_of(&schema, other, &whose)?.data_type();
            let data_type = planner.field(column)?.data_type();
            let Some(common) = common_type(data_type, other_type) else {
                return Err(Trouble::new(format!(
                    "column `{column}` ({}) cannot be found in `{}.{other}` ({}): the types differ",
                    sql_type(data_type),
                    self.table,
                    sql_type(other_type)
                ))
                .with_hint(rounding_hint(plain_type(data_type), plain_type(other_type))));
            };
            keys.push(LookupKey {
                column: column.clone(),
                own: comparable(column, data_type, &common),
                other: comparable(other, other_type, &common),
            });
        }
        let table_where = match &self.table_where {
            Some((sql, span)) => {
                let condition = planner.condition_over(sql, &schema);
                Some(condition.map_err(|trouble| trouble.at(*span))?)
            }
            None => None,
        };
        Ok(Work::Lookup(Lookup {
            keys,
            table,
            table_where,
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }

    fn references(&self) -> Vec<(String, Span)> {
        vec![(self.table.clone(), self.table_span)]
    }
}
