//! One case after the other, from every group, on one host: whatever was tried, the host is afterwards what it was before.

use serde_json::{Value, json};

use crate::support::contract::Trial;
use crate::support::host::World;
use crate::support::machine::alone;
use crate::support::{Upstream, told};

/// One thing to try: the case, the plugin, its tool, the arguments, the code it ends with.
type Attempt = (&'static str, &'static str, &'static str, Value, &'static str);

fn config(web: &Upstream) -> String {
    let port = web.port;
    format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data:ro\"]\nnet = [\"http://127.0.0.1:{port}/granted\", \"http://*:{port}\"]\n\
         [plugins.delver]\ncomponent = \"delver.wasm\"\nfs = [\"./data:/data:rw\"]\n\
         [plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits.time = \"300ms\"\nlimits.memory = \"32MiB\"\nlimits.handles = 100\n\
         [plugins.forger]\ncomponent = \"forger.wasm\"\n\
         [plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\n\
         [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{port}\"\nheader = \"X-Token\"\n"
    )
}

fn resources() -> Vec<Attempt> {
    vec![
        ("RES-1", "unruly", "spin", json!({}), "limit.time"),
        ("RES-7", "unruly", "pester", json!({"times": 1_000_000_000}), "limit.time"),
        ("RES-9", "unruly", "hoard", json!({"mebibytes": 4_000}), "limit.memory"),
        ("RES-17", "unruly", "recurse_for_ever", json!({}), "limit.stack"),
        ("RES-26", "unruly", "garble", json!({"structured": "{"}), "plugin.invalid"),
        ("RES-28", "unruly", "leak", json!({"handles": 1_000_000}), "limit.handles"),
        ("RES-32", "unruly", "chatter", json!({"lines": 100, "length": 100}), "ok"),
        ("RES-34", "unruly", "sleep_for_ever", json!({}), "limit.time"),
        ("RES-41", "unruly", "exit", json!({"status": 0}), "plugin.exit"),
        ("RES-39", "unruly", "trap", json!({}), "plugin.trap"),
    ]
}

fn files() -> Vec<Attempt> {
    let read = |path: &str| json!({"path": path});
    let sweep = |operation: &str, path: &str| json!({"directory": "/data", "attempts": [{"operation": operation, "path": path}]});
    vec![
        ("FS-1", "probe", "read", read("/data/../beyond/canary.txt"), "denied.fs.read"),
        ("FS-2", "probe", "read", read("/etc/passwd"), "denied.fs.read"),
        ("FS-3", "probe", "read", read("/data/way-out"), "denied.fs.read"),
        ("FS-13", "probe", "read", read("/data/environ"), "denied.fs.read"),
        ("FS-10", "probe", "write", json!({"path": "/data/a.txt", "text": "x"}), "denied.fs.write"),
        ("FS-4", "delver", "sweep", sweep("list", "beyond/"), "ok"),
        ("FS-4", "delver", "sweep", sweep("read", "beyond/canary.txt"), "ok"),
        ("FS-23", "delver", "sweep", sweep("open-both-ways", "pipe"), "ok"),
        ("FS-19", "delver", "sweep", sweep("resize-huge", "a.txt"), "ok"),
        ("FS-16", "delver", "sweep", sweep("read", "./a.txt"), "ok"),
    ]
}

fn network(port: u16) -> Vec<Attempt> {
    let raw = |authority: &str| json!({"authority": authority.replace("PORT", &port.to_string())});
    vec![
        ("NET-1", "probe", "raw", raw("127.0.0.1:PORT"), "denied.net.addr"),
        ("NET-2", "probe", "raw", raw("2130706433:PORT"), "denied.net.addr"),
        ("NET-7", "probe", "raw", raw("127.1:PORT"), "denied.net.addr"),
        ("NET-26", "probe", "raw", raw("[::ffff:127.0.0.1]:PORT"), "denied.net.addr"),
        ("NET-39", "probe", "raw", raw("inner.example:PORT"), "denied.net.addr"),
        ("NET-41", "probe", "raw", raw("other.example"), "denied.net.port"),
        ("NET-80", "probe", "raw", raw("169.254.169.254:PORT"), "denied.net.addr"),
        ("NET-73", "probe", "socket", json!({}), "ok"),
        (
            "NET-44",
            "probe",
            "raw",
            json!({"authority": format!("127.0.0.1:{port}"), "path": "/granted", "method": "TRACE"}),
            "denied.net.method",
        ),
        ("NET-78", "probe", "raw", json!({"authority": format!("127.0.0.1:{port}"), "path": "/granted"}), "ok"),
    ]
}

fn texts(url: &str) -> Vec<Attempt> {
    let nasty = "a\u{1b}[2J\u{9b}31m\u{202e}b\r\nerror[host.internal]: forged";
    vec![
        ("SEC-2", "gossip", "know", json!({}), "ok"),
        ("SEC-3", "gossip", "tell", json!({"name": "CANARY", "how": "text"}), "plugin.not-configured"),
        ("SEC-4", "gossip", "fetch", json!({"url": url}), "ok"),
        ("SEC-6", "gossip", "fail", json!({"url": url}), "tool.failed"),
        ("AUD-1", "forger", "everywhere", json!({"text": nasty}), "ok"),
        ("AUD-2", "forger", "fail", json!({"text": nasty, "how": "panic"}), "plugin.trap"),
        ("AUD-4", "forger", "pester", json!({"times": 200, "distinct": true}), "ok"),
        ("API-9", "nobody", nasty, json!({}), "tool.unknown"),
    ]
}

#[test]
fn whatever_was_tried_the_host_is_what_it_was() {
    alone("hostile::all::whatever_was_tried_the_host_is_what_it_was", async {
        // It says back all that it was told, the secret among it.
        let web = Upstream::new(|request| crate::support::Reply::ok(format!("{request:?}"))).await;
        let world = World::new()
            .file("data/a.txt", "a")
            .link("../beyond/canary.txt", "data/way-out")
            .link("../beyond", "data/beyond")
            .link("/proc/self/environ", "data/environ")
            .name("inner.example", &["127.0.0.1"])
            .name("other.example", &["8.8.8.8"]);
        let made = std::process::Command::new("mkfifo").arg(world.path("data/pipe")).status().expect("mkfifo is there");
        assert!(made.success());
        let url = web.url("/");
        let attempts: Vec<Attempt> =
            [resources(), files(), network(web.port), texts(&url)].into_iter().flatten().collect();
        let mut trial = Trial::begin(world, &config(&web)).await;
        let listed = trial.host.listed();
        // Twice: the first time fills what stays filled.
        for _ in 0..2 {
            trial.is_warm();
            for (id, plugin, tool, arguments, code) in &attempts {
                let is_alone = listed.iter().any(|known| known == tool) || *plugin == "nobody";
                let name = if is_alone { (*tool).to_owned() } else { format!("{plugin}__{tool}") };
                let outcome = trial.case(id, &name, arguments.clone(), code).await;
                assert!(!told(&outcome).contains("root:x"), "{id}");
            }
        }
        let slowest = trial.harmless.iter().max().copied().unwrap_or_default();
        println!("measured: {} cases twice, the slowest harmless call beside them took {slowest:?}", attempts.len());
        trial.end().await;
    });
}
