//! Zip archives: their members are read in place, nothing is written to disk.

use std::fs::{File, Metadata};
use std::io::BufReader;
use std::path::Path;

use globset::GlobBuilder;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Compression, FileOptions, Packing, SourceFile, limits};
use crate::input_error::InputError;

/// Most members of an archive: its directory is read once for each of them.
const MOST_MEMBERS: usize = 10_000;

pub(super) fn open(file: File, name: &str) -> Result<ZipArchive<BufReader<File>>, InputError> {
    ZipArchive::new(BufReader::new(file)).map_err(|error| self::error(name, error))
}

/// The members to read. An archive with a member that points out of it, or that overlaps another one, is refused whole.
pub(super) fn members(
    path: &Path,
    name: &str,
    metadata: &Metadata,
    options: &FileOptions,
) -> Result<Vec<SourceFile>, InputError> {
    let file = File::open(path).map_err(|error| limits::error(name, error))?;
    let mut archive = open(file, name)?;
    if archive.len() > MOST_MEMBERS {
        return Err(InputError::invalid(format!(
            "`{name}` has {} members, more than {MOST_MEMBERS}",
            archive.len()
        )));
    }
    if archive
        .has_overlapping_files()
        .map_err(|error| self::error(name, error))?
    {
        return Err(unsafe_archive(name, "members that share bytes"));
    }
    let wanted = options.members.as_deref().map(glob).transpose()?;
    let mut found = Vec::new();
    let mut expanded_bytes: u64 = 0;
    for index in 0..archive.len() {
        let member = archive
            .by_index_raw(index)
            .map_err(|error| self::error(name, error))?;
        let member_name = member
            .name()
            .map_err(|error| self::error(name, error))?
            .into_owned();
        refuse_unsafe(name, &member_name, member.is_symlink())?;
        let is_wanted = match &wanted {
            Some(wanted) => wanted.is_match(&member_name),
            None => !is_hidden(&member_name),
        };
        if member.is_dir() || !is_wanted {
            continue;
        }
        let full_name = format!("{name}/{member_name}");
        if member.encrypted() {
            return Err(InputError::invalid(format!("`{full_name}` is encrypted"))
                .with_hint("unpack it, and extract the unpacked file"));
        }
        if Compression::Auto.of(Path::new(&member_name)) != Compression::None {
            return Err(
                InputError::invalid(format!("`{full_name}` is packed a second time"))
                    .with_hint("unpack the archive, and extract the files in it"),
            );
        }
        expanded_bytes = expanded_bytes.saturating_add(member.size());
        if expanded_bytes > options.max_expanded_bytes {
            return Err(limits::too_large(name, options.max_expanded_bytes));
        }
        if member.size() == 0 {
            let hint = "`members` names the members to read, as a glob: `members: \"*.csv\"`";
            return Err(limits::empty(&full_name).with_hint(hint));
        }
        found.push(SourceFile {
            path: path.to_owned(),
            name: full_name,
            packing: Packing::Member { index },
            stored_bytes: member.compressed_size(),
            modified: metadata.modified().ok(),
        });
    }
    if found.is_empty() {
        let message = match &options.members {
            Some(members) => format!("`{name}` has no member that matches `{members}`"),
            None => format!("`{name}` has no files in it"),
        };
        return Err(InputError::not_found(message));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The glob for names of members.
pub(crate) fn glob(pattern: &str) -> Result<globset::GlobMatcher, InputError> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| {
        InputError::invalid(format!("`{pattern}` is not a glob: {}", error.kind()))
    })
}

/// What packers add on their own: `.DS_Store`, `__MACOSX/`.
fn is_hidden(member: &str) -> bool {
    member
        .split('/')
        .any(|part| part.starts_with('.') || part == "__MACOSX")
}

fn refuse_unsafe(archive: &str, member: &str, is_symlink: bool) -> Result<(), InputError> {
    let has_drive = member.as_bytes().get(1) == Some(&b':');
    let is_absolute = member.starts_with(['/', '\\']) || has_drive;
    let climbs = member.split(['/', '\\']).any(|part| part == "..");
    if is_absolute || climbs || member.contains('\0') {
        let what = format!(
            "a member that points out of it: `{}`",
            member.escape_debug()
        );
        return Err(unsafe_archive(archive, &what));
    }
    if is_symlink {
        return Err(unsafe_archive(
            archive,
            &format!("a symbolic link: `{member}`"),
        ));
    }
    Ok(())
}

fn unsafe_archive(archive: &str, what: &str) -> InputError {
    InputError::invalid(format!("`{archive}` is not safe to read: it has {what}"))
        .with_hint("ask its sender how it was made; honest archives hold nothing of the kind")
}

pub(super) fn error(name: &str, error: ZipError) -> InputError {
    match error {
        ZipError::Io(error) => limits::error(name, error),
        ZipError::InvalidArchive(why) => {
            InputError::invalid(format!("`{name}` is not a whole zip archive: {why}"))
                .with_hint("ask for the file again; its transfer was probably interrupted")
        }
        error => InputError::invalid(format!("`{name}` cannot be unpacked: {error}")).with_hint(
            "pack it again with the method `deflate`, or unpack it and extract the unpacked files",
        ),
    }
}
