//! Errors of pipelines, by what the caller can do.

use std::error::Error;

use datafusion::error::DataFusionError;
use lakegate_catalog::{CatalogError, Refusal};
use lakegate_engine::{EngineError, ErrorKind};
use lakegate_rules::RulesError;
use lakegate_rules::yaml::Problems;

use crate::input_error::{InputError, InputErrorKind};

type Source = Box<dyn Error + Send + Sync + 'static>;

/// An error of a pipeline, a stage or a check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtlError {
    /// A pipeline, a rule file or a schema file is wrong; every problem has its place.
    #[error("{0}")]
    Invalid(Problems),
    /// A request cannot be carried out as it is written.
    #[error("{message}")]
    Request {
        /// What is wrong with which thing.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The input is not there, or is not what the pipeline says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The catalog could not do what a stage needs; a refused commit is among these.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The engine could not do what a stage needs.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A check stage failed, or rows were refused before anything was written.
    #[error("{message}")]
    CheckFailed {
        /// Which checks failed on what.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// Something else failed.
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

impl EtlError {
    /// A failure, saying what was being done.
    pub fn failed(message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Failed {
            message: message.into(),
            source: source.into(),
        }
    }

    pub(crate) fn request(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Request {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// An error of DataFusion; what the input or the catalog said is taken out of it.
    pub(crate) fn from_datafusion(error: DataFusionError) -> Self {
        if let Some(input) = InputError::find(&error) {
            return Self::Input(input.duplicate());
        }
        EngineError::from_execution(error).into()
    }

    /// What is wrong with a value that SQL could not compute, when that is what happened.
    pub(crate) fn bad_value(&self) -> Option<String> {
        lakegate_engine::bad_value(self)
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Request { .. } => ErrorKind::Invalid,
            Self::Input(error) => match error.kind {
                InputErrorKind::NotFound => ErrorKind::NotFound,
                InputErrorKind::Invalid => ErrorKind::Invalid,
                InputErrorKind::Failed => ErrorKind::Failed,
            },
            Self::Catalog(error) => ErrorKind::of_catalog(error),
            Self::Engine(error) => error.kind(),
            Self::CheckFailed { .. } => ErrorKind::Refused,
            Self::Failed { .. } => ErrorKind::Failed,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// The way out, when there is one. Problems carry their own.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Request { hint, .. } | Self::CheckFailed { hint, .. } => hint.as_deref(),
            Self::Input(error) => error.hint.as_deref(),
            Self::Catalog(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Invalid(_) | Self::Failed { .. } | Self::Bug(_) => None,
        }
    }

    /// The gate's refusal, when that is what happened.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Catalog(CatalogError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl From<RulesError> for EtlError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Failed(error) => Self::from_datafusion(error),
            other => {
                let hint = other.hint().map(str::to_owned);
                Self::request(other.to_string(), hint)
            }
        }
    }
}

impl From<CatalogError> for EtlError {
    /// What the input said is taken out of the failed write that read it.
    fn from(error: CatalogError) -> Self {
        let mut current: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = current {
            if let Some(input) = inner.downcast_ref::<InputError>() {
                return Self::Input(input.duplicate());
            }
            if let Some(input) = inner
                .downcast_ref::<DataFusionError>()
                .and_then(InputError::find)
            {
                return Self::Input(input.duplicate());
            }
            current = inner.source();
        }
        Self::Catalog(error)
    }
}

impl From<Problems> for EtlError {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_error_is_taken_out_of_a_failed_write() {
        let input = InputError::invalid("a.csv:3: too many fields").with_hint("set `extra_fields`");
        let error: EtlError =
            CatalogError::failed("cannot write `silver.a`", DataFusionError::from(input)).into();
        assert_eq!(error.to_string(), "a.csv:3: too many fields");
        assert_eq!(error.hint(), Some("set `extra_fields`"));
        assert_eq!(error.exit_code(), 2);
    }
}
