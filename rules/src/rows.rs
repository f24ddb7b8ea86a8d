//! Which rows are bad: counts of groups and look-ups, keys of samples, and marks for quarantine.
//!
//! Columns are always named by expressions, never pasted into SQL.

mod lookup;
mod matched;
mod order;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::functions::math::expr_fn::ln;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, ScalarUDF, Signature, Volatility, cast, lit, when,
};
use datafusion::prelude::{DataFrame, SessionContext};

use crate::error::RulesError;
use crate::finding::{Measured, Samples};
use crate::plan::{LookupKey, Measure, Planner, Trouble, Work, column};
use crate::row_test::FailedChecks;
use crate::suite::{BadRows, Suite};

pub(crate) use lookup::count_missing;
pub(crate) use matched::expect_keys;

use lookup::within_memory;

/// The column that [`mark`] adds.
pub const FAILED_CHECKS: &str = "_failed_checks";

/// Rows, groups and repeated rows of a grouping.
pub(crate) async fn count_groups(
    rows: DataFrame,
    columns: &[String],
    filter: Option<&Expr>,
) -> Result<Measured, Trouble> {
    const N: &str = "__lakegate_n";
    let rows = filtered(rows, filter)?;
    let keys: Vec<Expr> = columns.iter().map(|name| column(name)).collect();
    let groups = rows.aggregate(keys.clone(), vec![count(lit(1)).alias(N)])?;
    let has_value = any_not_null(&keys);
    let n = || column(N);
    let counted = |condition: Expr, value: Expr| when(condition, value).otherwise(lit(0i64));
    let is_repeated = has_value.clone().and(n().gt(lit(1i64)));
    let real = |value: Expr| cast(value, DataType::Float64);
    let sums = groups.aggregate(
        Vec::new(),
        vec![
            sum(n()).alias("rows"),
            sum(counted(has_value.clone(), n())?).alias("values"),
            sum(counted(has_value.clone(), lit(1i64))?).alias("groups"),
            sum(counted(is_repeated.clone(), n())?).alias("repeated"),
            // Only groups of more than one row, whose logarithm is not zero.
            sum(when(is_repeated, real(n()) * ln(real(n()))).otherwise(lit(0.0))?)
                .alias("weighted_logarithms"),
        ],
    )?;
    let batches = sums.collect().await?;
    Ok(Measured::Groups {
        rows: first_count(&batches, 0)?,
        values: first_count(&batches, 1)?,
        groups: first_count(&batches, 2)?,
        repeated: first_count(&batches, 3)?,
        weighted_logarithms: first_real(&batches, 4),
    })
}

/// A number in the one row of a result; null, the sum of nothing, is zero.
fn first_real(batches: &[RecordBatch], index: usize) -> f64 {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Float64Type;

    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    batch
        .and_then(|batch| batch.column(index).as_primitive_opt::<Float64Type>())
        .filter(|sums| sums.is_valid(0))
        .map_or(0.0, |sums| sums.value(0))
}

/// A count in the one row of a result; null, the sum of nothing, is zero.
fn first_count(batches: &[RecordBatch], index: usize) -> Result<u64, Trouble> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;

    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let Some(array) = batch.map(|batch| batch.column(index)) else {
        return Ok(0);
    };
    let Some(counts) = array.as_primitive_opt::<Int64Type>() else {
        return Err(Trouble::new(format!(
            "bug: a count has type {}",
            array.data_type()
        )));
    };
    if counts.is_null(0) {
        return Ok(0);
    }
    u64::try_from(counts.value(0)).map_err(|_| Trouble::new("bug: a count is negative"))
}

fn any_not_null(columns: &[Expr]) -> Expr {
    columns
        .iter()
        .map(|column| column.clone().is_not_null())
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false))
}

fn all_not_null(keys: &[LookupKey]) -> Expr {
    let columns: Vec<String> = keys.iter().map(|key| key.column.clone()).collect();
    none_null(&columns)
}

/// Whether none of the columns is null.
pub(crate) fn none_null(columns: &[String]) -> Expr {
    columns
        .iter()
        .map(|name| column(name).is_not_null())
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(true))
}

/// The rows that pass a filter and have no null in these columns.
pub(crate) fn and_none_null(filter: Option<&Expr>, columns: &[String]) -> Expr {
    let none_null = none_null(columns);
    match filter {
        Some(filter) => filter.clone().and(none_null),
        None => none_null,
    }
}

