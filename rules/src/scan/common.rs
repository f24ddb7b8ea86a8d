//! Expressions that are evaluated once a batch, and what they have in common once too.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::physical_expr::PhysicalExpr;
use tracing::debug;

use super::guarded;
use crate::plan::Trouble;

/// Expressions over the same columns.
#[derive(Debug)]
pub(super) struct Expressions {
    /// Each as it is, or why it does not fit the columns.
    whole: Vec<Result<Arc<dyn PhysicalExpr>, Trouble>>,
    /// Each over what it has in common with others; none when it has nothing.
    split: Vec<Option<Part>>,
    /// What they have in common, in layers: a part needs only those of the layers before.
    layers: Vec<Layer>,
}

/// An expression over the columns and common parts, and which of these it needs.
#[derive(Debug)]
struct Part {
    expr: Arc<dyn PhysicalExpr>,
    needs: Vec<usize>,
}

#[derive(Debug)]
struct Layer {
    parts: Vec<Part>,
    /// The columns, and the common parts up to these.
    schema: SchemaRef,
}

impl Expressions {
    pub(super) fn new(
        exprs: &[&Expr],
        arrow_schema: &SchemaRef,
        state: &SessionState,
    ) -> Result<Self, Trouble> {
        let schema = DFSchema::try_from(Arc::clone(arrow_schema))?;
        let prepare = |expr: &&Expr| Ok(state.create_physical_expr((*expr).clone(), &schema)?);
        let whole: Vec<Result<_, Trouble>> = exprs.iter().map(prepare).collect();
        let mut expressions = Self {
            split: whole.iter().map(|_| None).collect(),
            whole,
            layers: Vec::new(),
        };
        if let Err(error) = expressions.share(exprs, arrow_schema, state) {
            // It costs time, and changes no answer.
            debug!(%error, "what expressions have in common is evaluated in each of them");
            expressions.split.fill_with(|| None);
            expressions.layers.clear();
        }
        Ok(expressions)
    }

    /// The expression at a place, or why it does not fit the columns.
    pub(super) fn get(&self, place: usize) -> Result<&Arc<dyn PhysicalExpr>, Trouble> {
        let expr = self.whole.get(place);
        let expr = expr.ok_or_else(|| Trouble::new("bug: there is no such expression"))?;
        expr.as_ref().map_err(Clone::clone)
    }

    /// Finds what the expressions that fit have in common.
    fn share(
        &mut self,
        exprs: &[&Expr],
        arrow_schema: &SchemaRef,
        state: &SessionState,
    ) -> Result<(), DataFusionError> {
        let is_computed = |expr: &Expr| !matches!(expr, Expr::Column(_) | Expr::Literal(..));
        let is_shared = |expr: &Expr| is_computed(expr) && is_shallow(expr);
        let is_shared = |place: &usize| self.whole[*place].is_ok() && is_shared(exprs[*place]);
        let places: Vec<usize> = (0..exprs.len()).filter(is_shared).collect();
        if places.is_empty() {
            return Ok(());
        }
        let schema = DFSchema::try_from(Arc::clone(arrow_schema))?;
        let columns = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(schema),
        });
        // The columns of a projection have names of their own.
        let named = |(number, place): (usize, &usize)| exprs[*place].clone().alias(name(number));
        let named = places.iter().enumerate().map(named).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(named, Arc::new(columns))?);
        let plan = CommonSubexprEliminate::new().rewrite(plan, state)?.data;
        let mut projections = Vec::new();
        let mut plan = &plan;
        while let LogicalPlan::Projection(projection) = plan {
            projections.push(&projection.expr);
            plan = &projection.input;
        }
        let Some((split, layers)) = projections.split_first() else {
            return Ok(());
        };
        let mut building = Building {
            schema: Arc::clone(arrow_schema),
            own_columns: arrow_schema.fields().len(),
            state,
        };
        for exprs in layers.iter().rev() {
            self.layers.extend(building.layer(exprs)?);
        }
        for (place, expr) in std::iter::zip(places, *split) {
            let part = building.part(expr)?;
            if !part.needs.is_empty() {
                self.split[place] = Some(part);
            }
        }
        Ok(())
    }

    /// The values of the expressions over a batch.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Vec<Result<ArrayRef, Trouble>> {
        let mut has_failed = Vec::new();
        let shared = self.layers.iter().try_fold(batch.clone(), |batch, layer| {
            let mut columns = batch.columns().to_vec();
            let mut failed = Vec::new();
            for (part, field) in layer
                .parts
                .iter()
                .zip(&layer.schema.fields()[columns.len()..])
            {
                let found = match part.lacks(&has_failed) {
                    true => None,
                    false => values(&part.expr, &batch).ok(),
                };
                failed.push(found.is_none());
                let none = || new_null_array(field.data_type(), batch.num_rows());
                columns.push(found.unwrap_or_else(none));
            }
            has_failed.extend(failed);
            RecordBatch::try_new(Arc::clone(&layer.schema), columns).ok()
        });
        let each = std::iter::zip(&self.whole, &self.split);
        let evaluate = |(whole, split): (&Result<_, Trouble>, &Option<Part>)| {
            // What fails in another expression may be guarded in this one.
            let split = split.as_ref().filter(|part| !part.lacks(&has_failed));
            match (split, &shared) {
                (Some(part), Some(shared)) => values(&part.expr, shared),
                _ => values(whole.as_ref().map_err(Clone::clone)?, batch),
            }
        };
        each.map(evaluate).collect()
    }
}

