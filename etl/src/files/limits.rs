//! A reader that names its file in errors, and stops at the limits of unpacking.

use std::io::{self, Read};

use super::{FREE_BYTES, FileOptions};
use crate::input_error::InputError;

/// Reads bytes and counts them.
pub(super) struct Guarded<'n, R> {
    inner: R,
    name: &'n str,
    limits: Option<Limits>,
    bytes: u64,
}

struct Limits {
    max_expanded_bytes: u64,
    max_ratio: u64,
    stored_bytes: u64,
}

impl<'n, R: Read> Guarded<'n, R> {
    pub(super) fn new(inner: R, name: &'n str) -> Self {
        Self {
            inner,
            name,
            limits: None,
            bytes: 0,
        }
    }

    /// Stops when `stored_bytes` packed bytes become more than the options allow.
    pub(super) fn limited(mut self, options: &FileOptions, stored_bytes: u64) -> Self {
        self.limits = Some(Limits {
            max_expanded_bytes: options.max_expanded_bytes,
            max_ratio: options.max_ratio,
            stored_bytes,
        });
        self
    }

    fn check(&self, limits: &Limits) -> Result<(), InputError> {
        if self.bytes > limits.max_expanded_bytes {
            return Err(too_large(self.name, limits.max_expanded_bytes));
        }
        let most = limits.stored_bytes.saturating_mul(limits.max_ratio);
        if self.bytes > FREE_BYTES.max(most) {
            return Err(InputError::invalid(format!(
                "`{}` unpacks to more than {} times its {} bytes",
                self.name, limits.max_ratio, limits.stored_bytes
            ))
            .with_hint("when the file can be trusted, raise `max_ratio`"));
        }
        Ok(())
    }
}

pub(super) fn too_large(name: &str, max_expanded_bytes: u64) -> InputError {
    InputError::invalid(format!(
        "`{name}` unpacks to more than {max_expanded_bytes} bytes"
    ))
    .with_hint("when the file can be trusted, raise `max_expanded_bytes`")
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) if self.bytes > 0 && is_damage(&error) => {
                return Err(io::Error::other(damaged_behind(
                    self.name, self.bytes, error,
                )));
            }
            Err(error) => return Err(io::Error::other(self::error(self.name, error))),
            Ok(read) => read,
        };
        self.bytes += read as u64;
        if read == 0 && self.bytes == 0 && !buffer.is_empty() {
            return Err(io::Error::other(empty(self.name)));
        }
        if let Some(limits) = &self.limits {
            self.check(limits).map_err(io::Error::other)?;
        }
        Ok(read)
    }
}

fn is_damage(error: &io::Error) -> bool {
    let is_named = error
        .get_ref()
        .is_some_and(|inner| inner.is::<InputError>());
    let kind = error.kind();
    !is_named
        && matches!(
            kind,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
}

/// The error of a packed file that begins well.
fn damaged_behind(name: &str, bytes: u64, error: io::Error) -> InputError {
    InputError::invalid(format!(
        "`{name}` is damaged behind the first {bytes} unpacked bytes, or has something behind its packed data"
    ))
    .with_hint("ask for the file again; its transfer was probably interrupted")
    .caused_by(error)
}

/// The error of a file without content.
pub(super) fn empty(name: &str) -> InputError {
    InputError::invalid(format!("`{name}` is empty")).with_hint(
        "a delivery without rows still has a header line; ask its sender whether it is complete",
    )
}

/// An error of reading as one that names the file. What [`Guarded`] has already named stays as it is.
pub(crate) fn error(name: &str, error: io::Error) -> InputError {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<InputError>())
    {
        let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
        return inner.map_or_else(
            || InputError::invalid(format!("`{name}` cannot be read")),
            |inner| *inner,
        );
    }
    match error.kind() {
        io::ErrorKind::NotFound => InputError::not_found(format!("`{name}` does not exist"))
            .with_hint("check the path; it is relative to the project folder"),
        io::ErrorKind::PermissionDenied => {
            InputError::failed(format!("`{name}` cannot be read"), error)
                .with_hint("give this user the right to read it")
        }
        io::ErrorKind::IsADirectory => {
            InputError::invalid(format!("`{name}` is a directory, not a file"))
        }
        io::ErrorKind::UnexpectedEof => {
            InputError::invalid(format!("`{name}` is cut off: its packed data has no end"))
                .with_hint("ask for the file again; its transfer was probably interrupted")
                .caused_by(error)
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            InputError::invalid(format!(
                "`{name}` is damaged, or not packed as its name says"
            ))
            .with_hint("ask for the file again, or set `compression`")
            .caused_by(error)
        }
        _ => InputError::failed(format!("`{name}` cannot be read"), error),
    }
}
