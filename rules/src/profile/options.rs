//! What a profile looks at.

use crate::RulesError;
use crate::plan::Trouble;

/// What a profile looks at.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    pub(super) columns: Option<Vec<String>>,
    pub(super) condition: Option<String>,
    pub(super) top: usize,
    pub(super) bins: usize,
}

impl Default for ProfileOptions {
    /// All rows and columns, the ten most frequent values and twenty bins.
    fn default() -> Self {
        Self {
            columns: None,
            condition: None,
            top: 10,
            bins: 20,
        }
    }
}

/// Most frequent values and bins that a profile may have.
const MOST: usize = 1000;

impl ProfileOptions {
    /// These columns only, in this order.
    #[must_use]
    pub fn with_columns(mut self, columns: Vec<String>) -> Self {
        self.columns = Some(columns);
        self
    }

    /// The rows for which a SQL condition is true only.
    #[must_use]
    pub fn with_condition(mut self, sql: String) -> Self {
        self.condition = Some(sql);
        self
    }

    /// So many of the most frequent values, from 1 to 1,000.
    ///
    /// # Errors
    /// When there are more, or none.
    pub fn with_top(mut self, top: usize) -> Result<Self, RulesError> {
        self.top = in_range("the number of most frequent values", top)?;
        Ok(self)
    }

    /// So many bins of equal width in the histograms of numbers, from 1 to 1,000.
    ///
    /// # Errors
    /// When there are more, or none.
    pub fn with_bins(mut self, bins: usize) -> Result<Self, RulesError> {
        self.bins = in_range("the number of bins", bins)?;
        Ok(self)
    }
}

fn in_range(what: &str, count: usize) -> Result<usize, RulesError> {
    if (1..=MOST).contains(&count) {
        return Ok(count);
    }
    let message = format!("{what} must be from 1 to {MOST}, found {count}");
    Err(RulesError::profile(Trouble::new(message)))
}
