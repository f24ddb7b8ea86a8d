//! `lakegate.yaml` as it is written.

use std::path::Path;
use std::time::Duration;

use lakegate_rules::yaml::{self, Fields, Problems, Span};

use super::PROJECT_FILE;
use crate::error::CliError;

/// What `lakegate.yaml` says; nothing where it says nothing.
#[derive(Debug, Default)]
pub(super) struct ProjectFile {
    pub(super) project: Option<(String, Span)>,
    pub(super) warehouse: Option<(String, Span)>,
    pub(super) catalog: Option<(String, Span)>,
    pub(super) memory_limit: Option<(u64, Span)>,
    pub(super) sample_rows: Option<(u64, Span)>,
    pub(super) sample_keep: Option<(Duration, Span)>,
}

impl ProjectFile {
    pub(super) fn read(text: &str) -> Result<Self, Problems> {
        let node = yaml::parse(PROJECT_FILE, text)?;
        let mut problems = Problems::default();
        let known = [
            "version",
            "project",
            "warehouse",
            "catalog",
            "memory_limit",
            "samples",
        ];
        let fields = Fields::new(&node, "the project", &known, &mut problems);
        fields.require(&["version", "project"], &mut problems);
        if let Some(version) = fields.get("version") {
            let number = version.integer("`version`", &mut problems);
            if number.is_some_and(|number| number != 1) {
                version.wanted("`version`", "1", None, &mut problems);
            }
        }
        let mut file = Self {
            project: with_span(&fields, "project", fields.string("project", &mut problems)),
            warehouse: with_span(
                &fields,
                "warehouse",
                fields.string("warehouse", &mut problems),
            ),
            memory_limit: with_span(
                &fields,
                "memory_limit",
                fields.byte_size("memory_limit", &mut problems),
            ),
            ..Self::default()
        };
        if let Some(node) = fields.get("catalog") {
            let catalog = Fields::new(node, "`catalog`", &["embedded"], &mut problems);
            catalog.require(&["embedded"], &mut problems);
            let path = catalog.string("embedded", &mut problems);
            file.catalog = with_span(&catalog, "embedded", path);
        }
        if let Some(node) = fields.get("samples") {
            let samples = Fields::new(node, "`samples`", &["rows", "keep"], &mut problems);
            let rows = samples.count("rows", &mut problems);
            file.sample_rows = with_span(&samples, "rows", rows);
            let keep = samples.duration("keep", &mut problems);
            file.sample_keep = with_span(&samples, "keep", keep);
        }
        problems.into_result(file)
    }
}

fn with_span<T>(fields: &Fields<'_>, key: &str, value: Option<T>) -> Option<(T, Span)> {
    value.map(|value| (value, fields.span(key)))
}

/// The text of `lakegate.yaml`; none when there is no such file.
pub(super) fn read_project_file(root: &Path) -> Result<Option<Result<String, Problems>>, CliError> {
    match std::fs::read(root.join(PROJECT_FILE)) {
        Ok(bytes) => Ok(Some(yaml::decode(PROJECT_FILE, &bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::failed(
            format!("cannot read `{}`", root.join(PROJECT_FILE).display()),
            &error,
        )),
    }
}
