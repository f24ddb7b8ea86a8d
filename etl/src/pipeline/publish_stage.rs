//! `publish:` stages as they are written.

use std::sync::Arc;

use lakegate_catalog::{SYSTEM_SCHEMA, SchemaEvolution, TableName};
use lakegate_rules::Suite;
use lakegate_rules::yaml::{Fields, Node, Problems, Span};

use crate::batch::published_beside;

/// A `publish:` stage: writes a view to a table, through the gate.
///
/// ```yaml
/// - name: publish_flights
///   publish:
///     view: flights
///     table: silver.flights
///     mode: merge                  # append | overwrite | replace_where | merge | scd2
///     key: [year, month, day, carrier, flight]
///     rules: checks/flights.yaml
///     partition_by: [month]
///     schema_evolution: refuse     # refuse | add_columns
///     target_file_size: 128MiB
/// ```
///
/// `append` adds the view's rows to those of the table, `overwrite` puts them in the place of all rows; the other modes
/// are described below. The first publish makes the table. The schema `lakegate` is the system's own: no publish
/// writes to it.
///
/// The rule file is attached to the table by the commit that it lets pass. Without `rules`, the rules that
/// are attached to the table stay and judge the commit; the stage does not wait for the publishes of tables that only
/// those name.
///
/// The same input through the same definition is published once. When the view is made from the table itself, its input
/// is what others have brought: the publish runs again when another writer has changed the table.
#[derive(Debug, Clone)]
pub struct PublishStage {
    /// Where the stage's settings begin.
    pub span: Span,
    /// The view.
    pub view: String,
    /// Where `view` stands.
    pub view_span: Span,
    /// The table.
    pub table: TableName,
    /// Where `table` stands.
    pub table_span: Span,
    /// What happens to the rows that the table holds.
    pub mode: PublishMode,
    /// Partition columns of a table that the publish makes.
    pub partition_by: Vec<String>,
    /// Where `partition_by` stands.
    pub partition_by_span: Span,
    /// What happens to columns that the table lacks.
    pub schema_evolution: SchemaEvolution,
    /// Size to aim at for data files, in bytes. `merge` and `scd2` keep it with the table, and another size than before
    /// holds from the next publish on.
    pub target_file_bytes: Option<u64>,
    /// The rules that the publish attaches to the table.
    pub rules: Option<Arc<Suite>>,
    /// Where `rules` stands.
    pub rules_span: Span,
}

/// What happens to the rows that the table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishMode {
    /// They stay, and the view's rows are added.
    Append,
    /// They are replaced.
    Overwrite,
    /// Rows for which a predicate is true are replaced; every row of the view must satisfy it.
    ///
    /// ```yaml
    /// publish: { view: flights, table: silver.flights, mode: replace_where, replace_where: "month = :month" }
    /// ```
    ReplaceWhere {
        /// SQL over the table's columns; parameters are bound.
        predicate: String,
        /// Where it stands.
        span: Span,
    },
    /// They are updated, deleted and added to, by a key.
    Merge(MergeMode),
    /// Their history is kept, by a key.
    Scd2(Scd2Mode),
}

/// A merge by a key.
///
/// Rows of view and table with equal keys belong together. A null equals nothing, so that a row with a null in its key
/// would be inserted at each publish: such rows are refused, by a `not_null` of the rules or else by the stage itself, and
/// the SQL must filter them. Two rows of the view with the same key are refused. With `schema_evolution: add_columns`,
/// columns that the view lacks keep their values in rows that are updated. The conditions are SQL over `source` and `target`; `delete_when` goes before `update_when`.
///
/// ```yaml
/// publish:
///   view: orders
///   table: silver.orders
///   mode: merge
///   key: [order_id]
///   update_when: source.updated_at > target.updated_at   # default: always
///   insert_when: not source.is_deleted                   # default: always
///   delete_when: source.is_deleted                       # default: never
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeMode {
    /// Columns of the key.
    pub key: Vec<String>,
    /// Where `key` stands.
    pub key_span: Span,
    /// When a row is updated; always when absent.
    pub update_when: Option<(String, Span)>,
    /// When a row is inserted; always when absent.
    pub insert_when: Option<(String, Span)>,
    /// When a row is deleted; never when absent.
    pub delete_when: Option<(String, Span)>,
}

