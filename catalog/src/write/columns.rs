//! Fits the columns of a source to those of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};

use super::SchemaEvolution;
use super::source::has_limits;
use crate::{CatalogError, TableName};

/// Characters that Delta does not allow in a column's name. Delta protocol, "Column Mapping".
const FORBIDDEN_IN_NAMES: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// Names must be usable in a Delta table: its readers ignore case, and Parquet forbids some characters.
pub(super) fn check_names(table: &TableName, schema: &DFSchema) -> Result<(), CatalogError> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in schema.fields() {
        let name = field.name();
        if name.is_empty() || name.contains(FORBIDDEN_IN_NAMES) {
            return Err(CatalogError::invalid(
                format!(
                    "column `{name}` cannot be published to `{table}`: Delta allows no space and none of ,;{{}}()= in a name"
                ),
                Some(format!(
                    "rename it in the SQL: `\"{name}\" AS another_name`"
                )),
            ));
        }
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return Err(CatalogError::invalid(
                format!(
                    "columns `{other}` and `{name}` cannot both be published to `{table}`: names differ by case alone, or not at all"
                ),
                Some("rename one of them in the SQL".to_owned()),
            ));
        }
    }
    Ok(())
}

/// Partition columns must be columns of the source, and not all of them.
pub(super) fn check_partitions(
    table: &TableName,
    schema: &DFSchema,
    partition_by: &[String],
) -> Result<(), CatalogError> {
    for (index, column) in partition_by.iter().enumerate() {
        let Ok(field) = schema.field_with_unqualified_name(column) else {
            return Err(CatalogError::invalid(
                format!(
                    "`{table}` cannot be partitioned by `{column}`: the source has no such column"
                ),
                Some(format!("its columns are {}", names(schema))),
            ));
        };
        if partition_by
            .iter()
            .take(index)
            .any(|before| before == column)
        {
            return Err(CatalogError::invalid(
                format!("`{table}` cannot be partitioned by `{column}` twice"),
                Some("name each column once in `partition_by`".to_owned()),
            ));
        }
        if field.data_type().is_binary() {
            return Err(CatalogError::invalid(
                format!(
                    "`{table}` cannot be partitioned by `{column}`: it is binary, which a folder's name cannot hold"
                ),
                Some(format!(
                    "partition by a text made of it: `encode({column}, 'hex')`"
                )),
            ));
        }
    }
    if !partition_by.is_empty() && partition_by.len() == schema.fields().len() {
        return Err(CatalogError::invalid(
            format!("`{table}` cannot be partitioned by all of its columns"),
            Some("leave at least one column out of `partition_by`".to_owned()),
        ));
    }
    Ok(())
}

/// The source with types that Delta has.
///
/// Every column may be null: that a query's result never is (a count, a literal) says nothing about later writes. What
/// must not be null is a rule's to say.
pub(super) fn for_new_table(
    table: &TableName,
    source: LogicalPlan,
) -> Result<LogicalPlan, CatalogError> {
    let mut columns = Vec::new();
    for (qualifier, field) in source.schema().iter() {
        let wanted = delta_type(table, field.name(), field.data_type())?;
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        columns.push(cast_named(column, field.data_type(), &wanted, field.name()));
    }
    let typed = project(table, source, columns)?;
    let nullable: Vec<Field> = typed
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    // A union with no rows is the one plan that makes columns nullable and nothing else; the optimizer takes it out.
    let schema = DFSchema::try_from(Schema::new(nullable)).map_err(|e| unplanned(table, e))?;
    let no_rows = LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: false,
        schema: Arc::new(schema),
    });
    LogicalPlanBuilder::from(typed)
        .union(no_rows)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| unplanned(table, e))
}

