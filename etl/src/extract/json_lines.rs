//! Extracts JSON objects, one a line.
//!
//! Every column is text: strings as their characters, numbers, `true` and `false` as they are spelled (no digit
//! is lost), lists and objects as JSON; `null` and keys that are not there are null. A `type` stage makes dates
//! and numbers of it.
//!
//! ```yaml
//! extract:
//!   format: json_lines
//!   path: data/events-*.jsonl.gz
//!   columns: [id, kind, payload]   # default: the keys of the first 1000 objects of the first file, in their order
//!   unknown_keys: error            # drop: keys that are not columns are passed over
//!   blank_lines: error             # skip
//!   max_line_bytes: 16MiB          # longest line
//!   source_columns: false          # true: adds `_file` and `_line`
//! ```
//!
//! Packing and its limits are those of `csv`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use lakegate_rules::yaml::{Fields, Problems};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::csv::records::{Dialect, Found, Records};
use super::settings::{self, string_list, word};
use super::text_table::{Batches, RowReader};
use crate::files::{FileOptions, SourceFile};
use crate::input_error::InputError;

/// Keys of `extract:` that are for JSON lines only.
pub(crate) const KEYS: &[&str] = &[
    "columns",
    "unknown_keys",
    "blank_lines",
    "max_line_bytes",
    "source_columns",
];

/// Objects that are read to find the columns.
const SAMPLED_OBJECTS: usize = 1000;

/// Options of JSON lines; the module's documentation has their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct JsonLinesOptions {
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) drops_unknown_keys: bool,
    pub(crate) skips_blank_lines: bool,
    pub(crate) max_line_bytes: usize,
    pub(crate) has_source_columns: bool,
}

impl Default for JsonLinesOptions {
    fn default() -> Self {
        Self {
            columns: None,
            drops_unknown_keys: false,
            skips_blank_lines: false,
            max_line_bytes: settings::DEFAULT_MAX_LINE_BYTES,
            has_source_columns: false,
        }
    }
}

impl JsonLinesOptions {
    /// Reads the options that are there; the others keep their defaults.
    pub(crate) fn parse(fields: &Fields<'_>, problems: &mut Problems) -> Self {
        let options = Self {
            columns: string_list(fields, "columns", problems),
            drops_unknown_keys: word(
                fields,
                "unknown_keys",
                &[("error", false), ("drop", true)],
                problems,
            )
            .unwrap_or(false),
            skips_blank_lines: word(
                fields,
                "blank_lines",
                &[("error", false), ("skip", true)],
                problems,
            )
            .unwrap_or(false),
            max_line_bytes: settings::max_line_bytes(fields, problems),
            has_source_columns: fields.bool("source_columns", problems).unwrap_or(false),
        };
        if let (true, Some(columns)) = (options.has_source_columns, &options.columns) {
            settings::refuse_location_columns(fields, columns, problems);
        }
        options
    }

    /// Lines are records of one field that no byte but the line end closes.
    fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: b'\n',
            quote: None,
            escape: None,
            comment: None,
            max_line_bytes: self.max_line_bytes,
        }
    }
}

/// The columns of the view, from the options or the first objects.
pub(crate) fn columns(
    options: &JsonLinesOptions,
    first: Option<&SourceFile>,
    file_options: &FileOptions,
) -> Result<Arc<[String]>, InputError> {
    if let Some(columns) = &options.columns {
        return Ok(columns.as_slice().into());
    }
    let Some(first) = first else {
        return Ok(Arc::new([]));
    };
    let mut columns: Vec<String> = Vec::new();
    first.read(file_options, |input| {
        let mut lines = Lines::new(options, first.name(), input)?;
        for _ in 0..SAMPLED_OBJECTS {
            let is_object = lines.next_object(|key, _| {
                if !columns.iter().any(|column| column == key) {
                    columns.push(key.to_owned());
                }
                Ok(())
            })?;
            if !is_object {
                break;
            }
        }
        Ok(())
    })?;
    if columns.is_empty() {
        return Err(InputError::invalid(format!(
            "`{}` has no object with a key among its first {SAMPLED_OBJECTS}",
            first.name()
        ))
        .with_hint("name the columns in `columns`"));
    }
    if options.has_source_columns {
        super::csv::refuse_location_names(first.name(), &columns)?;
    }
    Ok(columns.into())
}

/// Reads files whose objects all have the same columns.
#[derive(Debug)]
pub(crate) struct JsonLinesReader {
    pub(crate) options: JsonLinesOptions,
    pub(crate) columns: Arc<[String]>,
}

impl RowReader for JsonLinesReader {
    fn read(
        &self,
        file: &SourceFile,
        input: &mut dyn Read,
        batches: &mut Batches<'_>,
    ) -> Result<(), InputError> {
        let positions: HashMap<&str, usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| (column.as_str(), position))
            .collect();
        let mut lines = Lines::new(&self.options, file.name(), input)?;
        let mut values: Vec<Option<String>> = vec![None; self.columns.len()];
        loop {
            let is_object = lines.next_object(|key, value| {
                match positions.get(key) {
                    Some(&position) => values[position] = value.into_text()?,
                    None if self.options.drops_unknown_keys => {}
                    None => return Err(Fault::unknown_key(key, self.options.columns.is_some())),
                }
                Ok(())
            })?;
            if !is_object {
                return Ok(());
            }
            for (column, value) in values.iter_mut().enumerate() {
                batches.push(column, value.take().as_deref().map(str::as_bytes));
            }
            if !batches.end_row(lines.records.line())? {
                return Ok(());
            }
        }
    }
}

