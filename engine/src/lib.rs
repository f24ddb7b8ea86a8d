//! Runs SQL, wherever it runs.

mod session;

pub use session::{Engine, EngineOptions};
