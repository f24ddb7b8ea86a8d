//! Rows whose value in the column occurs once.
//!
//! A row is bad when another row has the same value: of two equal rows both are bad. Nulls pass.
//! The threshold is the share of good rows; without one, every row has to be good.
//!
//! ```yaml
//! columns:
//!   order_id: [unique]
//! ```
//!
//! Source: Deequ 2.0 `Uniqueness`, with null rows counted as good ones.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::Unit;
use crate::finding::{Facts, Finding, Measured, assess_row_level};
use crate::plan::{Planner, Trouble, Work};
use crate::settings::Settings;
use crate::suite::Check;

pub(crate) struct Unique;

impl CheckKind for Unique {
    fn name(&self) -> &'static str {
        "unique"
    }

    fn source(&self) -> &'static str {
        include_str!("unique.rs")
    }

    fn place(&self) -> Place {
        Place::Column
    }

    fn unit(&self) -> Unit {
        Unit::Share
    }

    fn read(&self, column: Option<&str>, _settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        let columns = vec![column?.to_owned()];
        Some(Arc::new(OccursOnce { columns }))
    }
}

#[derive(Debug)]
pub(super) struct OccursOnce {
    pub(super) columns: Vec<String>,
}

#[async_trait]
impl Rule for OccursOnce {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        for column in &self.columns {
            planner.field(column)?;
        }
        Ok(Work::Groups(self.columns.clone()))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_row_level(check, &measured)
    }
}
