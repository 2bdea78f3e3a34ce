//! The guard of responses against httparse and hyper's client, and against itself with other cuts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::answered_alike(data));
