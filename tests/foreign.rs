//! Components that others wrote and published, unmodified: listed, called, and refused where they cannot be called.
//!
//! Their crates are fetched by cargo, by the lock files in `components/`. Where they cannot be had the tests are
//! skipped, and the skip is printed; in CI (the variable `CI` is set) it is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::support::TestHost;
use crate::support::host::World;

/// Where the sources of the crate `name` (with its version) are, which `components/LIST` names.
fn fetched(list: &str, name: &str) -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("components").join(list).join("Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(&manifest);
    let output = cargo.output().expect("cargo can be started");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(std::env::var_os("CI").is_none(), "{name} cannot be fetched: {said}");
        println!("skip   {name}: cannot be fetched: {}", said.trim());
        return None;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    // A crate without a library is fetched and not listed: all of them lie side by side.
    let packages = metadata["packages"].as_array().expect("a list").iter();
    let mut beside = packages.filter(|package| !package["source"].is_null());
    let manifest = beside.next().and_then(|package| package["manifest_path"].as_str()).expect("it has dependencies");
    let folder = Path::new(manifest).ancestors().nth(2).expect("REGISTRY/NAME/Cargo.toml").join(name);
    assert!(folder.is_dir(), "{} is not there", folder.display());
    Some(folder)
}

/// A component as its authors built it, with the digest it is known by.
fn prebuilt(name: &str) -> Option<Vec<u8>> {
    let folder = fetched("prebuilt", "golem-wasm-ast-1.2.0")?;
    Some(std::fs::read(folder.join("wasm").join(name)).expect("it is in the crate"))
}

/// A host for this component, which is exactly the one with this digest.
async fn host(world: World, component: &[u8], digest: &str, lines: &str) -> TestHost {
    let world = world.file("foreign.wasm", component);
    let host = world.start(&format!("[plugins.foreign]\ncomponent = \"foreign.wasm\"\n{lines}")).await;
    assert_eq!(host.problems(), Vec::<String>::new());
    assert_eq!(host.host.snapshot().plugins[0].digest.to_string(), format!("sha256:{digest}"));
    host
}

#[tokio::test]
async fn a_shopping_cart_with_records_lists_and_a_variant() {
    let Some(component) = prebuilt("shopping-cart.wasm") else { return };
    let digest = "57a9b69c00b794a82901f74b111112593cf8467106e3276f760b170ed5644161";
    let host = host(World::new(), &component, digest, "").await;
    let names = ["add-item", "checkout", "get-cart-contents", "initialize-cart", "remove-item", "update-item-quantity"];
    assert_eq!(host.listed(), names.map(|name| format!("golem_it_api_{name}")));
    assert_eq!(
        host.schema("golem_it_api_add-item"),
        json!({
            "type": "object",
            "properties": {"item": {
                "type": "object",
                "properties": {
                    "product-id": {"type": "string"},
                    "name": {"type": "string"},
                    "price": {"type": "number"},
                    "quantity": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                },
                "required": ["product-id", "name", "price", "quantity"],
                "additionalProperties": false,
            }},
            "required": ["item"],
            "additionalProperties": false,
        })
    );
    let item = json!({"product-id": "p1", "name": "Tea", "price": 3.5, "quantity": 2});
    assert_eq!(host.told("golem_it_api_initialize-cart", json!({"user-id": "u"})).await, "ok: done");
    assert_eq!(host.told("golem_it_api_add-item", json!({"item": item})).await, "ok: done");
    // A fresh instance for every call: what was put into the cart is gone.
    assert_eq!(host.value("golem_it_api_get-cart-contents", json!({})).await, json!({"result": []}));
    // The component throws a die: one order in ten finds an empty inventory. A hundred in a row are no accident.
    let sold_out = json!({"result": {"tag": "error", "value": "Inventory not available"}});
    let mut checkout = sold_out.clone();
    for _ in 0..100 {
        checkout = host.value("golem_it_api_checkout", json!({})).await;
        if checkout != sold_out {
            break;
        }
    }
    assert_eq!(checkout["result"]["tag"], "success", "{checkout}");
    assert!(checkout["result"]["value"]["order-id"].is_string(), "{checkout}");
    let wrong =
        host.told("golem_it_api_add-item", json!({"item": {"product-id": "p1", "name": "Tea", "price": 3.5}})).await;
    assert!(wrong.starts_with("arguments.invalid: `item`: \"quantity\" is a required property"), "{wrong}");
}

