//! The folder for rows that do not fit into memory, of one process.
//!
//! A process that is killed leaves its folder behind. A lock on a file in it says that its process lives: the next one
//! that begins deletes those without.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use uuid::Uuid;

/// The file whose lock is held while its folder is used.
const LOCK: &str = "lock";

/// A file that will be [`LOCK`] once its lock is held.
const UNLOCKED: &str = "lock.new";

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    path: PathBuf,
    _lock: File,
}

impl SpillFolder {
    /// Makes a folder of this process within one that is shared, and deletes those of processes that are gone.
    pub(crate) fn within(shared: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(shared)?;
        for entry in std::fs::read_dir(shared)? {
            let folder = entry?.path();
            if is_left_behind(&folder) {
                match std::fs::remove_dir_all(&folder) {
                    Ok(()) => info!(folder = %folder.display(), "deleted what a process left"),
                    Err(error) => {
                        warn!(folder = %folder.display(), %error, "what a process left cannot be deleted");
                    }
                }
            }
        }
        let path = shared.join(Uuid::now_v7().to_string());
        std::fs::create_dir(&path)?;
        let unlocked = path.join(UNLOCKED);
        let lock = File::create(&unlocked)?;
        lock.try_lock().map_err(io::Error::from)?;
        std::fs::rename(unlocked, path.join(LOCK))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            warn!(folder = %self.path.display(), %error, "spilled rows cannot be deleted");
        }
    }
}

/// Whether a folder is one whose process is gone.
fn is_left_behind(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    if name.is_none_or(|name| Uuid::parse_str(name).is_err()) {
        return false;
    }
    let Ok(lock) = File::open(folder.join(LOCK)) else {
        return false;
    };
    match lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            info!(folder = %folder.display(), %error, "whether its process lives is not known");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_lives_as_long_as_its_process() {
        let shared = tempfile::tempdir().unwrap();
        let first = SpillFolder::within(shared.path()).unwrap();
        std::fs::write(first.path().join("rows"), "1").unwrap();
        // Neither somebody's own folder nor one that is being made.
        std::fs::create_dir(shared.path().join("other")).unwrap();
        std::fs::write(shared.path().join("other/lock"), "").unwrap();
        let killed = shared.path().join(Uuid::now_v7().to_string());
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join(LOCK), "").unwrap();
        std::fs::write(killed.join("rows"), "1").unwrap();
        let second = SpillFolder::within(shared.path()).unwrap();
        assert!(first.path().join("rows").exists());
        assert!(shared.path().join("other").exists());
        assert!(!killed.exists());
        let paths = [first.path().to_owned(), second.path().to_owned()];
        drop((first, second));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
