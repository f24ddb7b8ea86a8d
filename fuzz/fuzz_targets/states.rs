//! Any bytes as stored states: an error or states that can be used, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lakegate_rules::fuzzing::states(bytes));
