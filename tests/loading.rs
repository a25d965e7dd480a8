//! What can be wrong with a component, and that only its own plugin is left out for it; compiled code that was tampered
//! with; a configuration that is read anew.

use std::path::{Path, PathBuf};

use bailiwick::channel::{Answer, Channel, Question};
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::host::World;
use crate::support::{TestHost, Upstream, log, told};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

/// The plugin is left out with this sentence, and the others run.
async fn left_out(bytes: impl AsRef<[u8]>, expected: &str) {
    let text = format!("[plugins.odd]\ncomponent = \"odd.wasm\"\n{POLITE}");
    let host = World::new().file("odd.wasm", bytes).try_start(&text).await.expect("the host starts");
    assert_eq!(host.problems(), [format!("plugin `odd` (bailiwick.toml:1) is left out: {expected}")]);
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x", "the others run");
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the component is well-formed")
}

#[tokio::test]
async fn what_is_no_wasm_is_told_so() {
    for bytes in [&b""[..], b"junk", b"\0asn\x0d\0\x01\0", b"#!/bin/sh\n"] {
        left_out(bytes, "it is not a WebAssembly component: it does not start with the WebAssembly magic number").await;
    }
}

#[tokio::test]
async fn a_core_module_is_told_so() {
    left_out(
        wat("(module (func (export \"run\")))"),
        "it is not a WebAssembly component: it is a core module; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
    )
    .await;
}

#[tokio::test]
async fn a_component_without_anything_to_call_is_told_so() {
    left_out(
        wat("(component)"),
        "it exports neither `bailiwick:tool/tool@0.1.0` nor a function that can be a tool; build it with bailiwick-sdk, \
         against wit/tool.wit, or with functions of its own (see wit/README.md)",
    )
    .await;
}

#[tokio::test]
async fn a_component_for_another_contract_is_told_so() {
    left_out(
        wat("(component (instance $i) (export \"bailiwick:tool/tool@9.1.0\" (instance $i)))"),
        "it exports `bailiwick:tool/tool@9.1.0`, which this host does not speak (bailiwick:tool/tool@0.1.0); \
         use a newer bailiwick, or rebuild the plugin with an older SDK",
    )
    .await;
}

#[tokio::test]
async fn a_component_that_wants_what_there_is_not_is_told_so() {
    left_out(
        wat("(component \
               (import \"evil:power/unlimited@1.0.0\" (instance (export \"f\" (func)))) \
               (import \"wasi:http/incoming-handler@0.2.0\" (instance (export \"f\" (func)))) \
               (import \"bailiwick:host/process@0.1.0\" (instance (export \"f\" (func)))) \
               (instance $i) (export \"bailiwick:tool/tool@0.1.0\" (instance $i)))"),
        "it imports `evil:power/unlimited@1.0.0`, `wasi:http/incoming-handler@0.2.0`, `bailiwick:host/process@0.1.0`, \
         which this host does not offer; see wit/README.md for what it does",
    )
    .await;
}

#[tokio::test]
async fn a_component_that_lies_about_its_types_is_left_out() {
    let text = format!("[plugins.odd]\ncomponent = \"odd.wasm\"\n{POLITE}");
    let lies = wat("(component (instance $i) (export \"bailiwick:tool/tool@0.1.0\" (instance $i)))");
    let host = World::new().file("odd.wasm", lies).try_start(&text).await.expect("the host starts");
    assert!(
        host.problems()[0]
            .starts_with("plugin `odd` (bailiwick.toml:1) is left out: it does not fit the contract it names: "),
        "{:?}",
        host.problems()
    );
}

#[tokio::test]
async fn every_cut_of_a_component_is_refused() {
    let component = crate::GUESTS
        .iter()
        .find(|(name, _)| *name == "hidden")
        .map(|(_, path)| std::fs::read(path).expect("it was built"))
        .expect("a guest");
    for part in [8, 9, 100, component.len() / 3, component.len() / 2, component.len() - 1] {
        let text = format!("[plugins.odd]\ncomponent = \"odd.wasm\"\n{POLITE}");
        let host = World::new().file("odd.wasm", &component[..part]).try_start(&text).await.expect("the host starts");
        assert_eq!(host.problems().len(), 1, "{part} bytes: {:?}", host.problems());
    }
}

#[tokio::test]
async fn features_that_are_off_are_refused() {
    for (what, text) in [
        ("64-bit memory", "(component (core module (memory i64 1)))"),
        ("shared memory", "(component (core module (memory 1 1 shared)))"),
    ] {
        let config = format!("[plugins.odd]\ncomponent = \"odd.wasm\"\n{POLITE}");
        let host = World::new().file("odd.wasm", wat(text)).try_start(&config).await.expect("the host starts");
        assert!(
            host.problems()[0].contains(", which this host does not offer; build it without"),
            "{what}: {:?}",
            host.problems()
        );
    }
}

