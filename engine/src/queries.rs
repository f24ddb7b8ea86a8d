//! Statements of clients, as every door hands them over: prepared, planned, admitted, run and recorded.

mod kept;
mod planning;
mod running;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::access::OnBehalf;
use crate::admission::{Admission, AdmissionLimits, Permit};
use crate::query_log::{DenialRecord, QueryLog};
use crate::workers::{self, Workers};
use crate::{Caller, Engine, EngineError, Ingest, Pins, Planned, TimeZone};
use kept::KeptPlans;
use planning::{expect_values, parameter_count, parse};
use running::{Kind, Recording, Running};

pub(crate) use planning::named;
pub use running::{Rows, Taken};

/// Statements that are planned at once, for each processor; those of one principal are three quarters of them at most.
const PLANNED_FOR_EACH: usize = 4;

/// Statements that wait to be planned.
const MOST_WAITING_FOR_PLANS: usize = 10_000;

/// How long changes may go on that are being made when the time to finish is over.
const LAST_CHANGES: Duration = Duration::from_secs(10);

/// How long queries may take to see that they were ended.
const LAST_QUERIES: Duration = Duration::from_secs(2);

/// What clients' statements may take.
#[derive(Debug, Clone, Copy)]
pub struct QueriesOptions {
    /// How many run and wait.
    pub places: AdmissionLimits,
    /// How long a client may leave rows untaken, or send none of those that it wants to write. Its query ends then.
    pub stall_limit: Duration,
    /// How long rows of `lakegate.samples` are kept that writing records meets.
    pub keep_samples: Duration,
}

/// What a client has set for its statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOptions {
    /// The schema of tables that are named without one.
    pub schema: String,
    /// The zone of times that are written without one, where one is needed; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
}

/// A statement of a client.
#[derive(Debug, Clone)]
pub struct Request {
    /// DataFusion's SQL, with `VERSION AS OF` and `TIMESTAMP AS OF`; parameters are `$1` or `?`.
    pub sql: Arc<str>,
    /// Values of the parameters, in their order.
    pub parameters: Vec<ScalarValue>,
    /// What the client has set.
    pub session: SessionOptions,
    /// The versions that the statement saw when it was planned before.
    pub pins: Option<Pins>,
}

/// What is known of a statement before it has values.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The columns of its rows; none when it changes something.
    pub schema: SchemaRef,
    /// Its parameters in their order, with the types that they should have.
    pub parameters: Vec<FieldRef>,
}

/// A statement that has been planned, and not yet run.
#[derive(Debug)]
pub struct Ready {
    /// The columns of its rows.
    pub schema: SchemaRef,
    request: Request,
    planned: Planned,
    /// Whether it reads the versions that it says, and nothing else.
    is_settled: bool,
}

impl Ready {
    /// The versions that it reads.
    pub fn pins(&self) -> &Pins {
        &self.planned.pins
    }
}

/// How queries have gone since the process began, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryCounts {
    /// Queries that run.
    pub running: usize,
    /// Queries that wait for their turn.
    pub waiting: usize,
    /// Queries that gave all rows.
    pub done: u64,
    /// Queries that failed.
    pub failed: u64,
    /// Queries that their clients left.
    pub cancelled: u64,
    /// Rows that were given.
    pub rows: u64,
}

#[derive(Debug, Default)]
struct Counters {
    done: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    rows: AtomicU64,
}

/// The statements of all clients of a process.
#[derive(Debug)]
pub struct Queries {
    engine: Arc<Engine>,
    workers: Workers,
    admission: Admission,
    /// Places for planning. Metadata needs none.
    planning: Admission,
    kept: KeptPlans,
    stall_limit: Duration,
    log: QueryLog,
    counters: Counters,
    /// The queries that run or wait, each by a number of its own: one can run several times at once.
    running: Mutex<HashMap<u64, Running>>,
    /// Is told of each that has ended.
    ended: Notify,
    serial: AtomicU64,
}