/// The source in the table's columns: by name, in the table's order and types.
pub(super) fn align(
    table: &TableName,
    source: LogicalPlan,
    schema: &SchemaRef,
    evolution: SchemaEvolution,
) -> Result<LogicalPlan, CatalogError> {
    let mut offered: BTreeMap<String, (Expr, Field)> = source
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            (
                field.name().to_lowercase(),
                (column, field.as_ref().clone()),
            )
        })
        .collect();
    let order: Vec<String> = source
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().to_lowercase())
        .collect();
    let mut columns = Vec::new();
    let mut missing = Vec::new();
    for field in schema.fields() {
        match offered.remove(&field.name().to_lowercase()) {
            Some((column, from)) => {
                if !fits(from.data_type(), field.data_type()) {
                    return Err(CatalogError::invalid(
                        format!(
                            "column `{}` is {} in the source, and {} in `{table}`",
                            field.name(),
                            from.data_type(),
                            field.data_type()
                        ),
                        Some(format!(
                            "cast it in the SQL: `CAST({0} AS ...) AS {0}`",
                            field.name()
                        )),
                    ));
                }
                columns.push(cast_named(
                    column,
                    from.data_type(),
                    field.data_type(),
                    field.name(),
                ));
            }
            None if evolution == SchemaEvolution::AddColumns && field.is_nullable() => {
                let null =
                    ScalarValue::try_from(field.data_type()).map_err(|e| unplanned(table, e))?;
                columns.push(lit(null).alias(field.name()));
            }
            None => missing.push(field.name().clone()),
        }
    }
    if !missing.is_empty() {
        return Err(CatalogError::invalid(
            format!("the source lacks column{} {} of `{table}`", plural(missing.len()), quoted(&missing)),
            Some("select every column of the table; `schema_evolution: add_columns` fills those that may be null".to_owned()),
        ));
    }
    if !offered.is_empty() && evolution == SchemaEvolution::Refuse {
        let extra: Vec<String> = offered
            .values()
            .map(|(_, field)| field.name().clone())
            .collect();
        return Err(CatalogError::invalid(
            format!(
                "`{table}` has no column{} {}",
                plural(extra.len()),
                quoted(&extra)
            ),
            Some("leave it out of the SQL, or set `schema_evolution: add_columns`".to_owned()),
        ));
    }
    for name in order {
        if let Some((column, field)) = offered.remove(&name) {
            let wanted = delta_type(table, field.name(), field.data_type())?;
            columns.push(cast_named(column, field.data_type(), &wanted, field.name()));
        }
    }
    project(table, source, columns)
}

/// Whether every value of one type has an equal one in the other.
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Decimal256, Dictionary, FixedSizeBinary, Float16,
        Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, Null, Timestamp,
        UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    match (from, to) {
        (Null, _) => true,
        (Dictionary(_, value), _) => fits(value, to),
        (_, Dictionary(_, value)) => fits(from, value),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
            Binary | LargeBinary | BinaryView,
        ) => true,
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, Int16 | Int32 | Int64) | (UInt16, Int32 | Int64) | (UInt32 | UInt64, Int64) => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Int8 | Int16 | UInt8 | UInt16, Float32 | Float64) | (Int32 | UInt32, Float64) => true,
        (Decimal128(p, s) | Decimal256(p, s), Decimal128(q, t) | Decimal256(q, t)) => {
            t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s)
        }
        (Timestamp(_, from_zone), Timestamp(_, to_zone)) => {
            from_zone.is_some() == to_zone.is_some()
        }
        (DataType::Date64, Date32) => true,
        (
            DataType::List(f) | DataType::LargeList(f),
            DataType::List(t) | DataType::LargeList(t),
        ) => fits(f.data_type(), t.data_type()),
        (DataType::Struct(f), DataType::Struct(t)) => {
            f.len() == t.len()
                && f.iter()
                    .zip(t)
                    .all(|(f, t)| f.name() == t.name() && fits(f.data_type(), t.data_type()))
        }
        _ => false,
    }
}

/// Whether every value of one type is one of the other, and none has to be looked at.
pub(super) fn keeps_every_value(from: &DataType, to: &DataType) -> bool {
    fits(from, to) && !has_limits(from)
}

