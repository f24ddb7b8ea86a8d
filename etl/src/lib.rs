//! Runs a pipeline.