impl Queries {
    /// Begins to take statements. Records of them are kept until this is dropped.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn start(engine: Arc<Engine>, options: QueriesOptions) -> Result<Arc<Self>, EngineError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let planned = processors * PLANNED_FOR_EACH;
        let queries = Arc::new(Self {
            log: QueryLog::start(Arc::clone(&engine), options.keep_samples),
            admission: Admission::new(options.places),
            planning: Admission::new(AdmissionLimits {
                running: planned,
                running_of_one: planned / 4 * 3,
                waiting: MOST_WAITING_FOR_PLANS,
            }),
            kept: KeptPlans::default(),
            stall_limit: options.stall_limit,
            workers: Workers::start()?,
            engine,
            counters: Counters::default(),
            running: Mutex::default(),
            ended: Notify::new(),
            serial: AtomicU64::new(0),
        });
        tokio::spawn(running::end_stalled(Arc::downgrade(&queries)));
        Ok(queries)
    }

    /// Ends a query, each time that it runs. False when it does not run.
    pub fn cancel(&self, query_id: Uuid) -> bool {
        let meant: Vec<Running> = {
            let running = self.running();
            let meant = running.values();
            let meant = meant.filter(|running| running.query_id == query_id);
            meant.cloned().collect()
        };
        // Without the lock, which new queries need.
        meant.iter().for_each(Running::cancel);
        !meant.is_empty()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How queries have gone.
    pub fn counts(&self) -> QueryCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueryCounts {
            running: self.admission.running(),
            waiting: self.admission.waiting(),
            done: of(&self.counters.done),
            failed: of(&self.counters.failed),
            cancelled: of(&self.counters.cancelled),
            rows: of(&self.counters.rows),
        }
    }

    /// Takes no further queries, and waits for those that run. Those that still do after so long are ended, and it is false.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.admission.close();
        let is_emptied = self.none_is_left(limit, |_| true).await;
        if !is_emptied {
            let left: Vec<Running> = self.running().values().cloned().collect();
            left.iter().for_each(Running::cancel);
            // A change that is being made comes to its end. A query that computes sees that it has ended when it pauses.
            self.none_is_left(LAST_CHANGES, |running| running.is_change)
                .await;
            self.none_is_left(LAST_QUERIES, |_| true).await;
        }
        self.log.flush().await;
        is_emptied
    }

    /// Waits until no such query runs or waits; false when one still does after so long.
    async fn none_is_left(&self, limit: Duration, counts: impl Fn(&Running) -> bool) -> bool {
        let none_is_left = async {
            loop {
                // Before looking, so that none goes unseen.
                let ended = self.ended.notified();
                if !self.running().values().any(&counts) {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, none_is_left).await.is_ok()
    }

    /// Records that something was denied, when that is what an error says.
    fn audit(&self, error: &EngineError, caller: &Caller) {
        if let EngineError::Denied { right, table, .. } = error {
            self.log.add_denial(DenialRecord {
                at: self.engine.catalog().now(),
                principal: Some(caller.principal.clone()),
                door: caller.door,
                peer: caller.peer,
                action: right.as_str(),
                object: Some(table.to_string()),
            });
        }
    }

    /// Records that somebody was not let in, by the name that they gave.
    pub fn audit_login(&self, name: Option<&str>, door: &'static str, peer: Option<SocketAddr>) {
        self.log.add_denial(DenialRecord {
            at: self.engine.catalog().now(),
            principal: name.map(str::to_owned),
            door,
            peer,
            action: "log_in",
            object: None,
        });
    }

    /// Makes a change with each row of values, in one commit; without rows, once and without values. It waits for its
    /// turn. The number of rows that it brought is returned, when it is known.
    ///
    /// # Errors
    /// As [`Queries::run`]; [`ErrorKind::Refused`](crate::ErrorKind::Refused) when the gate refuses, and the table is as
    /// it was.
    pub async fn change(
        self: &Arc<Self>,
        query_id: Uuid,
        request: &Request,
        rows: &[Vec<ScalarValue>],
        caller: Caller,
    ) -> Result<Option<u64>, EngineError> {
        let mut recording =
            Recording::new(self, Kind::Change, query_id, &request.sql, caller.clone());
        let permit = self.admitted(&mut recording).await?;
        let (engine, rows, request) = (Arc::clone(&self.engine), rows.to_vec(), request.clone());
        detached(&self.workers, recording, permit, async move {
            let statement = parse(&request.sql, &request.session)?;
            let wanted = parameter_count(&statement);
            expect_values(wanted, rows.first().map_or(0, Vec::len))?;
            let change = engine
                .plan_change(&statement, &rows, OnBehalf::Of(&caller))
                .await?;
            let made = engine.make(change).await;
            made.map_err(|error| OnBehalf::Of(&caller).as_seen(error))
        })
        .await
    }

    /// Writes the rows that a client sends to a table, in one commit. The number of rows is returned, when it is known.
    ///
    /// # Errors
    /// As [`Queries::change`], and the first error among the batches: nothing is written then.
    pub async fn ingest<S>(
        self: &Arc<Self>,
        query_id: Uuid,
        ingest: &Ingest,
        in_schema: &str,
        schema: SchemaRef,
        batches: S,
        caller: Caller,
    ) -> Result<Option<u64>, EngineError>
    where
        S: Stream<Item = Result<RecordBatch, EngineError>> + Send,
    {
        let sql: Arc<str> = ingest.text().into();
        let mut recording = Recording::new(self, Kind::Change, query_id, &sql, caller);
        let permit = self.admitted(&mut recording).await?;
        let limit = self.stall_limit;
        let batches = tokio_stream::StreamExt::timeout(batches, limit);
        let batches =
            batches.map(|batch| batch.unwrap_or_else(|_| Err(EngineError::Stalled { limit })));
        let spooled = self
            .engine
            .spool(
                ingest,
                in_schema,
                schema,
                batches,
                OnBehalf::Of(&recording.caller),
            )
            .await;
        let spooled = match spooled {
            Ok(spooled) => spooled,
            Err(error) => {
                recording.failed(&error);
                return Err(error);
            }
        };
        let engine = Arc::clone(&self.engine);
        detached(&self.workers, recording, permit, async move {
            engine.ingest(spooled).await
        })
        .await
    }

    /// Waits for a place; a query that does not get one has ended.
    async fn admitted(&self, recording: &mut Recording) -> Result<Permit, EngineError> {
        let entered = self.admission.enter(&recording.caller.principal);
        let entered = tokio::select! {
            entered = entered => entered,
            () = recording.end.cancelled() => Err(EngineError::Cancelled),
        };
        match entered {
            Ok(permit) => {
                recording.admitted = Some(Instant::now());
                Ok(permit)
            }
            Err(error) => {
                recording.failed(&error);
                Err(error)
            }
        }
    }

    /// Runs a query that was planned. It waits for its turn; it ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) when too many queries wait already; otherwise what running shows.
    pub async fn run(
        self: &Arc<Self>,
        query_id: Uuid,
        ready: Ready,
        caller: Caller,
    ) -> Result<Rows, EngineError> {
        let sql = &ready.request.sql;
        let mut recording = Recording::new(self, Kind::Query, query_id, sql, caller);
        let permit = self.admitted(&mut recording).await?;
        match self.workers.apart(start(ready.planned)).await {
            Ok((plan, stream)) => {
                recording.plan = Some(plan);
                Ok(self.rows(stream, permit, recording))
            }
            Err(error) => {
                recording.failed(&error);
                Err(error)
            }
        }
    }

    /// The rows of a query, which can be ended although nobody asks for them.
    fn rows(
        &self,
        stream: SendableRecordBatchStream,
        permit: Permit,
        recording: Recording,
    ) -> Rows {
        let (serial, end) = (recording.serial, recording.end.clone());
        let rows = Rows::new(stream, permit, recording, end);
        if let Some(running) = self.running().get_mut(&serial) {
            running.rows = Some(rows.handle());
        }
        rows
    }
}

type Started = (Arc<dyn ExecutionPlan>, SendableRecordBatchStream);

async fn start(planned: Planned) -> Result<Started, EngineError> {
    let Planned { session, plan, .. } = planned;
    let plan = session.state().create_physical_plan(&plan).await;
    let plan = plan.map_err(EngineError::from_execution)?;
    let rows = workers::rows_of(Arc::clone(&plan), session.task_ctx())?;
    Ok((plan, rows))
}

/// Makes a change to its end, also when the client goes away: it is made and recorded, or neither.
fn detached<F>(
    workers: &Workers,
    mut recording: Recording,
    permit: Permit,
    made: F,
) -> impl Future<Output = Result<Option<u64>, EngineError>>
where
    F: Future<Output = Result<Option<u64>, EngineError>> + Send + 'static,
{
    let made = Box::pin(made);
    workers.apart(async move {
        let made = made.await;
        drop(permit);
        recording.conclude(made)
    })
}
