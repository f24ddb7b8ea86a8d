//! Extractors: raw files and tables as views.
//!
//! One format is one file beside this one, and one arm in each function here.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use lakegate_catalog::TableName;
use lakegate_rules::yaml::{Fields, Node, Problems, Span};

use crate::files::{self, FileOptions, SourceFile};
use crate::input_error::InputError;
use csv::{CsvOptions, CsvReader};
use delta::{DeltaSource, Found, Named};
use json_lines::{JsonLinesOptions, JsonLinesReader};
use parquet::ParquetTable;
use settings::PathText;
use text_table::{RowReader, TextTable, text_schema};

mod csv;
mod delta;
mod json_lines;
mod open;
mod parquet;
mod settings;
pub use open::OpenExtract;
pub(crate) use settings::word;
pub(crate) mod text_table;

/// What `format:` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
    Parquet,
    Delta,
}

const FORMATS: &[(&str, Format)] = &[
    ("csv", Format::Csv),
    ("json_lines", Format::JsonLines),
    ("parquet", Format::Parquet),
    ("delta", Format::Delta),
];

/// An `extract:` stage as it is written; nothing has been opened.
#[derive(Debug, Clone)]
pub struct ExtractSpec {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Files {
        paths: Vec<PathText>,
        options: FileOptions,
        format: FileFormat,
    },
    Delta(DeltaSource),
}

#[derive(Debug, Clone)]
enum FileFormat {
    Csv(CsvOptions),
    JsonLines(JsonLinesOptions),
    Parquet,
}

impl ExtractSpec {
    /// Reads the map under `extract:`.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let format = Self::format(node, problems)?;
        let known: Vec<&str> = match format {
            Format::Csv => [
                settings::FILE_KEYS,
                settings::PACKING_KEYS,
                csv::options::KEYS,
            ]
            .concat(),
            Format::JsonLines => [
                settings::FILE_KEYS,
                settings::PACKING_KEYS,
                json_lines::KEYS,
            ]
            .concat(),
            Format::Parquet => settings::FILE_KEYS.to_vec(),
            Format::Delta => [&["format"], delta::KEYS].concat(),
        };
        let fields = Fields::new(node, "`extract`", &known, problems);
        let source = if format == Format::Delta {
            DeltaSource::parse(&fields, problems).map(Source::Delta)
        } else {
            fields.require(&["path"], problems);
            let paths = PathText::list(&fields, problems);
            let (format, options) = match format {
                Format::Csv => {
                    let format = FileFormat::Csv(CsvOptions::parse(&fields, problems));
                    (format, settings::file_options(&fields, problems))
                }
                Format::JsonLines => {
                    let format = FileFormat::JsonLines(JsonLinesOptions::parse(&fields, problems));
                    (format, settings::file_options(&fields, problems))
                }
                Format::Parquet | Format::Delta => (FileFormat::Parquet, FileOptions::unpacked()),
            };
            Some(Source::Files {
                paths,
                options,
                format,
            })
        };
        (problems.len() == before).then_some(Self { source: source? })
    }

    /// The format, which decides what other keys there are.
    fn format(node: &Node, problems: &mut Problems) -> Option<Format> {
        let entries = node.map("`extract`", problems)?;
        match entries.iter().find(|entry| entry.key == "format") {
            Some(entry) => entry.value.choice("`format`", FORMATS, problems),
            None if entries.iter().any(|entry| entry.key == "table") => Some(Format::Delta),
            None => {
                let names: Vec<String> = FORMATS
                    .iter()
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                let problem = node.problem("`extract` needs the key `format`");
                let hint = format!("one of {}", names.join(", "));
                problems.push(problem.with_hint(hint));
                None
            }
        }
    }

    /// Names of the parameters that the paths use, with their places.
    pub fn parameters(&self) -> Vec<(String, Span)> {
        let mut parameters = Vec::new();
        for path in self.path_texts() {
            parameters.extend(path.parameters().map(|name| (name.to_owned(), path.span)));
        }
        parameters
    }

    /// The paths as they are written, with the names of their parameters.
    pub fn paths(&self) -> Vec<String> {
        self.path_texts().iter().map(ToString::to_string).collect()
    }

    fn path_texts(&self) -> &[PathText] {
        match &self.source {
            Source::Files { paths, .. } => paths,
            Source::Delta(DeltaSource {
                table: Named::InFolder(path),
                ..
            }) => std::slice::from_ref(path),
            Source::Delta(_) => &[],
        }
    }

    /// The catalog table that is read, when the stage names one.
    pub fn table(&self) -> Option<(&TableName, Span)> {
        match &self.source {
            Source::Delta(DeltaSource {
                table: Named::InCatalog(table),
                span,
                ..
            }) => Some((table, *span)),
            Source::Delta(_) | Source::Files { .. } => None,
        }
    }

    /// The columns, when they can be known without any file.
    pub fn declared_schema(&self) -> Option<SchemaRef> {
        let Source::Files { format, .. } = &self.source else {
            return None;
        };
        match format {
            FileFormat::Csv(options) => {
                let columns = options.columns.as_deref()?;
                Some(text_schema(columns, options.has_source_columns))
            }
            FileFormat::JsonLines(options) => {
                let columns = options.columns.as_deref()?;
                Some(text_schema(columns, options.has_source_columns))
            }
            FileFormat::Parquet => None,
        }
    }

    /// Puts parameters into the paths and finds the files; `root` is the project folder.
    ///
    /// Several paths give each file once. Opens archives to list their members.
    pub fn resolve(
        &self,
        root: &Path,
        parameters: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ResolvedExtract, InputError> {
        let source = match &self.source {
            Source::Delta(delta) => Resolved::Delta(delta.resolve(root, parameters)?),
            Source::Files {
                paths,
                options,
                format,
            } => {
                let mut found: Vec<SourceFile> = Vec::new();
                let mut seen: HashSet<(PathBuf, Option<usize>)> = HashSet::new();
                for path in paths {
                    let text = path.resolve(parameters)?;
                    let files = files::find(root, &text, options);
                    for file in files.map_err(|error| error.at(path.span))? {
                        if seen.insert(file.on_disk()?) {
                            found.push(file);
                        }
                    }
                }
                Resolved::Files {
                    files: found.into(),
                    options: Arc::new(options.clone()),
                    format: format.clone(),
                    span: paths.first().map(|path| path.span).unwrap_or_default(),
                }
            }
        };
        Ok(ResolvedExtract { source })
    }
}

