//! Text columns as the dictionaries that a Parquet file has of them.
//!
//! DataFusion reads a column in the type that the file's own Arrow schema names. So the schema that stands in the footer
//! is replaced by one in which some text columns are dictionaries, before DataFusion sees it: keys and distinct values
//! are then read, and no text is copied for each row.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::{
    ARROW_SCHEMA_META_KEY, encode_arrow_schema, parquet_to_arrow_schema,
};
use datafusion::parquet::basic::{ConvertedType, Encoding};
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData,
};

/// The type in which such a column comes; the rules count the keys of this type.
pub(super) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Whether a file has a column in dictionaries alone. Where a dictionary became too large while it was written, values
/// stand beside it, and reading them as one would cost more than it saves.
pub(super) fn has_dictionaries(metadata: &ParquetMetaData, column: &str) -> bool {
    let columns = metadata.file_metadata().schema_descr();
    let Some(leaf) = columns
        .columns()
        .iter()
        .position(|leaf| leaf.path().parts() == [column])
    else {
        return false;
    };
    // Parquet reads the dictionary of any other column as bytes.
    let is_text = columns.column(leaf).converted_type() == ConvertedType::UTF8;
    let row_groups = metadata.row_groups();
    is_text
        && !row_groups.is_empty()
        && row_groups
            .iter()
            .all(|row_group| is_dictionary(row_group.column(leaf)))
}

fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    let pages = column.page_encoding_stats_mask();
    column.dictionary_page_offset().is_some()
        && pages.is_some_and(|pages| {
            pages.is_only(Encoding::RLE_DICTIONARY) || pages.is_only(Encoding::PLAIN_DICTIONARY)
        })
}

/// The footer with an Arrow schema in which some text columns are dictionaries.
pub(super) fn with_dictionaries(
    metadata: &ParquetMetaData,
    columns: &[String],
) -> ParquetResult<Arc<ParquetMetaData>> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let fields = schema.fields().iter().map(|field| {
        let is_wanted = columns.contains(field.name());
        let wanted = || Field::clone(field).with_data_type(dictionary_type());
        is_wanted.then(wanted).map_or(Arc::clone(field), Arc::new)
    });
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    let mut pairs = file.key_value_metadata().cloned().unwrap_or_default();
    pairs.retain(|pair| pair.key != ARROW_SCHEMA_META_KEY);
    pairs.push(KeyValue::new(
        ARROW_SCHEMA_META_KEY.to_owned(),
        encode_arrow_schema(&schema),
    ));
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(pairs),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let row_groups = metadata.row_groups().to_vec();
    Ok(Arc::new(ParquetMetaData::new(file, row_groups)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::ParquetMetaDataReader;
    use datafusion::parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn only_text_in_nothing_but_dictionaries_is_read_as_such() {
        let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b", "a"])) };
        let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"a", b"b", b"a"]));
        let columns = [("text", text()), ("bytes", bytes), ("plain", text())];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_column_dictionary_enabled("plain".into(), false)
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let metadata = ParquetMetaDataReader::new();
        let metadata = metadata.parse_and_finish(&Bytes::from(file)).unwrap();
        for (column, expected) in [
            ("text", true),
            ("bytes", false),
            ("plain", false),
            ("Text", false),
        ] {
            assert_eq!(has_dictionaries(&metadata, column), expected, "{column}");
        }
    }
}
