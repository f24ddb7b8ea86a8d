//! The newest snapshot of each table, kept while it is the newest.
//!
//! A look at a table costs two small requests: the newest commit file known must still be the same one, and there must
//! be none after it. The first notices a table that was deleted or made anew at the same place, the second a new
//! version. One task refreshes a table while the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use deltalake::logstore::{LogStoreRef, commit_uri_from_version};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::{CatalogError, TableEntry, TableFormat, TableName, TableSnapshot, parquet_folder};

/// Newest snapshots by table.
#[derive(Debug, Default)]
pub(crate) struct SnapshotCache {
    tables: Mutex<HashMap<Key, Arc<Slot>>>,
}

type Key = (TableName, Url);

/// One table; the lock is held while it is refreshed.
#[derive(Debug, Default)]
struct Slot {
    live: tokio::sync::Mutex<Option<Live>>,
}

#[derive(Debug)]
struct Live {
    table: DeltaTable,
    snapshot: Arc<TableSnapshot>,
    /// The newest commit file as it was seen; none when it was not to be seen.
    commit: Option<CommitFile>,
}

/// What tells one commit file from another of the same name.
#[derive(Debug, PartialEq, Eq)]
struct CommitFile {
    size: u64,
    last_modified: DateTime<Utc>,
    e_tag: Option<String>,
}

/// What a look at the log found.
enum Look {
    Same,
    Newer,
    Other,
}

impl SnapshotCache {
    /// The newest version of a table.
    pub(crate) async fn latest(
        &self,
        entry: &TableEntry,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        let slot = self.slot(entry);
        let mut live = slot.live.lock().await;
        if let Some(known) = live.as_mut() {
            match known.look().await {
                Look::Same => return Ok(Arc::clone(&known.snapshot)),
                Look::Newer if known.advance(entry).await? => {
                    return Ok(Arc::clone(&known.snapshot));
                }
                Look::Newer | Look::Other => {}
            }
        }
        // What is forgotten here must not come back when the table cannot be read.
        *live = None;
        let loaded = Live::load(entry).await?;
        let snapshot = Arc::clone(&loaded.snapshot);
        *live = Some(loaded);
        Ok(snapshot)
    }

    /// Takes over the state after a commit of our own, unless a newer one of the same table is known.
    pub(crate) async fn publish(
        &self,
        entry: &TableEntry,
        state: &DeltaTableState,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        let snapshot = Arc::new(TableSnapshot::from_state(
            Some(entry.name.clone()),
            &entry.location,
            state,
        )?);
        let slot = self.slot(entry);
        let mut live = slot.live.lock().await;
        let is_newer = live.as_ref().is_none_or(|known| {
            known.snapshot.table_id != snapshot.table_id
                || known.snapshot.version < snapshot.version
        });
        if is_newer {
            let mut table = DeltaTable::new(log_store(entry)?);
            table.state = Some(state.clone());
            *live = Some(Live::of(table, Arc::clone(&snapshot)).await);
        }
        Ok(snapshot)
    }

    /// Forgets a table.
    pub(crate) fn forget(&self, entry: &TableEntry) {
        self.tables().remove(&key(entry));
    }

