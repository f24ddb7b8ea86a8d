//! Rows whose value is one of a list.
//!
//! Text is compared exactly, upper and lower case apart. Nulls pass.
//! Every listed value has to be one that the column's type can hold; of floating-point numbers, the nearest is meant.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   status:
//!     - one_of: [new, paid, shipped, returned]
//!   line_no:
//!     - one_of: { values: [1, 2, 3], at_least: 90%, bad_rows: quarantine }
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, lit};

use super::{CheckKind, Place, Rule};
use crate::assertion::{Number, Unit};
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::literal::{is_text, literal, no_value};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::row_test::{self, FloatSet, TextSet};
use crate::settings::{Form, Setting, Settings};
use crate::suite::Check;
use crate::yaml::Scalar;

pub(crate) struct OneOf;

const SETTINGS: &[Setting] = &[Setting::required(
    "values",
    Form::Scalars,
    "The values that are allowed.",
)];

impl CheckKind for OneOf {
    fn name(&self) -> &'static str {
        "one_of"
    }

    fn source(&self) -> &'static str {
        include_str!("one_of.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn shorthand(&self) -> Option<&'static str> {
        Some("values")
    }

    fn read(&self, column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        Some(Arc::new(IsListed {
            column: column?.to_owned(),
            values: settings.scalars("values")?,
        }))
    }
}

#[derive(Debug)]
struct IsListed {
    column: String,
    values: Vec<Scalar>,
}

impl IsListed {
    fn condition(&self, planner: &Planner) -> Result<Expr, Trouble> {
        let column = planner.column(&self.column)?;
        let data_type = planner.data_type(&self.column)?;
        if is_text(&data_type) {
            let set = TextSet::new(self.values.iter().map(|v| v.text.as_str()));
            return Ok(row_test::call(set, column));
        }
        if matches!(data_type, DataType::Float32 | DataType::Float64) {
            let mut members = Vec::new();
            for value in &self.values {
                let number = Number::parse(&value.text);
                members
                    .push(number.ok_or_else(|| no_value(&value.text, &data_type, &self.column))?);
            }
            let set = FloatSet::new(members.into_iter().map(Number::to_f64));
            return Ok(row_test::call(set, column));
        }
        let values = self
            .values
            .iter()
            .map(|value| literal(value, &data_type, &self.column).map(lit))
            .collect::<Result<Vec<_>, _>>()?;
        if data_type == DataType::Boolean {
            // A list of both is no reason to plan a set.
            let either = values.into_iter().map(|v| column.clone().eq(v));
            return either
                .reduce(Expr::or)
                .ok_or_else(|| Trouble::new("`values` is an empty list"));
        }
        Ok(column.in_list(values, false))
    }
}

#[async_trait]
impl Rule for IsListed {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        if planner.data_type(&self.column)?.is_null() {
            return Ok(Work::Scan(Measure::nothing_false()));
        }
        Ok(Work::Scan(Measure::False(self.condition(planner)?)))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
