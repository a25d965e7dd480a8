//! The second wall from the outside: what is granted works behind it, what it cannot hold is told, and nothing widens it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bailiwick::audit::Archive;
use serde_json::{Value, json};

use crate::support::Upstream;
use crate::support::host::World;
use crate::support::server::Server;

/// Runs something that blocks beside the servers of a test.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

struct Ran {
    exit: i32,
    out: String,
    err: String,
}

fn run(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("it can be started");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Ran { exit: status.code().expect("it was not killed"), out: text(stdout), err: text(stderr) }
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

/// A world with a folder that is granted for reading and one that is granted for writing.
fn folders() -> World {
    World::new().file("in/a.txt", "read me").file("out/b.txt", "change me").folder("out/sub")
}

fn folders_granted(web: &Upstream) -> String {
    let port = web.port;
    format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./in:/in\", \"./out:/out:rw\"]\n\
         net = [\"http://localhost:{port}\", \"http://127.0.0.1:{port}\"]\n"
    )
}

/// Everything a plugin does with what it is granted, and what came of it.
fn everything(server: &mut Server, web_port: u16) -> Vec<String> {
    let mut came = vec![
        server.call("raw", json!({"authority": format!("localhost:{web_port}")})),
        server.call("raw", json!({"authority": format!("127.0.0.1:{web_port}")})),
        server.call("read", json!({"path": "/in/a.txt"})),
        server.call("write", json!({"path": "/in/a.txt", "text": "no"})),
    ];
    let mut file = |operation: &str, path: &str, to: &str| {
        let answer = server.call("file", json!({"directory": "/out", "operation": operation, "path": path, "to": to}));
        came.push(format!("{operation} {path} {to}: {answer}"));
    };
    file("list", ".", "");
    file("create", "c.txt", "");
    file("overwrite", "b.txt", "");
    file("rename", "c.txt", "sub/d.txt");
    file("link", "b.txt", "sub/e.txt");
    file("symlink", "b.txt", "f.txt");
    file("read", "f.txt", "");
    file("touch", "b.txt", "");
    file("truncate", "b.txt", "");
    file("stat", "b.txt", "");
    file("mkdir", "new", "");
    file("rename", "new", "sub/new");
    file("rmdir", "sub/new", "");
    file("unlink", "sub/e.txt", "");
    file("list", "sub", "");
    came
}

#[tokio::test]
async fn what_is_granted_works_behind_the_wall_as_it_does_without() {
    let web = Upstream::hello().await;
    let (text, port) = (folders_granted(&web), web.port);
    let came = aside(move || {
        [&[][..], &["--no-confine"]].map(|options| {
            let world = folders();
            let mut server = world.serve(&text, options);
            let came = everything(&mut server, port);
            (came, server.end())
        })
    })
    .await;
    let [(behind, _), (without, loud)] = came;
    assert_eq!(behind, without);
    assert!(loud.contains("warning[host.no-confine]"), "{loud}");
    let refused: Vec<&String> =
        behind.iter().filter(|answer| answer.contains("denied") || answer.contains("not")).collect();
    assert_eq!(refused.len(), 1, "only the write to what may be read: {behind:#?}");
    assert!(behind[0].starts_with("200") && behind[1].starts_with("200"), "{behind:#?}");
    assert!(behind.contains(&"list sub : d.txt".to_owned()), "{behind:#?}");
}

#[test]
fn a_component_is_compiled_and_kept_behind_the_wall() {
    let world = World::new().own_cache();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    for _ in 0..2 {
        let ran = run(world.program(text, &[], &["call", "counted", "-a", "count=3", "--log", "info"]));
        assert_eq!((ran.exit, ran.out.as_str()), (0, "{\"count\":3}\n"), "{}", ran.err);
    }
    let kept = std::fs::read_dir(world.cache()).expect("the cache was made").count();
    assert_eq!(kept, 1, "one entry, which the second start took");
}

#[test]
fn records_are_kept_behind_the_wall() {
    let world = World::new();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n\
                [audit]\nfile = \"./log/audit.db\"\n";
    let mut server = world.serve(text, &[]);
    for _ in 0..300 {
        assert_eq!(server.call("counted", json!({"count": 1})), "{\"count\":1}");
    }
    let said = server.end();
    let archive = Archive::open(&world.path("log/audit.db")).expect("it can be read").expect("it is there");
    assert_eq!(archive.last().expect("it can be read"), 300, "{said}");
    assert!(!said.contains("cannot be written"), "{said}");
}