impl Part {
    /// Whether something that it needs could not be evaluated.
    fn lacks(&self, has_failed: &[bool]) -> bool {
        let has_failed = |common: &usize| has_failed.get(*common).copied().unwrap_or(true);
        self.needs.iter().any(has_failed)
    }
}

/// Deeper expressions are left alone: names are made of them by functions that call themselves.
const MOST_LEVELS: usize = 100;

fn is_shallow(expr: &Expr) -> bool {
    let mut waiting = vec![(expr, 1)];
    while let Some((expr, level)) = waiting.pop() {
        if level > MOST_LEVELS {
            return false;
        }
        let visited = expr.apply_children(|child| {
            waiting.push((child, level + 1));
            Ok(TreeNodeRecursion::Continue)
        });
        if visited.is_err() {
            return false;
        }
    }
    true
}

fn name(number: usize) -> String {
    format!("__lakegate_{number}")
}

/// What expressions have in common, while it is put together.
struct Building<'a> {
    schema: SchemaRef,
    own_columns: usize,
    state: &'a SessionState,
}

impl Building<'_> {
    fn part(&self, expr: &Expr) -> Result<Part, DataFusionError> {
        let columns = expr.column_refs();
        let places = columns
            .iter()
            .map(|column| self.schema.index_of(&column.name));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let common = |place: usize| place.checked_sub(self.own_columns);
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        Ok(Part {
            expr: self.state.create_physical_expr(expr.clone(), &schema)?,
            needs: places.into_iter().filter_map(common).collect(),
        })
    }

    /// The layer of a projection; none when it only passes columns on.
    fn layer(&mut self, exprs: &[Expr]) -> Result<Option<Layer>, DataFusionError> {
        let mut fields: Vec<Field> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        let mut parts = Vec::new();
        for expr in exprs {
            if let Expr::Alias(alias) = expr {
                let part = self.part(&alias.expr)?;
                let data_type: DataType = part.expr.data_type(&self.schema)?;
                fields.push(Field::new(&alias.name, data_type, true));
                parts.push(part);
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        self.schema = Arc::new(Schema::new(fields));
        let schema = Arc::clone(&self.schema);
        Ok(Some(Layer { parts, schema }))
    }
}

/// The values of an expression over a batch.
fn values(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef, Trouble> {
    guarded(|| Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf, lit, when};

    use super::*;
    use crate::plan::column;
    use crate::tests::session;

    fn batch(name: &str) -> RecordBatch {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(0)]));
        RecordBatch::try_from_iter([(name, values)]).unwrap()
    }

    fn expressions(exprs: &[Expr], batch: &RecordBatch) -> Expressions {
        let exprs: Vec<&Expr> = exprs.iter().collect();
        Expressions::new(&exprs, &batch.schema(), &session().state()).unwrap()
    }

    fn trues(found: &Result<ArrayRef, Trouble>) -> Option<usize> {
        let found = found.as_ref().ok()?;
        Some(found.as_boolean().true_count())
    }

    #[test]
    fn what_expressions_have_in_common_is_evaluated_once() {
        for name in ["x", "__common_expr_1", "__lakegate_0", "a.\"b"] {
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let plus_one = move |args: &[ColumnarValue]| {
                counted.fetch_add(1, Ordering::Relaxed);
                let arrays = ColumnarValue::values_to_arrays(args)?;
                let sums = arrays[0]
                    .as_primitive::<Int64Type>()
                    .unary::<_, Int64Type>(|v| v + 1);
                Ok(ColumnarValue::Array(Arc::new(sums)))
            };
            let (int, volatility) = (DataType::Int64, Volatility::Immutable);
            let plus_one = create_udf(
                "plus_one",
                vec![int.clone()],
                int,
                volatility,
                Arc::new(plus_one),
            );
            let of = |expr: Expr| plus_one.call(vec![expr]);
            let one = || of(column(name));
            let two = || of(one() * lit(2_i64));
            let batch = batch(name);
            let exprs = [
                one().gt(lit(1_i64)),
                one().lt(lit(3_i64)),
                two().gt(lit(3_i64)),
                two().is_null(),
                one(),
            ];
            let expressions = expressions(&exprs, &batch);
            let found = expressions.evaluate(&batch);
            let trues: Vec<_> = found[..4].iter().map(trues).collect();
            assert_eq!(trues, [Some(1), Some(1), Some(1), Some(1)], "{name}");
            // Unless the names that are given to them are taken.
            let expected = if name == "__common_expr_1" { 7 } else { 2 };
            assert_eq!(calls.load(Ordering::Relaxed), expected, "{name}");
        }
    }

    #[test]
    fn expression_that_guards_against_a_failure_does_not_fail_with_others() {
        let share = || lit(10_i64) / column("x");
        let is_positive = || share().gt(lit(0_i64));
        let is_set = column("x").not_eq(lit(0_i64));
        let guarded = when(is_set, is_positive()).otherwise(lit(true)).unwrap();
        let batch = batch("x");
        let exprs = [guarded, is_positive(), share().lt(lit(0_i64)), column("y")];
        let expressions = expressions(&exprs, &batch);
        assert!(!expressions.layers.is_empty());
        let found = expressions.evaluate(&batch);
        assert_eq!(trues(&found[0]), Some(3), "{found:?}");
        assert!(found[1..].iter().all(Result::is_err), "{found:?}");
    }
}
