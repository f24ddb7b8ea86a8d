//! Rows that another table has too.
//!
//! A row is good when the other table has a row with the same values in the columns of `keys`, and in those of
//! `columns`. Each is a map from a column to one of the other table, or a list where the names are the same; without
//! `columns`, all columns that both tables have are compared. Two nulls are equal in `columns`; a row with a null in
//! `keys` is bad. `keys` have to identify a row in both tables: when two rows have the same ones, the check has the
//! verdict `error`. Rows of the other table that the checked one lacks are not looked for: `row_count_match` counts them.
//! `where` filters the checked rows, `table_where` the other table. Values of two types are compared as `compare` does.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! table_checks:
//!   - dataset_match: { table: silver.customers, keys: [customer_id], where: order_id <= 2 }
//!   - dataset_match:
//!       table: silver.customers
//!       keys: { customer_id: customer_id }
//!       columns: { country: country }
//!       where: order_id in (2, 3)
//!       at_least: 90%
//! ```
//!
//! Source: Deequ 2.0 `DatasetMatch` and `DataSynchronization`, in which nulls are never equal.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::other_table::{OtherTable, TABLE, TABLE_WHERE};
use crate::plan::{Match, Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct DatasetMatch;

const SETTINGS: &[Setting] = &[
    TABLE,
    Setting::required(
        "keys",
        Form::ColumnPairs,
        "The columns that identify a row, each with that of the other table.",
    ),
    Setting::optional(
        "columns",
        Form::ColumnPairs,
        "The columns that are compared, each with that of the other table. Default: all that both tables have.",
    ),
    TABLE_WHERE,
];

impl CheckKind for DatasetMatch {
    fn name(&self) -> &'static str {
        "dataset_match"
    }

    fn source(&self) -> &'static str {
        include_str!("dataset_match.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let table = OtherTable::read(settings);
        let keys = settings.column_pairs("keys");
        let columns = match settings.has("columns") {
            true => Some(settings.column_pairs("columns")?),
            false => None,
        };
        Some(Arc::new(IsAlike {
            table: table?,
            keys: keys?,
            columns,
        }))
    }
}

#[derive(Debug)]
struct IsAlike {
    table: OtherTable,
    keys: Vec<(String, String)>,
    columns: Option<Vec<(String, String)>>,
}

#[async_trait]
impl Rule for IsAlike {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let found = self.table.find(planner).await?;
        let compared = match &self.columns {
            Some(columns) => columns.clone(),
            None => {
                let others = found.table.schema();
                let is_key = |name: &str| self.keys.iter().any(|(own, _)| own == name);
                let names = planner.schema.fields().iter().map(|field| field.name());
                names
                    .filter(|name| !is_key(name) && others.column_with_name(name).is_some())
                    .map(|name| (name.clone(), name.clone()))
                    .collect()
            }
        };
        let pairs = |names: &[(String, String)]| {
            let pairs = names.iter().map(|(own, other)| {
                let names = (own.as_str(), other.as_str());
                self.table.pair(planner, &found, names, "compared with")
            });
            pairs.collect::<Result<Vec<_>, _>>()
        };
        Ok(Work::Match(Match {
            keys: pairs(&self.keys)?,
            compared: pairs(&compared)?,
            table: Arc::clone(&found.table),
            table_where: found.filter.clone(),
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }

    fn references(&self) -> Vec<(String, Span)> {
        self.table.references()
    }
}
