//! Any text held against every format: an answer, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| lakegate_rules::fuzzing::formats(texts.0, texts.1));
