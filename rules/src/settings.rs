//! Reads the settings of one check: those of its kind, those of every check, and its thresholds.

use crate::assertion::{Bound, Thresholds, Unit, Value};
use crate::checks::CheckKind;
use crate::yaml::{Entry, Node, Problem, Problems, Resolved, Scalar, Span};
use crate::{BadRows, Scope, Severity};

/// One setting of a kind: its key, what it means, and the form of its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) form: Form,
    pub(crate) is_required: bool,
}

impl Setting {
    pub(crate) const fn required(key: &'static str, form: Form, meaning: &'static str) -> Self {
        Self {
            key,
            meaning,
            form,
            is_required: true,
        }
    }

    pub(crate) const fn optional(key: &'static str, form: Form, meaning: &'static str) -> Self {
        Self {
            key,
            meaning,
            form,
            is_required: false,
        }
    }
}

/// The form of a setting's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Text.
    Text,
    /// A whole number that is not negative.
    Count,
    /// A number, boolean or text.
    Scalar,
    /// A list of those.
    Scalars,
    /// A list of column names.
    Columns,
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A percent, or `{warn: percent, error: percent}`.
    Percents,
}

/// Settings that every kind takes.
pub(crate) const COMMON: &[Setting] = &[
    Setting::optional(
        "name",
        Form::Text,
        "A name of your own; it becomes the last part of the check's id.",
    ),
    Setting::optional("description", Form::Text, "What the check is for."),
    Setting::optional(
        "severity",
        Form::Choice(&["error", "warn"]),
        "`error` blocks the publish, `warn` only reports. Default: the file's `severity`.",
    ),
];

/// The filter over the checked rows.
pub(crate) const WHERE: Setting = Setting::optional(
    "where",
    Form::Text,
    "SQL condition: only rows for which it is true are checked.",
);

/// The rows that are looked at.
pub(crate) const SCOPE: Setting = Setting::optional(
    "scope",
    Form::Choice(&["table", "added"]),
    "`table` (default) looks at the whole candidate version, `added` at the rows that a publish brings.",
);

/// What becomes of bad rows.
pub(crate) const BAD_ROWS: Setting = Setting::optional(
    "bad_rows",
    Form::Choice(&["keep", "quarantine"]),
    "`quarantine` diverts bad rows to the table beside it while the threshold holds. Default: `keep`.",
);

const THRESHOLD_KEYS: &[&str] = &["at_least", "at_most", "between", "equals"];

/// The keys that a check of the kind takes.
pub(crate) fn known_keys(kind: &dyn CheckKind) -> Vec<&'static str> {
    let mut keys: Vec<_> = kind.settings().iter().map(|s| s.key).collect();
    keys.extend(COMMON.iter().map(|s| s.key));
    if kind.reads_rows() {
        keys.extend([WHERE.key, SCOPE.key]);
    }
    if kind.is_row_level() {
        keys.push(BAD_ROWS.key);
    }
    if kind.unit() != Unit::None {
        keys.extend(THRESHOLD_KEYS);
        keys.extend(["warn", "error"]);
    }
    keys
}

/// What every check has beside the settings of its kind.
#[derive(Debug)]
pub(crate) struct CommonSettings {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) where_: Option<(String, Span)>,
    pub(crate) scope: Scope,
    pub(crate) bad_rows: BadRows,
    pub(crate) thresholds: Thresholds,
    pub(crate) severity: Severity,
}

/// A reader over the settings of one check. Whatever is wrong becomes a problem; reading goes on.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    what: String,
    node: &'a Node,
    /// Where the check begins, for problems that have no better place.
    place: &'a Node,
    entries: &'a [Entry],
    shorthand: Option<(&'static str, &'a Node)>,
    severity: Severity,
    pub(crate) problems: &'a mut Problems,
}

