//! What can go wrong outside a report.

use datafusion::common::DataFusionError;
use thiserror::Error;

use crate::plan::Trouble;

/// Why rows could not be marked or profiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A check does not fit the rows.
    #[error("check `{check}` cannot be evaluated: {message}")]
    Invalid {
        /// The check's id.
        check: String,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// A profile does not fit the rows, or they cannot be read.
    #[error("{message}")]
    Profile {
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The engine failed.
    #[error("the rows cannot be marked")]
    Failed(#[from] DataFusionError),
}

impl RulesError {
    pub(crate) fn check(id: &str, trouble: Trouble) -> Self {
        Self::Invalid {
            check: id.to_owned(),
            message: trouble.message,
            hint: trouble.hint,
        }
    }

    pub(crate) fn profile(trouble: Trouble) -> Self {
        Self::Profile {
            message: trouble.message,
            hint: trouble.hint,
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Invalid { hint, .. } | Self::Profile { hint, .. } => hint.as_deref(),
            Self::Failed(_) => None,
        }
    }
}
