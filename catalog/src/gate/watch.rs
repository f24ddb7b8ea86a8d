//! Rows that are watched on their way into files, so that the judge need not read them again.
//!
//! What was watched counts for a commit only when it is known to be all of what the commit adds: every stream was
//! watched once and to its end, and their rows are as many as the statistics of the added files say.

use std::any::Any;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};

use super::RulesText;
use super::commit::Commit;
use super::decision::Gate;
use crate::snapshot::{Reader, StatisticsCell};
use crate::{DataFile, TableSnapshot};

/// Looks at the rows of a write. The judge that gave it finds it again in the [`Candidate`](super::Candidate).
pub trait Watcher: Any + Debug + Send + Sync {
    /// A stream of rows begins; the streams of a write run in parallel.
    fn begin(self: Arc<Self>) -> Box<dyn RowWatch>;
}

/// Looks at the rows of one stream.
pub trait RowWatch: Send {
    /// The next rows.
    fn observe(&mut self, rows: &RecordBatch);

    /// The stream has ended well.
    fn finish(self: Box<Self>);
}

/// Rows of a candidate that were watched.
#[derive(Debug, Clone)]
pub struct WatchedRows {
    /// Who watched them: each row once.
    pub watcher: Arc<dyn Watcher>,
    /// The candidate without the files that hold these rows; none when it has no other files.
    pub rest: Option<Arc<TableSnapshot>>,
}

/// The watch over one attempt of a write.
#[derive(Debug)]
pub(crate) struct WriteWatch {
    /// For each rule file, by its hash.
    watchers: Vec<(String, Arc<dyn Watcher>)>,
    schema: SchemaRef,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    begun: HashSet<usize>,
    ended: usize,
    rows: u64,
    /// Whether some rows passed otherwise than expected.
    is_spoiled: bool,
}

impl WriteWatch {
    /// A watch over rows with these columns.
    pub(crate) fn new(watchers: Vec<(String, Arc<dyn Watcher>)>, schema: SchemaRef) -> Self {
        Self {
            watchers,
            schema,
            progress: Mutex::default(),
        }
    }

    /// The watchers of one partition's rows; none when these are not the rows that were announced.
    pub(crate) fn begin(
        &self,
        partition: usize,
        schema: &SchemaRef,
    ) -> Option<Vec<Box<dyn RowWatch>>> {
        let mut progress = self.progress();
        let is_first = progress.begun.insert(partition);
        if !is_first || columns(&self.schema) != columns(schema) {
            progress.is_spoiled = true;
            return None;
        }
        let begun = self
            .watchers
            .iter()
            .map(|(_, watcher)| Arc::clone(watcher).begin());
        Some(begun.collect())
    }

    /// A partition's rows have all passed.
    pub(crate) fn end(&self, rows: u64) {
        let mut progress = self.progress();
        progress.ended += 1;
        progress.rows += rows;
    }

    /// Who watched by these rules, when all of so many rows were watched.
    pub(super) fn watcher(&self, rules_sha256: &str, rows: u64) -> Option<Arc<dyn Watcher>> {
        let progress = self.progress();
        let is_whole =
            !progress.is_spoiled && progress.ended == progress.begun.len() && progress.rows == rows;
        let (_, watcher) = self
            .watchers
            .iter()
            .find(|(sha256, _)| is_whole && sha256 == rules_sha256)?;
        Some(Arc::clone(watcher))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// What was watched of a commit's candidate by these rules.
    pub(super) fn watched_rows(
        &self,
        commit: &Commit,
        rules: &RulesText,
        candidate: &Arc<TableSnapshot>,
    ) -> Option<WatchedRows> {
        let watch = self.watch.get()?;
        if !matches!(candidate.reader, Reader::Plain) {
            return None;
        }
        let of_files = |files: Arc<[DataFile]>| TableSnapshot {
            files,
            statistics: StatisticsCell::default(),
            ..TableSnapshot::clone(candidate)
        };
        let added: Arc<[DataFile]> = commit.adds.iter().map(DataFile::from_add).collect();
        let paths: HashSet<&str> = added.iter().map(|file| file.path.as_str()).collect();
        let others = candidate.files.iter();
        let others: Arc<[DataFile]> = others
            .filter(|file| !paths.contains(file.path.as_str()))
            .cloned()
            .collect();
        let rows = of_files(Arc::clone(&added)).row_count()?;
        Some(WatchedRows {
            watcher: watch.watcher(&rules.sha256, rows)?,
            rest: (!others.is_empty()).then(|| Arc::new(of_files(others))),
        })
    }
}

fn columns(schema: &SchemaRef) -> Vec<(&str, &DataType)> {
    let fields = schema.fields().iter();
    fields
        .map(|field| (field.name().as_str(), field.data_type()))
        .collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema};

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Watcher for Nobody {
        fn begin(self: Arc<Self>) -> Box<dyn RowWatch> {
            Box::new(Blind)
        }
    }

    struct Blind;

    impl RowWatch for Blind {
        fn observe(&mut self, _: &RecordBatch) {}

        fn finish(self: Box<Self>) {}
    }

    fn schema(data_type: DataType) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("x", data_type, true)]))
    }

    fn watch() -> WriteWatch {
        let watchers: Vec<(String, Arc<dyn Watcher>)> = vec![("rules".into(), Arc::new(Nobody))];
        WriteWatch::new(watchers, schema(DataType::Int32))
    }

    /// Watches partitions with so many rows each.
    fn watched(partitions: &[(usize, u64)]) -> WriteWatch {
        let watch = watch();
        for (partition, rows) in partitions {
            if watch.begin(*partition, &schema(DataType::Int32)).is_some() {
                watch.end(*rows);
            }
        }
        watch
    }

    #[test]
    fn all_rows_of_all_streams_count() {
        assert!(watched(&[(0, 3), (1, 4)]).watcher("rules", 7).is_some());
        assert!(watched(&[(0, 3)]).watcher("other rules", 3).is_none());
    }

    #[test]
    fn another_number_of_rows_than_the_files_have_does_not_count() {
        assert!(watched(&[(0, 3), (1, 4)]).watcher("rules", 8).is_none());
    }

    #[test]
    fn stream_that_ran_twice_does_not_count() {
        assert!(watched(&[(0, 3), (0, 3)]).watcher("rules", 3).is_none());
    }

    #[test]
    fn stream_that_did_not_end_does_not_count() {
        let watch = watched(&[(0, 3)]);
        watch.begin(1, &schema(DataType::Int32));
        assert!(watch.watcher("rules", 3).is_none());
    }

    #[test]
    fn rows_of_other_types_do_not_count() {
        let watch = watched(&[(0, 3)]);
        assert!(watch.begin(1, &schema(DataType::Int64)).is_none());
        assert!(watch.watcher("rules", 3).is_none());
    }
}
