//! Footers of Parquet files without the bounds of float columns.
//!
//! Parquet's bounds leave NaN out, and DataFusion prunes row groups and pages by them as if they held all values: a
//! filter `x > 100` or `x = 'NaN'`, or the top ten by `x`, would lose rows with NaN, which counts as the greatest number.
//! So the bounds are taken away before DataFusion sees them; counts of nulls stay. A plan that is shipped to another
//! process is read there by that process' own reader.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::parquet::basic::Type;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::Statistics;

/// Whether a schema has floats, at any depth.
pub(super) fn has_floats(schema: &Schema) -> bool {
    fn is_float(data_type: &DataType) -> bool {
        match data_type {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                is_float(item.data_type())
            }
            DataType::Struct(fields) => fields.iter().any(|field| is_float(field.data_type())),
            _ => false,
        }
    }
    schema
        .fields()
        .iter()
        .any(|field| is_float(field.data_type()))
}

/// The footer without the bounds of float columns.
pub(super) fn without_float_bounds(
    metadata: Arc<ParquetMetaData>,
) -> ParquetResult<Arc<ParquetMetaData>> {
    let floats: Vec<bool> = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE))
        .collect();
    if !floats.contains(&true) {
        return Ok(metadata);
    }
    let mut builder = metadata.as_ref().clone().into_builder();
    let row_groups = builder.take_row_groups();
    let row_groups = row_groups
        .into_iter()
        .map(row_group_without)
        .collect::<ParquetResult<Vec<_>>>()?;
    let page_index = builder.take_column_index().map(|mut row_groups| {
        for columns in &mut row_groups {
            for (column, _) in columns
                .iter_mut()
                .zip(&floats)
                .filter(|(_, is_float)| **is_float)
            {
                *column = ColumnIndexMetaData::NONE;
            }
        }
        row_groups
    });
    Ok(Arc::new(
        builder
            .set_row_groups(row_groups)
            .set_column_index(page_index)
            .build(),
    ))
}

fn row_group_without(row_group: RowGroupMetaData) -> ParquetResult<RowGroupMetaData> {
    let mut builder = row_group.into_builder();
    let mut columns = builder.take_columns();
    for column in &mut columns {
        let bare = match column.statistics() {
            Some(Statistics::Float(known)) => Statistics::float(
                None,
                None,
                known.distinct_count(),
                known.null_count_opt(),
                false,
            ),
            Some(Statistics::Double(known)) => Statistics::double(
                None,
                None,
                known.distinct_count(),
                known.null_count_opt(),
                false,
            ),
            _ => continue,
        };
        // Without its place the page index cannot be loaded later either.
        *column = column
            .clone()
            .into_builder()
            .set_statistics(bare)
            .set_column_index_offset(None)
            .set_column_index_length(None)
            .build()?;
    }
    builder.set_column_metadata(columns).build()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::Field;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

    use super::*;

    #[test]
    fn floats_are_seen_at_any_depth() {
        let field = |data_type: DataType| Field::new("item", data_type, true);
        for (leaf, expected) in [
            (DataType::Float32, true),
            (DataType::Float64, true),
            (DataType::Int64, false),
        ] {
            let structure = DataType::Struct(vec![field(leaf.clone())].into());
            let entries = field(structure.clone()).into();
            for data_type in [
                leaf,
                DataType::List(field(structure.clone()).into()),
                DataType::LargeList(field(structure.clone()).into()),
                DataType::Map(entries, false),
                structure,
            ] {
                let schema = Schema::new(vec![field(data_type.clone())]);
                assert_eq!(has_floats(&schema), expected, "{data_type}");
            }
        }
    }
    /// Another reader may have left the page index in the cache that metadata comes from.
    #[test]
    fn bounds_of_floats_are_taken_away_from_pages_that_are_loaded_and_from_no_other_column() {
        let columns: [(&str, ArrayRef); 3] = [
            ("f", Arc::new(Float64Array::from(vec![1.0, f64::NAN]))),
            ("g", Arc::new(Float32Array::from(vec![1.0, 2.0]))),
            ("i", Arc::new(Int64Array::from(vec![1, 2]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let known = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&Bytes::from(file))
            .unwrap();
        let left = without_float_bounds(Arc::new(known)).unwrap();
        let pages = &left.column_index().unwrap()[0];
        for (column, has_bounds) in [(0, false), (1, false), (2, true)] {
            let chunk = left.row_group(0).column(column);
            let statistics = chunk.statistics().unwrap();
            assert_eq!(statistics.null_count_opt(), Some(0), "{column}");
            assert_eq!(statistics.min_bytes_opt().is_some(), has_bounds, "{column}");
            assert_eq!(statistics.max_bytes_opt().is_some(), has_bounds, "{column}");
            let can_be_loaded = chunk.column_index_offset().is_some();
            assert_eq!(can_be_loaded, has_bounds, "{column}");
            let is_loaded = !matches!(pages[column], ColumnIndexMetaData::NONE);
            assert_eq!(is_loaded, has_bounds, "{column}");
        }
    }
}