#[tokio::test]
async fn a_description_that_hides_something_leaves_its_plugin_out() {
    let text = format!("[plugins.hidden]\ncomponent = \"hidden.wasm\"\n{POLITE}");
    let host = World::new().try_start(&text).await.expect("the host starts");
    assert_eq!(
        host.problems(),
        ["plugin `hidden` (bailiwick.toml:1) is left out: tool `harmless`: the description hides a character (U+202E)"]
    );
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
}

#[tokio::test]
async fn what_the_configuration_names_has_to_be_there() {
    for (lines, expected) in [
        ("component = \"nowhere.wasm\"", "cannot read HERE/nowhere.wasm: No such file or directory (os error 2)"),
        (
            "component = \"polite.wasm\"\nfs = [\"./nowhere\"]",
            "the directory HERE/nowhere of its `fs` cannot be opened: No such file or directory (os error 2)",
        ),
        (
            "component = \"polite.wasm\"\nfs = [\"./file\"]",
            "the directory HERE/file of its `fs` cannot be opened: not a directory",
        ),
        (
            "component = \"hidden.wasm\"\n[plugins.odd.tools.nothing]\nallow = true",
            "tool `harmless`: the description hides a character (U+202E)",
        ),
        (
            "component = \"bench.wasm\"\n[plugins.odd.tools.nothing]\nallow = true",
            "the configuration names `nothing`, which is not a tool of this plugin; it has `bill`",
        ),
        (
            "component = \"bench.wasm\"\nalias = { other = \"nothing\" }",
            "the configuration names `nothing`, which is not a tool of this plugin; it has `bill`",
        ),
        (
            "component = \"builtin:nothing\"",
            "there is no `builtin:nothing`; there are `builtin:datetime`, `builtin:files`, `builtin:http`, `builtin:memory`, \
             `builtin:shell`, `builtin:std`, `builtin:web-answers`, `builtin:web-fetch`, `builtin:web-search`, \
             `builtin:code-executor`, `builtin:code-mode`, `builtin:std-run-code`",
        ),
    ] {
        let world = World::new().file("file", "");
        let here = world.path("").display().to_string().trim_end_matches('/').to_owned();
        let host = world.try_start(&format!("[plugins.odd]\n{lines}\n{POLITE}")).await.expect("the host starts");
        let problems: Vec<String> = host.problems().iter().map(|problem| problem.replace(&here, "HERE")).collect();
        assert_eq!(problems, [format!("plugin `odd` (bailiwick.toml:1) is left out: {expected}")]);
        assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
    }
}

/// The compiled code in a world's own cache.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(cache).expect("there is a cache").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

const BENCH: &str = "[plugins.bench]\ncomponent = \"bench.wasm\"\n";

/// A world like the one of `host`, whose compiled code is `code`.
async fn on_code(code: &[u8], name: &str) -> TestHost {
    World::new().own_cache().file(&format!("cache/{name}"), code).private("cache").start(BENCH).await
}

/// Compiled code of `bench` and the name of its entry.
async fn compiled() -> (Vec<u8>, String) {
    let host = World::new().own_cache().start(BENCH).await;
    let entries = entries(&host.world.path("cache"));
    assert_eq!(entries.len(), 1, "{entries:?}");
    let name = entries[0].file_name().expect("a name").to_string_lossy().into_owned();
    (std::fs::read(&entries[0]).expect("it can be read"), name)
}

async fn works(host: &TestHost) {
    let bill = host.value("bill", json!({"title": "t", "items": [{"name": "n", "price": 1.5, "count": 2}]})).await;
    assert_eq!(bill, json!({"title": "t", "lines": [{"name": "n", "total": 3.0}]}));
}

#[tokio::test]
async fn compiled_code_with_one_bit_changed_is_compiled_anew_and_never_run() {
    let (code, name) = compiled().await;
    let flips = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 300 } else { 8 };
    for number in 0..flips {
        // Spread over the whole: the seal, the headers, the machine code, the data.
        let (byte, bit) = (code.len() * number / flips + number % 7, number % 8);
        let mut flipped = code.clone();
        flipped[byte] ^= 1 << bit;
        let host = on_code(&flipped, &name).await;
        works(&host).await;
        let entry = host.world.path("cache").join(&name);
        assert_eq!(log::lines_with(&entry.display().to_string()).len(), 1, "bit {bit} of byte {byte} was noticed");
        assert_ne!(std::fs::read(&entry).expect("it is there"), flipped, "and what was wrong is gone");
    }
}

#[tokio::test]
async fn compiled_code_that_is_right_is_used() {
    let (code, name) = compiled().await;
    let host = on_code(&code, &name).await;
    works(&host).await;
    let entry = host.world.path("cache").join(&name);
    assert_eq!(log::lines_with(&entry.display().to_string()), Vec::<String>::new());
    assert_eq!(std::fs::read(&entry).expect("it is there"), code, "it was not written again");
}

