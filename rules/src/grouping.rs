//! Metrics over the groups of equal values in one or several columns.

use async_trait::async_trait;

use crate::assertion::{Number, Quantity};
use crate::checks::{Place, Rule};
use crate::finding::{Facts, Finding, Measured, mismatch, no_values};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;

/// The columns of a grouping in `table_checks`; below a column it is that column.
pub(crate) const COLUMNS: Setting = Setting::optional(
    "columns",
    Form::Columns,
    "Columns that are taken together, in `table_checks`.",
)
.only_in(Place::Table);

/// Which number is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    Uniqueness,
    UniqueValueRatio,
    Distinctness,
    DuplicateRows,
    Entropy,
}

/// A metric over the groups of equal values.
#[derive(Debug)]
pub(crate) struct Grouping {
    columns: Vec<String>,
    statistic: Statistic,
}

impl Grouping {
    pub(crate) fn read(
        column: Option<&str>,
        settings: &mut Settings<'_>,
        statistic: Statistic,
    ) -> Option<Self> {
        let columns = columns_of(column, settings)?;
        Some(Self { columns, statistic })
    }
}

/// The columns of a grouping: the one below which the check stands, or those it names.
pub(crate) fn columns_of(column: Option<&str>, settings: &mut Settings<'_>) -> Option<Vec<String>> {
    let Some(column) = column else {
        return settings.columns(COLUMNS.key);
    };
    if settings.has(COLUMNS.key) {
        let message = "`columns` belongs to a check of the table".to_owned();
        let hint = Some("move the check to `table_checks`".to_owned());
        settings.problem(Some(COLUMNS.key), message, hint);
    }
    Some(vec![column.to_owned()])
}

#[async_trait]
impl Rule for Grouping {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        Ok(Work::Groups(self.columns.clone()))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Groups {
            rows,
            values,
            groups,
            repeated,
            weighted_logarithms,
        } = measured
        else {
            return Err(mismatch(check));
        };
        // What is not repeated is a group of its own.
        let single = values.saturating_sub(repeated);
        let share = |part, whole| Quantity::Share { part, whole };
        let metric = match self.statistic {
            Statistic::DuplicateRows => Quantity::Number(Number::integer(i128::from(repeated))),
            Statistic::Entropy if values == 0 => return Err(no_values(check, rows)),
            _ if values == 0 => {
                let note = "no values to judge";
                return Ok(Finding::nothing_to_judge(check, Some(rows), note));
            }
            Statistic::Uniqueness => share(single, values),
            Statistic::UniqueValueRatio => share(single, groups),
            Statistic::Distinctness => share(groups, values),
            Statistic::Entropy => {
                let total = values as f64;
                let entropy = total.ln() - weighted_logarithms / total;
                // Rounding may leave something below nothing.
                Quantity::Number(Number::Float(entropy.max(0.0)))
            }
        };
        Ok(Finding::of(check, &metric, Some(rows)))
    }
}
