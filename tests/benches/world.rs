//! A host of a bench's own, in a folder that goes away with it.

use std::path::Path;
use std::sync::Arc;

use bailiwick::channel::Channel;
use bailiwick::host::Host;
use bailiwick::load::Setup;
use bailiwick_core::call::{Call, Caller};
use bailiwick_core::config::{Config, Source, read};
use bailiwick_core::outcome::Outcome;
use serde_json::Value;
use tempfile::TempDir;

/// A folder for state, cache and files.
pub(crate) struct World {
    pub(crate) folder: TempDir,
}

/// A running host.
pub(crate) struct BenchHost {
    pub(crate) host: Host,
    caller: Arc<Caller>,
    _world: World,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("bailiwick-bench-").tempdir().expect("a folder can be made") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `text` with a `[host]` of this folder.
    pub(crate) fn toml(&self, text: &str, host_keys: &str) -> String {
        let (state, cache) = (self.path().join("state"), self.path().join("cache"));
        format!("[host]\nstate = {state:?}\ncache = {cache:?}\n{host_keys}\n{text}")
    }

    pub(crate) fn config(&self, text: &str, host_keys: &str) -> Config {
        let text = self.toml(text, host_keys);
        let source = Source { name: "bench.toml".to_owned(), text, base: self.path().to_owned() };
        read(&source, &|_| None).unwrap_or_else(|mistakes| panic!("the configuration is wrong: {mistakes:?}"))
    }

    pub(crate) async fn start(self, text: &str, host_keys: &str) -> BenchHost {
        let config = self.config(text, host_keys);
        let host = Host::start(&config, Setup::default()).await.expect("the host starts");
        let problems: Vec<String> = host.snapshot().problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:?}");
        BenchHost { host, caller: Arc::new(Caller::operator("bench")), _world: self }
    }
}

impl BenchHost {
    /// A call, ready to go.
    pub(crate) fn request(&self, tool: &str, arguments: &str) -> Call {
        Call {
            id: self.host.new_call_id(),
            tool: tool.to_owned(),
            arguments: arguments.to_owned(),
            caller: Arc::clone(&self.caller),
            trace: None,
            session: None,
        }
    }

    /// Calls a tool, whatever comes of it.
    pub(crate) async fn try_call(&self, tool: &str, arguments: &str) -> Outcome {
        self.host.call(self.request(tool, arguments), Channel::default()).await
    }

    /// Calls a tool that has to succeed.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) {
        let outcome = self.try_call(tool, arguments).await;
        if let Err(failure) = outcome.result {
            panic!("`{tool}` failed: {failure}");
        }
    }

    /// A call that has to succeed, and its structured result.
    pub(crate) async fn value(&self, tool: &str, arguments: &str) -> Value {
        let outcome = self.try_call(tool, arguments).await;
        let output = outcome.result.unwrap_or_else(|failure| panic!("`{tool}` failed: {failure}"));
        output.structured.expect("the result is structured")
    }
}

/// Bytes of memory of the process `pid` that are nobody else's and in no file (`self`: this one).
pub(crate) fn anonymous_memory(pid: &str) -> f64 {
    memory(pid, "smaps_rollup", "Anonymous:")
}

/// Bytes of memory that the process `pid` had at most.
pub(crate) fn peak_memory(pid: &str) -> f64 {
    memory(pid, "status", "VmHWM:")
}

fn memory(pid: &str, file: &str, which: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("Linux says");
    let line = text.lines().find(|line| line.starts_with(which)).expect("it is among what Linux says");
    let kilobytes = line.split_whitespace().nth(1).and_then(|figure| figure.parse::<f64>().ok());
    kilobytes.expect("a number") * 1024.0
}
