//! Whole numbers that become too large are an error, and not another number.
//!
//! DataFusion adds, subtracts, multiplies and sums whole numbers without a look at the carry: `9223372036854775807 + 1`
//! is `-9223372036854775808`. Once types are known, operators become functions that look, and a sum of `bigint` is made
//! as one of decimals.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
    Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// Whole numbers of 64 bits as decimals, of which as many as there can be rows do not exceed a decimal.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// Puts functions in the place of operators, and sums of decimals in the place of those of `bigint`.
#[derive(Debug)]
pub struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = plan.transform_up_with_subqueries(|plan| {
            let schema = schema_of_expressions(&plan);
            let names = NamePreserver::new(&plan);
            let checked = plan.map_expressions(|expr| {
                // The names of a grouping set are those of the expressions in it.
                let is_set = matches!(expr, Expr::GroupingSet(_));
                let checked = |expr: Expr| {
                    let name = names.save(&expr);
                    let checked = expr.transform_up(|expr| operator(expr, &schema))?;
                    Ok(checked.update_data(|expr| name.restore(expr)))
                };
                match is_set {
                    true => expr.map_children(checked),
                    false => checked(expr),
                }
            })?;
            let checked = match checked.transformed {
                true => checked.map_data(LogicalPlan::recompute_schema)?,
                false => checked,
            };
            checked.transform_data(sums)
        });
        Ok(checked?.data)
    }
}

/// An expression over columns in which operators of whole numbers look at the carry.
pub(crate) fn checked(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let has_operator = expr.exists(|expr| {
        Ok(match expr {
            Expr::BinaryExpr(binary) => Operation::of(binary.op).is_some(),
            Expr::Negative(_) => true,
            _ => false,
        })
    })?;
    if !has_operator {
        return Ok(expr);
    }
    // Both sides of an operator have one type then.
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone()));
    let coerced = ExprSimplifier::new(context.build()).coerce(expr, schema)?;
    Ok(coerced.transform_up(|expr| operator(expr, schema))?.data)
}

/// The columns that the expressions of a plan see.
pub(crate) fn schema_of_expressions(plan: &LogicalPlan) -> DFSchema {
    let mut schema = merge_schema(&plan.inputs());
    match plan {
        LogicalPlan::TableScan(scan) => schema.merge(&scan.projected_schema),
        LogicalPlan::Dml(dml) => {
            let target =
                DFSchema::try_from_qualified_schema(dml.table_name.clone(), &dml.target.schema());
            if let Ok(target) = target {
                schema.merge(&target);
            }
        }
        _ => {}
    }
    schema
}

fn operator(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_whole = |expr: &Expr| expr.get_type(schema).is_ok_and(|of| of.is_integer());
    let (operation, left, right) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Operation::of(op) {
            Some(operation) if is_whole(&left) && is_whole(&right) => (operation, *left, *right),
            _ => {
                let expr = BinaryExpr { left, op, right };
                return Ok(Transformed::no(Expr::BinaryExpr(expr)));
            }
        },
        Expr::Negative(inner) if is_whole(&inner) && !matches!(*inner, Expr::Literal(..)) => {
            let zero = ScalarValue::new_zero(&inner.get_type(schema)?)?;
            (Operation::Subtract, lit(zero), *inner)
        }
        expr => return Ok(Transformed::no(expr)),
    };
    // A chain is one function: of functions within each other, each would be named anew with all that is in it.
    let (mut operations, mut arguments) = match left {
        Expr::ScalarFunction(function) => match function.func.inner().downcast_ref::<Checked>() {
            Some(chain) => (chain.operations.clone(), function.args),
            None => (Vec::new(), vec![Expr::ScalarFunction(function)]),
        },
        left => (Vec::new(), vec![left]),
    };
    operations.push(operation);
    arguments.push(right);
    let function = ScalarUDF::from(Checked::new(operations));
    let function = ScalarFunction::new_udf(Arc::new(function), arguments);
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Operation {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    fn compute(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => numeric::add(left, right),
            Self::Subtract => numeric::sub(left, right),
            Self::Multiply => numeric::mul(left, right),
        }
    }
}

/// Operators of whole numbers, carried out one after the other from the left, that fail when a result is too large for
/// the type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    /// One fewer than there are arguments.
    operations: Vec<Operation>,
    signature: Signature,
}

