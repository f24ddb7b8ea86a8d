//! Carries out a write: opens the table behind the gate, writes, registers.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::write::SchemaMode;
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::protocol::SaveMode;
use tracing::{info, warn};

use super::source::{FirstError, keeping_errors};
use super::{Batch, SchemaEvolution, Write, WriteMode, WriteOutcome, Written, columns};
use crate::gate::Trust;
use crate::table::GatedTable;
use crate::{Catalog, CatalogError, TableName};

/// How often a write starts over when other writers changed what it builds on.
const MAX_ATTEMPTS: u32 = 8;

/// Rows in one row group, so that a point look-up decodes little.
const ROWS_PER_ROW_GROUP: usize = 262_144;

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
        let mut attempt = 1;
        loop {
            match self.try_write(session, &write).await {
                Err(CatalogError::Conflict { message, .. }) if attempt < MAX_ATTEMPTS => {
                    info!(table = %write.table, attempt, %message, "write starts over");
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// The version at which a batch is in the table already; none when it must be written.
    ///
    /// A write that replaces rows counts only while no later batch of the same writer replaced them again.
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
        if !table.exists {
            return Ok(None);
        }
        let done = BatchState::read(&table.table, batch).await?.is_done(mode);
        if done {
            self.register_written(&table).await?;
        }
        Ok(done.then(|| table.version()))
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
        let mut transactions = Vec::new();
        if let Some(batch) = &write.context.batch {
            let state = if table.exists {
                BatchState::read(&table.table, batch).await?
            } else {
                BatchState::default()
            };
            if state.is_done(&write.mode) && !write.context.reprocess {
                self.register_written(&table).await?;
                return self.written(&table, WriteOutcome::AlreadyDone).await;
            }
            transactions = state.next(batch);
        }
        let properties = CommitProperties::default().with_application_transactions(transactions);
        let errors = FirstError::default();
        let source = self.source(&table, write, &errors)?;
        let result = match &write.mode {
            WriteMode::Merge(_) if !table.exists => {
                // Nothing is there to match: the rows that the merge would insert make the first version.
                let source = super::merge::inserts(session, &source, write)?;
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
                super::merge::merge(session, &table.table, write, spec, source, properties).await
            }
            WriteMode::Append => {
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
                let predicate = table.exists.then_some(predicate.as_str());
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
                    Some(error) => CatalogError::failed(
                        format!("the rows for `{}` cannot be computed: {error}", write.table),
                        error,
                    ),
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
        let source = keeping_errors(write.source.clone(), errors).map_err(|error| {
            CatalogError::failed(
                format!("the source of `{}` cannot be planned", write.table),
                error,
            )
        })?;
        if !table.exists {
            columns::check_partitions(
                &write.table,
                write.source.schema(),
                &write.options.partition_by,
            )?;
            return columns::for_new_table(&write.table, source);
        }
        let existing = table.columns()?;
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
        replace_where: Option<&str>,
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
            builder = builder
                .with_table_name(write.table.to_string())
                .with_configuration([(
                    "delta.setTransactionRetentionDuration".to_owned(),
                    Some(BATCH_RETENTION.to_owned()),
                )]);
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
            rows: snapshot.row_count().unwrap_or_default(),
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
                table.reload().await?;
                Ok(table)
            }
        }
    }
}

/// How data files are written.
pub(crate) fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROWS_PER_ROW_GROUP))
        .build()
}

/// What the table's log knows of a writer and one of its batches: a number that grows with each batch, and the number
/// that the batch was given.
#[derive(Debug, Clone, Copy, Default)]
struct BatchState {
    latest: Option<i64>,
    this: Option<i64>,
}

impl BatchState {
    async fn read(table: &DeltaTable, batch: &Batch) -> Result<Self, CatalogError> {
        let log_store = table.log_store();
        let failed = |e| {
            CatalogError::failed(
                format!("the batches of `{}` cannot be read", batch.writer),
                e,
            )
        };
        let state = table.snapshot().map_err(failed)?;
        Ok(Self {
            latest: state
                .transaction_version(log_store.as_ref(), writer_id(batch))
                .await
                .map_err(failed)?,
            this: state
                .transaction_version(log_store.as_ref(), batch_id(batch))
                .await
                .map_err(failed)?,
        })
    }

    fn is_done(self, mode: &WriteMode) -> bool {
        match mode {
            WriteMode::Append | WriteMode::Merge(_) => self.this.is_some(),
            WriteMode::Overwrite | WriteMode::ReplaceWhere(_) => {
                self.this.is_some() && self.this == self.latest
            }
        }
    }

    fn next(self, batch: &Batch) -> Vec<Transaction> {
        let number = self.latest.unwrap_or_default() + 1;
        vec![
            Transaction::new(writer_id(batch), number),
            Transaction::new(batch_id(batch), number),
        ]
    }
}

fn writer_id(batch: &Batch) -> String {
    format!("lakegate/{}", batch.writer)
}

fn batch_id(batch: &Batch) -> String {
    format!("lakegate/{}/{}", batch.writer, batch.id)
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
