//! Carries out a write: opens the table behind the gate, writes, registers.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::write::SchemaMode;
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::protocol::SaveMode;
use tracing::{info, warn};

use super::replace_where::{refuse_rows_outside, replaced_rows};
use super::source::{FirstError, keeping_errors};
use super::{Batch, Expects, SchemaEvolution, Write, WriteMode, WriteOutcome, Written, columns};
use crate::gate::Trust;
use crate::table::GatedTable;
use crate::{Catalog, CatalogError, TableName};

/// How often a write starts over when other writers changed what it builds on.
const MAX_ATTEMPTS: u32 = 8;

/// Rows in one row group, so that a point look-up decodes little.
const ROWS_PER_ROW_GROUP: usize = 262_144;

/// Table property with the size of files, in bytes. delta-rs' merge knows no other way to be told.
const TARGET_FILE_SIZE: &str = "delta.targetFileSize";

/// How long the identities of batches are remembered, as Delta writes intervals.
const BATCH_RETENTION: &str = "interval 52 weeks";

impl Catalog {
    /// Writes to a table through the gate. The table is created, in the warehouse, and registered when it does not exist.
    ///
    /// A batch that was committed before is not committed again. When other writers change what the write builds on, it
    /// starts over, a few times.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when the gate refuses, and the table is as it was; [`CatalogError::Invalid`] when source
    /// and table do not fit; [`CatalogError::Conflict`] when other writers were faster every time.
    pub async fn write(
        &self,
        session: &SessionContext,
        write: Write,
    ) -> Result<Written, CatalogError> {
        write.table.refuse_system("written")?;
        self.write_any(session, write).await
    }

    /// [`Catalog::write`], to tables of the system too.
    pub(crate) async fn write_any(
        &self,
        session: &SessionContext,
        write: Write,
    ) -> Result<Written, CatalogError> {
        starting_over(&write.table, || self.try_write(session, &write)).await
    }

    /// The version at which a batch came into the table; none when it must be written.
    ///
    /// A batch that a restore took out again must be. One that replaces rows counts only while no later batch of the
    /// same writer replaced them.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when the table's log cannot be read.
    pub async fn batch_version(
        &self,
        name: &TableName,
        batch: &Batch,
        mode: &WriteMode,
    ) -> Result<Option<i64>, CatalogError> {
        let table = self
            .open_gated(name, super::WriteContext::default(), Trust::default())
            .await?;
        let version = self.batch_in(&table, batch, mode).await?;
        if version.is_some() {
            self.register_written(&table).await?;
        }
        Ok(version)
    }

