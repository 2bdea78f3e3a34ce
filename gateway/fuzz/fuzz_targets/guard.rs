//! The guard against httparse, and against itself with other cuts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::judged_alike(data));