#[tokio::test]
async fn a_file_service_that_reaches_what_it_was_granted() {
    let Some(component) = prebuilt("file-service.wasm") else { return };
    let digest = "2f6e85b55d92fd3a07eb639572a3ba5de1334c9170be1331069f436ad0087b67";
    let world = || World::new().file("data/note.txt", "noted");
    let read = json!({"path": "/data/note.txt"});

    let without = host(world(), &component, digest, "").await;
    let told = without.told("golem_it_api_read-file", read.clone()).await;
    assert!(told.starts_with("tool.failed: `golem_it_api_read-file` failed: "), "{told}");

    let read_only = host(world(), &component, digest, "fs = [\"./data:/data\"]\n").await;
    assert_eq!(read_only.value("golem_it_api_read-file", read.clone()).await, json!({"result": "noted"}));
    let write = json!({"path": "/data/new.txt", "contents": "new"});
    let told = read_only.told("golem_it_api_write-file", write.clone()).await;
    assert!(told.starts_with("tool.failed: "), "{told}");

    let granted = host(world(), &component, digest, "fs = [\"./data:/data:rw\"]\n").await;
    assert_eq!(granted.told("golem_it_api_write-file", write).await, "ok: done");
    assert_eq!(std::fs::read_to_string(granted.world.path("data/new.txt")).expect("it is there"), "new");
    let info = granted.value("golem_it_api_get-file-info", read.clone()).await;
    for time in ["last-modified", "last-accessed"] {
        assert!(info[time]["seconds"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{info}");
    }
    // It looks for a directory called `/`, so its operator grants one.
    let told = granted.told("golem_it_api_hash", json!({"path": "note.txt"})).await;
    assert_eq!(told, "tool.failed: `golem_it_api_hash` failed: Root not found");
    let rooted = host(world(), &component, digest, "fs = [\"./data:/\"]\n").await;
    let hash = rooted.value("golem_it_api_hash", json!({"path": "note.txt"})).await;
    assert!(hash["lower"].is_u64() && hash["upper"].is_u64(), "{hash}");
}

#[tokio::test]
async fn what_lives_in_resources_or_needs_another_host_is_refused_by_name() {
    let (Some(cart), Some(registry)) =
        (prebuilt("shopping-cart-resource.wasm"), prebuilt("auction_registry_composed.wasm"))
    else {
        return;
    };
    let world = World::new().file("cart.wasm", cart).file("registry.wasm", registry);
    let text = "[plugins.cart]\ncomponent = \"cart.wasm\"\n[plugins.registry]\ncomponent = \"registry.wasm\"\n";
    let host = world.try_start(text).await.expect("the host starts");
    let problems = host.problems();
    let [cart, registry] = &problems[..] else { panic!("both are left out: {problems:?}") };
    assert!(
        cart.contains("`golem:it/api#[constructor]cart` is no tool: its result holds the resource `cart`"),
        "{cart}"
    );
    assert!(registry.contains("it imports `golem:rpc/types@0.1.0`, which this host does not offer"), "{registry}");
}

/// Guests are compiled one after the other: each comes out under the same name.
static COMPILE: Mutex<()> = Mutex::new(());

/// Compiles one of the guests that wit-bindgen is tested with, as it was published.
fn compiled(guest: &str) -> Option<Vec<u8>> {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        println!("skip   `{guest}` of wit-bindgen: RUN_SLOW_TESTS is not set");
        return None;
    }
    let _one_at_a_time = COMPILE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = fetched("sources", "wit-bindgen-cli-0.63.0")?.join("tests/runtime").join(guest);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
    std::fs::create_dir_all(&target).expect("the folder of tests can be written");
    let bindings = target.join(format!("{guest}.rs"));
    let text = format!("wit_bindgen::generate!({{ path: {:?}, world: \"test\" }});", folder.join("test.wit"));
    std::fs::write(&bindings, text).expect("a file can be written");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--quiet", "--release", "--target", "wasm32-wasip2", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("components/sources/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("GUEST", folder.join("test.rs"))
        .env("BINDINGS", bindings);
    assert!(cargo.status().expect("cargo can be started").success(), "`{guest}` does not compile");
    Some(std::fs::read(target.join("wasm32-wasip2/release/bailiwick_sources.wasm")).expect("it was built"))
}

/// Calls each tool with its arguments and compares what it gives.
async fn calls(guest: &str, expected: &[(&str, Value, &str)]) {
    let Some(component) = compiled(guest) else { return };
    let host = World::new().file("guest.wasm", component).start("[plugins.guest]\ncomponent = \"guest.wasm\"").await;
    for (tool, arguments, told) in expected {
        assert_eq!(
            host.told(&format!("test_{guest}_to-test_{tool}"), arguments.clone()).await,
            *told,
            "{guest} {tool}"
        );
    }
}

/// The only argument of most of them.
fn given(value: Value) -> Value {
    json!({"a": value})
}

#[tokio::test]
async fn options_of_wit_bindgen_may_be_missing() {
    calls(
        "options",
        &[
            ("option-none-param", json!({}), "ok: done"),
            ("option-some-param", given(json!("foo")), "ok: done"),
            ("option-none-result", json!({}), "ok: = {\"result\":null}"),
            ("option-some-result", json!({}), "ok: = {\"result\":\"foo\"}"),
            ("option-roundtrip", given(json!("x")), "ok: = {\"result\":\"x\"}"),
            ("double-option-roundtrip", given(json!(null)), "ok: = {\"result\":null}"),
            ("double-option-roundtrip", given(json!({"some": null})), "ok: = {\"result\":{\"some\":null}}"),
            ("double-option-roundtrip", given(json!({"some": 7})), "ok: = {\"result\":{\"some\":7}}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn records_tuples_and_flags_of_wit_bindgen() {
    calls(
        "records",
        &[
            ("multiple-results", json!({}), "ok: = {\"result\":[4,5]}"),
            ("swap-tuple", given(json!([1, 2])), "ok: = {\"result\":[2,1]}"),
            ("roundtrip-flags2", given(json!(["c", "e"])), "ok: = {\"result\":[\"c\",\"e\"]}"),
            (
                "roundtrip-flags3",
                json!({"a": ["b7"], "b": ["b0", "b15"], "c": ["b31"]}),
                "ok: = {\"result\":[[\"b7\"],[\"b0\",\"b15\"],[\"b31\"]]}",
            ),
            ("roundtrip-record1", given(json!({"a": 8, "b": ["a"]})), "ok: = {\"a\":8,\"b\":[\"a\"]}"),
            ("tuple1", given(json!([9])), "ok: = {\"result\":[9]}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn variants_and_results_of_wit_bindgen() {
    calls(
        "variants",
        &[
            ("roundtrip-option", given(json!(1.5)), "ok: = {\"result\":1}"),
            ("roundtrip-option", json!({}), "ok: = {\"result\":null}"),
            ("roundtrip-result", given(json!({"ok": 2})), "ok: = {\"result\":2.0}"),
            ("roundtrip-result", given(json!({"err": 5.3})), "tool.failed: `test_variants_to-test_roundtrip-result` failed: 5"),
            ("roundtrip-enum", given(json!("b")), "ok: = {\"result\":\"b\"}"),
            (
                "variant-casts",
                given(json!([
                    {"tag": "a", "value": 1}, {"tag": "a", "value": 2}, {"tag": "a", "value": 3},
                    {"tag": "b", "value": 4}, {"tag": "b", "value": 5}, {"tag": "b", "value": 6},
                ])),
                "ok: = {\"result\":[{\"tag\":\"a\",\"value\":1},{\"tag\":\"a\",\"value\":2},{\"tag\":\"a\",\"value\":3},\
                 {\"tag\":\"b\",\"value\":4.0},{\"tag\":\"b\",\"value\":5.0},{\"tag\":\"b\",\"value\":6.0}]}",
            ),
            (
                "variant-enums",
                json!({"a": true, "b": {"ok": null}, "c": "success"}),
                "ok: = {\"result\":[true,{\"ok\":null},\"success\"]}",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn lists_and_what_is_in_them_of_wit_bindgen() {
    calls(
        "flavorful",
        &[
            ("f-list-in-record1", given(json!({"a": "list_in_record1"})), "ok: done"),
            ("f-list-in-record2", json!({}), "ok: = {\"a\":\"list_in_record2\"}"),
            ("errno-result", json!({}), "tool.failed: `test_flavorful_to-test_errno-result` failed: b"),
            (
                "list-typedefs",
                json!({"a": "typedef1", "c": ["typedef2"]}),
                "ok: = {\"result\":[\"dHlwZWRlZjM=\",[\"typedef4\"]]}",
            ),
            (
                "list-of-variants",
                json!({"a": [true, false], "b": [{"ok": null}, {"err": null}], "c": ["success", "a"]}),
                "ok: = {\"result\":[[false,true],[{\"err\":null},{\"ok\":null}],[\"a\",\"b\"]]}",
            ),
        ],
    )
    .await;
}
