//! Which batches a table holds: each commit carries the identity of its batch, with its own version as the number.

use deltalake::DeltaTable;
use deltalake::kernel::Transaction;
use serde_json::Value;

use super::{Batch, WriteMode};
use crate::gate::{BATCH_PREFIX, RESTORE_ID};
use crate::table::GatedTable;
use crate::{Catalog, CatalogError, CommitRecord, history};

/// The versions at which a table's log has a writer's newest batch, and one of its batches.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    newest: Option<i64>,
    this: Option<i64>,
    /// The newest restore.
    restored: Option<i64>,
}

impl Catalog {
    /// The version at which a batch came into the table, when its rows still count.
    ///
    /// A batch that a restore took out again does not. One that replaces rows counts only while no later batch of the
    /// same writer replaced them.
    pub(super) async fn batch_in(
        &self,
        table: &GatedTable,
        batch: &Batch,
        mode: &WriteMode,
    ) -> Result<Option<i64>, CatalogError> {
        if !table.exists {
            return Ok(None);
        }
        let known = read(&table.table, batch).await?;
        let Some(version) = known.this else {
            return Ok(None);
        };
        let replaces = matches!(mode, WriteMode::Overwrite | WriteMode::ReplaceWhere(_));
        if replaces && known.this != known.newest {
            return Ok(None);
        }
        let is_live =
            match history::commits_between(table.entry(), version - 1, table.version()).await? {
                Some(since) => is_live(version, &since),
                // The log was cleaned up. To write an old batch again would double its rows, unless a restore took it out.
                None => known.restored.is_none_or(|restored| restored < version),
            };
        Ok(is_live.then_some(version))
    }
}

/// The application transactions of a commit that brings a batch. The gate puts the version in.
pub(super) fn transactions(batch: &Batch) -> Vec<Transaction> {
    vec![
        Transaction::new(writer_id(batch), 0),
        Transaction::new(batch_id(batch), 0),
    ]
}

async fn read(table: &DeltaTable, batch: &Batch) -> Result<Known, CatalogError> {
    let log_store = table.log_store();
    let failed = |error| {
        CatalogError::failed(
            format!("the batches of `{}` cannot be read", batch.writer),
            error,
        )
    };
    let state = table.snapshot().map_err(failed)?;
    Ok(Known {
        newest: state
            .transaction_version(log_store.as_ref(), writer_id(batch))
            .await
            .map_err(failed)?,
        this: state
            .transaction_version(log_store.as_ref(), batch_id(batch))
            .await
            .map_err(failed)?,
        restored: state
            .transaction_version(log_store.as_ref(), RESTORE_ID.to_owned())
            .await
            .map_err(failed)?,
    })
}

/// Whether what came at a version is in the newest one, given all commits since and that one, newest first.
fn is_live(version: i64, since: &[CommitRecord]) -> bool {
    let mut live = vec![(version, true)];
    for commit in since.iter().rev() {
        let before = live.last().is_none_or(|(_, is_live)| *is_live);
        let now = match restored_to(commit, since) {
            Some(target) => live
                .iter()
                .rev()
                .find(|(known, _)| *known <= target)
                .is_some_and(|(_, is_live)| *is_live),
            None => before,
        };
        live.push((commit.version, now));
    }
    live.last().is_none_or(|(_, is_live)| *is_live)
}

/// The version that a commit restored; none when it is no restore.
fn restored_to(commit: &CommitRecord, since: &[CommitRecord]) -> Option<i64> {
    if commit.operation != "RESTORE" {
        return None;
    }
    let number = |key: &str| match commit.parameters.get(key)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    if let Some(version) = number("version") {
        return Some(version);
    }
    let time = number("datetime")?;
    let until = |other: &&CommitRecord| {
        other.version < commit.version && other.timestamp.timestamp_millis() <= time
    };
    // Before the first commit that is looked at, the batch was not there yet.
    since
        .iter()
        .find(until)
        .map_or(Some(-1), |other| Some(other.version))
}

fn writer_id(batch: &Batch) -> String {
    format!("{BATCH_PREFIX}{}", batch.writer)
}

fn batch_id(batch: &Batch) -> String {
    format!("{BATCH_PREFIX}{}/{}", batch.writer, batch.id)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    /// A commit that is made as many seconds after 1970 as its version says.
    fn commit(version: i64, operation: &str, parameters: Value) -> CommitRecord {
        CommitRecord {
            version,
            timestamp: DateTime::from_timestamp(version, 0).unwrap(),
            operation: operation.to_owned(),
            parameters,
            lakegate: None,
        }
    }

    #[test]
    fn batch_is_live_when_the_version_that_was_restored_has_it() {
        // The batch came with version 4.
        for (restored, expected) in [
            (json!({"version": 3}), false),
            (json!({"version": 5}), true),
            (json!({"version": "5"}), true),
            (json!({"datetime": 3_500}), false),
            (json!({"datetime": 4_500}), true),
            (json!({"datetime": 5_500}), true),
            (json!({"datetime": "5500"}), true),
        ] {
            let since = [
                commit(7, "RESTORE", restored.clone()),
                commit(6, "WRITE", Value::Null),
                commit(5, "WRITE", Value::Null),
                commit(4, "WRITE", Value::Null),
            ];
            assert_eq!(is_live(4, &since), expected, "{restored}");
            let mut brought_back = vec![commit(8, "RESTORE", json!({"version": 6}))];
            brought_back.extend(since);
            assert!(is_live(4, &brought_back), "{restored}");
        }
    }
}
