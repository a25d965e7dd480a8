//! What real servers cannot do that their operator did not grant, though they were written to do just that.

use serde_json::{Value, json};

use super::{are_installed, folder, javascript, node, plugin, python, text};
use crate::support::host::World;
use crate::support::server::Server;
use crate::support::{Reply, Upstream};

/// Stands where no server may look.
const CANARY: &str = "canary-that-no-server-may-see-4711";

/// All refusals that are on record, as `CODE MESSAGE`.
fn refusals(world: &World) -> Vec<String> {
    let records = world.records();
    let denials = records.iter().flat_map(|record| record["denials"].as_array().cloned().unwrap_or_default());
    let line = |denial: Value| format!("{} {}", denial["code"].as_str().unwrap_or_default(), denial["message"]);
    denials.map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetching_server_fetches_the_page_it_was_granted_and_nothing_else() {
    if !are_installed(&[folder().join(".venv/bin/python")]) {
        return;
    }
    let other = Upstream::new(|_| Reply::ok(CANARY)).await;
    let away = other.url("/away");
    let page = Upstream::new(move |request| match request.target.as_str() {
        "/page" => Reply::ok("the very page"),
        "/redirect" => Reply::redirect(302, &away),
        "/metadata" => Reply::redirect(307, "http://169.254.169.254/latest/meta-data/"),
        _ => Reply::status(404, "nothing here"),
    })
    .await;
    let world = World::new();
    let command = python("fetch", &["--allow-private-ips", "--ignore-robots-txt"]);
    let text = plugin("fetch", &command, &format!("net = [\"{}\"]", page.url("")));
    let port = page.port;
    let refused = [
        (other.url("/"), format!("http://127.0.0.1:{}", other.port)),
        (format!("http://localhost:{port}/page"), format!("http://localhost:{port}")),
        (format!("https://127.0.0.1:{port}/page"), format!("127.0.0.1:{port}")),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "http://169.254.169.254".to_owned()),
        ("http://example.com/".to_owned(), "http://example.com".to_owned()),
        (page.url("/redirect"), format!("http://127.0.0.1:{}/away", other.port)),
        (page.url("/metadata"), "http://169.254.169.254/latest/meta-data/".to_owned()),
    ];
    tokio::task::block_in_place(|| {
        let mut server = world.serve(&text, &[]);
        let granted = server.call("fetch", json!({"url": page.url("/page"), "raw": true}));
        assert!(granted.contains("the very page"), "{granted}");
        // Its client writes this address without brackets, so that nobody can tell what is meant.
        let unreadable = format!("http://[::1]:{port}/page");
        for url in refused.iter().map(|(url, _)| url).chain([&unreadable]) {
            let told = server.call("fetch", json!({"url": url, "raw": true}));
            assert!(!told.contains(CANARY) && !told.contains("the very page"), "{url}: {told}");
        }
        let granted = server.call("fetch", json!({"url": page.url("/page"), "raw": true}));
        assert!(granted.contains("the very page"), "it works as before: {granted}");
        server.end();
    });
    assert_eq!(other.connections(), 0, "nobody came to the other server");
    let on_record = refusals(&world);
    for (url, named) in refused {
        let found = on_record.iter().any(|line| line.starts_with("denied.net.") && line.contains(&named));
        assert!(found, "{url}: `{named}` is in none of {on_record:#?}");
    }
}

/// Without `net` there is no network, whatever the server tries, and not even a proxy to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetching_server_without_a_grant_fetches_nothing() {
    if !are_installed(&[folder().join(".venv/bin/python")]) {
        return;
    }
    let page = Upstream::new(|_| Reply::ok(CANARY)).await;
    let world = World::new();
    let text = plugin("fetch", &python("fetch", &["--allow-private-ips", "--ignore-robots-txt"]), "");
    tokio::task::block_in_place(|| {
        let mut server = world.serve(&text, &[]);
        let told = server.call("fetch", json!({"url": page.url("/page"), "raw": true}));
        assert!(!told.contains(CANARY), "{told}");
        server.end();
    });
    assert_eq!(page.connections(), 0);
}

/// A folder to read, one to write, and what is beside them.
fn rooms() -> World {
    World::new()
        .file("reading/plan.txt", "the plan")
        .file("writing/plan.txt", "the other plan")
        .file("beside/secret.txt", CANARY)
        .link("../beside/secret.txt", "reading/link.txt")
        .link("../beside", "reading/folder")
}

/// The server that works on files, started for the whole machine, with this one grant.
fn files(world: &World, name: &str, access: &str) -> String {
    let grant = format!("fs = [\"{}:{access}\"]", text(world.path(name)));
    plugin(name, &javascript("filesystem", &["/"]), &grant)
}

