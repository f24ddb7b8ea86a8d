//! The tree, and how a node is read as the type that is wanted.

use std::sync::Arc;
use std::time::Duration;

use super::scalar::{Resolved, Scalar, parse_bytes, parse_duration};
use super::{Problem, Problems, Span, nearest_hint};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Where the value begins.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a number, a boolean or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the file's order.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

/// The typed readings. Each takes what the value is called in messages, and pushes a problem at
/// the value's place when it is not of the wanted type.
impl Node {
    /// A problem at this place.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.file.as_ref(), self.span, message)
    }

    /// Whether it is `null`, `~` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The scalar, when it is one that is not null.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    /// The entries, when it is a map.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, when it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// What stands here, for messages.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Value::Scalar(scalar) => {
                let mut text: String = scalar.text.chars().take(40).collect();
                if text.len() < scalar.text.len() {
                    text.push('…');
                }
                let text = text.replace('\n', "\\n");
                match scalar.resolve() {
                    Resolved::Text if !scalar.plain => format!("the text `{text}`"),
                    _ => format!("`{text}`"),
                }
            }
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// Reports that another type is wanted here.
    pub fn wanted(&self, what: &str, wanted: &str, hint: Option<&str>, problems: &mut Problems) {
        let message = format!("{what} must be {wanted}, found {}", self.describe());
        problems.push(self.problem(message).with_hint(hint.map(str::to_owned)));
    }

    /// Text: any scalar as it is written, but not null.
    pub fn string(&self, what: &str, problems: &mut Problems) -> Option<String> {
        let Some(scalar) = self.as_scalar() else {
            self.wanted(what, "text", None, problems);
            return None;
        };
        Some(scalar.text.clone())
    }

    /// `true` or `false`.
    pub fn bool(&self, what: &str, problems: &mut Problems) -> Option<bool> {
        match self.as_scalar().map(Scalar::resolve) {
            Some(Resolved::Bool(value)) => Some(value),
            _ => {
                self.wanted(what, "`true` or `false`", None, problems);
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&self, what: &str, problems: &mut Problems) -> Option<i64> {
        match self.as_scalar().map(Scalar::resolve) {
            Some(Resolved::Integer(value)) => Some(value),
            _ => {
                self.wanted(what, "a whole number", None, problems);
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub fn count(&self, what: &str, problems: &mut Problems) -> Option<u64> {
        match self.as_scalar().map(Scalar::resolve) {
            Some(Resolved::Integer(value)) if value >= 0 => Some(value.unsigned_abs()),
            _ => {
                self.wanted(what, "a whole number that is not negative", None, problems);
                None
            }
        }
    }

    /// A finite number.
    pub fn number(&self, what: &str, problems: &mut Problems) -> Option<f64> {
        match self.as_scalar().map(Scalar::resolve) {
            Some(Resolved::Integer(value)) => Some(value as f64),
            Some(Resolved::Float(value)) if value.is_finite() => Some(value),
            _ => {
                self.wanted(what, "a number", None, problems);
                None
            }
        }
    }

    /// A duration with its unit.
    pub fn duration(&self, what: &str, problems: &mut Problems) -> Option<Duration> {
        let duration = self.as_scalar().and_then(|s| parse_duration(&s.text));
        if duration.is_none() {
            let hint = Some("write a number and a unit, for example `30s`, `15m`, `6h` or `7d`");
            self.wanted(what, "a duration", hint, problems);
        }
        duration
    }

    /// A size in bytes.
    pub fn byte_size(&self, what: &str, problems: &mut Problems) -> Option<u64> {
        let size = self.as_scalar().and_then(|s| parse_bytes(&s.text));
        if size.is_none() {
            let hint = Some("write a number and a unit, for example `512KiB`, `128MiB` or `2GB`");
            self.wanted(what, "a size in bytes", hint, problems);
        }
        size
    }

    /// A list; an empty one is a list too.
    pub fn list(&self, what: &str, problems: &mut Problems) -> Option<&[Self]> {
        if self.as_list().is_none() {
            let hint = Some("write `[a, b]`, or one `- item` a line");
            self.wanted(what, "a list", hint, problems);
        }
        self.as_list()
    }

    /// A map.
    pub fn map(&self, what: &str, problems: &mut Problems) -> Option<&[Entry]> {
        if self.as_map().is_none() {
            let hint = Some("write `{key: value}`, or one `key: value` a line");
            self.wanted(what, "a map", hint, problems);
        }
        self.as_map()
    }

    /// A list of texts. Items of another type are reported and left out.
    pub fn strings(&self, what: &str, problems: &mut Problems) -> Option<Vec<String>> {
        let items = self.list(what, problems)?;
        let item = format!("an item of {what}");
        Some(
            items
                .iter()
                .filter_map(|node| node.string(&item, problems))
                .collect(),
        )
    }

    /// One text, or a list of them.
    pub fn one_or_more_strings(&self, what: &str, problems: &mut Problems) -> Option<Vec<String>> {
        match &self.value {
            Value::List(_) => self.strings(what, problems),
            Value::Scalar(_) | Value::Map(_) => Some(vec![self.string(what, problems)?]),
        }
    }

    /// One of a table of names.
    pub fn choice<T: Copy>(
        &self,
        what: &str,
        names: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let text = &self.as_scalar().map(|scalar| scalar.text.as_str());
        let found = names.iter().find(|(name, _)| *text == Some(*name));
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let hint = text.and_then(|text| super::nearest(text, &known));
        let hint = hint.map(|near| format!("did you mean `{near}`?"));
        let wanted = match list.as_slice() {
            [only] => only.clone(),
            _ => format!("one of {}", list.join(", ")),
        };
        self.wanted(what, &wanted, hint.as_deref(), problems);
        None
    }
}

impl Entry {
    /// A problem at the key's place.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.value.file.as_ref(), self.key_span, message)
    }

    /// Reports that the key is not known in `what`, with the nearest name that is.
    pub fn unknown(&self, what: &str, known: &[&str], problems: &mut Problems) {
        let message = format!("unknown key `{}` in {what}", self.key);
        let hint = nearest_hint(&self.key, known);
        problems.push(self.problem(message).with_hint(hint));
    }
}
