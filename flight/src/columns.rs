//! Columns as clients are told of them: one schema for everything that is said about the same rows.
//!
//! Every column may be null, since what a plan says of that changes with the statistics of files. Views, dictionaries and
//! short decimals become the types that every client reads. Each column says its SQL type in its metadata, as Flight SQL
//! names it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use lakegate_engine::sql_type;

/// Metadata of a column. Apache Arrow, FlightSql.proto, `CommandGetTables`.
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
const CATALOG_NAME: &str = "ARROW:FLIGHT:SQL:CATALOG_NAME";
const SCHEMA_NAME: &str = "ARROW:FLIGHT:SQL:SCHEMA_NAME";
const TABLE_NAME: &str = "ARROW:FLIGHT:SQL:TABLE_NAME";
const IS_AUTO_INCREMENT: &str = "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT";
const IS_READ_ONLY: &str = "ARROW:FLIGHT:SQL:IS_READ_ONLY";
const IS_SEARCHABLE: &str = "ARROW:FLIGHT:SQL:IS_SEARCHABLE";

/// Decimal digits that each type of number has; none for other types.
const fn digits(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        DataType::Float16 => 3,
        DataType::Float32 => 7,
        DataType::Float64 => 15,
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => *precision,
        _ => return None,
    })
}

/// The schema that clients are told of rows with these columns.
pub(crate) fn advertised(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = told(field.data_type());
        let metadata = of_column(&data_type);
        Field::new(field.name(), data_type, true).with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The schema of a table's rows, each column with the table's name.
pub(crate) fn of_table(schema: &Schema, catalog: &str, db_schema: &str, table: &str) -> Schema {
    let advertised = advertised(schema);
    let fields = advertised.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        for (key, value) in [
            (CATALOG_NAME, catalog),
            (SCHEMA_NAME, db_schema),
            (TABLE_NAME, table),
            (IS_AUTO_INCREMENT, "0"),
            (IS_READ_ONLY, "0"),
            (IS_SEARCHABLE, "1"),
        ] {
            metadata.insert(key.to_owned(), value.to_owned());
        }
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Schema::new(fields.collect::<Vec<FieldRef>>())
}

fn of_column(data_type: &DataType) -> HashMap<String, String> {
    let mut metadata = HashMap::from([(TYPE_NAME.to_owned(), sql_type(data_type))]);
    if let Some(digits) = digits(data_type) {
        metadata.insert(PRECISION.to_owned(), digits.to_string());
    }
    if let DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) = data_type {
        metadata.insert(SCALE.to_owned(), scale.to_string());
    }
    metadata
}

/// The type that clients get for values of a type.
pub(crate) fn told(data_type: &DataType) -> DataType {
    let nullable = |field: &FieldRef| {
        let field = field.as_ref().clone();
        let data_type = told(field.data_type());
        Arc::new(field.with_data_type(data_type).with_nullable(true))
    };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => told(value),
        DataType::RunEndEncoded(_, values) => told(values.data_type()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field) | DataType::ListView(field) => DataType::List(nullable(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(nullable(field))
        }
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(nullable(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::Map(entries, is_sorted) => {
            DataType::Map(Arc::new(told_entries(entries)), *is_sorted)
        }
        other => other.clone(),
    }
}

/// The entries of a map, of which neither they nor their keys can be null.
fn told_entries(entries: &Field) -> Field {
    let DataType::Struct(fields) = entries.data_type() else {
        return entries.clone();
    };
    let told = fields.iter().enumerate().map(|(index, field)| {
        let data_type = told(field.data_type());
        let field = field.as_ref().clone().with_data_type(data_type);
        Arc::new(field.with_nullable(index > 0))
    });
    let told = DataType::Struct(told.collect());
    entries.clone().with_data_type(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_may_be_null_and_has_a_type_that_all_clients_read() {
        let text = Field::new("text", DataType::Utf8View, false);
        let code = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        let list = Field::new_list_field(DataType::BinaryView, false);
        let schema = Schema::new(vec![
            text.clone(),
            Field::new("code", code, false),
            Field::new("list", DataType::List(Arc::new(list)), false),
            Field::new("price", DataType::Decimal64(12, 2), false),
            Field::new_struct("both", vec![text], false),
        ]);
        let told = advertised(&schema);
        let types: Vec<String> = told
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(
            types,
            [
                "Utf8",
                "Utf8",
                "List(Binary)",
                "Decimal128(12, 2)",
                "Struct(\"text\": Utf8)"
            ]
        );
        assert!(told.fields().iter().all(|field| field.is_nullable()));
        let price = told.field(3).metadata();
        assert_eq!(price[TYPE_NAME], "decimal(12,2)");
        assert_eq!(
            (&price[PRECISION], &price[SCALE]),
            (&"12".to_owned(), &"2".to_owned())
        );
    }
}
