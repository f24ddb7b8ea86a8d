//! Looks after tables: rules and waivers, vacuum, optimize, restore, deleting and updating rows.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::operations::optimize::OptimizeType;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::DeltaOperation;
use deltalake::{DeltaTable, DeltaTableError, FilterLiteral, FilterOp, FilterValue};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::{RULES_PROPERTY, Trust};
use crate::table::GatedTable;
use crate::write::{delta_session, writer_properties};
use crate::{
    At, Catalog, CatalogError, RulesText, TableName, WriteContext, WriteOutcome, Written, attach,
};

/// What `vacuum` did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuumed {
    /// True when nothing was deleted.
    pub dry_run: bool,
    /// Files that no version within the retention needs, inside the table's folder.
    pub files: Vec<String>,
}

/// What `optimize` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimized {
    /// The version that is live.
    pub version: i64,
    /// Files written.
    pub files_added: u64,
    /// Files that were put together into them.
    pub files_removed: u64,
}

impl Catalog {
    /// Attaches rules to a table, after judging its current version by them.
    ///
    /// They take the place of rules attached before. Rules that are attached already are not attached again.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when the current version fails them; [`CatalogError::Invalid`] for a table that is not
    /// Delta, which has no commit to gate.
    pub async fn apply_rules(
        &self,
        name: &TableName,
        rules: RulesText,
    ) -> Result<Written, CatalogError> {
        let trust = Trust {
            replaces_rules: true,
            ..Trust::default()
        };
        self.set_rules(name, rules, trust).await
    }

    /// Attaches rules to a table as a write does: its current version must pass them, and those attached before.
    ///
    /// # Errors
    /// As [`Catalog::apply_rules`].
    pub async fn attach_rules(
        &self,
        name: &TableName,
        rules: RulesText,
    ) -> Result<Written, CatalogError> {
        self.set_rules(name, rules, Trust::default()).await
    }

    async fn set_rules(
        &self,
        name: &TableName,
        rules: RulesText,
        trust: Trust,
    ) -> Result<Written, CatalogError> {
        name.refuse_system("given rules")?;
        let properties = HashMap::from([(RULES_PROPERTY.to_owned(), rules.sha256.clone())]);
        let context = WriteContext {
            attach: Some(rules.clone()),
            ..WriteContext::default()
        };
        let table = self.open_existing(name, context, trust).await?;
        if table.columns()?.rules_sha256() == Some(rules.sha256.as_str()) {
            // The text in the table's folder may be damaged or gone.
            attach::store_rules(&table.table.log_store(), &name.to_string(), &rules).await?;
            return self.describe(&table, WriteOutcome::AlreadyDone);
        }
        let state = table.state()?.clone();
        let commit = CommitBuilder::default()
            .build(
                Some(&state as &dyn TableReference),
                table.table.log_store(),
                DeltaOperation::SetTableProperties { properties },
            )
            .await
            .map(|commit| {
                let mut written = table.table.clone();
                written.state = Some(commit.snapshot());
                written
            });
        self.committed(table, commit).await
    }

    /// The rules attached to a table; none when it has none.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] when the kept text is not the one that was attached.
    pub async fn attached_rules(
        &self,
        name: &TableName,
    ) -> Result<Option<RulesText>, CatalogError> {
        let table = self
            .open_existing(name, WriteContext::default(), Trust::default())
            .await?;
        match table.columns()?.rules_sha256() {
            Some(sha256) => Ok(Some(
                attach::load_rules(&table.table.log_store(), &name.to_string(), sha256).await?,
            )),
            None => Ok(None),
        }
    }

    /// Keeps a waiver with a table; the gate reads it at every commit.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when the table's folder cannot be written.
    pub async fn waive(&self, name: &TableName, waiver: &Value) -> Result<(), CatalogError> {
        name.refuse_system("given waivers")?;
        let table = self
            .open_existing(name, WriteContext::default(), Trust::default())
            .await?;
        attach::store_waiver(&table.table.log_store(), &name.to_string(), waiver).await
    }

    /// All waivers of a table, expired ones too.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when the table's folder cannot be read.
    pub async fn waivers(&self, name: &TableName) -> Result<Vec<Value>, CatalogError> {
        let table = self
            .open_existing(name, WriteContext::default(), Trust::default())
            .await?;
        attach::load_waivers(&table.table.log_store(), &name.to_string()).await
    }

