//! The folder `_lakegate/states/` of a table, for what the judge keeps of its data files.
//!
//! Files in it are written once under a name of their own and never changed, so that writers do not meet.

use deltalake::logstore::{ObjectStoreRef, StorageConfig, logstore_for};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use uuid::Uuid;

use crate::{CatalogError, TableSnapshot};

/// The end of the names of the files.
const EXTENSION: &str = "states";

/// The folder of one table.
#[derive(Debug, Clone)]
pub struct StateFolder {
    store: ObjectStoreRef,
    table: String,
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// Its path inside the table's folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

impl StateFolder {
    /// The folder of the table that a version is of.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when there is no store for the table's location.
    pub fn of(snapshot: &TableSnapshot) -> Result<Self, CatalogError> {
        let table = snapshot.called();
        let log_store = logstore_for(&snapshot.location, StorageConfig::default())
            .map_err(|error| failed(&table, "reached", error))?;
        Ok(Self {
            store: log_store.object_store(None),
            table,
        })
    }

    /// The table, for people.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// All files, those that were written last first.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when the folder is there and cannot be listed.
    pub async fn list(&self) -> Result<Vec<StateFile>, CatalogError> {
        let folder = folder();
        let listed: Result<Vec<_>, _> = self.store.list(Some(&folder)).try_collect().await;
        let mut listed = match listed {
            Ok(listed) => listed,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.table, "listed", error)),
        };
        listed.retain(|file| file.location.extension() == Some(EXTENSION));
        // Names begin with the time at which they were made.
        listed.sort_by(|left, right| right.location.cmp(&left.location));
        let file = |meta: object_store::ObjectMeta| StateFile {
            path: meta.location.to_string(),
            size: meta.size,
        };
        Ok(listed.into_iter().map(file).collect())
    }

    /// The content of a file; none when another process has put it together with others.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when it cannot be read.
    pub async fn read(&self, file: &StateFile) -> Result<Option<bytes::Bytes>, CatalogError> {
        let unreadable = |error| failed(&self.table, "read", error);
        match self.store.get(&Path::from(file.path.as_str())).await {
            Ok(found) => found.bytes().await.map(Some).map_err(unreadable),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Writes a file under a name of its own.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when it cannot be written.
    pub async fn write(&self, content: Vec<u8>) -> Result<StateFile, CatalogError> {
        let size = content.len() as u64;
        let path = folder().join(format!("{}.{EXTENSION}", Uuid::now_v7()));
        let options = PutMode::Create.into();
        let written = self.store.put_opts(&path, content.into(), options).await;
        written.map_err(|error| failed(&self.table, "written", error))?;
        Ok(StateFile {
            path: path.to_string(),
            size,
        })
    }

    /// Deletes a file, which may be gone.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] when it is there and cannot be deleted.
    pub async fn delete(&self, file: &StateFile) -> Result<(), CatalogError> {
        match self.store.delete(&Path::from(file.path.as_str())).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&self.table, "deleted", error)),
        }
    }
}

fn folder() -> Path {
    Path::from_iter(["_lakegate", "states"])
}

fn failed(
    table: &str,
    doing: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> CatalogError {
    CatalogError::failed(
        format!("the stored states of `{table}` cannot be {doing}"),
        error,
    )
}
