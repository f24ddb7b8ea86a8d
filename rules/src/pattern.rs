//! Text that matches a regular expression or a named format.

mod format;
mod short;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::common::{DataFusionError, Result};
use regex::Regex;
use regex_automata::{Input, meta};

use crate::row_test::{RowTest, test_text};
use short::ShortTexts;

pub(crate) use format::{FORMATS, FOUND_FORMATS, Format};

/// What a text has to match.
#[derive(Debug, Clone)]
pub(crate) enum TextPattern {
    /// A named format of the whole text.
    Format(Format),
    /// A named format of a part of the text.
    Holds(Format),
    /// A regular expression in linear time.
    Regex(Linear),
    /// One with look-around or back-references.
    Fancy(Arc<fancy_regex::Regex>),
}

/// For fewer texts in a batch, making an automaton for them does not pay.
const MANY_TEXTS: usize = 1024;

/// A regular expression of the `regex` crate, by the engine below it: the crate looks for a cache at each search, for
/// which threads wait on each other.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    pattern: Box<str>,
    engine: meta::Regex,
    /// Made when there are many texts to test.
    short: Arc<OnceLock<Option<ShortTexts>>>,
}

impl Linear {
    fn new(pattern: &str) -> Result<Self, regex::Error> {
        // Within the crate's limits, the engine needs none of its own.
        Regex::new(pattern)?;
        let engine = meta::Regex::new(pattern);
        let engine = engine.map_err(|error| regex::Error::Syntax(error.to_string()))?;
        Ok(Self {
            pattern: pattern.into(),
            engine,
            short: Arc::default(),
        })
    }

    /// What tells whether texts match, of which there are so many.
    fn matcher(&self, texts: usize) -> impl FnMut(&str) -> bool {
        let make = || ShortTexts::new(&self.pattern);
        let short = match texts >= MANY_TEXTS {
            true => self.short.get_or_init(make).as_ref(),
            false => None,
        };
        let mut cache = self.engine.create_cache();
        move |text| {
            if let Some(is_match) = short.and_then(|short| short.is_match(text)) {
                return is_match;
            }
            let input = Input::new(text).earliest(true);
            self.engine.search_half_with(&mut cache, &input).is_some()
        }
    }

    fn as_str(&self) -> &str {
        &self.pattern
    }
}

impl TextPattern {
    /// Compiles a pattern; the error is a message.
    pub(crate) fn regex(pattern: &str) -> Result<Self, String> {
        let error = match Linear::new(pattern) {
            Ok(regex) => return Ok(Self::Regex(regex)),
            Err(error) => error,
        };
        // Only what the linear engine lacks goes to the one that backtracks.
        if let (regex::Error::Syntax(_), Ok(regex)) = (&error, fancy_regex::Regex::new(pattern)) {
            return Ok(Self::Fancy(Arc::new(regex)));
        }
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        Err(format!(
            "the pattern `{pattern}` is no regular expression: {reason}"
        ))
    }

    fn identity(&self) -> (u8, String) {
        match self {
            Self::Format(format) => (0, format!("{format:?}")),
            Self::Holds(format) => (1, format!("{format:?}")),
            Self::Regex(regex) => (2, regex.as_str().to_owned()),
            Self::Fancy(regex) => (3, regex.as_str().to_owned()),
        }
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for TextPattern {}

impl Hash for TextPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl RowTest for TextPattern {
    fn test(&self, values: &ArrayRef) -> Result<BooleanArray> {
        match self {
            Self::Format(format) => test_text(values, |text| format.is_met(text)),
            Self::Holds(format) => test_text(values, |text| format.is_found(text)),
            Self::Regex(regex) => {
                if let Some(tested) = test_distinct(values, regex.matcher(0))? {
                    return Ok(tested);
                }
                test_text(values, regex.matcher(values.len()))
            }
            Self::Fancy(regex) => {
                let mut failure = None;
                let tested = test_text(values, |text| match regex.is_match(text) {
                    Ok(is_match) => is_match,
                    Err(error) => {
                        failure.get_or_insert(error);
                        false
                    }
                })?;
                match failure {
                    None => Ok(tested),
                    Some(error) => Err(DataFusionError::Execution(format!(
                        "the pattern `{}` could not be matched: {error}",
                        regex.as_str()
                    ))),
                }
            }
        }
    }

    fn meaning(&self) -> Option<Vec<String>> {
        let (kind, text) = self.identity();
        Some(vec!["text pattern".to_owned(), kind.to_string(), text])
    }
}

/// So many distinct values are remembered in a batch.
const MOST_REMEMBERED: usize = 64;

/// So many rows decide whether remembering pays.
const PROBED_ROWS: usize = 256;

/// Tests each distinct value once. `None` when the values repeat too little for that to pay.
fn test_distinct(
    values: &ArrayRef,
    mut test: impl FnMut(&str) -> bool,
) -> Result<Option<BooleanArray>> {
    if values.len() < PROBED_ROWS {
        return Ok(None);
    }
    let probe = values.slice(0, PROBED_ROWS);
    let mut seen: HashMap<String, bool> = HashMap::new();
    test_text(&probe, |text| {
        if seen.len() <= MOST_REMEMBERED && !seen.contains_key(text) {
            seen.insert(text.to_owned(), test(text));
        }
        true
    })?;
    if seen.len() > MOST_REMEMBERED {
        return Ok(None);
    }
    let tested = test_text(values, |text| match seen.get(text) {
        Some(is_match) => *is_match,
        None => test(text),
    })?;
    Ok(Some(tested))
}
