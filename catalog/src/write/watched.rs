//! Lets the judge watch the rows of a write.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use futures::{StreamExt, TryStreamExt};

use super::Write;
use super::passage::{Passage, through};
use crate::gate::{RowWatch, WriteWatch};
use crate::table::GatedTable;
use crate::{Catalog, CatalogError, RulesText, attach};

impl Catalog {
    /// The plan of rows that become all the rows of the files which the write adds, watched for the rules that will
    /// judge it.
    pub(super) async fn watch_rows(
        &self,
        table: &GatedTable,
        write: &Write,
        plan: LogicalPlan,
    ) -> Result<LogicalPlan, CatalogError> {
        let Some(judge) = self.judge() else {
            return Ok(plan);
        };
        let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let mut watchers = Vec::new();
        for rules in load_rules(table, write).await? {
            if let Some(watcher) = judge.watcher(&write.table, &rules, &schema).await {
                watchers.push((rules.sha256, watcher));
            }
        }
        if watchers.is_empty() {
            return Ok(plan);
        }
        let watch = Arc::new(WriteWatch::new(watchers, schema));
        table.gate.watch(Arc::clone(&watch));
        through(plan, Arc::new(Watched(watch))).map_err(|error| {
            CatalogError::failed(
                format!("the source of `{}` cannot be planned", write.table),
                error,
            )
        })
    }
}

/// The rules by which the write will be judged: those that it brings, and those attached to the table.
async fn load_rules(table: &GatedTable, write: &Write) -> Result<Vec<RulesText>, CatalogError> {
    let mut judging: Vec<RulesText> = write.context.attach.iter().cloned().collect();
    if table.exists
        && let Some(attached) = table.columns()?.rules_sha256()
        && judging.iter().all(|brought| brought.sha256 != attached)
    {
        let log_store = table.table.log_store();
        judging.push(attach::load_rules(&log_store, &table.gate.table(), attached).await?);
    }
    Ok(judging)
}

#[derive(Debug)]
struct Watched(Arc<WriteWatch>);

/// One partition on its way: the watchers are gone when it is over.
struct Watching {
    rows: SendableRecordBatchStream,
    watch: Arc<WriteWatch>,
    watchers: Vec<Box<dyn RowWatch>>,
    count: u64,
}

impl Passage for Watched {
    fn pass(&self, partition: usize, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let Some(watchers) = self.0.begin(partition, &schema) else {
            return rows;
        };
        let watching = Watching {
            rows,
            watch: Arc::clone(&self.0),
            watchers,
            count: 0,
        };
        let watched = stream::try_unfold(watching, |mut watching| async move {
            let Some(batch) = watching.rows.try_next().await? else {
                watching.watchers.into_iter().for_each(RowWatch::finish);
                watching.watch.end(watching.count);
                return Ok(None);
            };
            watching.count += batch.num_rows() as u64;
            for watcher in &mut watching.watchers {
                watcher.observe(&batch);
            }
            Ok(Some((batch, watching)))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, watched.fuse()))
    }
}

#[cfg(test)]
mod tests;
