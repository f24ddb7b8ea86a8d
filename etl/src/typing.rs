//! Turns text columns into typed ones, and accounts for every value that does not type.
//!
//! ```yaml
//! type:
//!   view: raw_flights                # a view of text columns
//!   schema: schemas/flights.yaml     # the columns to make
//!   on_error: fail                   # null | quarantine
//! ```
//!
//! `fail` stops at the first value that does not type, with its file and line. `null` puts null in its place and
//! adds the column `_errors`, a list of `{column, value, reason}` that is empty for good rows; it cannot be used with
//! columns that are `nullable: false`. `quarantine` takes
//! the row out; it is kept as the text that was read, with `_errors`. All three count.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lakegate_rules::yaml::{Fields, Node, Problem, Problems, Span, nearest_hint};

use crate::EtlError;
use crate::extract::text_table::{FILE_COLUMN, LINE_COLUMN, location_fields};
use crate::extract::word;
use crate::schema_file::{OtherColumns, SchemaFile};

mod batch;
mod bytes;
mod counts;
mod errors;
mod numbers;
mod table;
mod times;
mod values;

use batch::Batcher;
pub use counts::{BadColumn, BadValue, TypingCounter, TypingCounts};
pub use errors::ERRORS_COLUMN;
pub(crate) use times::{iso_day, iso_moment};

/// What happens to a row with a value that does not type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The run stops at the first one.
    #[default]
    Fail,
    /// The value becomes null, and `_errors` says so.
    Null,
    /// The row leaves the view; the quarantined rows keep their text and `_errors`.
    Quarantine,
}

/// A `type:` stage as it is written.
#[derive(Debug, Clone)]
pub struct TypingSpec {
    /// The view with the text columns.
    pub view: String,
    /// Where `view` stands.
    pub view_span: Span,
    /// The schema file, relative to the project folder.
    pub schema: String,
    /// Where `schema` stands.
    pub schema_span: Span,
    /// What happens to values that do not type.
    pub on_error: OnError,
}

impl TypingSpec {
    /// Reads the map under `type:`.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::new(node, "`type`", &["view", "schema", "on_error"], problems);
        fields.require(&["view", "schema"], problems);
        let choices = [
            ("fail", OnError::Fail),
            ("null", OnError::Null),
            ("quarantine", OnError::Quarantine),
        ];
        let on_error = word(&fields, "on_error", &choices, problems);
        let is_sound = on_error.is_some() || !fields.has("on_error");
        let view = fields.string("view", problems);
        let schema = fields.string("schema", problems);
        let spec = Self {
            view: view?,
            view_span: fields.span("view"),
            schema: schema?,
            schema_span: fields.span("schema"),
            on_error: on_error.unwrap_or_default(),
        };
        is_sound.then_some(spec)
    }
}

/// A typing stage that is ready: a schema file matched with the columns of its input.
#[derive(Debug, Clone)]
pub struct Typing {
    stage: String,
    on_error: OnError,
    schema: Arc<SchemaFile>,
    input: SchemaRef,
    /// For each column of the schema file, the input's column.
    sources: Vec<usize>,
    /// Columns of the input that stay as they are, behind the typed ones.
    kept: Vec<usize>,
    /// Where the rows to type have their `_file` and `_line`, when they have them.
    location: Option<(usize, usize)>,
    output: SchemaRef,
    bad: SchemaRef,
}

impl Typing {
    /// Matches a schema file with the columns of the view that it types; `stage` is the stage's name, for messages.
    pub fn new(
        stage: &str,
        spec: &TypingSpec,
        schema: Arc<SchemaFile>,
        input: &SchemaRef,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let sources = sources(spec, &schema, input, &mut problems);
        let location = location(input);
        let is_location =
            |column: usize| location.is_some_and(|(file, line)| column == file || column == line);
        let others = (0..input.fields().len()).filter(|column| !sources.contains(column));
        let mut kept: Vec<usize> = Vec::new();
        for column in others {
            let name = input.field(column).name();
            match schema.other_columns {
                _ if is_location(column) => kept.push(column),
                OtherColumns::Keep => kept.push(column),
                OtherColumns::Drop => {}
                OtherColumns::Error => {
                    let message = format!("column `{name}` of view `{}` is not listed", spec.view);
                    let hint = "list it, or set `other_columns: keep` or `drop`".to_owned();
                    let problem = Problem::new(schema.file.as_str(), None, message);
                    problems.push(problem.with_hint(hint));
                }
            }
        }
        refuse_taken(&schema, input, &kept, &mut problems);
        let typing = Self {
            stage: stage.to_owned(),
            on_error: spec.on_error,
            output: output_schema(spec.on_error, &schema, input, &kept),
            bad: with_errors(input.fields().iter().map(|field| field.as_ref().clone())),
            schema,
            input: Arc::clone(input),
            sources,
            kept,
            location,
        };
        problems.into_result(typing)
    }

