//! Rows of a query as a table, CSV or JSON, as they come.

use std::collections::HashSet;

use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::json::WriterBuilder as JsonBuilder;
use arrow::json::writer::{JsonArray, LineDelimited};
use clap::ValueEnum;
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use lakegate_engine::EngineError;
use lakegate_rules::printable;

use super::Output;
use crate::error::CliError;

/// Rows that are laid out together; the heading is repeated after them.
const ROWS_OF_A_PAGE: usize = 1000;

/// Characters that a column has at least on a terminal; more when its name has more, up to a limit.
const LEAST_WIDTH: usize = 6;
const WIDEST_HEADING: usize = 20;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// A table for people.
    Table,
    /// Comma-separated values with a heading; null is empty.
    Csv,
    /// One JSON array of objects; NaN and infinities are null.
    Json,
    /// One JSON object a line; NaN and infinities are null.
    JsonLines,
}

/// Prints rows as they come, and says how many there were. Stops early when nobody reads them.
pub(crate) async fn print_rows(
    output: &Output,
    schema: &SchemaRef,
    mut stream: SendableRecordBatchStream,
    format: RowFormat,
) -> Result<u64, CliError> {
    if matches!(format, RowFormat::Json | RowFormat::JsonLines) {
        refuse_repeated_names(schema)?;
    }
    let mut printer = Printer::new(output, schema, format);
    let mut rows = 0;
    while let Some(batch) = stream
        .try_next()
        .await
        .map_err(EngineError::from_execution)?
    {
        rows += batch.num_rows() as u64;
        printer.batch(&batch)?;
        if output.is_closed() {
            return Ok(rows);
        }
    }
    printer.finish()?;
    Ok(rows)
}

enum Printer<'o> {
    Table {
        output: &'o Output,
        schema: SchemaRef,
        page: Vec<RecordBatch>,
        rows: usize,
        has_printed: bool,
    },
    Csv(Box<arrow::csv::Writer<Stdout<'o>>>, SchemaRef),
    Json(arrow::json::Writer<Stdout<'o>, JsonArray>),
    JsonLines(arrow::json::Writer<Stdout<'o>, LineDelimited>),
}

impl<'o> Printer<'o> {
    fn new(output: &'o Output, schema: &SchemaRef, format: RowFormat) -> Self {
        let json = JsonBuilder::new().with_explicit_nulls(true);
        match format {
            RowFormat::Table => Self::Table {
                output,
                schema: SchemaRef::clone(schema),
                page: Vec::new(),
                rows: 0,
                has_printed: false,
            },
            RowFormat::Csv => {
                let writer = CsvBuilder::new().with_header(true).build(Stdout(output));
                Self::Csv(Box::new(writer), SchemaRef::clone(schema))
            }
            RowFormat::Json => Self::Json(json.build(Stdout(output))),
            RowFormat::JsonLines => Self::JsonLines(json.build(Stdout(output))),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        match self {
            Self::Csv(writer, _) => writer.write(batch).map_err(|error| {
                CliError::new(format!("these rows cannot be CSV: {error}"))
                    .with_hint("CSV has no lists and structs: use `--output json`, or take them apart in the SQL")
            }),
            Self::Json(writer) => writer.write(batch).map_err(|error| not_json(&error)),
            Self::JsonLines(writer) => writer.write(batch).map_err(|error| not_json(&error)),
            Self::Table { .. } => self.table_batch(batch),
        }
    }

    fn table_batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let Self::Table { page, rows, .. } = self else {
                return Ok(());
            };
            let length = (batch.num_rows() - offset).min(ROWS_OF_A_PAGE - *rows);
            page.push(batch.slice(offset, length));
            *rows += length;
            offset += length;
            if *rows == ROWS_OF_A_PAGE {
                self.print_page()?;
            }
        }
        Ok(())
    }

    fn print_page(&mut self) -> Result<(), CliError> {
        let Self::Table {
            output,
            schema,
            page,
            rows,
            has_printed,
        } = self
        else {
            return Ok(());
        };
        let mut table = TextTable::new(schema.fields().iter().map(|field| field.name().as_str()));
        for (index, field) in schema.fields().iter().enumerate() {
            if field.data_type().is_numeric() {
                table.align_right(index);
            }
        }
        for batch in page.drain(..) {
            add_rows(&mut table, &batch)?;
        }
        output.text(&table.to_text());
        *rows = 0;
        *has_printed = true;
        Ok(())
    }

    fn finish(mut self) -> Result<(), CliError> {
        match &mut self {
            Self::Table {
                rows, has_printed, ..
            } => {
                if *rows > 0 || !*has_printed {
                    self.print_page()?;
                }
                Ok(())
            }
            // A CSV without rows still has its heading.
            Self::Csv(writer, schema) => {
                let empty = RecordBatch::new_empty(SchemaRef::clone(schema));
                writer
                    .write(&empty)
                    .map_err(|error| CliError::new(format!("these rows cannot be CSV: {error}")))
            }
            Self::Json(writer) => {
                writer.finish().map_err(|error| not_json(&error))?;
                writer.get_ref().0.bytes(b"\n");
                Ok(())
            }
            Self::JsonLines(writer) => writer.finish().map_err(|error| not_json(&error)),
        }
    }
}

/// An object with two keys of one name loses one of them in most readers.
fn refuse_repeated_names(schema: &SchemaRef) -> Result<(), CliError> {
    let mut names = HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name()) {
            return Err(CliError::new(format!(
                "these rows cannot be JSON: two columns are named `{}`",
                field.name()
            ))
            .with_hint("give one of them another name with AS"));
        }
    }
    Ok(())
}

