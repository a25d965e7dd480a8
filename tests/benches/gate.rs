//! What stands before and behind a call: policy with argument checks, and a call that is refused.

use std::hint::black_box;
use std::time::Instant;

use bailiwick_core::policy::{Verdict, permit};

use crate::call::{ARGUMENTS, host};
use crate::report::{Report, median, micros, ratio};

const ROUNDS: usize = 30;
const BATCH: u32 = 200;

pub(crate) async fn run(report: &mut Report) {
    let host = host().await;
    let snapshot = host.host.snapshot();
    let (mut permits, mut refusals, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..BATCH {
            let verdict = permit(&snapshot.registry, host.request("bill", ARGUMENTS));
            assert!(matches!(black_box(verdict), Verdict::Permitted(_)), "the call is right");
        }
        permits.push(micros(start.elapsed()) / f64::from(BATCH));
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(host.try_call("bill", "{\"title\":1}").await);
        }
        refusals.push(micros(start.elapsed()) / f64::from(BATCH));
        let start = Instant::now();
        for _ in 0..BATCH {
            host.call("bill", ARGUMENTS).await;
        }
        calls.push(micros(start.elapsed()) / f64::from(BATCH));
    }
    report.plain("permit: resolve, authorise, parse and check arguments", median(&permits), "µs");
    report.plain("a call refused for its arguments, audit included", median(&refusals), "µs");
    report.plain("permit as a share of Host::call", 100.0 * ratio(&permits, &calls), "%");
}
