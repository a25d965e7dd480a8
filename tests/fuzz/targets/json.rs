//! JSON against `serde_json`.
#![no_main]

use bailiwick_fuzz::oracle::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| json::input(data));
