//! Rows that break an order.

use datafusion::common::ScalarValue;
use datafusion::functions::math::expr_fn::isnan;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, WindowFrame, WindowFrameBound, WindowFrameUnits, lit, when,
};
use datafusion::prelude::DataFrame;

use crate::plan::{Order, Trouble, column};

/// Adds the greatest value of all rows that come before (the smallest one when values decrease), and gives the condition
/// that is true for rows which break the order.
///
/// Rows with equal values in `by` come neither before nor behind each other: the frame ends with the group before.
pub(super) fn marked(
    rows: DataFrame,
    order: &Order,
    filter: Option<&Expr>,
    marker: &str,
) -> Result<(DataFrame, Expr), Trouble> {
    let has_place = order
        .by
        .iter()
        .map(|by| by.clone().is_not_null())
        .fold(lit(true), Expr::and);
    let mut is_compared = match filter {
        Some(filter) => filter.clone().and(has_place.clone()),
        None => has_place.clone(),
    };
    if order.is_float {
        is_compared = is_compared.and(isnan(order.value.clone()).is_not_true());
    }
    let compared = when(is_compared, order.value.clone()).end()?;
    let function = if order.is_descending {
        min_udaf()
    } else {
        max_udaf()
    };
    let frame = WindowFrame::new_bounds(
        WindowFrameUnits::Groups,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1))),
    );
    let sorted = order.by.iter().map(|by| by.clone().sort(true, false));
    let before = Expr::from(WindowFunction::new(function, vec![compared.clone()]))
        .partition_by(order.per.clone())
        .order_by(sorted.collect())
        .window_frame(frame)
        .build()?;
    let rows = rows.window(vec![before.alias(marker)])?;
    let before = column(marker);
    let is_out_of_order = match (order.is_descending, order.is_strict) {
        (false, false) => compared.lt(before),
        (false, true) => compared.lt_eq(before),
        (true, false) => compared.gt(before),
        (true, true) => compared.gt_eq(before),
    };
    let is_bad = match order.is_float {
        true => has_place
            .and(isnan(order.value.clone()).is_true())
            .or(is_out_of_order.is_true()),
        false => is_out_of_order,
    };
    Ok((rows, is_bad))
}