/// Why a line is refused; its place comes later.
struct Fault {
    message: String,
    hint: Option<&'static str>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    fn unknown_key(key: &str, is_declared: bool) -> Self {
        let message = format!("key `{}` is not one of the columns", key.escape_debug());
        Self {
            message,
            hint: Some(if is_declared {
                "add it to `columns`, or set `unknown_keys: drop`"
            } else {
                "the columns are the keys of the first 1000 objects: name all in `columns`, or set `unknown_keys: drop`"
            }),
        }
    }
}

/// A value as it stands in the line; it is known to be JSON.
struct RawValue<'l>(&'l str);

impl RawValue<'_> {
    fn into_text(self) -> Result<Option<String>, Fault> {
        if self.0 == "null" {
            return Ok(None);
        }
        if !self.0.starts_with('"') {
            return Ok(Some(self.0.to_owned()));
        }
        serde_json::from_str(self.0)
            .map(Some)
            .map_err(|error| Fault::new(error.to_string()))
    }
}

/// The objects of a file.
struct Lines<'r> {
    records: Records<'r>,
    name: &'r str,
    skips_blank_lines: bool,
    seen: Vec<String>,
}

impl<'r> Lines<'r> {
    fn new(
        options: &JsonLinesOptions,
        name: &'r str,
        input: &'r mut dyn Read,
    ) -> Result<Self, InputError> {
        Ok(Self {
            records: Records::new(input, name, &options.dialect())?,
            name,
            skips_blank_lines: options.skips_blank_lines,
            seen: Vec::new(),
        })
    }

    /// Whether the line holds nothing but blanks.
    fn is_blank(&mut self) -> bool {
        self.records.bytes().trim_ascii().is_empty()
    }

    /// Gives each key of the next object to `each`; false at the end of the file.
    fn next_object(
        &mut self,
        mut each: impl FnMut(&str, RawValue<'_>) -> Result<(), Fault>,
    ) -> Result<bool, InputError> {
        loop {
            match self.records.next()? {
                Found::Record if self.skips_blank_lines && self.is_blank() => {}
                Found::Record => break,
                Found::End => return Ok(false),
                Found::Blank if self.skips_blank_lines => {}
                Found::Blank => {
                    return Err(super::csv::blank_line(self.name, self.records.line()));
                }
            }
        }
        let line = std::str::from_utf8(self.records.bytes());
        let fault = match line {
            Err(error) => {
                let byte = self.records.bytes().get(error.valid_up_to()).copied();
                let what = format!("{}:{}: the line", self.name, self.records.line());
                return Err(super::csv::not_utf8(&what, byte.unwrap_or_default()));
            }
            Ok(line) => match object(line, &mut self.seen, &mut each) {
                Ok(()) => return Ok(true),
                Err(fault) => fault,
            },
        };
        let at = format!("{}:{}", self.name, self.records.line());
        let hint = fault
            .hint
            .unwrap_or("each line is one whole JSON object; a list of objects is another format");
        Err(InputError::invalid(format!("{at}: {}", fault.message)).with_hint(hint))
    }
}

/// Goes through the keys of one object.
fn object(
    line: &str,
    seen: &mut Vec<String>,
    each: &mut impl FnMut(&str, RawValue<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    seen.clear();
    let mut rest = line.trim_ascii();
    rest = rest
        .strip_prefix('{')
        .ok_or_else(|| Fault::new("the line is not a JSON object"))?
        .trim_ascii_start();
    if let Some(behind) = rest.strip_prefix('}') {
        return end(behind);
    }
    loop {
        let (key_text, behind) = value(rest)?;
        if !key_text.starts_with('"') {
            return Err(Fault::new("a key is not in double quotes"));
        }
        let key: Cow<'_, str> = if key_text.contains('\\') {
            let key: String =
                serde_json::from_str(key_text).map_err(|error| Fault::new(error.to_string()))?;
            Cow::Owned(key)
        } else {
            Cow::Borrowed(key_text.trim_matches('"'))
        };
        if seen.iter().any(|earlier| *earlier == *key) {
            return Err(Fault::new(format!(
                "key `{}` is in the object twice",
                key.escape_debug()
            )));
        }
        let behind = behind
            .trim_ascii_start()
            .strip_prefix(':')
            .ok_or_else(|| Fault::new(format!("no `:` behind key `{}`", key.escape_debug())))?;
        let (text, behind) = value(behind.trim_ascii_start())?;
        each(&key, RawValue(text))?;
        seen.push(key.into_owned());
        let behind = behind.trim_ascii_start();
        if let Some(behind) = behind.strip_prefix('}') {
            return end(behind);
        }
        rest = behind
            .strip_prefix(',')
            .ok_or_else(|| Fault::new("the object is not closed, or a `,` is missing in it"))?
            .trim_ascii_start();
    }
}

fn end(behind: &str) -> Result<(), Fault> {
    if behind.trim_ascii().is_empty() {
        return Ok(());
    }
    Err(Fault::new("something stands behind the object"))
}

/// The JSON value at the start of a text, and what is behind it.
fn value(text: &str) -> Result<(&str, &str), Fault> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(text.split_at(values.byte_offset())),
        Some(Err(error)) => Err(Fault::new(format!("the line is not JSON: {error}"))),
        None => Err(Fault::new("the object is not closed")),
    }
}

#[cfg(test)]
mod tests;
