//! Finds the file of a pipeline.

use std::path::Path;

use lakegate_rules::yaml::nearest_hint;

use crate::EtlError;

/// The folder for pipelines in a project.
const PIPELINES: &str = "pipelines";

/// The pipeline's file, relative to the project folder.
pub(super) fn find(root: &Path, name_or_path: &str) -> Result<String, EtlError> {
    let is_path = name_or_path.contains(['/', '\\'])
        || name_or_path.ends_with(".yaml")
        || name_or_path.ends_with(".yml");
    let candidates = if is_path {
        vec![name_or_path.to_owned()]
    } else {
        ["yaml", "yml"]
            .map(|end| format!("{PIPELINES}/{name_or_path}.{end}"))
            .to_vec()
    };
    if let Some(found) = candidates.iter().find(|file| root.join(file).is_file()) {
        return Ok(found.clone());
    }
    if is_path {
        return Err(EtlError::request(
            format!(
                "pipeline file `{name_or_path}` does not exist in the project folder `{}`",
                root.display()
            ),
            "paths are relative to the project folder; `-C DIR` names another one".to_owned(),
        ));
    }
    let known = names(root);
    let hint = if known.is_empty() {
        Some(format!(
            "there are no pipelines in `{}`",
            root.join(PIPELINES).display()
        ))
    } else {
        nearest_hint(name_or_path, &known)
    };
    Err(EtlError::request(
        format!("pipeline `{name_or_path}` does not exist"),
        hint,
    ))
}

/// Names of the pipelines of a project.
fn names(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.join(PIPELINES)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_yaml = path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "yml");
            let stem = path.file_stem()?.to_str()?.to_owned();
            is_yaml.then_some(stem)
        })
        .collect();
    names.sort();
    names
}
