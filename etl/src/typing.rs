//! Turns text columns into typed ones, and accounts for every value that does not type.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use lakegate_rules::yaml::{Problems, Span};

use crate::input_error::InputError;
use crate::schema_file::SchemaFile;
use crate::scratch::SpoolWriter;

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

/// A typing stage that is ready: a schema file matched with the columns of its input.
#[derive(Debug, Clone)]
pub struct Typing {
    output: SchemaRef,
}

impl Typing {
    /// Matches a schema file with the columns of the view that it types; `stage` is the stage's name, for messages.
    pub fn new(
        _stage: &str,
        _spec: &TypingSpec,
        _schema: Arc<SchemaFile>,
        _input: &SchemaRef,
    ) -> Result<Self, Problems> {
        Err(Problems::default())
    }

    /// Columns of the typed view.
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Columns of the rows that `on_error: quarantine` takes out: the text as it was read, and `_errors`.
    pub fn bad_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// The typed view as a table that streams: each scan reads `input` again.
    pub fn table(
        &self,
        _input: Arc<dyn TableProvider>,
        _counts: Arc<TypingCounter>,
    ) -> Result<Arc<dyn TableProvider>, InputError> {
        Err(InputError::invalid("typing is not built"))
    }

    /// Reads the input once; good rows go to `good`, quarantined ones to `bad`.
    pub async fn spool(
        &self,
        _input: SendableRecordBatchStream,
        _good: &mut SpoolWriter,
        _bad: Option<&mut SpoolWriter>,
    ) -> Result<TypingCounts, InputError> {
        Err(InputError::invalid("typing is not built"))
    }
}

/// Collects the counts of a streaming [`Typing::table`]; a second scan does not count twice.
#[derive(Debug, Default)]
pub struct TypingCounter {
    counts: std::sync::Mutex<Vec<Option<TypingCounts>>>,
}

impl TypingCounter {
    /// The counts of all partitions that were read to their end.
    pub fn total(&self) -> TypingCounts {
        let _ = &self.counts;
        TypingCounts::default()
    }
}

/// What a typing stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypingCounts {
    /// Rows read.
    pub rows: u64,
    /// Rows with at least one value that does not type.
    pub bad_rows: u64,
    /// Values that do not type, for each column that has some, in the order of the schema file.
    pub bad_values: Vec<(String, u64)>,
    /// The first ones.
    pub examples: Vec<BadValue>,
}

/// One value that does not type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The file and line when they are known, or else the row: `data.csv:17`, `row 17`.
    pub place: String,
    /// The column.
    pub column: String,
    /// The text, shortened when it is long.
    pub value: Option<String>,
    /// Why it does not type.
    pub reason: String,
}
