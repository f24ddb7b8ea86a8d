//! `mode: scd2`: the rows that keep a table's history, as the source of one merge.
//!
//! The source holds a row for each key that is new or whose tracked columns changed, valid from now on, and for each
//! changed key the row that was current, ended. Source and table rows belong together when key and `valid_from` are
//! equal: the ended rows update the ones that they end, the others are inserted. A row that is valid from the same time
//! as the current one corrects it in place.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use lakegate_catalog::{
    At, CatalogError, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, SchemaEvolution,
    TableName,
};
use lakegate_rules::yaml::Span;

use super::conditions::{all_of, any_of, equal_keys, quoted};
use super::keys::{NAMED_KEYS, named_rows, refuse_null_keys, repeated_keys, rows_with_nulls};
use super::live_table::LiveTable;
use crate::pipeline::{PublishStage, Scd2Mode};
use crate::{EtlError, Lakegate};

/// From when a row is valid.
pub(crate) const VALID_FROM: &str = "valid_from";
/// Until when a row was valid, exclusively; null for a current row.
pub(crate) const VALID_TO: &str = "valid_to";
/// Whether a row is the current one of its key.
pub(crate) const IS_CURRENT: &str = "is_current";

/// The columns that the mode adds.
pub(crate) const ADDED: [&str; 3] = [VALID_FROM, VALID_TO, IS_CURRENT];

