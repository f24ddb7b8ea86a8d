//! Pipelines: a YAML file of stages, read together with every file that it names.
//!
//! ```yaml
//! version: 1
//! pipeline: flights
//! parameters:
//!   delivery: { type: string, default: data/flights-2013-01.zip }
//! stages:
//!   - name: raw_flights
//!     extract: { path: "${delivery}", format: csv, header: true }
//!   - name: typed_flights
//!     type: { view: raw_flights, schema: schemas/flights.yaml, on_error: fail }
//!   - name: delivery
//!     check: { view: typed_flights, rules: checks/delivery.yaml }
//!   - name: flights
//!     sql: { file: sql/flights.sql }
//!   - name: publish_flights
//!     publish: { view: flights, table: silver.flights, mode: merge, key: [id], rules: checks/flights.yaml }
//! ```

mod find;
mod load;
mod publish_stage;
mod sql_text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakegate_catalog::TableName;
use lakegate_engine::Statement;
use lakegate_rules::Suite;
use lakegate_rules::yaml::{Problems, Span};

use crate::EtlError;
use crate::extract::ExtractSpec;
use crate::graph::Graph;
use crate::params::Parameter;
use crate::schema_file::SchemaFile;
use crate::typing::TypingSpec;

pub use publish_stage::{MergeMode, PublishMode, PublishStage, Scd2Mode};
pub use sql_text::SqlText;

/// A pipeline that has been read; nothing has been planned or opened.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name: the key `pipeline`, or else the file's stem.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The file, relative to the project folder.
    pub file: String,
    /// The project folder.
    pub root: PathBuf,
    /// Its parameters, in the file's order.
    pub parameters: Vec<Parameter>,
    /// Its stages, in the file's order.
    pub stages: Vec<Stage>,
    /// What each stage waits for.
    pub graph: Graph,
}

/// One step of a pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name, which is also the name of its view in SQL.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// What it does.
    pub kind: StageKind,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub enum StageKind {
    /// Reads files or a table.
    Extract(Box<ExtractSpec>),
    /// Turns text columns into typed ones.
    Type(TypeStage),
    /// Runs a query.
    Sql(SqlStage),
    /// Judges a view.
    Check(CheckStage),
    /// Writes a view to a table, through the gate.
    Publish(Box<PublishStage>),
}

/// A `type:` stage with its schema file.
#[derive(Debug, Clone)]
pub struct TypeStage {
    /// The stage as it is written.
    pub spec: TypingSpec,
    /// The schema file.
    pub schema: Arc<SchemaFile>,
}

/// A `sql:` stage.
///
/// ```yaml
/// - name: flights
///   sql: { file: sql/flights.sql }
/// - name: busy_days
///   sql:
///     query: |
///       SELECT day, count(*) AS flights FROM flights WHERE month = :month GROUP BY day
/// ```
#[derive(Debug, Clone)]
pub struct SqlStage {
    /// The text, and where it stands.
    pub text: SqlText,
    /// The text after parsing.
    pub statement: Arc<Statement>,
}

/// A `check:` stage: a rule file over a view, judged before anything that depends on the view is written.
///
/// ```yaml
/// - name: delivery
///   check: { view: typed_flights, rules: checks/delivery.yaml }
/// ```
#[derive(Debug, Clone)]
pub struct CheckStage {
    /// The view.
    pub view: String,
    /// Where `view` stands.
    pub view_span: Span,
    /// Where `rules` stands.
    pub rules_span: Span,
    /// The rules.
    pub suite: Arc<Suite>,
}

impl StageKind {
    /// The key in YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extract(_) => "extract",
            Self::Type(_) => "type",
            Self::Sql(_) => "sql",
            Self::Check(_) => "check",
            Self::Publish(_) => "publish",
        }
    }

    /// Whether the stage's result is a view.
    pub fn is_view(&self) -> bool {
        matches!(self, Self::Extract(_) | Self::Type(_) | Self::Sql(_))
    }
}

/// A pipeline file as far as it could be read, with everything that is wrong with it.
#[derive(Debug)]
pub struct Reading {
    /// What could be read; stages that are broken are left out of it. None when the file is not YAML at all.
    pub pipeline: Option<Pipeline>,
    /// What is known of the stages that are broken.
    pub broken: Vec<BrokenStage>,
    /// What is wrong.
    pub problems: Problems,
}

/// A stage that could not be read. What is known of it keeps one mistake from being reported many times.
#[derive(Debug, Clone, Default)]
pub struct BrokenStage {
    /// Its name.
    pub name: Option<String>,
    /// The view that it names, and where.
    pub view: Option<(String, Span)>,
    /// The table that it publishes to.
    pub table: Option<TableName>,
    /// Names of the columns that its view would have.
    pub columns: Option<Vec<String>>,
}

impl Pipeline {
    /// Reads a pipeline by its path, relative to the project folder, or by its name in `pipelines/`.
    ///
    /// # Errors
    /// Every problem of the file, and of the SQL, rule and schema files that it names, at once.
    pub fn load(root: &Path, name_or_path: &str) -> Result<Self, EtlError> {
        let Reading {
            pipeline, problems, ..
        } = Self::read(root, name_or_path)?;
        let pipeline = problems.into_result(pipeline)?;
        pipeline.ok_or_else(|| EtlError::Bug("a pipeline without problems was not read".into()))
    }

    /// Reads a pipeline as far as it goes, for `validate`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(root: &Path, name_or_path: &str) -> Result<Reading, EtlError> {
        load::read(root, name_or_path)
    }
}
