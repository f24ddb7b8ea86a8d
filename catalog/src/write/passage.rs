//! A plan whose rows pass through something of ours on their way into files.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// What rows pass through. The rows stay as they are.
pub(super) trait Passage: fmt::Debug + Send + Sync + 'static {
    /// What becomes of an error of planning or starting the rows.
    fn failed(&self, error: DataFusionError) -> DataFusionError {
        error
    }

    /// The rows of one partition, with what happens to them on the way.
    fn pass(&self, partition: usize, rows: SendableRecordBatchStream) -> SendableRecordBatchStream;
}

/// The plan, with its rows passing through.
pub(super) fn through(plan: LogicalPlan, passage: Arc<dyn Passage>) -> Result<LogicalPlan> {
    let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
    let provider = PassingRows {
        schema,
        plan,
        passage,
    };
    LogicalPlanBuilder::scan("source", provider_as_source(Arc::new(provider)), None)?.build()
}

#[derive(Debug)]
struct PassingRows {
    plan: LogicalPlan,
    schema: SchemaRef,
    passage: Arc<dyn Passage>,
}

#[async_trait]
impl TableProvider for PassingRows {
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
            .map_err(|error| self.passage.failed(error))?;
        Ok(Arc::new(PassageExec {
            input,
            passage: Arc::clone(&self.passage),
        }))
    }
}

#[derive(Debug)]
struct PassageExec {
    input: Arc<dyn ExecutionPlan>,
    passage: Arc<dyn Passage>,
}

impl DisplayAs for PassageExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassageExec")
    }
}

impl ExecutionPlan for PassageExec {
    fn name(&self) -> &'static str {
        "PassageExec"
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
            passage: Arc::clone(&self.passage),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self
            .input
            .execute(partition, context)
            .map_err(|error| self.passage.failed(error))?;
        Ok(self.passage.pass(partition, rows))
    }
}