#[test]
fn a_result_is_saved_in_the_folder_that_was_named() {
    let world = World::new();
    let text = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\n";
    let ran = run(world.program(text, &[], &["call", "mixed", "-a", "bytes=9", "--out", "saved/here"]));
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let saved = std::fs::read_dir(world.path("saved/here")).expect("the folder was made").count();
    assert_eq!(saved, 1, "{}", ran.out);
}

/// A plugin with a secret that a command prints; the command also leaves a trace where nothing is granted.
fn secret_of_command(web: &Upstream, command: &str) -> String {
    let port = web.port;
    format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\n\
         [plugins.gossip.secrets.TOKEN]\ncommand = [\"sh\", \"-c\", {command:?}]\n\
         origin = \"http://127.0.0.1:{port}\"\nheader = \"Authorization\"\n"
    )
}

#[tokio::test]
async fn commands_of_secrets_run_outside_and_only_those_of_the_start() {
    let web = Upstream::hello().await;
    let printing = secret_of_command(&web, "echo ran >> trace; printf canary-of-a-command");
    let other = secret_of_command(&web, "echo other >> trace; printf canary-of-another");
    let (url, world) = (web.url("/"), World::new());
    let said = aside(move || {
        let mut server = world.serve(&printing, &[]);
        server.call("fetch", json!({"url": url}));
        server.signal("HUP");
        server.reloaded();
        server.call("fetch", json!({"url": url}));
        let trace = || std::fs::read_to_string(world.path("trace")).expect("the command left it");
        assert_eq!(trace(), "ran\nran\n");
        world.configure(&other);
        server.reloaded();
        assert_eq!(trace(), "ran\nran\n");
        server.end()
    })
    .await;
    for request in web.requests() {
        assert_eq!(request.header("authorization"), Some("canary-of-a-command"));
    }
    let told = "the command of the secret `TOKEN` (bailiwick.toml:4) lies outside of what the host was confined to at \
                its start; restart it";
    assert!(said.contains(told), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_reload_takes_what_lies_within_and_refuses_what_lies_beyond() {
    let world = folders().folder("in/sub").file("in/sub/a.txt", "deep");
    // What lies in the configuration's own folder can be read: that folder is read again and again.
    let elsewhere = World::new().file("beside/a.txt", "beside");
    let beside = format!("fs = [\"{}:/in\"]", elsewhere.path("beside").display());
    let with = |lines: &str| format!("[plugins.probe]\ncomponent = \"probe.wasm\"\n{lines}\n");
    let mut server = world.serve(&with("fs = [\"./in:/in\", \"./out:/out:rw\"]\nnet = [\"http://127.0.0.1:9\"]"), &[]);
    world.configure(&with("fs = [\"./in/sub:/in\"]"));
    server.reloaded();
    assert_eq!(server.call("read", json!({"path": "/in/a.txt"})), "deep");
    let beyond = [
        (beside.as_str(), "/beside:/in` in `fs` of `probe` ("),
        ("fs = [\"./in:/in:rw\"]", "`./in:/in:rw` in `fs` of `probe` ("),
        ("net = [\"http://127.0.0.1:10\"]", "`http://127.0.0.1:10` in `net` of `probe` (bailiwick.toml:3)"),
        ("net = [\"http://localhost:9\"]", "`http://localhost:9` in `net` of `probe` (bailiwick.toml:3)"),
    ];
    for (lines, _) in beyond {
        world.configure(&with(lines));
        server.reloaded();
    }
    world.configure(&with("fs = [\"./in:/in\"]"));
    server.reloaded();
    assert_eq!(server.call("read", json!({"path": "/in/a.txt"})), "read me");
    let said = server.end();
    for (lines, told) in beyond {
        assert!(said.contains(told), "{lines}: {told}\n{said}");
    }
    let refusals = said.matches("lies outside of what the host was confined to at its start; restart it").count();
    assert_eq!(refusals, beyond.len(), "{said}");
    let restarted = run(world.program(&with(&beside), &[], &["call", "read", "-a", "path=/in/a.txt"]));
    assert_eq!(restarted.out, "beside\n", "{}", restarted.err);
}

#[test]
fn a_configuration_that_changes_while_the_host_starts_is_read_again() {
    // Compiling takes long enough for the change to come before the host is there.
    let world = folders().own_cache();
    let with = |path: &str| format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"{path}:/in\"]\n");
    let mut server = Server::spawn(world.program(&with("./out"), &[], &["serve", "--stdio", "--log", "info"]));
    server.told("the host is confined");
    world.configure(&with("./in"));
    server.told("the configuration is reloaded");
    server.greet();
    assert_eq!(server.call("read", json!({"path": "/in/a.txt"})), "read me");
    server.end();
}

#[test]
fn a_component_that_is_built_anew_is_loaded_and_a_folder_that_was_replaced_is_not() {
    let (world, elsewhere) = (folders().folder("built"), folders());
    let build = |name: &str| {
        std::fs::copy(world.path(&format!("{name}.wasm")), world.path("built/new")).expect("a file can be copied");
        std::fs::rename(world.path("built/new"), world.path("built/plugin.wasm")).expect("a file can be renamed");
    };
    build("polite");
    let granted = format!("{}:/in", elsewhere.path("in").display());
    let text = format!("[plugins.a]\ncomponent = \"built/plugin.wasm\"\nfs = [{granted:?}]\n");
    let mut server = world.serve(&text, &[]);
    assert_eq!(server.call("counted", json!({"count": 2})), "{\"count\":2}");
    build("probe");
    server.signal("HUP");
    server.reloaded();
    assert_eq!(server.call("read", json!({"path": "/in/a.txt"})), "read me");
    std::fs::rename(elsewhere.path("in"), elsewhere.path("old")).expect("a folder can be renamed");
    std::fs::create_dir(elsewhere.path("in")).expect("a folder can be made");
    server.signal("HUP");
    server.reloaded();
    let said = server.end();
    assert!(said.contains(&format!("`{granted}` in `fs` of `a` (")), "{said}");
    assert!(said.contains("lies outside of what the host was confined to at its start; restart it"), "{said}");
}

#[test]
fn a_configuration_in_a_folder_that_is_not_its_own_is_read_again_only_as_the_file_it_was() {
    let world = folders();
    let text = |name: &str| format!("[plugins.{name}]\ncomponent = \"polite.wasm\"\n");
    let at_home = |arguments: &[&str]| {
        let mut command = world.program(&text("a"), &[], arguments);
        command.env("HOME", world.path(""));
        command
    };
    let checked = run(at_home(&["check"]));
    assert_eq!(checked.exit, 0, "{}", checked.err);
    assert!(checked.err.contains("warning[check.pinned]: the configuration "), "{}", checked.err);
    assert_eq!(run(at_home(&["check", "--strict"])).exit, 1);
    let mut server = Server::start(at_home(&["serve", "--stdio"]));
    let config = world.path("bailiwick.toml");
    let written = std::fs::read_to_string(&config).expect("it was written").replace("plugins.a", "plugins.b");
    std::fs::write(&config, written).expect("a file can be written");
    server.reloaded();
    world.configure(&text("c"));
    server.told("config.unreadable");
    server.told("another file took the place of the one the host was confined to at its start; restart it");
    assert_eq!(server.call("counted", json!({"count": 2})), "{\"count\":2}", "what ran goes on");
    server.end();
}

#[test]
fn a_host_that_is_not_confined_says_so_however_quiet_it_is_to_be() {
    let world = folders();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    for quiet in [&[][..], &["--quiet"], &["--log", "off", "--quiet"]] {
        let arguments = [&["--no-confine"], quiet, &["call", "counted", "-a", "count=1"]].concat();
        let ran = run(world.program(text, &[], &arguments));
        let told = "warning[host.no-confine]: the host is not confined to what is granted: `--no-confine`\n";
        assert_eq!((ran.exit, ran.err.as_str()), (0, told), "{quiet:?}");
    }
    let checked = run(world.program(text, &[], &["check", "--no-confine"]));
    assert!(checked.out.contains("open  the host itself is not confined: `--no-confine`"), "{}", checked.out);
    let as_json = run(world.program(text, &[], &["--json", "check", "--no-confine"]));
    assert_eq!(json_of(&as_json)["wall"], json!({"confined": false}));
}

#[test]
fn check_says_what_the_host_itself_can_reach() {
    let world = folders();
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./out:/out:rw\"]\nnet = [\"https://*.example.com\"]\n\
                [plugins.probe.secrets.KEY]\ncommand = [\"printf\", \"a-value-of-its-own\"]\nreveal = true\n";
    let ran = run(world.program(text, &[], &["--json", "check"]));
    let wall = &json_of(&ran)["wall"];
    if wall["missing"] != json!([]) {
        println!("skip   this kernel lacks {}", wall["missing"]);
        return;
    }
    assert_eq!((&wall["confined"], &wall["systemCalls"]), (&json!(true), &json!(true)));
    assert!(wall["landlock"].as_u64().is_some_and(|version| version >= 6), "{wall}");
    assert_eq!((&wall["ports"], &wall["names"]), (&json!([443]), &json!(["*.example.com"])));
    assert_eq!(wall["outside"], json!([{"command": "printf", "at": "bailiwick.toml:5"}]));
    let granted = json!({
        "path": real(&world.path("out")),
        "reach": "change",
        "what": "`./out:/out:rw` in `fs` of `probe`",
        "at": "bailiwick.toml:3",
    });
    let files = wall["files"].as_array().expect("a list");
    assert!(files.contains(&granted), "{files:#?}");
    let read: Vec<&Value> = files.iter().filter(|file| file["reach"] == "read").map(|file| &file["path"]).collect();
    assert!(!read.contains(&&json!("/")) && !read.contains(&&json!("/etc")), "{read:?}");
    let plain = run(world.program(text, &[], &["check"]));
    assert!(plain.out.contains("ok    the host itself is confined to "), "{}", plain.out);
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().expect("it is there")
}

/// The program as an older kernel would see it: strace answers in its place.
fn on_kernel(world: &World, fault: &str, text: &str, arguments: &[&str]) -> Option<Ran> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skip   an older kernel: there is no `strace`");
        return None;
    }
    let inject = format!("inject={fault}");
    let call = fault.split(':').next().unwrap_or_default();
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    Some(run(world.program(text, &strace, arguments)))
}

