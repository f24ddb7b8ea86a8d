//! What a command ends with when it does not end well.

use std::error::Error;

use lakegate_catalog::CatalogError;
use lakegate_engine::{EngineError, ErrorKind};
use lakegate_etl::EtlError;
use lakegate_rules::Report;
use lakegate_rules::yaml::Problems;

/// One or more messages, each with its way out, and the exit code.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) messages: Vec<Message>,
    pub(crate) exit_code: u8,
    /// The judge's report, when a commit was refused.
    pub(crate) report: Option<Box<Report>>,
}

/// What went wrong with which thing.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) text: String,
    /// Errors below it, outermost first.
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
}

impl CliError {
    /// Input or configuration that cannot be used.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            messages: vec![Message {
                text: text.into(),
                causes: Vec::new(),
                hint: None,
            }],
            exit_code: ErrorKind::Invalid.exit_code(),
            report: None,
        }
    }

    /// A failure of storage or machine.
    pub(crate) fn failed(text: impl Into<String>, source: &(dyn Error + 'static)) -> Self {
        let mut error = Self::new(text).with_exit_code(ErrorKind::Failed.exit_code());
        error.add_causes(Some(source));
        error
    }

    /// A broken invariant.
    pub(crate) fn bug(text: &str) -> Self {
        Self::new(format!("internal error: {text}; please report it"))
            .with_exit_code(ErrorKind::Bug.exit_code())
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(message) = self.messages.last_mut() {
            message.hint = Some(hint.into());
        }
        self
    }

    pub(crate) fn with_exit_code(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Adds the errors below, leaving out what the messages above say already.
    fn add_causes(&mut self, mut source: Option<&(dyn Error + 'static)>) {
        let Some(message) = self.messages.last_mut() else {
            return;
        };
        while let Some(cause) = source {
            let text = cause.to_string();
            let said = message.causes.last().unwrap_or(&message.text);
            // Messages begin in lower case, causes as their library writes them.
            if !said.to_lowercase().contains(&text.to_lowercase()) {
                message.causes.push(text);
            }
            source = cause.source();
        }
    }
}

impl From<Problems> for CliError {
    /// Each problem is a message of its own.
    fn from(problems: Problems) -> Self {
        let messages = problems.iter().map(|problem| Message {
            text: problem.to_string(),
            causes: Vec::new(),
            hint: problem.hint.clone(),
        });
        Self {
            messages: messages.collect(),
            exit_code: ErrorKind::Invalid.exit_code(),
            report: None,
        }
    }
}

impl From<EtlError> for CliError {
    fn from(error: EtlError) -> Self {
        let exit_code = error.exit_code();
        if let EtlError::Invalid(problems) = error {
            return Self::from(problems).with_exit_code(exit_code);
        }
        let report = error
            .refusal()
            .and_then(|refusal| serde_json::from_value(refusal.report.clone()).ok());
        let mut this = Self::new(error.to_string()).with_exit_code(exit_code);
        if let Some(hint) = error.hint() {
            this = this.with_hint(hint);
        }
        this.add_causes(error.source());
        this.report = report;
        this
    }
}

impl From<CatalogError> for CliError {
    fn from(error: CatalogError) -> Self {
        EtlError::from(error).into()
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let place = error.place();
        let mut this = Self::from(EtlError::from(error));
        if let (Some(place), Some(message)) = (place, this.messages.first_mut()) {
            message.text = format!("sql:{place}: {}", message.text);
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakegate_rules::yaml::Problem;

    #[test]
    fn every_problem_is_a_message() {
        let problem =
            |text: &str| Problem::new("f.yaml", None, text).with_hint(format!("fix {text}"));
        let error = CliError::from(Problems(vec![problem("a"), problem("b")]));
        assert_eq!(error.exit_code, 2);
        let texts: Vec<_> = error.messages.iter().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["f.yaml: a", "f.yaml: b"]);
        assert_eq!(error.messages[1].hint.as_deref(), Some("fix b"));
    }

    #[test]
    fn causes_are_kept_once() {
        let disk = std::io::Error::other("disk full");
        let error: CliError =
            CatalogError::failed("cannot write `silver.a`: disk full", disk).into();
        assert_eq!(error.exit_code, 3);
        assert!(error.messages[0].causes.is_empty());
        let disk = std::io::Error::other("disk full");
        let error: CliError = CatalogError::failed("cannot write `silver.a`", disk).into();
        assert_eq!(error.messages[0].causes, ["disk full"]);
    }
}
