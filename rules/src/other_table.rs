//! Another table of the catalog that a check reads.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::logical_expr::Expr;
use datafusion::prelude::DataFrame;

use crate::assertion::Quantity;
use crate::checks::sql_type;
use crate::finding::Measured;
use crate::literal::{common_type, comparable, rounding_hint};
use crate::plan::{LookupKey, Planner, Trouble, field_of, plain_type};
use crate::settings::{Form, Setting, Settings};
use crate::yaml::Span;

/// The setting that names it.
pub(crate) const TABLE: Setting = Setting::required("table", Form::Text, "The other table.");

/// The setting that filters it.
pub(crate) const TABLE_WHERE: Setting = Setting::optional(
    "table_where",
    Form::Text,
    "SQL condition: only rows of the other table for which it is true count.",
);

/// Another table as a rule file names it.
#[derive(Debug)]
pub(crate) struct OtherTable {
    pub(crate) name: String,
    span: Span,
    filter: Option<(String, Span)>,
}

/// Another table that is there.
#[derive(Debug, Clone)]
pub(crate) struct FoundTable {
    pub(crate) table: Arc<dyn TableProvider>,
    pub(crate) filter: Option<Expr>,
}

impl OtherTable {
    /// Reads `table` and `table_where`.
    pub(crate) fn read(settings: &mut Settings<'_>) -> Option<Self> {
        let span = settings.span(TABLE.key);
        let name = settings.text(TABLE.key);
        let filter_span = settings.span(TABLE_WHERE.key);
        let filter = settings.text(TABLE_WHERE.key).map(|sql| (sql, filter_span));
        let name = name?;
        if !is_table_name(&name) {
            let message = format!("`{name}` is no table name");
            let hint = Some("write `schema.table`".to_owned());
            settings.problem(Some(TABLE.key), message, hint);
        }
        Some(Self { name, span, filter })
    }

    /// Finds the table, and plans its filter.
    pub(crate) async fn find(&self, planner: &Planner) -> Result<FoundTable, Trouble> {
        let table = planner.table(&self.name).await?;
        let filter = match &self.filter {
            Some((sql, span)) => {
                let condition = planner.condition_over(sql, &table.schema());
                Some(condition.map_err(|trouble| trouble.at(*span))?)
            }
            None => None,
        };
        Ok(FoundTable { table, filter })
    }

    /// What a rule says of the tables that it reads.
    pub(crate) fn references(&self) -> Vec<(String, Span)> {
        vec![(self.name.clone(), self.span)]
    }

    /// A column beside one of this table, in the type in which they are compared. `action` says what they are wanted for.
    pub(crate) fn pair(
        &self,
        planner: &Planner,
        found: &FoundTable,
        (column, other): (&str, &str),
        action: &str,
    ) -> Result<LookupKey, Trouble> {
        let whose = format!("table `{}`", self.name);
        let schema = found.table.schema();
        let other_type = field_of(&schema, other, &whose)?.data_type();
        let data_type = planner.field(column)?.data_type();
        let Some(common) = common_type(data_type, other_type) else {
            return Err(Trouble::new(format!(
                "column `{column}` ({}) cannot be {action} `{}.{other}` ({}): the types differ",
                sql_type(data_type),
                self.name,
                sql_type(other_type)
            ))
            .with_hint(rounding_hint(plain_type(data_type), plain_type(other_type))));
        };
        Ok(LookupKey {
            column: column.to_owned(),
            own: comparable(column, data_type, &common),
            other: comparable(other, other_type, &common),
        })
    }
}

impl FoundTable {
    /// Its rows that pass the filter.
    pub(crate) fn rows(&self, planner: &Planner) -> Result<DataFrame, Trouble> {
        let rows = planner.session().read_table(Arc::clone(&self.table))?;
        crate::rows::filtered(rows, self.filter.as_ref())
    }
}

/// The one number of an answer; none for null.
pub(crate) fn number_of(answer: &Measured) -> Result<Option<Quantity>, Trouble> {
    use datafusion::common::ScalarValue;

    let Measured::Answer { head, .. } = answer else {
        return Err(Trouble::new("bug: a query was measured as something else"));
    };
    let Some(batch) = head.as_ref().filter(|batch| batch.num_rows() > 0) else {
        return Ok(None);
    };
    Quantity::from_scalar(&ScalarValue::try_from_array(batch.column(0), 0)?)
}

fn is_table_name(name: &str) -> bool {
    let reference = TableReference::parse_str(name);
    !reference.table().trim().is_empty()
        && reference.schema().is_none_or(|s| !s.trim().is_empty())
        && reference.to_vec().len() == name.matches('.').count() + 1
        || name.contains('"')
}
