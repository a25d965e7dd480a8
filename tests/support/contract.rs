//! What holds for every hostile case, whatever it tries: it ends with the code it should, a harmless call beside it and
//! after it is answered at once, each call leaves exactly one record, what nobody may see is seen nowhere, and the process
//! is afterwards what it was before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_core::outcome::Outcome;
use serde_json::{Value, json};

use super::host::{TestHost, World, told};
use super::{log, machine};

/// Stands in a file nobody granted, in a variable of the process and in a secret of another plugin.
pub(crate) const CANARY: &str = "canary-that-no-guest-may-see-4711";
/// How long a harmless call may take while others do harm.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long the process may take to be what it was before.
const RECOVERY: Duration = Duration::from_secs(5);

/// The plugin that is asked whether all is well.
const WITNESS: &str = "[plugins.witness]\ncomponent = \"polite.wasm\"\nalias = { witness = \"echo\" }\nnet = [\"https://witness.example\"]\n\
     [plugins.witness.secrets.CANARY]\nfile = \"canary\"\norigin = \"https://witness.example\"\nheader = \"X-Canary\"\n";

/// A host that hostile cases are tried on.
pub(crate) struct Trial {
    pub(crate) host: Arc<TestHost>,
    calls: usize,
    seen: Vec<(String, String)>,
    before: machine::Usage,
    /// How long the harmless calls took.
    pub(crate) harmless: Vec<Duration>,
}

impl Trial {
    /// A host with these plugins, all of which have to load, beside a harmless one.
    pub(crate) async fn begin(world: World, text: &str) -> Self {
        let world = world.secret("canary", CANARY).file("beyond/canary.txt", CANARY);
        let host = Arc::new(world.start(&format!("{text}{WITNESS}")).await);
        let mut trial = Self { host, calls: 0, seen: Vec::new(), before: machine::Usage::now(), harmless: Vec::new() };
        for _ in 0..3 {
            trial.witness("at the beginning").await;
        }
        trial.before = machine::Usage::now();
        trial
    }

    /// Tries one thing. It has to end with `code` (`ok` for a result) and to hold up nobody.
    pub(crate) async fn case(&mut self, id: &str, tool: &str, arguments: Value, code: &str) -> Outcome {
        let outcome = self.run(id, tool, arguments).await;
        assert_eq!(outcome.code(), code, "{id}: {tool}: {}", told(&outcome));
        outcome
    }

    /// Tries one thing, however it ends.
    pub(crate) async fn run(&mut self, id: &str, tool: &str, arguments: Value) -> Outcome {
        let hostile = {
            let (host, tool) = (Arc::clone(&self.host), tool.to_owned());
            tokio::spawn(async move { host.call(&tool, arguments).await })
        };
        self.calls += 1;
        // Not before the other has begun.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.witness(id).await;
        let outcome = hostile.await.unwrap_or_else(|error| panic!("{id}: the host crashed: {error}"));
        self.seen.push((id.to_owned(), format!("{}\n{outcome:?}", told(&outcome))));
        self.witness(id).await;
        outcome
    }

    async fn witness(&mut self, id: &str) {
        let begun = Instant::now();
        let outcome = self.host.call("witness", json!({"name": "x"})).await;
        let took = begun.elapsed();
        self.calls += 1;
        assert!(outcome.result.is_ok() && took < AT_ONCE, "{id}: a harmless call took {took:?}: {}", told(&outcome));
        self.harmless.push(took);
    }

    /// How many calls of its own a test made on the host.
    pub(crate) fn and_calls(&mut self, calls: usize) {
        self.calls += calls;
    }

    /// Does the same again and again until it takes no more memory: what the pool of instances and the allocator keep of
    /// each thread fills by and by, and stays filled. From the last time on it counts.
    pub(crate) async fn until_nothing_grows(&mut self, mut round: impl AsyncFnMut(&mut Self)) {
        const MOST_ROUNDS: usize = 20;
        for number in 0..MOST_ROUNDS {
            self.is_warm();
            let before = machine::resident();
            round(self).await;
            if number > 0 && machine::resident() < before + (8 << 20) {
                return;
            }
        }
        panic!("after {MOST_ROUNDS} times it still takes more");
    }

    /// From here on it counts: what was done so far filled the pool, which stays filled.
    pub(crate) fn is_warm(&mut self) {
        self.before = machine::Usage::now();
    }

    /// All cases are over: nothing may be missing, leaked or left behind.
    pub(crate) async fn end(self) {
        let Self { host, calls, seen, before, .. } = self;
        before.is_restored(RECOVERY).await;
        let host = Arc::into_inner(host).expect("no call is under way");
        let records = host.audit();
        assert_eq!(records.len(), calls, "one record for each call");
        for (id, text) in seen {
            assert!(!text.contains(CANARY), "{id} has seen what nobody may see: {text}");
        }
        assert!(!format!("{records:?}").contains(CANARY), "the audit has the canary");
        assert!(!log::everything().contains(CANARY), "the log has the canary");
    }
}
