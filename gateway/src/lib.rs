//! Starts the doors: Flight SQL on one port; health, readiness and metrics over HTTP on another.

mod error;
mod http;
mod metrics;
mod serve;

pub use error::GatewayError;
pub use lakegate_flight::Access;
pub use serve::{Doors, ServeOptions};
