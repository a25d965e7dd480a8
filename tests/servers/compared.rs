//! The same servers directly and behind Bailiwick, by the same client: no difference but the names.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{are_installed, folder, javascript, node, plugin, python, text};
use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::{Reply, Upstream, program};

/// A PNG of one red pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";
const PAGE: &str = "<html><body><article><h1>A page</h1><p>With enough words to be read by anybody who wants to.</p></article></body></html>";

/// What is compared: how it is had directly, and the plugin.
struct Compared {
    direct: Value,
    plugin: String,
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A server on standard streams with a folder that is its own to write to.
fn at_folder(world: &World, name: &str, command: &[String], env: &[(&str, String)], lines: &str) -> Compared {
    let place = text(world.path(name));
    let env: BTreeMap<&str, &String> = env.iter().map(|(key, value)| (*key, value)).collect();
    let variables: Vec<String> = env.iter().map(|(key, value)| format!("{key} = {value:?}")).collect();
    let lines = format!("fs = [\"{place}:rw\"]\nenv = {{ {} }}\n{lines}", variables.join(", "));
    Compared {
        direct: json!({"kind": name, "command": command, "env": env, "folder": place}),
        plugin: plugin(name, command, &lines),
    }
}

/// Two folders of the same, one for each side.
fn folders(world: World, name: &str) -> World {
    let mut world = world;
    for side in ["", "-direct"] {
        let file = |file: &str| format!("{name}{side}/{file}");
        world = world.file(&file("plan.txt"), "The plan\nis simple.\n").file(&file("pixel.png"), PIXEL);
    }
    world
}

fn git(place: &Path, arguments: &[&str]) {
    let when = "2026-01-02T03:04:05Z";
    let mut command = Command::new("git");
    command.arg("-C").arg(place).args(arguments).env("GIT_AUTHOR_DATE", when).env("GIT_COMMITTER_DATE", when);
    let output = command.output().expect("there is git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Two commits and a change that is none yet.
fn repository(world: &World, name: &str) {
    for side in ["", "-direct"] {
        let place = world.path(&format!("{name}{side}"));
        git(&place, &["init", "--quiet", "--initial-branch", "main"]);
        git(&place, &["config", "user.name", "Ada"]);
        git(&place, &["config", "user.email", "ada@example.com"]);
        git(&place, &["add", "."]);
        git(&place, &["commit", "--quiet", "--message", "The beginning"]);
        std::fs::write(place.join("plan.txt"), "The plan\nis less simple.\n").expect("it can be written");
        git(&place, &["commit", "--quiet", "--all", "--message", "A second thought"]);
        std::fs::write(place.join("plan.txt"), "The plan\nis to wait.\n").expect("it can be written");
    }
}

fn time(world: &World) -> Compared {
    let command = python("time", &[]);
    at_folder(world, "time", &command, &[], "")
}

fn filesystem(world: &World) -> Compared {
    let command = javascript("filesystem", &[&text(world.path("filesystem"))]);
    at_folder(world, "filesystem", &command, &[], "")
}

fn memory(world: &World) -> Compared {
    let file = text(world.path("memory/graph.json"));
    at_folder(world, "memory", &javascript("memory", &[]), &[("MEMORY_FILE_PATH", file)], "")
}

fn repo(world: &World) -> Compared {
    repository(world, "git");
    at_folder(world, "git", &python("git", &[]), &[], "")
}

fn fetch(world: &World, page: &Upstream) -> Compared {
    let command = python("fetch", &["--allow-private-ips"]);
    at_folder(world, "fetch", &command, &[], &format!("net = [\"{}\"]", page.url("")))
}

fn everything(world: &World) -> Compared {
    at_folder(world, "everything", &javascript("everything", &[]), &[], "")
}

/// The same server over HTTP, as a child that ends with this value.
struct OverHttp {
    child: Child,
    port: u16,
}

impl OverHttp {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let command = javascript("everything", &["streamableHttp"]);
        let mut child = Command::new(&command[0]);
        child.args(&command[1..]).env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let served = Self { child: child.spawn().expect("it can be started"), port };
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "it listens");
            std::thread::sleep(Duration::from_millis(50));
        }
        served
    }

