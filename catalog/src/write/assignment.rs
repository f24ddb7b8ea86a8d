//! Values that a statement assigns to columns: one that its column would change is refused.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::columns::keeps_every_value;
use super::misfit::misfit;
use super::source::text_like_null;
use crate::{CatalogError, TableName};

/// A decimal with as many digits as there can be, of which half are behind the point.
const FINE_DECIMAL: DataType = DataType::Decimal256(76, 38);

/// A column that values are assigned to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssignedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Its type as SQL writes it.
    pub type_name: String,
    /// Whether the table is partitioned by it.
    pub is_partition: bool,
}

/// The values that one statement assigns to columns of one table, and what is wrong with the first that does not fit.
#[derive(Debug, Clone)]
pub struct Assignments {
    table: TableName,
    first: Arc<Mutex<Option<(String, String)>>>,
}

impl Assignments {
    /// Assignments to a table.
    pub fn new(table: &TableName) -> Self {
        Self {
            table: table.clone(),
            first: Arc::default(),
        }
    }

    /// The function that makes a value of any type one of a column's type. It fails for a value that the column cannot
    /// hold as it is.
    pub fn function(&self, column: AssignedColumn) -> ScalarUDF {
        ScalarUDF::from(IntoColumn {
            name: function_name(&column.name),
            column,
            assignments: self.clone(),
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    /// What is wrong with the first value that did not fit. Writers turn the errors of their input into text.
    pub fn error(&self) -> Option<CatalogError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (message, hint) = first.as_ref()?;
        Some(CatalogError::invalid(message.clone(), hint.clone()))
    }

    fn refused(&self, message: String, hint: String) -> DataFusionError {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (message.clone(), hint.clone()));
        DataFusionError::External(Box::new(CatalogError::invalid(message, hint)))
    }
}

/// The name of the function that makes values those of a column.
pub fn function_name(column: &str) -> String {
    format!("value of {column}")
}

#[derive(Debug)]
struct IntoColumn {
    name: String,
    column: AssignedColumn,
    assignments: Assignments,
    signature: Signature,
}

impl PartialEq for IntoColumn {
    fn eq(&self, other: &Self) -> bool {
        self.column == other.column && self.assignments.table == other.assignments.table
    }
}

impl Eq for IntoColumn {}

impl Hash for IntoColumn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
    }
}

impl ScalarUDFImpl for IntoColumn {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.column.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = arguments.args.into_iter().next() else {
            return Err(DataFusionError::Internal("no value is assigned".to_owned()));
        };
        let is_one = matches!(value, ColumnarValue::Scalar(_));
        let before = value.to_array(1)?;
        let after = self.assigned(&before)?;
        if is_one {
            let one = ScalarValue::try_from_array(&after, 0)?;
            return Ok(ColumnarValue::Scalar(one));
        }
        Ok(ColumnarValue::Array(after))
    }
}

impl IntoColumn {
    /// The values in the column's type.
    fn assigned(&self, before: &ArrayRef) -> Result<ArrayRef> {
        let to = &self.column.data_type;
        if let Some((row, why, way_out)) = misfit(before, to)? {
            return Err(self.refused(before, row, why, way_out.to_owned()));
        }
        let value = ColumnarValue::Array(Arc::clone(before));
        let after = match value.cast_to(to, None) {
            Ok(after) => after.to_array(before.len())?,
            Err(error) => return Err(self.not_cast(before, error)),
        };
        if self.column.is_partition
            && is_text(after.data_type())
            && let Some((what, way_out)) = text_like_null(&after)?
        {
            let Self {
                column: AssignedColumn { name, .. },
                assignments,
                ..
            } = self;
            let message = format!("column `{name}` of `{}` {what}", assignments.table);
            return Err(assignments.refused(message, way_out.replace("{}", name)));
        }
        let Some(row) = first_changed(before, &after)? else {
            return Ok(after);
        };
        let becomes = array_value_to_string(&after, row)?;
        Err(self.does_not_hold(before, row, &format!("it would become {becomes}")))
    }

