//! The threads on which statements are planned and run.
//!
//! An operator may compute for long without a pause. Who talks to clients must not wait for it, and has threads of its own.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::EngineError;

/// Bytes of stack for each thread that plans or runs: what the deepest SQL that is read takes, with frames as large as
/// those of debug builds. Only what is used becomes memory.
pub const WORKER_STACK_BYTES: usize = 64 << 20;

/// Batches that are computed before a client takes them.
const BATCHES_AHEAD: usize = 2;

/// Threads, one a core, and further ones for what does not pause. What they do is left when they are dropped.
pub(crate) struct Workers(Option<Runtime>);

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

impl Workers {
    /// # Errors
    /// When the system has no threads left.
    pub(crate) fn start() -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("lakegate-query")
            .thread_stack_size(WORKER_STACK_BYTES)
            .build();
        let runtime = runtime.map_err(|error| EngineError::Failed {
            message: "threads for queries cannot be started".to_owned(),
            source: Box::new(error),
            hint: None,
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something that does not pause on a thread of its own, to its end; what it begins beside it is done by the others.
    pub(crate) fn apart<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, EngineError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let runtime = self.0.as_ref().map(Runtime::handle).cloned();
        async move {
            let runtime =
                runtime.ok_or_else(|| EngineError::Bug("no threads are left".to_owned()))?;
            let entered = runtime.clone();
            let task = runtime.spawn_blocking(move || entered.block_on(work));
            let done = task.await;
            done.unwrap_or_else(|error| Err(EngineError::Bug(error.to_string())))
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The rows of a plan, which are computed where this is called, and not where they are asked for. Dropping them ends it.
///
/// # Errors
/// When the plan cannot be begun.
pub(crate) fn rows_of(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream, EngineError> {
    let mut rows = RecordBatchReceiverStream::builder(plan.schema(), BATCHES_AHEAD);
    let computed = execute_stream(plan, context).map_err(EngineError::from_execution)?;
    let sender = rows.tx();
    rows.spawn(async move {
        let mut computed = computed;
        while let Some(batch) = computed.next().await {
            let is_last = batch.is_err();
            if sender.send(batch).await.is_err() || is_last {
                break;
            }
        }
        Ok(())
    });
    Ok(rows.build())
}
