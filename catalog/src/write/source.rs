//! The rows of a write: values that Delta would change are refused, and the first error is kept as it is.
//!
//! delta-rs turns the errors of its input into text. What the input says (which line of which file) is kept here, so
//! that the caller gets it whole.

mod values;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use self::values::Limits;
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
    let provider = Source {
        limits: Arc::new(Limits::new(table, &schema, partition_by)),
        schema,
        plan,
        errors: errors.clone(),
    };
    LogicalPlanBuilder::scan("source", provider_as_source(Arc::new(provider)), None)?.build()
}

#[derive(Debug)]
struct Source {
    plan: LogicalPlan,
    schema: SchemaRef,
    limits: Arc<Limits>,
    errors: FirstError,
}

#[async_trait]
impl TableProvider for Source {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(columns) = projection {
            plan = plan.select(columns.iter().copied())?;
        }
        let plan = plan.limit(0, limit)?.build()?;
        let input = state
            .create_physical_plan(&plan)
            .await
            .map_err(|error| self.errors.keep(error))?;
        Ok(Arc::new(KeepErrorExec {
            input,
            limits: Arc::clone(&self.limits),
            errors: self.errors.clone(),
        }))
    }
}

#[derive(Debug)]
struct KeepErrorExec {
    input: Arc<dyn ExecutionPlan>,
    limits: Arc<Limits>,
    errors: FirstError,
}

impl DisplayAs for KeepErrorExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepErrorExec")
    }
}

impl ExecutionPlan for KeepErrorExec {
    fn name(&self) -> &'static str {
        "KeepErrorExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return Ok(self);
        };
        Ok(Arc::new(Self {
            input,
            limits: Arc::clone(&self.limits),
            errors: self.errors.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let errors = self.errors.clone();
        let input = self
            .input
            .execute(partition, context)
            .map_err(|error| errors.keep(error))?;
        let schema = input.schema();
        let limits = Arc::clone(&self.limits);
        let rows = input.map(move |batch| {
            batch
                .and_then(|batch| limits.check(&batch).map(|()| batch))
                .map_err(|error| errors.keep(error))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
