//! What this process takes of the machine.

use std::time::{Duration, Instant};

/// The resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux says");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("statm has seven numbers");
    pages * 4096
}

/// Open file descriptors.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux says").count()
}

/// The processes this one started and that are still there, also those that have ended and were not waited for.
pub(crate) fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The same for any process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux says").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    numbers.filter(|process| parent_of(*process) == Some(parent)).collect()
}

/// The parent stands behind the state, which stands behind the name, which may hold anything.
fn parent_of(process: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until something is so, at most ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}: not within ten seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Threads of this process.
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux says").count()
}

/// Resident memory may be so much more afterwards.
const SLACK: u64 = 16 << 20;

/// Two connections that wait for their next request, both ends of each: servers of tests are in this process too.
const KEPT: usize = 4;

/// What the process takes at one moment.
#[derive(Debug)]
pub(crate) struct Usage {
    resident: u64,
    descriptors: usize,
    threads: usize,
    children: usize,
}

impl Usage {
    pub(crate) fn now() -> Self {
        Self { resident: resident(), descriptors: descriptors(), threads: threads(), children: children().len() }
    }

    /// Waits until the process takes no more than this, at most for `patience`. Memory and descriptors of other tests in
    /// the same process count too, so this is for tests that run [`alone`].
    pub(crate) async fn is_restored(&self, patience: Duration) {
        let ends = Instant::now() + patience;
        loop {
            let now = Self::now();
            let restored = now.resident <= self.resident + SLACK
                && now.descriptors <= self.descriptors + KEPT
                && now.threads <= self.threads
                && now.children <= self.children;
            if restored {
                return;
            }
            assert!(Instant::now() < ends, "before: {self:?}, {patience:?} after: {now:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Runs the body of this very test in a process of its own, where nobody else takes anything, on an executor like the
/// program's. `test` is its full name.
pub(crate) fn alone(test: &str, body: impl Future<Output = ()>) {
    if std::env::var_os("BAILIWICK_TEST_ALONE").is_none() {
        return run_alone(test);
    }
    bailiwick::ambient::give_memory_back();
    // Threads that wait for work to come are gone before anybody counts them.
    let mut executor = bailiwick::runtime::executor();
    let runtime = executor.thread_keep_alive(Duration::from_millis(100)).build().expect("there are threads");
    runtime.block_on(body);
}

fn run_alone(test: &str) {
    let program = std::env::current_exe().expect("Linux says");
    let output = std::process::Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("BAILIWICK_TEST_ALONE", super::contract::CANARY)
        .output()
        .expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in said.lines().filter(|line| line.starts_with("measured") || line.starts_with("left out")) {
        println!("{line}");
    }
}

/// Whether tests that take long are wanted; says what is left out when they are not.
pub(crate) fn is_slow_wanted(what: &str) -> bool {
    let wanted = std::env::var_os("RUN_SLOW_TESTS").is_some();
    if !wanted {
        println!("left out: {what}; RUN_SLOW_TESTS=1 runs it");
    }
    wanted
}