    async fn try_write(
        &self,
        session: &SessionContext,
        write: &Write,
    ) -> Result<Written, CatalogError> {
        let trust = Trust {
            writes_its_files: true,
            ..Trust::default()
        };
        let table = self
            .open_gated(&write.table, write.context.clone(), trust)
            .await?;
        match write.options.expects {
            Expects::IfNotExists if table.exists => {
                self.register_written(&table).await?;
                return self.written(&table, WriteOutcome::AlreadyDone).await;
            }
            Expects::Absence if table.exists => {
                return Err(CatalogError::invalid(
                    format!("table `{}` exists already", write.table),
                    "choose another name; `lakegate catalog drop --purge` deletes one, and what is left in its folder"
                        .to_owned(),
                ));
            }
            Expects::Presence if !table.exists => {
                self.entry(&write.table).await?;
            }
            _ => {}
        }
        let mut transactions = Vec::new();
        if let Some(batch) = &write.context.batch {
            let is_done = self.batch_in(&table, batch, &write.mode).await?.is_some();
            if is_done && !write.context.reprocess {
                self.register_written(&table).await?;
                return self.written(&table, WriteOutcome::AlreadyDone).await;
            }
            transactions = super::batches::transactions(batch);
        }
        let properties = CommitProperties::default().with_application_transactions(transactions);
        let errors = FirstError::default();
        let source = self.source(&table, write, &errors)?;
        let result = match &write.mode {
            WriteMode::Merge(_) if !table.exists => {
                // Nothing is there to match: the rows that the merge would insert make the first version.
                let source = super::merge::inserts(session, &source, write)?;
                let source = self.watch_rows(&table, write, source).await?;
                self.rewrite(
                    session,
                    &table,
                    write,
                    source,
                    SaveMode::Append,
                    None,
                    properties,
                )
                .await
            }
            WriteMode::Merge(spec) => {
                let existing = table.columns()?;
                let size = write
                    .options
                    .target_file_bytes
                    .map(|bytes| bytes.to_string());
                if let Some(size) = size
                    && existing.properties.get(TARGET_FILE_SIZE) != Some(&size)
                {
                    table.gate.set_property(TARGET_FILE_SIZE, size);
                }
                let columns = existing.schema;
                let spec = super::merge::planned(session, write, &columns, &source, spec)?;
                let evolution = write.options.schema_evolution;
                let merged =
                    super::merge::merge(session, &table.table, evolution, spec, source, properties);
                merged.await.map(|(table, _)| table)
            }
            WriteMode::Append => {
                let source = self.watch_rows(&table, write, source).await?;
                self.rewrite(
                    session,
                    &table,
                    write,
                    source,
                    SaveMode::Append,
                    None,
                    properties,
                )
                .await
            }
            WriteMode::Overwrite => {
                let source = self.watch_rows(&table, write, source).await?;
                self.rewrite(
                    session,
                    &table,
                    write,
                    source,
                    SaveMode::Overwrite,
                    None,
                    properties,
                )
                .await
            }
            WriteMode::ReplaceWhere(predicate) => {
                refuse_rows_outside(session, write, predicate).await?;
                let predicate = match table.exists {
                    true => {
                        let existing = table.columns()?;
                        Some(replaced_rows(session, write, predicate, &existing)?)
                    }
                    false => None,
                };
                self.rewrite(
                    session,
                    &table,
                    write,
                    source,
                    SaveMode::Overwrite,
                    predicate,
                    properties,
                )
                .await
            }
        };
        let table = match self.conclude(table, result).await {
            Err(CatalogError::Failed { message, source }) => {
                return Err(match errors.take() {
                    Some(error) => source_failed(&write.table, error),
                    None => CatalogError::Failed { message, source },
                });
            }
            concluded => concluded?,
        };
        crate::failpoint!("write.before_register");
        self.register_written(&table).await?;
        self.written(&table, WriteOutcome::Committed).await
    }

    fn source(
        &self,
        table: &GatedTable,
        write: &Write,
        errors: &FirstError,
    ) -> Result<LogicalPlan, CatalogError> {
        columns::check_names(&write.table, write.source.schema())?;
        let existing = match table.exists {
            true => Some(table.columns()?),
            false => None,
        };
        let partitions = existing
            .as_ref()
            .map_or(&write.options.partition_by, |t| &t.partition_columns);
        let source = keeping_errors(write.source.clone(), &write.table, partitions, errors)
            .map_err(|error| {
                CatalogError::failed(
                    format!("the source of `{}` cannot be planned", write.table),
                    error,
                )
            })?;
        let Some(existing) = existing else {
            columns::check_partitions(
                &write.table,
                write.source.schema(),
                &write.options.partition_by,
            )?;
            return columns::for_new_table(&write.table, source);
        };
        if !write.options.partition_by.is_empty()
            && write.options.partition_by != existing.partition_columns
        {
            return Err(CatalogError::invalid(
                format!(
                    "`{}` is partitioned by [{}], not by [{}]",
                    write.table,
                    existing.partition_columns.join(", "),
                    write.options.partition_by.join(", ")
                ),
                Some("leave `partition_by` as it was when the table was created".to_owned()),
            ));
        }
        columns::align(
            &write.table,
            source,
            &existing.schema,
            write.options.schema_evolution,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "one call for four modes")]
    async fn rewrite(
        &self,
        session: &SessionContext,
        table: &GatedTable,
        write: &Write,
        source: LogicalPlan,
        save_mode: SaveMode,
        replace_where: Option<Expr>,
        properties: CommitProperties,
    ) -> Result<DeltaTable, deltalake::DeltaTableError> {
        let mut builder = table
            .table
            .clone()
            .write(Vec::new())
            .with_input_plan(source)
            .with_session_state(Arc::new(delta_session(session)))
            .with_save_mode(save_mode)
            .with_writer_properties(writer_properties())
            .with_commit_properties(properties);
        if !table.exists {
            let mut properties = vec![(
                "delta.setTransactionRetentionDuration".to_owned(),
                Some(BATCH_RETENTION.to_owned()),
            )];
            if let (WriteMode::Merge(_), Some(bytes)) =
                (&write.mode, write.options.target_file_bytes)
            {
                properties.push((TARGET_FILE_SIZE.to_owned(), Some(bytes.to_string())));
            }
            builder = builder
                .with_table_name(write.table.to_string())
                .with_configuration(properties);
            if !write.options.partition_by.is_empty() {
                builder = builder.with_partition_columns(write.options.partition_by.clone());
            }
        } else if write.options.schema_evolution == SchemaEvolution::AddColumns {
            builder = builder.with_schema_mode(SchemaMode::Merge);
        }
        if let Some(predicate) = replace_where {
            builder = builder.with_replace_where(predicate);
        }
        if let Some(bytes) = write.options.target_file_bytes.and_then(NonZeroU64::new) {
            builder = builder.with_target_file_size(Some(bytes));
        }
        builder.await
    }