/// A time in the type of the times that the mode adds. `CAST` makes nanoseconds, which reach from 1677 to 2262 only.
fn time(sql: &str) -> String {
    format!("arrow_cast({sql}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

/// How the staged rows are merged.
pub(super) fn merge_spec(scd2: &Scd2Mode) -> MergeSpec {
    let mut columns = scd2.key.clone();
    columns.push(VALID_FROM.to_owned());
    MergeSpec {
        on: equal_keys(&columns),
        matched: vec![MatchedClause {
            when: None,
            action: MatchedAction::UpdateAll,
        }],
        not_matched: vec![NotMatchedClause {
            when: None,
            insert: None,
        }],
        not_matched_by_source: Vec::new(),
    }
}

/// The rows to merge. They are found again whenever the plan runs, so that a merge that starts over after a lost race
/// sees the rows of the winner.
pub(super) async fn stage(
    lakegate: &Lakegate,
    publish: &PublishStage,
    scd2: &Scd2Mode,
    source: &Arc<dyn TableProvider>,
    now: DateTime<Utc>,
) -> Result<LogicalPlan, EtlError> {
    let (table, view) = (&publish.table, publish.view.as_str());
    let target = match lakegate.catalog.snapshot(table, At::Latest).await {
        Ok(snapshot) => Some(snapshot.scan()?.schema()),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let mistakes = mistakes(publish, scd2, &source.schema(), target.as_ref());
    if let Some(mistake) = mistakes.into_iter().next() {
        return Err(EtlError::request(mistake.message, mistake.hint));
    }
    let names = |what: &str| TableName {
        schema: lakegate_catalog::DEFAULT_SCHEMA.to_owned(),
        table: what.to_owned(),
    };
    let mut overlays = vec![(names("source"), Arc::clone(source))];
    if let Some(schema) = &target {
        let catalog = Arc::clone(&lakegate.catalog);
        let live = LiveTable::new(catalog, table.clone(), Arc::clone(schema));
        overlays.push((names("target"), Arc::new(live)));
    }
    let session = lakegate.engine.session_with(overlays);
    expect_keys(&session, source, scd2, view).await?;

    let staging = Staging {
        scd2,
        source: source.schema(),
        target,
        adds_columns: publish.schema_evolution == SchemaEvolution::AddColumns,
        now,
    };
    if staging.target.is_some() {
        staging.expect_order(&session, view, table).await?;
    }
    let plan = session.state().create_logical_plan(&staging.sql()).await;
    plan.map_err(EtlError::from_datafusion)
}

/// Why a history cannot be kept.
pub(crate) struct Mistake {
    /// Where the pipeline file asks for it.
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What the columns of the view, and of the table when it exists, have against keeping a history.
pub(crate) fn mistakes(
    publish: &PublishStage,
    scd2: &Scd2Mode,
    view: &SchemaRef,
    table: Option<&SchemaRef>,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for name in ADDED {
        if view.field_with_name(name).is_ok() {
            mistakes.push(Mistake {
                span: publish.view_span,
                message: format!(
                    "view `{}` has a column `{name}`, which `mode: scd2` adds",
                    publish.view
                ),
                hint: "give it another name in the view; `effective_at` names the column to begin rows at".to_owned(),
            });
        }
    }
    if let Some((column, span)) = &scd2.effective_at
        && let Ok(field) = view.field_with_name(column)
        && !is_time(field.data_type())
    {
        mistakes.push(Mistake {
            span: *span,
            message: format!(
                "`effective_at` names the column `{column}`, which is {} and no time",
                field.data_type()
            ),
            hint: "a row becomes valid at a timestamp or a date: convert the column in the SQL"
                .to_owned(),
        });
    }
    if let Some(table) = table {
        let lacking: Vec<String> = ADDED
            .iter()
            .filter(|name| !is_kept_by(table, name))
            .map(|name| format!("`{name}`"))
            .collect();
        if !lacking.is_empty() {
            mistakes.push(Mistake {
                span: publish.table_span,
                message: format!(
                    "table `{}` keeps no history: it lacks {}",
                    publish.table,
                    lacking.join(", ")
                ),
                hint: "publish the history to a table of its own".to_owned(),
            });
        }
    }
    mistakes
}

/// Whether a table has a column that the mode adds, with its type.
fn is_kept_by(table: &SchemaRef, name: &str) -> bool {
    let Ok(field) = table.field_with_name(name) else {
        return false;
    };
    match name {
        IS_CURRENT => *field.data_type() == DataType::Boolean,
        _ => is_time(field.data_type()),
    }
}

fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64
    )
}

/// Each key of the view has one row, no part of it is null, and every row says from when it is valid.
async fn expect_keys(
    session: &SessionContext,
    source: &Arc<dyn TableProvider>,
    scd2: &Scd2Mode,
    view: &str,
) -> Result<(), EtlError> {
    if let Some(repeated) = repeated_keys(session, source, &scd2.key).await? {
        return Err(EtlError::request(
            format!("view `{view}` has several rows with the same key: {repeated}"),
            "keep one row for each key in the view, or add columns to `key`".to_owned(),
        ));
    }
    refuse_null_keys(session, source, &scd2.key, view).await?;
    let Some((column, _)) = &scd2.effective_at else {
        return Ok(());
    };
    let effective_at = std::slice::from_ref(column);
    if let Some(nulls) = rows_with_nulls(session, source, effective_at).await? {
        return Err(EtlError::request(
            format!("view `{view}` has rows that become valid at no time: {nulls}"),
            format!(
                "`effective_at` needs a time in every row: filter them in the SQL, `WHERE {} IS NOT NULL`",
                quoted(column)
            ),
        ));
    }
    let schema = source.schema();
    let is_fine = schema.field_with_name(column).is_ok_and(|field| {
        matches!(
            field.data_type(),
            DataType::Timestamp(TimeUnit::Nanosecond, _)
        )
    });
    match is_fine {
        true => refuse_finer_than_micros(session, scd2, column, view).await,
        false => Ok(()),
    }
}

/// Times of a table are whole microseconds: what is between two of them would be cut off.
async fn refuse_finer_than_micros(
    session: &SessionContext,
    scd2: &Scd2Mode,
    column: &str,
    view: &str,
) -> Result<(), EtlError> {
    let key: Vec<String> = scd2.key.iter().map(|column| quoted(column)).collect();
    let sql = format!(
        "SELECT {} FROM source WHERE arrow_cast({1}, 'Int64') % 1000 <> 0 LIMIT {NAMED_KEYS}",
        key.join(", "),
        quoted(column)
    );
    let rows = session.sql(&sql).await.map_err(EtlError::from_datafusion)?;
    match named_rows(rows, &scd2.key).await? {
        None => Ok(()),
        Some(keys) => Err(EtlError::request(
            format!("view `{view}` has rows whose `{column}` is finer than a microsecond: {keys}"),
            format!(
                "cut it in the SQL: `date_trunc('microsecond', {})`",
                quoted(column)
            ),
        )),
    }
}

struct Staging<'a> {
    scd2: &'a Scd2Mode,
    source: SchemaRef,
    target: Option<SchemaRef>,
    /// Whether columns of view and table may differ.
    adds_columns: bool,
    now: DateTime<Utc>,
}

impl Staging<'_> {
    /// When a source row becomes valid, in SQL over `s`.
    fn effective(&self) -> String {
        match &self.scd2.effective_at {
            Some((column, _)) => time(&format!("s.{}", quoted(column))),
            None => {
                let now = self.now.to_rfc3339_opts(SecondsFormat::Micros, true);
                time(&format!("'{now}'"))
            }
        }
    }

    fn same_key(&self) -> String {
        let pairs = self.scd2.key.iter();
        all_of(pairs.map(|column| format!("t.{0} = s.{0}", quoted(column))))
    }

    /// Columns whose change begins a row.
    fn tracked(&self) -> Vec<String> {
        if !self.scd2.track.is_empty() {
            return self.scd2.track.clone();
        }
        let effective_at = self.scd2.effective_at.as_ref().map(|(column, _)| column);
        let names = self.source.fields().iter().map(|field| field.name());
        names
            .filter(|name| !self.scd2.key.contains(name) && Some(*name) != effective_at)
            .cloned()
            .collect()
    }

    fn has_target(&self, column: &str) -> bool {
        let target = self.target.as_ref();
        target.is_some_and(|target| target.field_with_name(column).is_ok())
    }

    /// Columns that only the table has, where the publish may lack some: a row takes them over from the one that it ends.
    fn kept(&self) -> Vec<String> {
        let is_lacking = |name: &String| {
            !ADDED.contains(&name.as_str()) && self.source.field_with_name(name).is_err()
        };
        let fields = self.target.iter().flat_map(|target| target.fields().iter());
        fields
            .filter(|field| self.adds_columns && field.is_nullable() && is_lacking(field.name()))
            .map(|field| format!("t.{}", quoted(field.name())))
            .collect()
    }

    fn differs(&self) -> String {
        let tracked = self.tracked();
        any_of(tracked.iter().map(|column| match self.has_target(column) {
            true => format!("t.{0} IS DISTINCT FROM s.{0}", quoted(column)),
            // A column that the table lacks counts as null there.
            false => format!("s.{} IS NOT NULL", quoted(column)),
        }))
    }

    fn sql(&self) -> String {
        let columns: Vec<String> = self
            .source
            .fields()
            .iter()
            .map(|f| quoted(f.name()))
            .collect();
        let kept = self.kept();
        let of_source: Vec<String> = columns
            .iter()
            .map(|column| format!("s.{column}"))
            .chain(kept.iter().cloned())
            .collect();
        let effective = self.effective();
        let begun = format!(
            "{}, {effective} AS {VALID_FROM}, {} AS {VALID_TO}, true AS {IS_CURRENT}",
            of_source.join(", "),
            time("NULL"),
        );
        if self.target.is_none() {
            return format!("SELECT {begun} FROM source s");
        }
        let of_target: Vec<String> = self
            .source
            .fields()
            .iter()
            .map(|field| match self.has_target(field.name()) {
                true => format!("t.{}", quoted(field.name())),
                false => format!("NULL AS {}", quoted(field.name())),
            })
            .chain(kept)
            .collect();
        let (same_key, differs) = (self.same_key(), self.differs());
        let first_key = self
            .scd2
            .key
            .first()
            .map(|column| quoted(column))
            .unwrap_or_default();
        let valid_from = time(&format!("t.{VALID_FROM}"));
        format!(
            "SELECT {begun} FROM source s \
             LEFT JOIN target t ON {same_key} AND (t.{IS_CURRENT}) \
             WHERE (t.{first_key} IS NULL) OR {differs} \
             UNION ALL \
             SELECT {}, {valid_from}, {effective}, false \
             FROM source s JOIN target t ON {same_key} AND (t.{IS_CURRENT}) \
             WHERE {differs} AND ({valid_from} < {effective})",
            of_target.join(", ")
        )
    }

    /// A change cannot become valid before the row that it ends.
    async fn expect_order(
        &self,
        session: &SessionContext,
        view: &str,
        table: &TableName,
    ) -> Result<(), EtlError> {
        let key: Vec<String> = self
            .scd2
            .key
            .iter()
            .map(|c| format!("s.{}", quoted(c)))
            .collect();
        let sql = format!(
            "SELECT {} FROM source s JOIN target t ON {} AND (t.{IS_CURRENT}) \
             WHERE {} AND ({} > {}) LIMIT {NAMED_KEYS}",
            key.join(", "),
            self.same_key(),
            self.differs(),
            time(&format!("t.{VALID_FROM}")),
            self.effective(),
        );
        let late = session.sql(&sql).await.map_err(EtlError::from_datafusion)?;
        match named_rows(late, &self.scd2.key).await? {
            None => Ok(()),
            Some(keys) => Err(EtlError::request(
                format!(
                    "view `{view}` changes rows of `{table}` from before the time at which they became valid: {keys}"
                ),
                "bring changes in the order of `effective_at`".to_owned(),
            )),
        }
    }
}
