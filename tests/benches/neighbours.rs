//! A tool that behaves, among 200 that never end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::ARGUMENTS;
use crate::report::{Goal, Report, median, micros, quantile};
use crate::world::World;

const LOOPS: usize = 200;

pub(crate) async fn run(report: &mut Report) {
    let (bench, unruly) = (bailiwick_tests::guest("bench"), bailiwick_tests::guest("unruly"));
    let text = format!(
        "[plugins.bench]\ncomponent = {bench:?}\n[plugins.unruly]\ncomponent = {unruly:?}\n\
         limits = {{ time = \"6s\", concurrency = {LOOPS} }}\n"
    );
    let host = Arc::new(World::new().start(&text, "calls = 256\nqueue = 1000").await);
    let loops: Vec<_> = (0..LOOPS)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                let start = Instant::now();
                let outcome = host.try_call("spin", "{}").await;
                (outcome.code(), start.elapsed())
            })
        })
        .collect();
    // All of them are under way by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut times, until) = (Vec::new(), Instant::now() + Duration::from_secs(5));
    while Instant::now() < until {
        let start = Instant::now();
        let called = Arc::clone(&host);
        tokio::spawn(async move { called.call("bill", ARGUMENTS).await }).await.expect("it is answered");
        times.push(micros(start.elapsed()) / 1000.0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut late = Vec::new();
    for task in loops {
        let (code, time) = task.await.expect("a loop ends");
        assert_eq!(code, "limit.time", "a loop ends by its deadline");
        late.push(micros(time) / 1000.0 - 6000.0);
    }
    report.plain("a benign call among 200 loops: median", median(&times), "ms");
    report.gated("a benign call among 200 loops: 99th percentile, ms", quantile(&times, 0.99), Goal::AtMost(250.0));
    report.plain("a loop ends after its deadline: 99th percentile", quantile(&late, 0.99), "ms");
}
