//! One URL, however it is spelled, against grants of every sort.
#![no_main]

use bailiwick_fuzz::oracle::url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| url::input(data));
