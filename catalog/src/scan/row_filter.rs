//! Whether rows are filtered while files are read, or afterwards.
//!
//! Who filters while reading decodes the columns of the filters first, and of the others the wanted rows alone. Where one
//! row of many columns is looked for, little is decoded; where many scattered rows pass, it takes up to half as long again
//! as reading them all (docs/benchmarks.md). How many pass is not known while planning. So it is done where a value is
//! looked for and there is something to save, or very much.

use std::collections::HashSet;

use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// So many times as many other columns as those of the filters are much to save, whatever the filters are.
const MANY_TIMES: usize = 4;

/// Whether to filter while reading the columns of these names.
pub(super) fn is_while_reading<'a>(filters: &[&Expr], read: impl Iterator<Item = &'a str>) -> bool {
    let filtered = filters.iter().flat_map(|filter| filter.column_refs());
    let filtered: HashSet<&str> = filtered.map(|column| column.name.as_str()).collect();
    if filtered.is_empty() {
        return false;
    }
    let others = read.filter(|name| !filtered.contains(name)).count();
    let worth = match filters.iter().any(|filter| is_look_up(filter)) {
        true => filtered.len(),
        false => filtered.len() * MANY_TIMES,
    };
    others >= worth
}

/// Whether a column has to be one of some values.
fn is_look_up(filter: &Expr) -> bool {
    let is_value = |expr: &Expr| matches!(expr, Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_equality = matches!(op, Operator::Eq | Operator::IsNotDistinctFrom);
            is_equality && (is_value(left) || is_value(right))
        }
        Expr::InList(InList { list, negated, .. }) => !negated && list.iter().all(is_value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn rows_are_filtered_while_reading_where_that_saves() {
        let orders = ["id", "customer", "day", "amount", "note"];
        for (filters, read, expected) in [
            (vec![col("id").eq(lit(5))], &orders[..], true),
            (vec![col("id").eq(lit(5))], &orders[..2], true),
            (vec![lit(5).eq(col("t.id"))], &orders[..2], true),
            (
                vec![col("id").in_list(vec![lit(5), lit(6)], false)],
                &orders[..2],
                true,
            ),
            (
                vec![col("id").in_list(vec![lit(5)], true)],
                &orders[..2],
                false,
            ),
            // There is nothing to save.
            (vec![col("id").eq(lit(5))], &orders[..1], false),
            (
                vec![col("id").eq(lit(5)), col("customer").gt(lit(1))],
                &orders[..3],
                false,
            ),
            // How many rows pass, nobody knows.
            (vec![col("day").gt(lit(5))], &orders[..4], false),
            (vec![col("day").gt(lit(5))], &orders[..], true),
            (vec![col("day").eq(col("id"))], &orders[..4], false),
            (Vec::new(), &orders[..], false),
        ] {
            let filters: Vec<&Expr> = filters.iter().collect();
            let is = is_while_reading(&filters, read.iter().copied());
            assert_eq!(is, expected, "{filters:?} of {read:?}");
        }
    }
}
