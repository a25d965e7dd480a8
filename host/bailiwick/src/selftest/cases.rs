//! What is tried, and what has to come of it.

use serde_json::{Value, json};

use super::world::World;

/// One thing a hostile tool tries.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) tried: &'static str,
    /// Whether the plugin that tries it has the right to.
    pub(super) granted: bool,
    /// Which of the three plugins of [`World`] tries it.
    plugin: &'static str,
    tool: &'static str,
    pub(super) arguments: Value,
    pub(super) expected: Expected,
}

/// What has to come of a case.
#[derive(Debug)]
pub(super) enum Expected {
    /// No result, with this code.
    Code(&'static str),
    /// A result that begins with this text.
    Text(String),
}

impl Expected {
    pub(super) fn is_met(&self, happened: &str) -> bool {
        match self {
            Self::Code(code) => happened.strip_prefix(code).is_some_and(|rest| rest.starts_with(": ")),
            Self::Text(text) => happened.strip_prefix("ok: ").is_some_and(|rest| rest.starts_with(text.as_str())),
        }
    }
}

impl Case {
    /// The tool's name as callers write it.
    pub(super) fn tool(&self) -> String {
        format!("{}__{}", self.plugin, self.tool)
    }
}

/// A case that has to end with this code, whoever may what.
fn ends(name: &'static str, tried: &'static str, tool: &'static str, arguments: Value, code: &'static str) -> Case {
    Case { name, tried, granted: false, plugin: "bare", tool, arguments, expected: Expected::Code(code) }
}

impl Case {
    /// The same tried by another plugin.
    fn by(self, plugin: &'static str) -> Self {
        Self { plugin, ..self }
    }

