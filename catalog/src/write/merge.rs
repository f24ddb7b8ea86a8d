//! Merges a source into a table.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, DataFusionError, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::merge::{DeleteBuilder, InsertBuilder, MergeMetrics, UpdateBuilder};
use deltalake::{DeltaResult, DeltaTable};

use super::run::{delta_session, writer_properties};
use super::{MatchedAction, MatchedClause, MergeSpec, SchemaEvolution, Write, WriteMode};
use crate::CatalogError;

pub(super) const SOURCE: &str = "source";
pub(super) const TARGET: &str = "target";

/// A merge whose texts are planned: names mean what they mean in every SQL of Lakegate, and not what delta-rs makes of
/// them, which tells names apart by case.
#[derive(Debug, Default)]
pub(super) struct PlannedMerge {
    pub(super) on: Expr,
    pub(super) matched: Vec<(RowAction, Planned)>,
    pub(super) not_matched: Vec<Planned>,
    pub(super) not_matched_by_source: Vec<(RowAction, Planned)>,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) when: Option<Expr>,
    pub(super) set: Vec<(String, Expr)>,
}

/// What is done to a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowAction {
    Update,
    Delete,
}

/// Plans the texts of a merge into a table that exists.
pub(super) fn planned(
    session: &SessionContext,
    write: &Write,
    columns: &SchemaRef,
    source: &LogicalPlan,
    spec: &MergeSpec,
) -> Result<PlannedMerge, CatalogError> {
    let unplanned = |error: DataFusionError| {
        CatalogError::invalid(
            format!(
                "a condition of the merge into `{}` cannot be planned: {error}",
                write.table
            ),
            "write it over `source` and `target`, as in a WHERE clause".to_owned(),
        )
    };
    let all_columns = names(source.schema());
    // A column that only the table has comes as nulls for the rows that are inserted. Rows that are there keep theirs.
    let offered: HashSet<String> = names(write.source.schema())
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let mut updated = all_columns.clone();
    updated.retain(|name| offered.contains(&name.to_lowercase()));
    let qualified = |qualifier: &str, schema: &Schema| {
        DFSchema::try_from_qualified_schema(qualifier, schema).map_err(unplanned)
    };
    let both = qualified(SOURCE, source.schema().as_arrow())?
        .join(&qualified(TARGET, columns)?)
        .map_err(unplanned)?;
    let state = session.state();
    let expression = |sql: &str| state.create_logical_expr(sql, &both).map_err(unplanned);
    let clause = |when: Option<&String>, set: &[(String, String)]| {
        Ok::<_, CatalogError>(Planned {
            when: when.map(|sql| expression(sql)).transpose()?,
            set: set
                .iter()
                .map(|(name, sql)| Ok((name.clone(), expression(sql)?)))
                .collect::<Result<_, CatalogError>>()?,
        })
    };
    let matched = |clauses: &[MatchedClause]| {
        let planned = clauses.iter().map(|matched| {
            let (action, set) = match &matched.action {
                MatchedAction::UpdateAll => (RowAction::Update, all(&updated)),
                MatchedAction::Update(set) => (RowAction::Update, set.clone()),
                MatchedAction::Delete => (RowAction::Delete, Vec::new()),
            };
            Ok((action, clause(matched.when.as_ref(), &set)?))
        });
        planned.collect::<Result<Vec<_>, CatalogError>>()
    };
    let not_matched = spec.not_matched.iter().map(|inserted| {
        let set = inserted.insert.clone().unwrap_or_else(|| all(&all_columns));
        clause(inserted.when.as_ref(), &set)
    });
    Ok(PlannedMerge {
        on: expression(&spec.on)?,
        matched: matched(&spec.matched)?,
        not_matched: not_matched.collect::<Result<_, _>>()?,
        not_matched_by_source: matched(&spec.not_matched_by_source)?,
    })
}

/// Runs a merge against a table that exists.
pub(super) async fn merge(
    session: &SessionContext,
    table: &DeltaTable,
    evolution: SchemaEvolution,
    merge: PlannedMerge,
    source: LogicalPlan,
    properties: CommitProperties,
) -> DeltaResult<(DeltaTable, MergeMetrics)> {
    let state = delta_session(session);
    let mut builder = table
        .clone()
        .merge(DataFrame::new(state.clone(), source), merge.on)
        .with_source_alias(SOURCE)
        .with_target_alias(TARGET)
        .with_session_state(Arc::new(state))
        .with_writer_properties(writer_properties())
        .with_commit_properties(properties)
        .with_merge_schema(evolution == SchemaEvolution::AddColumns)
        .with_streaming(true);
    if merge.matched.is_empty() && !merge.not_matched_by_source.is_empty() {
        // A row that several rows of the source match is kept once only where delta-rs looks for such rows: with a
        // clause for matched rows, which this one never applies to.
        builder = builder.when_matched_delete(|d| d.predicate(lit(false)))?;
    }
    for (action, clause) in merge.matched {
        builder = match action {
            RowAction::Delete => builder.when_matched_delete(|d| delete(d, clause))?,
            RowAction::Update => builder.when_matched_update(|u| update(u, clause))?,
        };
    }
    for clause in merge.not_matched {
        builder = builder.when_not_matched_insert(|i| insert(i, clause))?;
    }
    for (action, clause) in merge.not_matched_by_source {
        builder = match action {
            RowAction::Delete => {
                builder.when_not_matched_by_source_delete(|d| delete(d, clause))?
            }
            RowAction::Update => {
                builder.when_not_matched_by_source_update(|u| update(u, clause))?
            }
        };
    }
    builder.await
}

