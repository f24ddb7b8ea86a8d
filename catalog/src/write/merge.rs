//! Merges a source into a table.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col};
use datafusion::prelude::{DataFrame, SessionContext};
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::merge::{DeleteBuilder, InsertBuilder, UpdateBuilder};
use deltalake::{DeltaResult, DeltaTable};

use super::run::{delta_session, writer_properties};
use super::{
    MatchedAction, MatchedClause, MergeSpec, NotMatchedClause, SchemaEvolution, Write, WriteMode,
};
use crate::CatalogError;

const SOURCE: &str = "source";
const TARGET: &str = "target";

/// Runs a merge against a table that exists.
pub(super) async fn merge(
    session: &SessionContext,
    table: &DeltaTable,
    write: &Write,
    spec: &MergeSpec,
    source: LogicalPlan,
    properties: CommitProperties,
) -> DeltaResult<DeltaTable> {
    let columns: Vec<String> = source
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let offered: HashSet<String> = write
        .source
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().to_lowercase())
        .collect();
    // A column that only the table has comes as nulls for the rows that are inserted. Rows that are there keep theirs.
    let updated: Vec<String> = columns
        .iter()
        .filter(|name| offered.contains(&name.to_lowercase()))
        .cloned()
        .collect();
    let state = delta_session(session);
    let mut builder = table
        .clone()
        .merge(DataFrame::new(state.clone(), source), spec.on.as_str())
        .with_source_alias(SOURCE)
        .with_target_alias(TARGET)
        .with_session_state(Arc::new(state))
        .with_writer_properties(writer_properties())
        .with_commit_properties(properties)
        .with_merge_schema(write.options.schema_evolution == SchemaEvolution::AddColumns)
        .with_streaming(true);
    for clause in &spec.matched {
        builder = match &clause.action {
            MatchedAction::Delete => builder.when_matched_delete(|d| delete(d, clause))?,
            MatchedAction::UpdateAll => {
                builder.when_matched_update(|u| update(u, clause, &all(&updated)))?
            }
            MatchedAction::Update(set) => {
                builder.when_matched_update(|u| update(u, clause, set))?
            }
        };
    }
    for clause in &spec.not_matched {
        builder = builder.when_not_matched_insert(|i| insert(i, clause, &columns))?;
    }
    for clause in &spec.not_matched_by_source {
        builder = match &clause.action {
            MatchedAction::Delete => {
                builder.when_not_matched_by_source_delete(|d| delete(d, clause))?
            }
            MatchedAction::Update(set) => {
                builder.when_not_matched_by_source_update(|u| update(u, clause, set))?
            }
            MatchedAction::UpdateAll => {
                builder.when_not_matched_by_source_update(|u| update(u, clause, &all(&updated)))?
            }
        };
    }
    Ok(builder.await?.0)
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

fn update(
    builder: UpdateBuilder,
    clause: &MatchedClause,
    set: &[(String, String)],
) -> UpdateBuilder {
    let builder = match &clause.when {
        Some(when) => builder.predicate(when.as_str()),
        None => builder,
    };
    set.iter().fold(builder, |b, (name, sql)| {
        b.update(target_column(name), sql.as_str())
    })
}

fn delete(builder: DeleteBuilder, clause: &MatchedClause) -> DeleteBuilder {
    match &clause.when {
        Some(when) => builder.predicate(when.as_str()),
        None => builder,
    }
}

fn insert(builder: InsertBuilder, clause: &NotMatchedClause, columns: &[String]) -> InsertBuilder {
    let builder = match &clause.when {
        Some(when) => builder.predicate(when.as_str()),
        None => builder,
    };
    let set = clause.insert.clone().unwrap_or_else(|| all(columns));
    set.iter().fold(builder, |b, (name, sql)| {
        b.set(target_column(name), sql.as_str())
    })
}

fn target_column(name: &str) -> Column {
    Column::new(Some(TableReference::bare(TARGET)), name)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