    /// The same within the rights and limits of the plugin that has them all.
    fn twin(&self, arguments: Value, text: impl Into<String>) -> Self {
        let (name, tried, tool) = (self.name, self.tried, self.tool);
        Self { name, tried, granted: true, plugin: "granted", tool, arguments, expected: Expected::Text(text.into()) }
    }
}

/// A case that has to give a result, though nothing is granted.
fn gives(name: &'static str, tried: &'static str, tool: &'static str, arguments: Value, text: &str) -> Case {
    Case { name, tried, granted: false, plugin: "bare", tool, arguments, expected: Expected::Text(text.to_owned()) }
}

/// All cases, in order.
pub(super) fn all(world: &World) -> Vec<Case> {
    let mut cases = resources();
    cases.extend(surroundings());
    cases.extend(files(world));
    cases.extend(network(world));
    cases.extend(secrets(world));
    cases
}

fn resources() -> Vec<Case> {
    let memory = ends("memory.bomb", "take 4 GiB of memory", "hoard", json!({"mebibytes": 4_000}), "limit.memory");
    let stack = ends("stack.dive", "recurse without end", "dive", json!({"depth": u64::MAX / 8}), "limit.stack");
    let handles =
        ends("handles.leak", "open a million handles", "leak", json!({"handles": 1_000_000}), "limit.handles");
    let output = ends("output.flood", "answer with 20 MiB", "flood", json!({"bytes": 20 << 20}), "limit.output");
    vec![
        ends("time.loop", "loop without end", "spin", json!({}), "limit.time"),
        ends("time.calls", "call the host without end", "pester", json!({}), "limit.time"),
        ends("time.sleep", "sleep without end", "sleep", json!({}), "limit.time"),
        memory.twin(json!({"mebibytes": 8}), "8 MiB"),
        memory,
        stack.twin(json!({"depth": 1_000}), ""),
        stack,
        handles.twin(json!({"handles": 10}), "10 leaked"),
        handles,
        output.twin(json!({"bytes": 1_000}), "xxx"),
        output,
        gives("log.flood", "write 20,000 lines to standard output", "chatter", json!({"lines": 20_000}), "done"),
        ends(
            "random.flood",
            "ask for all the random bytes there are",
            "dice",
            json!({"bytes": u64::MAX}),
            "plugin.trap",
        ),
        ends("end.trap", "crash", "trap", json!({}), "plugin.trap"),
        ends("end.exit", "end the program", "exit", json!({}), "plugin.exit"),
    ]
}

fn surroundings() -> Vec<Case> {
    let nothing = r#"{"environment":[],"arguments":[],"config":0,"directories":[],"secrets":[]}"#;
    let look = gives("env.read", "read the environment", "look", json!({}), nothing);
    let granted = r#"{"environment":["SELFTEST=granted"],"#;
    vec![
        look.twin(json!({}), granted),
        look,
        gives("memory.litter", "leave something in memory", "litter", json!({}), "left").by("granted"),
        gives("memory.search", "find what another call left in memory", "search", json!({}), "0 found"),
    ]
}

fn files(world: &World) -> Vec<Case> {
    let outside = world.path("outside/secret.txt");
    let read =
        |name, tried, path: &str| ends(name, tried, "read", json!({"path": path}), "denied.fs.read").by("partly");
    let absolute = read("fs.absolute", "read a file by its whole path", &outside);
    let write = ends(
        "fs.write",
        "write where only reading is granted",
        "write",
        json!({"path": "/inside/new.txt"}),
        "denied.fs.write",
    );
    let link = json!({"directory": "/inside", "target": "../outside", "name": "way", "file": "secret.txt"});
    let back = json!({"directory": "/inside", "target": "folder", "name": "short", "file": "deep.txt"});
    let follow = ends("fs.link", "make a link that leads out and follow it", "follow", link, "denied.fs.read");
    vec![
        absolute.twin(json!({"path": "/outside/secret.txt"}), "[secret MARK]"),
        absolute,
        read("fs.up", "read through `..`", "/inside/../outside/secret.txt"),
        read("fs.way-out", "read through a link that leads out", "/inside/way-out"),
        read("fs.process", "read the host's own environment", "/proc/self/environ"),
        ends("fs.pipe", "open a pipe nobody writes to", "read", json!({"path": "/inside/pipe"}), "tool.failed")
            .by("partly"),
        write.twin(json!({"path": "/inside/new.txt"}), "written"),
        write.by("partly"),
        follow.twin(back, "deep"),
        follow.by("granted"),
    ]
}

fn network(world: &World) -> Vec<Case> {
    let (door, inner) = (world.door.port, world.inner.port);
    let get = |name, tried, url: String, code| ends(name, tried, "fetch", json!({"url": url}), code);
    let raw = |name, tried, authority: String| {
        ends(name, tried, "fetch_raw", json!({"authority": authority}), "denied.net.addr").by("partly")
    };
    let loopback =
        get("net.host", "call a server nobody granted", format!("http://127.0.0.1:{inner}/"), "denied.net.host");
    let redirect = get(
        "net.redirect",
        "follow a redirect to this machine",
        format!("http://127.0.0.1:{door}/redirect"),
        "denied.net.addr",
    );
    let name = get(
        "net.name",
        "call a name that leads to this machine",
        format!("http://inner.selftest:{inner}/"),
        "denied.net.addr",
    );
    vec![
        loopback.twin(loopback.arguments.clone(), "hello"),
        loopback,
        raw("net.wildcard", "call this machine under a wildcard", format!("127.0.0.1:{inner}")),
        raw("net.decimal", "call it as 2130706433", format!("2130706433:{inner}")),
        raw("net.short", "call it as 127.1", format!("127.1:{inner}")),
        raw("net.mapped", "call it as ::ffff:127.0.0.1", format!("[::ffff:127.0.0.1]:{inner}")),
        raw("net.metadata", "call a cloud's metadata service", "169.254.169.254".to_owned()),
        name.twin(name.arguments.clone(), "hello"),
        name.by("partly"),
        redirect.twin(redirect.arguments.clone(), "hello"),
        redirect.by("partly"),
        gives(
            "net.socket",
            "open a raw socket",
            "socket",
            json!({}),
            "look-up: permanent-resolver-failure, connect: access-denied",
        ),
    ]
}

fn secrets(world: &World) -> Vec<Case> {
    let reveal = ends("secret.reveal", "ask for a secret's value", "reveal", json!({"name": "TOKEN"}), "denied.secret");
    let length = format!("{} bytes: [secret TOKEN]", world.canary.len());
    let echo = json!({"url": format!("http://127.0.0.1:{}/echo", world.door.port)});
    let echoed = format!("x-token: {}", "*".repeat(world.canary.len()));
    let unknown = ends(
        "secret.unknown",
        "ask for a secret of another plugin",
        "reveal",
        json!({"name": "TOKEN"}),
        "denied.secret",
    );
    vec![
        unknown,
        reveal.twin(json!({"name": "TOKEN"}), length),
        reveal.by("partly"),
        gives("secret.echo", "have a secret sent and echoed", "fetch", echo, &echoed).by("partly"),
    ]
}
