//! `mode: scd2`: the rows that keep a table's history, as the source of one merge.
//!
//! The source holds a row for each key that is new or whose tracked columns changed, valid from now on, and for each
//! changed key the row that was current, ended. Source and table rows belong together when key and `valid_from` are
//! equal: the ended rows update the ones that they end, the others are inserted. A row that is valid from the same time
//! as the current one corrects it in place.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use lakegate_catalog::{
    At, CatalogError, MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, TableName,
};

use super::live_table::LiveTable;
use super::{
    NAMED_KEYS, all_of, any_of, equal_keys, named_rows, quoted, refuse_null_keys, repeated_keys,
    rows_with_nulls,
};
use crate::pipeline::Scd2Mode;
use crate::{EtlError, Lakegate};

/// From when a row is valid.
pub(crate) const VALID_FROM: &str = "valid_from";
/// Until when a row was valid, exclusively; null for a current row.
pub(crate) const VALID_TO: &str = "valid_to";
/// Whether a row is the current one of its key.
pub(crate) const IS_CURRENT: &str = "is_current";

/// The columns that the mode adds.
pub(crate) const ADDED: [&str; 3] = [VALID_FROM, VALID_TO, IS_CURRENT];

/// The type of the times that the mode adds.
const TIME: &str = "TIMESTAMP WITH TIME ZONE";

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
    table: &TableName,
    scd2: &Scd2Mode,
    view: &str,
    source: &Arc<dyn TableProvider>,
    now: DateTime<Utc>,
) -> Result<LogicalPlan, EtlError> {
    if let Some(name) = ADDED
        .iter()
        .find(|name| source.schema().field_with_name(name).is_ok())
    {
        return Err(EtlError::request(
            format!("view `{view}` has a column `{name}`, which `mode: scd2` adds"),
            "give it another name in the view; `effective_at` names the column to begin rows at"
                .to_owned(),
        ));
    }
    let target = match lakegate.catalog.snapshot(table, At::Latest).await {
        Ok(snapshot) => Some(snapshot.scan()?.schema()),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
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
        now,
    };
    if staging.target.is_some() {
        staging.expect_order(&session, view, table).await?;
    }
    let plan = session.state().create_logical_plan(&staging.sql()).await;
    plan.map_err(EtlError::from_datafusion)
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
    match rows_with_nulls(session, source, effective_at).await? {
        None => Ok(()),
        Some(nulls) => Err(EtlError::request(
            format!("view `{view}` has rows that become valid at no time: {nulls}"),
            format!(
                "`effective_at` needs a time in every row: filter them in the SQL, `WHERE {} IS NOT NULL`",
                quoted(column)
            ),
        )),
    }
}

struct Staging<'a> {
    scd2: &'a Scd2Mode,
    source: SchemaRef,
    target: Option<SchemaRef>,
    now: DateTime<Utc>,
}

impl Staging<'_> {
    /// When a source row becomes valid, in SQL over `s`.
    fn effective(&self) -> String {
        match &self.scd2.effective_at {
            Some((column, _)) => format!("CAST(s.{} AS {TIME})", quoted(column)),
            None => {
                let now = self.now.to_rfc3339_opts(SecondsFormat::Micros, true);
                format!("CAST('{now}' AS {TIME})")
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
        let of_source: Vec<String> = columns.iter().map(|column| format!("s.{column}")).collect();
        let effective = self.effective();
        let begun = format!(
            "{}, {effective} AS {VALID_FROM}, CAST(NULL AS {TIME}) AS {VALID_TO}, true AS {IS_CURRENT}",
            of_source.join(", ")
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
            .collect();
        let (same_key, differs) = (self.same_key(), self.differs());
        let first_key = self
            .scd2
            .key
            .first()
            .map(|column| quoted(column))
            .unwrap_or_default();
        format!(
            "SELECT {begun} FROM source s \
             LEFT JOIN target t ON {same_key} AND (t.{IS_CURRENT}) \
             WHERE (t.{first_key} IS NULL) OR {differs} \
             UNION ALL \
             SELECT {}, CAST(t.{VALID_FROM} AS {TIME}), {effective}, false \
             FROM source s JOIN target t ON {same_key} AND (t.{IS_CURRENT}) \
             WHERE {differs} AND (CAST(t.{VALID_FROM} AS {TIME}) < {effective})",
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
             WHERE {} AND (CAST(t.{VALID_FROM} AS {TIME}) > {}) LIMIT {NAMED_KEYS}",
            key.join(", "),
            self.same_key(),
            self.differs(),
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
