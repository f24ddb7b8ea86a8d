//! Reads the settings of one check: those of its kind, those of every check, and its thresholds.

mod thresholds;

use crate::assertion::{Amount, Number, Thresholds, Unit};
use crate::checks::{CheckKind, Place};
use crate::yaml::{Entry, Node, Problem, Problems, Scalar, Span};
use crate::{BadRows, Scope, Severity};

pub(crate) use thresholds::{LEVELS, THRESHOLD_KEYS, read_levels, value_of};

/// One setting of a kind: its key, what it means, and the form of its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) form: Form,
    pub(crate) is_required: bool,
    /// Where it belongs, for kinds that stand below a column and in `table_checks`.
    pub(crate) place: Place,
}

impl Setting {
    pub(crate) const fn required(key: &'static str, form: Form, meaning: &'static str) -> Self {
        Self {
            key,
            meaning,
            form,
            is_required: true,
            place: Place::Either,
        }
    }

    pub(crate) const fn optional(key: &'static str, form: Form, meaning: &'static str) -> Self {
        Self {
            key,
            meaning,
            form,
            is_required: false,
            place: Place::Either,
        }
    }

    /// The setting in one place only.
    pub(crate) const fn only_in(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// The form of a setting's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number that is not negative.
    Count,
    /// A number, a date, a timestamp or `:commit_time`.
    Limit,
    /// A text, or a list of texts.
    Texts,
    /// A list of numbers, booleans and texts.
    Scalars,
    /// A list of column names.
    Columns,
    /// Columns of the checked table, each with that of the other table; or a list where the names are the same.
    ColumnPairs,
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A percent, or `{warn: percent, error: percent}`.
    Percents,
    /// A number from 0 to 1, or a percent.
    Ratio,
    /// A list of ascending numbers.
    Edges,
    /// Values, or places in a list, with their numbers or percents.
    Shares,
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
        "`error` blocks the publish, `warn` only reports. A check that cannot be evaluated blocks with either. Default: the file's `severity`.",
    ),
];

