//! Extracts text with delimiters: one record a line, or more where quotes say so.
//!
//! Every column is text; a `type` stage makes dates and numbers of it. Everything that is not as the options
//! say is an error with file and line, unless an option allows it.
//!
//! ```yaml
//! extract:
//!   format: csv
//!   path: data/flights-*.csv     # a path or a glob, or a list of them
//!   header: true                 # false: `columns` names them
//!   columns: [year, month]       # with a header: the names it must have, in any order; the view takes this order
//!   delimiter: ","               # one ASCII character; `tab` for a tabulator
//!   quote: '"'                   # one ASCII character; `none` when quotes mean nothing
//!   escape: none                 # takes the meaning from the character after it, inside quotes
//!   comment: none                # lines that start with it are passed over
//!   blank_lines: error           # skip
//!   too_few_fields: error        # null: the missing ones are null
//!   too_many_fields: error       # drop: what is beyond the last column is dropped
//!   empty_fields: null           # text: a field of no bytes and no quotes is empty text; with quotes it always is
//!   max_line_bytes: 16MiB        # longest record
//!   source_columns: false        # true: adds `_file` and `_line`
//!   encoding: utf-8              # the only one; a byte order mark is taken off
//!   compression: auto            # none | gz | zst | zip; auto goes by the end of the name
//!   members: "*.csv"             # of a zip archive; default: all of its files
//!   max_expanded_bytes: 256GiB   # most bytes that one packed file may unpack to
//!   max_ratio: 250               # most times its own size, beyond 64 MiB
//! ```
//!
//! Headers of several files have the same names; their order may differ, and the first file's order is the view's.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use crate::files::{FileOptions, SourceFile};
use crate::input_error::InputError;

use super::text_table::{Batches, FILE_COLUMN, LINE_COLUMN, RowReader};
use records::{Found, Records};

pub(crate) mod options;
pub(crate) mod records;

pub(crate) use options::CsvOptions;

/// Delimiters that people use; a header of one column that holds one of them was cut by the wrong one.
const LIKELY_DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Reads files that all have the same columns.
#[derive(Debug)]
pub(crate) struct CsvReader {
    pub(crate) options: CsvOptions,
    pub(crate) columns: Arc<[String]>,
}

/// The columns of the view, from the options or the header of the first file.
pub(crate) fn columns(
    options: &CsvOptions,
    first: Option<&SourceFile>,
    file_options: &FileOptions,
) -> Result<Arc<[String]>, InputError> {
    if let Some(columns) = &options.columns {
        return Ok(columns.as_slice().into());
    }
    let Some(first) = first else {
        return Ok(Arc::new([]));
    };
    first.read(file_options, |input| {
        let mut records = Records::new(input, first.name(), &options.dialect)?;
        let header = read_header(options, first.name(), &mut records)?;
        Ok(header.into())
    })
}

impl RowReader for CsvReader {
    fn read(
        &self,
        file: &SourceFile,
        input: &mut dyn Read,
        batches: &mut Batches<'_>,
    ) -> Result<(), InputError> {
        let name = file.name();
        let mut records = Records::new(input, name, &self.options.dialect)?;
        let positions = if self.options.has_header {
            let header = read_header(&self.options, name, &mut records)?;
            self.positions(name, records.line(), &header)?
        } else {
            (0..self.columns.len()).collect()
        };
        loop {
            match records.next()? {
                Found::End => return Ok(()),
                // A line without a byte is a blank one, also where there is one column only.
                Found::Blank if self.options.skips_blank_lines => continue,
                Found::Blank => return Err(blank_line(name, records.line())),
                Found::Record => {}
            }
            self.check_count(name, &records)?;
            if std::str::from_utf8(records.bytes()).is_err() {
                return Err(self.not_utf8(name, &mut records, &positions));
            }
            for (column, &position) in positions.iter().enumerate() {
                if !batches.wants(column) {
                    continue;
                }
                let is_missing = position >= records.len();
                let is_quoted = records.is_quoted(position);
                let field = records.field(position);
                let is_null =
                    is_missing || (field.is_empty() && !is_quoted && self.options.empty_is_null);
                batches.push(column, (!is_null).then_some(field));
            }
            if !batches.end_row(records.line())? {
                return Ok(());
            }
        }
    }
}

impl CsvReader {
    /// For each column of the view, where this file has it.
    fn positions(
        &self,
        name: &str,
        line: u64,
        header: &[String],
    ) -> Result<Vec<usize>, InputError> {
        let found: HashMap<&str, usize> = header
            .iter()
            .enumerate()
            .map(|(position, column)| (column.as_str(), position))
            .collect();
        let missing: Vec<&String> = self
            .columns
            .iter()
            .filter(|column| !found.contains_key(column.as_str()))
            .collect();
        let wanted: HashSet<&String> = self.columns.iter().collect();
        let surplus: Vec<&String> = header
            .iter()
            .filter(|column| !wanted.contains(column))
            .collect();
        if missing.is_empty() && surplus.is_empty() {
            return Ok(self
                .columns
                .iter()
                .map(|column| found.get(column.as_str()).copied().unwrap_or(usize::MAX))
                .collect());
        }
        let wanted_by = match self.options.columns {
            Some(_) => "`columns`",
            None => "the first file",
        };
        let mut differences = Vec::new();
        if !missing.is_empty() {
            differences.push(format!("it lacks {}", quoted(&missing)));
        }
        if !surplus.is_empty() {
            differences.push(format!("it has {} too", quoted(&surplus)));
        }
        Err(InputError::invalid(format!(
            "{name}:{line}: the header differs from {wanted_by}: {}",
            differences.join(", and ")
        ))
        .with_hint(
            "names are compared exactly; extract files of different columns in stages of their own",
        ))
    }

