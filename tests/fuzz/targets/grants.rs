//! Net grants against a model.
#![no_main]

use bailiwick_fuzz::oracle::net;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| net::input(data));
