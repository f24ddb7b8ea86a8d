//! Views that are kept on disk while a run needs them.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;

use crate::input_error::InputError;

/// A folder for spooled views; it is removed when the last view in it is dropped, or by the next run when its process died.
#[derive(Debug, Clone)]
pub struct Scratch {}

impl Scratch {
    /// Makes a folder of its own in `parent`, and clears those of processes that died.
    pub fn new(_parent: &Path) -> Result<Self, InputError> {
        Err(InputError::invalid("scratch is not built"))
    }

    /// Writes a stream to disk.
    pub async fn spool(
        &self,
        _view: &str,
        _stream: SendableRecordBatchStream,
    ) -> Result<Spooled, InputError> {
        Err(InputError::invalid("scratch is not built"))
    }

    /// Starts a view that is written batch by batch.
    pub fn writer(&self, _view: &str, _schema: SchemaRef) -> Result<SpoolWriter, InputError> {
        Err(InputError::invalid("scratch is not built"))
    }
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
pub struct SpoolWriter {}

impl SpoolWriter {
    /// Adds rows.
    pub async fn write(&mut self, _batch: RecordBatch) -> Result<(), InputError> {
        Err(InputError::invalid("scratch is not built"))
    }

    /// Ends the view.
    pub async fn finish(self) -> Result<Spooled, InputError> {
        Err(InputError::invalid("scratch is not built"))
    }
}
