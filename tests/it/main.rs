//! Drives the `lakegate` binary as a user does, with independent readers beside it.
//!
//! `python3 tests/run.py` builds the binary, prepares the readers and runs this.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bad_input;
mod command_line;
mod concurrency;
mod demo;
mod faults;
mod flight;
mod orders;
mod storage;
mod support;
mod validate;
