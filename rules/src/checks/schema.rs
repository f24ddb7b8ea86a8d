//! The columns that a table has, and their types.
//!
//! A section of its own. With `mode: at_least` (the default) the listed columns have to be there with these
//! types, others may be; with `mode: exact` there are no others. The order does not matter.
//! Types in SQL words: `boolean`, `tinyint`, `smallint`, `int`, `bigint`, `float`, `double`,
//! `decimal(p,s)`, `string`, `binary`, `date`, `timestamp` (with or without a zone),
//! `timestamp_ntz` (without), `array<t>`, `map<k,v>` and `struct<name: t, ...>`.
//!
//! ```yaml
//! schema:
//!   mode: at_least
//!   columns: { order_id: bigint, email: string, amount: "decimal(12,2)", updated_at: timestamp }
//! ```

use std::sync::Arc;

use async_trait::async_trait;

use super::{CheckKind, Place, Rule};
use crate::assertion::{Thresholds, Unit};
use crate::finding::{Facts, Finding, Measured, mismatch};
use crate::plan::{Planner, Trouble, Work, plain_type};
use crate::settings::{Setting, Settings};
use crate::suite::{BadRows, Check};
use crate::type_name::TypeName;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, nearest};
use crate::{Scope, Severity, Verdict};

pub(crate) use crate::type_name::sql_type;

pub(crate) struct Schema;

impl CheckKind for Schema {
    fn name(&self) -> &'static str {
        "schema"
    }

    fn source(&self) -> &'static str {
        include_str!("schema.rs")
    }

    fn place(&self) -> Place {
        Place::Section
    }

    fn unit(&self) -> Unit {
        Unit::None
    }

    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn read(&self, _: Option<&str>, _: &mut Settings<'_>) -> Option<Arc<dyn Rule>> {
        // Its section is read by `SchemaSection`.
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exact,
    AtLeast,
}

/// The section `schema:` of a rule file.
#[derive(Debug)]
pub(crate) struct SchemaSection {
    mode: Mode,
    columns: Vec<(String, TypeName)>,
}

/// Keys of the section.
pub(crate) const SCHEMA_KEYS: &[&str] = &["mode", "columns", "severity"];

impl SchemaSection {
    /// Reads the section as one check.
    pub(crate) fn read(node: &Node, severity: Severity, problems: &mut Problems) -> Option<Check> {
        let fields = Fields::new(node, "`schema`", SCHEMA_KEYS, problems);
        fields.require(&["columns"], problems);
        let modes = [("exact", Mode::Exact), ("at_least", Mode::AtLeast)];
        let severities = [("error", Severity::Error), ("warn", Severity::Warn)];
        let mode = fields.choice("mode", &modes, problems);
        let severity = fields
            .choice("severity", &severities, problems)
            .unwrap_or(severity);
        let mut columns = Vec::new();
        if fields.has("columns") {
            let entries = fields.map("columns", problems);
            if entries.is_some_and(<[Entry]>::is_empty) {
                // A schema of no columns would be that of every table.
                let problem = Problem::new(
                    node.file.as_ref(),
                    fields.span("columns"),
                    "`columns` names no column",
                );
                problems.push(problem.with_hint("write `columns: {order_id: bigint}`".to_owned()));
            }
            for Entry { key, value, .. } in entries.unwrap_or_default() {
                let what = format!("the type of column `{key}`");
                let Some(text) = value.string(&what, problems) else {
                    continue;
                };
                match TypeName::parse(&text) {
                    Ok(name) => columns.push((key.clone(), name)),
                    Err((message, hint)) => {
                        let problem = Problem::new(value.file.as_ref(), value.span, message);
                        problems.push(problem.with_hint(hint));
                    }
                }
            }
        }
        let section = Self {
            mode: mode.unwrap_or(Mode::AtLeast),
            columns,
        };
        Some(Check {
            id: Schema.name().to_owned(),
            kind: Schema.name(),
            column: None,
            name: None,
            description: None,
            span: node.span,
            severity,
            scope: Scope::Table,
            bad_rows: BadRows::Keep,
            where_: None,
            thresholds: Thresholds::default(),
            where_span: node.span,
            rule: Arc::new(section),
        })
    }
}

#[async_trait]
impl Rule for SchemaSection {
    async fn plan(&self, _check: &Check, planner: &Planner) -> Result<Work, Trouble> {
        let mut differences = Vec::new();
        let found: Vec<&str> = planner
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        for (name, wanted) in &self.columns {
            match planner.schema.column_with_name(name) {
                None => {
                    let near = nearest(name, found.iter().copied())
                        .map(|near| format!(" (there is `{near}`)"))
                        .unwrap_or_default();
                    differences.push(format!("column `{name}` is missing{near}"));
                }
                Some((_, field)) if !wanted.takes(plain_type(field.data_type())) => {
                    differences.push(format!(
                        "column `{name}` is {}, wanted {wanted}",
                        sql_type(field.data_type())
                    ));
                }
                Some(_) => {}
            }
        }
        if self.mode == Mode::Exact {
            for name in &found {
                if !self.columns.iter().any(|(wanted, _)| wanted == name) {
                    differences.push(format!("column `{name}` is not wanted"));
                }
            }
        }
        Ok(Work::Known(Measured::Differences {
            columns: self.columns.len() as u64,
            differences,
        }))
    }

    fn assess(&self, check: &Check, measured: Measured, _: &Facts) -> Result<Finding, Trouble> {
        assess_differences(check, measured, |columns| match self.mode {
            Mode::Exact => format!("exactly these {columns} columns"),
            Mode::AtLeast => format!("these {columns} columns"),
        })
    }
}

/// Says what differs from the wanted schema, which is described by the number of its columns.
pub(super) fn assess_differences(
    check: &Check,
    measured: Measured,
    expected: impl Fn(u64) -> String,
) -> Result<Finding, Trouble> {
    let Measured::Differences {
        columns,
        differences,
    } = measured
    else {
        return Err(mismatch(check));
    };
    let verdict = match (differences.is_empty(), check.severity) {
        (true, _) => Verdict::Pass,
        (false, Severity::Warn) => Verdict::Warn,
        (false, Severity::Error) => Verdict::Fail,
    };
    Ok(Finding {
        verdict,
        metric: Some(differences.len() as f64),
        distance: Some(differences.len() as f64),
        observed: match differences.len() {
            0 => "as wanted".to_owned(),
            1 => "1 difference".to_owned(),
            n => format!("{n} differences"),
        },
        expected: expected(columns),
        rows: None,
        bad_rows: None,
        message: (!differences.is_empty()).then(|| differences.join("; ")),
        samples: Vec::new(),
    })
}