/// The type that Delta keeps values of this type in.
fn delta_type(table: &TableName, column: &str, from: &DataType) -> Result<DataType, CatalogError> {
    let same = |inner: &DataType| delta_type(table, column, inner);
    Ok(match from {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Dictionary(_, value) => same(value)?,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Decimal256(p, s) if *p <= 38 => DataType::Decimal128(*p, *s),
        DataType::List(field) | DataType::LargeList(field) => DataType::List(
            field
                .as_ref()
                .clone()
                .with_data_type(same(field.data_type())?)
                .into(),
        ),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|f| Ok(f.as_ref().clone().with_data_type(same(f.data_type())?)))
                .collect::<Result<Vec<_>, CatalogError>>()?
                .into(),
        ),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary
        | DataType::Decimal128(_, _)
        | DataType::Map(_, _) => from.clone(),
        DataType::Null => {
            return Err(CatalogError::invalid(
                format!("column `{column}` of `{table}` has no type: all of it is NULL"),
                Some(format!(
                    "give it one in the SQL: `CAST(NULL AS bigint) AS {column}`"
                )),
            ));
        }
        other => {
            return Err(CatalogError::invalid(
                format!(
                    "column `{column}` has the type {other}, which a Delta table cannot hold (`{table}`)"
                ),
                Some("cast it in the SQL, for example to string or bigint".to_owned()),
            ));
        }
    })
}

fn cast_named(column: Expr, from: &DataType, to: &DataType, name: &str) -> Expr {
    if from == to {
        column.alias(name)
    } else {
        cast(column, to.clone()).alias(name)
    }
}

fn project(
    table: &TableName,
    source: LogicalPlan,
    columns: Vec<Expr>,
) -> Result<LogicalPlan, CatalogError> {
    LogicalPlanBuilder::from(source)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| unplanned(table, e))
}

fn unplanned(table: &TableName, error: datafusion::error::DataFusionError) -> CatalogError {
    CatalogError::failed(format!("the source of `{table}` cannot be planned"), error)
}

fn names(schema: &DFSchema) -> String {
    quoted(
        &schema
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect::<Vec<_>>(),
    )
}

fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Fields;

    use super::*;

    fn structure(name: &str, data_type: DataType) -> DataType {
        DataType::Struct(vec![Field::new(name, data_type, true)].into())
    }

    fn list(data_type: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", data_type, true)))
    }

    #[test]
    fn types_fit_that_hold_every_value() {
        use DataType::{
            Binary, Date32, Decimal128, Decimal256, Dictionary, Float32, Float64, Int16, Int32,
            Int64, Timestamp, UInt32, Utf8,
        };
        use TimeUnit::{Microsecond, Nanosecond};
        let utc = || Some(Arc::from("UTC"));
        for (from, to, expected) in [
            (Int32, Int64, true),
            (Int64, Int32, false),
            (UInt32, Int64, true),
            (UInt32, Int32, false),
            (Int32, Float64, true),
            (Int64, Float64, false),
            (Int16, Float32, true),
            (Int32, Float32, false),
            (Float32, Float64, true),
            (Float64, Float32, false),
            (Utf8, Binary, false),
            (Timestamp(Microsecond, None), Date32, false),
            (Decimal128(10, 2), Decimal128(12, 4), true),
            (Decimal128(10, 2), Decimal128(20, 1), false),
            (Decimal128(10, 2), Decimal128(10, 3), false),
            (Decimal256(10, 2), Decimal128(9, 2), false),
            (
                Timestamp(Nanosecond, None),
                Timestamp(Microsecond, None),
                true,
            ),
            (
                Timestamp(Microsecond, None),
                Timestamp(Microsecond, utc()),
                false,
            ),
            (
                Timestamp(Microsecond, utc()),
                Timestamp(Microsecond, None),
                false,
            ),
            (Dictionary(Box::new(Int32), Box::new(Int64)), Int64, true),
            (Dictionary(Box::new(Int32), Box::new(Int64)), Int32, false),
            (list(Int32), list(Int64), true),
            (list(Int64), list(Int32), false),
            (structure("a", Int32), structure("a", Int64), true),
            (structure("a", Int64), structure("a", Int32), false),
            (structure("a", Int64), structure("b", Int64), false),
            (
                structure("a", Int64),
                DataType::Struct(Fields::empty()),
                false,
            ),
        ] {
            assert_eq!(fits(&from, &to), expected, "{from} in {to}");
        }
    }
}
