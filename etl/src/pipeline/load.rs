//! Reads a pipeline file and every file that it names, and reports everything that is wrong with them at once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lakegate_engine::{Statement, expression_parameters};
use lakegate_rules::Suite;
use lakegate_rules::yaml::{self, Entry, Fields, Node, Problem, Problems, Span, nearest_hint};

use super::find::find;
use super::{
    BrokenStage, CheckStage, Pipeline, PublishStage, Reading, SqlStage, SqlText, Stage, StageKind,
    TypeStage,
};
use crate::EtlError;
use crate::extract::ExtractSpec;
use crate::graph::Graph;
use crate::params;
use crate::schema_file::SchemaFile;
use crate::typing::{OnError, TypingSpec};

/// Version of the format that this program reads.
const FORMAT_VERSION: i64 = 1;

const PIPELINE_KEYS: &[&str] = &["version", "pipeline", "description", "parameters", "stages"];

/// Kinds of stages: the keys beside `name`, of which a stage has exactly one.
const STAGE_KINDS: &[&str] = &["extract", "type", "sql", "check", "publish"];

pub(super) fn read(root: &Path, name_or_path: &str) -> Result<Reading, EtlError> {
    let file = find(root, name_or_path)?;
    let mut loader = Loader {
        root,
        file: &file,
        suites: HashMap::new(),
        schemas: HashMap::new(),
        problems: Problems::default(),
    };
    let Some(text) = loader.text(&file, None) else {
        return Ok(loader.nothing());
    };
    match yaml::parse(&file, &text) {
        Ok(node) => Ok(loader.pipeline(&node, &text)),
        Err(problems) => {
            loader.problems.extend(problems);
            Ok(loader.nothing())
        }
    }
}

struct Loader<'a> {
    root: &'a Path,
    file: &'a str,
    suites: HashMap<String, Option<Arc<Suite>>>,
    schemas: HashMap<String, Option<Arc<SchemaFile>>>,
    problems: Problems,
}

