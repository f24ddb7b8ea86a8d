//! Publishes: columns, conditions and rules against the columns of the view and of the table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::logical_expr::ExprSchemable;
use lakegate_catalog::{At, SchemaEvolution, TableName};
use lakegate_engine::{EngineError, bind_expression};
use lakegate_rules::Suite;
use lakegate_rules::yaml::{Span, nearest_hint};

use super::views::empty;
use super::{Planning, ViewSchema};
use crate::pipeline::{PublishMode, PublishStage, Scd2Mode};
use crate::publish::{scd2, takes_rows_out};
use crate::quarantine;

impl Planning<'_> {
    pub(super) async fn publish(&mut self, publish: &PublishStage) {
        let view = self.views.get(&publish.view).cloned();
        let (columns, is_certain) = match &view {
            Some(ViewSchema {
                columns: Some(columns),
                is_certain,
            }) => (Arc::clone(columns), *is_certain),
            _ => {
                self.tables
                    .insert(publish.table.clone(), ViewSchema::unknown());
                return;
            }
        };
        self.expect_columns(publish, &columns);
        let diverting = publish
            .rules
            .as_deref()
            .filter(|suite| takes_rows_out(suite));
        if let Some(suite) = diverting
            && let Some(taken) = quarantine::name_taken_by(&columns, suite)
        {
            let (message, hint) = quarantine::name_is_taken(&publish.view, &taken);
            self.problem(publish.view_span, message, Some(hint));
        }
        if let (PublishMode::Scd2(mode), Some(view)) = (&publish.mode, &view) {
            self.expect_history(publish, mode, view).await;
        }
        let table = self.columns_after(publish, &columns).await;
        self.conditions(publish, &columns, &table);
        if is_certain && let Some(suite) = &publish.rules {
            self.rules(suite, publish.table.clone(), &table).await;
        }
        let schema = ViewSchema {
            columns: Some(table),
            is_certain,
        };
        self.tables.insert(publish.table.clone(), schema);
    }

    /// The columns of the table after the publish.
    async fn columns_after(&self, publish: &PublishStage, view: &SchemaRef) -> SchemaRef {
        let mut fields: Vec<Field> = view.fields().iter().map(|f| f.as_ref().clone()).collect();
        if matches!(publish.mode, PublishMode::Scd2(_)) {
            let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            fields.push(Field::new(scd2::VALID_FROM, time(), true));
            fields.push(Field::new(scd2::VALID_TO, time(), true));
            fields.push(Field::new(scd2::IS_CURRENT, DataType::Boolean, true));
        }
        let existing = self
            .lakegate
            .catalog
            .snapshot(&publish.table, At::Latest)
            .await;
        let Ok(existing) = existing else {
            return Arc::new(Schema::new(fields));
        };
        let mut all: Vec<Field> = existing
            .schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        if publish.schema_evolution == SchemaEvolution::AddColumns {
            let is_new = |field: &Field| existing.schema.field_with_name(field.name()).is_err();
            all.extend(fields.into_iter().filter(is_new));
        }
        Arc::new(Schema::new(all))
    }

    /// The columns that the stage names are columns of the view.
    fn expect_columns(&mut self, publish: &PublishStage, view: &SchemaRef) {
        let mut named: Vec<(&str, &str, Span)> = publish
            .partition_by
            .iter()
            .map(|column| ("partition_by", column.as_str(), publish.partition_by_span))
            .collect();
        match &publish.mode {
            PublishMode::Merge(merge) => {
                named.extend(
                    merge
                        .key
                        .iter()
                        .map(|c| ("key", c.as_str(), merge.key_span)),
                );
            }
            PublishMode::Scd2(scd2) => {
                named.extend(scd2.key.iter().map(|c| ("key", c.as_str(), scd2.key_span)));
                named.extend(
                    scd2.track
                        .iter()
                        .map(|c| ("track", c.as_str(), scd2.track_span)),
                );
                let effective_at = scd2.effective_at.as_ref();
                named.extend(effective_at.map(|(c, span)| ("effective_at", c.as_str(), *span)));
            }
            PublishMode::Append | PublishMode::Overwrite | PublishMode::ReplaceWhere { .. } => {}
        }
        let known: Vec<&str> = view
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        for (key, column, span) in named {
            if !known.contains(&column) {
                let message = format!(
                    "`{key}` names the column `{column}`, which view `{}` lacks",
                    publish.view
                );
                self.problem(span, message, nearest_hint(column, &known));
            }
        }
    }

    /// The columns let a history be kept.
    async fn expect_history(&mut self, publish: &PublishStage, mode: &Scd2Mode, view: &ViewSchema) {
        let Some(columns) = view.columns.as_ref().filter(|_| view.is_certain) else {
            return;
        };
        let table = match self.tables.get(&publish.table) {
            Some(published) => published.columns.clone(),
            None => self
                .lakegate
                .catalog
                .snapshot(&publish.table, At::Latest)
                .await
                .ok()
                .map(|snapshot| Arc::clone(&snapshot.schema)),
        };
        for mistake in scd2::mistakes(publish, mode, columns, table.as_ref()) {
            self.problem(mistake.span, mistake.message, Some(mistake.hint));
        }
    }

    /// The conditions plan over `source` and `target`, a predicate over the table.
    fn conditions(&mut self, publish: &PublishStage, view: &SchemaRef, table: &SchemaRef) {
        match &publish.mode {
            PublishMode::ReplaceWhere { predicate, span } => {
                let schema = DFSchema::try_from(table.as_ref().clone());
                self.condition(predicate, *span, schema);
            }
            PublishMode::Merge(merge) => {
                let conditions = [&merge.update_when, &merge.delete_when];
                for (sql, span) in conditions.into_iter().flatten() {
                    let source = DFSchema::try_from_qualified_schema("source", view);
                    let both = source.and_then(|source| {
                        source.join(&DFSchema::try_from_qualified_schema("target", table)?)
                    });
                    self.condition(sql, *span, both);
                }
                if let Some((sql, span)) = &merge.insert_when {
                    let source = DFSchema::try_from_qualified_schema("source", view);
                    self.condition(sql, *span, source);
                }
            }
            PublishMode::Append | PublishMode::Overwrite | PublishMode::Scd2(_) => {}
        }
    }

    fn condition(&mut self, sql: &str, span: Span, schema: datafusion::error::Result<DFSchema>) {
        let bound = bind_expression(sql, &self.values.bound);
        let planned = bound.and_then(|sql| {
            let state = self.lakegate.engine.session().state();
            let schema = schema.map_err(EngineError::from_planning)?;
            let expression = state.create_logical_expr(&sql, &schema);
            let expression = expression.map_err(EngineError::from_planning)?;
            let kind = expression
                .get_type(&schema)
                .map_err(EngineError::from_planning)?;
            Ok((kind == DataType::Boolean || kind == DataType::Null, kind))
        });
        match planned {
            Ok((true, _)) => {}
            Ok((false, kind)) => {
                self.problem(
                    span,
                    format!("`{sql}` is no condition: it gives {kind}"),
                    None,
                );
            }
            Err(error) => {
                let hint = error.hint().map(str::to_owned);
                self.problem(span, error.to_string(), hint);
            }
        }
    }

    /// Every check of a rule file plans over the columns that it will see.
    pub(super) async fn rules(&mut self, suite: &Suite, name: TableName, columns: &SchemaRef) {
        let mut overlays = Vec::new();
        for reference in suite.references() {
            let Ok(table) = reference.name.parse::<TableName>() else {
                continue;
            };
            match self.known(&table).map(|schema| schema.columns) {
                Some(Some(columns)) => overlays.push((table, empty(&columns))),
                // Another mistake hides the columns of what the rules refer to.
                Some(None) => return,
                None if self.broken_tables.contains(&table) => return,
                None => {}
            }
        }
        overlays.push((name, empty(columns)));
        let session = self.lakegate.engine.session_with(overlays);
        let problems = suite.validate(&session, columns).await;
        self.problems.extend(problems);
    }
}
