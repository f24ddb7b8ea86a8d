//! Whole numbers that become too large are an error, and not another number.
//!
//! DataFusion adds, subtracts, multiplies and sums whole numbers without a look at the carry: `9223372036854775807 + 1`
//! is `-9223372036854775808`. Once types are known, operators become functions that look, and a sum of `bigint` is made
//! as one of decimals.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
    Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

/// Whole numbers of 64 bits as decimals, of which as many as there can be rows do not exceed a decimal.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// Puts functions in the place of operators, and sums of decimals in the place of those of `bigint`.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = plan.transform_up_with_subqueries(|plan| {
            let schema = schema_of_expressions(&plan);
            let names = NamePreserver::new(&plan);
            let checked = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let checked = expr.transform_up(|expr| operator(expr, &schema))?;
                Ok(checked.update_data(|expr| name.restore(expr)))
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

/// The columns that the expressions of a plan see.
fn schema_of_expressions(plan: &LogicalPlan) -> DFSchema {
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
    let function = ScalarUDF::from(Checked::new(operation));
    let function = ScalarFunction::new_udf(Arc::new(function), vec![left, right]);
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

/// An operator of whole numbers that fails when its result is too large for the type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [left, right] if left == right => Ok(left.clone()),
            other => Err(DataFusionError::Internal(format!(
                "{} of {other:?}",
                self.name()
            ))),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = arguments.args.as_slice() else {
            return Err(DataFusionError::Internal(format!(
                "{} of {} values",
                self.name(),
                arguments.args.len()
            )));
        };
        let compute = |left: &dyn Datum, right: &dyn Datum| {
            let computed = self.operation.compute(left, right);
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

#[cfg(test)]
mod tests {
    use crate::ErrorKind;
    use crate::fixture::Fixture;

    #[tokio::test]
    async fn numbers_that_become_too_large_are_errors() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE t (a BIGINT, b INT, g INT)",
                "INSERT INTO t VALUES (9223372036854775807, 2147483647, 1), (1, 1, 1), (5, 2, 2), (NULL, NULL, 2)",
            ])
            .await;
        for sql in [
            "SELECT 9223372036854775807 + 1",
            "SELECT a + 1 FROM t",
            "SELECT a + a FROM t",
            "SELECT 2 * a FROM t",
            "SELECT -2 - a FROM t",
            "SELECT -(-a - 1) FROM t",
            "SELECT b + b FROM t",
            "SELECT g FROM t WHERE a * 3 < 0",
            "SELECT max(a + 1) FROM t GROUP BY g",
            "SELECT x.a FROM t x JOIN t y ON x.a + 1 = y.a",
            "SELECT (SELECT max(a + 1) FROM t)",
            "SELECT sum(a) FROM t",
            "SELECT g, sum(a) AS s FROM t GROUP BY g",
            "SELECT sum(DISTINCT a) FROM t",
        ] {
            let error = fixture.answer(sql).await.expect_err(sql);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        }
        for sql in [
            "UPDATE t SET a = a + 1",
            "DELETE FROM t WHERE a + 1 > 0",
            "INSERT INTO t (a) SELECT a + 1 FROM t",
            "MERGE INTO t USING t AS s ON t.g = s.b WHEN MATCHED THEN UPDATE SET a = t.a + 1",
        ] {
            let error = fixture.change(sql).await.expect_err(sql);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn numbers_that_fit_are_what_they_were() {
        let fixture = Fixture::new().await;
        fixture
            .changes(&[
                "CREATE TABLE t (a BIGINT, b INT, g INT)",
                "INSERT INTO t VALUES (9223372036854775800, 2, 1), (3, 1, 1), (5, 2, 2), (NULL, NULL, 2)",
            ])
            .await;
        let sql = "SELECT g, sum(a), sum(a) - 1 AS less, sum(b) AS b, sum(a) FILTER (WHERE b = 2) AS f, \
            count(*) AS n, max(a + b) AS m, -sum(a) AS neg, g + 1 AS h \
            FROM t GROUP BY g HAVING sum(a) > 1 ORDER BY g";
        let expected = "\
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+
| g | sum(t.a)            | less                | b | f                   | n | m                   | neg                  | h |
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+
| 1 | 9223372036854775803 | 9223372036854775802 | 3 | 9223372036854775800 | 2 | 9223372036854775802 | -9223372036854775803 | 2 |
| 2 | 5                   | 4                   | 2 | 5                   | 2 | 7                   | -5                   | 3 |
+---+---------------------+---------------------+---+---------------------+---+---------------------+----------------------+---+";
        assert_eq!(fixture.answer(sql).await.unwrap(), expected);
        let nothing = fixture
            .answer("SELECT sum(a) AS s FROM t WHERE g = 9")
            .await;
        assert!(nothing.unwrap().contains("|   |"));
        let least = fixture
            .answer(
                "SELECT -9223372036854775808 AS a, arrow_typeof(sum(a)) AS b FROM t WHERE g = 2",
            )
            .await;
        assert!(least.unwrap().contains("| -9223372036854775808 | Int64 |"));
    }
}