/// An extract whose files are known, or the name of whose table is.
#[derive(Debug, Clone)]
pub struct ResolvedExtract {
    source: Resolved<DeltaSource<Found>>,
}

#[derive(Debug, Clone)]
enum Resolved<D> {
    Files {
        files: Arc<[SourceFile]>,
        options: Arc<FileOptions>,
        format: FileFormat,
        span: Span,
    },
    Delta(D),
}

/// The rows of a view of text with `_file` and `_line` behind their columns; none when they come from no text file, or
/// have such columns.
pub(crate) fn with_places(view: &Arc<dyn TableProvider>) -> Option<Arc<dyn TableProvider>> {
    let located = view.downcast_ref::<TextTable>()?.with_location()?;
    Some(Arc::new(located))
}

impl FileFormat {
    /// The format of a file that no stage says anything of.
    fn of_name(path: &Path) -> Option<Self> {
        let lower = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (mut stem, mut ending) = lower.rsplit_once('.')?;
        let is_packed = matches!(ending, "gz" | "gzip" | "zst" | "zstd" | "zip");
        if is_packed && let Some((inner_stem, inner)) = stem.rsplit_once('.') {
            (stem, ending) = (inner_stem, inner);
        }
        let csv = |delimiter: u8| {
            let mut options = CsvOptions {
                skips_blank_lines: true,
                ..CsvOptions::default()
            };
            options.dialect.delimiter = delimiter;
            Self::Csv(options)
        };
        match ending {
            _ if stem.is_empty() => None,
            "csv" => Some(csv(b',')),
            "tsv" => Some(csv(b'\t')),
            "json" | "jsonl" | "ndjson" => Some(Self::JsonLines(JsonLinesOptions {
                skips_blank_lines: true,
                ..JsonLinesOptions::default()
            })),
            "parquet" if !is_packed => Some(Self::Parquet),
            _ => None,
        }
    }

    fn has_source_columns(&self) -> bool {
        match self {
            Self::Csv(options) => options.has_source_columns,
            Self::JsonLines(options) => options.has_source_columns,
            Self::Parquet => false,
        }
    }

    /// The format and its options as text; equal texts read equal files into equal rows.
    fn identity(&self, files: &FileOptions) -> Result<String, InputError> {
        let options = match self {
            Self::Csv(options) => serde_json::to_string(&("csv", options, files)),
            Self::JsonLines(options) => serde_json::to_string(&("json_lines", options, files)),
            Self::Parquet => serde_json::to_string("parquet"),
        };
        options.map_err(|error| InputError::failed("the options cannot be written as JSON", error))
    }

    /// Names of the text columns; none when the files have typed ones.
    fn columns(
        &self,
        files: &[SourceFile],
        options: &FileOptions,
    ) -> Result<Option<Arc<[String]>>, InputError> {
        match self {
            Self::Csv(csv) => csv::columns(csv, files.first(), options).map(Some),
            Self::JsonLines(json) => json_lines::columns(json, files.first(), options).map(Some),
            Self::Parquet => Ok(None),
        }
    }

    fn provider(
        self,
        files: Arc<[SourceFile]>,
        options: Arc<FileOptions>,
    ) -> Result<Arc<dyn TableProvider>, InputError> {
        let Some(columns) = self.columns(&files, &options)? else {
            let schema = parquet::schema(&files)?;
            return Ok(Arc::new(ParquetTable::new(schema, files)));
        };
        let has_location = self.has_source_columns();
        let reader: Arc<dyn RowReader> = match self {
            Self::Csv(options) => Arc::new(CsvReader {
                options,
                columns: Arc::clone(&columns),
            }),
            Self::JsonLines(options) => Arc::new(JsonLinesReader {
                options,
                columns: Arc::clone(&columns),
            }),
            Self::Parquet => return Err(InputError::invalid("Parquet has no text columns")),
        };
        let table = TextTable::new(columns, reader, files, options, has_location);
        Ok(Arc::new(table))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::documented_yaml;
