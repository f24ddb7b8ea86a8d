//! Texts and lists that are put together.
//!
//! A text that is put together with itself is twice as long, and after thirty times a billion times as long. DataFusion's
//! planner and optimizer make calls of functions of their own, and `||` is none: so a plan is looked through once its
//! types are known.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::compute::kernels::concat_elements::concat_elements_dyn;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::{Arguments, Bounded, Reckon};

/// Bytes of what arguments come to when they are put together, once for each row.
pub(super) fn together(arguments: &Arguments<'_>) -> Result<u64> {
    let rows = arguments.rows as u64;
    arguments.values.iter().try_fold(0_u64, |sum, value| {
        let bytes = match value {
            ColumnarValue::Array(array) => array.to_data().get_slice_memory_size()? as u64,
            ColumnarValue::Scalar(value) => {
                let one = value.to_array()?.to_data().get_slice_memory_size()?;
                (one as u64).saturating_mul(rows)
            }
        };
        Ok(sum.saturating_add(bytes))
    })
}

/// Puts functions within bounds in the place of those without, and of `||` between texts.
#[derive(Debug)]
pub(crate) struct BoundedFunctions {
    functions: HashMap<String, Arc<ScalarUDF>>,
    operator: Arc<ScalarUDF>,
}

impl BoundedFunctions {
    /// For an engine with these functions, of which none may make more than so many bytes at once.
    pub(super) fn new(functions: &[Arc<ScalarUDF>], bound: u64) -> Self {
        let operator = Bounded {
            inner: Arc::new(BothTexts(Signature::any(2, Volatility::Immutable))),
            reckon: together as Reckon,
            bound,
        };
        let functions = functions.iter();
        Self {
            functions: functions
                .map(|function| (function.name().to_owned(), Arc::clone(function)))
                .collect(),
            operator: Arc::new(ScalarUDF::new_from_impl(operator)),
        }
    }

    fn within_bounds(&self, expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
        let is_text = |expr: &Expr| {
            let data_type = expr.get_type(schema);
            data_type.is_ok_and(|of| matches!(of, DataType::Utf8 | DataType::LargeUtf8))
        };
        match expr {
            Expr::ScalarFunction(call) => match self.functions.get(call.func.name()) {
                Some(bounded) if *bounded != call.func => Transformed::yes(Expr::ScalarFunction(
                    ScalarFunction::new_udf(Arc::clone(bounded), call.args),
                )),
                _ => Transformed::no(Expr::ScalarFunction(call)),
            },
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            }) if is_text(&left) && is_text(&right) => Transformed::yes(Expr::ScalarFunction(
                ScalarFunction::new_udf(Arc::clone(&self.operator), vec![*left, *right]),
            )),
            expr => Transformed::no(expr),
        }
    }
}

impl AnalyzerRule for BoundedFunctions {
    fn name(&self) -> &str {
        "bounded_functions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let bounded = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let bounded = expr.transform_up(|expr| Ok(self.within_bounds(expr, &schema)))?;
                Ok(bounded.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(bounded?.data)
    }
}

/// The operator `||` between texts of one type, as a function. It is null where one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct BothTexts(Signature);

impl ScalarUDFImpl for BothTexts {
    fn name(&self) -> &'static str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = arrays.as_slice() else {
            return internal_err!("`||` has two sides");
        };
        let both = concat_elements_dyn(left, right)?;
        let all_are_one = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        Ok(match all_are_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&both, 0)?),
            false => ColumnarValue::Array(both),
        })
    }
}
