//! A number that a query returns, held against thresholds.
//!
//! The query returns one row with one column, a number. The rule file's own table name means the candidate version. The
//! query only reads; it may join any table of the catalog. `:commit_time` and the parameters of the file are bound as
//! values. No row, several rows, several columns and null have the verdict `error`.
//!
//! ```yaml
//! table_checks:
//!   - sql_metric:
//!       name: customers
//!       query: SELECT count(DISTINCT country) FROM silver.customers
//!       at_least: 1
//! ```
//!
//! Source: Deequ 2.0 `CustomSql`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::{Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::fragment;
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct SqlMetric;

const SETTINGS: &[Setting] = &[Setting::required("query", Form::Text, "One `SELECT`.")];

impl CheckKind for SqlMetric {
    fn name(&self) -> &'static str {
        "sql_metric"
    }

    fn source(&self) -> &'static str {
        include_str!("sql_metric.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let span = settings.span("query");
        let query = settings.text("query")?;
        if let Err(trouble) = fragment::parse_query(&query) {
            settings.problem(Some("query"), trouble.message, trouble.hint);
        }
        Some(Arc::new(Answer { query, span }))
    }
}

#[derive(Debug)]
struct Answer {
    query: String,
    span: Span,
}

#[async_trait]
impl Rule for Answer {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let plan = fragment::query(planner.session(), &self.query, &planner.parameters).await;
        let plan = plan.map_err(|trouble| trouble.at(self.span))?;
        let fields = plan.schema().fields();
        match fields.as_ref() {
            [field] if field.data_type().is_numeric() => Ok(Work::Query(Box::new(plan))),
            [field] => Err(Trouble::new(format!(
                "the query returns {}, not a number",
                sql_type(field.data_type())
            ))
            .at(self.span)),
            fields => Err(Trouble::new(format!(
                "the query returns {} columns, not one",
                fields.len()
            ))
            .at(self.span)),
        }
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Answer { rows, head } = measured else {
            return Err(mismatch(check));
        };
        let (1, Some(head)) = (rows, head) else {
            return Err(Trouble::new(format!(
                "the query returns {rows} rows, not one"
            )));
        };
        let value = ScalarValue::try_from_array(head.column(0), 0)?;
        match Quantity::from_scalar(&value)? {
            Some(metric) => Ok(Finding::of(check, &metric, None)),
            None => Err(Trouble::new("the query returns null")),
        }
    }

    fn statement(&self) -> Option<(&str, Span)> {
        Some((&self.query, self.span))
    }
}
