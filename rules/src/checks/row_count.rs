//! The number of rows, alone or against the last published version.
//!
//! With `versus: previous` the metric is the change in percent of the rows of the last published
//! version, in either direction; a refused version is never one. Without a published version, or
//! when it has no rows, the check passes with a note. `versus` looks at whole versions, so it
//! takes neither `where` nor `scope: added`.
//!
//! ```yaml
//! table_checks:
//!   - row_count: { at_least: 1 }
//!   - row_count: { versus: previous, change: { warn: 15%, error: 30% } }
//! ```
//!
//! Source: Deequ 2.0 `Size`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::Scope;
use crate::assertion::{Amount, Bound, Number, Quantity, Thresholds, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::plan::{Measure, Planner, Trouble, Work};
use crate::settings::{Form, LEVELS, Setting, Settings, THRESHOLD_KEYS, read_levels, value_of};
use crate::suite::Check;
use crate::yaml::{Node, Problems};

pub(crate) struct RowCount;

const SETTINGS: &[Setting] = &[
    Setting::optional(
        "versus",
        Form::Choice(&["previous"]),
        "What the count is held against: the last published version.",
    ),
    Setting::optional(
        "change",
        Form::Percents,
        "How much the count may change, with `versus`.",
    ),
];

impl CheckKind for RowCount {
    fn name(&self) -> &'static str {
        "row_count"
    }

    fn source(&self) -> &'static str {
        include_str!("row_count.rs")
    }

    fn place(&self) -> Place {
        Place::Table
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn choices(&self) -> &'static [&'static [&'static str]] {
        &[&["versus", "change"]]
    }

    fn threshold_hint(&self) -> String {
        "write `row_count: {at_least: 1}`, or `{versus: previous, change: 30%}`".to_owned()
    }

    fn read(&self, _column: Option<&str>, settings: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        if !settings.has("versus") {
            if settings.has("change") {
                let message = "`change` needs `versus: previous`".to_owned();
                settings.problem(Some("change"), message, None);
            }
            return Some(Arc::new(Count));
        }
        let levels = LEVELS.iter().map(|(name, _)| name);
        let has_thresholds = THRESHOLD_KEYS
            .iter()
            .chain(levels)
            .any(|key| settings.has(key));
        settings.choice("versus", &[("previous", ())])?;
        if has_thresholds || settings.has("where") {
            let message = "`versus` takes neither thresholds nor `where`".to_owned();
            let hint = Some("write two checks".to_owned());
            settings.problem(Some("versus"), message, hint);
        }
        if settings.choice("scope", &[("table", false), ("added", true)]) == Some(true) {
            let message = "`versus` does not go with `scope: added`".to_owned();
            settings.problem(Some("scope"), message, None);
        }
        let Some(node) = settings.node("change") else {
            let message = "`versus` needs `change`".to_owned();
            let hint = Some("write `change: 30%`, or `change: {warn: 15%, error: 30%}`".to_owned());
            settings.problem(None, message, hint);
            return None;
        };
        if node.as_map().is_some() && settings.has("severity") {
            settings.refuse_severity_beside_levels();
        }
        let severity = settings.severity();
        let change = read_levels("change", node, severity, settings.problems, change_bound);
        Some(Arc::new(Change { change }))
    }
}

fn change_bound(node: &Node, problems: &mut Problems) -> Option<Bound> {
    // Percents above 100 are fine: a table may double.
    let value = value_of("`change`", node, Unit::CountOrShare, problems)?;
    if matches!(value.amount, Amount::Percent(_)) {
        return Some(Bound::AtMost(value));
    }
    node.wanted(
        "`change`",
        "a percent",
        Some("write `change: 30%`"),
        problems,
    );
    None
}

#[derive(Debug)]
struct Count;

#[async_trait]
impl Rule for Count {
    async fn plan(&self, _check: &Check, _planner: &Planner) -> Result<Work, Trouble> {
        Ok(Work::Scan(Measure::Rows))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        let Measured::Rows { rows, .. } = measured else {
            return Err(mismatch(check));
        };
        let count = Quantity::Number(Number::integer(i128::from(rows)));
        Ok(Finding::of(check, &count, Some(rows)))
    }
}

#[derive(Debug)]
struct Change {
    change: Thresholds,
}

#[async_trait]
impl Rule for Change {
    async fn plan(&self, check: &Check, _planner: &Planner) -> Result<Work, Trouble> {
        debug_assert_eq!(check.scope, Scope::Table);
        Ok(Work::Scan(Measure::Rows))
    }

    fn assess(&self, check: &Check, measured: Measured, facts: &Facts) -> Result<Finding, Trouble> {
        let Measured::Rows { rows, .. } = measured else {
            return Err(mismatch(check));
        };
        let note = match facts.previous {
            None => "no published version to compare with",
            Some(previous) if previous.row_count == 0 && rows > 0 => {
                "the published version has no rows to compare with"
            }
            Some(previous) => {
                let before = previous.row_count.max(1);
                let change = Quantity::Share {
                    part: rows.abs_diff(previous.row_count),
                    whole: before,
                };
                let mut finding = Finding::by(&self.change, &change, Some(rows));
                finding.expected = format!("a change of {}", finding.expected);
                finding.message = Some(format!(
                    "{rows} rows, version {} has {}",
                    previous.version, previous.row_count
                ));
                return Ok(finding);
            }
        };
        let mut finding = Finding::nothing_to_judge(check, Some(rows), note);
        finding.expected = format!("a change of {}", self.change);
        Ok(finding)
    }

    fn thresholds(&self) -> Option<&Thresholds> {
        Some(&self.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_compared_exactly() {
        let percent = crate::assertion::Value::parse("15%", Unit::CountOrShare).unwrap();
        let bound = Bound::AtMost(percent);
        assert!(bound.holds(&Quantity::Share {
            part: 15,
            whole: 100
        }));
        assert!(!bound.holds(&Quantity::Share {
            part: 150_001,
            whole: 1_000_000
        }));
    }
}