/// The rows that a merge inserts into a table that has none.
pub(super) fn inserts(
    session: &SessionContext,
    source: &LogicalPlan,
    write: &Write,
) -> Result<LogicalPlan, CatalogError> {
    let WriteMode::Merge(spec) = &write.mode else {
        return Ok(source.clone());
    };
    let failed = |e| {
        CatalogError::failed(
            format!("the merge into `{}` cannot be planned", write.table),
            e,
        )
    };
    let mut inserted: Option<LogicalPlan> = None;
    let mut remaining = LogicalPlanBuilder::from(source.clone())
        .alias(SOURCE)
        .map_err(failed)?
        .build()
        .map_err(failed)?;
    for clause in &spec.not_matched {
        let mut rows = LogicalPlanBuilder::from(remaining.clone());
        if let Some(when) = &clause.when {
            let condition = session
                .state()
                .create_logical_expr(when, remaining.schema())
                .map_err(failed)?;
            rows = rows.filter(condition.clone()).map_err(failed)?;
            let rest = condition.is_not_true();
            remaining = LogicalPlanBuilder::from(remaining)
                .filter(rest)
                .map_err(failed)?
                .build()
                .map_err(failed)?;
        }
        let schema = rows.schema().clone();
        let values = match &clause.insert {
            None => schema
                .columns()
                .into_iter()
                .map(|c| col(c.clone()).alias(c.name))
                .collect::<Vec<_>>(),
            Some(set) => {
                let mut values = Vec::new();
                for field in source.schema().fields() {
                    let Some((_, sql)) = set
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(field.name()))
                    else {
                        continue;
                    };
                    values.push(
                        session
                            .state()
                            .create_logical_expr(sql, &schema)
                            .map_err(failed)?
                            .alias(field.name()),
                    );
                }
                for (name, sql) in set {
                    if !values
                        .iter()
                        .any(|v| v.schema_name().to_string().eq_ignore_ascii_case(name))
                    {
                        values.push(
                            session
                                .state()
                                .create_logical_expr(sql, &schema)
                                .map_err(failed)?
                                .alias(name),
                        );
                    }
                }
                values
            }
        };
        let rows = rows
            .project(values)
            .map_err(failed)?
            .build()
            .map_err(failed)?;
        inserted = Some(match inserted {
            None => rows,
            Some(before) => LogicalPlanBuilder::from(before)
                .union(rows)
                .map_err(failed)?
                .build()
                .map_err(failed)?,
        });
        if clause.when.is_none() {
            break;
        }
    }
    inserted.ok_or_else(|| {
        CatalogError::invalid(
            format!(
                "`{}` does not exist, and the merge inserts nothing",
                write.table
            ),
            Some("create the table first, for example with `mode: append`".to_owned()),
        )
    })
}

fn all(columns: &[String]) -> Vec<(String, String)> {
    columns
        .iter()
        .map(|name| (name.clone(), format!("{SOURCE}.{}", quoted(name))))
        .collect()
}

fn update(builder: UpdateBuilder, clause: Planned) -> UpdateBuilder {
    let builder = match clause.when {
        Some(when) => builder.predicate(when),
        None => builder,
    };
    let set = clause.set.into_iter();
    set.fold(builder, |b, (name, value)| {
        b.update(target_column(&name), value)
    })
}

fn delete(builder: DeleteBuilder, clause: Planned) -> DeleteBuilder {
    match clause.when {
        Some(when) => builder.predicate(when),
        None => builder,
    }
}

fn insert(builder: InsertBuilder, clause: Planned) -> InsertBuilder {
    let builder = match clause.when {
        Some(when) => builder.predicate(when),
        None => builder,
    };
    let set = clause.set.into_iter();
    set.fold(builder, |b, (name, value)| {
        b.set(target_column(&name), value)
    })
}

fn names(schema: &DFSchema) -> Vec<String> {
    let fields = schema.fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

fn target_column(name: &str) -> Column {
    Column::new(Some(TableReference::bare(TARGET)), name)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
