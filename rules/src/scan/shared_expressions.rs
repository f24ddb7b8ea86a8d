//! Expressions that are evaluated once a batch, and what they have in common once too.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, plan_err};
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
    whole: Vec<Result<Over, Trouble>>,
    /// Each over what it shares with others; none when it shares nothing.
    split: Vec<Option<Over>>,
    /// What they share. Each needs only those before it.
    shared: Vec<Shared>,
}

/// An expression over some of the columns, and of the shared values behind them.
#[derive(Debug)]
struct Over {
    expr: Arc<dyn PhysicalExpr>,
    places: Vec<usize>,
    schema: SchemaRef,
}

#[derive(Debug)]
struct Shared {
    over: Over,
    data_type: DataType,
}

impl Expressions {
    pub(super) fn new(exprs: &[&Expr], arrow_schema: &SchemaRef, state: &SessionState) -> Self {
        let fields: Vec<FieldRef> = arrow_schema.fields().iter().cloned().collect();
        let whole = |expr: &&Expr| Ok(Over::new(expr, &fields, state)?);
        Self {
            whole: exprs.iter().map(whole).collect(),
            split: exprs.iter().map(|_| None).collect(),
            shared: Vec::new(),
        }
    }

    /// The same, made ready to be evaluated: what the expressions share is found.
    pub(super) fn sharing(
        mut self,
        exprs: &[&Expr],
        arrow_schema: &SchemaRef,
        state: &SessionState,
    ) -> Self {
        if let Err(error) = self.share(exprs, arrow_schema, state) {
            // It costs time, and changes no answer.
            debug!(%error, "what expressions share is evaluated in each of them");
            self.split.fill_with(|| None);
            self.shared.clear();
        }
        self
    }

    /// The type of the expression at a place, or why it does not fit the columns.
    pub(super) fn data_type(&self, place: usize) -> Result<DataType, Trouble> {
        let whole = self.whole.get(place);
        let whole = whole.ok_or_else(|| Trouble::new("bug: there is no such expression"))?;
        let over = whole.as_ref().map_err(Clone::clone)?;
        Ok(over.expr.data_type(&over.schema)?)
    }

    /// Finds what the expressions that fit share.
    fn share(
        &mut self,
        exprs: &[&Expr],
        arrow_schema: &SchemaRef,
        state: &SessionState,
    ) -> Result<(), DataFusionError> {
        let may_share = |place: &usize| {
            let expr = exprs[*place];
            // A column or a literal takes no time.
            let is_computed = !matches!(expr, Expr::Column(_) | Expr::Literal(..));
            self.whole[*place].is_ok() && is_computed && is_shallow(expr)
        };
        let places: Vec<usize> = (0..exprs.len()).filter(may_share).collect();
        if places.is_empty() {
            return Ok(());
        }
        let columns = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(DFSchema::try_from(Arc::clone(arrow_schema))?),
        });
        // The columns of a projection have names of their own.
        let named = |place: &usize| exprs[*place].clone().alias(format!("__lakegate_{place}"));
        let named = places.iter().map(named).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(named, Arc::new(columns))?);
        let plan = CommonSubexprEliminate::new().rewrite(plan, state)?.data;
        let mut projections = Vec::new();
        let mut plan = &plan;
        while let LogicalPlan::Projection(projection) = plan {
            projections.push(&projection.expr);
            plan = &projection.input;
        }
        let Some((split, shared)) = projections.split_first().filter(|(_, of)| !of.is_empty())
        else {
            return Ok(());
        };
        let mut sharing = Sharing {
            fields: arrow_schema.fields().iter().cloned().collect(),
            constants: HashMap::new(),
            state,
        };
        for expr in shared.iter().rev().copied().flatten() {
            self.shared.extend(sharing.take(expr)?);
        }
        let own_columns = arrow_schema.fields().len();
        for (place, expr) in std::iter::zip(places, *split) {
            let over = sharing.over(expr)?;
            if over.places.iter().any(|place| *place >= own_columns) {
                self.split[place] = Some(over);
            }
        }
        Ok(())
    }

    /// The values of the expressions over a batch.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Vec<Result<ArrayRef, Trouble>> {
        let columns = batch.columns().iter().cloned();
        let mut values: Vec<Option<ArrayRef>> = columns.map(Some).collect();
        for shared in &self.shared {
            let found = shared.over.values(&values, batch.num_rows());
            values.push(found.filter(|found| *found.data_type() == shared.data_type));
        }
        let each = std::iter::zip(&self.whole, &self.split);
        let evaluate = |(whole, split): (&Result<Over, Trouble>, &Option<Over>)| {
            // What fails in another expression may be guarded in this one, and not everything takes an array for a
            // constant.
            let split = split.as_ref();
            match split.and_then(|split| split.values(&values, batch.num_rows())) {
                Some(found) => Ok(found),
                None => whole.as_ref().map_err(Clone::clone)?.values_of(batch),
            }
        };
        each.map(evaluate).collect()
    }
}

