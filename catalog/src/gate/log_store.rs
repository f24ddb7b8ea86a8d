//! The `LogStore` that every writer is given: the table's own, with the gate before each commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::kernel::Version;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef, ObjectStoreRef};
use deltalake::{DeltaResult, DeltaTableError};
use uuid::Uuid;

use super::commit::Commit;
use super::decision::{Gate, Passed};
use crate::CatalogError;

/// Wraps a table's log store; nothing reaches the log but what the gate passed.
#[derive(Debug)]
pub(crate) struct GatedLogStore {
    inner: LogStoreRef,
    gate: Arc<Gate>,
    /// Tokens of attempts whose outcome is not success, by operation.
    attempts: Mutex<HashMap<Uuid, Vec<String>>>,
}

impl GatedLogStore {
    pub(crate) fn new(inner: LogStoreRef, gate: Arc<Gate>) -> Self {
        Self {
            inner,
            gate,
            attempts: Mutex::default(),
        }
    }

    async fn write_gated(
        &self,
        version: Version,
        bytes: Bytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        let untried = !self.attempts().contains_key(&operation);
        let Passed { bytes, token } = self
            .gate
            .pass(&self.inner, version, &bytes, untried)
            .await
            .map_err(|error| self.stop(error))?;
        self.attempts().entry(operation).or_default().push(token);

        crate::failpoint!("gate.before_commit");
        let written = self
            .inner
            .write_commit_entry(version, CommitOrBytes::LogBytes(bytes), operation)
            .await;
        crate::failpoint!("gate.after_commit");

        let Err(error) = written else {
            self.committed(version, operation).await;
            return Ok(());
        };
        // A store that retries may have written the commit and still report a failure, or find its own commit in the
        // way: the token in the log tells.
        match self.is_ours(version, operation).await {
            Ok(true) => {
                self.committed(version, operation).await;
                Ok(())
            }
            Ok(false) => Err(error),
            // To take it for lost would write it twice, when it was not.
            Err(unreadable) => Err(self.stop(CatalogError::Failed {
                message: format!(
                    "the commit of version {version} of `{}` may or may not have been written: {error}",
                    self.gate.table()
                ),
                source: Box::new(unreadable),
            })),
        }
    }

    async fn is_ours(&self, version: Version, operation: Uuid) -> Result<bool, DeltaTableError> {
        let read = match self.inner.read_commit_entry(version).await {
            Err(_) => self.inner.read_commit_entry(version).await?,
            Ok(read) => read,
        };
        let Some(bytes) = read else {
            return Ok(false);
        };
        let Ok(commit) = Commit::parse(&bytes) else {
            return Ok(false);
        };
        let Some(token) = commit.token() else {
            return Ok(false);
        };
        Ok(self
            .attempts()
            .get(&operation)
            .is_some_and(|tokens| tokens.iter().any(|t| t == token)))
    }

    async fn committed(&self, version: Version, operation: Uuid) {
        self.attempts().remove(&operation);
        self.gate.record_commit(version).await;
    }

    fn stop(&self, error: CatalogError) -> TransactionError {
        let msg = error.to_string();
        self.gate.record_stop(error);
        TransactionError::LogStoreError {
            source: msg.clone().into(),
            msg,
        }
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Vec<String>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LogStore for GatedLogStore {
    /// The inner store's name: delta-rs chooses by it whether a commit arrives as bytes or as a temporary file.
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn refresh(&self) -> DeltaResult<()> {
        self.inner.refresh().await
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.inner.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        commit_or_bytes: CommitOrBytes,
        operation_id: Uuid,
    ) -> Result<(), TransactionError> {
        match commit_or_bytes {
            CommitOrBytes::LogBytes(bytes) => self.write_gated(version, bytes, operation_id).await,
            CommitOrBytes::TmpCommit(path) => Err(self.stop(CatalogError::Bug(format!(
                "a commit of `{}` came as the temporary file {path}, which the gate cannot judge",
                self.gate.table()
            )))),
        }
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        commit_or_bytes: CommitOrBytes,
        operation_id: Uuid,
    ) -> Result<(), TransactionError> {
        self.inner
            .abort_commit_entry(version, commit_or_bytes, operation_id)
            .await
    }

    async fn get_latest_version(&self, start_version: Version) -> DeltaResult<Version> {
        self.inner.get_latest_version(start_version).await
    }

    fn object_store(&self, operation_id: Option<Uuid>) -> ObjectStoreRef {
        let store = self.inner.object_store(operation_id);
        #[cfg(feature = "failpoints")]
        let store = Arc::new(crate::faults::FaultStore(store));
        store
    }

    fn root_object_store(&self, operation_id: Option<Uuid>) -> ObjectStoreRef {
        self.inner.root_object_store(operation_id)
    }

    async fn is_delta_table_location(&self) -> DeltaResult<bool> {
        self.inner.is_delta_table_location().await
    }

    fn config(&self) -> &LogStoreConfig {
        self.inner.config()
    }
}
