//! Directory grants against a model.
#![no_main]

use bailiwick_fuzz::oracle::fs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fs::input(data));