    /// Deletes data files that no version of the last `retention` needs, those of refused and dead writes among them.
    ///
    /// A retention shorter than the longest write or query takes files away from under it.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when files cannot be listed or deleted, also when some were deleted before;
    /// [`CatalogError::Invalid`] when the folder holds another table, whose files would be taken for left-overs.
    pub async fn vacuum(
        &self,
        name: &TableName,
        retention: std::time::Duration,
        dry_run: bool,
    ) -> Result<Vacuumed, CatalogError> {
        let table = self
            .open_existing(name, WriteContext::default(), Trust::default())
            .await?;
        let retention = chrono::Duration::from_std(retention).map_err(|_| {
            CatalogError::invalid(
                format!("the retention for `{name}` is too long"),
                Some("a year is `365d`".to_owned()),
            )
        })?;
        self.expect_folder_of_its_own(table.entry(), "vacuumed")
            .await?;
        let vacuum = |dry_run| {
            let builder = table.table.clone().vacuum();
            builder
                .with_mode(VacuumMode::Full)
                .with_retention_period(retention)
                .with_enforce_retention_duration(false)
                .with_dry_run(dry_run)
        };
        let (_, found) = vacuum(true).await.map_err(|error| table.failed(error))?;
        refuse_files_of_others(&table, &found.files_deleted).await?;
        if dry_run || found.files_deleted.is_empty() {
            let files = found.files_deleted;
            return Ok(Vacuumed { dry_run, files });
        }
        match vacuum(false).await {
            Ok((written, metrics)) => {
                let table = self.conclude(table, Ok(written)).await?;
                self.adopt(&table).await?;
                let files = metrics.files_deleted;
                Ok(Vacuumed { dry_run, files })
            }
            Err(error) => {
                let doing = format!("the deletion of {} files", found.files_deleted.len());
                Err(self.stopped_half_way(table, &doing, error).await)
            }
        }
    }

    /// The error of upkeep that may have committed a part of what it had to do.
    async fn stopped_half_way(
        &self,
        table: GatedTable,
        doing: &str,
        error: DeltaTableError,
    ) -> CatalogError {
        let committed = table.gate.record().committed;
        if committed.is_none() {
            return match self.conclude(table, Err(error)).await {
                Err(error) => error,
                Ok(table) => CatalogError::Bug(format!("a failed commit of `{}`", table.name)),
            };
        }
        CatalogError::failed(
            format!("{doing} of `{}` stopped half way; run it again", table.name),
            error,
        )
    }

    /// Puts small files together, or orders rows along a Z-order curve. Rows do not change, so the gate does not judge.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a Z-order column that the table lacks; [`CatalogError::Conflict`] when other writers
    /// removed the files at the same time.
    pub async fn optimize(
        &self,
        session: &SessionContext,
        name: &TableName,
        z_order: &[String],
        target_bytes: Option<u64>,
    ) -> Result<Optimized, CatalogError> {
        self.optimize_partitions(session, name, z_order, target_bytes, &[])
            .await
    }

    /// As [`Catalog::optimize`], for files of partitions alone: of those with each of these values in these columns.
    ///
    /// # Errors
    /// As [`Catalog::optimize`], and [`CatalogError::Invalid`] for a column by which the table is not partitioned.
    pub async fn optimize_partitions(
        &self,
        session: &SessionContext,
        name: &TableName,
        z_order: &[String],
        target_bytes: Option<u64>,
        partitions: &[(String, String)],
    ) -> Result<Optimized, CatalogError> {
        let trust = Trust {
            rearranges: true,
            writes_its_files: true,
            ..Trust::default()
        };
        let table = self
            .open_existing(name, WriteContext::default(), trust)
            .await?;
        let columns = table.columns()?;
        for column in z_order {
            if columns.schema.field_with_name(column).is_err() {
                return Err(CatalogError::invalid(
                    format!("`{name}` cannot be ordered by `{column}`: it has no such column"),
                    Some(format!("`lakegate catalog show {name}` lists its columns")),
                ));
            }
        }
        let by = &columns.partition_columns;
        if let Some((column, _)) = partitions.iter().find(|(column, _)| !by.contains(column)) {
            return Err(CatalogError::invalid(
                format!("`{name}` is not partitioned by `{column}`"),
                match by.is_empty() {
                    true => "leave the condition out: the table has no partitions".to_owned(),
                    false => format!("it is partitioned by {}", by.join(", ")),
                },
            ));
        }
        let filters: Vec<FilterLiteral<'_>> = partitions
            .iter()
            .map(|(column, value)| (column.as_str(), FilterOp::Eq, FilterValue::Scalar(value)))
            .collect();
        let kind = if z_order.is_empty() {
            OptimizeType::Compact
        } else {
            OptimizeType::ZOrder(z_order.to_vec())
        };
        let mut builder = table
            .table
            .clone()
            .optimize()
            .with_type(kind)
            .with_filters(&filters)
            .with_session_state(Arc::new(delta_session(session)))
            .with_writer_properties(writer_properties());
        if let Some(bytes) = target_bytes.and_then(NonZeroU64::new) {
            builder = builder.with_target_size(bytes);
        }
        let (written, metrics) = match builder.await {
            Ok(done) => done,
            Err(error) => {
                return Err(self
                    .stopped_half_way(table, "the rewriting of files", error)
                    .await);
            }
        };
        let table = self.conclude(table, Ok(written)).await?;
        let snapshot = self.adopt(&table).await?;
        Ok(Optimized {
            version: snapshot.version,
            files_added: metrics.num_files_added,
            files_removed: metrics.num_files_removed,
        })
    }

