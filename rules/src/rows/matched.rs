//! Rows that another table does not have alike.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, SessionContext};

use super::{aliased, all_not_null, count_groups, filtered, join, names, none_null};
use crate::finding::Measured;
use crate::plan::{LookupKey, Match, Trouble, column};

/// Adds a marker that is not null in rows which the other table has too, and gives the condition that is true for the
/// others. A key with a null is found nowhere.
pub(super) fn marked(
    session: &SessionContext,
    rows: DataFrame,
    wanted: &Match,
    marker: &str,
) -> Result<(DataFrame, Expr), Trouble> {
    let pairs: Vec<&LookupKey> = wanted.keys.iter().chain(&wanted.compared).collect();
    let own = names(&format!("{marker}_own"), pairs.len());
    let other = names(marker, pairs.len());
    let others = others(session, wanted, pairs.iter().copied(), &other)?;
    let others = others.filter(none_null(&other[..wanted.keys.len()]))?;
    // Distinct, so that no row finds two partners.
    let mut kept: Vec<Expr> = other.iter().map(|name| column(name)).collect();
    kept.push(lit(true).alias(marker));
    let others = others.distinct()?.select(kept)?;
    let mut all: Vec<Expr> = rows
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    all.extend(aliased(pairs.iter().map(|pair| pair.own.clone()), &own));
    let joined = join(
        others,
        rows.select(all)?,
        JoinType::Right,
        &other,
        &own,
        true,
    )?;
    Ok((joined, column(marker).is_null()))
}

/// Refuses keys that do not identify rows.
pub(crate) async fn expect_keys(
    session: &SessionContext,
    rows: DataFrame,
    wanted: &Match,
    filter: Option<&Expr>,
) -> Result<(), Trouble> {
    let keys = names("__lakegate_key", wanted.keys.len());
    let own_columns = wanted.keys.iter().map(|key| key.own.clone());
    let rows = filtered(rows, filter)?.filter(all_not_null(&wanted.keys))?;
    let own = rows.select(aliased(own_columns, &keys))?;
    let others = others(session, wanted, wanted.keys.iter(), &keys)?;
    let others = others.filter(none_null(&keys))?;
    for (rows, whose) in [(own, "the table"), (others, "the other table")] {
        let counted = count_groups(rows, &keys, None).await?;
        if let Measured::Groups { repeated: 1.., .. } = counted {
            let columns: Vec<String> = wanted
                .keys
                .iter()
                .map(|k| format!("`{}`", k.column))
                .collect();
            return Err(Trouble::new(format!(
                "rows of {whose} have the same key ({})",
                columns.join(", ")
            ))
            .with_hint(
                "`keys` have to identify a row in both tables: name more columns".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Columns of the other table under some names.
fn others<'k>(
    session: &SessionContext,
    wanted: &Match,
    columns: impl Iterator<Item = &'k LookupKey>,
    names: &[String],
) -> Result<DataFrame, Trouble> {
    let rows = session.read_table(Arc::clone(&wanted.table))?;
    let rows = filtered(rows, wanted.table_where.as_ref())?;
    let columns = columns.map(|key| key.other.clone());
    Ok(rows.select(aliased(columns, names))?)
}