/// The rows that pass a filter.
pub(crate) fn filtered(rows: DataFrame, filter: Option<&Expr>) -> Result<DataFrame, Trouble> {
    Ok(match filter {
        Some(filter) => rows.filter(filter.clone())?,
        None => rows,
    })
}

/// Counts bad rows by their marks.
pub(crate) async fn count_marked(
    session: &SessionContext,
    rows: DataFrame,
    work: &Work,
    filter: Option<&Expr>,
) -> Result<Measured, Trouble> {
    let (rows, bad) = with_marker(session, unqualified(rows)?, work, filter, "__lakegate_bad")?;
    let passes = filter.map_or_else(|| lit(true), Clone::clone);
    let counted = |condition: Expr| when(condition, lit(1i64)).otherwise(lit(0i64));
    let counts = rows.aggregate(
        Vec::new(),
        vec![
            sum(counted(passes)?).alias("rows"),
            sum(counted(bad)?).alias("bad"),
        ],
    )?;
    let batches = within_memory(counts, async |counts| counts.collect().await).await?;
    Ok(Measured::Rows {
        rows: first_count(&batches, 0)?,
        bad: first_count(&batches, 1)?,
    })
}

/// Names that no column of a table has.
fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}_{i}")).collect()
}

fn aliased(expressions: impl Iterator<Item = Expr>, names: &[String]) -> Vec<Expr> {
    expressions
        .zip(names)
        .map(|(expression, name)| expression.alias(name))
        .collect()
}

fn join(
    left: DataFrame,
    right: DataFrame,
    join_type: JoinType,
    left_keys: &[String],
    right_keys: &[String],
    nulls_are_equal: bool,
) -> Result<DataFrame, Trouble> {
    let (state, left) = left.into_parts();
    let (_, right) = right.into_parts();
    let keys =
        |names: &[String]| -> Vec<Column> { names.iter().map(Column::new_unqualified).collect() };
    let nulls = if nulls_are_equal {
        NullEquality::NullEqualsNull
    } else {
        NullEquality::NullEqualsNothing
    };
    let plan = LogicalPlanBuilder::from(left)
        .join_detailed(
            right,
            join_type,
            (keys(left_keys), keys(right_keys)),
            None,
            nulls,
        )?
        .build()?;
    Ok(DataFrame::new(state, plan))
}

/// The same rows with columns that have no qualifier, so that joins are never ambiguous.
fn unqualified(rows: DataFrame) -> Result<DataFrame, Trouble> {
    let columns: Vec<Expr> = rows
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            Expr::Column(Column::from((qualifier, field))).alias(field.name())
        })
        .collect();
    Ok(rows.select(columns)?)
}

/// Adds a marker that is not null in rows whose values another row has too.
fn with_repeated(
    rows: DataFrame,
    columns: &[String],
    filter: Option<&Expr>,
    marker: &str,
) -> Result<DataFrame, Trouble> {
    let repeated = filtered(rows.clone(), filter)?;
    let n = format!("{marker}_n");
    let names = names(marker, columns.len());
    let keys: Vec<Expr> = columns.iter().map(|name| column(name)).collect();
    let mut kept: Vec<Expr> = columns
        .iter()
        .zip(&names)
        .map(|(name, renamed)| column(name).alias(renamed))
        .collect();
    kept.push(lit(true).alias(marker));
    let repeated = repeated
        .aggregate(keys.clone(), vec![count(lit(1)).alias(&n)])?
        .filter(column(&n).gt(lit(1i64)).and(any_not_null(&keys)))?
        .select(kept)?;
    join(repeated, rows, JoinType::Right, &names, columns, true)
}

/// Adds what is needed to tell bad rows, and gives the condition that is true for them.
fn with_marker(
    session: &SessionContext,
    rows: DataFrame,
    work: &Work,
    filter: Option<&Expr>,
    marker: &str,
) -> Result<(DataFrame, Expr), Trouble> {
    let (rows, bad) = match work {
        Work::Scan(Measure::Nulls(expr)) => (rows, expr.clone().is_null()),
        Work::Scan(Measure::False(expr)) => (rows, expr.clone().is_false()),
        Work::Groups(columns) => {
            let rows = with_repeated(rows, columns, filter, marker)?;
            (rows, column(marker).is_not_null())
        }
        Work::Key(columns) => {
            let filter = and_none_null(filter, columns);
            let rows = with_repeated(rows, columns, Some(&filter), marker)?;
            let is_bad = column(marker)
                .is_not_null()
                .or(none_null(columns).is_false());
            (rows, is_bad)
        }
        Work::Order(order) => order::marked(rows, order, filter, marker)?,
        Work::Match(wanted) => matched::marked(session, rows, wanted, marker)?,
        Work::Lookup(lookup) => lookup::marked(session, rows, lookup, marker)?,
        _ => {
            return Err(Trouble::new("bug: the check does not judge single rows"));
        }
    };
    let bad = match filter {
        Some(filter) => filter.clone().and(bad),
        None => bad,
    };
    Ok((rows, bad))
}