/// What `check` says of the wall, and whether the host starts at all where the whole wall is required.
#[track_caller]
fn check_kernel(fault: &str, lacking: &[&str], starts: bool) {
    let world = folders();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let Some(checked) = on_kernel(&world, fault, text, &["--json", "check"]) else { return };
    let report = json_of(&checked);
    assert_eq!((checked.exit, &report["ok"]), (0, &json!(true)), "the host runs: {}", checked.err);
    let words: Vec<&str> = report["wall"]["missing"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|missing| missing["what"].as_str())
        .collect();
    assert_eq!(words, lacking, "{fault}");
    let warnings = report["warnings"].as_array().expect("a list");
    assert_eq!(
        warnings.iter().filter(|warning| warning["code"] == "check.wall").count(),
        lacking.len(),
        "{warnings:?}"
    );
    let plain = on_kernel(&world, fault, text, &["check"]).expect("strace is there");
    let word = if lacking.is_empty() { "ok    " } else { "weak  " };
    assert!(plain.out.contains(&format!("{word}the host itself is confined to ")), "{}", plain.out);
    let call = on_kernel(&world, fault, text, &["call", "counted", "-a", "count=1"]).expect("strace is there");
    assert_eq!((call.exit, call.out.as_str()), (0, "{\"count\":1}\n"), "{}", call.err);
    assert_eq!(call.err.is_empty(), starts, "it is loud where the wall has a hole: {}", call.err);
    let world = folders().host_keys("confine = \"required\"\n");
    let required = on_kernel(&world, fault, text, &["list"]).expect("strace is there");
    assert_eq!((required.exit, required.err.contains("host.confine")), if starts { (0, false) } else { (7, true) });
}