impl<'a> Settings<'a> {
    /// `argument` is what stands behind the kind's name; `place` is where the check begins,
    /// `default` is the file's severity.
    pub(crate) fn new(
        kind: &dyn CheckKind,
        place: &'a Node,
        argument: Option<&'a Node>,
        default: Severity,
        problems: &'a mut Problems,
    ) -> Self {
        let what = format!("check `{}`", kind.name());
        let node = argument.unwrap_or(place);
        let argument = argument.filter(|a| !a.is_null());
        let entries = argument.and_then(Node::as_map).unwrap_or_default();
        let shorthand = argument
            .filter(|a| a.as_map().is_none())
            .and_then(|a| Some((kind.shorthand()?, a)));
        if let (Some(argument), None) = (argument.filter(|a| a.as_map().is_none()), shorthand) {
            argument.wanted(&format!("the settings of {what}"), "a map", None, problems);
        }
        let known = known_keys(kind);
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("{what} does not take the key `{}`", entry.key);
                let hint = if entry.key == BAD_ROWS.key {
                    Some("only checks of single rows can tell which rows are bad".to_owned())
                } else {
                    crate::yaml::nearest_hint(&entry.key, &known)
                };
                problems.push(
                    Problem::new(node.file.as_ref(), entry.key_span, message).with_hint(hint),
                );
            }
        }
        let mut settings = Self {
            what,
            node,
            place,
            entries,
            shorthand,
            severity: default,
            problems,
        };
        for setting in kind.settings().iter().filter(|s| s.is_required) {
            if settings.node_of(setting.key).is_none() {
                settings.problem(
                    None,
                    format!("{} needs `{}`", settings.what, setting.key),
                    kind_hint(kind),
                );
            }
        }
        settings
    }

    /// Adds a problem at a setting's place, or else at the check's.
    pub(crate) fn problem(&mut self, key: Option<&str>, message: String, hint: Option<String>) {
        let place = key
            .and_then(|key| self.node_of(key))
            .unwrap_or(if self.entries.is_empty() {
                self.place
            } else {
                self.node
            });
        self.problems.push(place.problem(message).with_hint(hint));
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.node_of(key).is_some()
    }

    /// Where the value of a key stands.
    pub(crate) fn span(&self, key: &str) -> Span {
        self.node_of(key).map_or(self.place.span, |node| node.span)
    }

    fn node_of(&self, key: &str) -> Option<&'a Node> {
        if let Some((short, node)) = self.shorthand
            && short == key
        {
            return Some(node);
        }
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// Text that is not empty.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let node = self.node_of(key)?;
        let text = node.string(&format!("`{key}`"), self.problems)?;
        if text.trim().is_empty() {
            self.problem(Some(key), format!("`{key}` is empty"), None);
            return None;
        }
        Some(text)
    }

    pub(crate) fn scalar(&mut self, key: &str) -> Option<Scalar> {
        let node = self.node_of(key)?;
        scalar_of(node, &format!("`{key}`"), self.problems)
    }

    /// A list of scalars, not empty.
    pub(crate) fn scalars(&mut self, key: &str) -> Option<Vec<Scalar>> {
        let node = self.node_of(key)?;
        let items = node.list(&format!("`{key}`"), self.problems)?;
        if items.is_empty() {
            self.problem(Some(key), format!("`{key}` is an empty list"), None);
            return None;
        }
        let what = format!("an item of `{key}`");
        Some(
            items
                .iter()
                .filter_map(|item| scalar_of(item, &what, self.problems))
                .collect(),
        )
    }

    /// Column names: a list, not empty, without repetition; or one name.
    pub(crate) fn columns(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.node_of(key)?;
        let names = node.one_or_more_strings(&format!("`{key}`"), self.problems)?;
        if names.is_empty() {
            self.problem(Some(key), format!("`{key}` names no column"), None);
            return None;
        }
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                self.problem(Some(key), format!("`{key}` names `{name}` twice"), None);
            }
        }
        Some(names)
    }

    pub(crate) fn choice<T: Copy>(&mut self, key: &str, names: &[(&str, T)]) -> Option<T> {
        self.node_of(key)?
            .choice(&format!("`{key}`"), names, self.problems)
    }

    /// A pair `[low, high]` under the shorthand, for kinds with `min` and `max`.
    pub(crate) fn limits(&mut self) -> (Option<Scalar>, Option<Scalar>) {
        let Some((_, node)) = self.shorthand else {
            return (self.scalar("min"), self.scalar("max"));
        };
        match node.as_list() {
            Some([low, high]) => (
                scalar_of(low, "the lower limit", self.problems),
                scalar_of(high, "the upper limit", self.problems),
            ),
            _ => {
                let what = format!("the setting of {}", self.what);
                let hint = Some("write `[low, high]`, or a map with `min` or `max`");
                node.wanted(&what, "a list of two limits", hint, self.problems);
                (None, None)
            }
        }
    }

    /// The value of a key, for kinds that read it themselves.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.node_of(key)
    }

    /// The check's severity.
    pub(crate) const fn severity(&self) -> Severity {
        self.severity
    }

    /// The settings that every kind has.
    pub(crate) fn common(&mut self, kind: &dyn CheckKind) -> CommonSettings {
        let severity = self.choice(
            "severity",
            &[("error", Severity::Error), ("warn", Severity::Warn)],
        );
        self.severity = severity.unwrap_or(self.severity);
        let name = self.text("name");
        let description = self.text("description");
        let (mut where_, mut scope) = (None, None);
        if kind.reads_rows() {
            let place = self.span("where");
            where_ = self.text("where").map(|sql| (sql, place));
            scope = self.choice("scope", &[("table", Scope::Table), ("added", Scope::Added)]);
        }
        let mut bad_rows = None;
        if kind.is_row_level() {
            let names = [("keep", BadRows::Keep), ("quarantine", BadRows::Quarantine)];
            bad_rows = self.choice(BAD_ROWS.key, &names);
        }
        let thresholds = self.thresholds(kind, severity, self.severity);
        CommonSettings {
            name,
            description,
            where_,
            scope: scope.unwrap_or(Scope::Table),
            bad_rows: bad_rows.unwrap_or(BadRows::Keep),
            thresholds,
            severity: self.severity,
        }
    }

    fn thresholds(
        &mut self,
        kind: &dyn CheckKind,
        own_severity: Option<Severity>,
        severity: Severity,
    ) -> Thresholds {
        let unit = kind.unit();
        let mut thresholds = Thresholds::default();
        if unit == Unit::None {
            return thresholds;
        }
        let mut has_levels = false;
        let mut is_given = false;
        for key in THRESHOLD_KEYS {
            let Some(node) = self.node_of(key) else {
                continue;
            };
            is_given = true;
            let Some(levels) = node.as_map() else {
                let bound = bound_of(key, node, unit, self.problems);
                match severity {
                    Severity::Warn => thresholds.warn.extend(bound),
                    Severity::Error => thresholds.error.extend(bound),
                }
                continue;
            };
            has_levels = true;
            for entry in levels {
                let bound = bound_of(key, &entry.value, unit, self.problems);
                match entry.key.as_str() {
                    "warn" => thresholds.warn.extend(bound),
                    "error" => thresholds.error.extend(bound),
                    _ => unknown_key(
                        entry,
                        node,
                        &format!("`{key}`"),
                        &["warn", "error"],
                        self.problems,
                    ),
                }
            }
        }
        for level in ["warn", "error"] {
            let Some(node) = self.node_of(level) else {
                continue;
            };
            is_given = true;
            has_levels = true;
            let what = format!("`{level}`");
            for entry in node.map(&what, self.problems).unwrap_or_default() {
                if !THRESHOLD_KEYS.contains(&entry.key.as_str()) {
                    unknown_key(entry, node, &what, THRESHOLD_KEYS, self.problems);
                    continue;
                }
                let bound = bound_of(&entry.key, &entry.value, unit, self.problems);
                match level {
                    "warn" => thresholds.warn.extend(bound),
                    _ => thresholds.error.extend(bound),
                }
            }
        }
        if has_levels && own_severity.is_some() {
            self.problem(
                Some("severity"),
                format!("{} has both `severity` and thresholds by level", self.what),
                Some("leave `severity` out: `warn` and `error` say it".to_owned()),
            );
        }
        if !is_given && kind.needs_threshold() {
            let hint = format!("add one of {}: {}", quoted(THRESHOLD_KEYS), unit.form());
            self.problem(None, format!("{} has no threshold", self.what), Some(hint));
        }
        if !is_given && kind.is_row_level() {
            thresholds = Thresholds::of(
                severity,
                Value::parse("100%", unit)
                    .map(Bound::AtLeast)
                    .into_iter()
                    .collect(),
            );
        }
        thresholds
    }
}