    async fn written(
        &self,
        table: &GatedTable,
        outcome: WriteOutcome,
    ) -> Result<Written, CatalogError> {
        self.adopt(table).await?;
        self.describe(table, outcome)
    }

    /// Describes the version that an operation left.
    pub(crate) fn describe(
        &self,
        table: &GatedTable,
        outcome: WriteOutcome,
    ) -> Result<Written, CatalogError> {
        let snapshot = table.columns()?;
        let record = table.gate.record();
        Ok(Written {
            table: table.name.clone(),
            version: snapshot.version,
            outcome,
            rows: snapshot.row_count(),
            added_rows: record.added_rows,
            files: snapshot.files.len(),
            verdict: record.stamp.clone(),
            report: record.ruling.as_ref().map(|ruling| ruling.report.clone()),
        })
    }

    /// What an operation came to, as the gate saw it: a commit stands even when something after it failed.
    pub(crate) async fn conclude(
        &self,
        mut table: GatedTable,
        result: Result<DeltaTable, deltalake::DeltaTableError>,
    ) -> Result<GatedTable, CatalogError> {
        match result {
            Ok(written) => {
                table.table = written;
                table.exists = true;
                Ok(table)
            }
            Err(error) => {
                if let Some(stop) = table.gate.record().stop.take() {
                    return Err(stop);
                }
                let committed = table.gate.record().committed;
                let Some(version) = committed else {
                    return Err(table.failed(error));
                };
                warn!(table = %table.name, version, %error, "the commit stands, though something after it failed");
                // The newest version may be another writer's.
                table.load(version).await?;
                Ok(table)
            }
        }
    }
}

/// Carries out a write that starts over, a few times, when other writers were faster.
pub(super) async fn starting_over<T, F>(
    table: &TableName,
    write: impl Fn() -> F,
) -> Result<T, CatalogError>
where
    F: Future<Output = Result<T, CatalogError>>,
{
    let mut attempt = 1;
    loop {
        match write().await {
            Err(CatalogError::Conflict { message, .. }) if attempt < MAX_ATTEMPTS => {
                info!(%table, attempt, %message, "write starts over");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
        attempt += 1;
    }
}

/// The error of a write whose rows cannot be had.
pub(super) fn source_failed(table: &TableName, error: Arc<DataFusionError>) -> CatalogError {
    if let DataFusionError::External(inner) = error.as_ref()
        && let Some(CatalogError::Invalid { message, hint }) = inner.downcast_ref()
    {
        return CatalogError::invalid(message.clone(), hint.clone());
    }
    CatalogError::failed(
        format!("the rows for `{table}` cannot be computed: {error}"),
        error,
    )
}

/// How data files are written.
pub(crate) fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROWS_PER_ROW_GROUP))
        .build()
}

/// A session as delta-rs' operations need it.
///
/// They plan nodes of their own, and look up pushed-down join keys by hash: DataFusion's lists of them panic on
/// dictionary arrays, which delta-rs makes of partition columns.
pub(crate) fn delta_session(session: &SessionContext) -> SessionState {
    let mut config = session.copied_config();
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.hash_join_inlist_pushdown_max_size = 0;
    optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    SessionStateBuilder::new_from_existing(session.state())
        .with_config(config)
        .with_query_planner(DeltaPlanner::new())
        .build()
}
