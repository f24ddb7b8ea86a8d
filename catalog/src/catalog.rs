//! The catalog: tables by name, their versions, and who judges their commits.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use chrono::{DateTime, Utc};
use deltalake::table::state::DeltaTableState;
use url::Url;

use crate::cache::{self, SnapshotCache};
use crate::history;
use crate::live_state::LiveState;
use crate::registries::embedded::EmbeddedRegistry;
use crate::snapshot::folder;
use crate::{
    CatalogError, Judge, Registry, TableEntry, TableFormat, TableName, TableSnapshot,
    parquet_folder,
};

/// Where a catalog lives.
#[derive(Debug, Clone)]
pub struct CatalogOptions {
    /// The SQLite file with registry and live state.
    pub registry: PathBuf,
    /// The folder that new tables are made in.
    pub warehouse: Url,
    /// The clock; commit times come from here.
    pub clock: fn() -> DateTime<Utc>,
}

/// Which version of a table is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The newest published one.
    #[default]
    Latest,
    /// This one.
    Version(i64),
    /// The newest one that had been committed by then.
    Timestamp(DateTime<Utc>),
}

/// One commit of a table's history.
#[derive(Debug, Clone)]
pub struct CommitRecord {
    /// The version.
    pub version: i64,
    /// When it was committed.
    pub timestamp: DateTime<Utc>,
    /// The operation, for example `MERGE`.
    pub operation: String,
    /// The operation's parameters.
    pub parameters: serde_json::Value,
    /// `commitInfo.lakegate`, when the gate judged the commit.
    pub lakegate: Option<serde_json::Value>,
}

/// Tables by name.
#[derive(Debug)]
pub struct Catalog {
    registry: Arc<dyn Registry>,
    live: LiveState,
    warehouse: Url,
    clock: fn() -> DateTime<Utc>,
    judge: OnceLock<Weak<dyn Judge>>,
    cache: SnapshotCache,
    /// Names as they were last read from the registry, for callers that cannot wait.
    known: Mutex<BTreeSet<TableName>>,
}

impl Catalog {
    /// Opens the catalog, making its files when they are absent.
    pub async fn open(options: CatalogOptions) -> Result<Arc<Self>, CatalogError> {
        if options.warehouse.cannot_be_a_base() {
            return Err(CatalogError::invalid(
                format!(
                    "warehouse `{}` is not the URL of a folder",
                    options.warehouse
                ),
                "write a path, or a URL such as file:///data/warehouse".to_owned(),
            ));
        }
        let state = LiveState::open(&options.registry).await?;
        let catalog = Arc::new(Self {
            registry: Arc::new(EmbeddedRegistry::new(state.clone())),
            live: state,
            warehouse: folder(&options.warehouse),
            clock: options.clock,
            judge: OnceLock::new(),
            cache: SnapshotCache::default(),
            known: Mutex::default(),
        });
        catalog.list().await?;
        Ok(catalog)
    }

    /// Says who judges. Without a judge, a table with rules takes no commit that changes rows.
    pub fn set_judge(&self, judge: Weak<dyn Judge>) {
        let _first_judge_stays = self.judge.set(judge);
    }

    /// All registered tables, by name.
    pub async fn list(&self) -> Result<Vec<TableEntry>, CatalogError> {
        let entries = self.registry.list().await?;
        *self.known() = entries.iter().map(|entry| entry.name.clone()).collect();
        Ok(entries)
    }

    /// The registry's entry of a table, or [`CatalogError::NotFound`] with the nearest name.
    pub async fn entry(&self, name: &TableName) -> Result<TableEntry, CatalogError> {
        match self.registry.get(name).await? {
            Some(entry) => {
                self.known().insert(name.clone());
                Ok(entry)
            }
            None => {
                self.known().remove(name);
                Err(self.unknown(name).await)
            }
        }
    }

    /// Registers a table that exists, under a name. Whether it is a Delta table or a folder of Parquet files is found out.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a folder that has another name, that lies in the folder of another table or holds
    /// one, and for a name in the system's own schema.
    pub async fn register(
        &self,
        name: &TableName,
        location: &Url,
    ) -> Result<TableEntry, CatalogError> {
        name.refuse_system("registered")?;
        let entry = TableEntry {
            name: name.clone(),
            location: folder(location),
            format: TableFormat::Delta,
            registered_at: (self.clock)(),
        };
        let entry = cache::recognise(entry).await?;
        self.expect_folder_of_its_own(&entry, "registered").await?;
        self.registry.register(&entry).await?;
        self.known().insert(name.clone());
        Ok(entry)
    }

