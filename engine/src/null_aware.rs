//! `IN` and `NOT IN` of queries, refused where nulls would be taken for other values.
//!
//! Whether a value is in the rows of a query is not known when there is a null among them, or when it is one. DataFusion
//! knows that of `NOT IN` where it is all that a `WHERE` asks for, or one of several things that all have to be, and where its
//! query does not refer to the outer one. Elsewhere it takes what is not known for false.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

/// Refuses what DataFusion would answer wrongly. It changes no plan.
#[derive(Debug)]
pub(crate) struct NullAwareSubqueries;

impl AnalyzerRule for NullAwareSubqueries {
    fn name(&self) -> &str {
        "null_aware_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            match plan {
                LogicalPlan::Filter(filter) => {
                    for condition in split_conjunction(&filter.predicate) {
                        expect_of_condition(condition, &schema)?;
                    }
                }
                LogicalPlan::Projection(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Join(_) => {
                    plan.apply_expressions(|expr| {
                        expect_anywhere(expr, &schema)?;
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
                // Changes take no subqueries.
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

/// One of the things that a `WHERE` asks for.
fn expect_of_condition(condition: &Expr, schema: &DFSchema) -> Result<()> {
    let (found, is_negated) = match condition {
        Expr::InSubquery(found) => (found, found.negated),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(found) => (found, !found.negated),
            _ => return expect_anywhere(condition, schema),
        },
        _ => return expect_among_others(condition, schema),
    };
    let is_correlated = !found.subquery.outer_ref_columns.is_empty();
    if is_negated && is_correlated && has_nulls(found, schema) {
        return plan_err!(
            "`NOT IN` of a query that refers to the outer one is not supported where there may be nulls: write `NOT EXISTS (SELECT .. WHERE ..)`"
        );
    }
    Ok(())
}

/// A part of a condition of which it does not matter whether it is false or not known.
fn expect_among_others(condition: &Expr, schema: &DFSchema) -> Result<()> {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => {
            expect_among_others(left, schema)?;
            expect_among_others(right, schema)
        }
        Expr::InSubquery(found) if !found.negated => Ok(()),
        other => expect_anywhere(other, schema),
    }
}

/// An expression of which it matters whether it is false or not known.
fn expect_anywhere(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let has_nulls = expr
        .exists(|expr| Ok(matches!(expr, Expr::InSubquery(found) if has_nulls(found, schema))))?;
    if has_nulls {
        return plan_err!(
            "`IN` and `NOT IN` of a query are not supported here, where there may be nulls: they stand in a WHERE by themselves or beside AND, `IN` beside OR too; elsewhere write `EXISTS (SELECT .. WHERE ..)`"
        );
    }
    Ok(())
}

/// Whether it may not be known whether the value is in the query.
fn has_nulls(found: &InSubquery, schema: &DFSchema) -> bool {
    let columns = found.subquery.subquery.schema();
    let of_query = columns.fields().iter().any(|field| field.is_nullable());
    of_query || found.expr.nullable(schema).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn what_would_take_nulls_for_values_is_refused() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE a (id INT, x INT)",
                "CREATE TABLE b (x INT, g INT)",
                "INSERT INTO a VALUES (1, 1), (2, 2), (3, NULL)",
                "INSERT INTO b VALUES (1, 1), (NULL, 2)",
            ])
            .await;
        for (condition, rows) in [
            ("x IN (SELECT x FROM b)", Some(1)),
            ("x NOT IN (SELECT x FROM b)", Some(0)),
            ("NOT (x IN (SELECT x FROM b))", Some(0)),
            ("x NOT IN (SELECT x FROM b WHERE x IS NOT NULL)", Some(1)),
            ("x NOT IN (SELECT x FROM b) AND id > 0", Some(0)),
            ("x IN (SELECT x FROM b) OR id = 3", Some(2)),
            ("x IN (SELECT x FROM b WHERE g = id)", Some(1)),
            (
                "NOT EXISTS (SELECT 1 FROM b WHERE b.x = a.x) OR id = 9",
                Some(2),
            ),
            ("x NOT IN (SELECT x FROM b) OR id = 9", None),
            ("(x IN (SELECT x FROM b)) IS NULL", None),
            ("NOT (x IN (SELECT x FROM b) AND id > 0)", None),
            (
                "CASE WHEN x IN (SELECT x FROM b) THEN false ELSE true END",
                None,
            ),
            ("x NOT IN (SELECT x FROM b WHERE g = id)", None),
        ] {
            let answer = fixture
                .answer(&format!("SELECT id FROM a WHERE {condition}"))
                .await;
            match rows {
                Some(rows) => {
                    let answer = answer.expect(condition);
                    let found = answer
                        .lines()
                        .filter(|line| line.starts_with('|'))
                        .skip(1)
                        .count();
                    assert_eq!(found, rows, "{condition}: {answer}");
                }
                None => {
                    let error = answer.expect_err(condition).to_string();
                    assert!(error.contains("EXISTS"), "{condition}: {error}");
                }
            }
        }
        let error = fixture
            .answer("SELECT x IN (SELECT x FROM b) FROM a")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("EXISTS"), "{error}");
    }
}