/// Keys of some bad rows.
pub(crate) async fn sample(
    session: &SessionContext,
    rows: DataFrame,
    work: &Work,
    filter: Option<&Expr>,
    keys: &[String],
    limit: usize,
) -> Result<Samples, Trouble> {
    let (rows, bad) = with_marker(session, unqualified(rows)?, work, filter, "__lakegate_bad")?;
    let columns: Vec<Expr> = keys.iter().map(|name| column(name)).collect();
    let found = rows.filter(bad)?.select(columns)?.limit(0, Some(limit))?;
    let mut samples = Samples::new();
    for batch in within_memory(found, async |found| found.collect().await).await? {
        samples.extend(keys_of(&batch, keys, limit - samples.len())?);
    }
    Ok(samples)
}

/// The values of some columns as text, row by row.
pub(crate) fn keys_of(
    batch: &RecordBatch,
    columns: &[String],
    limit: usize,
) -> Result<Samples, Trouble> {
    let options = FormatOptions::default().with_null("null");
    let mut formatters = Vec::new();
    for name in columns {
        let Some(array) = batch.column_by_name(name) else {
            continue;
        };
        formatters.push((name, ArrayFormatter::try_new(array.as_ref(), &options)?));
    }
    if formatters.is_empty() {
        return Ok(Samples::new());
    }
    let rows = batch.num_rows().min(limit);
    Ok((0..rows)
        .map(|row| {
            formatters
                .iter()
                .map(|(name, formatter)| ((*name).clone(), formatter.value(row).to_string()))
                .collect()
        })
        .collect())
}

/// Marks the rows that are taken out before a publish.
///
/// Adds a last column [`FAILED_CHECKS`], a list of the ids of the checks with `bad_rows: quarantine` or `bad_rows: drop`
/// that the row fails; it is empty for a good row. The rows and their columns stay as they are,
/// in any order. The source is read more than once when a check compares rows with each other.
///
/// # Errors
/// When a check does not fit the source's columns, or the plan cannot be built.
pub async fn mark(
    suite: &Suite,
    session: &SessionContext,
    source: DataFrame,
    now: DateTime<Utc>,
) -> Result<DataFrame, RulesError> {
    let invalid = |trouble: Trouble| RulesError::check(FAILED_CHECKS, trouble);
    let schema = Arc::new(source.schema().as_arrow().clone());
    let planner = Planner::new(session, &schema, suite.parameters.clone(), now).map_err(invalid)?;
    let mut rows = unqualified(source).map_err(invalid)?;
    let mut kept: Vec<Expr> = schema.fields().iter().map(|f| column(f.name())).collect();
    let mut ids = Vec::new();
    let mut bad = Vec::new();
    let checks = suite.checks.iter();
    for (i, check) in checks.filter(|c| c.bad_rows != BadRows::Keep).enumerate() {
        let wrong = |trouble| RulesError::check(&check.id, trouble);
        let filter = match &check.where_ {
            Some(sql) => Some(planner.condition(sql).map_err(wrong)?),
            None => None,
        };
        let work = check.rule.plan(check, &planner).await.map_err(wrong)?;
        let marker = format!("__lakegate_bad_{i}");
        let (marked, condition) =
            with_marker(session, rows, &work, filter.as_ref(), &marker).map_err(wrong)?;
        rows = marked;
        ids.push(check.id.clone());
        bad.push(condition);
    }
    let function = ScalarUDF::new_from_impl(FailedChecks {
        signature: match bad.len() {
            0 => Signature::nullary(Volatility::Immutable),
            n => Signature::any(n, Volatility::Immutable),
        },
        ids,
    });
    kept.push(function.call(bad).alias(FAILED_CHECKS));
    Ok(rows.select(kept)?)
}
