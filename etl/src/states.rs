//! States of metrics, kept for each data file of a table in its own folder.
//!
//! One segment holds what one judgement computed; segments are put together when they are many, or mostly of files that
//! the table does not have any more. Whatever goes wrong with them costs time only: a warning is logged, and what is
//! missing is computed anew.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, stream};
use lakegate_catalog::{
    AfterCommit, CatalogError, DataFile, FileParts, FilePiece, Side, StateFile, StateFolder,
    TableSnapshot,
};
use lakegate_rules::{DecodeError, End, KeptStates, PartKey, Parts, Piece};
use tokio::sync::OnceCell;
use tracing::{debug, warn};

/// Bytes of stored states that a judgement holds in memory. What is beyond is computed at each judgement.
const MOST_BYTES: usize = 256 << 20;

/// Bytes of states of live files that are carried on although no check asked for them: those of other rule files.
const MOST_UNUSED_BYTES: usize = 64 << 20;

/// Segments that are read at the same time.
const READS_AT_ONCE: usize = 4;

/// So many segments are put together into one.
const MOST_SEGMENTS: usize = 16;

/// Fewer dead states than these are not worth being cleared away.
const FEW_DEAD: usize = 256;

/// Tables whose states could not be written. They are named in a warning once.
pub(crate) type Unwritable = Arc<Mutex<HashSet<String>>>;

/// The stored states of one table, as one judgement sees them.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: StateFolder,
    unwritable: Unwritable,
    loaded: OnceCell<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    kept: Arc<KeptStates>,
    segments: Mutex<Segments>,
}

/// The segments that were there, and may be put together.
#[derive(Debug, Default)]
struct Segments {
    files: Vec<StateFile>,
    /// Whether one of them is of no use.
    has_useless: bool,
}

impl Shelf {
    /// The states of the table that a version is of.
    pub(crate) fn of(
        snapshot: &TableSnapshot,
        unwritable: &Unwritable,
    ) -> Result<Arc<Self>, CatalogError> {
        Ok(Arc::new(Self {
            folder: StateFolder::of(snapshot)?,
            unwritable: Arc::clone(unwritable),
            loaded: OnceCell::new(),
        }))
    }

    /// Reads all segments, when that was not done yet.
    async fn loaded(&self) -> &Loaded {
        self.loaded.get_or_init(|| self.load()).await
    }

    async fn load(&self) -> Loaded {
        let kept = Arc::new(KeptStates::new(MOST_BYTES));
        let table = self.folder.table();
        let listed = self.folder.list().await.unwrap_or_else(|error| {
            warn!(%table, error = &error as &dyn Error, "stored states are not used");
            Vec::new()
        });
        let mut segments = Segments::default();
        let mut bytes = 0;
        let fits = |file: &&StateFile| {
            bytes += file.size;
            bytes <= MOST_BYTES as u64
        };
        let fitting: Vec<&StateFile> = listed.iter().take_while(fits).collect();
        let too_many = listed.iter().skip(fitting.len()).cloned();
        segments.has_useless = fitting.len() < listed.len();
        segments.files.extend(too_many);
        let read = |file: &StateFile| {
            let file = file.clone();
            async move { (self.folder.read(&file).await, file) }
        };
        let mut contents = stream::iter(fitting.into_iter().map(read)).buffered(READS_AT_ONCE);
        while let Some((content, file)) = contents.next().await {
            match content {
                Ok(Some(content)) => match kept.read(&content) {
                    Ok(()) => segments.files.push(file),
                    Err(error) => {
                        let path = &file.path;
                        warn!(%table, %path, %error, "a file of stored states is not used; what it holds is computed anew");
                        // One of a later version is left to those who can read it.
                        if !matches!(error, DecodeError::Version { is_later: true, .. }) {
                            segments.has_useless = true;
                            segments.files.push(file);
                        }
                    }
                },
                Ok(None) => {}
                Err(error) => {
                    warn!(%table, path = %file.path, %error, "stored states are not used")
                }
            }
        }
        Loaded {
            kept,
            segments: Mutex::new(segments),
        }
    }

    /// Stores the states that were computed of some files.
    pub(crate) async fn save(&self, files: &[PartKey]) {
        let Some(loaded) = self.loaded.get() else {
            return;
        };
        let files: HashSet<PartKey> = files.iter().copied().collect();
        let Some(segment) = loaded.kept.take_new(|file| files.contains(&file)) else {
            return;
        };
        match self.folder.write(segment).await {
            Ok(file) => segments(loaded).files.push(file),
            Err(error) => self.cannot_write(&error),
        }
    }

