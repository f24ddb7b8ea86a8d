//! The system tables: what ran, what was checked, and which rows failed, as Delta tables of schema `lakegate`.
//!
//! A row goes into the catalog's SQLite file first, which is quick and safe against a kill. A flush moves the rows that
//! are there into the Delta tables, each row exactly once: a group of rows gets an identity, the commit carries it as an
//! application transaction, and the group is forgotten only afterwards. A flush that was killed is finished by the next
//! one. Tables with many small files are compacted while they are flushed.
//!
//! | Table | A row is | Columns |
//! |---|---|---|
//! | `runs` | a run of a pipeline | see [`SystemTable::Runs`] |
//! | `stages` | a stage of a run | see [`SystemTable::Stages`] |
//! | `check_results` | a check that was judged | see [`SystemTable::CheckResults`] |
//! | `samples` | a row that failed a check, by its key columns | see [`SystemTable::Samples`] |
//! | `queries` | a query of a client | see [`SystemTable::Queries`] |
//! | `audit` | something that a client was not allowed | see [`SystemTable::Audit`] |

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::prelude::SessionContext;
use serde_json::Value;
use sqlx::Row;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::{
    At, Batch, Catalog, CatalogError, SYSTEM_SCHEMA, SchemaEvolution, TableName, Write,
    WriteContext, WriteMode, WriteOptions,
};

mod rows;

/// Rows of one commit.
const MAX_ROWS_PER_COMMIT: u32 = 50_000;

/// Files of a system table beyond which it is compacted.
const MAX_FILES: usize = 32;

/// How long files that a compaction or the retention took out of a system table are kept for its readers.
const KEEP_REPLACED_FILES: Duration = Duration::from_secs(24 * 60 * 60);

/// A system table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemTable {
    /// Runs of pipelines.
    ///
    /// `run` text, `pipeline` text, `project` text, `started_at` timestamp, `finished_at` timestamp, `outcome` text
    /// (`done`, `failed` or `refused`), `parameters` text (JSON), `stages` bigint, `elapsed_ms` bigint, `error` text.
    Runs,
    /// Stages of runs.
    ///
    /// `run` text, `pipeline` text, `stage` text, `kind` text, `outcome` text, `rows` bigint,
    /// `bad_rows` bigint (with a value that did not type), `table_name` text, `version` bigint (that a publish made), `started_at` timestamp, `elapsed_ms` bigint, `error` text.
    Stages,
    /// Checks that were judged.
    ///
    /// `run` text, `stage` text, `table_name` text, `version` bigint, `rules_file` text, `rules_sha256` text,
    /// `judged_at` timestamp, `check_id` text, `kind` text, `column_name` text, `severity` text, `scope` text,
    /// `verdict` text, `metric` double, `observed` text, `expected` text, `rows` bigint, `bad_rows` bigint,
    /// `message` text, `waived_by` text, `elapsed_ms` bigint.
    CheckResults,
    /// Rows that failed a check, by their key columns. They are kept for a time only.
    ///
    /// `run` text, `stage` text, `table_name` text, `version` bigint, `judged_at` timestamp, `check_id` text,
    /// `sample` bigint (the number of the row among the check's samples), `key` text (JSON).
    Samples,
    /// Queries of clients.
    ///
    /// `query_id` text, `principal` text, `door` text (`flight`), `route` text (`local`), `sql` text,
    /// `state` text (`done`, `failed` or `cancelled`), `submitted_at` timestamp, `finished_at` timestamp,
    /// `queued_ms` bigint, `elapsed_ms` bigint, `rows` bigint (that were given), `bytes_scanned` bigint, `error` text.
    Queries,
    /// What clients were not allowed.
    ///
    /// `at` timestamp, `principal` text (who asked, or the name that somebody gave who was not let in), `door` text,
    /// `peer` text (address and port), `action` text (`log_in`, `read`, `write` or `manage`), `object` text (a table).
    Audit,
}

impl SystemTable {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Runs,
        Self::Stages,
        Self::CheckResults,
        Self::Samples,
        Self::Queries,
        Self::Audit,
    ];

    /// The table's name without the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Stages => "stages",
            Self::CheckResults => "check_results",
            Self::Samples => "samples",
            Self::Queries => "queries",
            Self::Audit => "audit",
        }
    }

    /// The table's name.
    pub fn name(self) -> TableName {
        TableName {
            schema: SYSTEM_SCHEMA.to_owned(),
            table: self.as_str().to_owned(),
        }
    }

    /// The table's columns.
    pub fn schema(self) -> SchemaRef {
        rows::schema(self)
    }
}