fn call(server: &mut Server, plugin: &str, tool: &str, arguments: Value) -> String {
    server.call(&format!("{plugin}__{tool}"), arguments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_files_started_at_the_root_stays_in_its_folders() {
    if !are_installed(&[node(), folder().join("node_modules/.installed")]) {
        return;
    }
    let world = rooms();
    let path = |name: &str| text(world.path(name));
    let config = files(&world, "reading", "ro") + &files(&world, "writing", "rw");
    tokio::task::block_in_place(|| {
        let mut command = world.program(&config, &[], &["serve", "--stdio"]);
        command.env("BAILIWICK_CANARY", CANARY);
        let mut server = Server::start(command);
        let host = format!("/proc/{}/environ", server.id());
        let server = &mut server;
        let read = call(server, "reading", "read_text_file", json!({"path": path("reading/plan.txt")}));
        assert_eq!(read, "the plan");
        // Neither what is beside it, by any way that leads there, nor the machine's own.
        let own = path("state/host.key");
        for place in [
            path("beside/secret.txt"),
            path("reading/link.txt"),
            path("reading/folder/secret.txt"),
            path("reading/../beside/secret.txt"),
            path("writing/plan.txt"),
            path("bailiwick.toml"),
            own,
            "/etc/shadow".to_owned(),
            "/etc/sudoers".to_owned(),
        ] {
            let told = call(server, "reading", "read_text_file", json!({"path": place}));
            assert!(told.contains("[tool.failed]"), "{place}: {told}");
            assert!(!told.contains(CANARY) && !told.contains("the other plan"), "{place}: {told}");
        }
        // Other processes are not even there; the first one is its own cage's.
        for place in [host, "/proc/1/environ".to_owned(), "/proc/1/root/etc/shadow".to_owned()] {
            let told = call(server, "reading", "read_text_file", json!({"path": place}));
            assert!(!told.contains(CANARY) && !told.contains("root:"), "{place}: {told}");
        }
        for place in ["/root", "/home", &path("beside")] {
            let told = call(server, "reading", "list_directory", json!({"path": place}));
            assert!(told.contains("[tool.failed]"), "{place}: {told}");
        }
        // Of the folders around it there is nothing but the way to it.
        let told = call(server, "reading", "list_directory", json!({"path": path("")}));
        assert_eq!(told, "[DIR] reading");
        // It may not write where it may read, nor anywhere else.
        for place in
            [path("reading/new.txt"), path("beside/new.txt"), path("writing/new.txt"), "/etc/new.txt".to_owned()]
        {
            let told = call(server, "reading", "write_file", json!({"path": place, "content": "x"}));
            assert!(told.contains("[tool.failed]"), "{place}: {told}");
            assert!(!std::path::Path::new(&place).exists(), "{place} was written");
        }
        let edits = json!([{"oldText": "the plan", "newText": "no plan"}]);
        call(server, "reading", "edit_file", json!({"path": path("reading/plan.txt"), "edits": edits}));
        let moved = json!({"source": path("reading/plan.txt"), "destination": path("reading/moved.txt")});
        call(server, "reading", "move_file", moved);
        call(server, "reading", "create_directory", json!({"path": path("reading/made")}));
    });
    assert_eq!(std::fs::read_to_string(world.path("reading/plan.txt")).expect("it is there"), "the plan");
    assert!(!world.path("reading/made").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_files_with_a_folder_to_write_writes_there() {
    if !are_installed(&[node(), folder().join("node_modules/.installed")]) {
        return;
    }
    let world = rooms();
    let path = |name: &str| text(world.path(name));
    let config = files(&world, "writing", "rw");
    tokio::task::block_in_place(|| {
        let mut server = world.serve(&config, &[]);
        server.call("write_file", json!({"path": path("writing/new.txt"), "content": "written"}));
        let beside = server.call("write_file", json!({"path": path("beside/new.txt"), "content": "written"}));
        assert!(beside.contains("[tool.failed]"), "{beside}");
        let moved = json!({"source": path("writing/plan.txt"), "destination": path("beside/plan.txt")});
        let moved = server.call("move_file", moved);
        assert!(moved.contains("[tool.failed]"), "{moved}");
        server.end();
    });
    assert_eq!(std::fs::read_to_string(world.path("writing/new.txt")).expect("it was written"), "written");
    assert!(!world.path("beside/new.txt").exists() && !world.path("beside/plan.txt").exists());
}

/// `get-env` of the server that shows everything tells its whole environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_environment_is_what_was_written_and_nothing_of_the_hosts() {
    if !are_installed(&[node(), folder().join("node_modules/.installed")]) {
        return;
    }
    let world = World::new().secret("token", "the-value-of-the-token");
    let lines = "env = { GREETING = \"hello\" }\n\
        [plugins.everything.secrets.TOKEN]\nfile = \"token\"\nvariable = \"API_TOKEN\"\n";
    let config = plugin("everything", &javascript("everything", &[]), lines);
    let told = tokio::task::block_in_place(|| {
        let mut command = world.program(&config, &[], &["serve", "--stdio"]);
        command.env("BAILIWICK_CANARY", CANARY).env("AWS_SECRET_ACCESS_KEY", CANARY);
        let mut server = Server::start(command);
        let told = server.call("get-env", json!({}));
        server.end();
        told
    });
    let environment: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    let names: Vec<&str> = environment.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(environment["GREETING"], "hello");
    assert!(names.contains(&"API_TOKEN"), "{names:?}");
    assert!(!told.contains("the-value-of-the-token"), "the value is redacted in what comes back: {told}");
    assert!(!told.contains(CANARY), "{told}");
    let expected = ["API_TOKEN", "GREETING", "HOME", "LANG", "PATH", "TMPDIR"];
    let strangers: Vec<&&str> = names.iter().filter(|name| !expected.contains(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}