    /// Names the value that could not be cast, when it can be found.
    fn not_cast(&self, before: &ArrayRef, error: DataFusionError) -> DataFusionError {
        let cast = cast_or_null(before, &self.column.data_type);
        let lost = cast.and_then(|after| {
            let mut rows = 0..before.len();
            rows.find(|row| before.is_valid(*row) && after.is_null(*row))
        });
        match lost {
            Some(row) => {
                let why = format!("it is no {}", self.column.type_name);
                self.does_not_hold(before, row, &why)
            }
            None => error,
        }
    }

    fn does_not_hold(&self, before: &ArrayRef, row: usize, why: &str) -> DataFusionError {
        let type_name = &self.column.type_name;
        let way_out = format!(
            "say what is meant in the SQL, for example `CAST(... AS {type_name})` or `round(...)`"
        );
        self.refused(before, row, why, way_out)
    }

    fn refused(
        &self,
        before: &ArrayRef,
        row: usize,
        why: &str,
        way_out: String,
    ) -> DataFusionError {
        let (name, table) = (&self.column.name, &self.assignments.table);
        let value = array_value_to_string(before, row).unwrap_or_default();
        let message = format!("column `{name}` of `{table}` cannot hold {value}: {why}");
        self.assignments.refused(message, way_out)
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The values in another type, null where there is none; nothing when no value of the type has one.
fn cast_or_null(values: &dyn Array, to: &DataType) -> Option<ArrayRef> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    cast_with_options(values, to, &options).ok()
}

/// The first row whose value is not what it was before it was cast.
fn first_changed(before: &ArrayRef, after: &ArrayRef) -> Result<Option<usize>> {
    let (from, to) = (before.data_type(), after.data_type());
    if keeps_every_value(from, to) {
        return Ok(None);
    }
    if to.is_floating() && !from.is_integer() {
        // A floating-point number is the nearest one, as long as there is one.
        let (Some(before), Some(after)) = (
            cast_or_null(before, &DataType::Float64),
            cast_or_null(after, &DataType::Float64),
        ) else {
            return Ok(None);
        };
        return Ok(first_unlike(&before, &after, |before, after| {
            before.is_finite() == after.is_finite()
        }));
    }
    // What is finer than the column: both sides are compared there.
    let finer = match to {
        DataType::Date32 if is_text(from) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, zone) if is_text(from) => {
            DataType::Timestamp(TimeUnit::Nanosecond, zone.clone())
        }
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) if is_text(from) => FINE_DECIMAL,
        _ if is_text(from) || is_text(to) => return Ok(None),
        // The time in UTC, whatever the zone.
        DataType::Timestamp(_, None) if from.is_temporal() => match from {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
            _ => from.clone(),
        },
        // The value comes back as it was, or it was changed.
        _ => from.clone(),
    };
    let (Some(before), Some(back)) = (cast_or_null(before, &finer), cast_or_null(after, &finer))
    else {
        return Ok(None);
    };
    if finer.is_floating() {
        let (Some(before), Some(back)) = (
            cast_or_null(&before, &DataType::Float64),
            cast_or_null(&back, &DataType::Float64),
        ) else {
            return Ok(None);
        };
        return Ok(first_unlike(&before, &back, |before, back| before == back));
    }
    if finer.is_nested() {
        let mut rows = 0..before.len();
        return Ok(
            rows.find(|row| before.slice(*row, 1).to_data() != back.slice(*row, 1).to_data())
        );
    }
    let differs = distinct(&before, &back)?;
    Ok((0..before.len()).find(|row| before.is_valid(*row) && differs.value(*row)))
}

/// The first row in which two numbers are not alike; a number beside none is not.
fn first_unlike(
    left: &dyn Array,
    right: &dyn Array,
    alike: impl Fn(f64, f64) -> bool,
) -> Option<usize> {
    let left = left.as_primitive::<Float64Type>();
    let right = right.as_primitive::<Float64Type>();
    (0..left.len()).find(|row| match (left.is_valid(*row), right.is_valid(*row)) {
        (true, true) => !alike(left.value(*row), right.value(*row)),
        (is_left, _) => is_left,
    })
}
