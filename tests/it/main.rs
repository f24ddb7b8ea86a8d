//! Drives the `lakegate` binary as a user does, with independent readers beside it.
//!
//! `python3 tests/run.py` builds the binary, prepares the readers and runs this.

mod demo;
mod support;
mod validate;
