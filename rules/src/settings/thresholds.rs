//! Reads the thresholds of a check: at one level, or for `warn` and `error` apart.

use super::{Settings, quoted, scalar_of};
use crate::Severity;
use crate::assertion::{Bound, Thresholds, Unit, Value};
use crate::checks::CheckKind;
use crate::yaml::{Entry, Node, Problem, Problems, Resolved};

/// The forms of a threshold.
pub(crate) const THRESHOLD_KEYS: &[&str] = &["at_least", "at_most", "between", "equals"];

/// The levels at which a condition may stand.
pub(crate) const LEVELS: &[(&str, Severity)] =
    &[("warn", Severity::Warn), ("error", Severity::Error)];

impl Settings<'_> {
    /// The thresholds in the common form. Without one, kinds that judge single rows want every row to be good, and those
    /// that compare with another table want no difference.
    pub(super) fn thresholds(
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
            has_levels |= node.as_map().is_some();
            thresholds.extend(read_levels(
                key,
                node,
                severity,
                self.problems,
                |node, problems| bound_of(key, node, unit, problems),
            ));
        }
        for (key, level) in LEVELS {
            let Some(node) = self.node_of(key) else {
                continue;
            };
            is_given = true;
            has_levels = true;
            let what = format!("`{key}`");
            let entries = node.map(&what, self.problems).unwrap_or_default();
            if node.as_map().is_some_and(<[Entry]>::is_empty) {
                self.problems.push(is_empty(&what, node, THRESHOLD_KEYS));
            }
            for entry in entries {
                if !THRESHOLD_KEYS.contains(&entry.key.as_str()) {
                    unknown_key(entry, &what, THRESHOLD_KEYS, self.problems);
                    continue;
                }
                let bound = bound_of(&entry.key, &entry.value, unit, self.problems);
                thresholds.extend(Thresholds::of(*level, bound.into_iter().collect()));
            }
        }
        if has_levels && own_severity.is_some() {
            self.refuse_severity_beside_levels();
        }
        if let Some((one, other)) = thresholds.contradiction() {
            let message = format!("{} wants {one} and {other}: no value is both", self.what);
            self.problem(None, message, None);
        }
        if !is_given && kind.is_row_level() {
            let every_row = Value::parse("100%", unit).map(Bound::AtLeast);
            return Thresholds::of(severity, every_row.into_iter().collect());
        }
        if !is_given && unit == Unit::Ratio {
            let equal = Value::parse("100%", unit).map(Bound::Equals);
            return Thresholds::of(severity, equal.into_iter().collect());
        }
        thresholds
    }

    /// A level says what a failure does, so a severity beside it says nothing.
    pub(crate) fn refuse_severity_beside_levels(&mut self) {
        self.problem(
            Some("severity"),
            format!("{} has both `severity` and thresholds by level", self.what),
            Some("leave `severity` out: `warn` and `error` say it".to_owned()),
        );
    }

    /// Reports a check without any condition: it would pass whatever the data is.
    pub(crate) fn require_thresholds(&mut self, kind: &dyn CheckKind, thresholds: &Thresholds) {
        if kind.unit() == Unit::None || !thresholds.is_empty() {
            return;
        }
        let message = format!("{} has no threshold", self.what);
        self.problem(None, message, Some(kind.threshold_hint()));
    }
}

/// Reads what stands at a key: one value at the check's own severity, or `{warn: ..., error: ...}`.
pub(crate) fn read_levels(
    key: &str,
    node: &Node,
    severity: Severity,
    problems: &mut Problems,
    bound: impl Fn(&Node, &mut Problems) -> Option<Bound>,
) -> Thresholds {
    let at = |level, node: &Node, problems: &mut Problems| {
        Thresholds::of(level, bound(node, problems).into_iter().collect())
    };
    let Some(entries) = node.as_map() else {
        return at(severity, node, problems);
    };
    let what = format!("`{key}`");
    let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
    if entries.is_empty() {
        problems.push(is_empty(&what, node, &names));
    }
    let mut thresholds = Thresholds::default();
    for entry in entries {
        match LEVELS.iter().find(|(name, _)| *name == entry.key) {
            Some((_, level)) => thresholds.extend(at(*level, &entry.value, problems)),
            None => unknown_key(entry, &what, &names, problems),
        }
    }
    thresholds
}

fn is_empty(what: &str, node: &Node, keys: &[&str]) -> Problem {
    let hint = format!("write at least one of {}", quoted(keys));
    node.problem(format!("{what} is empty")).with_hint(hint)
}

fn unknown_key(entry: &Entry, what: &str, known: &[&str], problems: &mut Problems) {
    let message = format!("{what} does not take the key `{}`", entry.key);
    let hint = crate::yaml::nearest_hint(&entry.key, known);
    problems.push(entry.problem(message).with_hint(hint));
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
    // What is quoted is no number where text may stand: `equals: "7"`.
    let value = if unit == Unit::Any && scalar.resolve() == Resolved::Text && !scalar.plain {
        Some(Value::quoted(&scalar.text))
    } else {
        Value::parse(&scalar.text, unit)
    };
    if value.is_none() {
        let hint = match unit {
            Unit::Ratio => Some("a percent of the other table carries its sign"),
            Unit::Share => Some("a share of rows carries its percent sign, from 0% to 100%"),
            _ => None,
        };
        node.wanted(what, unit.form(), hint, problems);
    }
    value
}
