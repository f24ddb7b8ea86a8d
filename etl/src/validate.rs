//! Plans every SQL and check of a pipeline without reading data.
//!
//! Each view stands as an empty table with the columns that it will have: those of the input's headers, of the schema
//! file, or of the planned SQL. A table that does not exist yet has the columns of the view that the pipeline publishes
//! to it.

mod publish;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::SchemaRef;
use lakegate_catalog::TableName;
use lakegate_rules::yaml::{Problem, Problems, Span};

use crate::params::{self, Values};
use crate::pipeline::{BrokenStage, Reading, StageKind};
use crate::{EtlError, Lakegate, Pipeline};

/// Everything that is wrong with a pipeline that could be read.
pub async fn validate(lakegate: &Lakegate, pipeline: &Pipeline) -> Problems {
    plan(lakegate, pipeline, &[]).await
}

/// Everything that is wrong with a pipeline file and the files that it names; what can be read is planned as well.
///
/// # Errors
/// When there is no such file.
pub async fn validate_file(lakegate: &Lakegate, name_or_path: &str) -> Result<Problems, EtlError> {
    let Reading {
        pipeline,
        broken,
        mut problems,
    } = Pipeline::read(lakegate.root(), name_or_path)?;
    if let Some(pipeline) = pipeline {
        problems.extend(plan(lakegate, &pipeline, &broken).await);
    }
    problems.sort();
    Ok(problems)
}

async fn plan(lakegate: &Lakegate, pipeline: &Pipeline, broken: &[BrokenStage]) -> Problems {
    let mut planning = Planning {
        lakegate,
        pipeline,
        values: params::stand_ins(&pipeline.parameters),
        views: BTreeMap::new(),
        tables: BTreeMap::new(),
        broken_tables: broken
            .iter()
            .filter_map(|stage| stage.table.clone())
            .collect(),
        problems: Problems::default(),
    };
    for stage in broken {
        if let Some(name) = &stage.name {
            let columns = stage.columns.as_deref().map(views::unknown_types);
            planning.views.insert(
                name.clone(),
                ViewSchema {
                    columns,
                    is_certain: false,
                },
            );
        }
    }
    for index in pipeline.graph.order() {
        planning.stage(*index).await;
    }
    let mut problems = planning.problems;
    problems.sort();
    problems
}

/// What is known of a view's columns.
#[derive(Debug, Clone)]
struct ViewSchema {
    /// The columns; none when they cannot be known.
    columns: Option<SchemaRef>,
    /// Whether the types are known too. When they are not, only missing names are reported.
    is_certain: bool,
}

struct Planning<'a> {
    lakegate: &'a Lakegate,
    pipeline: &'a Pipeline,
    values: Values,
    views: BTreeMap<String, ViewSchema>,
    /// Columns of the tables that the pipeline publishes, after it.
    tables: BTreeMap<TableName, ViewSchema>,
    broken_tables: BTreeSet<TableName>,
    problems: Problems,
}

impl Planning<'_> {
    async fn stage(&mut self, index: usize) {
        let pipeline = self.pipeline;
        let Some(stage) = pipeline.stages.get(index) else {
            return;
        };
        let view = match &stage.kind {
            StageKind::Extract(spec) => self.extract(spec).await,
            StageKind::Type(typed) => self.typed(&stage.name, typed),
            StageKind::Sql(sql) => self.sql(sql).await,
            StageKind::Check(check) => return self.check(check).await,
            StageKind::Publish(publish) => return self.publish(publish).await,
        };
        self.views.insert(stage.name.clone(), view);
    }

    fn problem(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        let problem = Problem::new(self.pipeline.file.as_str(), span, message);
        self.problems.push(problem.with_hint(hint));
    }
}
