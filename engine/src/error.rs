//! Errors by what the caller can do, and the one table from their kind to the exit code.

use std::fmt;
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use lakegate_catalog::{CatalogError, TableName};

use crate::Right;

mod bad_value;

pub use bad_value::bad_value;
use bad_value::{OF_EXECUTION, of_filter};

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What the caller of a failed operation can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Name a thing that exists.
    NotFound,
    /// Change the request or the configuration.
    Invalid,
    /// Repair the data, or the rules: the gate refused the commit, or a check failed.
    Refused,
    /// Ask for a permission.
    Denied,
    /// Try again: another writer was faster.
    Conflict,
    /// Try again later.
    Busy,
    /// Ask for what there is: it is known what is meant, and Lakegate does not do it.
    Unsupported,
    /// Nothing: somebody asked for it.
    Cancelled,
    /// Take or send rows faster.
    Stalled,
    /// Let the query hold less at once, or raise the limit.
    Exhausted,
    /// Look at the storage or the machine.
    Failed,
    /// Report it: a broken invariant of Lakegate itself.
    Bug,
}

impl ErrorKind {
    /// The exit code of a command that ends with an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::NotFound | Self::Invalid | Self::Unsupported => 2,
            Self::Denied
            | Self::Conflict
            | Self::Busy
            | Self::Cancelled
            | Self::Stalled
            | Self::Exhausted
            | Self::Failed
            | Self::Bug => 3,
        }
    }

    /// The status code of gRPC for an error of this kind. https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    pub const fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::Invalid => 3,
            Self::Stalled => 4,
            Self::NotFound => 5,
            Self::Denied => 7,
            Self::Exhausted => 8,
            // The state of the data does not permit it: trying again does not help.
            Self::Refused => 9,
            Self::Conflict => 10,
            Self::Unsupported => 12,
            Self::Failed | Self::Bug => 13,
            Self::Busy => 14,
        }
    }

    /// The kind of an error of the catalog.
    pub fn of_catalog(error: &CatalogError) -> Self {
        match error {
            CatalogError::NotFound { .. } => Self::NotFound,
            CatalogError::Invalid { .. } => Self::Invalid,
            CatalogError::Refused(_) => Self::Refused,
            CatalogError::Conflict { .. } => Self::Conflict,
            CatalogError::Failed { .. } => Self::Failed,
            _ => Self::Bug,
        }
    }
}

/// A place in SQL text; both numbers start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The SQL, its parameters or the settings cannot be used as they are.
    #[error("{message}")]
    Invalid {
        /// What is wrong with which thing.
        message: String,
        /// Where in the SQL, when that is known.
        place: Option<Place>,
        /// The way out.
        hint: Option<String>,
    },
    /// The SQL names something that there is not.
    #[error("{message}")]
    NotFound {
        /// What there is not.
        message: String,
        /// Where in the SQL, when that is known.
        place: Option<Place>,
        /// The way out.
        hint: Option<String>,
    },
    /// It is known what is meant, and Lakegate does not do it.
    #[error("{message}")]
    Unsupported {
        /// What is not done.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The caller may not do it.
    #[error("{message}")]
    Denied {
        /// Who may not do what.
        message: String,
        /// The way out.
        hint: String,
        /// What would be needed.
        right: Right,
        /// On which table.
        table: TableName,
        /// Whether the table is not there for the caller.
        is_hidden: bool,
    },
    /// There is no place for the query.
    #[error("{message}")]
    Busy {
        /// What there is too much of.
        message: String,
        /// The way out.
        hint: String,
    },
    /// Somebody ended it.
    #[error("the query was cancelled")]
    Cancelled,
    /// The client did not go on with it.
    #[error("the query was ended: its client let {} pass without taking or sending rows", humantime::format_duration(*.limit))]
    Stalled {
        /// How long that may be.
        limit: Duration,
    },
    /// The query needs more memory or disk than it may have.
    #[error("{message}")]
    Exhausted {
        /// What there is too little of.
        message: String,
        /// The underlying error.
        #[source]
        source: Source,
        /// The way out.
        hint: String,
    },
    /// The catalog could not give a table.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The query could not be carried out.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// The underlying error.
        #[source]
        source: Source,
        /// The way out.
        hint: Option<String>,
    },
    /// A broken invariant of Lakegate itself.
    #[error("internal error: {0}; please report it")]
    Bug(String),
}

