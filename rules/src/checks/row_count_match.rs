//! The number of rows divided by that of another table.
//!
//! `where` filters the checked rows, `table_where` the other table. Thresholds are percents of the other table's count;
//! without one, both counts have to be equal. Two tables without rows are equal; rows beside a table without any are
//! infinitely many.
//!
//! ```yaml
//! table_checks:
//!   - row_count_match: { table: silver.customers, between: [50%, 200%] }
//!   - row_count_match: { table: silver.customers, where: country = 'FR', table_where: country = 'FR' }
//! ```
//!
//! Source: Deequ 2.0 `RowCountMatch`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Quantity, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::other_table::{OtherTable, TABLE, TABLE_WHERE, number_of};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Setting, Settings};
use crate::suite::Check;
use crate::yaml::Span;

pub(crate) struct RowCountMatch;

const SETTINGS: &[Setting] = &[TABLE, TABLE_WHERE];

impl CheckKind for RowCountMatch {
    fn name(&self) -> &'static str {
        "row_count_match"
    }

    fn source(&self) -> &'static str {
        include_str!("row_count_match.rs")
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
        let table = OtherTable::read(settings)?;
        Some(Arc::new(Counts { table }))
    }
}

#[derive(Debug)]
struct Counts {
    table: OtherTable,
}

#[async_trait]
impl Rule for Counts {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let others = self.table.find(planner).await?.rows(planner)?;
        let counted = others.aggregate(Vec::new(), vec![count(lit(1))])?;
        let plan = counted.into_unoptimized_plan();
        Ok(Work::Beside(Measure::Rows, Box::new(plan)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Several(both) = measured else {
            return Err(mismatch(check));
        };
        let [Measured::Rows { rows, .. }, other] = both.as_slice() else {
            return Err(mismatch(check));
        };
        let own = Quantity::Number(Number::integer(i128::from(*rows)));
        let other = number_of(other)?.ok_or_else(|| mismatch(check))?;
        let ratio = Quantity::ratio(&own, &other).ok_or_else(|| mismatch(check))?;
        let mut finding = Finding::of(check, &ratio, Some(*rows));
        let message = format!("{rows} rows, `{}` has {other}", self.table.name);
        finding.message = Some(message);
        Ok(finding)
    }

    fn references(&self) -> Vec<(String, Span)> {
        self.table.references()
    }
}
