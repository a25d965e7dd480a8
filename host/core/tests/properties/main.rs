//! What holds for all inputs: each property on many generated cases, the same ones every time.
//!
//! `RUN_SLOW_TESTS=1` takes ten times as many, and other ones each time. What fails is kept in `proptest-regressions`.
#![expect(clippy::disallowed_methods, reason = "tests look at the environment and read the corpora")]
#![expect(clippy::unwrap_used, reason = "a case that cannot be made is a failed test")]

#[path = "../oracle/mod.rs"]
pub mod oracle;

mod address;
mod arguments;
mod config;
mod corpora;
mod dialect;
mod fs;
mod import;
mod names;
mod net;
mod redact;
mod schema;
mod texts;
mod typescript;
mod url;

use std::cell::Cell;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestRunner};

/// Whether the long run was asked for.
fn is_slow() -> bool {
    std::env::var_os("RUN_SLOW_TESTS").is_some()
}

/// Runs `check` on so many cases, ten times as many in the long run. What was found before is
/// tried first. What fails is made small, told and kept.
#[track_caller]
fn for_all<S: Strategy>(n_cases: u32, cases: S, check: impl Fn(S::Value)) {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/properties.txt");
    let config = Config {
        cases: if is_slow() { n_cases * 10 } else { n_cases },
        rng_seed: if is_slow() { RngSeed::Random } else { RngSeed::Fixed(0x0bad_5eed) },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept))),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&cases, |case| {
        check(case);
        Ok::<(), TestCaseError>(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Counts what came of cases, so that a property that judges nothing is seen.
#[derive(Default)]
struct Tally {
    yes: Cell<u64>,
    no: Cell<u64>,
}

impl Tally {
    fn add(&self, (yes, no): (u32, u32)) {
        self.yes.set(self.yes.get() + u64::from(yes));
        self.no.set(self.no.get() + u64::from(no));
    }

    /// Makes sure that there were enough cases, and a share of each sort.
    #[track_caller]
    fn expect(&self, n_cases: u64, share: u64) {
        let (yes, no) = (self.yes.get(), self.no.get());
        let told = format!("{yes} yes, {no} no");
        assert!(yes + no >= if is_slow() { n_cases * 10 } else { n_cases }, "too few cases: {told}");
        assert!(yes * share >= yes + no && no * share >= yes + no, "one-sided: {told}");
    }
}

/// One of some texts.
fn any_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    proptest::sample::select(texts)
}
