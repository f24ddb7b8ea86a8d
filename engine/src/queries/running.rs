//! Queries that run: their rows, what ends them, and what is recorded of them.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use uuid::Uuid;

use super::Queries;
use crate::admission::Permit;
use crate::query_log::{QueryRecord, QueryState};
use crate::{Caller, EngineError};

/// A query that runs or waits.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) query_id: Uuid,
    /// Whether it changes something: then it is not ended half way.
    pub(super) is_change: bool,
    end: CancellationToken,
    /// Its rows, once it has any.
    pub(super) rows: Option<RowsHandle>,
}

impl Running {
    /// Ends it, and lets go of what it holds.
    pub(super) fn cancel(&self) {
        self.end.cancel();
        if let Some(rows) = &self.rows {
            rows.end(EngineError::Cancelled);
        }
    }
}

/// Ends queries whose rows nobody takes, for as long as queries are taken.
pub(super) async fn end_stalled(queries: Weak<Queries>) {
    loop {
        let Some(limit) = queries.upgrade().map(|queries| queries.stall_limit) else {
            return;
        };
        tokio::time::sleep(limit / LOOKS_PER_LIMIT).await;
        let Some(queries) = queries.upgrade() else {
            return;
        };
        let running: Vec<Running> = queries.running().values().cloned().collect();
        let now = Instant::now();
        for running in running {
            if running.end.is_cancelled() {
                // It may have computed when it was cancelled, and its client has not asked since.
                running.cancel();
            } else if let Some(rows) = running.rows
                && rows.taken.is_before(now - limit)
            {
                rows.end(EngineError::Stalled { limit });
            }
        }
    }
}

/// How often stalled queries are looked for in the time that they may stall.
const LOOKS_PER_LIMIT: u32 = 8;

/// When a client last took something of a query. Doors say so: what they take at once may reach the client in many pieces.
#[derive(Debug, Clone)]
pub struct Taken(Arc<Mutex<Option<Instant>>>);

impl Taken {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    /// The client takes something.
    pub fn note(&self) {
        *self.last() = Some(Instant::now());
    }

    /// The client waits for the query.
    fn waits(&self) {
        *self.last() = None;
    }

    fn is_before(&self, time: Instant) -> bool {
        self.last().is_some_and(|last| last < time)
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a running query holds: its rows, its place, and its record.
struct Held {
    stream: SendableRecordBatchStream,
    _permit: Permit,
    recording: Recording,
}

/// Where a query is.
enum Stage {
    Runs(Box<Held>),
    /// It has ended with an error that its client has not seen.
    Ended(EngineError),
    Over,
}

/// The rows of a query, for who wants to end it.
#[derive(Clone)]
pub(super) struct RowsHandle {
    stage: Weak<Mutex<Stage>>,
    taken: Taken,
}

impl fmt::Debug for RowsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowsHandle").finish_non_exhaustive()
    }
}

impl RowsHandle {
    /// Ends the query and lets go of what it holds, unless it computes at this moment: then it sees itself that it was
    /// cancelled, and has not stalled.
    fn end(&self, error: EngineError) {
        let Some(stage) = self.stage.upgrade() else {
            return;
        };
        let held = {
            let mut stage = match stage.try_lock() {
                Ok(stage) => stage,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            match std::mem::replace(&mut *stage, Stage::Over) {
                Stage::Runs(mut held) => {
                    held.recording.failed(&error);
                    *stage = Stage::Ended(error);
                    held
                }
                ended => {
                    *stage = ended;
                    return;
                }
            }
        };
        // Without the lock: letting go of a query can take a while.
        drop(held);
    }
}

/// The rows of a running query. Dropping it ends the query.
pub struct Rows {
    stage: Arc<Mutex<Stage>>,
    end: CancellationToken,
    /// Comes when the query is cancelled.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    taken: Taken,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        permit: Permit,
        recording: Recording,
        end: CancellationToken,
    ) -> Self {
        let held = Held {
            stream,
            _permit: permit,
            recording,
        };
        Self {
            stage: Arc::new(Mutex::new(Stage::Runs(Box::new(held)))),
            cancelled: Box::pin(end.clone().cancelled_owned()),
            end,
            taken: Taken::new(),
        }
    }

    pub(super) fn handle(&self) -> RowsHandle {
        RowsHandle {
            stage: Arc::downgrade(&self.stage),
            taken: self.taken.clone(),
        }
    }

    /// Where to say that the client has taken something.
    pub fn taken(&self) -> Taken {
        self.taken.clone()
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.taken.waits();
        let next = self.poll_rows(context);
        if next.is_ready() {
            self.taken.note();
        }
        next
    }
}