impl EngineError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Denied {
                is_hidden: true, ..
            } => ErrorKind::NotFound,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Stalled { .. } => ErrorKind::Stalled,
            Self::Exhausted { .. } => ErrorKind::Exhausted,
            Self::Catalog(error) => ErrorKind::of_catalog(error),
            Self::Failed { .. } => ErrorKind::Failed,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// The way out, when there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Invalid { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Unsupported { hint, .. }
            | Self::Failed { hint, .. } => hint.as_deref(),
            Self::Busy { hint, .. } | Self::Denied { hint, .. } | Self::Exhausted { hint, .. } => {
                Some(hint)
            }
            Self::Catalog(error) => error.hint(),
            Self::Stalled { .. } => Some(
                "ask again and take rows as they come, or let the server wait longer: `--stall-limit`",
            ),
            Self::Cancelled | Self::Bug(_) => None,
        }
    }

    /// Where in the SQL, when that is known.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Invalid { place, .. } | Self::NotFound { place, .. } => *place,
            _ => None,
        }
    }

    /// The same error, at a place when it has none.
    pub(crate) fn or_at(mut self, last: Option<Place>) -> Self {
        if let Self::Invalid { place, .. } = &mut self {
            *place = place.or(last);
        }
        self
    }

    pub(crate) fn invalid(
        message: impl Into<String>,
        place: impl Into<Option<Place>>,
        hint: impl Into<Option<String>>,
    ) -> Self {
        Self::Invalid {
            message: message.into(),
            place: place.into(),
            hint: hint.into(),
        }
    }

    /// Something that a client sent is not what it should be.
    pub fn unreadable(what: &str, error: impl fmt::Display) -> Self {
        Self::invalid(format!("{what} cannot be read: {error}"), None, None)
    }

    pub(crate) fn busy(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Busy {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// What DataFusion says about SQL that it cannot parse or plan.
    pub fn from_planning(error: DataFusionError) -> Self {
        let place = error
            .diagnostic()
            .and_then(|diagnostic| diagnostic.span)
            .map(|span| Place {
                line: span.start.line,
                column: span.start.column,
            });
        let error = match own_error(error) {
            Ok(error) => return error,
            Err(error) => error,
        };
        if let Some((message, hint)) = missing_column(&error) {
            return Self::Invalid {
                message,
                place,
                hint,
            };
        }
        let (message, place_in_message) = without_place(&plain_message(&error));
        Self::invalid(message, place.or(place_in_message), None)
    }

    /// What DataFusion says about a query that it could not carry out.
    pub fn from_execution(error: DataFusionError) -> Self {
        let error = match own_error(error) {
            Ok(error) => return error,
            Err(error) => error,
        };
        if is_of_the_sql(error.find_root()) {
            return Self::from_planning(error);
        }
        let root = error.find_root();
        if let Some(message) = of_filter(&root.to_string()) {
            return Self::invalid(message, None, None);
        }
        if matches!(root, DataFusionError::ResourcesExhausted(_)) {
            return Self::Exhausted {
                message: plain_message(&error),
                source: Box::new(error),
                hint: "raise `memory_limit`, or let the query hold fewer rows at once".to_owned(),
            };
        }
        let hint = is_missing_file(root).then(|| MISSING_FILE.to_owned());
        Self::Failed {
            message: plain_message(&error),
            source: Box::new(error),
            hint,
        }
    }
}

/// Whether the SQL is at fault: it asks for what there is not, or for what these rows do not have.
fn is_of_the_sql(root: &DataFusionError) -> bool {
    match root {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Execution(_) => true,
        DataFusionError::ArrowError(error, _) => matches!(
            error.as_ref(),
            ArrowError::CastError(_)
                | ArrowError::ParseError(_)
                | ArrowError::ComputeError(_)
                | ArrowError::DivideByZero
                | ArrowError::InvalidArgumentError(_)
                | ArrowError::ArithmeticOverflow(_)
        ),
        _ => false,
    }
}

/// The way out when a data file is not there.
const MISSING_FILE: &str = "a data file of this version is gone: `vacuum` takes files of old versions away; `lakegate catalog history` lists the versions, and the newest one has all of its files unless they were deleted by hand";

/// Whether storage said that a file is not there.
fn is_missing_file(error: &DataFusionError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let not_found = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        if not_found {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Takes an error of the catalog out of the error of DataFusion that carries it.
fn own_error(error: DataFusionError) -> Result<EngineError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => {
            let inner = match inner.downcast::<CatalogError>() {
                Ok(error) => return Ok(EngineError::Catalog(*error)),
                Err(inner) => inner,
            };
            let inner = match inner.downcast::<EngineError>() {
                Ok(error) => return Ok(*error),
                Err(inner) => inner,
            };
            match inner.downcast::<DataFusionError>() {
                Ok(error) => own_error(*error),
                Err(inner) => Err(DataFusionError::External(inner)),
            }
        }
        DataFusionError::Context(text, inner) => {
            own_error(*inner).map_err(|e| DataFusionError::Context(text, Box::new(e)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            own_error(*inner).map_err(|e| DataFusionError::Diagnostic(diagnostic, Box::new(e)))
        }
        other => Err(other),
    }
}

fn missing_column(error: &DataFusionError) -> Option<(String, Option<String>)> {
    let DataFusionError::SchemaError(schema_error, _) = error.find_root() else {
        return None;
    };
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = schema_error.as_ref()
    else {
        return None;
    };
    let names = valid_fields.iter().map(|column| column.name.as_str());
    let hint = match nearest(&field.name, names.clone()) {
        Some(name) if name == field.name => valid_fields
            .iter()
            .find(|column| column.name == name)
            .map(|column| format!("did you mean `{}`?", column.flat_name())),
        Some(name) if name.eq_ignore_ascii_case(&field.name) => Some(format!(
            "names without quotes are read in lower case; write \"{name}\" in double quotes"
        )),
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if valid_fields.is_empty() => None,
        None => Some(format!(
            "a text stands in single quotes; the columns are: {}",
            names.collect::<Vec<_>>().join(", ")
        )),
    };
    Some((
        format!("column `{}` does not exist", field.flat_name()),
        hint,
    ))
}

/// The known name that is most like a name that is not known, when one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| {
            let likeness = strsim::normalized_damerau_levenshtein(
                &name.to_lowercase(),
                &candidate.to_lowercase(),
            );
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// DataFusion's innermost message without its prefixes and backtrace, in lower case at its start.
fn plain_message(error: &DataFusionError) -> String {
    without_prefixes(&error.find_root().strip_backtrace())
}

/// A message without what DataFusion and its libraries put before it, in lower case at its start.
fn without_prefixes(text: &str) -> String {
    let mut rest = text;
    while let Some(stripped) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = stripped;
    }
    let mut letters = rest.chars();
    match letters.next() {
        // A word in capitals stays as it is: it is SQL.
        Some(first) if letters.clone().next().is_some_and(|c| !c.is_uppercase()) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => rest.to_owned(),
    }
}

/// What DataFusion and its libraries put before a message.
const PREFIXES: &[&str] = &[
    "Error during planning: ",
    "SQL error: ",
    OF_EXECUTION,
    "Schema error: ",
    "External error: ",
    "Arrow error: ",
    "This feature is not implemented: ",
    "Cast error: ",
    "Parser error: ",
    "Expected ParserError: ",
];

/// Takes ` at Line: 1, Column: 15` out of a parser's message.
fn without_place(message: &str) -> (String, Option<Place>) {
    const MARK: &str = " at Line: ";
    let message = message
        .strip_prefix("parserError(\"")
        .or_else(|| message.strip_prefix("tokenizerError(\""))
        .map_or(message, |rest| rest.strip_suffix("\")").unwrap_or(rest));
    let Some((before, after)) = message.split_once(MARK) else {
        return (message.to_owned(), None);
    };
    let mut numbers = after.split(|c: char| !c.is_ascii_digit());
    let line = numbers.next().and_then(|n| n.parse().ok());
    let column = numbers.find_map(|n| n.parse().ok());
    let place = line
        .zip(column)
        .map(|(line, column)| Place { line, column });
    (before.to_owned(), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_is_one_and_invalid_is_two() {
        assert_eq!(ErrorKind::Refused.exit_code(), 1);
        assert_eq!(ErrorKind::NotFound.exit_code(), 2);
        assert_eq!(ErrorKind::Invalid.exit_code(), 2);
        assert_eq!(ErrorKind::Conflict.exit_code(), 3);
        assert_eq!(ErrorKind::Failed.exit_code(), 3);
    }

    #[test]
    fn catalog_error_survives_its_way_through_datafusion() {
        let inner = CatalogError::NotFound {
            what: "table `a.b`".into(),
            hint: Some("did you mean `a.c`?".into()),
        };
        let outer = DataFusionError::Context(
            "planning".into(),
            Box::new(DataFusionError::External(Box::new(inner))),
        );
        let error = EngineError::from_planning(outer);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.hint(), Some("did you mean `a.c`?"));
    }
}