impl Checked {
    fn new(operations: Vec<Operation>) -> Self {
        Self {
            signature: Signature::any(operations.len() + 1, Volatility::Immutable),
            operations,
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operations.as_slice() {
            [Operation::Add] => "checked_add",
            [Operation::Subtract] => "checked_subtract",
            [Operation::Multiply] => "checked_multiply",
            _ => "checked_arithmetic",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(first.clone()),
            other => Err(DataFusionError::Internal(format!(
                "{} of {other:?}",
                self.name()
            ))),
        }
    }

    /// As with operators, only what is null can make a null.
    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = arguments.arg_fields;
        let types: Vec<_> = fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let is_nullable = fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name(), self.return_type(&types)?, is_nullable);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = arguments.args.into_iter();
        let first = values.next();
        let mut result = first
            .ok_or_else(|| DataFusionError::Internal(format!("{} of nothing", self.name())))?;
        for (operation, value) in self.operations.iter().zip(values) {
            result = operation.of_values(&result, &value)?;
        }
        Ok(result)
    }
}

impl Operation {
    fn of_values(self, left: &ColumnarValue, right: &ColumnarValue) -> Result<ColumnarValue> {
        let compute = |left: &dyn Datum, right: &dyn Datum| {
            let computed = self.compute(left, right);
            computed.map_err(DataFusionError::from)
        };
        use ColumnarValue::{Array, Scalar};
        Ok(match (left, right) {
            (Array(left), Array(right)) => Array(compute(left, right)?),
            (Array(left), Scalar(right)) => Array(compute(left, &right.to_scalar()?)?),
            (Scalar(left), Array(right)) => Array(compute(&left.to_scalar()?, right)?),
            (Scalar(left), Scalar(right)) => {
                let computed = compute(&left.to_scalar()?, &right.to_scalar()?)?;
                Scalar(ScalarValue::try_from_array(&computed, 0)?)
            }
        })
    }
}

/// Sums of `bigint` as sums of decimals, which become `bigint` above the aggregation.
fn sums(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = plan else {
        return Ok(Transformed::no(plan));
    };
    let input = Arc::clone(aggregate.input.schema());
    let is_wide = |expr: &Expr| widened(expr, &input).is_some();
    if !aggregate.aggr_expr.iter().any(is_wide) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let exprs = aggregate.aggr_expr.iter();
    let exprs: Vec<Expr> = exprs
        .map(|expr| widened(expr, &input).unwrap_or_else(|| expr.clone()))
        .collect();
    let wide = Aggregate::try_new(
        Arc::clone(&aggregate.input),
        aggregate.group_expr.clone(),
        exprs,
    )?;
    let columns = aggregate.schema.iter().zip(wide.schema.columns());
    let columns = columns
        .enumerate()
        .map(|(index, ((relation, field), column))| {
            let expr = Expr::Column(Column::clone(&column));
            let is_sum = index >= groups && is_wide(&aggregate.aggr_expr[index - groups]);
            match is_sum {
                true => {
                    cast(expr, DataType::Int64).alias_qualified(relation.cloned(), field.name())
                }
                false => expr,
            }
        });
    let columns: Vec<Expr> = columns.collect();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(wide)).project(columns)?;
    Ok(Transformed::yes(plan.build()?))
}

/// A sum of `bigint` as one of decimals.
fn widened(expr: &Expr, input: &DFSchema) -> Option<Expr> {
    let (function, name) = match expr {
        Expr::AggregateFunction(function) => (function, expr.schema_name().to_string()),
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::AggregateFunction(function) => (function, alias.name.clone()),
            _ => return None,
        },
        _ => return None,
    };
    let [argument] = function.params.args.as_slice() else {
        return None;
    };
    let is_sum = function.func.name() == "sum";
    if !is_sum || argument.get_type(input).ok()? != DataType::Int64 || is_narrow(argument, input) {
        return None;
    }
    let mut wide: AggregateFunction = function.clone();
    wide.params.args = vec![cast(argument.clone(), WIDE)];
    Some(Expr::AggregateFunction(wide).alias(name))
}

/// Whether values come from a narrower type, of which no table has enough rows.
fn is_narrow(argument: &Expr, input: &DFSchema) -> bool {
    let Expr::Cast(cast) = argument else {
        return false;
    };
    let from = cast.expr.get_type(input);
    from.is_ok_and(|from| {
        from.is_integer() && from.primitive_width().is_some_and(|bytes| bytes < 8)
    })
}
