//! A number over all rows divided by one over another table.
//!
//! `expression` and `table_expression` are SQL over the columns of either table whose columns stand in aggregates, such
//! as `sum(amount)`, `count(DISTINCT customer_id)` or `sum(amount) / count(*)`. `where` filters the checked rows,
//! `table_where` the other table; `:commit_time` and the parameters of the file are bound as values. Thresholds are
//! percents of the other table's number; without one, both have to be equal. Zero of zero is equal; any other number
//! beside zero is infinite. Integers and decimals are compared exactly. A null, as the sum of no rows is, gives the
//! verdict `error`: write `coalesce(sum(amount), 0)`.
//!
//! ```yaml
//! table_checks:
//!   - aggregate_match:
//!       expression: count(DISTINCT customer_id)
//!       table: silver.customers
//!       table_expression: count(*)
//!       at_least: 50%
//! ```
//!
//! Source: DQDL `AggregateMatch`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::other_table::{OtherTable, TABLE, TABLE_WHERE, number_of};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct AggregateMatch;

const SETTINGS: &[Setting] = &[
    Setting::required(
        "expression",
        Form::Text,
        "SQL that gives a number from the checked rows.",
    ),
    TABLE,
    Setting::optional(
        "table_expression",
        Form::Text,
        "SQL that gives a number from the other table. Default: the same.",
    ),
    TABLE_WHERE,
];

impl CheckKind for AggregateMatch {
    fn name(&self) -> &'static str {
        "aggregate_match"
    }

    fn source(&self) -> &'static str {
        include_str!("aggregate_match.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::Ratio
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let table = OtherTable::read(settings);
        let span = settings.span("expression");
        let expression = settings.text("expression");
        let own = expression.clone().map(|sql| (sql, span));
        let other = match settings.has("table_expression") {
            true => {
                let span = settings.span("table_expression");
                settings.text("table_expression").map(|sql| (sql, span))
            }
            false => own.clone(),
        };
        Some(Arc::new(Aggregates {
            own: own?,
            table: table?,
            other: other?,
        }))
    }
}

#[derive(Debug)]
struct Aggregates {
    own: (String, Span),
    table: OtherTable,
    other: (String, Span),
}

#[async_trait]
impl Rule for Aggregates {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let (sql, span) = &self.own;
        let own = planner.aggregate(sql, &planner.schema);
        let own = own.map_err(|trouble| trouble.at(*span))?;
        let found = self.table.find(planner).await?;
        let (sql, span) = &self.other;
        let other = planner.aggregate(sql, &found.table.schema());
        let other = other.map_err(|trouble| trouble.at(*span))?;
        let other = other.over(found.rows(planner)?)?.into_unoptimized_plan();
        Ok(Work::Aggregates(own, Box::new(other)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Several(both) = measured else {
            return Err(mismatch(check));
        };
        let [own, other] = both.as_slice() else {
            return Err(mismatch(check));
        };
        let number = |answer: &Measured, sql: &str, whose: &str| match number_of(answer)? {
            Some(number) => Ok(number),
            None => Err(Trouble::new(format!("`{sql}` over {whose} is null"))
                .with_hint(format!("write `coalesce({sql}, 0)`"))),
        };
        let own = number(own, &self.own.0, "the table")?;
        let other = number(other, &self.other.0, &format!("`{}`", self.table.name))?;
        let ratio = Quantity::ratio(&own, &other).ok_or_else(|| mismatch(check))?;
        let mut finding = Finding::of(check, &ratio, None);
        let message = format!("{own} here, {other} in `{}`", self.table.name);
        finding.message = Some(message);
        Ok(finding)
    }

    fn references(&self) -> Vec<(String, Span)> {
        self.table.references()
    }
}
