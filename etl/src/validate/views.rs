//! The columns of views, and the problems of what makes them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use lakegate_catalog::{At, TableName};
use lakegate_engine::{EngineError, QueryOptions, TableUse};
use lakegate_rules::yaml::nearest_hint;

use super::{Planning, ViewSchema};
use crate::extract::ExtractSpec;
use crate::input_error::InputErrorKind;
use crate::pipeline::{CheckStage, SqlStage, TypeStage};
use crate::quarantine;
use crate::transform::{repeated_column, view_name};
use crate::typing::{OnError, Typing};

/// Columns of which only the names are known.
pub(super) fn unknown_types(names: &[String]) -> SchemaRef {
    let fields = names
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn empty(schema: &SchemaRef) -> Arc<dyn TableProvider> {
    Arc::new(EmptyTable::new(Arc::clone(schema)))
}

impl ViewSchema {
    pub(super) fn certain(columns: SchemaRef) -> Self {
        Self {
            columns: Some(columns),
            is_certain: true,
        }
    }

    pub(super) fn unknown() -> Self {
        Self {
            columns: None,
            is_certain: false,
        }
    }
}

impl Planning<'_> {
    /// The columns of the input's headers. Input that is not there yet is no mistake of the pipeline.
    pub(super) async fn extract(&mut self, spec: &ExtractSpec) -> ViewSchema {
        if let Some(schema) = spec.declared_schema() {
            return ViewSchema::certain(schema);
        }
        if let Some((table, _)) = spec.table()
            && let Some(known) = self.tables.get(table)
        {
            return known.clone();
        }
        let texts = &self.values.texts;
        let has_all = spec
            .parameters()
            .iter()
            .all(|(name, _)| texts.contains_key(name));
        if !has_all {
            return ViewSchema::unknown();
        }
        let resolved = spec.resolve(&self.pipeline.root, &|name| texts.get(name).cloned());
        let open = match resolved {
            Ok(resolved) => resolved.open(&self.lakegate.catalog).await,
            Err(error) => Err(error),
        };
        let schema = match open {
            Ok(open) => open.schema().await,
            Err(error) => Err(error),
        };
        match schema {
            Ok(schema) => ViewSchema::certain(schema),
            Err(error) => {
                let is_table = spec.table().is_some();
                if error.kind != InputErrorKind::NotFound || is_table {
                    self.problems.push(error.into_problem(&self.pipeline.file));
                }
                ViewSchema::unknown()
            }
        }
    }

    pub(super) fn typed(&mut self, name: &str, stage: &TypeStage) -> ViewSchema {
        let columns = stage
            .schema
            .columns
            .iter()
            .map(|column| column.from.clone());
        let as_wanted = unknown_types(&columns.collect::<Vec<_>>());
        let input = self.views.get(&stage.spec.view);
        let input = match input {
            Some(ViewSchema {
                columns: Some(columns),
                is_certain: true,
            }) => Arc::clone(columns),
            _ => as_wanted,
        };
        if stage.spec.on_error == OnError::Quarantine
            && let Some(taken) = quarantine::taken_name(&input)
        {
            let (message, hint) = quarantine::name_is_taken(&stage.spec.view, &taken);
            self.problem(stage.spec.view_span, message, Some(hint));
        }
        match Typing::new(name, &stage.spec, Arc::clone(&stage.schema), &input) {
            Ok(typing) => ViewSchema::certain(typing.output_schema()),
            Err(problems) => {
                self.problems.extend(problems);
                let names = stage
                    .schema
                    .columns
                    .iter()
                    .map(|column| column.name.clone());
                ViewSchema {
                    columns: Some(unknown_types(&names.collect::<Vec<_>>())),
                    is_certain: false,
                }
            }
        }
    }

    pub(super) async fn sql(&mut self, sql: &SqlStage) -> ViewSchema {
        let Some(tables) = self.tables_of(sql).await else {
            return ViewSchema::unknown();
        };
        let is_certain = tables.iter().all(|(_, schema)| schema.is_certain);
        let mut overlays = Vec::new();
        for (name, schema) in &tables {
            let Some(columns) = &schema.columns else {
                return ViewSchema::unknown();
            };
            overlays.push((name.clone(), empty(columns)));
        }
        let options = QueryOptions {
            at: At::Latest,
            parameters: self.values.bound.clone(),
            overlays,
            ..QueryOptions::default()
        };
        let file = &self.pipeline.file;
        match self.lakegate.engine.plan(&sql.statement, options).await {
            Ok(planned) => {
                if let Some(message) = repeated_column(&planned.plan) {
                    let hint = Some("give one of them another name with AS".to_owned());
                    let problem = sql.text.problem(None, message, hint, file);
                    self.problems.push(problem);
                    return ViewSchema::unknown();
                }
                ViewSchema {
                    columns: Some(Arc::clone(planned.plan.schema().inner())),
                    is_certain,
                }
            }
            Err(error) => {
                if is_certain || is_missing_name(&error) {
                    let hint = error.hint().map(str::to_owned);
                    let problem = sql
                        .text
                        .problem(error.place(), error.to_string(), hint, file);
                    self.problems.push(problem);
                }
                ViewSchema::unknown()
            }
        }
    }

    /// The views and unborn tables that a statement reads; none when one of its names means nothing.
    async fn tables_of(&mut self, sql: &SqlStage) -> Option<Vec<(TableName, ViewSchema)>> {
        let mut found = Vec::new();
        let mut is_sound = true;
        for table in sql.statement.tables() {
            if table.only_at_version {
                continue;
            }
            match self.known(&table.name) {
                Some(schema) => found.push((table.name.clone(), schema)),
                None if self.lakegate.catalog.entry(&table.name).await.is_ok() => {}
                None if self.broken_tables.contains(&table.name) => is_sound = false,
                None => {
                    is_sound = false;
                    self.unknown_table(sql, table).await;
                }
            }
        }
        is_sound.then_some(found)
    }

    /// A view of the pipeline, or a table that it publishes.
    pub(super) fn known(&self, name: &TableName) -> Option<ViewSchema> {
        if *name == view_name(&name.table)
            && let Some(view) = self.views.get(&name.table)
        {
            return Some(view.clone());
        }
        self.tables.get(name).cloned()
    }

    async fn unknown_table(&mut self, sql: &SqlStage, table: &TableUse) {
        let is_bare = table.name == view_name(&table.name.table);
        let mut known: Vec<String> = self.tables.keys().map(ToString::to_string).collect();
        if let Ok(entries) = self.lakegate.catalog.list().await {
            known.extend(entries.iter().map(|entry| entry.name.to_string()));
        }
        let (message, written) = if is_bare {
            let stages = self
                .pipeline
                .stages
                .iter()
                .filter(|stage| stage.kind.is_view());
            known.extend(stages.map(|stage| stage.name.clone()));
            let name = &table.name.table;
            (
                format!("`{name}` is neither a view of the pipeline nor a table"),
                name.clone(),
            )
        } else {
            let name = table.name.to_string();
            (format!("table `{name}` does not exist"), name)
        };
        let hint = nearest_hint(&written, &known);
        let problem = sql
            .text
            .problem(table.place, message, hint, &self.pipeline.file);
        self.problems.push(problem);
    }

    pub(super) async fn check(&mut self, check: &CheckStage) {
        let Some(ViewSchema {
            columns: Some(columns),
            is_certain: true,
        }) = self.views.get(&check.view).cloned()
        else {
            return;
        };
        let name = match &check.suite.table {
            Some(name) => name.parse().unwrap_or_else(|_| view_name(&check.view)),
            None => view_name(&check.view),
        };
        self.rules(&check.suite, name, &columns).await;
    }
}

/// Whether an error says that a name does not exist, which holds whatever the types are.
fn is_missing_name(error: &EngineError) -> bool {
    error.to_string().ends_with("does not exist")
}