    fn check_count(&self, name: &str, records: &Records<'_>) -> Result<(), InputError> {
        let (has, wanted) = (records.len(), self.columns.len());
        let is_allowed = has == wanted
            || (has < wanted && self.options.too_few_is_null)
            || (has > wanted && self.options.too_many_is_dropped);
        if is_allowed {
            return Ok(());
        }
        let line = records.line();
        let fields = if has == 1 {
            "1 field"
        } else {
            &format!("{has} fields")
        };
        let hint = if has < wanted {
            "check `delimiter` and quotes; `too_few_fields: null` makes the missing ones null"
        } else {
            "check `delimiter` and quotes; `too_many_fields: drop` drops those beyond the last column"
        };
        Err(InputError::invalid(format!(
            "{name}:{line}: the record has {fields}, wanted {wanted}"
        ))
        .with_hint(hint))
    }

    fn not_utf8(&self, name: &str, records: &mut Records<'_>, positions: &[usize]) -> InputError {
        let line = records.line();
        for field in 0..records.len() {
            let Err(error) = std::str::from_utf8(records.field(field)) else {
                continue;
            };
            let byte = records.field(field).get(error.valid_up_to()).copied();
            let column = positions.iter().position(|position| *position == field);
            let column = match column.and_then(|column| self.columns.get(column)) {
                Some(column) => format!("column `{column}`"),
                None => format!("field {}", field + 1),
            };
            return not_utf8(
                &format!("{name}:{line}: {column}"),
                byte.unwrap_or_default(),
            );
        }
        not_utf8(&format!("{name}:{line}: the record"), 0)
    }
}

pub(crate) fn not_utf8(what: &str, byte: u8) -> InputError {
    InputError::invalid(format!("{what} is not UTF-8: byte 0x{byte:02X}"))
        .with_hint("convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`")
}

pub(crate) fn blank_line(name: &str, line: u64) -> InputError {
    InputError::invalid(format!("{name}:{line}: the line is blank"))
        .with_hint("`blank_lines: skip` passes over blank lines")
}

fn read_header(
    options: &CsvOptions,
    name: &str,
    records: &mut Records<'_>,
) -> Result<Vec<String>, InputError> {
    loop {
        match records.next()? {
            Found::Record => break,
            Found::Blank if options.skips_blank_lines => {}
            Found::Blank => return Err(blank_line(name, records.line())),
            Found::End => {
                return Err(InputError::invalid(format!("`{name}` has no header line"))
                    .with_hint("when the file has none, set `header: false` and `columns`"));
            }
        }
    }
    let line = records.line();
    let mut header: Vec<String> = Vec::with_capacity(records.len());
    let mut positions: HashMap<String, usize> = HashMap::with_capacity(records.len());
    for field in 0..records.len() {
        let bytes = records.field(field);
        let column = std::str::from_utf8(bytes).map_err(|error| {
            let what = format!("{name}:{line}: the name of column {}", field + 1);
            let byte = bytes.get(error.valid_up_to()).copied();
            not_utf8(&what, byte.unwrap_or_default())
        })?;
        if column.is_empty() {
            return Err(InputError::invalid(format!(
                "{name}:{line}: column {} has no name",
                field + 1
            ))
            .with_hint("name it in the header, or set `header: false` and `columns`, and cut the header off"));
        }
        if let Some(first) = positions.insert(column.to_owned(), field) {
            return Err(InputError::invalid(format!(
                "{name}:{line}: columns {} and {} are both named `{column}`",
                first + 1,
                field + 1
            ))
            .with_hint("rename one of them in the header"));
        }
        header.push(column.to_owned());
    }
    if options.columns.is_none() {
        refuse_wrong_delimiter(options, name, line, &header)?;
    }
    if options.has_source_columns {
        refuse_location_names(name, &header)?;
    }
    Ok(header)
}

fn refuse_wrong_delimiter(
    options: &CsvOptions,
    name: &str,
    line: u64,
    header: &[String],
) -> Result<(), InputError> {
    let [only] = header else {
        return Ok(());
    };
    let used = char::from(options.dialect.delimiter);
    let likely = LIKELY_DELIMITERS
        .iter()
        .find(|likely| **likely != used && only.contains(**likely));
    let Some(likely) = likely else {
        return Ok(());
    };
    let shown = match likely {
        '\t' => "tab".to_owned(),
        other => format!("\"{other}\""),
    };
    Err(InputError::invalid(format!(
        "{name}:{line}: the header is one column, `{}`",
        only.escape_debug()
    ))
    .with_hint(format!(
        "the delimiter looks like {shown}: set `delimiter: {shown}`; if it is one column, name it in `columns`"
    )))
}

/// Names that `source_columns` adds must be free.
pub(crate) fn refuse_location_names(name: &str, columns: &[String]) -> Result<(), InputError> {
    for taken in [FILE_COLUMN, LINE_COLUMN] {
        if columns.iter().any(|column| column == taken) {
            return Err(InputError::invalid(format!(
                "`{name}` has a column `{taken}`, which `source_columns` adds"
            ))
            .with_hint("set `source_columns: false`"));
        }
    }
    Ok(())
}

fn quoted(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