    /// The same for rows that have `_file` and `_line` behind the columns that were matched: messages name them, and the
    /// rows that do not type keep them. The typed view has them no more than before.
    #[must_use]
    pub fn with_places(mut self) -> Self {
        let columns = self.input.fields().len();
        self.location = Some((columns, columns + 1));
        let input = self
            .input
            .fields()
            .iter()
            .map(|field| field.as_ref().clone());
        self.bad = with_errors(input.chain(location_fields()));
        self
    }

    /// Whether every value of a batch types.
    pub(crate) fn fits(&self, batch: &RecordBatch) -> Result<bool, EtlError> {
        let mut batcher = Batcher::new(Arc::new(Self {
            on_error: OnError::Null,
            output: output_schema(OnError::Null, &self.schema, &self.input, &self.kept),
            ..self.clone()
        }));
        batcher.next(batch).map_err(EtlError::from_datafusion)?;
        Ok(batcher.counts.bad_rows == 0)
    }

    /// Columns of the typed view.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Columns of the rows that `on_error: quarantine` takes out: the text as it was read, and `_errors`.
    pub fn bad_schema(&self) -> SchemaRef {
        Arc::clone(&self.bad)
    }
}

/// Finds the input's column of each listed column.
fn sources(
    spec: &TypingSpec,
    schema: &SchemaFile,
    input: &SchemaRef,
    problems: &mut Problems,
) -> Vec<usize> {
    let names: Vec<&str> = input
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let mut sources = Vec::with_capacity(schema.columns.len());
    for column in &schema.columns {
        let problem = |message| Problem::new(schema.file.as_str(), column.from_span, message);
        let Some(source) = names.iter().position(|name| *name == column.from) else {
            let message = format!("view `{}` has no column `{}`", spec.view, column.from);
            let hint = nearest_hint(&column.from, names.iter().copied());
            problems.push(problem(message).with_hint(hint));
            continue;
        };
        let found = input.field(source).data_type();
        let wanted = column.column_type.data_type();
        if !is_text(found) && *found != wanted {
            let message = format!(
                "column `{}` is {found}, neither text nor {wanted}",
                column.from
            );
            let hint = "a `sql` stage can `CAST` it".to_owned();
            problems.push(problem(message).with_hint(hint));
        }
        sources.push(source);
    }
    sources
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The columns that `source_columns` adds to an extract.
fn location(input: &SchemaRef) -> Option<(usize, usize)> {
    let file = input.column_with_name(FILE_COLUMN)?;
    let line = input.column_with_name(LINE_COLUMN)?;
    let is_location =
        *file.1.data_type() == DataType::Utf8 && *line.1.data_type() == DataType::Int64;
    is_location.then_some((file.0, line.0))
}

/// Kept columns must not have the name of a typed one, or of `_errors`.
fn refuse_taken(schema: &SchemaFile, input: &SchemaRef, kept: &[usize], problems: &mut Problems) {
    for column in kept {
        let name = input.field(*column).name();
        if schema.columns.iter().any(|column| column.name == *name) {
            let message = format!("the other column `{name}` has the name of a listed one");
            problems.push(Problem::new(schema.file.as_str(), None, message));
        }
    }
    if input.column_with_name(ERRORS_COLUMN).is_some() {
        let message = format!("the view has a column `{ERRORS_COLUMN}`, which typing adds");
        let problem = Problem::new(schema.file.as_str(), None, message);
        problems.push(problem.with_hint("leave it out in a `sql` stage before".to_owned()));
    }
}

fn output_schema(
    on_error: OnError,
    schema: &SchemaFile,
    input: &SchemaRef,
    kept: &[usize],
) -> SchemaRef {
    let typed = schema.columns.iter().map(|column| {
        // A bad value becomes null under `on_error: null`.
        let is_nullable = column.is_nullable || on_error == OnError::Null;
        Field::new(&column.name, column.column_type.data_type(), is_nullable)
    });
    let kept = kept.iter().map(|column| input.field(*column).clone());
    match on_error {
        OnError::Null => with_errors(typed.chain(kept)),
        OnError::Fail | OnError::Quarantine => {
            Arc::new(Schema::new(typed.chain(kept).collect::<Vec<_>>()))
        }
    }
}

fn with_errors(fields: impl Iterator<Item = Field>) -> SchemaRef {
    let fields = fields.chain([errors::field()]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
