//! The guard against a real hyper connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::served_alike(data));
