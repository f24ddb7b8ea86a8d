//! A rule file: the checks of one table.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use sha2::{Digest, Sha256};

use crate::assertion::Thresholds;
use crate::checks::{self, CheckKind, Place, Rule, SchemaSection};
use crate::fragment::{self, COMMIT_TIME, Parameters};
use crate::plan::{Planner, Trouble, field_of};
use crate::settings::Settings;
use crate::yaml::{self, Entry, Fields, Node, Problem, Problems, Span};
use crate::{Scope, Severity};

/// Version of the format that this program reads.
const FORMAT_VERSION: i64 = 1;

/// Keys of a rule file.
pub(crate) const FILE_KEYS: &[&str] = &[
    "version",
    "table",
    "owner",
    "description",
    "key",
    "severity",
    "gate",
    "parameters",
    "schema",
    "columns",
    "table_checks",
];

/// When a commit passes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// Every blocking check passes.
    #[default]
    Strict,
    /// No failing check is worse than in the version before. One that cannot be evaluated blocks all the same: nobody
    /// knows how bad the data is.
    NoWorse,
}

/// What becomes of rows that a check finds bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// They stay.
    #[default]
    Keep,
    /// They go to the quarantine table while the threshold holds.
    Quarantine,
    /// They are left out, and counted, while the threshold holds.
    Drop,
}

/// A rule file: the checks of one table.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The file, as the user named it.
    pub file: String,
    /// The YAML.
    pub text: Arc<str>,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The table that the rules are for.
    pub table: Option<String>,
    /// Who answers for the table.
    pub owner: Option<String>,
    /// What the rules are for.
    pub description: Option<String>,
    /// Columns that identify a row in samples and quarantine. Without them there are no samples: other columns may hold
    /// what only readers of the table should see.
    pub key: Vec<String>,
    /// When a commit passes.
    pub gate: Gate,
    /// The checks, in the file's order.
    pub checks: Vec<Check>,
    pub(crate) key_span: Span,
    pub(crate) parameters: Parameters,
}

/// One check of a rule file.
#[derive(Debug, Clone)]
pub struct Check {
    /// `column/kind`, or `kind` for a check of the table, then `/name` where it has one. A check
    /// that would have the id of an earlier one gets `#2`, `#3` and so on.
    pub id: String,
    /// The kind.
    pub kind: &'static str,
    /// The column, for a column's check.
    pub column: Option<String>,
    /// Its name in the file.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// What failing the hardest condition does.
    pub severity: Severity,
    /// Which rows are looked at.
    pub scope: Scope,
    /// What becomes of bad rows.
    pub bad_rows: BadRows,
    /// Only rows for which this is true are checked.
    pub where_: Option<String>,
    /// What is wanted.
    pub thresholds: Thresholds,
    pub(crate) where_span: Span,
    pub(crate) rule: Arc<dyn Rule>,
}

impl Check {
    /// Whether it judges single rows, so that it can tell which ones are bad.
    pub fn is_row_level(&self) -> bool {
        checks::find(self.kind).is_some_and(CheckKind::is_row_level)
    }

    /// What is wanted, in whichever form its kind has.
    pub(crate) fn thresholds(&self) -> &Thresholds {
        self.rule.thresholds().unwrap_or(&self.thresholds)
    }

    pub(crate) fn where_suffix(&self) -> String {
        match &self.where_ {
            Some(sql) => format!(" where {sql}"),
            None => String::new(),
        }
    }
}

/// A table that a rule file refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReference {
    /// Its name, as written.
    pub name: String,
    /// Where it is named.
    pub span: Span,
}