fn unknown_key(entry: &Entry, node: &Node, what: &str, known: &[&str], problems: &mut Problems) {
    let message = format!("{what} does not take the key `{}`", entry.key);
    let hint = crate::yaml::nearest_hint(&entry.key, known);
    problems.push(Problem::new(node.file.as_ref(), entry.key_span, message).with_hint(hint));
}

fn kind_hint(kind: &dyn CheckKind) -> Option<String> {
    Some(format!(
        "`lakegate explain {}` shows an example",
        kind.name()
    ))
}

pub(crate) fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn scalar_of(node: &Node, what: &str, problems: &mut Problems) -> Option<Scalar> {
    match node.as_scalar() {
        Some(scalar) => Some(scalar.clone()),
        None => {
            node.wanted(what, "a number, `true`, `false` or text", None, problems);
            None
        }
    }
}

fn bound_of(key: &str, node: &Node, unit: Unit, problems: &mut Problems) -> Option<Bound> {
    let what = format!("`{key}`");
    if key != "between" {
        let value = value_of(&what, node, unit, problems)?;
        return Some(match key {
            "at_least" => Bound::AtLeast(value),
            "at_most" => Bound::AtMost(value),
            _ => Bound::Equals(value),
        });
    }
    let Some([low, high]) = node.as_list() else {
        node.wanted(
            &what,
            "a list of two values",
            Some("write `[low, high]`"),
            problems,
        );
        return None;
    };
    let low_value = value_of(&what, low, unit, problems);
    let high_value = value_of(&what, high, unit, problems);
    let (low_value, high_value) = (low_value?, high_value?);
    if low_value.is_more_than(&high_value) {
        let message = format!(
            "`between` starts at {} and ends at {}: nothing lies between",
            low_value.text, high_value.text
        );
        problems.push(node.problem(message));
    }
    Some(Bound::Between(low_value, high_value))
}

/// Reads one value of a threshold.
pub(crate) fn value_of(
    what: &str,
    node: &Node,
    unit: Unit,
    problems: &mut Problems,
) -> Option<Value> {
    let scalar = scalar_of(node, what, problems)?;
    // Quoted text is text where text may stand: `equals: "7"`.
    let value = if unit == Unit::Any && scalar.resolve() == Resolved::Text && !scalar.plain {
        Some(Value::text(&scalar.text))
    } else {
        Value::parse(&scalar.text, unit)
    };
    if value.is_none() {
        let hint = match unit {
            Unit::Share => Some("a share of rows carries its percent sign, from 0% to 100%"),
            _ => None,
        };
        node.wanted(what, unit.form(), hint, problems);
    }
    value
}
