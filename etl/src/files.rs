//! Files to read: finds them, opens them, and takes them out of gz, zst and zip within limits.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::input_error::InputError;

mod archive;
mod find;
mod limits;

pub(crate) use archive::glob as member_glob;
pub use find::find;
use limits::Guarded;
pub(crate) use limits::error as read_error;

/// Bytes that are read from disk at once.
const READ_BYTES: usize = 256 * 1024;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Compression {
    /// By the end of the file's name: `.gz`, `.zst`, `.zip`, and anything else is not packed.
    #[default]
    Auto,
    /// Not packed.
    None,
    /// gzip.
    Gz,
    /// Zstandard.
    Zst,
    /// A zip archive; each member is a file.
    Zip,
}

impl Compression {
    fn of(self, path: &Path) -> Self {
        if self != Self::Auto {
            return self;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("gz" | "gzip") => Self::Gz,
            Some("zst" | "zstd") => Self::Zst,
            Some("zip") => Self::Zip,
            _ => Self::None,
        }
    }
}

/// How packed files are read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileOptions {
    /// How the files are packed.
    pub compression: Compression,
    /// Which members of a zip archive are read, as a glob; all of them when absent.
    pub members: Option<String>,
    /// Most bytes that one packed file may unpack to.
    pub max_expanded_bytes: u64,
    /// Most times its own size that a packed file may unpack to, once that is more than [`FREE_BYTES`].
    pub max_ratio: u64,
}

/// Unpacked bytes below which the ratio is not looked at: small files of one repeated line pack very well.
pub const FREE_BYTES: u64 = 64 * 1024 * 1024;

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Auto,
            members: None,
            max_expanded_bytes: 256 * 1024 * 1024 * 1024,
            max_ratio: 250,
        }
    }
}

impl FileOptions {
    /// For files that are read as they are on disk.
    pub(crate) fn unpacked() -> Self {
        Self {
            compression: Compression::None,
            ..Self::default()
        }
    }
}

/// One file to read: a file on disk, or a member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// Where it is on disk.
    path: PathBuf,
    /// What it is called in messages: the path as the user wrote it, and the member: `data/a.zip/a.csv`.
    name: String,
    packing: Packing,
    /// Bytes on disk; for a member its packed bytes.
    stored_bytes: u64,
    modified: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Packing {
    Plain,
    Gz,
    Zst,
    Member { index: usize },
}

impl SourceFile {
    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it, or its archive, is on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk; for a member of an archive its packed bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Opens the file and gives its unpacked bytes to `read`. Fails when the file has none.
    pub fn read<T>(
        &self,
        options: &FileOptions,
        read: impl FnOnce(&mut dyn Read) -> Result<T, InputError>,
    ) -> Result<T, InputError> {
        let file = self.open()?;
        let stored = self.stored_bytes;
        match self.packing {
            Packing::Plain => read(&mut Guarded::new(file, &self.name)),
            Packing::Gz => {
                let packed = BufReader::with_capacity(READ_BYTES, file);
                let unpacked = flate2::bufread::MultiGzDecoder::new(packed);
                read(&mut Guarded::new(unpacked, &self.name).limited(options, stored))
            }
            Packing::Zst => {
                let unpacked = zstd::stream::read::Decoder::new(file)
                    .map_err(|error| self.cannot_read(error))?;
                read(&mut Guarded::new(unpacked, &self.name).limited(options, stored))
            }
            Packing::Member { index } => {
                let mut archive = archive::open(file, &self.name)?;
                let member = archive
                    .by_index(index)
                    .map_err(|error| archive::error(&self.name, error))?;
                read(&mut Guarded::new(member, &self.name).limited(options, stored))
            }
        }
    }

    /// SHA-256 of the bytes on disk, which for a member are those of its whole archive.
    fn stored_sha256(&self) -> Result<[u8; 32], InputError> {
        let mut file = self.open()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(bytes) => hash.update(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cannot_read(error)),
            }
        }
    }

    /// What tells it from every other file: the place of its bytes, whatever path led there, and the number of the member.
    pub(crate) fn on_disk(&self) -> Result<(PathBuf, Option<usize>), InputError> {
        let path = fs::canonicalize(&self.path).map_err(|error| self.cannot_read(error))?;
        let member = match self.packing {
            Packing::Member { index } => Some(index),
            Packing::Plain | Packing::Gz | Packing::Zst => None,
        };
        Ok((path, member))
    }

    /// Opens what is on disk, when it is still the file that was found.
    pub(crate) fn open(&self) -> Result<File, InputError> {
        let file = File::open(&self.path).map_err(|error| self.cannot_read(error))?;
        let metadata = file.metadata().map_err(|error| self.cannot_read(error))?;
        let is_same_size = self.is_member() || metadata.len() == self.stored_bytes;
        if !is_same_size || metadata.modified().ok() != self.modified {
            return Err(InputError::invalid(format!(
                "`{}` changed while the run was reading it",
                self.name
            ))
            .with_hint("write a delivery under another name and rename it when it is complete"));
        }
        Ok(file)
    }

    fn is_member(&self) -> bool {
        matches!(self.packing, Packing::Member { .. })
    }

    fn cannot_read(&self, error: io::Error) -> InputError {
        limits::error(&self.name, error)
    }
}

/// The files behind a path on disk: itself, or the members of the archive that it is. `name` is for messages.
pub(crate) fn at(
    path: &Path,
    name: &str,
    options: &FileOptions,
) -> Result<Vec<SourceFile>, InputError> {
    let metadata = fs::metadata(path).map_err(|error| limits::error(name, error))?;
    if metadata.is_dir() {
        return Err(
            InputError::invalid(format!("`{name}` is a directory, not a file")).with_hint(format!(
                "to read the files in it, write `{}/*` with their ending",
                name.trim_end_matches('/')
            )),
        );
    }
    if !metadata.is_file() {
        return Err(
            InputError::invalid(format!("`{name}` is not a regular file"))
                .with_hint("copy the data into a file"),
        );
    }
    if metadata.len() == 0 {
        return Err(limits::empty(name));
    }
    let packing = match options.compression.of(path) {
        Compression::Auto | Compression::None => Packing::Plain,
        Compression::Gz => Packing::Gz,
        Compression::Zst => Packing::Zst,
        Compression::Zip => return archive::members(path, name, &metadata, options),
    };
    Ok(vec![SourceFile {
        path: path.to_owned(),
        name: name.to_owned(),
        packing,
        stored_bytes: metadata.len(),
        modified: metadata.modified().ok(),
    }])
}

/// SHA-256 over the content of files, whatever their names and order.
pub fn content_sha256(files: &[SourceFile]) -> Result<[u8; 32], InputError> {
    let mut hashes = Vec::with_capacity(files.len());
    let mut last_path = None;
    for file in files {
        if last_path != Some(&file.path) {
            hashes.push(file.stored_sha256()?);
            last_path = Some(&file.path);
        }
    }
    hashes.sort_unstable();
    let mut all = Sha256::new();
    for hash in hashes {
        all.update(hash);
    }
    Ok(all.finalize().into())
}

#[cfg(test)]
mod tests;
