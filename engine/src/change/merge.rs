//! `MERGE INTO`: rows of a query are merged into a table.
//!
//! DataFusion's planner gives the query, the condition and the clauses; here they become what the catalog carries out,
//! in which columns of the query have names of their own.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError};
use datafusion::logical_expr::dml::{
    MergeIntoAction, MergeIntoClause, MergeIntoClauseKind, MergeIntoOp,
};
use datafusion::logical_expr::{DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder};
use lakegate_catalog::{MergeClause, MergeRows, RowMerge};

use super::{has_subquery, not_supported};
use crate::EngineError;

/// What a MERGE does.
pub(super) fn row_merge(dml: &DmlStatement, merge: &MergeIntoOp) -> Result<RowMerge, EngineError> {
    if merge.exprs().into_iter().any(has_subquery) {
        return Err(not_supported(
            "a subquery in the conditions or values of a MERGE",
        ));
    }
    let source = Source {
        dml,
        schema: dml.input.schema(),
    };
    let clauses = merge.clauses.iter().map(|clause| source.clause(clause));
    Ok(RowMerge {
        source: source.rows().map_err(EngineError::from_planning)?,
        on: source.expr(&merge.on)?,
        clauses: clauses.collect::<Result<_, _>>()?,
    })
}

/// The query of a MERGE.
struct Source<'a> {
    dml: &'a DmlStatement,
    schema: &'a DFSchema,
}

impl Source<'_> {
    /// Its rows, with columns that are named by their numbers: names may repeat, or differ by case alone.
    fn rows(&self) -> Result<LogicalPlan, DataFusionError> {
        let columns = self.schema.columns().into_iter().enumerate();
        let named = columns.map(|(index, column)| Expr::Column(column).alias(name(index)));
        LogicalPlanBuilder::from(LogicalPlan::clone(&self.dml.input))
            .project(named)?
            .build()
    }

    fn clause(&self, clause: &MergeIntoClause) -> Result<MergeClause, EngineError> {
        let MergeIntoClause {
            kind,
            predicate,
            action,
        } = clause;
        let rows = match (kind, action) {
            (MergeIntoClauseKind::Matched, MergeIntoAction::Update(set)) => {
                MergeRows::UpdateMatched(self.set(set)?)
            }
            (MergeIntoClauseKind::Matched, MergeIntoAction::Delete) => MergeRows::DeleteMatched,
            (MergeIntoClauseKind::NotMatchedBySource, MergeIntoAction::Update(set)) => {
                MergeRows::UpdateOthers(self.set(set)?)
            }
            (MergeIntoClauseKind::NotMatchedBySource, MergeIntoAction::Delete) => {
                MergeRows::DeleteOthers
            }
            (
                MergeIntoClauseKind::NotMatched | MergeIntoClauseKind::NotMatchedByTarget,
                MergeIntoAction::Insert { columns, values },
            ) => {
                let columns = match columns.is_empty() {
                    true => {
                        let schema = self.dml.target.schema();
                        let fields = schema.fields().iter();
                        fields.map(|field| field.name().clone()).collect()
                    }
                    false => columns.clone(),
                };
                let values = values.iter().cloned();
                let set: Vec<(String, Expr)> = columns.into_iter().zip(values).collect();
                MergeRows::Insert(self.set(&set)?)
            }
            (kind, action) => {
                return Err(EngineError::Bug(format!(
                    "a MERGE that {kind:?} {action:?}"
                )));
            }
        };
        let when = predicate.as_ref().map(|expr| self.expr(expr)).transpose()?;
        let sees = match rows {
            MergeRows::UpdateMatched(_) | MergeRows::DeleteMatched => (true, true),
            MergeRows::Insert(_) => (true, false),
            MergeRows::UpdateOthers(_) | MergeRows::DeleteOthers => (false, true),
        };
        let values = match &rows {
            MergeRows::UpdateMatched(set)
            | MergeRows::Insert(set)
            | MergeRows::UpdateOthers(set) => set.as_slice(),
            MergeRows::DeleteMatched | MergeRows::DeleteOthers => &[],
        };
        for expr in values.iter().map(|(_, value)| value).chain(&when) {
            expect_sides(expr, sees)?;
        }
        Ok(MergeClause { when, rows })
    }

    fn set(&self, set: &[(String, Expr)]) -> Result<Vec<(String, Expr)>, EngineError> {
        let set = set.iter();
        set.map(|(column, value)| Ok((column.clone(), self.expr(value)?)))
            .collect()
    }

    /// An expression whose columns are those of the rows, or of the table.
    fn expr(&self, expr: &Expr) -> Result<Expr, EngineError> {
        let renamed = expr.clone().transform_up(|expr| {
            Ok(match expr {
                Expr::Column(column) => Transformed::yes(Expr::Column(self.column(&column)?)),
                // Names within an expression tell nobody anything, and delta-rs cannot write them down.
                Expr::Alias(alias) => Transformed::yes(*alias.expr),
                expr => Transformed::no(expr),
            })
        });
        Ok(renamed.map_err(EngineError::from_planning)?.data)
    }

    fn column(&self, column: &Column) -> Result<Column, DataFusionError> {
        if column.relation.as_ref() == Some(&self.dml.table_name) {
            return Ok(RowMerge::target_column(&column.name));
        }
        let index = self.schema.index_of_column(column)?;
        Ok(RowMerge::source_column(&name(index)))
    }
}

/// A row that has no partner has none of its values either: they would be null without a word.
fn expect_sides(expr: &Expr, (source, target): (bool, bool)) -> Result<(), EngineError> {
    for column in expr.column_refs() {
        let of_target = column.relation == RowMerge::target_column("").relation;
        let (is_seen, what) = match of_target {
            true => (target, "WHEN NOT MATCHED sees no row of the table"),
            false => (
                source,
                "WHEN NOT MATCHED BY SOURCE sees no row of the source",
            ),
        };
        if !is_seen {
            return Err(EngineError::invalid(
                what,
                None,
                "use columns of the side that has the row".to_owned(),
            ));
        }
    }
    Ok(())
}

fn name(index: usize) -> String {
    format!("c{index}")
}
