//! `to_timestamp` in microseconds, the finest time that tables hold.
//!
//! DataFusion's gives nanoseconds, which end in the year 2262, and takes seconds for those of a clock on the wall in the
//! session's zone.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, TimeUnit,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::functions::datetime::to_timestamp::ToTimestampMicrosFunc;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Microseconds of a second.
const MICROSECONDS: f64 = 1_000_000.0;

/// Digits of a microsecond behind the point of a second.
const DIGITS: i8 = 6;

/// The function `to_timestamp(value[, format, ..])`: a text is read as DataFusion's function of that name reads it, a
/// number is one of seconds since 1970 in UTC, with a fraction or without. The time has the zone of its session. With
/// formats, times still end in the year 2262, with an error that says so.
pub(crate) fn function() -> Arc<ScalarUDF> {
    Arc::new(with_options(&ConfigOptions::default()))
}

fn with_options(options: &ConfigOptions) -> ScalarUDF {
    ScalarUDF::new_from_impl(ToTimestamp {
        with_formats: ToTimestampMicrosFunc::new_with_config(options),
        zone: options.execution.time_zone.as_deref().map(Arc::from),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    with_formats: ToTimestampMicrosFunc,
    zone: Option<Arc<str>>,
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &'static str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        self.with_formats.signature()
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(with_options(config))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.with_formats.return_type(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.with_formats.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return self.with_formats.invoke_with_args(args);
        };
        let zone = self.zone.clone();
        let data_type = value.data_type();
        if data_type.is_integer() {
            let seconds = DataType::Timestamp(TimeUnit::Second, zone.clone());
            let seconds = value
                .cast_to(&DataType::Int64, None)?
                .cast_to(&seconds, None)?;
            return seconds.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone), None);
        }
        if data_type.is_string() {
            return value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone), None);
        }
        if !data_type.is_numeric() {
            return self.with_formats.invoke_with_args(args);
        }
        let microseconds = match value {
            ColumnarValue::Array(values) => ColumnarValue::Array(microseconds(values)?),
            ColumnarValue::Scalar(value) => {
                let one = microseconds(&value.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
            }
        };
        microseconds.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone), None)
    }
}

/// Seconds with a fraction, in microseconds.
fn microseconds(seconds: &ArrayRef) -> Result<ArrayRef> {
    let microseconds: Int64Array = if seconds.data_type().is_floating() {
        let seconds = cast(seconds, &DataType::Float64)?;
        seconds.as_primitive::<Float64Type>().try_unary(of_float)?
    } else {
        let seconds = cast(
            seconds,
            &DataType::Decimal128(DECIMAL128_MAX_PRECISION, DIGITS),
        )?;
        let seconds = seconds.as_primitive::<Decimal128Type>();
        seconds.try_unary(|microseconds| {
            i64::try_from(microseconds)
                .map_err(|_| exec_datafusion_err!("a number is no time: it is too far from 1970"))
        })?
    };
    Ok(Arc::new(microseconds))
}

fn of_float(seconds: f64) -> Result<i64> {
    let microseconds = (seconds * MICROSECONDS).round();
    // Both ends are numbers of a `f64`; the upper one is no `i64`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the least `i64` is a power of two"
    )]
    let least = i64::MIN as f64;
    if !(least..-least).contains(&microseconds) {
        return exec_err!("`{seconds}` is no time in seconds since 1970");
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds")]
    Ok(microseconds as i64)
}
