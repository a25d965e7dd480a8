//! Many callers at once, each with its next call as soon as the last one ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::call::ARGUMENTS;
use crate::report::{Report, micros, quantile};
use crate::world::World;

pub(crate) async fn run(report: &mut Report) {
    let component = bailiwick_tests::guest("bench");
    let text = format!("[plugins.bench]\ncomponent = {component:?}\nlimits = {{ concurrency = 64 }}\n");
    let host = Arc::new(World::new().start(&text, "calls = 64\nqueue = 10000").await);
    for callers in [1, 8, 64, 1_000, 10_000] {
        let total = 20_000.max(callers);
        let left = Arc::new(AtomicUsize::new(total));
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (host, left) = (Arc::clone(&host), Arc::clone(&left));
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                        let start = Instant::now();
                        host.call("bill", ARGUMENTS).await;
                        times.push(micros(start.elapsed()) / 1000.0);
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::with_capacity(total);
        for task in tasks {
            times.extend(task.await.expect("no call is lost"));
        }
        assert_eq!(times.len(), total, "every call is answered");
        let second = total as f64 / start.elapsed().as_secs_f64();
        let (median, worst) = (quantile(&times, 0.5), quantile(&times, 0.99));
        report.plain(&format!("{callers} at once: calls a second"), second, "");
        report.plain(&format!("{callers} at once: median, waiting included"), median, "ms");
        report.plain(&format!("{callers} at once: 99th percentile"), worst, "ms");
    }
}
