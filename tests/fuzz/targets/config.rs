//! What becomes of a configuration file.
#![no_main]

use bailiwick_fuzz::oracle::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| config::input(data));