/// The filter over the checked rows.
pub(crate) const WHERE: Setting = Setting::optional(
    "where",
    Form::Text,
    "SQL condition: only rows for which it is true are checked. It chooses which rows count, and does not keep the rest of the check from being computed for the others.",
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
    Form::Choice(&["keep", "quarantine", "drop"]),
    "While the threshold holds, `quarantine` diverts bad rows to the table beside it, and `drop` leaves them out and counts them. Default: `keep`.",
);

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
        keys.extend(LEVELS.iter().map(|(name, _)| *name));
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

    /// A text or a list of texts, none of them empty.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.node_of(key)?;
        let texts = node.one_or_more_strings(&format!("`{key}`"), self.problems)?;
        if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
            let what = if texts.is_empty() {
                "is"
            } else {
                "has a text that is"
            };
            self.problem(Some(key), format!("`{key}` {what} empty"), None);
            return None;
        }
        Some(texts)
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&mut self, key: &str) -> Option<usize> {
        let count = self
            .node_of(key)?
            .count(&format!("`{key}`"), self.problems)?;
        Some(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        self.node_of(key)?.bool(&format!("`{key}`"), self.problems)
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

    /// Columns of the checked table, each with that of the other table.
    pub(crate) fn column_pairs(&mut self, key: &str) -> Option<Vec<(String, String)>> {
        let node = self.node_of(key)?;
        let Some(entries) = node.as_map() else {
            let names = self.columns(key)?;
            return Some(names.into_iter().map(|name| (name.clone(), name)).collect());
        };
        if entries.is_empty() {
            self.problem(Some(key), format!("`{key}` names no column"), None);
            return None;
        }
        let mut pairs = Vec::new();
        for entry in entries {
            let what = format!("the column for `{}`", entry.key);
            pairs.push((entry.key.clone(), entry.value.string(&what, self.problems)?));
        }
        Some(pairs)
    }

    pub(crate) fn choice<T: Copy>(&mut self, key: &str, names: &[(&str, T)]) -> Option<T> {
        self.node_of(key)?
            .choice(&format!("`{key}`"), names, self.problems)
    }

    /// A number from 0 to 1, or the same as a percent.
    pub(crate) fn ratio(&mut self, key: &str) -> Option<f64> {
        let node = self.node_of(key)?;
        let value = node.as_scalar().and_then(|scalar| ratio_of(&scalar.text));
        if value.is_none() {
            let wanted = "a number from 0 to 1, or a percent from 0% to 100%";
            node.wanted(&format!("`{key}`"), wanted, None, self.problems);
        }
        value
    }

    /// Two ascending numbers or more.
    pub(crate) fn edges(&mut self, key: &str) -> Option<Vec<f64>> {
        let node = self.node_of(key)?;
        let what = format!("an item of `{key}`");
        let items = node.list(&format!("`{key}`"), self.problems)?;
        let edges: Vec<f64> = items
            .iter()
            .filter_map(|item| item.number(&what, self.problems))
            .collect();
        if edges.len() < items.len() {
            return None;
        }
        if edges.len() < 2 || !edges.is_sorted_by(|low, high| low < high) {
            let message = format!("`{key}` must be two ascending numbers or more");
            self.problem(Some(key), message, None);
            return None;
        }
        Some(edges)
    }

    /// Numbers or percents, each with its name, or without names in a list.
    pub(crate) fn shares(&mut self, key: &str) -> Option<Vec<(Option<String>, f64)>> {
        let node = self.node_of(key)?;
        let named: Vec<(Option<String>, &Node)> = match (node.as_map(), node.as_list()) {
            (Some(entries), _) => {
                let named = |entry: &'a Entry| (Some(entry.key.clone()), &entry.value);
                entries.iter().map(named).collect()
            }
            (_, Some(items)) => items.iter().map(|item| (None, item)).collect(),
            _ => {
                let hint =
                    Some("write `{open: 60%, closed: 40%}`, or with `edges` a list of percents");
                node.wanted(&format!("`{key}`"), "a map or a list", hint, self.problems);
                return None;
            }
        };
        let what = format!("a share in `{key}`");
        let mut shares = Vec::new();
        for (name, node) in named {
            let value = value_of(&what, node, Unit::CountOrShare, self.problems)?;
            let number = match value.amount {
                Amount::Number(number) | Amount::Percent(number) => number.to_f64(),
                _ => f64::NAN,
            };
            if !number.is_finite() || number < 0.0 {
                let wanted = "a number or percent that is not negative";
                node.wanted(&what, wanted, None, self.problems);
                return None;
            }
            shares.push((name, number));
        }
        if shares.iter().map(|(_, share)| share).sum::<f64>() <= 0.0 {
            self.problem(Some(key), format!("`{key}` has nothing in it"), None);
            return None;
        }
        Some(shares)
    }

    /// `min` and `max`, or a pair `[low, high]` under the shorthand: each with its place.
    pub(crate) fn limits(&mut self) -> [Option<(Scalar, &'a Node)>; 2] {
        let nodes = match self.shorthand {
            None => ["min", "max"].map(|key| self.node_of(key)),
            Some((_, node)) => match node.as_list() {
                Some([low, high]) => [Some(low), Some(high)],
                _ => {
                    let what = format!("the setting of {}", self.what);
                    let hint = Some("write `[low, high]`, or a map with `min` or `max`");
                    node.wanted(&what, "a list of two limits", hint, self.problems);
                    [None, None]
                }
            },
        };
        let mut read = |node: Option<&'a Node>, what: &str| {
            let node = node?;
            Some((scalar_of(node, what, self.problems)?, node))
        };
        [
            read(nodes[0], "the lower limit"),
            read(nodes[1], "the upper limit"),
        ]
    }

    /// Reports settings that are missing where the check stands.
    pub(crate) fn require(&mut self, keys: &[&str]) {
        for key in keys {
            if self.node_of(key).is_some() {
                continue;
            }
            let message = format!("{} needs `{key}` in `table_checks`", self.what);
            let hint = format!("add `{key}`, or move the check below its column in `columns`");
            self.problem(None, message, Some(hint));
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
            let names = [
                ("keep", BadRows::Keep),
                ("quarantine", BadRows::Quarantine),
                ("drop", BadRows::Drop),
            ];
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

/// `0.25` or `25%`.
fn ratio_of(text: &str) -> Option<f64> {
    let value = match text.trim().strip_suffix('%') {
        Some(percent) => Number::parse(percent.trim())?.to_f64() / 100.0,
        None => Number::parse(text.trim())?.to_f64(),
    };
    (0.0..=1.0).contains(&value).then_some(value)
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
