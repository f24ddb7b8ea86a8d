//! Filters on their way down through a plan, where columns have one name.
//!
//! DataFusion finds the column of a filter in the plan below by its name, and of two with one name takes the first: of
//! `a JOIN b .. JOIN c ON c.x = b.id`, what is known of `b.id` was asked of `a.id`, and rows were missing. Filters move within
//! parts of a plan whose nodes have no such names, and not through others.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

/// A rule that moves filters within parts of a plan in which no name repeats.
#[derive(Debug)]
pub(crate) struct NamesOnce(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for NamesOnce {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match self.parts(plan, config)? {
            Part::NamesOnce(whole) => self.0.optimize(whole, config),
            Part::Optimized(plan) => Ok(plan),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// What became of a part of a plan.
enum Part {
    /// Nothing: none of its nodes has a name twice.
    NamesOnce(Arc<dyn ExecutionPlan>),
    /// Those below it that have no name twice were optimized, each by itself.
    Optimized(Arc<dyn ExecutionPlan>),
}

impl NamesOnce {
    fn parts(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Part> {
        let children = plan.children().into_iter();
        let children = children.map(|child| self.parts(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        let is_whole = children
            .iter()
            .all(|child| matches!(child, Part::NamesOnce(_)));
        if is_whole && has_names_once(&plan) {
            return Ok(Part::NamesOnce(plan));
        }
        let children = children.into_iter().map(|child| match child {
            Part::NamesOnce(whole) => self.0.optimize(whole, config),
            Part::Optimized(plan) => Ok(plan),
        });
        let children = children.collect::<Result<Vec<_>>>()?;
        Ok(Part::Optimized(replace_children_if_necessary(
            plan, children,
        )?))
    }
}

fn has_names_once(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    schema
        .fields()
        .iter()
        .all(|field| names.insert(field.name()))
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn filters_ask_their_own_columns() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE a AS SELECT * FROM (VALUES (100, 1), (101, 2), (102, 3)) AS t(id, k)",
                "CREATE TABLE b AS SELECT * FROM (VALUES (1, 1), (2, 2), (3, 3)) AS t(id, k)",
                "CREATE TABLE c AS SELECT * FROM (VALUES (1, 7), (3, 8)) AS t(b_id, u)",
                "CREATE TABLE d AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, 30)) AS t(k, w)",
                "CREATE TABLE e AS SELECT * FROM (VALUES (1, 1), (2, 0), (3, 5)) AS t(id, v)",
                "CREATE TABLE f AS SELECT * FROM (VALUES (1, 0), (2, 9), (4, 7), (5, NULL)) AS t(id, v)",
            ])
            .await;
        for (sql, rows) in [
            (
                "SELECT a.id, b.id, d.w, c.u FROM a JOIN b ON a.k = b.k JOIN d ON d.k = a.k JOIN c ON c.b_id = b.id",
                2,
            ),
            (
                "SELECT f.id FROM e RIGHT JOIN f ON e.id = f.id WHERE coalesce(e.id, 0) > 0",
                2,
            ),
            (
                "SELECT f.id FROM e RIGHT JOIN f ON e.id = f.id WHERE nullif(e.id, 2) IS NOT NULL",
                1,
            ),
            (
                "SELECT e.id, f.id FROM f LEFT JOIN e ON e.id = f.id WHERE coalesce(e.id, 0) > 0",
                2,
            ),
        ] {
            let answer = fixture.answer(sql).await.expect(sql);
            // Three lines are drawn around them, and one has names.
            assert_eq!(answer.lines().count(), rows + 4, "{sql}: {answer}");
        }
    }

    #[tokio::test]
    async fn rows_are_filtered_while_reading_where_a_value_is_looked_for() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&["CREATE TABLE t AS SELECT 1 AS id, 'a' AS name, 2 AS amount"])
            .await;
        for (condition, is_while_reading) in [("id = 1", true), ("id > 0", false)] {
            let sql = format!("EXPLAIN SELECT * FROM t WHERE {condition}");
            let plan = fixture.answer(&sql).await.unwrap();
            assert_eq!(!plan.contains("FilterExec"), is_while_reading, "{plan}");
        }
    }
}
