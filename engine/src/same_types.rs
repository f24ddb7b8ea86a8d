//! A rule of optimization that leaves a plan alone whose columns would get other types.
//!
//! DataFusion makes two groupings of one with `sum(amount)` and `count(DISTINCT id)`, and sums the sums of the first: of
//! decimals, the second sum has more digits than the plan has told everybody.

use std::iter::zip;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(crate) struct SameTypes(pub(crate) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SameTypes {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return self.0.rewrite(plan, config);
        }
        let rewritten = self.0.rewrite(plan.clone(), config)?;
        let (before, after) = (plan.schema().fields(), rewritten.data.schema().fields());
        let is_same =
            zip(before, after).all(|(before, after)| before.data_type() == after.data_type());
        Ok(match is_same && before.len() == after.len() {
            true => rewritten,
            false => Transformed::no(plan),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn sums_of_decimals_stand_beside_distinct_counts() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE t (g INT, d DECIMAL(10, 2), k INT)",
                "INSERT INTO t VALUES (1, 1.5, 1), (1, 2.5, 2), (1, 3, 2)",
            ])
            .await;
        for (sql, expected) in [
            (
                "SELECT sum(d) AS s, count(DISTINCT k) AS n FROM t",
                "| 7.00 | 2 |",
            ),
            (
                "SELECT * FROM (SELECT g, sum(d) AS s, count(DISTINCT k) AS n FROM t GROUP BY g) AS x WHERE s > 1",
                "| 1 | 7.00 | 2 |",
            ),
            (
                "SELECT sum(DISTINCT d) AS a, sum(d) AS b FROM t",
                "| 7.00 | 7.00 |",
            ),
            (
                "SELECT count(DISTINCT k) AS n, sum(k) AS s FROM t",
                "| 2 | 5 |",
            ),
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            assert!(answer.contains(expected), "{sql}: {answer}");
        }
    }
}