    fn slot(&self, entry: &TableEntry) -> Arc<Slot> {
        Arc::clone(self.tables().entry(key(entry)).or_default())
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    async fn load(entry: &TableEntry) -> Result<Self, CatalogError> {
        let table = load(entry, None).await?;
        let snapshot = snapshot_of(entry, &table)?;
        Ok(Self::of(table, snapshot).await)
    }

    async fn of(table: DeltaTable, snapshot: Arc<TableSnapshot>) -> Self {
        let store = table.log_store().object_store(None);
        let commit = commit_file(store.as_ref(), snapshot.version)
            .await
            .ok()
            .flatten();
        Self {
            table,
            snapshot,
            commit,
        }
    }

    async fn look(&self) -> Look {
        let store = self.table.log_store().object_store(None);
        let version = self.snapshot.version;
        let (newest, next) = tokio::join!(
            commit_file(store.as_ref(), version),
            commit_file(store.as_ref(), version + 1)
        );
        match (newest, next) {
            (Ok(newest), Ok(next)) if newest.is_some() && newest == self.commit => {
                if next.is_some() {
                    Look::Newer
                } else {
                    Look::Same
                }
            }
            // Also when storage fails: reading the table then says how.
            _ => Look::Other,
        }
    }

    /// Reads the commits after the known version; false when the table is another one.
    async fn advance(&mut self, entry: &TableEntry) -> Result<bool, CatalogError> {
        if self.table.update_incremental(None).await.is_err() {
            return Ok(false);
        }
        let snapshot = snapshot_of(entry, &self.table)?;
        if snapshot.table_id != self.snapshot.table_id || snapshot.version < self.snapshot.version {
            return Ok(false);
        }
        *self = Self::of(self.table.clone(), snapshot).await;
        Ok(true)
    }
}

fn key(entry: &TableEntry) -> Key {
    (entry.name.clone(), entry.location.clone())
}

/// Reads a table at a version; at the newest one when none is given.
pub(crate) async fn load(
    entry: &TableEntry,
    version: Option<u64>,
) -> Result<DeltaTable, CatalogError> {
    missing_folder(entry)?;
    let mut table = DeltaTable::new(log_store(entry)?);
    let loaded = match version {
        None => table.load().await,
        Some(version) => table.load_version(version).await,
    };
    loaded.map_err(|error| read_error(entry, error))?;
    Ok(table)
}

/// A snapshot of a loaded table.
pub(crate) fn snapshot_of(
    entry: &TableEntry,
    table: &DeltaTable,
) -> Result<Arc<TableSnapshot>, CatalogError> {
    let state = table.snapshot().map_err(|error| read_error(entry, error))?;
    Ok(Arc::new(TableSnapshot::from_state(
        Some(entry.name.clone()),
        &entry.location,
        state,
    )?))
}

/// A log store for reading; commits go through the gate's.
pub(crate) fn log_store(entry: &TableEntry) -> Result<LogStoreRef, CatalogError> {
    let table = DeltaTableBuilder::from_url(entry.location.clone())
        .and_then(DeltaTableBuilder::build)
        .map_err(|error| read_error(entry, error))?;
    Ok(table.log_store())
}

/// Deltalake makes the folder of a local table that it opens: a table that was deleted must not come back empty.
pub(crate) fn missing_folder(entry: &TableEntry) -> Result<(), CatalogError> {
    if let Ok(path) = entry.location.to_file_path()
        && !path.is_dir()
    {
        return Err(gone(entry, "its folder"));
    }
    Ok(())
}

/// The error of a table that is registered, of which there is nothing at its location.
pub(crate) fn gone(entry: &TableEntry, what: &str) -> CatalogError {
    CatalogError::NotFound {
        what: format!("table `{}`: {what} {}", entry.name, entry.location),
        hint: Some(format!(
            "the table is registered, but it was deleted or moved; put it back, or drop `{}` from the catalog",
            entry.name
        )),
    }
}

/// What went wrong while a table was read, naming it.
pub(crate) fn read_error(entry: &TableEntry, error: DeltaTableError) -> CatalogError {
    match error {
        DeltaTableError::NotATable(_) | DeltaTableError::InvalidTableLocation(_) => {
            gone(entry, "a Delta log in")
        }
        error => CatalogError::failed(
            format!("cannot read table `{}` at {}", entry.name, entry.location),
            error,
        ),
    }
}

async fn commit_file(
    store: &dyn ObjectStore,
    version: i64,
) -> object_store::Result<Option<CommitFile>> {
    let Ok(version) = u64::try_from(version) else {
        return Ok(None);
    };
    match store.head(&commit_uri_from_version(Some(version))).await {
        Ok(meta) => Ok(Some(CommitFile {
            size: meta.size,
            last_modified: meta.last_modified,
            e_tag: meta.e_tag,
        })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds out what kind of table there is at an entry's location.
pub(crate) async fn recognise(entry: TableEntry) -> Result<TableEntry, CatalogError> {
    missing_folder(&entry).map_err(|_| CatalogError::NotFound {
        what: format!("folder {} of table `{}`", entry.location, entry.name),
        hint: Some("give the folder of a Delta table, or of Parquet files".to_owned()),
    })?;
    if is_delta_table(&entry).await? {
        return Ok(entry);
    }
    if parquet_folder::exists(&entry).await? {
        return Ok(TableEntry {
            format: TableFormat::Parquet,
            ..entry
        });
    }
    Err(CatalogError::NotFound {
        what: format!(
            "table `{}`: a Delta log or Parquet files in {}",
            entry.name, entry.location
        ),
        hint: Some("give the folder of a Delta table, or of Parquet files".to_owned()),
    })
}

/// Whether there is a Delta table at an entry's location.
pub(crate) async fn is_delta_table(entry: &TableEntry) -> Result<bool, CatalogError> {
    if missing_folder(entry).is_err() {
        return Ok(false);
    }
    log_store(entry)?
        .is_delta_table_location()
        .await
        .map_err(|error| read_error(entry, error))
}

/// Deletes a table's folder, its log first: files without a log are no table, and a log without its files would be a
/// broken one.
pub(crate) async fn purge(entry: &TableEntry) -> Result<(), CatalogError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        CatalogError::failed(
            format!(
                "cannot delete the files of table `{}` at {}",
                entry.name, entry.location
            ),
            error,
        )
    };
    if let Ok(path) = entry.location.to_file_path() {
        let (log, aside) = (path.join("_delta_log"), path.join("_purged_log"));
        if log.is_dir() {
            // At once: a log of which only some commits are left could pass for an older version.
            tokio::fs::rename(log, aside)
                .await
                .map_err(|error| failed(error.into()))?;
        }
        return match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error.into())),
            _ => Ok(()),
        };
    }
    let log_store = log_store(entry)?;
    let store = log_store.object_store(None);
    for prefix in [Some(log_store.log_path().clone()), None] {
        let files = store.list(prefix.as_ref()).map_ok(|meta| meta.location);
        store
            .delete_stream(files.boxed())
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
