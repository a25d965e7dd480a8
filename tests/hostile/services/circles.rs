//! Documents that go round in circles, and documents of more operations than anybody can use.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Service, counted, document, get, left_out, post, tried, with_schemas};
use crate::support::host::World;

/// How long a document may take to be read. It is an unoptimised program that reads.
const PATIENCE: Duration = Duration::from_secs(30);

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What `/a` takes and what schemas there are.
fn taking(schemas: Value) -> Value {
    let paths = json!({"/a": post("a", schema("A")), "/ping": get("ping", json!([]))});
    with_schemas(paths, schemas)
}

fn numbered(n: usize, each: impl Fn(usize) -> Value) -> Value {
    let schemas: Map<String, Value> = (0..n).map(|n| (format!("A{n}"), each(n))).collect();
    let mut schemas = Value::Object(schemas);
    schemas["A"] = schema("A0");
    schemas
}

/// Documents with one place that refers and refers; the operation `ping` has nothing to do with it.
fn circles() -> Vec<(&'static str, Value)> {
    let mut in_parameters = document(json!({
        "/a": get("a", json!([{"$ref": "#/components/parameters/P"}])),
        "/ping": get("ping", json!([])),
    }));
    in_parameters["components"] = json!({"parameters": {
        "P": {"$ref": "#/components/parameters/Q"}, "Q": {"$ref": "#/components/parameters/P"},
    }});
    let paths = |a: Value| document(json!({"/a": a, "/ping": get("ping", json!([]))}));
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    vec![
        ("itself", taking(json!({"A": schema("A")}))),
        ("each other", taking(json!({"A": schema("B"), "B": schema("A")}))),
        ("a tree", taking(json!({"A": object(json!({"left": schema("A"), "right": schema("A")}))}))),
        ("a list of itself", taking(json!({"A": {"type": "array", "items": schema("A")}}))),
        ("all of itself", taking(json!({"A": {"allOf": [schema("A")]}}))),
        ("any of itself", taking(json!({"A": {"anyOf": [schema("A"), schema("A")]}}))),
        ("not itself", taking(json!({"A": {"not": schema("A")}}))),
        ("ten thousand in a row", taking(numbered(10_000, |n| schema(&format!("A{}", n + 1))))),
        (
            "ten thousand in one another",
            taking(numbered(10_000, |n| object(json!({"next": schema(&format!("A{}", n + 1))})))),
        ),
        (
            "doubling",
            taking(numbered(40, |n| {
                object(json!({"a": schema(&format!("A{}", n + 1)), "b": schema(&format!("A{}", n + 1))}))
            })),
        ),
        (
            "doubling in allOf",
            taking(numbered(
                40,
                |n| json!({"allOf": [schema(&format!("A{}", n + 1)), schema(&format!("A{}", n + 1))]}),
            )),
        ),
        (
            "doubling in anyOf",
            taking(numbered(
                40,
                |n| json!({"anyOf": [schema(&format!("A{}", n + 1)), schema(&format!("A{}", n + 1))]}),
            )),
        ),
        (
            "everybody knows everybody",
            taking(numbered(300, |_| {
                object((0..300).map(|m| (format!("p{m}"), schema(&format!("A{m}")))).collect::<Map<_, _>>().into())
            })),
        ),
        ("parameters", in_parameters),
        ("paths", paths(json!({"$ref": "#/paths/~1a"}))),
        ("the whole document", taking(json!({"A": {"$ref": "#"}}))),
        ("an empty reference", taking(json!({"A": {"$ref": ""}}))),
    ]
}

#[tokio::test]
async fn oas4_circles_and_chains_end() {
    let circles = circles();
    for (about, said) in &circles {
        let service = Service::of(said).await;
        let begun = Instant::now();
        let host = service.host("", "limits.time = \"30s\"").await;
        let took = begun.elapsed();
        assert!(took < PATIENCE, "{about}: {took:?}");
        println!("measured: {about}: {} ms", took.as_millis());
        let listed = host.listed();
        assert!(listed.contains(&"ping".to_owned()), "{about}: {listed:?}");
        assert!(
            listed.contains(&"a".to_owned()) || !left_out(&host).is_empty(),
            "{about}: neither a tool nor a reason"
        );
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{about}");
        if listed.contains(&"a".to_owned()) {
            // Whatever it takes, checking it ends.
            let begun = Instant::now();
            let _ =
                host.call("a", json!({"body": {"a": {"a": {"b": 1}}}, "a": {"b": {}}, "left": {"right": {}}})).await;
            assert!(begun.elapsed() < PATIENCE, "{about}: {:?}", begun.elapsed());
        }
    }
    counted("OAS-4", circles.len());
}

