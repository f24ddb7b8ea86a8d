//! What the extractors read from YAML in the same way.

use lakegate_rules::yaml::{Fields, Node, Problems, Span, Value};

use super::text_table::{FILE_COLUMN, LINE_COLUMN};
use crate::files::{Compression, FileOptions};
use crate::input_error::InputError;

/// Keys of every extractor of files.
pub(super) const FILE_KEYS: &[&str] = &["format", "path"];

/// Keys of extractors whose files can be packed.
pub(super) const PACKING_KEYS: &[&str] =
    &["compression", "members", "max_expanded_bytes", "max_ratio"];

/// Longest record that is accepted unless `max_line_bytes` says otherwise.
pub(crate) const DEFAULT_MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// A batch's text is addressed by 32 bits, so that a record must stay well below 2 GiB.
const MOST_LINE_BYTES: u64 = 1024 * 1024 * 1024;

/// One of some words, `null` among them, which YAML takes for a value of its own.
pub(crate) fn word<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let node = fields.get(key)?;
    let found = match &node.value {
        Value::Scalar(scalar) => words.iter().find(|(word, _)| *word == scalar.text),
        Value::List(_) | Value::Map(_) => None,
    };
    match found {
        Some((_, value)) => Some(*value),
        None => node.choice(&format!("`{key}`"), words, problems),
    }
}

/// A list of texts that is neither empty nor has one of them twice.
pub(crate) fn string_list(
    fields: &Fields<'_>,
    key: &str,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let nodes = fields.list(key, problems)?;
    if nodes.is_empty() {
        let node = fields.get(key).unwrap_or(fields.node());
        problems.push(node.problem(format!("`{key}` is empty")));
        return None;
    }
    let mut texts: Vec<String> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let text = node.string(&format!("an item of `{key}`"), problems)?;
        if texts.contains(&text) {
            problems.push(node.problem(format!("`{text}` is in `{key}` twice")));
            return None;
        }
        texts.push(text);
    }
    Some(texts)
}

pub(super) fn file_options(fields: &Fields<'_>, problems: &mut Problems) -> FileOptions {
    let mut options = FileOptions::default();
    let compressions = [
        ("auto", Compression::Auto),
        ("none", Compression::None),
        ("gz", Compression::Gz),
        ("zst", Compression::Zst),
        ("zip", Compression::Zip),
    ];
    options.compression =
        word(fields, "compression", &compressions, problems).unwrap_or(options.compression);
    options.members = fields.string("members", problems);
    if let (Some(members), Some(node)) = (&options.members, fields.get("members"))
        && let Err(error) = crate::files::member_glob(members)
    {
        problems.push(node.problem(error.to_string()));
    }
    options.max_expanded_bytes = positive(
        fields,
        "max_expanded_bytes",
        fields.byte_size("max_expanded_bytes", problems),
        problems,
    )
    .unwrap_or(options.max_expanded_bytes);
    options.max_ratio = positive(
        fields,
        "max_ratio",
        fields.count("max_ratio", problems),
        problems,
    )
    .unwrap_or(options.max_ratio);
    options
}

fn positive(
    fields: &Fields<'_>,
    key: &str,
    value: Option<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    if value == Some(0) {
        let node = fields.get(key).unwrap_or(fields.node());
        problems.push(node.problem(format!("`{key}` must be above 0")));
        return None;
    }
    value
}

pub(crate) fn max_line_bytes(fields: &Fields<'_>, problems: &mut Problems) -> usize {
    let size = fields.byte_size("max_line_bytes", problems);
    let Some(size) = positive(fields, "max_line_bytes", size, problems) else {
        return DEFAULT_MAX_LINE_BYTES;
    };
    if size > MOST_LINE_BYTES {
        let node = fields.get("max_line_bytes").unwrap_or(fields.node());
        problems.push(node.problem("`max_line_bytes` must be at most 1GiB"));
    }
    usize::try_from(size).unwrap_or(DEFAULT_MAX_LINE_BYTES)
}

/// Names that `source_columns` adds must be free.
pub(crate) fn refuse_location_columns(
    fields: &Fields<'_>,
    columns: &[String],
    problems: &mut Problems,
) {
    for taken in [FILE_COLUMN, LINE_COLUMN] {
        if columns.iter().any(|column| column == taken) {
            let node = fields.get("columns").unwrap_or(fields.node());
            problems.push(node.problem(format!("`source_columns` adds a column `{taken}` too")));
        }
    }
}

/// A path as it is written, with its parameters.
#[derive(Debug, Clone)]
pub(super) struct PathText {
    pub(super) span: Span,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Parameter(String),
}

impl std::fmt::Display for PathText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Parameter(name) => write!(f, "${{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl PathText {
    /// Reads `path: TEXT` or `path: [TEXT, ...]`.
    pub(super) fn list(fields: &Fields<'_>, problems: &mut Problems) -> Vec<Self> {
        let Some(node) = fields.get("path") else {
            return Vec::new();
        };
        let nodes = match &node.value {
            Value::List(nodes) => nodes.as_slice(),
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
        };
        if nodes.is_empty() {
            problems.push(node.problem("`path` is empty"));
        }
        let paths = nodes.iter().filter_map(|node| Self::parse(node, problems));
        paths.collect()
    }

    /// Reads `path: TEXT`.
    pub(super) fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.string("`path`", problems)?;
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                problems.push(node.problem(format!("`${{` is not closed in `{text}`")));
                return None;
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Parameter(name.trim().to_owned()));
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Self {
            span: node.span,
            parts,
        })
    }

    /// The parameters that stand in the path.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The path with the values of its parameters.
    pub(super) fn resolve(
        &self,
        parameters: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, InputError> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Parameter(name) => {
                    let value = parameters(name).ok_or_else(|| {
                        InputError::invalid(format!("parameter `{name}` has no value"))
                            .with_hint("declare it under `parameters:` of the pipeline, with a default or by `--param`")
                            .at(self.span)
                    })?;
                    path.push_str(&value);
                }
            }
        }
        Ok(path)
    }
}
