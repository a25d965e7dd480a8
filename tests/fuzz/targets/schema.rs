//! Schemas that take long, deep or crooked ways.
#![no_main]

use bailiwick_fuzz::oracle::schema;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| schema::input(data));