#[tokio::test]
async fn compiled_code_of_another_component_is_refused() {
    let (_, name) = compiled().await;
    let other = World::new().own_cache().start(POLITE).await;
    let foreign = std::fs::read(&entries(&other.world.path("cache"))[0]).expect("it can be read");
    let host = on_code(&foreign, &name).await;
    works(&host).await;
    assert_eq!(log::lines_with(&host.world.path("cache").join(&name).display().to_string()).len(), 1);
}

#[tokio::test]
async fn compiled_code_of_another_key_or_cut_short_is_refused() {
    let (code, name) = compiled().await;
    let mut another_seal = code.clone();
    another_seal[..32].fill(0);
    for wrong in [another_seal, code[..code.len() - 1].to_vec(), code[..40].to_vec(), code[..32].to_vec()] {
        let host = on_code(&wrong, &name).await;
        works(&host).await;
        assert_eq!(log::lines_with(&host.world.path("cache").join(&name).display().to_string()).len(), 1);
    }
    // Too short for a seal, or no file at all: as if there were none.
    works(&on_code(b"", &name).await).await;
}

#[tokio::test]
async fn a_cache_that_others_may_write_to_is_not_used() {
    let world = World::new().own_cache().folder("cache");
    let cache = world.path("cache");
    std::fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("a mode can be set");
    let error = world.try_start(BENCH).await.err().expect("it does not start").to_string();
    let cache = cache.display();
    assert_eq!(error, format!("cannot use {cache}: others may write to {cache}; run `chmod go-w` on it"));
}

#[tokio::test]
async fn a_key_that_others_may_read_is_not_used() {
    let world = World::new();
    let key = world.path("state/host.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode can be set");
    let error = world.try_start(BENCH).await.err().expect("it does not start").to_string();
    let key = key.display();
    assert_eq!(error, format!("cannot use {key}: others may read {key}; run `chmod 600` on it or remove it"));
}

#[tokio::test]
async fn calls_under_way_keep_their_rights_when_the_configuration_changes() {
    let web = Upstream::hello().await;
    let with =
        format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://127.0.0.1:{}\"]\n{POLITE}", web.port);
    let without = "[plugins.probe]\ncomponent = \"probe.wasm\"\n";
    let (questions, mut received) = mpsc::channel::<Question>(1);
    let host = TestHost::new(&with).await.channel(Channel { questions: Some(questions), ..Channel::default() });
    let mut changes = host.host.watch();
    let asked = json!({"url": web.url("/")});
    let under_way = host.call("get_after_question", asked.clone());
    let meanwhile = async {
        let question = received.recv().await.expect("it asks");
        host.reload(without).await;
        assert!(changes.has_changed().expect("the host is there"));
        changes.mark_unchanged();
        assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "tool.unknown", "the other plugin is gone");
        assert_eq!(host.call("get", asked.clone()).await.code(), "denied.net.host", "a new call has the new rights");
        drop(question.reply.send(Answer::Declined));
    };
    let (outcome, ()) = tokio::join!(under_way, meanwhile);
    assert_eq!(told(&outcome), "ok: hello");
    host.reload(&with).await;
    assert!(changes.has_changed().expect("the host is there"));
    assert_eq!(host.value("get", asked).await["body"], "hello", "and back");
    assert!(host.listed().contains(&"echo".to_owned()));
}

#[tokio::test]
async fn a_reload_takes_a_component_that_changed() {
    let world = World::new();
    let component = world.path("changing.wasm");
    let guest =
        |name: &str| crate::GUESTS.iter().find(|(known, _)| *known == name).map(|(_, path)| *path).expect("a guest");
    std::fs::copy(guest("polite"), &component).expect("it can be copied");
    let text = "[plugins.changing]\ncomponent = \"changing.wasm\"\n";
    let host = world.start(text).await;
    assert!(host.listed().contains(&"echo".to_owned()));
    std::fs::copy(guest("bench"), &component).expect("it can be copied");
    assert!(host.listed().contains(&"echo".to_owned()), "until it is read anew, what was loaded is what runs");
    host.reload(text).await;
    assert_eq!(host.listed(), ["bill"]);
    let audit = {
        works(&host).await;
        host.audit()
    };
    assert_eq!(audit.len(), 1);
}

#[tokio::test]
async fn a_grant_that_leads_to_the_hosts_own_files_keeps_its_plugin_from_loading() {
    let text = format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data/LINK:/seen\"]\n{POLITE}");
    let world = || {
        World::new().folder("elsewhere").folder("data").link("../state", "data/own").link("../elsewhere", "data/fine")
    };

    let refused = world().try_start(&text.replace("LINK", "own")).await.expect("the host starts");
    let [problem] = &refused.problems()[..] else { panic!("one plugin is left out, not {:?}", refused.problems()) };
    assert!(problem.contains("its `fs` grant `./data/own:/seen` reaches"), "{problem}");
    assert_eq!(refused.value("echo", json!({"name": "x"})).await["name"], "x", "the others run");

    let granted = world().start(&text.replace("LINK", "fine")).await;
    assert_eq!(granted.told("list", json!({"path": "/seen"})).await, "ok: ");
}
