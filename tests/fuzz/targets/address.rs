//! Which addresses are public, and what a range contains.
#![no_main]

use bailiwick_fuzz::oracle::address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| address::input(data));
