//! What a record looks like with hostile texts in it.
#![no_main]

use bailiwick_fuzz::oracle::audit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| audit::input(data));