impl Suite {
    /// Reads a rule file.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let node = yaml::parse(file, text)?;
        let mut problems = Problems::default();
        let fields = Fields::new(&node, "the rule file", FILE_KEYS, &mut problems);
        fields.require(&["version"], &mut problems);
        if let Some(version) = fields.integer("version", &mut problems)
            && version != FORMAT_VERSION
        {
            let message = format!("version {version} of rule files is not known");
            problems.push(
                Problem::new(file, fields.span("version"), message)
                    .with_hint(format!("write `version: {FORMAT_VERSION}`")),
            );
        }
        let severities = [("error", Severity::Error), ("warn", Severity::Warn)];
        let gates = [("strict", Gate::Strict), ("no_worse", Gate::NoWorse)];
        let mut suite = Self {
            file: file.to_owned(),
            text: text.into(),
            sha256: sha256_hex(text),
            table: fields.string("table", &mut problems),
            owner: fields.string("owner", &mut problems),
            description: fields.string("description", &mut problems),
            key: fields
                .one_or_more_strings("key", &mut problems)
                .unwrap_or_default(),
            gate: fields
                .choice("gate", &gates, &mut problems)
                .unwrap_or_default(),
            checks: Vec::new(),
            key_span: fields.span("key"),
            parameters: read_parameters(&fields, &mut problems),
        };
        let severity = fields
            .choice("severity", &severities, &mut problems)
            .unwrap_or(Severity::Error);
        if let Some(node) = fields.get("schema") {
            suite
                .checks
                .extend(SchemaSection::read(node, severity, &mut problems));
        }
        let mut reader = Reader {
            severity,
            checks: &mut suite.checks,
            problems: &mut problems,
        };
        if let Some(node) = fields.get("columns") {
            reader.read_columns(node);
        }
        if let Some(node) = fields.get("table_checks") {
            reader.read_list(node, None, "`table_checks`");
        }
        make_ids_unique(&mut suite.checks);
        if suite.checks.is_empty() && problems.is_empty() {
            // Attached to a table, it would let everything pass.
            problems.push(
                Problem::new(file, node.span, "the rule file has no checks").with_hint(
                    "write at least one under `schema`, `columns` or `table_checks`".to_owned(),
                ),
            );
        }
        problems.into_result(suite)
    }

    /// Whether a check compares with the rows of the last published version.
    pub fn needs_baseline(&self) -> bool {
        self.checks.iter().any(|check| check.rule.needs_baseline())
    }

    /// Tables other than its own that the checks read.
    pub fn references(&self) -> Vec<TableReference> {
        let own = self.table.as_deref().map(plain_name);
        let mut found: Vec<TableReference> = Vec::new();
        for check in &self.checks {
            let mut names = check.rule.references();
            if let Some((sql, span)) = check.rule.statement() {
                names.extend(fragment::tables_of(sql).into_iter().map(|t| (t, span)));
            }
            for (name, span) in names {
                let is_own = own.as_ref() == Some(&plain_name(&name));
                let is_known = found
                    .iter()
                    .any(|f| plain_name(&f.name) == plain_name(&name));
                if !is_own && !is_known {
                    found.push(TableReference { name, span });
                }
            }
        }
        found
    }

    /// The suite with only the checks for which `keep` is true.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Check) -> bool) -> Self {
        let mut suite = self.clone();
        suite.checks.retain(|check| keep(check));
        suite
    }

    /// Plans every check against a schema, without reading data.
    ///
    /// Finds columns and tables that do not exist, types that do not fit, and SQL that does not
    /// plan. The session resolves the tables, the suite's own among them.
    pub async fn validate(&self, session: &SessionContext, schema: &SchemaRef) -> Problems {
        let mut problems = Problems::default();
        let report = |span: Span, trouble: Trouble| {
            let span = trouble.span.unwrap_or(span);
            Problem::new(self.file.as_str(), span, trouble.message).with_hint(trouble.hint)
        };
        for column in &self.key {
            if let Err(trouble) = field_of(schema, column, "the table") {
                problems.push(report(self.key_span, trouble));
            }
        }
        let start = self.start();
        let planner = match Planner::new(
            session,
            schema,
            self.parameters.clone(),
            DateTime::UNIX_EPOCH,
        ) {
            Ok(planner) => planner,
            Err(trouble) => {
                problems.push(report(start, trouble));
                return problems;
            }
        };
        for check in &self.checks {
            if let Some(sql) = &check.where_
                && let Err(trouble) = planner.condition(sql)
            {
                problems.push(report(check.where_span, trouble));
            }
            if let Err(trouble) = check.rule.plan(check, &planner).await {
                problems.push(report(check.span, trouble));
            }
        }
        problems.sort();
        problems
    }

    const fn start(&self) -> Span {
        Span { line: 1, column: 1 }
    }
}

fn read_parameters(fields: &Fields<'_>, problems: &mut Problems) -> Parameters {
    let mut parameters = Parameters::default();
    if !fields.has("parameters") {
        return parameters;
    }
    for entry in fields.map("parameters", problems).unwrap_or_default() {
        let is_name = entry
            .key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && entry.key.starts_with(|c: char| c.is_ascii_alphabetic());
        let problem = if entry.key == COMMIT_TIME {
            Some("`commit_time` is built in")
        } else if !is_name {
            Some("the name of a parameter has letters, digits and `_` only")
        } else {
            None
        };
        match (problem, entry.value.as_scalar()) {
            (Some(message), _) => {
                problems.push(Problem::new(
                    entry.value.file.as_ref(),
                    entry.key_span,
                    message,
                ));
            }
            (None, Some(scalar)) => parameters.insert(&entry.key, scalar),
            (None, None) => {
                let hint =
                    Some("rule files are judged at every door, so each parameter has a default");
                let what = format!("the default of parameter `{}`", entry.key);
                entry.value.wanted(&what, "one value", hint, problems);
            }
        }
    }
    parameters
}