#[test]
fn a_kernel_without_landlock_is_told_and_refused_where_it_is_required() {
    check_kernel("landlock_create_ruleset:error=ENOSYS", &["landlock"], false);
    check_kernel("landlock_create_ruleset:error=EOPNOTSUPP", &["landlock"], false);
}

#[test]
fn an_older_landlock_is_used_for_what_it_has_and_the_rest_is_told() {
    let older = |version: u32| format!("landlock_create_ruleset:retval={version}:when=1");
    check_kernel(&older(1), &["moves", "truncation", "ports", "devices", "signals"], false);
    check_kernel(&older(3), &["ports", "devices", "signals"], false);
    check_kernel(&older(4), &["devices", "signals"], true);
    check_kernel(&older(6), &[], true);
}

#[test]
fn a_kernel_without_filters_of_system_calls_is_told() {
    check_kernel("seccomp:error=ENOSYS", &["system-calls"], false);
}

#[test]
fn a_kernel_that_refuses_what_it_has_ends_the_start() {
    let world = folders();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    for fault in ["landlock_restrict_self:error=EPERM", "landlock_add_rule:error=EINVAL"] {
        let Some(ran) = on_kernel(&world, fault, text, &["list"]) else { return };
        assert_eq!((ran.exit, ran.out.as_str()), (7, ""), "{fault}");
        assert!(ran.err.contains("host.confine") && ran.err.contains("`--no-confine`"), "{}", ran.err);
    }
}

