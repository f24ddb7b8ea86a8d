//! Paths and globs.

use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{FileOptions, SourceFile, limits};
use crate::input_error::InputError;

/// Deepest folder under a `**`, so that folders that contain themselves end.
const DEEPEST: usize = 64;

/// The files that a path names, archives opened, in the order of their names.
///
/// The path is relative to `root`. One that exists is taken as it is; any other with `*`, `?`, `[` or `{`
/// is a glob in which `*` stays inside a folder and `**` goes through folders. Globs pass over hidden files,
/// and over links to folders. A path or a glob without a file is an error.
pub fn find(root: &Path, path: &str, options: &FileOptions) -> Result<Vec<SourceFile>, InputError> {
    if path.trim().is_empty() {
        return Err(InputError::invalid("the path is empty"));
    }
    if let Some((scheme, _)) = path.split_once("://") {
        return Err(InputError::invalid(format!(
            "`{path}` is not a path: files are read from disk, not from `{scheme}`"
        ))
        .with_hint("copy or mount the files, and write their path"));
    }
    let literal = root.join(path);
    let is_glob = path.contains(['*', '?', '[', '{']);
    if !is_glob || literal.exists() {
        return super::at(&literal, path, options);
    }
    // `a//b` is `a/b`, as it is for paths without patterns.
    let path = &normal(path);
    let (folder, pattern) = split(path);
    let matcher = GlobBuilder::new(path)
        .literal_separator(true)
        .build()
        .map_err(|error| InputError::invalid(format!("`{path}` is not a glob: {}", error.kind())))?
        .compile_matcher();
    let levels = if pattern.contains("**") {
        DEEPEST
    } else {
        pattern.split('/').count()
    };
    let mut matches = Vec::new();
    walk(&root.join(&folder), &folder, levels, &matcher, &mut matches)?;
    matches.sort();
    if matches.is_empty() {
        return Err(no_match(root, path, &folder));
    }
    let mut found = Vec::new();
    for name in matches {
        let shown = name.to_string_lossy().into_owned();
        found.extend(super::at(&root.join(&name), &shown, options)?);
    }
    Ok(found)
}

/// The path without empty parts, and without `.` behind its first one.
fn normal(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for (index, part) in path.split('/').enumerate() {
        if index == 0 {
            normal.push_str(part);
        } else if !part.is_empty() && part != "." {
            normal.push('/');
            normal.push_str(part);
        }
    }
    normal
}

/// The folder before the first part that is a pattern, and the rest.
fn split(path: &str) -> (PathBuf, String) {
    let mut folder = PathBuf::new();
    let mut components = Path::new(path).components();
    loop {
        let rest = components.as_path().to_string_lossy().into_owned();
        match components.next() {
            Some(Component::Normal(part))
                if part.to_string_lossy().contains(['*', '?', '[', '{']) =>
            {
                return (folder, rest);
            }
            Some(part) => folder.push(part),
            None => return (folder, rest),
        }
    }
}

fn walk(
    folder: &Path,
    shown: &Path,
    levels: usize,
    matcher: &GlobMatcher,
    matches: &mut Vec<PathBuf>,
) -> Result<(), InputError> {
    let cannot_list = |error| limits::error(&format!("{}/", shown.display()), error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => return Err(cannot_list(error)),
    };
    for entry in entries {
        let entry = entry.map_err(cannot_list)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let shown = shown.join(&name);
        let kind = entry.file_type().map_err(cannot_list)?;
        if kind.is_dir() {
            if levels > 1 {
                walk(&entry.path(), &shown, levels - 1, matcher, matches)?;
            }
        } else if matcher.is_match(&shown) && !entry.path().is_dir() {
            matches.push(shown);
        }
    }
    Ok(())
}

fn no_match(root: &Path, path: &str, folder: &Path) -> InputError {
    let hint = if root.join(folder).is_dir() {
        "`*` stays inside one folder, `**/` goes through folders; upper and lower case differ"
            .to_owned()
    } else {
        format!("the folder `{}` does not exist", folder.display())
    };
    InputError::not_found(format!("no file matches `{path}`")).with_hint(hint)
}