impl Over {
    fn new(
        expr: &Expr,
        fields: &[FieldRef],
        state: &SessionState,
    ) -> Result<Self, DataFusionError> {
        let columns = expr.column_refs().into_iter();
        let named: Vec<&str> = columns.map(|column| column.name()).collect();
        let is_used = |(_, field): &(usize, &FieldRef)| named.contains(&field.name().as_str());
        let used: Vec<(usize, &FieldRef)> = fields.iter().enumerate().filter(is_used).collect();
        let used_fields = used.iter().map(|(_, field)| Arc::clone(field));
        let schema = Arc::new(Schema::new(used_fields.collect::<Vec<_>>()));
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        Ok(Self {
            expr: state.create_physical_expr(expr.clone(), &df_schema)?,
            places: used.into_iter().map(|(place, _)| place).collect(),
            schema,
        })
    }

    /// Its values over a batch that has the columns.
    fn values_of(&self, batch: &RecordBatch) -> Result<ArrayRef, Trouble> {
        guarded(|| {
            let batch = batch.project(&self.places)?;
            Ok(self.expr.evaluate(&batch)?.into_array(batch.num_rows())?)
        })
    }

    /// Its values over columns and shared values; none when one of them is missing, or it fails.
    fn values(&self, values: &[Option<ArrayRef>], rows: usize) -> Option<ArrayRef> {
        let values = self.places.iter().map(|place| values.get(*place)?.clone());
        let values = values.collect::<Option<Vec<_>>>()?;
        let found = guarded(|| {
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), values)?;
            Ok(self.expr.evaluate(&batch)?.into_array(rows)?)
        });
        found.ok()
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

/// What is known while shared expressions are collected.
struct Sharing<'a> {
    /// Of the columns, and of the shared values so far.
    fields: Vec<FieldRef>,
    /// What is the same in all rows, by the name that stands for it.
    constants: HashMap<String, Expr>,
    state: &'a SessionState,
}

impl Sharing<'_> {
    /// A shared expression of a projection; none for a column that it passes on, and for a constant.
    fn take(&mut self, expr: &Expr) -> Result<Option<Shared>, DataFusionError> {
        let Expr::Alias(alias) = expr else {
            return Ok(None);
        };
        if self.fields.iter().any(|field| *field.name() == alias.name) {
            return plan_err!("a column is called `{}`", alias.name);
        }
        let expr = self.with_constants(&alias.expr)?;
        if expr.column_refs().is_empty() {
            // As an array it would be no constant to what takes it.
            self.constants.insert(alias.name.clone(), expr);
            return Ok(None);
        }
        let over = Over::new(&expr, &self.fields, self.state)?;
        let data_type = over.expr.data_type(&over.schema)?;
        let field = Field::new(&alias.name, data_type.clone(), true);
        self.fields.push(Arc::new(field));
        Ok(Some(Shared { over, data_type }))
    }

    fn over(&self, expr: &Expr) -> Result<Over, DataFusionError> {
        Over::new(&self.with_constants(expr)?, &self.fields, self.state)
    }

    /// The expression with constants instead of the names that stand for them.
    fn with_constants(&self, expr: &Expr) -> Result<Expr, DataFusionError> {
        let replaced = expr.clone().transform(|expr| {
            let constant = match &expr {
                Expr::Column(column) => self.constants.get(&column.name),
                _ => None,
            };
            Ok(match constant {
                Some(constant) => Transformed::yes(constant.clone()),
                None => Transformed::no(expr),
            })
        })?;
        Ok(replaced.data)
    }
}

#[cfg(test)]
mod tests;