#[tokio::test]
async fn oas4_a_reference_to_what_is_no_schema_costs_its_operation_and_no_other() {
    let targets = [
        "#/nowhere",
        "#/info/title",
        "#/paths",
        "#/openapi",
        "#/components/schemas/~2",
        "#/components/schemas/%zz",
        "#components",
        "#/components/schemas/List/0",
        "#/components/schemas/List/99999999999999999999",
        "#/components/schemas/List/-",
        "#/components/schemas/Number",
        "#/components/schemas/\u{202e}",
        "##",
        "#/",
    ];
    for target in targets {
        let schemas = json!({"A": {"$ref": target}, "List": [1], "Number": 7});
        let service = Service::of(&taking(schemas)).await;
        let host = service.host("", "").await;
        assert!(host.listed().contains(&"ping".to_owned()), "{target}");
        assert!(
            host.listed().contains(&"a".to_owned()) || left_out(&host).contains("$ref"),
            "{target}: {}",
            left_out(&host)
        );
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{target}");
    }
    // Names that have to be escaped lead where they should.
    for (name, pointer) in
        [("a/b", "a~1b"), ("a~b", "a~0b"), ("a b", "a%20b"), ("{x}", "%7Bx%7D"), ("~1", "~01"), ("é", "%C3%A9")]
    {
        let mut said = taking(json!({"A": {"type": "object", "properties": {"n": schema(pointer)}}}));
        said["components"]["schemas"][name] = json!({"type": "integer"});
        let service = Service::of(&said).await;
        let host = service.host("", "").await;
        assert_eq!(host.call("a", json!({"n": "x"})).await.code(), "arguments.invalid", "{name}");
        assert_eq!(host.told("a", json!({"n": 1})).await, "ok: done", "{name}");
    }
    counted("OAS-4", targets.len() + 6);
}

#[tokio::test]
async fn oas7_ten_thousand_operations_are_as_many_tools_as_are_taken() {
    let operations = |n: usize| -> Value {
        let paths = (0..n).map(|n| (format!("/p{n:05}"), get(&format!("op_{n}"), json!([]))));
        document(Value::Object(paths.collect()))
    };
    for n in [4_096, 4_097, 10_000] {
        let service = Service::of(&operations(n)).await;
        let begun = Instant::now();
        let host = service.host("", "").await;
        println!("measured: {n} operations: {} ms", begun.elapsed().as_millis());
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        assert_eq!(host.listed().len(), n.min(4_096));
        let reasons = left_out(&host);
        assert_eq!(
            n > 4_096,
            reasons.contains("there are 4096 tools already; `include` those that are needed"),
            "{reasons}"
        );
        assert!(reasons.len() < 1_000, "one line says it: {reasons}");
        assert_eq!(host.told("op_4095", json!({})).await, "ok: done");
        assert_eq!(host.call("op_4096", json!({})).await.code(), "tool.unknown");
    }
    let service = Service::of(&operations(10_000)).await;
    let host = service.host(", include = [\"/p09999\", \"GET /p05000\"]", "").await;
    assert_eq!(host.listed(), ["op_5000", "op_9999"]);
    counted("OAS-7", 4);
}

#[tokio::test]
async fn oas7_what_is_too_much_in_one_operation_costs_that_operation() {
    let many = |n: usize| -> Value {
        (0..n).map(|n| json!({"name": format!("q{n}"), "in": "query", "schema": {"type": "string"}})).collect()
    };
    let wide: Map<String, Value> = (0..20_000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let statuses: Map<String, Value> = (0..5_000).map(|n| (n.to_string(), json!({"description": "x"}))).collect();
    for (about, operation) in [
        ("parameters", get("a", many(5_000))),
        ("the same parameter", get("a", (0..5_000).map(|_| json!({"name": "q", "in": "query"})).collect())),
        ("properties", post("a", json!({"type": "object", "properties": wide}))),
        ("answers", json!({"get": {"operationId": "a", "responses": statuses}})),
        ("tags", json!({"get": {"operationId": "a", "tags": (0..100_000).map(|n| n.to_string()).collect::<Vec<_>>()}})),
        ("servers", json!({"get": {"operationId": "a", "servers": vec![json!({"url": "http://10.0.0.1/"}); 10_000]}})),
    ] {
        let service = Service::of(&document(json!({"/a": operation, "/ping": get("ping", json!([]))}))).await;
        let begun = Instant::now();
        let host = tried(World::new(), &service.plugin("shop", "", "")).await;
        println!("measured: many {about}: {} ms", begun.elapsed().as_millis());
        assert!(begun.elapsed() < PATIENCE, "{about}: {:?}", begun.elapsed());
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{about}: {:?}", host.problems());
        assert!(host.listed().contains(&"a".to_owned()) || left_out(&host).contains("/a"), "{about}");
        if host.listed().contains(&"a".to_owned()) {
            assert!(host.schema("a").to_string().len() <= 128 << 10, "{about}");
        }
    }
    counted("OAS-7", 6);
}