    /// Makes an earlier version the newest again, by a commit that the gate judges. The rules stay attached.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the version or one of its files is gone; [`CatalogError::Refused`] when that
    /// version fails the rules.
    pub async fn restore(&self, name: &TableName, at: At) -> Result<Written, CatalogError> {
        name.refuse_system("restored")?;
        let table = self
            .open_existing(name, WriteContext::default(), Trust::default())
            .await?;
        let target = self.snapshot(name, at).await?.version;
        if target >= table.version() {
            return Err(CatalogError::invalid(
                format!(
                    "`{name}` is at version {}, which is not after version {target}",
                    table.version()
                ),
                Some(format!(
                    "`lakegate catalog history {name}` lists the versions"
                )),
            ));
        }
        let version = u64::try_from(target)
            .map_err(|_| CatalogError::Bug(format!("version {target} of `{name}`")))?;
        let result = table
            .table
            .clone()
            .restore()
            .with_version_to_restore(version)
            .await
            .map(|(table, _)| table);
        self.committed(table, result).await
    }

    /// Deletes the rows for which a SQL predicate is true.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when what is left fails the rules.
    pub(crate) async fn delete_rows(
        &self,
        session: &SessionContext,
        name: &TableName,
        predicate: &str,
        context: WriteContext,
    ) -> Result<Written, CatalogError> {
        let trust = Trust {
            writes_its_files: true,
            ..Trust::default()
        };
        let table = self.open_existing(name, context, trust).await?;
        let result = table
            .table
            .clone()
            .delete()
            .with_predicate(predicate)
            .with_session_state(Arc::new(delta_session(session)))
            .with_writer_properties(writer_properties())
            .with_commit_properties(CommitProperties::default())
            .await
            .map(|(table, _)| table);
        self.committed(table, result).await
    }

    /// Sets columns to SQL expressions in the rows for which a predicate is true; in all rows when there is none.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when the changed version fails the rules.
    pub async fn update_rows(
        &self,
        session: &SessionContext,
        name: &TableName,
        predicate: Option<&str>,
        assignments: &[(String, String)],
        context: WriteContext,
    ) -> Result<Written, CatalogError> {
        let trust = Trust {
            writes_its_files: true,
            ..Trust::default()
        };
        let table = self.open_existing(name, context, trust).await?;
        let mut builder = table
            .table
            .clone()
            .update()
            .with_session_state(Arc::new(delta_session(session)))
            .with_writer_properties(writer_properties());
        if let Some(predicate) = predicate {
            builder = builder.with_predicate(predicate);
        }
        for (column, sql) in assignments {
            builder =
                builder.with_update(datafusion::common::Column::from_name(column), sql.as_str());
        }
        let result = builder.await.map(|(table, _)| table);
        self.committed(table, result).await
    }

    /// Adopts and describes what an operation committed.
    async fn committed(
        &self,
        table: GatedTable,
        result: Result<DeltaTable, DeltaTableError>,
    ) -> Result<Written, CatalogError> {
        let table = self.conclude(table, result).await?;
        self.adopt(&table).await?;
        self.describe(&table, WriteOutcome::Committed)
    }
}

/// Refuses to delete files of tables that lie in the folder without being registered.
async fn refuse_files_of_others(table: &GatedTable, files: &[String]) -> Result<(), CatalogError> {
    let store = table.table.log_store().object_store(None);
    let mut folders = BTreeSet::new();
    for file in files {
        let parts: Vec<&str> = file.split('/').collect();
        // Folders of partitions have an `=` in their name, and only data below them.
        let named = parts
            .iter()
            .take(parts.len() - 1)
            .take_while(|part| !part.contains('='));
        let named = named.count();
        folders.extend((1..=named).map(|depth| parts[..depth].join("/")));
    }
    for folder in folders {
        let log = Path::from(format!("{folder}/_delta_log"));
        let unreadable = |error| {
            CatalogError::failed(
                format!("the folder of `{}` cannot be listed", table.name),
                error,
            )
        };
        let is_log = folder.split('/').any(|part| part == "_delta_log");
        let has_log = store
            .list(Some(&log))
            .try_next()
            .await
            .map_err(unreadable)?;
        if is_log || has_log.is_some() {
            return Err(CatalogError::invalid(
                format!(
                    "`{}` cannot be vacuumed: its folder holds another table in `{folder}`",
                    table.name
                ),
                "each table needs a folder of its own: move one of them".to_owned(),
            ));
        }
    }
    Ok(())
}