impl Loader<'_> {
    fn nothing(self) -> Reading {
        Reading {
            pipeline: None,
            broken: Vec::new(),
            problems: self.problems,
        }
    }

    fn pipeline(mut self, node: &Node, text: &str) -> Reading {
        let mut problems = std::mem::take(&mut self.problems);
        let fields = Fields::new(node, "the pipeline", PIPELINE_KEYS, &mut problems);
        fields.require(&["version", "stages"], &mut problems);
        if let Some(version) = fields.integer("version", &mut problems)
            && version != FORMAT_VERSION
        {
            let problem = Problem::new(
                self.file,
                fields.span("version"),
                format!("version {version} of pipeline files is not known"),
            );
            problems.push(problem.with_hint(format!("write `version: {FORMAT_VERSION}`")));
        }
        let stem = Path::new(self.file)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("pipeline");
        let name = fields
            .string("pipeline", &mut problems)
            .unwrap_or_else(|| stem.to_owned());
        let description = fields.string("description", &mut problems);
        let parameters = params::read(&fields, &mut problems);

        let mut stages: Vec<Stage> = Vec::new();
        let mut broken: Vec<BrokenStage> = Vec::new();
        self.problems = problems;
        if let Some(nodes) = fields.list("stages", &mut self.problems) {
            if nodes.is_empty() {
                let span = fields.span("stages");
                self.problem(span, "the pipeline has no stages", None);
            }
            for node in nodes {
                let known = |name: &str| {
                    let stage = stages.iter().find(|stage| stage.name == name);
                    stage.map(|stage| stage.span)
                };
                match self.stage(node, text, known) {
                    Some(stage) => stages.push(stage),
                    None => broken.push(self.broken_stage(node)),
                }
            }
        }
        self.expect_parameters(&stages, &parameters);
        let graph = Graph::infer(self.file, &stages, &broken, &mut self.problems);
        Reading {
            pipeline: Some(Pipeline {
                name,
                description,
                file: self.file.to_owned(),
                root: self.root.to_owned(),
                parameters,
                stages,
                graph,
            }),
            broken,
            problems: self.problems,
        }
    }

    /// A stage; none when it is broken.
    fn stage(
        &mut self,
        node: &Node,
        yaml_text: &str,
        known: impl Fn(&str) -> Option<Span>,
    ) -> Option<Stage> {
        let keys: Vec<&str> = ["name"].iter().chain(STAGE_KINDS).copied().collect();
        let fields = Fields::new(node, "a stage", &keys, &mut self.problems);
        fields.require(&["name"], &mut self.problems);
        let name = fields.string("name", &mut self.problems);
        let span = fields.span("name");
        if let Some(name) = &name {
            self.expect_stage_name(name, span);
            if let Some(first) = known(name) {
                let message = format!("a second stage is named `{name}`");
                let hint = format!("the first one is at line {}", first.line);
                self.problem(span, message, Some(hint));
                return None;
            }
        }
        let kinds: Vec<&Entry> = fields
            .entries()
            .iter()
            .filter(|entry| STAGE_KINDS.contains(&entry.key.as_str()))
            .collect();
        let called = name.as_deref().unwrap_or("?");
        let entry = match kinds.as_slice() {
            [entry] => *entry,
            [] => {
                if node.as_map().is_some() {
                    let hint =
                        format!("a stage has one of the keys `{}`", STAGE_KINDS.join("`, `"));
                    self.problem(
                        node.span,
                        format!("stage `{called}` does nothing"),
                        Some(hint),
                    );
                }
                return None;
            }
            [_, second, ..] => {
                let message = format!("stage `{called}` has more than one kind");
                let hint = "make it two stages".to_owned();
                self.problem(second.key_span, message, Some(hint));
                return None;
            }
        };
        let before = self.problems.len();
        let kind = match entry.key.as_str() {
            "extract" => ExtractSpec::parse(&entry.value, &mut self.problems)
                .map(|spec| StageKind::Extract(Box::new(spec))),
            "type" => self.type_stage(&entry.value).map(StageKind::Type),
            "sql" => self.sql_stage(&entry.value, yaml_text).map(StageKind::Sql),
            "check" => self.check_stage(&entry.value).map(StageKind::Check),
            _ => self
                .publish_stage(&entry.value)
                .map(|stage| StageKind::Publish(Box::new(stage))),
        };
        let is_sound = self.problems.len() == before;
        let (name, kind) = (name?, kind?);
        is_sound.then_some(Stage { name, span, kind })
    }

    /// What can be known of a stage that cannot be read.
    fn broken_stage(&self, node: &Node) -> BrokenStage {
        let entries = node.as_map().unwrap_or_default();
        let text = |entries: &[Entry], key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            let scalar = entry.value.as_scalar()?;
            Some((scalar.text.clone(), entry.value.span))
        };
        let settings = entries
            .iter()
            .filter(|entry| STAGE_KINDS.contains(&entry.key.as_str()))
            .find_map(|entry| entry.value.as_map())
            .unwrap_or_default();
        let columns = text(settings, "schema").and_then(|(file, _)| self.schema_columns(&file));
        BrokenStage {
            name: text(entries, "name").map(|(name, _)| name),
            view: text(settings, "view"),
            table: text(settings, "table").and_then(|(name, _)| name.parse().ok()),
            columns,
        }
    }

    /// The columns that a schema file names, however wrong the rest of it is.
    fn schema_columns(&self, file: &str) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(self.root.join(file)).ok()?;
        let node = yaml::parse(file, &text).ok()?;
        let columns = node.as_map()?.iter().find(|entry| entry.key == "columns")?;
        let names = columns.value.as_list()?.iter().map(|column| {
            let name = column.as_map()?.iter().find(|entry| entry.key == "name")?;
            Some(name.value.as_scalar()?.text.clone())
        });
        names.collect()
    }

    fn expect_stage_name(&mut self, name: &str, span: Span) {
        let mut letters = name.chars();
        let starts_well = letters.next().is_some_and(|c| c.is_ascii_lowercase());
        let is_name = starts_well
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            let message = format!("`{name}` is not the name of a stage");
            let hint = "a name begins with a lower-case letter, then lower-case letters, digits and `_`: it is the view's name in SQL";
            self.problem(span, message, Some(hint.to_owned()));
        }
    }

    fn type_stage(&mut self, node: &Node) -> Option<TypeStage> {
        let spec = TypingSpec::parse(node, &mut self.problems);
        // The schema file is read also when the stage is broken, so that its problems are reported at the same time.
        let named = node.as_map()?.iter().find(|entry| entry.key == "schema")?;
        let file = named.value.as_scalar()?.text.clone();
        let schema = self.schema_file(&file, named.value.span);
        let (spec, schema) = (spec?, schema?);
        if spec.on_error == OnError::Null {
            self.expect_nullable(&schema, node);
        }
        Some(TypeStage { spec, schema })
    }

    /// `on_error: "null"` needs columns that take a null.
    fn expect_nullable(&mut self, schema: &SchemaFile, node: &Node) {
        let entry = node
            .as_map()
            .and_then(|entries| entries.iter().find(|entry| entry.key == "on_error"));
        let span = entry.map_or(node.span, |entry| entry.value.span);
        for column in schema.columns.iter().filter(|column| !column.is_nullable) {
            let message = format!(
                "`on_error: \"null\"` puts nulls into column `{}`, which is `nullable: false` in `{}`",
                column.name, schema.file
            );
            let hint = "use `on_error: quarantine` or `fail`, or let the column be nullable";
            self.problem(span, message, Some(hint.to_owned()));
        }
    }

    fn sql_stage(&mut self, node: &Node, yaml_text: &str) -> Option<SqlStage> {
        let fields = Fields::new(node, "a sql stage", &["file", "query"], &mut self.problems);
        let text = match (fields.get("file"), fields.get("query")) {
            (Some(file), None) => {
                let path = file.string("`file`", &mut self.problems)?;
                let text = self.text(&path, Some(file.span))?;
                SqlText::in_file(path, text, file.span)
            }
            (None, Some(query)) => {
                let text = query.string("`query`", &mut self.problems)?;
                SqlText::inline(query, text, yaml_text)
            }
            (Some(_), Some(query)) => {
                self.problem(
                    query.span,
                    "a sql stage has either `file` or `query`, not both",
                    None,
                );
                return None;
            }
            (None, None) => {
                if node.as_map().is_some() {
                    let hint = "write `file: sql/NAME.sql`, or the SQL under `query: |`".to_owned();
                    self.problem(node.span, "a sql stage needs `file` or `query`", Some(hint));
                }
                return None;
            }
        };
        let statement = match Statement::parse(&text.text) {
            Ok(statement) => statement,
            Err(error) => {
                let hint = error.hint().map(str::to_owned);
                let problem = text.problem(error.place(), error.to_string(), hint, self.file);
                self.problems.push(problem);
                return None;
            }
        };
        if !statement.is_query() {
            let hint = "a sql stage is one SELECT; tables change by publish stages".to_owned();
            let problem = text.problem(None, "the SQL is not a query", Some(hint), self.file);
            self.problems.push(problem);
            return None;
        }
        Some(SqlStage {
            text,
            statement: Arc::new(statement),
        })
    }

    fn check_stage(&mut self, node: &Node) -> Option<CheckStage> {
        let fields = Fields::new(
            node,
            "a check stage",
            &["view", "rules"],
            &mut self.problems,
        );
        fields.require(&["view", "rules"], &mut self.problems);
        let view = fields.string("view", &mut self.problems);
        let rules = fields.string("rules", &mut self.problems)?;
        let rules_span = fields.span("rules");
        let suite = self.suite(&rules, rules_span)?;
        Some(CheckStage {
            view: view?,
            view_span: fields.span("view"),
            rules_span,
            suite,
        })
    }

    fn publish_stage(&mut self, node: &Node) -> Option<PublishStage> {
        let mut problems = std::mem::take(&mut self.problems);
        let stage = PublishStage::read(node, &mut problems, |file, span, problems| {
            std::mem::swap(&mut self.problems, problems);
            let suite = self.suite(file, span);
            std::mem::swap(&mut self.problems, problems);
            suite
        });
        self.problems = problems;
        stage
    }

    /// A rule file; its own problems are reported once, however often it is named.
    fn suite(&mut self, file: &str, span: Span) -> Option<Arc<Suite>> {
        if let Some(known) = self.suites.get(file) {
            let known = known.clone();
            if known.is_none() {
                self.problem(span, format!("`{file}` has problems"), None);
            }
            return known;
        }
        let text = self.text(file, Some(span))?;
        let suite = match Suite::parse(file, &text) {
            Ok(suite) => Some(Arc::new(suite)),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        };
        self.suites.insert(file.to_owned(), suite.clone());
        suite
    }

    /// A schema file; its own problems are reported once, however often it is named.
    fn schema_file(&mut self, file: &str, span: Span) -> Option<Arc<SchemaFile>> {
        if let Some(known) = self.schemas.get(file) {
            let known = known.clone();
            if known.is_none() {
                self.problem(span, format!("`{file}` has problems"), None);
            }
            return known;
        }
        let text = self.text(file, Some(span))?;
        let schema = match SchemaFile::parse(file, &text) {
            Ok(schema) => Some(Arc::new(schema)),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        };
        self.schemas.insert(file.to_owned(), schema.clone());
        schema
    }

    /// The text of a file of the project; `span` is where the pipeline names it.
    fn text(&mut self, file: &str, span: Option<Span>) -> Option<String> {
        let bytes = match std::fs::read(self.root.join(file)) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = match error.kind() {
                    std::io::ErrorKind::NotFound => format!("file `{file}` does not exist"),
                    _ => format!("cannot read `{file}`: {error}"),
                };
                let hint = "paths are relative to the project folder".to_owned();
                let problem = Problem::new(self.file, span, message);
                self.problems.push(problem.with_hint(hint));
                return None;
            }
        };
        match yaml::decode(file, &bytes) {
            Ok(text) => Some(text),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// Reports parameters that are used and not declared.
    fn expect_parameters(&mut self, stages: &[Stage], parameters: &[params::Parameter]) {
        let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        for stage in stages {
            match &stage.kind {
                StageKind::Extract(spec) => {
                    for (name, span) in spec.parameters() {
                        if !known.contains(&name.as_str()) {
                            let message = format!("unknown parameter `${{{name}}}`");
                            self.problem(span, message, nearest_hint(&name, &known));
                        }
                    }
                }
                StageKind::Sql(sql) => {
                    for used in sql.statement.parameters() {
                        if !known.contains(&used.name.as_str()) {
                            let message = format!("unknown parameter `:{}`", used.name);
                            let hint = nearest_hint(&used.name, &known);
                            let problem = sql.text.problem(used.place, message, hint, self.file);
                            self.problems.push(problem);
                        }
                    }
                }
                StageKind::Publish(publish) => {
                    for (sql, span) in publish.mode.conditions() {
                        self.expect_condition(sql, span, &known);
                    }
                }
                StageKind::Type(_) | StageKind::Check(_) => {}
            }
        }
    }

    /// Reports what is wrong with a condition of a publish before another stage has published.
    fn expect_condition(&mut self, sql: &str, span: Span, known: &[&str]) {
        match expression_parameters(sql) {
            Ok(uses) => {
                for used in uses {
                    if !known.contains(&used.name.as_str()) {
                        let message = format!("unknown parameter `:{}`", used.name);
                        self.problem(span, message, nearest_hint(&used.name, known));
                    }
                }
            }
            Err(error) => {
                let hint = error.hint().map(str::to_owned);
                self.problem(span, format!("`{sql}` is no condition: {error}"), hint);
            }
        }
    }

    fn problem(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        let problem = Problem::new(self.file, span, message).with_hint(hint);
        self.problems.push(problem);
    }
}
