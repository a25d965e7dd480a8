//! A server that is not there when the host starts, and comes later.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{are_installed, plugin, script, text};
use crate::support::host::World;
use crate::support::server::Server;

/// Longer than the host waits until it asks again.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_server_that_comes_up_late_is_there_without_anybodys_doing() {
    if !are_installed(&["/usr/bin/python3".into()]) {
        return;
    }
    let world = World::new();
    std::fs::create_dir(world.path("place")).expect("a folder can be made");
    let file = world.path("place/server.py");
    let command = ["/usr/bin/python3".to_owned(), text(&file)];
    let config = plugin("late", &command, &format!("fs = [{:?}]", text(world.path("place"))));
    let mut server = world.serve(&config, &[]);
    let n_tools = |server: &mut Server| server.ask("tools/list", &json!({}))["tools"].as_array().map(Vec::len);
    assert_eq!(n_tools(&mut server), Some(0));
    let source = script("repeat.py", &[]).pop().expect("a path");
    std::fs::copy(source, &file).expect("it can be copied");
    let begun = Instant::now();
    while n_tools(&mut server) == Some(0) {
        assert!(begun.elapsed() < PATIENCE, "it is not there");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(server.call("repeat", json!({"token": "late"})), "late");
    server.end();
}
