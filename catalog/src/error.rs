//! What can go wrong with a table, by what the caller can do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An error of the catalog. The message names the table; [`CatalogError::hint`] gives the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// No such table, version or file.
    #[error("{what} does not exist")]
    NotFound {
        /// The missing thing, for example "table `silver.flights`".
        what: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The request cannot be carried out as it is written.
    #[error("{message}")]
    Invalid {
        /// What is wrong with which thing.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The gate did not let the commit pass; the table is as it was.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Other writers changed the table in a way that this write cannot be put after.
    #[error("{message}")]
    Conflict {
        /// What conflicted, on which table.
        message: String,
        /// The underlying error.
        #[source]
        source: Option<Source>,
    },
    /// Storage or the engine failed.
    #[error("{message}")]
    Failed {
        /// What failed, on which thing.
        message: String,
        /// The underlying error.
        #[source]
        source: Source,
    },
    /// A broken invariant of Lakegate itself.
    #[error("internal error: {0}; please report it")]
    Bug(String),
}

impl CatalogError {
    /// A failure of storage or engine, saying what was being done.
    pub fn failed(message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Failed {
            message: message.into(),
            source: source.into(),
        }
    }

    /// A request that cannot be carried out as it is written.
    pub fn invalid(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Invalid {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The way out, when there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NotFound { hint, .. } | Self::Invalid { hint, .. } => hint.as_deref(),
            Self::Conflict { .. } => {
                Some("run the command again; it starts from the table as it is then")
            }
            Self::Refused(_) | Self::Failed { .. } | Self::Bug(_) => None,
        }
    }
}

/// A commit that the gate refused, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// The table, by name or location.
    pub table: String,
    /// The version that never came into being.
    pub version: i64,
    /// For people: which checks failed.
    pub message: String,
    /// The judge's report; null when the judge came to no decision.
    pub report: serde_json::Value,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.report.is_null() {
            true => "could not be judged",
            false => "fails its rules",
        };
        write!(
            f,
            "commit refused: version {} of `{}` {why}: {}",
            self.version, self.table, self.message
        )
    }
}
