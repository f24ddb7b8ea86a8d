//! What files say, read anew when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::{error, info};

type Read<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// What files say. It holds until they are changed to say something else: one that can no longer be read changes nothing.
pub struct Watched<T, E> {
    files: Vec<PathBuf>,
    read: Read<T, E>,
    seen: Mutex<Seen<T>>,
}

struct Seen<T> {
    marks: Vec<Option<Mark>>,
    /// What files looked like that could not be read.
    failed: Option<Vec<Option<Mark>>>,
    said: Arc<T>,
}

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    bytes: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Mark {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }
}

impl<T, E> fmt::Debug for Watched<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<T, E: fmt::Display> Watched<T, E> {
    /// Reads files. Not all of them need to be there.
    ///
    /// # Errors
    /// What reading says.
    pub fn open(
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before they are read: what is changed meanwhile is read anew.
        let marks = files.iter().map(|file| Mark::of(file)).collect();
        let said = Arc::new(read()?);
        Ok(Self {
            files,
            read: Box::new(read),
            seen: Mutex::new(Seen {
                marks,
                failed: None,
                said,
            }),
        })
    }

    /// What the files say.
    pub fn get(&self) -> Arc<T> {
        let marks: Vec<_> = self.files.iter().map(|file| Mark::of(file)).collect();
        let mut seen = self.seen();
        if marks != seen.marks {
            match (self.read)() {
                Ok(said) => {
                    info!(files = ?self.files, "read anew");
                    seen.said = Arc::new(said);
                    seen.marks = marks;
                    seen.failed = None;
                }
                // It is tried again: why it failed may lie elsewhere than in the file.
                Err(error) => {
                    if seen.failed.as_ref() != Some(&marks) {
                        error!(%error, "what was read before holds on");
                    }
                    seen.failed = Some(marks);
                }
            }
        }
        Arc::clone(&seen.said)
    }

    fn seen(&self) -> MutexGuard<'_, Seen<T>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