    /// Forgets a table; with `purge` its folder is deleted too.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a purge of a folder outside the warehouse, of one that lies in the folder of another
    /// table or holds one, and of a system table.
    pub async fn drop_table(&self, name: &TableName, purge: bool) -> Result<(), CatalogError> {
        let entry = self.entry(name).await?;
        if purge {
            name.refuse_system("purged")?;
            self.expect_in_warehouse(&entry)?;
            self.expect_folder_of_its_own(&entry, "purged").await?;
            // Before it is forgotten, so that a purge that fails half way can be run again.
            self.cache.forget(&entry);
            cache::purge(&entry).await?;
        }
        self.registry.remove(name).await?;
        self.known().remove(name);
        self.cache.forget(&entry);
        Ok(())
    }

    /// Forgets a table, and deletes its folder when that is in the warehouse.
    ///
    /// # Errors
    /// As [`Catalog::drop_table`].
    pub async fn drop_with_rows(&self, name: &TableName) -> Result<(), CatalogError> {
        name.refuse_system("dropped")?;
        let is_ours = self.is_in_warehouse(&self.entry(name).await?.location);
        self.drop_table(name, is_ours).await
    }

    fn expect_in_warehouse(&self, entry: &TableEntry) -> Result<(), CatalogError> {
        if self.is_in_warehouse(&entry.location) {
            return Ok(());
        }
        Err(CatalogError::invalid(
            format!(
                "table `{}` is not in the warehouse, but at {}",
                entry.name, entry.location
            ),
            "drop it without purging, and delete the folder yourself".to_owned(),
        ))
    }

    fn is_in_warehouse(&self, location: &Url) -> bool {
        let path = location.path().strip_prefix(self.warehouse.path());
        location.as_str().starts_with(self.warehouse.as_str())
            && path.is_some_and(|path| !path.is_empty())
    }

    /// Refuses a folder that other tables share: what is done to its files would be done to theirs.
    pub(crate) async fn expect_folder_of_its_own(
        &self,
        entry: &TableEntry,
        doing: &str,
    ) -> Result<(), CatalogError> {
        let own = resolved(&entry.location);
        for other in self.registry.list().await? {
            if other.name == entry.name || is_only_read(entry, &other) {
                continue;
            }
            let others = resolved(&other.location);
            let how = if own == others {
                "it is the folder of"
            } else if own.as_str().starts_with(others.as_str()) {
                "it lies in the folder of"
            } else if others.as_str().starts_with(own.as_str()) {
                "its folder holds"
            } else {
                continue;
            };
            return Err(shared(entry, doing, how, &other.name.to_string()));
        }
        let mut location = entry.location.clone();
        while let Ok(parent) = location.join("..")
            && self.is_in_warehouse(&parent)
        {
            let around = TableEntry {
                location: parent.clone(),
                ..entry.clone()
            };
            if cache::is_delta_table(&around).await? {
                return Err(shared(
                    entry,
                    doing,
                    "it lies in the folder of",
                    parent.as_str(),
                ));
            }
            location = parent;
        }
        Ok(())
    }

    /// One version of a table.
    pub async fn snapshot(
        &self,
        name: &TableName,
        at: At,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        let entry = self.entry(name).await?;
        if entry.format == TableFormat::Parquet {
            return parquet_folder::snapshot(&entry, at).await;
        }
        self.snapshot_of(&entry, at).await
    }

    /// The version at which a table was seen before. A folder of Parquet files has none: it is as it is.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the table is gone, or that version of it.
    pub async fn snapshot_seen(
        &self,
        name: &TableName,
        version: i64,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        let entry = self.entry(name).await?;
        match entry.format {
            TableFormat::Parquet => parquet_folder::snapshot(&entry, At::Latest).await,
            _ => self.snapshot_of(&entry, At::Version(version)).await,
        }
    }

    async fn snapshot_of(
        &self,
        entry: &TableEntry,
        at: At,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        match at {
            At::Latest => self.cache.latest(entry).await,
            At::Version(version) => history::at_version(&self.cache, entry, version).await,
            At::Timestamp(time) => history::at_timestamp(&self.cache, entry, time).await,
        }
    }

