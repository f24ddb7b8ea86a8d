//! The result of a query.
//!
//! `expect: no_rows` wants a query that returns nothing: each row that it returns is bad.
//! `expect: true` wants one row with one column that is true; false and null are not.
//! The rule file's own table name means the candidate version. The query only reads; it may join
//! any table of the catalog. `:commit_time` and the parameters of the file are bound as values.
//! Samples hold the columns of the file's `key` that the query returns, or, when it returns none
//! of them and does not say `*`, the columns that it names.
//!
//! ```yaml
//! table_checks:
//!   - sql:
//!       name: totals_are_positive
//!       expect: no_rows
//!       query: |
//!         SELECT order_id, sum(amount) AS total FROM silver.orders
//!         GROUP BY order_id HAVING sum(amount) < 0
//!   - sql:
//!       name: enough_customers
//!       expect: true
//!       query: SELECT count(*) >= 1 FROM silver.customers
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::DataType;

use super::{CheckKind, Place, Rule, sql_type};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, Samples, mismatch};
use crate::fragment;
use crate::plan::{Planner, Trouble, Work};
use crate::rows::keys_of;
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;
use crate::{Verdict, thousands};

pub(crate) struct Sql;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    NoRows,
    True,
}

const SETTINGS: &[Setting] = &[
    Setting::required(
        "expect",
        Form::Choice(&["no_rows", "true"]),
        "What the query has to return.",
    ),
    Setting::required("query", Form::Text, "One `SELECT`."),
];

impl CheckKind for Sql {
    fn name(&self) -> &'static str {
        "sql"
    }

    fn source(&self) -> &'static str {
        include_str!("sql.rs")
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
        let expect = settings.choice(
            "expect",
            &[("no_rows", Expect::NoRows), ("true", Expect::True)],
        );
        let span = settings.span("query");
        let query = settings.text("query");
        if let Some(sql) = &query
            && let Err(trouble) = fragment::parse_query(sql)
        {
            settings.problem(Some("query"), trouble.message, trouble.hint);
        }
        Some(Arc::new(Query {
            expect: expect?,
            query: query?,
            span,
        }))
    }
}

fn row_count_text(rows: u64) -> String {
    match rows {
        0 => "no rows".to_owned(),
        1 => "1 row".to_owned(),
        rows => format!("{} rows", thousands(rows)),
    }
}

#[derive(Debug)]
struct Query {
    expect: Expect,
    query: String,
    span: Span,
}

#[async_trait]
impl Rule for Query {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let plan = fragment::query(planner.session(), &self.query, &planner.parameters)
            .await
            .map_err(|trouble| trouble.at(self.span))?;
        let schema = plan.schema().as_arrow();
        if self.expect == Expect::True {
            let types: Vec<_> = schema.fields().iter().map(|f| f.data_type()).collect();
            if types != [&DataType::Boolean] {
                let found: Vec<_> = types.iter().map(|t| sql_type(t)).collect();
                return Err(Trouble::new(format!(
                    "the query returns {} column(s) ({}), `expect: true` needs one of type boolean",
                    found.len(),
                    found.join(", ")
                )));
            }
        }
        Ok(Work::Query(Box::new(plan)))
    }

    fn assess(&self, check: &Check, measured: Measured, facts: &Facts) -> Result<Finding, Trouble> {
        let Measured::Answer { rows, head } = measured else {
            return Err(mismatch(check));
        };
        let (is_good, observed) = match self.expect {
            Expect::NoRows => (rows == 0, row_count_text(rows)),
            Expect::True => {
                if rows != 1 {
                    return Err(Trouble::new(format!(
                        "the query returns {rows} rows, `expect: true` needs one"
                    )));
                }
                let value = head
                    .as_ref()
                    .and_then(|batch| batch.column(0).as_boolean_opt())
                    .filter(|values| values.is_valid(0))
                    .map(|values| values.value(0));
                let text = value.map_or_else(|| "null".to_owned(), |v| v.to_string());
                (value == Some(true), text)
            }
        };
        let is_no_rows = self.expect == Expect::NoRows;
        let mut samples = Samples::new();
        if let (false, true, Some(batch)) = (is_good, is_no_rows, &head) {
            let schema = batch.schema();
            let has = |column: &&String| schema.column_with_name(column).is_some();
            let mut columns: Vec<String> = facts.key.iter().filter(has).cloned().collect();
            if columns.is_empty() && !self.query.contains('*') {
                columns = schema.fields().iter().map(|f| f.name().clone()).collect();
            }
            samples = keys_of(batch, &columns, facts.sample_rows)?;
        }
        Ok(Finding {
            verdict: match (is_good, check.severity) {
                (true, _) => Verdict::Pass,
                (false, crate::Severity::Warn) => Verdict::Warn,
                (false, crate::Severity::Error) => Verdict::Fail,
            },
            metric: is_no_rows.then_some(rows as f64),
            distance: Some(if is_no_rows {
                rows as f64
            } else {
                f64::from(u8::from(!is_good))
            }),
            observed,
            expected: if is_no_rows { "no rows" } else { "true" }.to_owned(),
            rows: None,
            bad_rows: is_no_rows.then_some(rows),
            message: None,
            samples,
        })
    }

    fn statement(&self) -> Option<(&str, Span)> {
        Some((&self.query, self.span))
    }
}
