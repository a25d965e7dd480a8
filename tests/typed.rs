//! Components that know nothing of our contract: what they export is listed and called, and what cannot be is told so.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, Upstream, log, remedy, told};

const TYPED: &str = "[plugins.typed]\ncomponent = \"typed.wasm\"\n";
const KINDS: &str = "guests_typed_kinds_";

async fn typed() -> TestHost {
    TestHost::new(TYPED).await
}

/// A component of these functions: `FUNC` is the type of each as WAT. None of them does anything.
fn component(definitions: &str) -> Vec<u8> {
    let text = format!(
        "(component
           (core module $m
             (memory (export \"memory\") 1)
             (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) i32.const 64)
             (func (export \"nothing\"))
             (func (export \"seven\") (result i32) i32.const 7)
             (func (export \"take\") (param i32))
             (func (export \"take-two\") (param i32 i32)))
           (core instance $i (instantiate $m))
           {definitions})"
    );
    wat::parse_str(text).expect("the component is well-formed")
}

/// What keeps a component of these functions from being a plugin.
async fn left_out(definitions: &str) -> String {
    let host = World::new()
        .file("odd.wasm", component(definitions))
        .try_start("[plugins.odd]\ncomponent = \"odd.wasm\"")
        .await
        .expect("the host starts");
    let problems = host.problems();
    let [problem] = &problems[..] else { panic!("one plugin is left out, not {problems:?}") };
    problem.trim_start_matches("plugin `odd` (bailiwick.toml:1) is left out: ").to_owned()
}

#[tokio::test]
async fn each_function_is_a_tool() {
    let host = typed().await;
    assert_eq!(host.problems(), Vec::<String>::new());
    let mut expected = vec![
        "add",
        "greetings_hello",
        "guests_typed_things_counter_total",
        "guests_typed_world-outside_fetch",
        "guests_typed_world-outside_read",
        "guests_typed_world-outside_reveal",
    ];
    let kinds =
        ["blob", "crash", "echo", "give-up", "halve", "many", "odd-numbers", "reject", "rest", "show", "spin", "take"];
    let kinds: Vec<String> = kinds.iter().map(|name| format!("{KINDS}{name}")).collect();
    expected.extend(kinds.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(host.listed(), expected);
    assert_eq!(host.value("add", json!({"a": 4_294_967_295_u32, "b": 1})).await, json!({"result": 4_294_967_296_u64}));
    assert_eq!(host.value("greetings_hello", json!({"name": "you"})).await, json!({"result": "hello you"}));
    assert_eq!(host.value("guests_typed_things_counter_total", json!({})).await, json!({"result": 42}));
}

fn everything() -> Value {
    json!({
        "yes": true, "tiny": -128, "byte": 255, "short": -32768, "word": 65535, "int": i32::MIN, "uint": u32::MAX,
        "long": i64::MIN, "ulong": u64::MAX, "single": 9.99, "double": -1e300, "letter": "é", "text": "a\nb",
        "bytes": "AAECAw==", "words": [0, 65535], "pair": ["p", 1], "twins": [1, 2],
        "shape": {"tag": "polygon", "value": [{"x": -1, "y": 2, "label": "here"}]},
        "level": "very-high", "rights": ["read", "exec"],
        "maybe": "there", "maybe-maybe": {"some": 3}, "outcome": {"ok": 1}, "verdict": {"err": null},
        "points": [{"x": 0, "y": 0, "label": null}],
    })
}

#[tokio::test]
async fn every_kind_of_value_goes_there_and_comes_back() {
    let host = typed().await;
    let echo = format!("{KINDS}echo");
    assert_eq!(host.value(&echo, json!({"all": everything()})).await, everything());
    let with = |changes: Value| {
        let mut all = everything();
        for (name, value) in changes.as_object().expect("an object") {
            all[name] = value.clone();
        }
        all
    };
    for changes in [
        json!({"maybe": null, "maybe-maybe": null, "shape": {"tag": "empty"}, "rights": [], "words": [], "bytes": ""}),
        json!({"maybe-maybe": {"some": null}, "shape": {"tag": "circle", "value": 0.5}, "outcome": {"err": "no"}}),
        json!({"verdict": {"ok": null}, "single": -0.25, "long": i64::MAX, "level": "low", "letter": "\u{10ffff}"}),
    ] {
        assert_eq!(host.value(&echo, json!({"all": with(changes.clone())})).await, with(changes));
    }
    // What may be left out, what models write as text, base64 without its padding.
    let mut all =
        with(json!({"ulong": "18446744073709551615", "long": "-1", "bytes": "AAECAw", "points": [{"x": 1, "y": "2"}]}));
    all.as_object_mut().expect("an object").remove("maybe");
    let expected = with(json!({"long": -1, "maybe": null, "points": [{"x": 1, "y": 2, "label": null}]}));
    assert_eq!(host.value(&echo, json!({"all": all})).await, expected);
}

#[tokio::test]
async fn the_function_sees_what_was_meant() {
    let host = typed().await;
    let show = format!("{KINDS}show");
    for (given, seen) in [
        (json!({"shape": {"tag": "empty"}}), "Shape::Empty None"),
        (json!({"shape": {"tag": "empty"}, "scale": null}), "Shape::Empty None"),
        (json!({"shape": {"tag": "circle", "value": 2}, "scale": 0.5}), "Shape::Circle(2.0) Some(0.5)"),
        (
            json!({"shape": {"tag": "polygon", "value": [{"x": 1, "y": 2}]}}),
            "Shape::Polygon([Point { x: 1, y: 2, label: None }]) None",
        ),
    ] {
        assert_eq!(host.value(&show, given).await, json!({"result": seen}));
    }
}

#[tokio::test]
async fn numbers_that_json_does_not_have_are_text() {
    let host = typed().await;
    let odd = host.value(&format!("{KINDS}odd-numbers"), json!({})).await;
    assert_eq!(odd, json!({"result": [9.99, "NaN", ["Infinity", "-Infinity", 1.5]]}));
}

#[tokio::test]
async fn an_error_is_a_failure_of_the_tool() {
    let host = typed().await;
    for (tool, given, expected) in [
        ("halve", json!({"number": 8}), "ok: = {\"result\":4}"),
        ("halve", json!({"number": 7}), "tool.failed: `guests_typed_kinds_halve` failed: 7 is odd"),
        ("reject", json!({"level": "low"}), "ok: done"),
        ("reject", json!({"level": "very-high"}), "tool.failed: `guests_typed_kinds_reject` failed: very-high"),
        ("give-up", json!({}), "tool.failed: `guests_typed_kinds_give-up` failed and did not say why"),
        ("rest", json!({}), "ok: done"),
    ] {
        assert_eq!(host.told(&format!("{KINDS}{tool}"), given).await, expected);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_place() {
    let host = typed().await;
    let (echo, show) = (format!("{KINDS}echo"), format!("{KINDS}show"));
    for (field, value, expected) in [
        ("byte", json!(256), "`all.byte`: it is greater than the maximum of 255 (got 256)"),
        ("byte", json!(-1), "`all.byte`: it is less than the minimum of 0 (got -1)"),
        ("int", json!(1.5), "`all.int`: it is not of type \"integer\" (got 1.5)"),
        ("letter", json!("ab"), "`all.letter`: it is longer than 1 character (got \"ab\")"),
        ("pair", json!(["p"]), "`all.pair`: it has less than 2 items"),
        ("pair", json!(["p", "q"]), "`all.pair[1]`: it is not of type \"integer\" (got \"q\")"),
        ("level", json!("high"), "`all.level`: it is not one of \"low\" or \"very-high\" (got \"high\")"),
        (
            "rights",
            json!(["delete"]),
            "`all.rights[0]`: it is not one of \"read\", \"write\" or \"exec\" (got \"delete\")",
        ),
        ("bytes", json!("%%%"), "`all.bytes` is not base64: Invalid symbol 37, offset 0."),
        ("single", json!(1e300), "`all.single` is too large for an f32"),
        ("points", json!([{"x": 1}]), "`all.points[0]`: \"y\" is a required property"),
        ("points", json!([{"x": 1, "y": 2, "z": 3}]), "`all.points[0]`: Additional properties are not allowed"),
        (
            "shape",
            json!({"tag": "circle", "value": "wide"}),
            "`all.shape.value`: it is not of type \"number\" (got \"wide\")",
        ),
        ("shape", json!({"tag": "circle"}), "`all.shape`: \"value\" is a required property"),
        ("outcome", json!({"ok": "x"}), "`all.outcome.ok`: it is not of type \"integer\" (got \"x\")"),
    ] {
        let mut all = everything();
        all[field] = value;
        let said = host.told(&echo, json!({"all": all})).await;
        assert!(said.starts_with(&format!("arguments.invalid: {expected}")), "{field}: {said}");
    }
    let said = host.told(&show, json!({})).await;
    assert_eq!(
        said,
        "arguments.invalid: the arguments: \"shape\" is a required property; it takes `shape`, `scale`, of which `shape` must be there"
    );
}

#[tokio::test]
async fn a_call_keeps_to_its_limits() {
    let host = TestHost::new(&format!("{TYPED}limits = {{ time = \"300ms\", artifacts = \"1MiB\" }}\n")).await;
    let told = async |tool: &str, arguments: Value| host.told(&format!("{KINDS}{tool}"), arguments).await;
    assert!(
        told("spin", json!({})).await.starts_with("limit.time: `guests_typed_kinds_spin` did not end within 300ms")
    );
    assert!(told("crash", json!({})).await.starts_with("plugin.trap: `guests_typed_kinds_crash` crashed: "));
    let memory = told("blob", json!({"size": 200 << 20})).await;
    assert!(memory.starts_with("limit.memory: "), "{memory}");
    assert_eq!(
        told("blob", json!({"size": 4 << 20})).await,
        "limit.output: `guests_typed_kinds_blob` handed over more at once than the host takes; \
         ask for less, or raise `limits.artifacts` under `[plugins.typed]` (bailiwick.toml:1)"
    );
    let long = told("many", json!({"count": 100_000})).await;
    assert!(long.starts_with("limit.output: `guests_typed_kinds_many` gave a result of "), "{long}");
    assert_eq!(told("many", json!({"count": 3})).await, "ok: = {\"result\":[0,1,2]}");
    // Nothing of it is left for the next call.
    assert_eq!(told("halve", json!({"number": 2})).await, "ok: = {\"result\":1}");
}

#[tokio::test]
async fn arguments_of_more_values_than_the_engine_should_hold_are_refused() {
    let host = typed().await;
    let take = format!("{KINDS}take");
    let fits = json!({"bytes": "QUJD".repeat(300_000)});
    assert_eq!(host.value(&take, fits).await, json!({"result": 900_000}));
    let many = json!({"bytes": "QUJD".repeat(400_000)});
    assert_eq!(
        host.told(&take, many).await,
        "arguments.too-large: the arguments hold more than 1048576 values (each byte of base64 is one)"
    );
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let web = Upstream::hello().await;
    let fetch = json!({"authority": format!("127.0.0.1:{}", web.port)});
    let outcome = typed().await.call("guests_typed_world-outside_fetch", fetch.clone()).await;
    let failure = outcome.result.as_ref().expect_err("it is denied");
    assert_eq!(failure.code.as_str(), "tool.failed");
    let [denial] = &outcome.denials[..] else { panic!("one denial, not {:?}", outcome.denials) };
    assert_eq!(denial.code.as_str(), "denied.net.host");
    assert_eq!(web.connections(), 0);
    let granted = remedy::applied(TYPED, denial.fix.as_deref().expect("a denial names its line"));
    let granted = TestHost::new(&granted).await;
    assert_eq!(granted.value("guests_typed_world-outside_fetch", fetch).await, json!({"result": 200}));

    let read = json!({"path": "/data/note.txt"});
    let world = || World::new().file("data/note.txt", "noted");
    let told = world().start(TYPED).await.told("guests_typed_world-outside_read", read.clone()).await;
    assert!(told.starts_with("tool.failed: `guests_typed_world-outside_read` failed: "), "{told}");
    let granted = world().start(&format!("{TYPED}fs = [\"./data:/data\"]\n")).await;
    assert_eq!(granted.value("guests_typed_world-outside_read", read.clone()).await, json!({"result": "noted"}));
    // A tool's own table narrows it by the name it is listed under.
    let narrowed =
        format!("{TYPED}fs = [\"./data:/data\"]\n[plugins.typed.tools.guests_typed_world-outside_read]\nfs = []\n");
    let told = world().start(&narrowed).await.told("guests_typed_world-outside_read", read).await;
    assert!(told.starts_with("tool.failed: "), "{told}");
}

#[tokio::test]
async fn a_secret_among_bytes_is_taken_out_before_they_are_encoded() {
    let text = format!("{TYPED}[plugins.typed.secrets.KEY]\nfile = \"./key\"\nreveal = true\n");
    let world = || World::new().secret("key", "correct-horse-battery");
    let reveal = json!({"name": "KEY"});
    let kept = world().start(&text).await;
    let value = kept.value("guests_typed_world-outside_reveal", reveal.clone()).await;
    // `::*********************`
    assert_eq!(value, json!({"result": "OjoqKioqKioqKioqKioqKioqKioqKio="}));
    let text = format!(
        "{TYPED}net = [\"https://api.example\"]\n[plugins.typed.secrets.KEY]\nfile = \"./key\"\n\
         origin = \"https://api.example\"\nheader = \"X-Key\"\n"
    );
    let refused = world().start(&text).await.told("guests_typed_world-outside_reveal", reveal).await;
    assert!(refused.starts_with("tool.failed: ") && refused.contains("\n  on the way denied.secret: "), "{refused}");
}

#[tokio::test]
async fn a_function_that_is_no_tool_is_left_out_and_told() {
    let world = World::new();
    let run = world.run(TYPED, &["check"], "");
    assert_eq!(run.exit, 0, "{}", run.err);
    for (function, reason) in [
        ("[constructor]counter", "its result holds the resource `counter`"),
        ("[method]counter.next", "its parameter `self` holds the resource `counter`"),
        ("all", "its result holds the resource `counter`"),
    ] {
        let line = format!(
            "plugin `typed`: `guests:typed/things@1.2.0#{function}` is no tool: {reason}, which JSON cannot carry"
        );
        assert!(run.err.contains(&line), "{line}\n{}", run.err);
    }
    let json = world.run(TYPED, &["--json", "check"], "");
    let report: Value = serde_json::from_str(&json.out).expect("it is JSON");
    let warnings = report["warnings"].as_array().expect("a list");
    assert_eq!(warnings.iter().filter(|warning| warning["code"] == "check.no-tool").count(), 3, "{report}");
}

#[tokio::test]
async fn a_component_with_nothing_to_call_is_told_why() {
    let hint = "; build it with bailiwick-sdk, against wit/tool.wit, or with functions of its own (see wit/README.md)";
    let none = "it exports neither `bailiwick:tool/tool@0.1.0` nor a function that can be a tool";
    assert_eq!(left_out("").await, format!("{none}{hint}"));
    let program = "(func $run (result (result)) (canon lift (core func $i \"seven\")))
        (instance $x (export \"run\" (func $run))) (export \"wasi:cli/run@0.2.3\" (instance $x))";
    assert_eq!(
        left_out(program).await,
        format!(
            "{none}; `wasi:cli/run@0.2.3#run` is no tool: `wasi:cli/run@0.2.3` is for a host that starts programs or serves requests, not for callers of tools{hint}"
        )
    );
    let resource = "(type $r (resource (rep i32))) (export $e \"thing\" (type $r))
        (func $make (result (own $e)) (canon lift (core func $i \"seven\"))) (export \"make\" (func $make))
        (func $use (param \"it\" (borrow $e)) (canon lift (core func $i \"take\"))) (export \"use\" (func $use))";
    assert_eq!(
        left_out(resource).await,
        format!(
            "{none}; `make` is no tool: its result holds the resource `thing`, which JSON cannot carry; `use` is no tool: its parameter `it` holds the resource `thing`, which JSON cannot carry{hint}"
        )
    );
}

#[tokio::test]
async fn types_without_end_are_not_followed() {
    let lift = "(canon lift (core func $i \"take-two\") (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\")))";
    let nested = |levels: usize, of: &dyn Fn(usize) -> String, leaf: &str| {
        let mut text = format!("(type $t0 {leaf})");
        for level in 0..levels {
            text.push_str(&format!("(type $t{} {})", level + 1, of(level)));
        }
        format!("{text} (func $f (param \"a\" $t{levels}) {lift}) (export \"f\" (func $f))")
    };
    let refused = "`f` is no tool: its types are too large to be described";
    let deep = nested(40, &|level| format!("(list $t{level})"), "(list u8)");
    assert!(left_out(&deep).await.contains(refused), "deep");
    // A list of pairs of pairs …: a few bytes each time, twice as large each time.
    let wide = nested(18, &|level| format!("(tuple $t{level} $t{level})"), "(list u8)");
    let wide = wide.replace(
        &format!("(func $f (param \"a\" $t18) {lift})"),
        &format!("(type $l (list $t18)) (func $f (param \"a\" $l) {lift})"),
    );
    assert!(left_out(&wide).await.contains(refused), "wide");
    let fine = nested(10, &|level| format!("(list $t{level})"), "(list u8)");
    let host =
        World::new().file("fine.wasm", component(&fine)).start("[plugins.fine]\ncomponent = \"fine.wasm\"").await;
    assert_eq!(host.listed(), ["f"]);
}

#[tokio::test]
async fn what_the_host_does_not_offer_is_told_when_the_component_is_read() {
    let waits = "(func $f async (result u32) (canon lift (core func $i \"seven\") async)) (export \"f\" (func $f))";
    let told = left_out(waits).await;
    assert!(told.starts_with("it cannot be compiled: ") && told.contains("async"), "{told}");
}

#[tokio::test]
async fn names_are_told_apart_where_versions_are_all_that_differs() {
    let text = "(func $f (result u32) (canon lift (core func $i \"seven\")))
        (instance $x (export \"f\" (func $f)))
        (export \"a:b/c@1.0.0\" (instance $x)) (export \"a:b/c@2.0.0\" (instance $x)) (export \"a:b/d@1.0.0\" (instance $x))";
    let world = World::new().file("both.wasm", component(text));
    let host = world.start("[plugins.both]\ncomponent = \"both.wasm\"").await;
    assert_eq!(host.listed(), ["a_b_c_f_4c6fd186", "a_b_c_f_f5694387", "a_b_d_f"]);
    assert_eq!(host.value("a_b_c_f_4c6fd186", json!({})).await, json!({"result": 7}));
}

#[tokio::test]
async fn doc_comments_in_the_binary_are_shown() {
    let docs = r#"{"worlds": {"root": {"func_exports": {"f": {"docs": "Gives seven."}}}},
                   "interfaces": {"c": {"funcs": {"f": {"docs": "Gives seven too."}},
                                        "types": {"level": {"docs": "How much.", "items": {"low": "A little."}}}}}}"#;
    let functions = |section: &str| {
        format!(
            "(func $f (result u32) (canon lift (core func $i \"seven\"))) (export \"f\" (func $f))
             (type $level (enum \"low\" \"high\"))
             (component $shim
               (type $same (enum \"low\" \"high\"))
               (import \"level\" (type $l (eq $same))) (export $e \"level\" (type $l))
               (import \"g\" (func $g (param \"how\" $l))) (import \"f\" (func $f (result u32)))
               (export \"g\" (func $g) (func (param \"how\" $e))) (export \"f\" (func $f)))
             (func $g (param \"how\" $level) (canon lift (core func $i \"take\")))
             (instance $x (instantiate $shim (with \"level\" (type $level)) (with \"g\" (func $g)) (with \"f\" (func $f))))
             (export \"a:b/c@1.0.0\" (instance $x))
             {section}"
        )
    };
    let described = async |section: &str| {
        let world = World::new().file("docs.wasm", component(&functions(section)));
        let host = world.start("[plugins.docs]\ncomponent = \"docs.wasm\"").await;
        let tools = host.host.list(&bailiwick_core::call::Caller::operator("test"));
        let description = |name: &str| {
            let found = tools.iter().find(|(known, _)| known.as_str() == name).expect("it is listed");
            found.1.description()
        };
        (description("f"), description("a_b_c_f"), host.schema("a_b_c_g")["properties"]["how"]["description"].clone())
    };
    let section = format!("(@custom \"package-docs\" \"\\01{}\")", docs.replace('"', "\\\"").replace('\n', " "));
    let expected = ("Gives seven.".to_owned(), "Gives seven too.".to_owned(), json!("How much.\n`low`: A little."));
    assert_eq!(described(&section).await, expected);
    let silent = ("Calls `f`.".to_owned(), "Calls `f` of `a:b/c@1.0.0`.".to_owned(), Value::Null);
    assert_eq!(described("").await, silent);
    assert_eq!(described("(@custom \"package-docs\" \"\\09nonsense\")").await, silent);
    assert!(!log::lines_with("the component's doc comments cannot be read").is_empty());
}

#[tokio::test]
async fn an_operator_rules_over_arguments_and_names() {
    let text = format!(
        "{TYPED}alias = {{ sum = \"add\" }}\n[plugins.typed.tools.add]\ninject = {{ b = 10 }}\n[plugins.typed.tools.greetings_hello]\nallow = false\n"
    );
    let host = TestHost::new(&text).await;
    assert_eq!(host.schema("sum")["properties"], json!({"a": {"type": "integer", "minimum": 0, "maximum": u32::MAX}}));
    assert_eq!(host.value("sum", json!({"a": 1})).await, json!({"result": 11}));
    assert_eq!(host.call("greetings_hello", json!({"name": "x"})).await.code(), "denied.tool");
}

#[tokio::test]
async fn a_call_is_recorded_like_any_other() {
    let host = typed().await;
    host.value("add", json!({"a": 1, "b": 2})).await;
    told(&host.call(&format!("{KINDS}halve"), json!({"number": 1})).await);
    let records = host.audit();
    let [first, second] = &records[..] else { panic!("two records, not {records:?}") };
    assert_eq!([&first["tool"], &first["outcome"]], [&json!("add"), &json!("ok")]);
    assert_eq!(second["outcome"], "tool.failed");
    assert!(first["component"].as_str().expect("a digest").starts_with("sha256:"), "{first}");
}