fn not_json(error: &arrow::error::ArrowError) -> CliError {
    CliError::new(format!("these rows cannot be JSON: {error}"))
        .with_hint("cast the column to a text or a number in the SQL")
}

fn add_rows(table: &mut TextTable, batch: &RecordBatch) -> Result<(), CliError> {
    let options = FormatOptions::default()
        .with_null("null")
        .with_display_error(true);
    let formatters: Result<Vec<_>, _> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect();
    let formatters =
        formatters.map_err(|error| CliError::failed("cannot print the rows", &error))?;
    for row in 0..batch.num_rows() {
        let cells = formatters
            .iter()
            .map(|column| column.value(row).to_string());
        table.row(cells);
    }
    Ok(())
}

/// Stdout as a writer. Its errors are kept by [`Output`].
struct Stdout<'o>(&'o Output);

impl std::io::Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A text that can be printed; its line ends stay.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// A table for people.
pub(crate) struct TextTable(Table);

impl TextTable {
    /// A table with these columns.
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        // Cells are wrapped to fit a terminal; a file or a pipe gets them whole.
        let is_terminal = table.is_tty();
        table.set_content_arrangement(if is_terminal {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        });
        let names: Vec<&str> = columns.into_iter().collect();
        table.set_header(names.iter().map(|name| Cell::new(printable(name))));
        // A table that is too wide for the terminal runs over rather than into columns of single letters.
        for (index, name) in names.iter().enumerate().filter(|_| is_terminal) {
            let least = name.chars().count().clamp(LEAST_WIDTH, WIDEST_HEADING);
            if let Some(column) = table.column_mut(index) {
                let least = Width::Fixed(u16::try_from(least).unwrap_or(u16::MAX));
                column.set_constraint(ColumnConstraint::LowerBoundary(least));
            }
        }
        Self(table)
    }

    /// Numbers stand on the right.
    pub(crate) fn align_right(&mut self, column: usize) {
        if let Some(column) = self.0.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0
            .add_row(cells.into_iter().map(|cell| Cell::new(lines(&cell))));
    }

    /// The table, laid out.
    pub(crate) fn to_text(&self) -> String {
        self.0.to_string()
    }
}