    /// Stores the states that were computed of the files of a version, and clears away what it does not need when that
    /// is much.
    pub(crate) async fn save_and_tidy(&self, files: &[PartKey]) {
        let Some(loaded) = self.loaded.get() else {
            return;
        };
        let live: HashSet<PartKey> = files.iter().copied().collect();
        let is_live = |file| live.contains(&file);
        let census = loaded.kept.census(is_live);
        let is_untidy = {
            let segments = segments(loaded);
            segments.has_useless
                || segments.files.len() >= MOST_SEGMENTS
                || census.dead > census.live.max(FEW_DEAD)
        };
        if !is_untidy {
            self.save(files).await;
            return;
        }
        let merged = loaded.kept.merged(is_live, MOST_UNUSED_BYTES);
        let replaced = std::mem::take(&mut *segments(loaded));
        let table = self.folder.table();
        match self.folder.write(merged).await {
            Ok(file) => segments(loaded).files.push(file),
            Err(error) => {
                self.cannot_write(&error);
                return;
            }
        }
        debug!(%table, replaced = replaced.files.len(), "stored states were put together");
        for file in replaced.files {
            if let Err(error) = self.folder.delete(&file).await {
                let (path, error) = (&file.path, &error as &dyn Error);
                warn!(%table, %path, error, "a file of stored states is left behind");
                return;
            }
        }
    }

    fn cannot_write(&self, error: &CatalogError) {
        let table = self.folder.table();
        let unwritable = self.unwritable.lock();
        let mut unwritable = unwritable.unwrap_or_else(PoisonError::into_inner);
        if unwritable.insert(table.to_owned()) {
            let error = error as &dyn Error;
            warn!(%table, error, "states could not be stored; until they can, each check reads the files again");
        }
    }
}

fn segments(loaded: &Loaded) -> std::sync::MutexGuard<'_, Segments> {
    let segments = loaded.segments.lock();
    segments.unwrap_or_else(PoisonError::into_inner)
}

/// The data files of a version, as parts that the rules measure one by one.
#[derive(Debug)]
pub(crate) struct LakeParts {
    files: FileParts,
    keys: Vec<PartKey>,
    shelf: Arc<Shelf>,
}

impl LakeParts {
    /// The files of a version; none when they are not told apart while they are read.
    pub(crate) fn of(
        snapshot: &Arc<TableSnapshot>,
        shelf: &Arc<Shelf>,
    ) -> Result<Option<Arc<dyn Parts>>, CatalogError> {
        let parts = |files: FileParts| {
            let keys = files.files().iter().map(file_key).collect();
            let shelf = Arc::clone(shelf);
            Arc::new(Self { files, keys, shelf }) as Arc<dyn Parts>
        };
        Ok(snapshot.parts()?.map(parts))
    }
}

/// The key of a data file: another file that comes to have its path has another key.
pub(crate) fn file_key(file: &DataFile) -> PartKey {
    let size = file.size.to_string();
    let time = file.modification_time.to_string();
    let mut description = vec![file.path.as_str(), &size, &time];
    for (column, value) in &file.partition_values {
        let value = match value {
            Some(value) => ["value", value],
            None => ["null", ""],
        };
        description.push(column);
        description.extend(value);
    }
    PartKey::new(description)
}

#[async_trait]
impl Parts for LakeParts {
    fn keys(&self) -> &[PartKey] {
        &self.keys
    }

    async fn kept(&self) -> Option<Arc<KeptStates>> {
        Some(Arc::clone(&self.shelf.loaded().await.kept))
    }

    fn pieces(&self, session: &dyn Session, parts: &[usize]) -> Vec<Piece> {
        let pieces = self.files.pieces(session, parts).into_iter();
        let piece = |FilePiece { file, number, of }| Piece {
            part: file,
            number,
            of,
        };
        pieces.map(piece).collect()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        columns: &[usize],
        encoded: &[usize],
        piece: Piece,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let Piece { part, number, of } = piece;
        let file = FilePiece {
            file: part,
            number,
            of,
        };
        self.files.scan(session, columns, encoded, file).await
    }

    fn rows(&self, part: usize) -> Option<u64> {
        self.files.rows(part)
    }

    fn nulls(&self, part: usize, column: &str) -> Option<u64> {
        self.files.nulls(part, column)
    }

    fn extreme(&self, part: usize, column: &str, end: End) -> Option<ScalarValue> {
        let side = match end {
            End::Min => Side::Lower,
            End::Max => Side::Upper,
        };
        self.files.bound(part, column, side)
    }
}

/// Stores the states of a commit's files once the commit exists: those of a refused one never are.
#[derive(Debug)]
pub(crate) struct SaveStates {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) files: Vec<PartKey>,
}

#[async_trait]
impl AfterCommit for SaveStates {
    async fn committed(&self) {
        self.shelf.save_and_tidy(&self.files).await;
    }
}
