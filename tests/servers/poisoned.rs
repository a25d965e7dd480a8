//! The seven poisoned servers of `mcp-tool-auditor generate`, as they are reviewed and as they are when the rug is
//! pulled.

use std::process::Command;

use serde_json::{Value, json};

use super::{are_installed, folder, plugin, script, text};
use crate::support::host::World;
use crate::support::program::Run;

/// Each server and the tool of it that is poisoned; two more of each are as they were.
const SERVERS: [(&str, &str); 7] = [
    ("atpa_error_based", "calculator"),
    ("description_injection", "get_compliance_status"),
    ("full_schema_poisoning", "data_processor"),
    ("rug_pull_prep", "weather_service"),
    ("sti_chatml_injection", "summarize_document"),
    ("sti_deepseek_homoglyph", "translate_text"),
    ("tool_shadowing", "read_file"),
];

/// A world with the seven, if what makes them is installed.
fn generated() -> Option<World> {
    let maker = folder().join("auditor/.venv/bin/mcp-tool-auditor");
    if !are_installed(std::slice::from_ref(&maker)) {
        return None;
    }
    let world = World::new();
    let mut command = Command::new(maker);
    command.args(["--no-log-file", "--no-metrics", "generate", "all", "--output-dir"]).arg(world.path("poisoned"));
    let output = command.current_dir(world.path("")).env("HOME", world.path("")).output().expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(world)
}

/// One of them; it is harmless until there is a file `pulled` beside it.
fn server(world: &World, kind: &str, waits: bool) -> String {
    let file = text(world.path(&format!("poisoned/server_{kind}.py")));
    let flag = text(world.path("poisoned/pulled"));
    let arguments = if waits { vec![file.as_str(), flag.as_str()] } else { vec![file.as_str()] };
    plugin("poisoned", &script("poisoned.py", &arguments), "")
}

fn json_of(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err))
}

/// The names that are listed.
fn listed(run: &Run) -> Vec<String> {
    let list = json_of(run);
    let tools = list["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

/// Arguments that every one of the poisoned tools takes.
fn arguments(tool: &str) -> String {
    match tool {
        "calculator" => json!({"a": 1, "b": 2}),
        "data_processor" => json!({"data": "x"}),
        _ => json!({}),
    }
    .to_string()
}

#[test]
fn what_was_pinned_while_it_was_harmless_is_quarantined_when_it_is_not() {
    for (kind, tool) in SERVERS {
        let Some(world) = generated() else { return };
        let config = server(&world, kind, true);
        let locked = world.run(&config, &["lock"], "");
        assert_eq!(locked.exit, 0, "{kind}: {}", locked.err);
        let call = ["--json", "call", tool, &arguments(tool)];
        let run = world.run(&config, &call, "");
        assert_eq!(run.exit, 0, "{kind}: {}{}", run.out, run.err);
        assert_eq!(listed(&world.run(&config, &["--json", "list"], "")).len(), 3, "{kind}");

        std::fs::write(world.path("poisoned/pulled"), "").expect("a file can be written");
        let run = world.run(&config, &call, "");
        assert_eq!((run.exit, &json_of(&run)["code"]), (4, &json!("denied.quarantined")), "{kind}: {}", run.out);
        let run = world.run(&config, &["--json", "list"], "");
        assert!(!listed(&run).contains(&tool.to_owned()), "{kind}: {}", run.out);
        assert!(run.out.contains("denied.quarantined"), "{kind}: {}", run.out);
        // What did not change is still there.
        let run = world.run(&config, &["call", "health_check"], "");
        assert_eq!((run.exit, run.out.as_str()), (0, "OK\n"), "{kind}: {}", run.err);
        // The operator is shown what changed, and says so when it is wanted.
        let run = world.run(&config, &["check"], "");
        assert!(run.exit == 1 && run.err.contains(tool), "{kind}: {}", run.err);
        let run = world.run(&config, &["lock", "--accept", "poisoned"], "");
        assert_eq!(run.exit, 0, "{kind}: {}", run.err);
        let run = world.run(&config, &call, "");
        assert_eq!(run.exit, 0, "{kind}: {}{}", run.out, run.err);
    }
}

/// Nobody is told what a name hides: a tool that calls itself as another plugin's is called after its own plugin.
#[test]
fn a_tool_that_shadows_anothers_name_does_not_get_it() {
    let Some(world) = generated() else { return };
    let world = world.file("notes/plan.txt", "the plan");
    let own = "[plugins.files]\ncomponent = \"builtin:files\"\nfs = [\"./notes\"]\nalias = { read_file = \"read\" }\n";
    let config = format!("{own}{}", server(&world, "tool_shadowing", false));
    let names = listed(&world.run(&config, &["--json", "list"], ""));
    assert!(names.contains(&"poisoned__read_file".to_owned()), "{names:?}");
    let run = world.run(&config, &["call", "read_file", "-a", "filePath=plan.txt"], "");
    assert!(run.exit == 0 && run.out.contains("the plan"), "{}{}", run.out, run.err);
}

/// What a poisoned tool asks a model to do needs another tool: its own calls reach no file and nobody's secrets.
#[test]
fn a_poisoned_tool_gives_what_it_says_and_has_nothing_to_take() {
    for (kind, tool) in SERVERS {
        let Some(world) = generated() else { return };
        let config = server(&world, kind, false);
        let run = world.run(&config, &["--json", "call", tool, &arguments(tool)], "");
        assert_eq!(run.exit, 0, "{kind}: {}{}", run.out, run.err);
        let shown = world.run(&config, &["--json", "show", tool], "");
        let grants = &json_of(&shown)["grants"];
        let empty = |key: &str| grants[key].as_array().is_none_or(Vec::is_empty);
        assert!(["net", "fs", "secrets", "env"].into_iter().all(empty), "{kind}: {grants}");
        let run = world.run(&config, &["list"], "");
        let hidden = |character: char| bailiwick_core::redact::is_invisible(character);
        assert!(!run.out.contains(hidden), "{kind}: {:?}", run.out);
    }
}