#[test]
fn what_is_required_cannot_be_switched_off() {
    let world = folders().host_keys("confine = \"required\"\n");
    let ran = run(world.program("", &[], &["--no-confine", "list"]));
    assert_eq!((ran.exit, ran.err.contains("`confine = \"required\"`")), (7, true), "{}", ran.err);
    let without = run(world.program("", &[], &["list"]));
    assert_eq!(without.exit, 0, "{}", without.err);
}

/// Runs a broker by hand: its charter, then questions; the answers in order of their ids, and how it ended.
fn broker(lines: &[&str]) -> (Vec<Value>, i32, String) {
    let mut child = Command::new(crate::support::program::path())
        .arg("broker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut input = child.stdin.take().expect("it is piped");
    // One that has heard enough is gone.
    lines.iter().for_each(|line| drop(writeln!(input, "{line}")));
    let answers = lines.iter().filter(|line| line.contains("\"id\":")).count();
    let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut answers: Vec<Value> =
        out.by_ref().take(answers).map(|line| serde_json::from_str(&line).expect("JSON")).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    (answers, output.status.code().expect("it was not killed"), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_broker_does_what_its_charter_says_and_nothing_else() {
    let (answers, exit, said) = broker(&[
        r#"{"names":["localhost"]}"#,
        r#"{"id":1,"ask":{"name":"localhost"}}"#,
        r#"{"id":2,"ask":{"name":"example.com"}}"#,
        r#"{"id":3,"ask":{"command":0}}"#,
    ]);
    assert_eq!(exit, 0, "{said}");
    assert!(answers[0]["answer"]["Ok"]["addresses"].to_string().contains("127.0.0.1"), "{answers:?}");
    assert_eq!(answers[1]["answer"], json!({"Err": "`example.com` is not granted"}));
    assert_eq!(answers[2]["answer"], json!({"Err": "this is not in the charter"}));
    let (answers, exit, said) = broker(&[
        r#"{"commands":[["printf","one"],["false"]]}"#,
        r#"{"id":1,"ask":{"command":0}}"#,
        r#"{"id":2,"ask":{"command":1}}"#,
        r#"{"id":3,"ask":{"command":2}}"#,
        r#"{"id":4,"ask":{"name":"localhost"}}"#,
    ]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(answers[0]["answer"], json!({"Ok": {"output": "b25l"}}));
    assert_eq!(answers[1]["answer"], json!({"Err": "it ended with exit status: 1"}));
    assert_eq!(answers[2]["answer"], json!({"Err": "there is no such command"}));
    assert_eq!(answers[3]["answer"], json!({"Err": "this is not in the charter"}));
}

#[test]
fn a_broker_that_is_asked_nonsense_ends() {
    let long = format!("{{\"id\":1,\"ask\":{{\"name\":{:?}}}}}", "x".repeat(2000));
    for lines in [
        &["no charter"][..],
        &[r#"{"names":["not a pattern"]}"#],
        &[r#"{"commands":[["printf","x"]],"names":["localhost"]}"#],
        &[r#"{"names":["localhost"]}"#, "no question"],
        &[r#"{"names":["localhost"]}"#, &long],
    ] {
        let (answers, exit, said) = broker(lines);
        assert_eq!((answers.len(), exit), (0, 1), "{lines:?}: {said}");
        assert!(said.contains("error[broker.failed]"), "{said}");
    }
    let (_, exit, said) = broker(&[]);
    assert_eq!((exit, said.as_str()), (0, ""), "a host that ended before it said anything");
}

#[tokio::test]
async fn a_host_whose_broker_is_gone_says_so_and_goes_on() {
    let web = Upstream::hello().await;
    let (text, port) = (folders_granted(&web), web.port);
    let said = aside(move || {
        let world = folders();
        let mut server = world.serve(&text, &[]);
        let raw = |name: &str| json!({"authority": format!("{name}:{port}")});
        assert!(server.call("raw", raw("localhost")).starts_with("200"));
        for child in children(server.id()) {
            assert!(Command::new("kill").args(["-s", "KILL", &child]).status().expect("there is `kill`").success());
        }
        let refused = server.call("raw", raw("localhost"));
        assert!(!refused.starts_with("200"), "{refused}");
        assert!(server.call("raw", raw("127.0.0.1")).starts_with("200"));
        assert_eq!(server.call("read", json!({"path": "/in/a.txt"})), "read me");
        server.end()
    })
    .await;
    assert!(said.contains("no name can be looked up") && said.contains("restart the host"), "{said}");
}

/// The processes that a process started.
fn children(process: u32) -> Vec<String> {
    let listed = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    listed.expect("the process runs").split_whitespace().map(str::to_owned).collect()
}

/// A line of `/proc/PROCESS/…/status`.
fn status(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join("status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line.trim_start_matches(':').trim().to_owned()
}

#[tokio::test]
async fn every_thread_is_behind_the_wall_and_nothing_is_dumped() {
    let web = Upstream::hello().await;
    let text = folders_granted(&web);
    aside(move || {
        let world = folders();
        let mut server = world.serve(&text, &[]);
        server.call("read", json!({"path": "/in/a.txt"}));
        let own = PathBuf::from(format!("/proc/{}", server.id()));
        let of_threads: Vec<PathBuf> = std::fs::read_dir(own.join("task"))
            .expect("the process runs")
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        assert!(of_threads.len() > 2, "{of_threads:?}");
        for thread in of_threads {
            assert_eq!((status(&thread, "NoNewPrivs"), status(&thread, "Seccomp")), ("1".to_owned(), "2".to_owned()));
        }
        let brokers = children(server.id());
        assert_eq!(brokers.len(), 1, "one that looks up names");
        for process in [&server.id().to_string(), &brokers[0]] {
            let process = PathBuf::from("/proc").join(process);
            assert_eq!((status(&process, "NoNewPrivs"), status(&process, "Seccomp")), ("1".to_owned(), "2".to_owned()));
            let limits = std::fs::read_to_string(process.join("limits")).expect("the process runs");
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it is there");
            assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
        }
        server.end();
    })
    .await;
}

/// Who owns what a process shows of its memory.
fn owner_of_memory(process: u32) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(format!("/proc/{process}/environ")).expect("the process runs").uid()
}

#[test]
fn other_processes_of_its_user_cannot_look_into_the_host() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let folder = tempfile::Builder::new().prefix("bailiwick-").tempdir().expect("there is a folder for such");
    let is_root = std::fs::metadata("/proc/self").expect("Linux says").uid() == 0;
    let config = folder.path().join("bailiwick.toml");
    std::fs::write(&config, "[host]\nstate = \"./state\"\ncache = \"./cache\"\n").expect("a file can be written");
    if is_root {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).expect("a mode can be set");
    }
    let as_user = |mut command: Command| {
        command.current_dir(folder.path());
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    if as_user(Command::new(crate::support::program::path())).arg("version").output().is_err() {
        println!("skip   another user cannot start the program where it was built");
        return;
    }
    let mut serve = Command::new(crate::support::program::path());
    serve.args(["serve", "--stdio", "--config", "bailiwick.toml"]);
    let server = Server::start(as_user(serve));
    assert_eq!(owner_of_memory(server.id()), 0);
    server.end();
    let mut sleep = as_user(Command::new("sleep")).arg("60").spawn().expect("there is `sleep`");
    assert_eq!(owner_of_memory(sleep.id()) != 0, is_root || owner_of_memory(std::process::id()) != 0);
    sleep.kill().expect("it is ours");
    sleep.wait().expect("it ends");
}
