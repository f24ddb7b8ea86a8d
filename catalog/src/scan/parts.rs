//! The files of a version, read one by one, so that what is found in one can be told from what is in the others.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

use super::LakeScan;
use crate::stats::Side;
use crate::{CatalogError, DataFile, TableSnapshot};

/// The files of a version that are plain Parquet, one by one.
#[derive(Debug)]
pub struct FileParts {
    scan: LakeScan,
}

/// A plan over some files.
#[derive(Debug)]
pub struct FileScan {
    /// The plan; each of its partitions reads one file, or a piece of one.
    pub plan: Arc<dyn ExecutionPlan>,
    /// The file that each partition reads.
    pub files: Vec<usize>,
}

impl FileParts {
    pub(crate) fn new(snapshot: &Arc<TableSnapshot>) -> Result<Self, CatalogError> {
        Ok(Self {
            scan: LakeScan::new(Arc::clone(snapshot))?,
        })
    }

    /// The files, in the version's order.
    pub fn files(&self) -> &[DataFile] {
        &self.scan.snapshot.files
    }

    /// A plan that reads some columns of some files, both by their numbers; the columns come in this order. Files are
    /// cut into pieces when there are fewer of them than partitions that run at once.
    ///
    /// It is to be run as it is: the optimizer would put files together.
    ///
    /// # Errors
    /// When the table's store is not there.
    pub fn scan(
        &self,
        session: &dyn Session,
        columns: &[usize],
        files: &[usize],
    ) -> DataFusionResult<FileScan> {
        let options = session.config_options();
        let wanted = options
            .execution
            .target_partitions
            .div_ceil(files.len().max(1));
        let least_bytes = options.optimizer.repartition_file_min_size as u64;
        let mut groups = Vec::new();
        let mut of_partitions = Vec::new();
        for file in files {
            let whole = self.scan.partitioned_file(*file)?;
            for piece in pieces(&whole, wanted as u64, least_bytes) {
                groups.push(FileGroup::new(vec![piece]));
                of_partitions.push(*file);
            }
        }
        let config = self
            .scan
            .source(session, Some(&columns.to_vec()))?
            .with_file_groups(groups)
            // A partition that is done must not take over files of the others.
            .with_preserve_order(true)
            .build();
        Ok(FileScan {
            plan: DataSourceExec::from_data_source(config),
            files: of_partitions,
        })
    }

    /// Rows of a file, when its statistics say so.
    pub fn rows(&self, file: usize) -> Option<u64> {
        self.scan.statistics.row_count(file)
    }

    /// In how many rows of a file a column is null, when its statistics say so exactly.
    pub fn nulls(&self, file: usize, column: &str) -> Option<u64> {
        let column = self.scan.snapshot.schema.index_of(column).ok()?;
        self.scan.statistics.exact_nulls(file, column)
    }

    /// The smallest or largest value of a column in a file, when its statistics say it exactly and there is one.
    pub fn bound(&self, file: usize, column: &str, side: Side) -> Option<ScalarValue> {
        let column = self.scan.snapshot.schema.index_of(column).ok()?;
        self.scan.statistics.exact_bound(file, column, side)
    }
}

/// A file in so many pieces, when each is large enough. A row group belongs to the piece that its middle lies in.
fn pieces(file: &PartitionedFile, wanted: u64, least_bytes: u64) -> Vec<PartitionedFile> {
    let size = file.object_meta.size;
    let count = wanted.min(size / least_bytes.max(1)).max(1);
    let end = |piece: u64| i64::try_from(u128::from(size) * u128::from(piece) / u128::from(count));
    let piece = |number: u64| {
        let mut piece = file.clone();
        piece.range = Some(FileRange {
            start: end(number).ok()?,
            end: end(number + 1).ok()?,
        });
        Some(piece)
    };
    if count == 1 {
        return vec![file.clone()];
    }
    let cut: Option<Vec<_>> = (0..count).map(piece).collect();
    cut.unwrap_or_else(|| vec![file.clone()])
}

#[cfg(test)]
mod tests;
