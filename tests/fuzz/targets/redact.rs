//! Secrets in texts and streams, against a search at every place.
#![no_main]

use bailiwick_fuzz::oracle::redact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| redact::input(data));
