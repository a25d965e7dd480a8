//! A server that is another one from some moment on, and an operator who says over HTTP that this is meant.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{are_installed, plugin, script, text};
use crate::support::host::World;
use crate::support::served::Served;

/// Longer than it takes until everybody knows of a change.
const PATIENCE: Duration = Duration::from_secs(20);

fn call(served: &Served) -> Value {
    let (_, body) = served.post("/api/v1/tools/repeat/execute", &[], &json!({"parameters": {"token": "again"}})).told();
    body
}

#[test]
fn a_change_is_quarantined_until_who_may_manage_accepts_it() {
    if !are_installed(&["/usr/bin/python3".into()]) {
        return;
    }
    let world = World::new();
    std::fs::create_dir(world.path("place")).expect("a folder can be made");
    let (file, source) = (world.path("place/server.py"), script("repeat.py", &[]).pop().expect("a path"));
    let source = std::fs::read_to_string(source).expect("it is there");
    std::fs::write(&file, &source).expect("a file can be written");
    let gateway = |manage: bool| {
        format!(
            "[gateway]\nanonymous = \"all\"\napi = {{ enable_tool_execute = true }}\n[policies.all]\ntools = [\"*\"]\n\
             execute = true\nmanage = {manage}\n"
        )
    };
    let command = ["/usr/bin/python3".to_owned(), text(&file)];
    let server = plugin("hub", &command, "").replace("mcp = {", "mcp = { lifetime = \"call\",");
    let served = world.serve_http(&format!("{}{server}", gateway(true)));
    assert_eq!(call(&served)["output"], "again");

    std::fs::write(&file, source.replace("Says it again.", "Says it again, and to others.")).expect("it is changed");
    let told = call(&served);
    assert!(told.to_string().contains("denied.quarantined"), "{told}");
    // Changes are told once in a second at most.
    let begun = Instant::now();
    let plugins = loop {
        let (_, plugins) = served.get("/api/v1/plugins", &[]).told();
        if plugins["problems"] != json!([]) || begun.elapsed() > PATIENCE {
            break plugins;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let problem = &plugins["problems"][0];
    assert_eq!(
        (problem["code"].as_str(), problem["partly"].as_bool()),
        (Some("denied.quarantined"), Some(true)),
        "{plugins}"
    );
    assert!(problem["difference"].as_str().expect("a text").contains("Says it again, and to others."), "{plugins}");
    let (code, told) = served.post("/api/v1/plugins/hub/accept", &[], &json!({})).told();
    assert_eq!((code, &told["tools"]), (200, &json!(1)), "{told}");
    assert_eq!(call(&served)["output"], "again");
    let (code, _) = served.post("/api/v1/plugins/no-such/accept", &[], &json!({})).told();
    assert_eq!(code, 404);
    let (code, said, world) = served.end();
    assert_eq!(code, 0, "{said}");

    let served = world.serve_http(&format!("{}{server}", gateway(false)));
    let (code, told) = served.post("/api/v1/plugins/hub/accept", &[], &json!({})).told();
    assert_eq!(code, 403, "{told}");
    assert_eq!(served.get("/api/v1/plugins", &[]).told().0, 403);
}
