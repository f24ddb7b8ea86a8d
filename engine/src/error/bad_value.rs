//! Values that SQL could not compute, found in the errors of those who computed them.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::without_prefixes;

/// What is wrong with a value that SQL could not compute, when that is why something failed.
pub fn bad_value(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(
            error @ (ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::DivideByZero
            | ArrowError::ArithmeticOverflow(_)),
        ) = error.downcast_ref::<ArrowError>()
        {
            return Some(without_prefixes(&error.to_string()));
        }
        if let Some(DataFusionError::Execution(message)) = error.downcast_ref() {
            return Some(without_prefixes(message));
        }
        if error.source().is_none() {
            // delta-rs makes text of the errors in the values of an UPDATE or MERGE, and Arrow of those of functions.
            let text = error.to_string();
            if let Some(of_filter) = of_filter(&text) {
                return Some(of_filter);
            }
            if let Some((_, of_function)) = text.split_once(OF_FUNCTION) {
                return Some(without_prefixes(of_function));
            }
            let of_arrow = text.split_once(ARROW_ERROR).map(|(_, of_arrow)| of_arrow);
            let of_arrow =
                of_arrow.filter(|text| BAD_VALUES.iter().any(|bad| text.starts_with(bad)));
            return of_arrow.map(without_prefixes);
        }
        cause = error.source();
    }
    None
}

/// What is before an error of Arrow once it is text.
const ARROW_ERROR: &str = "Arrow error: ";

/// What is before an error of a function, and before it once it is one of Arrow.
pub(super) const OF_EXECUTION: &str = "Execution error: ";
const OF_FUNCTION: &str = "Compute error: Execution error: ";

/// How the errors of Arrow begin that are those of values.
const BAD_VALUES: &[&str] = &[
    "Cast error: ",
    "Parser error: ",
    "Divide by zero error",
    "Arithmetic overflow: ",
];

/// What the reader of Parquet files says before the error of a condition that it evaluates, which it makes text of.
const IN_FILTER: &str = "Error evaluating filter predicate: ";

/// What is wrong with a value that a condition could not compute while a file was read.
pub(super) fn of_filter(text: &str) -> Option<String> {
    let (_, error) = text.split_once(IN_FILTER)?;
    let error = error.strip_prefix("ArrowError(").unwrap_or(error);
    if error.starts_with("DivideByZero") {
        return Some("divide by zero".to_owned());
    }
    let (kind, message) = error.split_once("(\"")?;
    let (message, _) = message.split_once("\")")?;
    let message = match kind {
        "CastError" | "ParseError" | "ArithmeticOverflow" | "Execution" => message,
        "ComputeError" => message.strip_prefix(OF_EXECUTION)?,
        _ => return None,
    };
    Some(message.replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_a_condition_is_found_in_the_text_of_the_reader() {
        let text = "External: Compute error: Error evaluating filter predicate: ArrowError(CastError(\"Cannot cast string 'a' to value of Int64 type\"), Some(\"\"))";
        let found = of_filter(text).unwrap();
        assert_eq!(found, "Cannot cast string 'a' to value of Int64 type");
        let text = "Error evaluating filter predicate: Execution(\"timestamp 1 out of range\")";
        assert_eq!(of_filter(text).unwrap(), "timestamp 1 out of range");
        let text = "Error evaluating filter predicate: ArrowError(DivideByZero, Some(\"\"))";
        assert_eq!(of_filter(text).unwrap(), "divide by zero");
        assert_eq!(
            of_filter("Error evaluating filter predicate: ArrowError(IoError(\"gone\"))"),
            None
        );
    }
}
