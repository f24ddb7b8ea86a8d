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
    pub async fn register(
        &self,
        name: &TableName,
        location: &Url,
    ) -> Result<TableEntry, CatalogError> {
        let entry = TableEntry {
            name: name.clone(),
            location: folder(location),
            format: TableFormat::Delta,
            registered_at: (self.clock)(),
        };
        let entry = cache::recognise(entry).await?;
        self.registry.register(&entry).await?;
        self.known().insert(name.clone());
        Ok(entry)
    }

    /// Forgets a table; with `purge` its folder is deleted too.
    pub async fn drop_table(&self, name: &TableName, purge: bool) -> Result<(), CatalogError> {
        let entry = self.entry(name).await?;
        let path = entry.location.path().strip_prefix(self.warehouse.path());
        let is_within = entry.location.as_str().starts_with(self.warehouse.as_str())
            && path.is_some_and(|path| !path.is_empty());
        if purge && !is_within {
            return Err(CatalogError::invalid(
                format!(
                    "table `{name}` is not in the warehouse, but at {}",
                    entry.location
                ),
                "drop it without purging, and delete the folder yourself".to_owned(),
            ));
        }
        if purge {
            let entries = self.registry.list().await?;
            let inside = entries.iter().find(|other| {
                other.name != *name && other.location.as_str().starts_with(entry.location.as_str())
            });
            if let Some(inside) = inside {
                return Err(CatalogError::invalid(
                    format!(
                        "the folder of table `{name}` holds table `{}` too",
                        inside.name
                    ),
                    "drop it without purging, and delete its own files yourself".to_owned(),
                ));
            }
        }
        self.registry.remove(name).await?;
        self.known().remove(name);
        self.cache.forget(&entry);
        if purge {
            cache::purge(&entry).await?;
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
    pub(crate) fn now(&self) -> DateTime<Utc> {
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

/// Letters by which a name may differ from one that is meant.
const MAX_DISTANCE: usize = 3;

#[cfg(test)]
mod tests;