/// A history by a key: slowly changing dimension of type 2.
///
/// The publish adds the columns `valid_from`, `valid_to` and `is_current`. A row of the view whose tracked columns
/// differ from the current row of its key ends that row and begins another. Keys that the view lacks stay as they are.
/// A null in the key or in `effective_at` is refused. With `schema_evolution: add_columns`, a row takes the columns that
/// the view lacks from the row that it ends.
///
/// ```yaml
/// publish:
///   view: customers
///   table: silver.customers
///   mode: scd2
///   key: [customer_id]
///   track: [name, city]        # default: every column but the key and `effective_at`
///   effective_at: changed_at   # a timestamp or date of the view from when a row is valid; default: when the run began
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scd2Mode {
    /// Columns of the key.
    pub key: Vec<String>,
    /// Where `key` stands.
    pub key_span: Span,
    /// Columns whose change begins a row; all others when empty.
    pub track: Vec<String>,
    /// Where `track` stands.
    pub track_span: Span,
    /// The column that says from when a row is valid.
    pub effective_at: Option<(String, Span)>,
}

impl PublishMode {
    /// The mode's name in YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::ReplaceWhere { .. } => "replace_where",
            Self::Merge(_) => "merge",
            Self::Scd2(_) => "scd2",
        }
    }

    /// Its SQL conditions, with their places.
    pub(crate) fn conditions(&self) -> Vec<(&str, Span)> {
        match self {
            Self::ReplaceWhere { predicate, span } => vec![(predicate.as_str(), *span)],
            Self::Merge(merge) => [&merge.update_when, &merge.insert_when, &merge.delete_when]
                .into_iter()
                .flatten()
                .map(|(sql, span)| (sql.as_str(), *span))
                .collect(),
            Self::Append | Self::Overwrite | Self::Scd2(_) => Vec::new(),
        }
    }
}

/// Keys of every publish.
const KEYS: &[&str] = &[
    "view",
    "table",
    "mode",
    "rules",
    "partition_by",
    "schema_evolution",
    "target_file_size",
    "replace_where",
    "key",
    "update_when",
    "insert_when",
    "delete_when",
    "track",
    "effective_at",
];

/// Keys that only some modes take.
const MODE_KEYS: &[(&str, &[&str])] = &[
    ("replace_where", &["replace_where"]),
    ("key", &["merge", "scd2"]),
    ("update_when", &["merge"]),
    ("insert_when", &["merge"]),
    ("delete_when", &["merge"]),
    ("track", &["scd2"]),
    ("effective_at", &["scd2"]),
];

/// The names of the modes.
const MODES: &[(&str, &str)] = &[
    ("append", "append"),
    ("overwrite", "overwrite"),
    ("replace_where", "replace_where"),
    ("merge", "merge"),
    ("scd2", "scd2"),
];

impl PublishStage {
    /// Reads the settings of a stage. `rules` reads a rule file that the stage names.
    pub(super) fn read(
        node: &Node,
        problems: &mut Problems,
        rules: impl FnOnce(&str, Span, &mut Problems) -> Option<Arc<Suite>>,
    ) -> Option<Self> {
        let before = problems.len();
        let fields = Fields::new(node, "a publish stage", KEYS, problems);
        fields.require(&["view", "table", "mode"], problems);
        let view = fields.string("view", problems);
        let table = fields
            .string("table", problems)
            .and_then(|text| table_name(&text, fields.span("table"), node, problems))
            .filter(|table| !is_reserved(table, fields.span("table"), node, problems));
        let mode_name = fields.choice("mode", MODES, problems);
        if let Some(mode) = mode_name {
            refuse_keys_of_other_modes(&fields, mode, problems);
        }
        let mode = mode_name.and_then(|mode| read_mode(&fields, mode, problems));
        let partition_by = fields.strings("partition_by", problems).unwrap_or_default();
        let schema_evolution = fields
            .choice(
                "schema_evolution",
                &[
                    ("refuse", SchemaEvolution::Refuse),
                    ("add_columns", SchemaEvolution::AddColumns),
                ],
                problems,
            )
            .unwrap_or_default();
        let target_file_bytes = fields.byte_size("target_file_size", problems);
        let rules_span = fields.span("rules");
        let suite = fields
            .string("rules", problems)
            .and_then(|file| rules(&file, rules_span, problems));
        if let Some(table) = &table {
            refuse_quarantine(table, fields.span("table"), node, problems);
        }
        if let (Some(suite), Some(table)) = (&suite, &table) {
            expect_same_table(suite, table, rules_span, node, problems);
        }
        if problems.len() > before {
            return None;
        }
        Some(Self {
            span: node.span,
            view: view?,
            view_span: fields.span("view"),
            table: table?,
            table_span: fields.span("table"),
            mode: mode?,
            partition_by,
            partition_by_span: fields.span("partition_by"),
            schema_evolution,
            target_file_bytes,
            rules: suite,
            rules_span,
        })
    }
}

