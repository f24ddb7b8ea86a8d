//! The rows of a write: values that Delta would change are refused, and the first error is kept as it is.
//!
//! delta-rs turns the errors of its input into text. What the input says (which line of which file) is kept here, so
//! that the caller gets it whole.

mod values;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use self::values::Limits;
pub(super) use self::values::{has_limits, text_like_null};
use super::passage::{Passage, through};
use crate::TableName;

/// The first error of a write's input.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstError(Arc<Mutex<Option<Arc<DataFusionError>>>>);

impl FirstError {
    pub(super) fn take(&self) -> Option<Arc<DataFusionError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the error when it is the first, and gives back one that shares it.
    fn keep(&self, error: DataFusionError) -> DataFusionError {
        let error = Arc::new(error);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| Arc::clone(&error));
        DataFusionError::Shared(error)
    }
}

/// A plan whose errors are kept.
pub(super) fn keeping_errors(
    plan: LogicalPlan,
    table: &TableName,
    partition_by: &[String],
    errors: &FirstError,
) -> Result<LogicalPlan> {
    let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
    let source = Source {
        limits: Arc::new(Limits::new(table, &schema, partition_by)),
        errors: errors.clone(),
    };
    through(plan, Arc::new(source))
}

/// As [`keeping_errors`], for rows that are not those of the table: their values are looked at when they are assigned.
pub(super) fn keeping_errors_of_any_rows(
    plan: LogicalPlan,
    table: &TableName,
    errors: &FirstError,
) -> Result<LogicalPlan> {
    let source = Source {
        limits: Arc::new(Limits::none(table)),
        errors: errors.clone(),
    };
    through(plan, Arc::new(source))
}

#[derive(Debug)]
struct Source {
    limits: Arc<Limits>,
    errors: FirstError,
}

impl Passage for Source {
    fn failed(&self, error: DataFusionError) -> DataFusionError {
        self.errors.keep(error)
    }

    fn pass(&self, _: usize, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let errors = self.errors.clone();
        let limits = Arc::clone(&self.limits);
        let schema = rows.schema();
        let rows = rows.map(move |batch| {
            batch
                .and_then(|batch| limits.check(&batch).map(|()| batch))
                .map_err(|error| errors.keep(error))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}