impl Rows {
    fn poll_rows(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RecordBatch, EngineError>>> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked for at each turn, so that it is told when the query is ended meanwhile.
        let is_cancelled = self.cancelled.poll_unpin(context).is_ready();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Runs(mut held) if is_cancelled => {
                held.recording.failed(&EngineError::Cancelled);
                Poll::Ready(Some(Err(EngineError::Cancelled)))
            }
            Stage::Runs(mut held) => {
                let next = held.stream.poll_next_unpin(context);
                if self.end.is_cancelled() {
                    held.recording.failed(&EngineError::Cancelled);
                    return Poll::Ready(Some(Err(EngineError::Cancelled)));
                }
                let next = next.map_err(EngineError::from_execution);
                match &next {
                    Poll::Ready(None) => held.recording.conclude_as(QueryState::Done, None),
                    Poll::Ready(Some(Err(error))) => held.recording.failed(error),
                    Poll::Ready(Some(Ok(batch))) => {
                        held.recording.rows += batch.num_rows() as u64;
                        *stage = Stage::Runs(held);
                    }
                    Poll::Pending => *stage = Stage::Runs(held),
                }
                next
            }
            Stage::Ended(error) => Poll::Ready(Some(Err(error))),
            Stage::Over => Poll::Ready(None),
        }
    }
}

/// Whether something reads or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    Change,
}

/// What becomes the record of a query once it ends; one that is dropped before was cancelled.
pub(super) struct Recording {
    queries: Arc<Queries>,
    query_id: Uuid,
    pub(super) caller: Caller,
    sql: Arc<str>,
    submitted_at: DateTime<Utc>,
    submitted: Instant,
    pub(super) admitted: Option<Instant>,
    pub(super) plan: Option<Arc<dyn ExecutionPlan>>,
    rows: u64,
    has_ended: bool,
    pub(super) serial: u64,
    pub(super) end: CancellationToken,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}

impl Recording {
    pub(super) fn new(
        queries: &Arc<Queries>,
        kind: Kind,
        query_id: Uuid,
        sql: &Arc<str>,
        caller: Caller,
    ) -> Self {
        let serial = queries.serial.fetch_add(1, Ordering::Relaxed);
        let end = CancellationToken::new();
        let running = Running {
            query_id,
            is_change: kind == Kind::Change,
            end: end.clone(),
            rows: None,
        };
        queries.running().insert(serial, running);
        Self {
            serial,
            end,
            submitted_at: queries.engine.catalog().now(),
            queries: Arc::clone(queries),
            query_id,
            caller,
            sql: Arc::clone(sql),
            submitted: Instant::now(),
            admitted: None,
            plan: None,
            rows: 0,
            has_ended: false,
        }
    }

    /// Ends with what a change came to.
    pub(super) fn conclude(
        &mut self,
        made: Result<Option<u64>, EngineError>,
    ) -> Result<Option<u64>, EngineError> {
        match &made {
            Ok(rows) => {
                self.rows = rows.unwrap_or(0);
                self.conclude_as(QueryState::Done, None);
            }
            Err(error) => self.failed(error),
        }
        made
    }

    pub(super) fn failed(&mut self, error: &EngineError) {
        self.queries.audit(error, &self.caller);
        match error {
            EngineError::Cancelled => self.conclude_as(QueryState::Cancelled, None),
            error => self.conclude_as(QueryState::Failed, Some(error.told())),
        }
    }

    fn conclude_as(&mut self, state: QueryState, error: Option<String>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let counters = &self.queries.counters;
        let counter = match state {
            QueryState::Done => &counters.done,
            QueryState::Failed => &counters.failed,
            QueryState::Cancelled => &counters.cancelled,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        counters.rows.fetch_add(self.rows, Ordering::Relaxed);
        let admitted = self.admitted.unwrap_or_else(Instant::now);
        self.queries.log.add(QueryRecord {
            query_id: self.query_id,
            principal: std::mem::take(&mut self.caller.principal),
            door: self.caller.door,
            sql: Arc::clone(&self.sql),
            state,
            submitted_at: self.submitted_at,
            finished_at: self.queries.engine.catalog().now(),
            queued: admitted.duration_since(self.submitted),
            elapsed: self.submitted.elapsed(),
            rows: self.rows,
            bytes_scanned: self.plan.as_deref().map(bytes_scanned),
            error,
        });
        // Who waits until it has ended finds its record written.
        self.queries.running().remove(&self.serial);
        self.queries.ended.notify_waiters();
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.conclude_as(QueryState::Cancelled, None);
    }
}

/// The bytes that the scans of a plan have read.
fn bytes_scanned(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| {
        let sum = metrics.sum_by_name("bytes_scanned")?;
        Some(sum.as_usize() as u64)
    });
    let below = plan.children().into_iter();
    own.unwrap_or(0)
        + below
            .map(|child| bytes_scanned(child.as_ref()))
            .sum::<u64>()
}
