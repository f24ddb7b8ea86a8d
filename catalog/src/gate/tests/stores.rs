//! Stores whose answer to a commit is not what happened.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use deltalake::kernel::Version;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, ObjectStoreRef};
use deltalake::{DeltaResult, DeltaTable, DeltaTableError};
use uuid::Uuid;

use super::*;

/// Writes the commit, and then reports what a store reports whose answer was lost.
#[derive(Debug)]
struct LyingLogStore {
    inner: LogStoreRef,
    lies: AtomicBool,
    says_exists: bool,
    /// Reads of the log after the lie that fail.
    failing_reads: AtomicUsize,
    /// Whether what was written is not to be seen yet.
    hides: bool,
}

impl LyingLogStore {
    fn new(fixture: &Fixture, says_exists: bool) -> Self {
        Self {
            inner: fixture.log_store(),
            lies: AtomicBool::new(true),
            says_exists,
            failing_reads: AtomicUsize::new(0),
            hides: false,
        }
    }
}

#[async_trait]
impl LogStore for LyingLogStore {
    fn name(&self) -> String {
        self.inner.name()
    }
    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        let has_lied = !self.lies.load(Ordering::SeqCst);
        let left = self.failing_reads.load(Ordering::SeqCst);
        if has_lied && left > 0 {
            self.failing_reads.store(left - 1, Ordering::SeqCst);
            return Err(DeltaTableError::generic("connection reset"));
        }
        if self.hides {
            return Ok(None);
        }
        self.inner.read_commit_entry(version).await
    }
    async fn write_commit_entry(
        &self,
        version: Version,
        commit: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.inner
            .write_commit_entry(version, commit, operation)
            .await?;
        if self.lies.swap(false, Ordering::SeqCst) {
            return Err(if self.says_exists {
                TransactionError::VersionAlreadyExists(version)
            } else {
                TransactionError::LogStoreError {
                    msg: "timed out".into(),
                    source: "timed out".into(),
                }
            });
        }
        Ok(())
    }
    async fn abort_commit_entry(
        &self,
        version: Version,
        commit: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.inner
            .abort_commit_entry(version, commit, operation)
            .await
    }
    async fn get_latest_version(&self, start: Version) -> DeltaResult<Version> {
        if self.hides {
            return Ok(start);
        }
        self.inner.get_latest_version(start).await
    }
    fn object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        self.inner.object_store(operation)
    }
    fn root_object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        self.inner.root_object_store(operation)
    }
    fn config(&self) -> &LogStoreConfig {
        self.inner.config()
    }
}

/// Appends a row to the guarded table through a gate over this store.
async fn append(
    fixture: &Fixture,
    store: LyingLogStore,
) -> (Arc<Gate>, Result<DeltaTable, DeltaTableError>) {
    let gate = Arc::new(Gate::new(
        Some(name()),
        fixture.location(),
        Some(fixture.judge.clone() as Arc<dyn Judge>),
        WriteContext::default(),
        Trust {
            writes_its_files: true,
            ..Trust::default()
        },
        Utc::now,
    ));
    let mut table = DeltaTable::new(Arc::new(GatedLogStore::new(Arc::new(store), gate.clone())));
    table.load().await.unwrap();
    gate.opened(table.snapshot().unwrap().metadata().id());
    let written = table
        .write(Vec::new())
        .with_input_plan(plan(&[(3, "three")]))
        .with_session_state(Arc::new(crate::write::delta_session(&fixture.session)))
        .await;
    (gate, written)
}

#[tokio::test]
async fn commit_that_the_store_denies_is_not_made_twice() {
    for (says_exists, failing_reads) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let fixture = Fixture::new().await;
        fixture.guarded().await;
        let mut store = LyingLogStore::new(&fixture, says_exists);
        store.failing_reads = AtomicUsize::new(failing_reads);
        let (gate, written) = append(&fixture, store).await;
        assert_eq!(written.unwrap().version(), Some(1));
        assert_eq!(gate.record().committed, Some(1));
        assert_eq!(fixture.rows().await.len(), 3, "the commit was made twice");
    }
}

#[tokio::test]
async fn commit_whose_outcome_cannot_be_read_is_neither_taken_for_lost_nor_made_again() {
    for says_exists in [true, false] {
        let fixture = Fixture::new().await;
        fixture.guarded().await;
        let mut store = LyingLogStore::new(&fixture, says_exists);
        store.failing_reads = AtomicUsize::new(2);
        let (gate, written) = append(&fixture, store).await;
        assert!(written.is_err(), "{written:?}");
        let stop = gate.record().stop.take().unwrap().to_string();
        assert!(stop.contains("may or may not have been written"), "{stop}");
        assert_eq!(fixture.version().await, 1);
        assert_eq!(fixture.rows().await.len(), 3);
    }
}

#[tokio::test]
async fn files_of_a_commit_that_may_be_in_the_log_outlive_the_refusal_of_its_next_attempt() {
    let fixture = Fixture::new().await;
    fixture.guarded().await;
    fixture.accept_only(1);
    let mut store = LyingLogStore::new(&fixture, true);
    store.hides = true;
    let (gate, _) = append(&fixture, store).await;
    let stop = gate.record().stop.take();
    assert!(matches!(stop, Some(CatalogError::Refused(_))), "{stop:?}");
    assert_eq!(fixture.version().await, 1, "the first attempt was written");
    assert_eq!(fixture.rows().await.len(), 3);
}