    fn compared(&self) -> Compared {
        let url = format!("http://127.0.0.1:{}/mcp", self.port);
        Compared {
            direct: json!({"kind": "everything", "url": url}),
            plugin: format!(
                "[plugins.remote]\nmcp = {{ url = \"{url}\" }}\nnet = [\"GET,POST,DELETE {url}\"]\n\
                 approval = \"never\"\n"
            ),
        }
    }
}

impl Drop for OverHttp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Has all of them both ways and prints what was compared; every difference is a failure.
fn compare(world: &World, servers: &[(&str, Compared)], page: Option<&Upstream>, modes: &[&str]) {
    let direct: BTreeMap<&str, &Value> = servers.iter().map(|(name, server)| (*name, &server.direct)).collect();
    let told = json!({"servers": direct, "page": page.map(|page| page.url("")), "modes": modes});
    std::fs::write(world.path("servers.json"), told.to_string()).expect("a file can be written");
    world.configure(&servers.iter().map(|(_, server)| server.plugin.as_str()).collect::<String>());
    let output = Command::new(clients().join(".venv/bin/python"))
        .arg(clients().join("compare.py"))
        .arg(program::path())
        .arg(world.path("bailiwick.toml"))
        .arg(world.path("servers.json"))
        .current_dir(world.path(""))
        .output()
        .expect("the interpreter can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let same = said.lines().filter(|line| line.starts_with("ok")).count();
    println!("measured: {} servers, {same} comparisons without a difference", servers.len());
    assert!(output.status.success() && same > 0, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn installed() -> bool {
    are_installed(&[
        node(),
        clients().join(".venv/bin/python"),
        folder().join(".venv/bin/python"),
        folder().join("node_modules/.installed"),
    ])
}

async fn page() -> Upstream {
    Upstream::new(|request| match request.target.as_str() {
        "/page" => Reply::ok(PAGE).header("content-type", "text/html"),
        _ => Reply::status(404, "nothing here"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_real_servers_are_had_as_if_directly() {
    if !installed() {
        return;
    }
    let world = folders(folders(World::new(), "time"), "filesystem");
    let servers = [("time", time(&world)), ("filesystem", filesystem(&world))];
    tokio::task::block_in_place(|| compare(&world, &servers, None, &["auto"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_real_servers_at_once_are_had_as_if_directly() {
    if !installed() || !is_slow_wanted("six real servers at once") {
        return;
    }
    let page = page().await;
    for mode in ["legacy", "auto"] {
        let names = ["time", "filesystem", "memory", "git", "fetch", "everything"];
        let world = names.into_iter().fold(World::new(), folders);
        let servers = [
            ("time", time(&world)),
            ("filesystem", filesystem(&world)),
            ("memory", memory(&world)),
            ("git", repo(&world)),
            ("fetch", fetch(&world, &page)),
            ("everything", everything(&world)),
        ];
        tokio::task::block_in_place(|| compare(&world, &servers, Some(&page), &[mode]));
    }
}

/// In a host of its own: a URI that two plugins publish is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_over_http_is_had_as_if_directly() {
    if !installed() {
        return;
    }
    let served = OverHttp::start();
    let servers = [("remote", served.compared())];
    tokio::task::block_in_place(|| compare(&World::new(), &servers, None, &["legacy", "auto"]));
}

/// All its tools are there twice then, and each of a pair is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_real_server_is_had_on_standard_streams_and_over_http_at_once() {
    if !installed() {
        return;
    }
    let served = OverHttp::start();
    let world = folders(World::new(), "everything");
    let text = everything(&world).plugin + &served.compared().plugin;
    tokio::task::block_in_place(|| {
        let mut server = world.serve(&text, &[]);
        for plugin in ["everything", "remote"] {
            assert_eq!(server.call(&format!("{plugin}__echo"), json!({"message": plugin})), format!("Echo: {plugin}"));
        }
        server.end();
    });
}
