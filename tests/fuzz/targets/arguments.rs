//! What becomes of arguments, by the tool's schema and the operator's rules.
#![no_main]

use bailiwick_fuzz::oracle::arguments;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| arguments::input(data));
