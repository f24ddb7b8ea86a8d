//! What can be wrong with the data that a pipeline reads.

use std::error::Error;
use std::fmt;

use datafusion::error::DataFusionError;
use lakegate_rules::yaml::{Problem, Span};

type Source = Box<dyn Error + Send + Sync + 'static>;

/// What the caller can do about an [`InputError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputErrorKind {
    /// A file, a table or a version is not there: bring it, or correct its name.
    NotFound,
    /// The data is not what the options say: correct one of the two.
    Invalid,
    /// Storage failed: free or repair it and try again.
    Failed,
}

/// An error of the input. It names the file, and the line where that is known.
///
/// Streams of record batches carry it inside a [`DataFusionError`]; [`InputError::find`] takes it out again.
#[derive(Debug)]
pub struct InputError {
    /// What the caller can do.
    pub kind: InputErrorKind,
    /// What happened to which thing.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The place in the pipeline file that asked for the input.
    pub place: Option<Span>,
    /// The underlying error.
    pub source: Option<Source>,
}

impl InputError {
    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(InputErrorKind::NotFound, message)
    }

    /// Data that is not what the options say.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(InputErrorKind::Invalid, message)
    }

    /// Storage that failed.
    pub fn failed(message: impl Into<String>, source: impl Into<Source>) -> Self {
        let mut error = Self::new(InputErrorKind::Failed, message);
        error.source = Some(source.into());
        error
    }

    fn new(kind: InputErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            place: None,
            source: None,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place in the pipeline file, unless it is known.
    #[must_use]
    pub fn at(mut self, place: Span) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same as a problem of the pipeline file, for `validate`.
    pub fn into_problem(self, pipeline_file: &str) -> Problem {
        Problem {
            file: pipeline_file.to_owned(),
            span: self.place,
            message: self.to_string(),
            hint: self.hint,
        }
    }

    /// The same error once more, its source as text: an error of the engine keeps the first one.
    pub fn duplicate(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            hint: self.hint.clone(),
            place: self.place,
            source: self.source.as_ref().map(|source| source.to_string().into()),
        }
    }

    /// The input error inside an error of the engine, however deep it is wrapped.
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        let mut current: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = current {
            if let Some(found) = inner.downcast_ref::<Self>() {
                return Some(found);
            }
            current = inner.source();
        }
        None
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for InputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<InputError> for DataFusionError {
    fn from(error: InputError) -> Self {
        Self::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::error::ArrowError;

    use super::*;

    #[test]
    fn input_error_is_found_under_every_wrapping() {
        let wrapped = DataFusionError::ArrowError(
            Box::new(ArrowError::ExternalError(Box::new(
                DataFusionError::Context(
                    "reading".into(),
                    Box::new(InputError::invalid("a.csv:3: broken").into()),
                ),
            ))),
            None,
        );
        let shared = DataFusionError::Shared(Arc::new(wrapped));
        assert_eq!(
            InputError::find(&shared).unwrap().message,
            "a.csv:3: broken"
        );
        assert!(InputError::find(&DataFusionError::Plan("x".into())).is_none());
    }
}
