//! Reads the thresholds of a check: at one level, or for `warn` and `error` apart.

use super::{Settings, quoted, scalar_of};
use crate::Severity;
use crate::assertion::{Bound, Thresholds, Unit, Value};
use crate::checks::CheckKind;
use crate::yaml::{Entry, Node, Problem, Problems, Resolved};

/// The forms of a threshold.
pub(super) const THRESHOLD_KEYS: &[&str] = &["at_least", "at_most", "between", "equals"];

impl Settings<'_> {
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