    /// One version of the Delta table in a folder, which need not be registered.
    pub async fn snapshot_in(
        &self,
        location: &Url,
        at: At,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        let entry = TableEntry {
            name: TableName::of_folder(location)?,
            location: folder(location),
            format: TableFormat::Delta,
            registered_at: self.now(),
        };
        let entry = cache::recognise(entry).await?;
        if entry.format != TableFormat::Delta {
            return Err(CatalogError::invalid(
                format!("the folder {location} holds Parquet files without a Delta log"),
                "extract them with `format: parquet`".to_owned(),
            ));
        }
        self.snapshot_of(&entry, at).await
    }

    /// The newest commits of a table, newest first.
    pub async fn history(
        &self,
        name: &TableName,
        limit: Option<usize>,
    ) -> Result<Vec<CommitRecord>, CatalogError> {
        let entry = self.entry(name).await?;
        if entry.format == TableFormat::Parquet {
            parquet_folder::snapshot(&entry, At::Version(0)).await?;
        }
        history::commits(&entry, limit).await
    }

    /// The SQLite file.
    pub(crate) fn live(&self) -> &LiveState {
        &self.live
    }

    /// The folder of a table that is made under this name.
    pub(crate) fn new_location(&self, name: &TableName) -> Url {
        let mut location = self.warehouse.clone();
        location.set_path(&format!(
            "{}{}/{}/",
            self.warehouse.path(),
            name.schema,
            name.table
        ));
        location
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// The clock.
    pub(crate) fn clock(&self) -> fn() -> DateTime<Utc> {
        self.clock
    }

    /// Who judges, while there is someone.
    pub(crate) fn judge(&self) -> Option<Arc<dyn Judge>> {
        self.judge.get().and_then(Weak::upgrade)
    }

    /// Which tables there are.
    pub(crate) fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Makes the state after a commit of our own the newest one that readers get.
    pub(crate) async fn publish_state(
        &self,
        entry: &TableEntry,
        state: &DeltaTableState,
    ) -> Result<Arc<TableSnapshot>, CatalogError> {
        self.known().insert(entry.name.clone());
        self.cache.publish(entry, state).await
    }

    /// The names of tables as they were last read.
    pub(crate) fn known_names(&self) -> Vec<TableName> {
        self.known().iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<TableName>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn unknown(&self, name: &TableName) -> CatalogError {
        let entries = self.registry.list().await.unwrap_or_default();
        let nearest = entries
            .iter()
            .map(|entry| {
                (
                    strsim::damerau_levenshtein(&entry.name.to_string(), &name.to_string()),
                    &entry.name,
                )
            })
            .min()
            .filter(|(distance, _)| *distance <= MAX_DISTANCE);
        let same_table = entries.iter().find(|entry| entry.name.table == name.table);
        let hint = match (nearest, same_table) {
            (Some((_, nearest)), _) => format!("did you mean `{nearest}`?"),
            (None, Some(entry)) => format!("did you mean `{}`?", entry.name),
            (None, None) => "`lakegate catalog list` shows the tables there are".to_owned(),
        };
        CatalogError::NotFound {
            what: format!("table `{name}`"),
            hint: Some(hint),
        }
    }
}

/// Two folders of Parquet files may share files: nothing is written to them.
fn is_only_read(one: &TableEntry, other: &TableEntry) -> bool {
    one.format == TableFormat::Parquet
        && other.format == TableFormat::Parquet
        && one.location != other.location
}

fn shared(entry: &TableEntry, doing: &str, how: &str, other: &str) -> CatalogError {
    CatalogError::invalid(
        format!(
            "`{}` at {} cannot be {doing}: {how} table `{other}`",
            entry.name, entry.location
        ),
        "each table needs a folder of its own: move one of them".to_owned(),
    )
}

/// A local folder without symbolic links, as far as it exists.
fn resolved(location: &Url) -> Url {
    location
        .to_file_path()
        .ok()
        .and_then(|path| path.canonicalize().ok())
        .and_then(|path| Url::from_directory_path(path).ok())
        .unwrap_or_else(|| location.clone())
}

/// Letters by which a name may differ from one that is meant.
const MAX_DISTANCE: usize = 3;

#[cfg(test)]
mod tests;
