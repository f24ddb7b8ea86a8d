//! Any text as a rule file: a suite or problems, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| lakegate_rules::fuzzing::rules(text));
