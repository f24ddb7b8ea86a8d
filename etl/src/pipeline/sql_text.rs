//! SQL in a file of its own or inside the pipeline file, with the way back from a place in the SQL to one in the file.

use std::sync::Arc;

use lakegate_engine::Place;
use lakegate_rules::yaml::{Node, Problem, Span};

/// SQL text and where it stands.
#[derive(Debug, Clone)]
pub struct SqlText {
    /// The SQL.
    pub text: Arc<str>,
    /// The file that holds it: a SQL file or the pipeline file.
    pub file: String,
    /// Where the stage's SQL is named in the pipeline file.
    pub span: Span,
    lines_before: usize,
    indent: Indent,
}

/// What is put before the lines of the SQL in its file, in characters.
#[derive(Debug, Clone, Copy)]
enum Indent {
    EveryLine(usize),
    FirstLine(usize),
}

impl SqlText {
    /// SQL in a file of its own.
    pub(super) fn in_file(file: String, text: String, span: Span) -> Self {
        Self {
            text: text.into(),
            file,
            span,
            lines_before: 0,
            indent: Indent::EveryLine(0),
        }
    }

    /// SQL that is the value of a key; `yaml` is the text of the pipeline file.
    pub(super) fn inline(node: &Node, text: String, yaml: &str) -> Self {
        let span = node.span;
        let mut lines = yaml.lines().skip(span.line.saturating_sub(1));
        let rest: String = lines
            .next()
            .unwrap_or_default()
            .chars()
            .skip(span.column.saturating_sub(1))
            .collect();
        let (lines_before, indent) = match rest.chars().next() {
            Some('|' | '>') => {
                let mut blank_lines = 0;
                let first = lines.find(|line| {
                    let is_blank = line.trim().is_empty();
                    blank_lines += usize::from(is_blank && !text.starts_with('\n'));
                    !is_blank
                });
                let indent = first.map_or(0, |line| line.len() - line.trim_start().len());
                (span.line + blank_lines, Indent::EveryLine(indent))
            }
            Some('"' | '\'') => (span.line - 1, Indent::FirstLine(span.column)),
            // A block scalar's place is that of its first line.
            _ if text.contains('\n') => (span.line - 1, Indent::EveryLine(span.column - 1)),
            _ => (span.line - 1, Indent::FirstLine(span.column - 1)),
        };
        Self {
            text: text.into(),
            file: node.file.to_string(),
            span,
            lines_before,
            indent,
        }
    }

    /// A problem at a place in the SQL; at the stage's place when there is none.
    pub(crate) fn problem(
        &self,
        place: Option<Place>,
        message: impl Into<String>,
        hint: Option<String>,
        pipeline_file: &str,
    ) -> Problem {
        let problem = match place {
            Some(place) => Problem::new(self.file.as_str(), self.span_of(place), message),
            None if self.file == pipeline_file => Problem::new(pipeline_file, self.span, message),
            None => Problem::new(self.file.as_str(), None, message),
        };
        problem.with_hint(hint)
    }

    fn span_of(&self, place: Place) -> Span {
        let line = usize::try_from(place.line).unwrap_or(1);
        let column = usize::try_from(place.column).unwrap_or(1);
        let indent = match self.indent {
            Indent::EveryLine(indent) => indent,
            Indent::FirstLine(indent) if line == 1 => indent,
            Indent::FirstLine(_) => 0,
        };
        Span {
            line: line + self.lines_before,
            column: column + indent,
        }
    }
}
