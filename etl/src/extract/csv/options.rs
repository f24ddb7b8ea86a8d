//! Options of CSV files.

use lakegate_rules::yaml::{Fields, Node, Problems};
use serde::Serialize;

use super::records::Dialect;
use crate::extract::settings::{self, string_list, word};

/// Keys of `extract:` that are for CSV only.
pub(crate) const KEYS: &[&str] = &[
    "header",
    "columns",
    "delimiter",
    "quote",
    "escape",
    "comment",
    "blank_lines",
    "too_few_fields",
    "too_many_fields",
    "empty_fields",
    "max_line_bytes",
    "source_columns",
    "encoding",
];

/// Options of CSV files; the module's documentation has their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CsvOptions {
    pub(crate) dialect: Dialect,
    pub(crate) has_header: bool,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) skips_blank_lines: bool,
    pub(crate) too_few_is_null: bool,
    pub(crate) too_many_is_dropped: bool,
    pub(crate) empty_is_null: bool,
    pub(crate) has_source_columns: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect {
                delimiter: b',',
                quote: Some(b'"'),
                escape: None,
                comment: None,
                max_line_bytes: settings::DEFAULT_MAX_LINE_BYTES,
            },
            has_header: true,
            columns: None,
            skips_blank_lines: false,
            too_few_is_null: false,
            too_many_is_dropped: false,
            empty_is_null: true,
            has_source_columns: false,
        }
    }
}

impl CsvOptions {
    /// Reads the options that are there; the others keep their defaults.
    pub(crate) fn parse(fields: &Fields<'_>, problems: &mut Problems) -> Self {
        let mut options = Self::default();
        if let Some(header) = fields.bool("header", problems) {
            options.has_header = header;
        }
        options.columns = string_list(fields, "columns", problems);
        if !options.has_header && !fields.has("columns") {
            let problem = fields.node().problem("`header: false` needs `columns`");
            let hint = "name the columns in their order: `columns: [id, name]`".to_owned();
            problems.push(problem.with_hint(hint));
        }
        if let Some(node) = fields.get("delimiter") {
            let delimiter = byte(node, "`delimiter`", problems).flatten();
            options.dialect.delimiter = delimiter.unwrap_or(options.dialect.delimiter);
        }
        for (key, target) in [
            ("quote", &mut options.dialect.quote),
            ("escape", &mut options.dialect.escape),
            ("comment", &mut options.dialect.comment),
        ] {
            let value = fields.get(key);
            let value = value.and_then(|node| byte(node, &format!("`{key}`"), problems));
            *target = value.unwrap_or(*target);
        }
        options.dialect.refuse_double_meanings(fields, problems);
        let mut flag = |key: &str, target: &mut bool, words: [(&str, bool); 2]| {
            *target = word(fields, key, &words, problems).unwrap_or(*target);
        };
        flag(
            "blank_lines",
            &mut options.skips_blank_lines,
            [("error", false), ("skip", true)],
        );
        flag(
            "too_few_fields",
            &mut options.too_few_is_null,
            [("error", false), ("null", true)],
        );
        flag(
            "too_many_fields",
            &mut options.too_many_is_dropped,
            [("error", false), ("drop", true)],
        );
        flag(
            "empty_fields",
            &mut options.empty_is_null,
            [("null", true), ("text", false)],
        );
        word(fields, "encoding", &[("utf-8", ())], problems);
        options.dialect.max_line_bytes = settings::max_line_bytes(fields, problems);
        if let Some(source_columns) = fields.bool("source_columns", problems) {
            options.has_source_columns = source_columns;
        }
        if let (true, Some(columns)) = (options.has_source_columns, &options.columns) {
            settings::refuse_location_columns(fields, columns, problems);
        }
        options
    }
}

impl Dialect {
    fn refuse_double_meanings(&self, fields: &Fields<'_>, problems: &mut Problems) {
        let meanings = [
            ("delimiter", Some(self.delimiter)),
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        for (i, (key, byte)) in meanings.iter().enumerate() {
            let earlier = meanings[..i].iter().find(|(_, other)| other == byte);
            // An escape that is the quote says what holds anyway: a doubled quote is a quote.
            let is_harmless = *key == "escape" && self.escape == self.quote;
            if let (Some(byte), Some((other, _)), false) = (byte, earlier, is_harmless) {
                let at = fields.get(key).or_else(|| fields.get(other));
                let at = at.unwrap_or(fields.node());
                problems.push(at.problem(format!(
                    "`{other}` and `{key}` are both {:?}",
                    char::from(*byte)
                )));
            }
        }
    }
}

/// One ASCII character, `tab`, or `none`.
fn byte(node: &Node, what: &str, problems: &mut Problems) -> Option<Option<u8>> {
    let text = node.string(what, problems)?;
    match (text.as_str(), text.as_bytes()) {
        ("none", _) if what != "`delimiter`" => Some(None),
        ("tab", _) => Some(Some(b'\t')),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(Some(*byte)),
        _ => {
            let wanted = match what {
                "`delimiter`" => "one ASCII character, or `tab`",
                _ => "one ASCII character, or `none`",
            };
            node.wanted(what, wanted, None, problems);
            None
        }
    }
}
