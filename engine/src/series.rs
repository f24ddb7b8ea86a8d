//! `generate_series` and `range` as tables, over any timestamps.
//!
//! DataFusion's take timestamps of nanoseconds only, which `now()` and `TIMESTAMP '...'` have not.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_datafusion_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::Expr;

/// The functions.
pub(crate) fn functions() -> impl Iterator<Item = (String, Arc<TableFunction>)> {
    let functions = SessionStateDefaults::default_table_functions().into_iter();
    let series =
        functions.filter(|function| matches!(function.name(), "generate_series" | "range"));
    series.map(|function| {
        let name = function.name().to_owned();
        let inner = Arc::clone(function.function());
        let series = TableFunction::new(name.clone(), Arc::new(Series { inner }));
        (name, Arc::new(series))
    })
}

#[derive(Debug)]
struct Series {
    inner: Arc<dyn TableFunctionImpl>,
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let exprs = args.exprs().iter().map(in_nanoseconds);
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        self.inner
            .call_with_args(TableFunctionArgs::new(&exprs, args.session()))
    }
}

fn in_nanoseconds(argument: &Expr) -> Result<Expr> {
    let Expr::Literal(value, metadata) = argument else {
        return Ok(argument.clone());
    };
    let DataType::Timestamp(_, zone) = value.data_type() else {
        return Ok(argument.clone());
    };
    let nanoseconds = value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone));
    let nanoseconds = nanoseconds.map_err(|_| {
        plan_datafusion_err!(
            "a series of timestamps has none after the year 2262 or before 1677: {value}"
        )
    })?;
    Ok(Expr::Literal(nanoseconds, metadata.clone()))
}
