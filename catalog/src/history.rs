//! The versions that a table had.

use chrono::{DateTime, Utc};
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use std::sync::Arc;

use crate::cache::{SnapshotCache, gone, load, log_store, snapshot_of};
use crate::{CatalogError, CommitRecord, TableEntry, TableSnapshot};

/// Commit files that are read at once.
const PARALLEL_READS: usize = 16;

/// The newest commits, newest first.
///
/// A commit's time is the one that its writer wrote into it, which survives copying the table; the file's own when
/// there is none.
pub(crate) async fn commits(
    entry: &TableEntry,
    limit: Option<usize>,
) -> Result<Vec<CommitRecord>, CatalogError> {
    let store = log_store(entry)?;
    let mut versions = commit_files(entry, &store).await?;
    versions.truncate(limit.unwrap_or(usize::MAX));
    let object_store = store.object_store(None);
    futures::stream::iter(versions)
        .map(|file| read_commit(entry, Arc::clone(&object_store), file))
        .buffered(PARALLEL_READS)
        .try_collect()
        .await
}

/// The commits after one version up to another, newest first; none when the log does not go back so far any more.
pub(crate) async fn commits_between(
    entry: &TableEntry,
    after: i64,
    up_to: i64,
) -> Result<Option<Vec<CommitRecord>>, CatalogError> {
    let store = log_store(entry)?;
    let mut files = commit_files(entry, &store).await?;
    files.retain(|file| file.version > after && file.version <= up_to);
    if i64::try_from(files.len()) != Ok(up_to.saturating_sub(after)) {
        return Ok(None);
    }
    let object_store = store.object_store(None);
    let read = futures::stream::iter(files)
        .map(|file| read_commit(entry, Arc::clone(&object_store), file))
        .buffered(PARALLEL_READS);
    Ok(Some(read.try_collect().await?))
}

/// A given version.
pub(crate) async fn at_version(
    cache: &SnapshotCache,
    entry: &TableEntry,
    version: i64,
) -> Result<Arc<TableSnapshot>, CatalogError> {
    let latest = cache.latest(entry).await?;
    if version == latest.version {
        return Ok(latest);
    }
    let missing = |hint: String| CatalogError::NotFound {
        what: format!("version {version} of table `{}`", entry.name),
        hint: Some(hint),
    };
    let Ok(wanted) = u64::try_from(version) else {
        return Err(missing(format!("versions are 0 to {}", latest.version)));
    };
    if version > latest.version {
        return Err(missing(format!("the newest version is {}", latest.version)));
    }
    match load(entry, Some(wanted)).await {
        Ok(table) => snapshot_of(entry, &table),
        Err(error) => {
            let store = log_store(entry)?;
            let oldest = commit_files(entry, &store)
                .await?
                .last()
                .map(|file| file.version);
            match oldest {
                Some(oldest) if version < oldest => Err(missing(format!(
                    "the log goes back to version {oldest}; older ones were cleaned up"
                ))),
                _ => Err(error),
            }
        }
    }
}

/// The newest version that had been committed at a time.
pub(crate) async fn at_timestamp(
    cache: &SnapshotCache,
    entry: &TableEntry,
    time: DateTime<Utc>,
) -> Result<Arc<TableSnapshot>, CatalogError> {
    let store = log_store(entry)?;
    let object_store = store.object_store(None);
    let files = commit_files(entry, &store).await?;
    let mut commits = futures::stream::iter(files)
        .map(|file| read_commit(entry, Arc::clone(&object_store), file))
        .buffered(PARALLEL_READS);
    let mut oldest = None;
    while let Some(commit) = commits.try_next().await? {
        if commit.timestamp <= time {
            return at_version(cache, entry, commit.version).await;
        }
        oldest = Some(commit.timestamp);
    }
    Err(CatalogError::NotFound {
        what: format!(
            "a version of table `{}` at {}",
            entry.name,
            time.to_rfc3339()
        ),
        hint: oldest.map(|oldest| format!("its first known commit is of {}", oldest.to_rfc3339())),
    })
}

#[derive(Debug)]
struct CommitFile {
    version: i64,
    path: Path,
    last_modified: DateTime<Utc>,
}

/// The log's commit files, newest first.
async fn commit_files(
    entry: &TableEntry,
    store: &LogStoreRef,
) -> Result<Vec<CommitFile>, CatalogError> {
    let failed = |error| {
        CatalogError::failed(
            format!("cannot list the log of table `{}`", entry.name),
            error,
        )
    };
    let log: Vec<_> = store
        .object_store(None)
        .list(Some(store.log_path()))
        .try_collect()
        .await
        .map_err(failed)?;
    let mut files: Vec<CommitFile> = log
        .into_iter()
        .filter_map(|meta| {
            let name = meta
                .location
                .prefix_match(store.log_path())?
                .next()?
                .as_ref()
                .to_owned();
            let version = name
                .strip_suffix(".json")
                .filter(|digits| digits.len() == 20)?
                .parse()
                .ok()?;
            let is_in_log_itself = meta.location.prefix_match(store.log_path())?.count() == 1;
            is_in_log_itself.then_some(CommitFile {
                version,
                path: meta.location,
                last_modified: meta.last_modified,
            })
        })
        .collect();
    if files.is_empty() {
        return Err(gone(entry, "a Delta log in"));
    }
    files.sort_unstable_by_key(|file| std::cmp::Reverse(file.version));
    Ok(files)
}

async fn read_commit(
    entry: &TableEntry,
    store: Arc<dyn ObjectStore>,
    file: CommitFile,
) -> Result<CommitRecord, CatalogError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        CatalogError::failed(
            format!(
                "cannot read version {} in the log of table `{}`",
                file.version, entry.name
            ),
            error,
        )
    };
    let result = store
        .get(&file.path)
        .await
        .map_err(|error| failed(error.into()))?;
    let bytes = result.bytes().await.map_err(|error| failed(error.into()))?;
    let mut info = Value::Null;
    for line in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        let mut line = line.map_err(|error| failed(error.into()))?;
        if let Some(found) = line.get_mut("commitInfo") {
            info = found.take();
            break;
        }
    }
    let timestamp = info
        .get("inCommitTimestamp")
        .or_else(|| info.get("timestamp"))
        .and_then(Value::as_i64)
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or(file.last_modified);
    Ok(CommitRecord {
        version: file.version,
        timestamp,
        operation: info
            .get("operation")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned(),
        parameters: info
            .get_mut("operationParameters")
            .map(Value::take)
            .unwrap_or_default(),
        lakegate: info.get_mut("lakegate").map(Value::take),
    })
}
