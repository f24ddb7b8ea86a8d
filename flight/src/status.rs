//! Errors as gRPC tells them.

use arrow_flight::error::FlightError;
use datafusion::arrow::error::ArrowError;
use lakegate_engine::EngineError;
use tonic::{Code, Status};
use tracing::error;

use crate::seal::SealError;

/// The status of an error of the engine: its message, and the way out on a line of its own.
///
/// What only concerns the server goes to its log: a client would learn paths and hosts from it.
pub(crate) fn of_engine(failure: &EngineError) -> Status {
    let code = Code::from_i32(failure.kind().grpc_code());
    if failure.is_untold() {
        error!(error = %failure, source = ?std::error::Error::source(failure), "a statement failed");
        return Status::new(code, failure.told());
    }
    let place = failure.place().map(|place| format!("{place}: "));
    let hint = failure.told_hint();
    let hint = hint.map(|hint| format!("\nhint: {}", short(hint)));
    Status::new(
        code,
        format!(
            "{}{}{}",
            place.unwrap_or_default(),
            short(failure.told()),
            hint.unwrap_or_default()
        ),
    )
}

/// Bytes of the longest message: it travels in a header, of which clients take 8 KiB.
const MOST_MESSAGE_BYTES: usize = 3 << 10;

/// A text no longer than clients take.
fn short(text: String) -> String {
    let end = text.floor_char_boundary(MOST_MESSAGE_BYTES);
    match end < text.len() {
        true => format!("{} ...", &text[..end]),
        false => text,
    }
}

/// Of something that a client sent back.
pub(crate) fn of_seal(failure: SealError) -> Status {
    match failure {
        SealError::Forged(_) => Status::invalid_argument(format!(
            "{failure}\nhint: run the statement again; a server that was started anew does not know it"
        )),
        SealError::Expired(_) => {
            Status::failed_precondition(format!("{failure}\nhint: run the statement again"))
        }
    }
}

/// Of a message that is not what its type says.
pub(crate) fn malformed(what: &str, failure: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{what} cannot be read: {failure}"))
}

/// Of something that should not happen.
pub(crate) fn bug(what: &str, failure: impl std::fmt::Display) -> Status {
    error!(%failure, what, "internal error");
    Status::internal(format!("internal error: {what}; please report it"))
}

/// Of rows that cannot be put into messages.
pub(crate) fn of_flight(failure: FlightError) -> Status {
    match failure {
        FlightError::Tonic(status) => *status,
        other => bug("rows could not be sent", other),
    }
}

/// Of a computation over what the server made itself.
pub(crate) fn of_arrow(failure: ArrowError) -> Status {
    bug("an answer could not be put together", failure)
}
