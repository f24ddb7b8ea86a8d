//! Keys of joins, found in conditions, where nulls are equal for some and not for others.
//!
//! A join has one answer to whether nulls are equal, for all of its keys. With `IS NOT DISTINCT FROM` they are, and two of
//! DataFusion's rules then take an `=` that they find later, in a `WHERE`, for another such key. Here it stays a condition.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// A rule that does not add to the keys of a join whose nulls are equal.
#[derive(Debug)]
pub(crate) struct JoinKeys(pub(crate) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for JoinKeys {
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
        // A rule that is given one node at a time looks at nothing below it.
        let has_equal_nulls = match self.0.apply_order() {
            Some(_) => has_equal_nulls(&plan),
            None => plan.exists(|plan| Ok(is_inner(plan) && has_equal_nulls(plan)))?,
        };
        match has_equal_nulls {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

fn has_equal_nulls(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Join(join) = plan else {
        return false;
    };
    join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty()
}

fn is_inner(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.join_type == JoinType::Inner)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn nulls_are_equal_where_that_is_said_alone() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE a AS SELECT * FROM (VALUES (1, 'a'), (NULL, 'b'), (3, NULL), (NULL, NULL)) AS t(k, s)",
                "CREATE TABLE b AS SELECT * FROM a",
            ])
            .await;
        for (sql, rows) in [
            (
                "a JOIN b ON a.k IS NOT DISTINCT FROM b.k WHERE a.s = b.s",
                2,
            ),
            ("a JOIN b ON a.k IS NOT DISTINCT FROM b.k AND a.s = b.s", 2),
            ("a, b WHERE a.k IS NOT DISTINCT FROM b.k AND a.s = b.s", 2),
            (
                "a JOIN b ON a.k IS NOT DISTINCT FROM b.k AND a.s IS NOT DISTINCT FROM b.s",
                4,
            ),
        ] {
            let sql = format!("SELECT count(*) AS n FROM {sql}");
            let answer = fixture.answer(&sql).await.unwrap();
            assert!(answer.contains(&format!("| {rows} |")), "{sql}: {answer}");
        }
    }
}
