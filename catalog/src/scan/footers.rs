//! Parquet readers that show DataFusion another footer than the file has.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result as DataFusionResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

/// What is made of a footer.
type Change = dyn Fn(Arc<ParquetMetaData>) -> ParquetResult<Arc<ParquetMetaData>> + Send + Sync;

/// Makes the readers of another factory, with footers that are changed when they are read.
pub(super) struct ChangedFooters {
    inner: Arc<dyn ParquetFileReaderFactory>,
    change: Arc<Change>,
}

impl ChangedFooters {
    pub(super) fn new(
        inner: Arc<dyn ParquetFileReaderFactory>,
        change: impl Fn(Arc<ParquetMetaData>) -> ParquetResult<Arc<ParquetMetaData>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let change = Arc::new(change);
        Self { inner, change }
    }
}

impl fmt::Debug for ChangedFooters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChangedFooters").field(&self.inner).finish()
    }
}

impl ParquetFileReaderFactory for ChangedFooters {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let inner = self
            .inner
            .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let change = Arc::clone(&self.change);
        Ok(Box::new(Reader { inner, change }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    change: Arc<Change>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move { (self.change)(self.inner.get_metadata(options).await?) }.boxed()
    }
}
