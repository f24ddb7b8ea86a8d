//! A map whose keys are known.

use std::time::Duration;

use super::node::{Entry, Node};
use super::{Problems, Span};

/// Reads a map whose keys are known: unknown and missing keys, and values of the wrong type, each
/// become a problem, and reading goes on, so that one pass finds everything.
///
/// ```
/// use lakegate_rules::yaml::{self, Fields, Problems};
///
/// let node = yaml::parse("lakegate.yaml", "projct: flights\nretries: many")?;
/// let mut problems = Problems::default();
/// let fields = Fields::new(&node, "the project", &["project", "retries"], &mut problems);
/// fields.require(&["project"], &mut problems);
/// fields.count("retries", &mut problems);
/// assert_eq!(problems.len(), 3);
/// assert_eq!(problems.0[0].to_string(), "lakegate.yaml:1:1: unknown key `projct` in the project");
/// assert_eq!(problems.0[0].hint.as_deref(), Some("did you mean `project`?"));
/// # Ok::<(), Problems>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fields<'n> {
    node: &'n Node,
    what: String,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Reads `node`, which messages call `what`, as a map with the keys `known`.
    ///
    /// A node that is no map is reported and read as an empty one.
    pub fn new(
        node: &'n Node,
        what: impl Into<String>,
        known: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let what = what.into();
        let entries = node.map(&what, problems).unwrap_or_default();
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                entry.unknown(&what, known, problems);
            }
        }
        Self {
            node,
            what,
            entries,
        }
    }

    /// What messages call the map.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The map itself.
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// The entries in the file's order, unknown ones among them.
    pub fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// Reports each of these keys that is missing. Says nothing when the node is no map: that is reported.
    pub fn require(&self, keys: &[&str], problems: &mut Problems) {
        if self.node.as_map().is_none() {
            return;
        }
        for key in keys {
            if self.get(key).is_none() {
                let message = format!("{} needs the key `{key}`", self.what);
                problems.push(self.node.problem(message));
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value.
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where the value of a key begins, or else the map.
    pub fn span(&self, key: &str) -> Span {
        self.get(key).map_or(self.node.span, |node| node.span)
    }

    fn label(key: &str) -> String {
        format!("`{key}`")
    }

    /// Text.
    pub fn string(&self, key: &str, problems: &mut Problems) -> Option<String> {
        self.get(key)?.string(&Self::label(key), problems)
    }

    /// `true` or `false`.
    pub fn bool(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.get(key)?.bool(&Self::label(key), problems)
    }

    /// A whole number.
    pub fn integer(&self, key: &str, problems: &mut Problems) -> Option<i64> {
        self.get(key)?.integer(&Self::label(key), problems)
    }

    /// A whole number that is not negative.
    pub fn count(&self, key: &str, problems: &mut Problems) -> Option<u64> {
        self.get(key)?.count(&Self::label(key), problems)
    }

    /// A finite number.
    pub fn number(&self, key: &str, problems: &mut Problems) -> Option<f64> {
        self.get(key)?.number(&Self::label(key), problems)
    }

    /// A duration with its unit.
    pub fn duration(&self, key: &str, problems: &mut Problems) -> Option<Duration> {
        self.get(key)?.duration(&Self::label(key), problems)
    }

    /// A size in bytes.
    pub fn byte_size(&self, key: &str, problems: &mut Problems) -> Option<u64> {
        self.get(key)?.byte_size(&Self::label(key), problems)
    }

    /// A list.
    pub fn list(&self, key: &str, problems: &mut Problems) -> Option<&'n [Node]> {
        self.get(key)?.list(&Self::label(key), problems)
    }

    /// A map with free keys.
    pub fn map(&self, key: &str, problems: &mut Problems) -> Option<&'n [Entry]> {
        self.get(key)?.map(&Self::label(key), problems)
    }

    /// A list of texts.
    pub fn strings(&self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        self.get(key)?.strings(&Self::label(key), problems)
    }

    /// One text, or a list of them.
    pub fn one_or_more_strings(&self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        self.get(key)?
            .one_or_more_strings(&Self::label(key), problems)
    }

    /// One of a table of names.
    pub fn choice<T: Copy>(
        &self,
        key: &str,
        names: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        self.get(key)?.choice(&Self::label(key), names, problems)
    }
}