pub(super) fn table_name(
    text: &str,
    span: Span,
    node: &Node,
    problems: &mut Problems,
) -> Option<TableName> {
    match text.parse::<TableName>() {
        Ok(name) => Some(name),
        Err(error) => {
            let mut problem = node.problem(error.to_string());
            problem.span = Some(span);
            problems.push(problem.with_hint(error.hint().map(str::to_owned)));
            None
        }
    }
}

/// Tables of the system's own schema are written by the system only.
fn is_reserved(table: &TableName, span: Span, node: &Node, problems: &mut Problems) -> bool {
    if table.schema != SYSTEM_SCHEMA {
        return false;
    }
    let message = format!("`{table}` is a table of Lakegate itself, and no publish writes to it");
    let mut problem = node.problem(message);
    problem.span = Some(span);
    problems.push(problem.with_hint("publish to a table of another schema".to_owned()));
    true
}

/// The tables beside a published table take only the rows that are kept out of it.
fn refuse_quarantine(table: &TableName, span: Span, node: &Node, problems: &mut Problems) {
    let Some(beside) = published_beside(table) else {
        return;
    };
    let message = format!("`{table}` is the name of a quarantine: it takes rows of `{beside}`");
    let mut problem = node.problem(message);
    problem.span = Some(span);
    problems.push(problem.with_hint("give the table another name".to_owned()));
}

fn expect_same_table(
    suite: &Suite,
    table: &TableName,
    span: Span,
    node: &Node,
    problems: &mut Problems,
) {
    let Some(ruled) = &suite.table else {
        return;
    };
    if ruled
        .parse::<TableName>()
        .is_ok_and(|ruled| ruled == *table)
    {
        return;
    }
    let mut problem = node.problem(format!(
        "`{}` holds the rules of `{ruled}`, and this stage publishes to `{table}`",
        suite.file
    ));
    problem.span = Some(span);
    problems
        .push(problem.with_hint("name the rule file of the table that is published".to_owned()));
}

fn refuse_keys_of_other_modes(fields: &Fields<'_>, mode: &str, problems: &mut Problems) {
    for (key, modes) in MODE_KEYS {
        if let Some(entry) = fields.entry(key)
            && !modes.contains(&mode)
        {
            let message = format!("`{key}` has no meaning with `mode: {mode}`");
            let hint = format!("it belongs to `mode: {}`", modes.join("` or `mode: "));
            problems.push(entry.problem(message).with_hint(hint));
        }
    }
}

fn read_mode(fields: &Fields<'_>, mode: &str, problems: &mut Problems) -> Option<PublishMode> {
    match mode {
        "append" => Some(PublishMode::Append),
        "overwrite" => Some(PublishMode::Overwrite),
        "replace_where" => {
            fields.require(&["replace_where"], problems);
            Some(PublishMode::ReplaceWhere {
                predicate: fields.string("replace_where", problems)?,
                span: fields.span("replace_where"),
            })
        }
        "merge" => {
            let key = read_key(fields, problems);
            let mut condition = |name: &str| {
                let sql = fields.string(name, problems)?;
                Some((sql, fields.span(name)))
            };
            let (update_when, insert_when, delete_when) = (
                condition("update_when"),
                condition("insert_when"),
                condition("delete_when"),
            );
            Some(PublishMode::Merge(MergeMode {
                key: key?,
                key_span: fields.span("key"),
                update_when,
                insert_when,
                delete_when,
            }))
        }
        _ => {
            let key = read_key(fields, problems);
            let track = fields.strings("track", problems).unwrap_or_default();
            let effective_at = fields
                .string("effective_at", problems)
                .map(|column| (column, fields.span("effective_at")));
            Some(PublishMode::Scd2(Scd2Mode {
                key: key?,
                key_span: fields.span("key"),
                track,
                track_span: fields.span("track"),
                effective_at,
            }))
        }
    }
}

fn read_key(fields: &Fields<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    fields.require(&["key"], problems);
    let node = fields.get("key")?;
    let key = node.one_or_more_strings("`key`", problems)?;
    if key.is_empty() {
        problems.push(node.problem("`key` names no column"));
        return None;
    }
    Some(key)
}
