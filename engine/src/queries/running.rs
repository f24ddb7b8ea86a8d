//! Queries that run: their rows, what ends them, and what is recorded of them.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::{FutureExt, Stream, StreamExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use uuid::Uuid;

use super::{Caller, Queries};
use crate::EngineError;
use crate::admission::Permit;
use crate::query_log::{QueryRecord, QueryState};

/// A stream of rows, and the place that it takes.
pub(super) type Held = Arc<Mutex<Option<(SendableRecordBatchStream, Permit)>>>;

/// A query that runs or waits.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) query_id: Uuid,
    end: CancellationToken,
    pub(super) held: Weak<Mutex<Option<(SendableRecordBatchStream, Permit)>>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("query_id", &self.query_id)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// Ends it, and lets go of what it holds.
    pub(super) fn cancel(&self) {
        self.end.cancel();
        if let Some(held) = self.held.upgrade() {
            held.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// The rows of a running query. Dropping it ends the query.
pub struct Rows {
    held: Held,
    /// Comes when the query is cancelled.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    recording: Recording,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(held: Held, recording: Recording) -> Self {
        Self {
            held,
            cancelled: Box::pin(recording.end.clone().cancelled_owned()),
            recording,
        }
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.recording.has_ended {
            return Poll::Ready(None);
        }
        if this.cancelled.poll_unpin(context).is_ready() {
            this.recording.failed(&EngineError::Cancelled);
            return Poll::Ready(Some(Err(EngineError::Cancelled)));
        }
        let next = {
            let mut held = this.held.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((stream, _)) = held.as_mut() else {
                return Poll::Pending;
            };
            let Poll::Ready(next) = stream.poll_next_unpin(context) else {
                return Poll::Pending;
            };
            next
        };
        Poll::Ready(match next {
            Some(Ok(batch)) => {
                this.recording.rows += batch.num_rows() as u64;
                Some(Ok(batch))
            }
            Some(Err(error)) => {
                let error = EngineError::from_execution(error);
                this.recording.failed(&error);
                Some(Err(error))
            }
            None => {
                this.recording.conclude_as(QueryState::Done, None);
                None
            }
        })
    }
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
        queries: Arc<Queries>,
        query_id: Uuid,
        sql: &Arc<str>,
        caller: Caller,
    ) -> Self {
        let serial = queries.serial.fetch_add(1, Ordering::Relaxed);
        let end = CancellationToken::new();
        let running = Running {
            query_id,
            end: end.clone(),
            held: Weak::new(),
        };
        queries.running().insert(serial, running);
        Self {
            serial,
            end,
            submitted_at: queries.engine.catalog().now(),
            queries,
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
        match error {
            EngineError::Cancelled => self.conclude_as(QueryState::Cancelled, None),
            error => self.conclude_as(QueryState::Failed, Some(error.to_string())),
        }
    }

    fn conclude_as(&mut self, state: QueryState, error: Option<String>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.queries.running().remove(&self.serial);
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