impl FromStr for SystemTable {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        Self::ALL
            .into_iter()
            .find(|table| table.as_str() == text)
            .ok_or_else(|| CatalogError::NotFound {
                what: format!("system table `{text}`"),
                hint: Some(
                    "there are `runs`, `stages`, `check_results`, `samples`, `queries` and `audit`"
                        .to_owned(),
                ),
            })
    }
}

/// The system tables of a catalog.
#[derive(Debug, Clone)]
pub struct SystemTables {
    catalog: Arc<Catalog>,
    keep_samples: Duration,
}

impl SystemTables {
    /// The system tables of a catalog, with how long rows of `samples` are kept.
    pub fn new(catalog: Arc<Catalog>, keep_samples: Duration) -> Self {
        Self {
            catalog,
            keep_samples,
        }
    }

    /// Takes rows for a table, as JSON objects by column; what a row lacks is null. They are safe when this returns, and
    /// in the Delta table after the next [`SystemTables::flush`].
    ///
    /// # Errors
    /// [`CatalogError::Bug`] for a row that does not fit the table's columns; [`CatalogError::Failed`] when the
    /// catalog's file cannot be written.
    pub async fn append(&self, table: SystemTable, rows: Vec<Value>) -> Result<(), CatalogError> {
        if rows.is_empty() {
            return Ok(());
        }
        rows::to_batch(table, &rows)?;
        let live = self.catalog.live();
        let doing = "keep rows of system tables in";
        let failed = |error| live.failed(doing, error);
        let mut transaction = live.write(doing).await?;
        for row in &rows {
            sqlx::query("INSERT INTO live_rows (table_name, row) VALUES (?1, ?2)")
                .bind(table.as_str())
                .bind(row.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Moves all rows that were taken into the Delta tables, those of other processes and of killed ones too. Compacts
    /// tables of many files, and deletes samples that are older than they are kept.
    ///
    /// # Errors
    /// The first one, when a table cannot be written; its rows then wait for the next flush, those of the other tables do
    /// not.
    pub async fn flush(&self, session: &SessionContext) -> Result<(), CatalogError> {
        let mut first_error = None;
        for table in SystemTable::ALL {
            if let Err(error) = self.flush_table(session, table).await {
                warn!(table = %table.name(), %error, "system table was not flushed");
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn flush_table(
        &self,
        session: &SessionContext,
        table: SystemTable,
    ) -> Result<(), CatalogError> {
        let mut changed = false;
        while let Some(group) = self.claim(table).await? {
            self.commit(session, table, &group).await?;
            crate::failpoint!("system.before_forget");
            self.forget(&group).await?;
            changed = true;
        }
        if changed {
            self.tidy(session, table).await;
        }
        Ok(())
    }

    /// Rows with one identity: those that a flush left behind first, else the ones that have none yet.
    async fn claim(&self, table: SystemTable) -> Result<Option<Group>, CatalogError> {
        let live = self.catalog.live();
        let doing = "take rows of system tables from";
        let failed = |error| live.failed(doing, error);
        let mut transaction = live.write(doing).await?;
        let left_behind = sqlx::query(
            "SELECT flush FROM live_rows WHERE table_name = ?1 AND flush IS NOT NULL ORDER BY id LIMIT 1",
        )
        .bind(table.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let id: String = match left_behind {
            Some(row) => row.try_get(0).map_err(failed)?,
            None => {
                let id = Uuid::new_v4().simple().to_string();
                sqlx::query(
                    "UPDATE live_rows SET flush = ?1 WHERE id IN
                     (SELECT id FROM live_rows WHERE table_name = ?2 AND flush IS NULL ORDER BY id LIMIT ?3)",
                )
                .bind(&id)
                .bind(table.as_str())
                .bind(MAX_ROWS_PER_COMMIT)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
                id
            }
        };
        let found = sqlx::query("SELECT row FROM live_rows WHERE flush = ?1 ORDER BY id")
            .bind(&id)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let text: String = row.try_get(0).map_err(failed)?;
            // What is no JSON fits no table.
            rows.push(serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
        Ok((!rows.is_empty()).then_some(Group { id, rows }))
    }

    async fn commit(
        &self,
        session: &SessionContext,
        table: SystemTable,
        group: &Group,
    ) -> Result<(), CatalogError> {
        let Some(batch) = fitting(table, &group.rows)? else {
            return Ok(());
        };
        let source = session.read_batch(batch).map_err(|error| {
            CatalogError::failed(format!("cannot plan the rows of `{}`", table.name()), error)
        })?;
        let write = Write {
            table: table.name(),
            mode: WriteMode::Append,
            source: source.into_unoptimized_plan(),
            options: WriteOptions {
                schema_evolution: SchemaEvolution::AddColumns,
                ..WriteOptions::default()
            },
            context: WriteContext {
                batch: Some(Batch {
                    writer: format!("system/{}", table.as_str()),
                    id: group.id.clone(),
                }),
                ..WriteContext::default()
            },
        };
        let written = self.catalog.write_any(session, write).await?;
        debug!(table = %written.table, version = written.version, rows = group.rows.len(), "system table flushed");
        Ok(())
    }

    async fn forget(&self, group: &Group) -> Result<(), CatalogError> {
        let live = self.catalog.live();
        let doing = "forget flushed rows of system tables in";
        let mut transaction = live.write(doing).await?;
        sqlx::query("DELETE FROM live_rows WHERE flush = ?1")
            .bind(&group.id)
            .execute(&mut *transaction)
            .await
            .map_err(|error| live.failed(doing, error))?;
        transaction
            .commit()
            .await
            .map_err(|error| live.failed(doing, error))
    }

    /// Housekeeping: when it fails the rows are safe all the same, and the next flush tries again.
    async fn tidy(&self, session: &SessionContext, table: SystemTable) {
        let name = table.name();
        if let Err(error) = self.delete_old_samples(session, table).await {
            warn!(table = %name, %error, "old samples were not deleted");
        }
        if let Err(error) = self.compact(session, &name).await {
            warn!(table = %name, %error, "system table was not compacted");
        }
    }

    async fn delete_old_samples(
        &self,
        session: &SessionContext,
        table: SystemTable,
    ) -> Result<(), CatalogError> {
        if table != SystemTable::Samples {
            return Ok(());
        }
        let name = table.name();
        let Some(oldest_kept) = self.oldest_kept() else {
            return Ok(());
        };
        let snapshot = self.catalog.snapshot(&name, At::Latest).await?;
        let judged_at = Column::from_name("judged_at");
        let Some(oldest) = snapshot.statistics()?.min_values(&judged_at) else {
            return Ok(());
        };
        let limit = oldest_kept.timestamp_micros();
        let is_old = |file: usize| {
            let value = ScalarValue::try_from_array(&oldest, file);
            // A file that does not tell how old its rows are may hold old ones.
            !matches!(value, Ok(ScalarValue::TimestampMicrosecond(Some(time), _)) if time >= limit)
        };
        if !(0..snapshot.files.len()).any(is_old) {
            return Ok(());
        }
        // Deltalake writes the predicate into the commit, and knows only this form of a timestamp.
        let predicate = format!(
            "judged_at < arrow_cast('{}', 'Timestamp(Microsecond, Some(\"UTC\"))')",
            oldest_kept.format("%Y-%m-%dT%H:%M:%S")
        );
        self.catalog
            .delete_rows(session, &name, &predicate, WriteContext::default())
            .await?;
        self.catalog
            .vacuum(&name, KEEP_REPLACED_FILES, false)
            .await?;
        Ok(())
    }

    /// Samples before this time are deleted; a whole second, so that statistics cut to milliseconds decide it rightly.
    fn oldest_kept(&self) -> Option<DateTime<Utc>> {
        let keep = TimeDelta::from_std(self.keep_samples).ok()?;
        self.catalog
            .now()
            .checked_sub_signed(keep)?
            .duration_trunc(TimeDelta::seconds(1))
            .ok()
    }

    async fn compact(
        &self,
        session: &SessionContext,
        name: &TableName,
    ) -> Result<(), CatalogError> {
        let snapshot = self.catalog.snapshot(name, At::Latest).await?;
        if snapshot.files.len() <= MAX_FILES {
            return Ok(());
        }
        self.catalog.optimize(session, name, &[], None).await?;
        self.catalog
            .vacuum(name, KEEP_REPLACED_FILES, false)
            .await?;
        Ok(())
    }
}

/// The rows that fit their table; none when no row does. One of another version of Lakegate, or of a damaged file, does
/// not hold up the others for ever.
fn fitting(table: SystemTable, rows: &[Value]) -> Result<Option<RecordBatch>, CatalogError> {
    if let Ok(batch) = rows::to_batch(table, rows) {
        return Ok(Some(batch));
    }
    let mut fit = Vec::with_capacity(rows.len());
    for row in rows {
        match rows::to_batch(table, std::slice::from_ref(row)) {
            Ok(_) => fit.push(row.clone()),
            Err(error) => {
                warn!(table = %table.name(), %error, %row, "a row that does not fit is dropped");
            }
        }
    }
    if fit.is_empty() {
        return Ok(None);
    }
    rows::to_batch(table, &fit).map(Some)
}

/// Rows that one commit brings.
#[derive(Debug)]
struct Group {
    id: String,
    rows: Vec<Value>,
}

#[cfg(test)]
mod tests;
