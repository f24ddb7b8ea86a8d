//! Writes a view into files of bounded size.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, Write};
use std::path::PathBuf;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::arrow::record_batch::RecordBatch;

use crate::input_error::InputError;

/// Bytes after which a view goes on in another file, so that it can be read by several threads.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) files: Vec<PathBuf>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// The files of one view.
pub(super) struct FileSet {
    /// Path of the files, without the number at its end.
    prefix: PathBuf,
    view: String,
    schema: SchemaRef,
    current: Option<StreamWriter<BufWriter<File>>>,
    /// Bytes of the batches in the current file, before they were packed.
    current_bytes: usize,
    written: Written,
}

impl FileSet {
    pub(super) fn new(prefix: PathBuf, view: &str, schema: &SchemaRef) -> Self {
        Self {
            prefix,
            view: view.to_owned(),
            schema: schema.clone(),
            current: None,
            current_bytes: 0,
            written: Written {
                files: Vec::new(),
                rows: 0,
                bytes: 0,
            },
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), InputError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut writer = match self.current.take() {
            Some(writer) => writer,
            None => self.start_file()?,
        };
        writer.write(batch).map_err(|error| self.error(error))?;
        self.written.rows += batch.num_rows() as u64;
        self.current_bytes += batch.get_array_memory_size();
        if self.current_bytes >= FILE_BYTES {
            self.end_file(writer)
        } else {
            self.current = Some(writer);
            Ok(())
        }
    }

    pub(super) fn finish(mut self) -> Result<Written, InputError> {
        if let Some(writer) = self.current.take() {
            self.end_file(writer)?;
        }
        Ok(self.written)
    }

    fn start_file(&mut self) -> Result<StreamWriter<BufWriter<File>>, InputError> {
        let path = self
            .prefix
            .with_extension(format!("{}.arrow", self.written.files.len()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| self.error(error.into()))?;
        self.written.files.push(path);
        self.start_in(file)
    }

    fn start_in(&self, file: File) -> Result<StreamWriter<BufWriter<File>>, InputError> {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .map_err(|error| self.error(error))?;
        let file = BufWriter::with_capacity(1024 * 1024, file);
        StreamWriter::try_new_with_options(file, &self.schema, options)
            .map_err(|error| self.error(error))
    }

    fn end_file(&mut self, mut writer: StreamWriter<BufWriter<File>>) -> Result<(), InputError> {
        self.current_bytes = 0;
        writer.finish().map_err(|error| self.error(error))?;
        let file = writer.get_mut();
        let flushed = file.flush().and_then(|()| file.get_mut().stream_position());
        self.written.bytes += flushed.map_err(|error| self.error(error.into()))?;
        Ok(())
    }

    fn error(&self, error: ArrowError) -> InputError {
        let folder = self.prefix.parent().and_then(|run| run.parent());
        let folder = folder.unwrap_or(&self.prefix).display();
        let message = format!("view `{}` cannot be kept in `{folder}`", self.view);
        InputError::failed(message, error)
            .with_hint("free space in the folder, or name another one")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn full_disk_is_an_error_that_names_view_and_folder() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000_000));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let mut files = FileSet::new("/scratch/run-1/0".into(), "raw", &batch.schema());
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let outcome = files.start_in(full).and_then(|writer| {
            files.current = Some(writer);
            files.write(&batch)?;
            files.finish()
        });
        let error = outcome.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("view `raw` cannot be kept in `/scratch`"),
            "{error}"
        );
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(error.hint.unwrap().contains("free space"));
    }
}
