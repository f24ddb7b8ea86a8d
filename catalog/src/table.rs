//! Opens tables for writing; every one comes with the gate in front of its log.

use std::sync::Arc;

use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{StorageConfig, logstore_for};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};

use crate::gate::{Gate, GatedLogStore, Trust};
use crate::{
    Catalog, CatalogError, TableEntry, TableFormat, TableName, TableSnapshot, WriteContext,
};

/// A table that may be written to, through its gate.
#[derive(Debug)]
pub(crate) struct GatedTable {
    pub(crate) name: TableName,
    entry: TableEntry,
    pub(crate) table: DeltaTable,
    pub(crate) gate: Arc<Gate>,
    /// Whether the table has a version.
    pub(crate) exists: bool,
    registered: bool,
}

impl Catalog {
    /// Opens a table behind the gate. A table that is not registered is looked for in the warehouse: a writer may have
    /// died between its first commit and the registration.
    pub(crate) async fn open_gated(
        &self,
        name: &TableName,
        context: WriteContext,
        trust: Trust,
    ) -> Result<GatedTable, CatalogError> {
        let entry = self.registry().get(name).await?;
        if let Some(entry) = &entry
            && entry.format != TableFormat::Delta
        {
            return Err(CatalogError::invalid(
                format!("`{name}` is a folder of Parquet files, which has no commits to gate"),
                Some("publish it as a Delta table under another name".to_owned()),
            ));
        }
        let registered = entry.is_some();
        let entry = entry.unwrap_or_else(|| TableEntry {
            name: name.clone(),
            location: self.new_location(name),
            format: TableFormat::Delta,
            registered_at: self.now(),
        });
        if !registered {
            self.expect_folder_of_its_own(&entry, "written").await?;
        }
        let location = entry.location.clone();
        let unreachable = |e| {
            CatalogError::failed(
                format!("the folder {location} of `{name}` cannot be reached"),
                e,
            )
        };
        let log_store = logstore_for(&location, StorageConfig::default()).map_err(unreachable)?;
        let gate = Arc::new(Gate::new(
            Some(name.clone()),
            location.clone(),
            self.judge(),
            context,
            trust,
            self.clock(),
        ));
        let mut table = DeltaTable::new(Arc::new(GatedLogStore::new(log_store, gate.clone())));
        let exists = table
            .verify_deltatable_existence()
            .await
            .map_err(unreachable)?;
        if exists {
            let unreadable = |e| {
                CatalogError::failed(
                    format!("the log of `{name}` in {location} cannot be read"),
                    e,
                )
            };
            table.load().await.map_err(unreadable)?;
            gate.opened(table.snapshot().map_err(unreadable)?.metadata().id());
        } else if registered {
            return Err(CatalogError::NotFound {
                what: format!("the Delta log of `{name}` in {location}"),
                hint: Some(format!(
                    "put the folder back, or forget the table: `lakegate catalog drop {name}`"
                )),
            });
        }
        Ok(GatedTable {
            name: name.clone(),
            entry,
            table,
            gate,
            exists,
            registered,
        })
    }

    /// Opens a table that must exist.
    pub(crate) async fn open_existing(
        &self,
        name: &TableName,
        context: WriteContext,
        trust: Trust,
    ) -> Result<GatedTable, CatalogError> {
        let table = self.open_gated(name, context, trust).await?;
        if table.exists {
            return Ok(table);
        }
        self.entry(name).await?;
        Err(CatalogError::NotFound {
            what: format!("table `{name}`"),
            hint: None,
        })
    }

    /// Registers a table that has a version, when it is not registered.
    pub(crate) async fn register_written(&self, table: &GatedTable) -> Result<(), CatalogError> {
        if table.registered {
            return Ok(());
        }
        self.registry().register(&table.entry).await
    }

    /// Makes the state that a write left the table in the one that readers of this process see.
    pub(crate) async fn adopt(
        &self,
        table: &GatedTable,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        self.publish_state(&table.entry, table.state()?).await
    }
}

impl GatedTable {
    /// The table's version; -1 when it has none.
    pub(crate) fn version(&self) -> i64 {
        self.table
            .version()
            .and_then(|v| i64::try_from(v).ok())
            .unwrap_or(-1)
    }

    /// The registry's entry; what it would be for a table that is not registered.
    pub(crate) fn entry(&self) -> &TableEntry {
        &self.entry
    }

    /// The version that was opened.
    pub(crate) fn columns(&self) -> Result<TableSnapshot, CatalogError> {
        TableSnapshot::from_state(Some(self.name.clone()), &self.entry.location, self.state()?)
    }

    pub(crate) fn state(&self) -> Result<&DeltaTableState, CatalogError> {
        self.table
            .snapshot()
            .map_err(|e| CatalogError::failed(format!("`{}` has no version", self.name), e))
    }

    /// Reads a version that was committed.
    pub(crate) async fn load(&mut self, version: i64) -> Result<(), CatalogError> {
        let committed = u64::try_from(version)
            .map_err(|_| CatalogError::Bug(format!("version {version} of `{}`", self.name)))?;
        self.table.load_version(committed).await.map_err(|e| {
            CatalogError::failed(
                format!(
                    "version {version} of `{}` is committed, and cannot be read",
                    self.name
                ),
                e,
            )
        })?;
        self.exists = true;
        Ok(())
    }

    /// An error of delta-rs, by what the caller can do about it.
    pub(crate) fn failed(&self, error: DeltaTableError) -> CatalogError {
        let name = &self.name;
        match error {
            DeltaTableError::Transaction {
                source:
                    source @ (TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)),
            } => CatalogError::Conflict {
                message: format!("other writers changed `{name}` at the same time: {source}"),
                source: Some(Box::new(source)),
            },
            DeltaTableError::VersionAlreadyExists(version) => CatalogError::Conflict {
                message: format!(
                    "another writer made version {version} of `{name}` at the same time"
                ),
                source: None,
            },
            DeltaTableError::InvalidData { message } => {
                CatalogError::invalid(format!("the rows do not fit `{name}`: {message}"), None)
            }
            other => CatalogError::failed(
                format!("writing to `{name}` failed: {}", root_cause(&other)),
                other,
            ),
        }
    }
}

/// The innermost message, which names what really happened.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
