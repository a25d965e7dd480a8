//! Names, and how tools get theirs.
#![no_main]

use bailiwick_fuzz::oracle::names;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| names::input(data));