/// Reads the checks of a file.
struct Reader<'a> {
    severity: Severity,
    checks: &'a mut Vec<Check>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn read_columns(&mut self, node: &Node) {
        let Some(columns) = node.map("`columns`", self.problems) else {
            return;
        };
        for Entry { key, value, .. } in columns {
            let what = format!("the checks of column `{key}`");
            self.read_list(value, Some(key), &what);
        }
    }

    fn read_list(&mut self, node: &Node, column: Option<&str>, what: &str) {
        if node.as_list().is_none() && column.is_some() && !node.is_null() {
            // One check needs no list.
            self.read_check(node, column);
            return;
        }
        for item in node.list(what, self.problems).unwrap_or_default() {
            self.read_check(item, column);
        }
    }

    fn read_check(&mut self, node: &Node, column: Option<&str>) {
        let (name, span, argument) = match (node.as_scalar(), node.as_map()) {
            (Some(scalar), _) => (scalar.text.as_str(), node.span, None),
            (_, Some([entry])) => (entry.key.as_str(), entry.key_span, Some(&entry.value)),
            (_, Some(entries)) if entries.len() > 1 => {
                let message = format!("one item holds {} keys, a check has one", entries.len());
                self.problems.push(node.problem(message).with_hint(Some(
                    "put the settings inside: `- between: {min: 0, max: 9}`".to_owned(),
                )));
                return;
            }
            _ => {
                let hint = Some("write `- not_null`, or `- between: {min: 0}`");
                node.wanted(
                    "a check",
                    "a name, or a name with settings",
                    hint,
                    self.problems,
                );
                return;
            }
        };
        let Some(kind) = checks::find(name).filter(|k| k.place() != Place::Section) else {
            let known = checks::KINDS
                .iter()
                .filter(|k| fits(k.place(), column))
                .map(|k| k.name())
                .collect::<Vec<_>>();
            let message = format!("unknown check `{name}`");
            let hint = yaml::nearest_hint(name, checks::kinds().collect::<Vec<_>>())
                .filter(|hint| hint.starts_with("did you mean"))
                .or_else(|| Some(format!("known here: {}", crate::settings::quoted(&known))));
            self.problems
                .push(Problem::new(node.file.as_ref(), span, message).with_hint(hint));
            return;
        };
        if !fits(kind.place(), column) {
            let (message, hint) = match column {
                Some(_) => (
                    "is a check of the table, not of a column",
                    "move it to `table_checks`",
                ),
                None => (
                    "is a check of a column",
                    "move it below its column in `columns`",
                ),
            };
            self.problems.push(
                Problem::new(node.file.as_ref(), span, format!("`{name}` {message}"))
                    .with_hint(hint.to_owned()),
            );
            return;
        }
        let before = self.problems.len();
        let mut settings = Settings::new(kind, node, argument, self.severity, self.problems);
        let common = settings.common(kind);
        if column.is_none() {
            settings.require(kind.table_settings());
        }
        let Some(rule) = kind.read(column, &mut settings) else {
            // A check never goes away without a word.
            if settings.problems.len() == before {
                settings.problem(
                    None,
                    format!("check `{}` cannot be read", kind.name()),
                    None,
                );
            }
            return;
        };
        let thresholds = rule.thresholds().unwrap_or(&common.thresholds).clone();
        if settings.problems.len() == before {
            settings.require_thresholds(kind, &thresholds);
        }
        if self.problems.len() > before {
            return;
        }
        let (where_, where_span) = match common.where_ {
            Some((sql, span)) => (Some(sql), span),
            None => (None, node.span),
        };
        let severity = if thresholds.is_empty() {
            common.severity
        } else {
            thresholds.severity()
        };
        self.checks.push(Check {
            id: id_of(column, kind.name(), common.name.as_deref()),
            kind: kind.name(),
            column: column.map(str::to_owned),
            name: common.name,
            description: common.description,
            span,
            severity,
            scope: common.scope,
            bad_rows: common.bad_rows,
            where_,
            thresholds: common.thresholds,
            where_span,
            rule,
        });
    }
}

const fn fits(place: Place, column: Option<&str>) -> bool {
    match place {
        Place::Either => true,
        Place::Column => column.is_some(),
        Place::Table => column.is_none(),
        Place::Section => false,
    }
}

pub(crate) fn id_of(column: Option<&str>, kind: &str, name: Option<&str>) -> String {
    let parts: Vec<&str> = column.into_iter().chain([kind]).chain(name).collect();
    parts.join("/")
}

fn make_ids_unique(checks: &mut [Check]) {
    let mut taken: HashSet<String> = HashSet::new();
    for check in checks {
        let mut id = check.id.clone();
        // A name may look like a number that was given.
        let mut number = 1;
        while !taken.insert(id.clone()) {
            number += 1;
            id = format!("{}#{number}", check.id);
        }
        check.id = id;
    }
}

/// A table's name without quotes, in lower case, and without the catalog and the default schema.
fn plain_name(name: &str) -> String {
    let reference = datafusion::common::TableReference::parse_str(name);
    // `lakegate` is the catalog, and a schema of it too.
    let table = reference.table().to_lowercase();
    match reference.schema().map(str::to_lowercase).as_deref() {
        None | Some("default") => table,
        Some(schema) => format!("{schema}.{table}"),
    }
}

fn sha256_hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
