//! Plans without what they say of the machine: of the paths of files, clients see the names.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::StreamExt;

/// What the names of data files end with.
const DATA_FILE: &str = ".parquet";

/// DataFusion's planner; the plans that an EXPLAIN shows name files without their folders.
#[derive(Debug)]
pub(crate) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::default();
        let physical = planner.create_physical_plan(plan, session).await?;
        Ok(match plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => {
                Arc::new(WithoutFolders { input: physical })
            }
            _ => physical,
        })
    }
}

#[derive(Debug)]
struct WithoutFolders {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for WithoutFolders {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithoutFolders")
    }
}

impl ExecutionPlan for WithoutFolders {
    fn name(&self) -> &'static str {
        "WithoutFolders"
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

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self { input }),
            None => self,
        })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        let rows = rows.map(|batch| {
            let batch = batch?;
            let columns = batch.columns().iter().map(of_column);
            Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn of_column(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            let texts: StringArray = texts.map(|text| text.map(without_folders)).collect();
            Arc::new(texts)
        }
        _ => Arc::clone(column),
    }
}

/// The text, with paths of data files cut to their names.
fn without_folders(text: &str) -> String {
    // Not at spaces, which folders may have in their names.
    let is_end = |c: char| matches!(c, '\n' | '[' | ']' | ',' | '(' | ')' | '\'' | '"');
    let mut short = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let path = word.find(DATA_FILE).map(|end| &word[..end]);
        let folder = path.and_then(|path| path.rfind('/'));
        short.push_str(&word[folder.map_or(0, |slash| slash + 1)..]);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn paths_of_data_files_are_cut_to_their_names() {
        for (text, short) in [
            (
                "file_groups={2 groups: [[home/me/my lake/t/d=1/a.parquet:0..9], [home/b.zstd.parquet]]}",
                "file_groups={2 groups: [[a.parquet:0..9], [b.zstd.parquet]]}",
            ),
            ("a / b", "a / b"),
            ("", ""),
        ] {
            assert_eq!(without_folders(text), short);
        }
    }

    #[tokio::test]
    async fn plan_names_no_folder_of_the_server() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&["CREATE TABLE t (a BIGINT)", "INSERT INTO t VALUES (1), (2)"])
            .await;
        for sql in [
            "EXPLAIN SELECT * FROM t WHERE a > 1",
            "EXPLAIN VERBOSE SELECT * FROM t WHERE a > 1",
            "EXPLAIN ANALYZE SELECT * FROM t WHERE a > 1",
            "EXPLAIN ANALYZE VERBOSE SELECT * FROM t WHERE a > 1",
            "EXPLAIN FORMAT TREE SELECT * FROM t WHERE a > 1",
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(!answer.contains("warehouse"), "{sql}: {answer}");
        }
        let answer = fixture.answer("EXPLAIN SELECT * FROM t").await.unwrap();
        assert!(answer.contains(".parquet"), "{answer}");
    }
}
