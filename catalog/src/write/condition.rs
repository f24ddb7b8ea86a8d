//! Conditions in a form that delta-rs can write down.
//!
//! delta-rs writes the condition of an operation into its commit as SQL, and fails where it knows none: for `TRY_CAST`,
//! intervals and structs, and for a few others. What it cannot write becomes a function of the columns in it, which it
//! writes by name. When another writer was faster, delta-rs reads the SQL again and does not know the function: the
//! operation starts over.
//!
//! Source: deltalake-core 1.1, `delta_datafusion/expr.rs`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::prelude::SessionContext;

/// Simplifies expressions over columns; `now()` is the time at which the session's statement began.
pub(super) fn simplifier(session: &SessionContext, columns: &DFSchema) -> ExprSimplifier {
    let state = session.state();
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(columns.clone()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .with_config_options(Arc::clone(state.config_options()));
    ExprSimplifier::new(context.build())
}

/// The condition in its simplest form, as delta-rs can write it down.
///
/// Where it removes the rows that meet a condition, it asks for one over partition columns alone as it asks for files that
/// may hold such rows: what it cannot tell of a partition counts as met. So it only gets such a condition when it can
/// tell, and otherwise a function, which it evaluates.
///
/// # Errors
/// For one that is another each time that it is asked: delta-rs asks twice, once for the files and once for the rows.
pub(super) fn writable(
    condition: Expr,
    columns: &DFSchema,
    partition_columns: &[String],
    simplifier: &ExprSimplifier,
) -> Result<Expr> {
    let condition = condition.unalias_nested().data;
    if condition.is_volatile() {
        return plan_err!("it is another one each time that it is asked");
    }
    let simple = simplifier.simplify(condition)?;
    let refs = simple.column_refs();
    let is_of_partitions = refs.iter().all(|of| partition_columns.contains(&of.name));
    if is_of_partitions && !refs.is_empty() && !is_told(&simple) {
        return Function::of(simple, columns);
    }
    let written = simple.transform_down(|expr| match is_written(&expr)? {
        true => Ok(Transformed::no(expr)),
        false => Ok(Transformed::new(
            Function::of(expr, columns)?,
            true,
            TreeNodeRecursion::Jump,
        )),
    })?;
    Ok(written.data)
}

/// Whether delta-rs can tell of each partition whether it meets a condition.
fn is_told(condition: &Expr) -> bool {
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(_));
    let is_value = |expr: &Expr| matches!(expr, Expr::Literal(value, _) if !value.is_null());
    match condition {
        Expr::BinaryExpr(both) if both.op == Operator::And => {
            is_told(&both.left) && is_told(&both.right)
        }
        Expr::BinaryExpr(both) => {
            let is_comparison = matches!(
                both.op,
                Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            is_comparison && is_column(&both.left) && is_value(&both.right)
        }
        Expr::IsNull(expr) | Expr::IsNotNull(expr) => is_column(expr),
        _ => false,
    }
}

/// Whether delta-rs knows SQL for an expression whose parts it can write.
fn is_written(expr: &Expr) -> Result<bool> {
    let is_known = matches!(
        expr,
        Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Case(_)
            | Expr::Not(_)
            | Expr::Negative(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::BinaryExpr(_)
            | Expr::ScalarFunction(_)
            | Expr::Cast(_)
            | Expr::Between(_)
            | Expr::Like(_)
            | Expr::InList(_)
    );
    let mut has_unwritten_value = false;
    expr.apply_children(|part| {
        has_unwritten_value |= matches!(part, Expr::Literal(value, _) if !is_written_value(value));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_known && !has_unwritten_value)
}

fn is_written_value(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Dictionary(_, value) => is_written_value(value),
        value => matches!(
            value,
            ScalarValue::Null
                | ScalarValue::Boolean(_)
                | ScalarValue::Float32(_)
                | ScalarValue::Float64(_)
                | ScalarValue::Int8(_)
                | ScalarValue::Int16(_)
                | ScalarValue::Int32(_)
                | ScalarValue::Int64(_)
                | ScalarValue::UInt8(_)
                | ScalarValue::UInt16(_)
                | ScalarValue::UInt32(_)
                | ScalarValue::UInt64(_)
                | ScalarValue::Decimal128(..)
                | ScalarValue::Date32(_)
                | ScalarValue::Date64(_)
                | ScalarValue::TimestampMicrosecond(..)
                | ScalarValue::Utf8(_)
                | ScalarValue::LargeUtf8(_)
                | ScalarValue::Utf8View(_)
                | ScalarValue::Binary(_)
                | ScalarValue::FixedSizeBinary(..)
                | ScalarValue::LargeBinary(_)
                | ScalarValue::BinaryView(_)
        ),
    }
}

/// An expression as a function of its columns.
#[derive(Debug)]
struct Function {
    name: String,
    signature: Signature,
    expression: Expr,
    columns: SchemaRef,
    returns: DataType,
    evaluated: Arc<dyn PhysicalExpr>,
}

impl Function {
    /// A call of the function that an expression is; the expression itself when it has no columns.
    fn of(expression: Expr, columns: &DFSchema) -> Result<Expr> {
        let mut used: Vec<Column> = expression.column_refs().into_iter().cloned().collect();
        if used.is_empty() {
            return Ok(expression);
        }
        used.sort();
        let mut fields = Vec::with_capacity(used.len());
        for column in &used {
            let (qualifier, field) = columns.qualified_field_from_column(column)?;
            let field = Field::new(field.name(), field.data_type().clone(), true);
            fields.push((qualifier.cloned(), Arc::new(field)));
        }
        let names = fields.iter().enumerate();
        let names = names.map(|(index, (_, field))| {
            Field::new(format!("c{index}"), field.data_type().clone(), true)
        });
        let arguments = Arc::new(Schema::new(names.collect::<Vec<_>>()));
        let schema = DFSchema::new_with_metadata(fields, Default::default())?;
        let function = Self {
            name: expression.to_string(),
            signature: Signature::any(used.len(), Volatility::Immutable),
            returns: expression.get_type(&schema)?,
            evaluated: create_physical_expr(
                &expression,
                &schema,
                &ExecutionProps::new(),
                &PhysicalPlanningContext::default(),
            )?,
            columns: arguments,
            expression,
        };
        let arguments = used.into_iter().map(Expr::Column).collect();
        Ok(ScalarUDF::new_from_impl(function).call(arguments))
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.columns == other.columns
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        let mut values = Vec::with_capacity(call.args.len());
        for (value, field) in call.args.iter().zip(self.columns.fields()) {
            let value = value.to_array(rows)?;
            // Scans give text as views, and partition columns as dictionaries.
            values.push(match value.data_type() == field.data_type() {
                true => value,
                false => cast(&value, field.data_type())?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = Arc::clone(&self.columns);
        let batch = RecordBatch::try_new_with_options(columns, values, &options)?;
        let value = self.evaluated.evaluate(&batch)?;
        Ok(ColumnarValue::Array(value.into_array(rows)?))
    }
}
