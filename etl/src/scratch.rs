//! Views that are kept on disk while a run needs them: read many times, in bounded memory.
//!
//! A view is some files of Arrow IPC, packed with LZ4. They lie in a folder of the run, which holds a lock as long
//! as it lives: the lock ends with the process, however that ends, and the next run clears what is left.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::input_error::InputError;

mod files;
mod table;

use files::FileSet;
use table::SpooledTable;

/// How names of run folders start.
const FOLDER_PREFIX: &str = "run-";
const LOCK_FILE: &str = "lock";

/// Batches that wait for the disk.
const WAITING_BATCHES: usize = 2;

/// A folder for spooled views; it is removed when the last view in it is dropped, or by the next run when its process died.
#[derive(Debug, Clone)]
pub struct Scratch {
    folder: Arc<Folder>,
}

/// A folder that goes when nothing needs it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    views: AtomicUsize,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "scratch folder is left for the next run");
        }
    }
}

impl Scratch {
    /// Makes a folder of its own in `parent`, and clears those of processes that died.
    pub fn new(parent: &Path) -> Result<Self, InputError> {
        fs::create_dir_all(parent).map_err(|error| folder_error(parent, error))?;
        clear_dead(parent)?;
        loop {
            let path = parent.join(format!("{FOLDER_PREFIX}{}", Uuid::now_v7()));
            if let Some(lock) = make_locked(&path)? {
                return Ok(Self {
                    folder: Arc::new(Folder {
                        path,
                        _lock: lock,
                        views: AtomicUsize::new(0),
                    }),
                });
            }
        }
    }

    /// Writes a stream to disk.
    pub async fn spool(
        &self,
        view: &str,
        mut stream: SendableRecordBatchStream,
    ) -> Result<Spooled, InputError> {
        let mut writer = self.writer(view, stream.schema())?;
        loop {
            match stream.try_next().await {
                Ok(Some(batch)) => writer.write(batch).await?,
                Ok(None) => return writer.finish().await,
                Err(error) => {
                    return Err(match InputError::find(&error) {
                        Some(found) => found.duplicate(),
                        None => InputError::failed(format!("view `{view}` failed"), error),
                    });
                }
            }
        }
    }

    /// Starts a view that is written batch by batch.
    pub fn writer(&self, view: &str, schema: SchemaRef) -> Result<SpoolWriter, InputError> {
        let number = self.folder.views.fetch_add(1, Ordering::Relaxed);
        let mut files = FileSet::new(self.folder.path.join(number.to_string()), view, &schema);
        let (sender, mut receiver) = mpsc::channel::<RecordBatch>(WAITING_BATCHES);
        let writing = tokio::task::spawn_blocking(move || {
            while let Some(batch) = receiver.blocking_recv() {
                files.write(&batch)?;
            }
            files.finish()
        });
        Ok(SpoolWriter {
            folder: Arc::clone(&self.folder),
            view: view.to_owned(),
            schema,
            sender,
            writing,
        })
    }
}

/// Makes a folder with a lock; none when another run took it for a dead one before the lock was held.
fn make_locked(path: &Path) -> Result<Option<File>, InputError> {
    let failed = |error| folder_error(path, error);
    fs::create_dir(path).map_err(failed)?;
    let lock = match File::create(path.join(LOCK_FILE)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    lock.lock().map_err(failed)?;
    let is_there = path.join(LOCK_FILE).try_exists().map_err(failed)?;
    Ok(is_there.then_some(lock))
}

/// Removes the folders whose processes hold their locks no more.
fn clear_dead(parent: &Path) -> Result<(), InputError> {
    let entries = fs::read_dir(parent).map_err(|error| folder_error(parent, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| folder_error(parent, error))?;
        let is_run = entry
            .file_name()
            .to_string_lossy()
            .starts_with(FOLDER_PREFIX);
        if !is_run {
            continue;
        }
        let path = entry.path();
        // A folder without a lock file is one that is being made, or removed; the next run sees to it if not.
        let Ok(lock) = File::open(path.join(LOCK_FILE)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                if let Err(error) = fs::remove_dir_all(&path) {
                    tracing::warn!(folder = %path.display(), %error, "dead scratch folder cannot be removed");
                }
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::warn!(folder = %path.display(), %error, "scratch folder cannot be looked at");
            }
        }
    }
    Ok(())
}

fn folder_error(folder: &Path, error: std::io::Error) -> InputError {
    let message = format!("the scratch folder `{}` cannot be used", folder.display());
    InputError::failed(message, error).with_hint("free space in it and make it writable")
}

/// A view on disk.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// The view; it can be read many times, in bounded memory.
    pub provider: Arc<dyn TableProvider>,
    /// Rows in it.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A view that is being written.
#[derive(Debug)]
pub struct SpoolWriter {
    folder: Arc<Folder>,
    view: String,
    schema: SchemaRef,
    sender: mpsc::Sender<RecordBatch>,
    writing: JoinHandle<Result<files::Written, InputError>>,
}

impl SpoolWriter {
    /// Adds rows. Fails when the disk does, which may be some batches later.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<(), InputError> {
        if self.sender.send(batch).await.is_ok() {
            return Ok(());
        }
        let stopped = (&mut self.writing).await;
        Err(match joined(&self.view, stopped) {
            Err(error) => error,
            Ok(_) => InputError::invalid(format!("view `{}` is complete already", self.view)),
        })
    }

    /// Ends the view.
    pub async fn finish(self) -> Result<Spooled, InputError> {
        drop(self.sender);
        let written = joined(&self.view, self.writing.await)?;
        let table = SpooledTable::new(self.folder, self.schema, written.files);
        Ok(Spooled {
            provider: Arc::new(table),
            rows: written.rows,
            bytes: written.bytes,
        })
    }
}

fn joined(
    view: &str,
    result: Result<Result<files::Written, InputError>, tokio::task::JoinError>,
) -> Result<files::Written, InputError> {
    match result {
        Ok(written) => written,
        Err(error) => Err(InputError::failed(
            format!("writing view `{view}` was stopped"),
            error,
        )),
    }
}

#[cfg(test)]
mod tests;
