//! Documents small enough to be read, each for one rule. Larger ones are in tests/cases/openapi: a document, and beside it
//! what becomes of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bailiwick_operation::{Body, Content, Kind, Location, Parameter, Part, PathValue, Piece, Source, Style};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::registry::{Risk, check_definitions};
use crate::schema::{ArgumentSchema, parse as parse_json};

fn options() -> Options {
    Options { url: Some(Url::parse("https://api.example.com").unwrap()), ..Options::default() }
}

fn injecting(names: &[(&str, Option<Location>)]) -> Options {
    let injected = names.iter().map(|(name, at)| Injected { name: (*name).to_owned(), at: *at }).collect();
    Options { injected, ..options() }
}

/// A document with these paths.
fn document(paths: Value) -> Value {
    json!({ "openapi": "3.0.3", "info": { "title": "t" }, "paths": paths })
}

/// The one tool of a document with one operation.
#[track_caller]
fn only(document: &Value, options: &Options) -> Tool {
    let mut service = read(document, options).unwrap();
    assert_eq!((service.tools.len(), service.left_out.as_slice()), (1, &[][..]));
    service.tools.remove(0)
}

fn input(tool: &Tool) -> Value {
    serde_json::from_str(&tool.definition().input_schema).unwrap()
}

/// Everything that became of a document, in lines.
fn shown(service: &Service) -> String {
    let mut text = format!("{} at {}\n", service.title, service.base);
    for scheme in &service.schemes {
        writeln!(text, "scheme {}: {:?}", scheme.name, scheme.kind).unwrap();
    }
    for tool in &service.tools {
        let Definition { name, description, input_schema, output_schema, risk, .. } = tool.definition();
        writeln!(text, "\n{name} ({risk:?}): {}", description.replace('\n', "\\n")).unwrap();
        writeln!(text, "  takes {input_schema}").unwrap();
        if let Some(schema) = output_schema {
            writeln!(text, "  gives {schema}").unwrap();
        }
        writeln!(text, "  does {}", serde_json::to_string(tool.operation()).unwrap()).unwrap();
        if !tool.security.is_empty() {
            writeln!(text, "  wants {:?}", tool.security).unwrap();
        }
    }
    for LeftOut { operation, reason } in &service.left_out {
        writeln!(text, "\nleft out {operation}: {reason}").unwrap();
    }
    text
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/openapi")
}

/// Each document of tests/cases/openapi against the text beside it; `BLESS=1` writes what is there now.
#[test]
#[expect(clippy::disallowed_methods, reason = "the cases are files")]
fn documents_become_what_is_written_beside_them() {
    let mut n_cases = 0;
    for entry in std::fs::read_dir(cases()).unwrap().flatten() {
        let path = entry.path();
        let format = match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("json") => Format::Json,
            Some("yaml") => Format::Yaml,
            _ => continue,
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let became = parse(&text, format).and_then(|document| read(&document, &options()));
        let became = became.map_or_else(|error| format!("{error}\n"), |service| shown(&service));
        let beside = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&beside, &became).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(became, expected, "{}", path.display());
        n_cases += 1;
    }
    assert!(n_cases >= 10, "{n_cases} cases");
}

#[track_caller]
fn yaml(text: &str, expected: Value) {
    assert_eq!(parse(text, Format::Yaml), Ok(expected), "{text}");
}

#[track_caller]
fn refused(text: &str, format: Format, expected: &str) {
    let error = parse(text, format).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

/// OAS-5.
#[test]
fn yaml_means_what_its_core_schema_says() {
    yaml("[yes, no, on, NO, 010, 0o10, 0x1F, +12, -3]", json!(["yes", "no", "on", "NO", 10, 8, 31, 12, -3]));
    yaml(
        "[~, null, '', 'null', True, 1.5, .5, 1e3, 2020-01-01]",
        json!([null, null, "", "null", true, 1.5, 0.5, 1000.0, "2020-01-01"]),
    );
    yaml("{200: ok, '404': no, true: yes}", json!({ "200": "ok", "404": "no", "true": "yes" }));
    yaml("[!!str 12, !!int '12', !!float 3, ! 12]", json!(["12", 12, 3, "12"]));
    yaml("18446744073709551615", json!(18_446_744_073_709_551_615_u64));
    yaml("a: |\n  one\n  two\nb: >\n  one\n  two\n", json!({ "a": "one\ntwo\n", "b": "one two\n" }));
}

/// OAS-5: Docker's document closes its examples below their keys.
#[test]
fn what_closes_may_stand_below_its_key() {
    yaml("a:\n  b: {\n    c: 1\n  }\n  d: [\n    2\n  ]\n", json!({ "a": { "b": { "c": 1 }, "d": [2] } }));
    refused("a:\n  b: {\n    c: 1\n  }\n  d: [\n", Format::Yaml, "in line 6");
    refused("a:\n  b: {\n c: 1\n  }\n", Format::Yaml, "in line 3");
}

/// OAS-5.
#[test]
fn aliases_and_merges_are_what_they_stand_for() {
    yaml(
        "a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}",
        json!({
            "a": { "p": 1, "q": 2 }, "b": { "p": 1, "q": 2 }, "c": { "q": 3, "p": 1 }
        }),
    );
    yaml(
        "a: &x {p: 1}\nb: &y {p: 2, r: 3}\nc:\n  <<: [*x, *y]\n",
        json!({
            "a": { "p": 1 }, "b": { "p": 2, "r": 3 }, "c": { "p": 1, "r": 3 }
        }),
    );
    yaml("'<<': 1", json!({ "<<": 1 }));
}

/// OAS-5.
#[test]
fn what_json_cannot_say_is_refused() {
    refused("a: .nan", Format::Yaml, "JSON has no number for");
    refused("a: -.inf", Format::Yaml, "JSON has no number for");
    refused("a: 1\na: 2", Format::Yaml, "`a` is there twice");
    refused("? [a]\n: 1", Format::Yaml, "a key that is a list");
    refused("a: !!python/object:os.system ls", Format::Yaml, "tag");
    refused("a: !mine 1", Format::Yaml, "tag `!mine`");
    refused("a: 1\n---\nb: 2", Format::Yaml, "a second document");
    refused("a: &x [*x]", Format::Yaml, "stands");
    refused("a: [1", Format::Yaml, "in line");
    refused(r#"{"a": 1, "a": 2}"#, Format::Json, "`a` is there twice");
    refused(r#"{"a": NaN}"#, Format::Json, "line 1");
}

/// OAS-5: a few lines that mean gigabytes.
#[test]
fn an_alias_bomb_ends_at_the_limit() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        writeln!(text, "a{level}: &a{level} [{}]", vec![before; 9].join(", ")).unwrap();
    }
    refused(&text, Format::Yaml, "more than 2000000 values");
    let long = "x".repeat(1 << 20);
    let text = format!("a: &a {long}\nb: [{}]", vec!["*a"; 100].join(", "));
    refused(&text, Format::Yaml, "what aliases stand for");
}

/// OAS-6, and OAS-5 for what is deep in YAML.
#[test]
fn what_is_too_deep_or_too_large_is_refused() {
    for format in [Format::Json, Format::Yaml] {
        refused(&"[".repeat(10_000), format, "line 1");
        refused(&format!("{}{}", "[".repeat(65), "]".repeat(65)), format, "more than 64 objects and lists");
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64)), format).is_ok());
    }
    refused(&" ".repeat(MAX_DOCUMENT + 1), Format::Json, "at most 33554432 are taken");
    let block: String = (0..100).fold(String::new(), |text, level| format!("{text}{}a:\n", " ".repeat(level)));
    refused(&block, Format::Yaml, "in one another");
}

/// OAS-8, OAS-9, C9, G11.
#[test]
fn names_are_legal_stable_and_never_twice() {
    let document = document(json!({
        "/a": { "get": { "operationId": "repos/get all" }, "post": { "operationId": "repos get-all" } },
        "/b": { "get": { "operationId": "REPOS_get_all" }, "put": { "operationId": "é" }, "patch": { "operationId": "" } },
        "/b/{id}": { "get": {}, "delete": { "operationId": "x", "x-tool-name": "gone" } },
        "/c": { "get": { "operationId": "l".repeat(80) } },
    }));
    let names = |naming| {
        let service = read(&document, &Options { naming, ..options() }).unwrap();
        check_definitions(&service.tools.iter().map(|tool| tool.definition().clone()).collect::<Vec<_>>()).unwrap();
        service.tools.iter().map(|tool| tool.definition().name.clone()).collect::<Vec<_>>()
    };
    let long = &names(Naming::Given)[7];
    assert_eq!(long.len(), 64);
    assert_eq!(
        names(Naming::Given)[..7],
        ["repos_get_all", "repos_get-all", "REPOS_get_all_2", "b_patch", "b_put", "gone", "id_get"]
    );
    assert_eq!(names(Naming::GivenExactly), ["REPOS_get_all", "b_patch", "x", "id_get"]);
    assert_eq!(
        names(Naming::Slug)[..7],
        ["repos_get_all", "repos_get_all_2", "repos_get_all_3", "patch_b", "put_b", "x", "get_b_by_id"]
    );
}

/// OAS-8: what is left out does not rename what stays.
#[test]
fn excluding_an_operation_renames_no_other() {
    let document =
        document(json!({ "/a": { "get": { "operationId": "x" } }, "/b": { "get": { "operationId": "x" } } }));
    let exclude = vec![Pattern::parse("GET /a").unwrap()];
    assert_eq!(read(&document, &Options { exclude, ..options() }).unwrap().tools[0].definition().name, "x_2");
}

/// OAS-19, C10.
#[test]
fn how_a_service_is_doing_is_no_tool_unless_it_is_named() {
    let paths = ["/health", "/HealthZ", "/ready/", "/readyz", "/metrics", "/health/{id}", "/healthy"];
    let all: serde_json::Map<_, _> = paths.iter().map(|path| ((*path).to_owned(), json!({ "get": {} }))).collect();
    let kept = |include: &[&str]| {
        let include = include.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let service = read(&document(Value::Object(all.clone())), &Options { include, ..options() }).unwrap();
        service.tools.into_iter().map(|tool| tool.path).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[]), ["/health/{id}", "/healthy"]);
    assert_eq!(kept(&["/**"]), ["/health/{id}", "/healthy"]);
    assert_eq!(kept(&["GET /metrics", "POST /healthy"]), ["/metrics"]);
}

#[test]
fn patterns_are_read_and_wrong_ones_refused() {
    let matches = |pattern: &str, method, path| Pattern::parse(pattern).unwrap().matches(method, path);
    assert!(matches("GET,POST /v1/**", "POST", "/v1/a/{b}"));
    assert!(matches("/v1/*", "DELETE", "/v1/{b}"));
    assert!(!matches("GET /v1/**", "POST", "/v1/a"));
    assert!(!matches("/v1/*", "GET", "/v1/a/b"));
    for wrong in ["", "v1", "get /v1", "/v*/a", "/**/a", "TRACE /a"] {
        assert!(Pattern::parse(wrong).is_err(), "{wrong}");
    }
}

/// OAS-2.
#[test]
fn a_document_never_moves_the_service_to_another_origin() {
    let base_of = |url: Option<&str>, servers: Value| {
        let mut document = document(json!({}));
        document["servers"] = servers;
        let url = url.map(|url| Url::parse(url).unwrap());
        read(&document, &Options { url, ..Options::default() }).map(|service| service.base.to_string())
    };
    let mine = Some("https://api.example.com");
    for (servers, expected) in [
        (json!([]), "https://api.example.com/"),
        (json!([{ "url": "http://169.254.169.254/latest" }]), "https://api.example.com/"),
        (
            json!([{ "url": "https://evil.com/v1" }, { "url": "https://api.example.com/v2/" }]),
            "https://api.example.com/v2",
        ),
        (json!([{ "url": "/v3" }]), "https://api.example.com/v3"),
        (json!([{ "url": "//evil.com/v3" }]), "https://api.example.com/"),
        (json!([{ "url": "https://api.example.com@evil.com/" }]), "https://api.example.com/"),
        (json!([{ "url": "https://user:pw@api.example.com/x" }]), "https://api.example.com/"),
        (
            json!([{ "url": "https://{host}/v1", "variables": { "host": { "default": "evil.com" } } }]),
            "https://api.example.com/",
        ),
        (
            json!([{ "url": "https://{r}.example.com/v1", "variables": { "r": { "default": "eu", "enum": ["eu", "api"] } } }]),
            "https://api.example.com/v1",
        ),
    ] {
        assert_eq!(base_of(mine, servers.clone()), Ok(expected.to_owned()), "{servers}");
    }
    let own_path = base_of(Some("https://api.example.com/mine/"), json!([{ "url": "/v3" }]));
    assert_eq!(own_path, Ok("https://api.example.com/mine".to_owned()));
    assert_eq!(base_of(None, json!([{ "url": "https://a.com/" }])), Ok("https://a.com/".to_owned()));
    assert_eq!(base_of(None, json!([])), Err(DocumentError::NoServer));
    for wrong in ["/v1", "file:///etc/passwd", "https://{host}/"] {
        assert!(base_of(None, json!([{ "url": wrong }])).is_err(), "{wrong}");
    }
}

/// OAS-2.
#[test]
fn an_operation_at_another_origin_is_left_out() {
    let document = document(json!({
        "/a": { "post": { "servers": [{ "url": "https://uploads.example.com" }] } },
        "/b": { "servers": [{ "url": "/other" }], "get": {} },
    }));
    let service = read(&document, &options()).unwrap();
    assert_eq!(service.tools[0].operation().path, [Piece::Text("/other/b".to_owned())]);
    assert_eq!(
        service.left_out,
        [LeftOut {
            operation: "POST /a".to_owned(),
            reason: "it is at `https://uploads.example.com`, and the service at `https://api.example.com`".to_owned(),
        }]
    );
}

fn with_schema(schema: Value) -> Value {
    document(json!({ "/a": { "get": { "parameters": [{ "name": "q", "in": "query", "schema": schema }] } } }))
}

/// OAS-3.
#[test]
fn other_documents_are_out_of_reach_unless_they_are_handed_in() {
    for reference in ["http://evil.com/x.json#/a", "file:///etc/passwd", "../x.yaml", "x.json", "//evil.com/a"] {
        let service = read(&with_schema(json!({ "$ref": reference })), &options()).unwrap();
        assert!(service.left_out[0].reason.contains("another document"), "{:?}", service.left_out);
    }
    let document = with_schema(json!({ "$ref": "types.json#/Name" }));
    let at = Url::parse("https://docs.example.com/api/openapi.json").unwrap();
    let urls = elsewhere(&document, Some(&at));
    assert_eq!(urls, [Url::parse("https://docs.example.com/api/types.json").unwrap()]);
    assert_eq!(elsewhere(&document, None), []);
    let types = json!({ "Name": { "$ref": "#/Text" }, "Text": { "type": "string", "maxLength": 3 } });
    let others = BTreeMap::from([(urls[0].clone(), types)]);
    let tool = only(&document, &Options { document: Some(at), others, ..options() });
    assert_eq!(input(&tool)["properties"]["q"], json!({ "type": "string", "maxLength": 3 }));
}

/// OAS-4.
#[test]
fn references_that_lead_nowhere_or_in_circles_leave_one_operation_out() {
    let mut document = with_schema(json!({ "$ref": "#/components/schemas/a" }));
    let mut chain = serde_json::Map::from_iter([("a".to_owned(), json!({ "$ref": "#/components/schemas/n0" }))]);
    for number in 0..10_000 {
        let next = format!("#/components/schemas/n{}", number + 1);
        chain.insert(format!("n{number}"), json!({ "$ref": next }));
    }
    document["components"]["schemas"] = Value::Object(chain);
    document["paths"]["/b"] = json!({ "get": {} });
    let service = read(&document, &options()).unwrap();
    assert_eq!((service.tools.len(), service.left_out.len()), (1, 1));
    document["components"]["schemas"] = json!({ "a": { "$ref": "#/components/schemas/a" } });
    assert!(read(&document, &options()).unwrap().left_out[0].reason.contains("in a circle"));
    for reference in ["#/nowhere", "#/components/schemas", "#", "#a", "#/paths/~1b/get/nothing", "#/%ff"] {
        document["paths"]["/a"]["get"]["parameters"][0]["schema"]["$ref"] = reference.into();
        let service = read(&document, &options()).unwrap();
        assert_eq!(service.tools.len() + service.left_out.len(), 2, "{reference}");
    }
}

/// OAS-4: `~1` and `%7B` in a pointer.
#[test]
fn a_reference_into_a_path_is_followed() {
    let mut document = with_schema(json!({ "$ref": "#/paths/~1x~1%7Bid%7D/x-type" }));
    document["paths"]["/x/{id}"] = json!({ "x-type": { "type": "boolean" } });
    assert_eq!(input(&only(&document, &options()))["properties"]["q"], json!({ "type": "boolean" }));
}

/// OAS-4.
#[test]
fn a_type_that_contains_itself_stays_one() {
    let mut document = with_schema(json!({ "$ref": "#/components/schemas/Tree" }));
    document["components"]["schemas"]["Tree"] = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } }
    } });
    let tool = only(&document, &options());
    let schema = ArgumentSchema::compile(&tool.definition().input_schema, &[], serde_json::Map::new()).unwrap();
    assert!(schema.prepare(r#"{"q": {"name": "a", "children": [{"name": "b"}]}}"#).is_ok());
    assert!(schema.prepare(r#"{"q": {"name": "a", "children": [{"children": []}]}}"#).is_err());
}

/// OAS-10: values are whole segments or parts of one, and what is fixed is encoded.
#[test]
fn a_path_is_made_of_fixed_text_and_values() {
    let tool = only(&document(json!({ "/a b/{x}.{y}/%41": { "get": {} } })), &options());
    let value = |name: &str| {
        let from = Source::Argument(name.to_owned());
        Piece::Value(PathValue { from, name: name.to_owned(), style: Style::Simple, explode: false })
    };
    let text = |text: &str| Piece::Text(text.to_owned());
    assert_eq!(tool.operation().path, [text("/a%20b/"), value("x"), text("."), value("y"), text("/%41")]);
    assert_eq!(input(&tool)["required"], json!(["x", "y"]));
    for wrong in
        ["/../admin", "/a/%2e%2e/b", "/a?x=1", "/a#b", "a", "/{x", "/x}", "/a%2Fb", "/a\r\nb", "/a\\b", "//evil.com/a"]
    {
        let service = read(&document(json!({ wrong: { "get": {} } })), &options()).unwrap();
        assert_eq!((service.tools.len(), service.left_out.len()), (0, 1), "{wrong}");
    }
}

/// OAS-10: what has to be there is not there as an empty text, an empty list or null.
#[test]
fn what_has_to_be_there_is_not_empty() {
    let text = json!({ "type": "string" });
    let tool = only(
        &json!({ "openapi": "3.1.0", "paths": { "/{a}/{b}/{c}/{f}": { "get": { "parameters": [
            { "name": "a", "in": "path", "required": true, "schema": text },
            { "name": "b", "in": "path", "required": true, "schema": { "anyOf": [text, { "type": "null" }] } },
            { "name": "c", "in": "path", "required": true, "schema": { "enum": ["x"] } },
            { "name": "d", "in": "query", "required": true, "schema": { "type": ["array", "null"], "items": text } },
            { "name": "e", "in": "query", "schema": { "type": "array", "items": text } },
            { "name": "f", "in": "path", "required": true, "schema": {} },
        ] } } } }),
        &options(),
    );
    let full = json!({ "type": "string", "minLength": 1 });
    let of = |name: &str| input(&tool)["properties"][name].clone();
    assert_eq!(of("a"), full);
    assert_eq!(of("b"), json!({ "anyOf": [full] }));
    assert_eq!(of("c"), json!({ "enum": ["x"] }));
    assert_eq!(of("d"), json!({ "type": ["array"], "items": text, "minItems": 1 }));
    assert_eq!(of("e"), json!({ "type": "array", "items": text }));
    assert_eq!(of("f"), json!({ "type": ["string", "number", "boolean"], "minLength": 1 }));
}

/// OAS-12, OAS-13, X16.
#[test]
fn headers_that_are_the_hosts_are_no_arguments() {
    let parameter = |name: &str, at: &str, required: bool| json!({ "name": name, "in": at, "required": required });
    let names = [
        "Host",
        "AUTHORIZATION",
        "Cookie",
        "content-length",
        "Transfer-Encoding",
        "X-HTTP-Method-Override",
        "Accept",
        "X-Api-Key",
        "Mine",
        "X-Key",
    ];
    let mut parameters: Vec<Value> = names.iter().map(|name| parameter(name, "header", true)).collect();
    parameters.extend([parameter("X-Needed", "header", true), parameter("X-Maybe", "header", false)]);
    parameters.extend([parameter("session", "cookie", true), parameter("theme", "cookie", false)]);
    let mut document = document(json!({ "/a": { "get": { "parameters": parameters } } }));
    document["components"]["securitySchemes"] = json!({ "k": { "type": "apiKey", "in": "header", "name": "x-key" } });
    let given_headers = BTreeSet::from(["mine".to_owned()]);
    let taken = |optional_headers| {
        let options = Options { given_headers: given_headers.clone(), optional_headers, ..options() };
        let tool = only(&document, &options);
        tool.operation().parameters.iter().map(|parameter| parameter.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(taken(OptionalHeaders::Hidden), ["X-Needed", "session"]);
    assert_eq!(taken(OptionalHeaders::Shown), ["X-Needed", "X-Maybe", "session", "theme"]);
    let document = self::document(json!({ "/a": { "get": { "parameters": [parameter("a\r\nb", "header", true)] } } }));
    assert!(read(&document, &options()).unwrap().left_out[0].reason.contains("no name of a header"));
}

/// OAS-14, C8, X15, X18.
#[test]
fn what_is_injected_is_hidden_everywhere_and_has_a_place() {
    let document = json!({ "openapi": "3.1.0", "paths": { "/{Tenant}/a": { "post": {
        "parameters": [
            { "name": "Tenant", "in": "path", "required": true },
            { "name": "tenant", "in": "query" },
            { "name": "TENANT", "in": "header", "required": true },
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "example": { "tenant": "shown?" },
            "allOf": [{ "$ref": "#/components/schemas/Base" }],
            "anyOf": [{ "properties": { "tenant": {} }, "required": ["tenant", "x"] }, { "required": ["y"] }],
            "default": { "tenant": 1 },
        } } } },
    } } }, "components": { "schemas": { "Base": { "type": "object", "required": ["tenant", "user"], "properties": {
        "tenant": { "type": "string" }, "user": { "type": "string" }, "more": { "type": "object", "properties":
            { "a": {}, "b": {}, "c": {}, "d": {}, "e": {}, "f": {}, "g": {} } }
    } } } } });
    let tool = only(&document, &injecting(&[("tenant", None), ("trace", None)]));
    let text = tool.definition().input_schema.to_ascii_lowercase();
    assert!(!text.contains("tenant"), "{text}");
    let injected = Source::Injected("tenant".to_owned());
    assert!(matches!(&tool.operation().path[1], Piece::Value(PathValue { from, .. }) if *from == injected));
    assert!(tool.operation().parameters.iter().all(|Parameter { from, .. }| *from == injected));
    let body = tool.operation().body.as_ref().unwrap();
    assert_eq!(body.injected.iter().map(|field| field.from.as_str()).collect::<Vec<_>>(), ["trace"]);
}

/// OAS-14: a field of a body, under the document's own spelling; a header where the operator says so.
#[test]
fn an_injected_field_keeps_its_name_on_the_wire() {
    let document = document(json!({ "/a": { "post": { "requestBody": { "content": { "application/json": { "schema": {
        "type": "object", "properties": { "accountId": {}, "x": {} }, "required": ["accountId"]
    } } } } } } }));
    let tool = only(&document, &injecting(&[("ACCOUNTID", None), ("X-Org", Some(Location::Header))]));
    let body = tool.operation().body.as_ref().unwrap();
    assert_eq!((body.injected[0].from.as_str(), body.injected[0].name.as_str()), ("ACCOUNTID", "accountId"));
    let header = &tool.operation().parameters[0];
    assert_eq!((header.name.as_str(), header.at), ("X-Org", Location::Header));
    assert_eq!(input(&tool)["properties"], json!({ "x": {} }));
}

/// OAS-15.
#[test]
fn methods_are_what_they_promise() {
    let all: serde_json::Map<_, _> = METHODS.iter().map(|method| ((*method).to_owned(), json!({}))).collect();
    let service =
        read(&document(json!({ "/a": all, "/b": { "get": { "requestBody": { "required": true } } } })), &options());
    let service = service.unwrap();
    let risks: Vec<_> =
        service.tools.iter().map(|tool| (tool.operation().method.as_str(), tool.definition().risk)).collect();
    assert_eq!(
        risks,
        [
            ("DELETE", Risk::High),
            ("GET", Risk::Low),
            ("HEAD", Risk::Low),
            ("OPTIONS", Risk::Low),
            ("PATCH", Risk::Medium),
            ("POST", Risk::Medium),
            ("PUT", Risk::Medium)
        ]
    );
    let left: Vec<_> = service.left_out.iter().map(|left| left.operation.as_str()).collect();
    assert_eq!(left, ["TRACE /a", "GET /b"]);
}

/// OAS-16.
#[test]
fn schemas_that_lie_become_schemas_that_can_be_checked() {
    let lies = json!({ "type": "int", "enum": [], "pattern": "(a+)+$(?<!x)", "minimum": "3", "minLength": -1, "items": 3,
        "required": true, "properties": [], "allOf": [], "format": 5, "maxItems": 99999999999999999999999.0_f64,
        "exclusiveMinimum": true, "multipleOf": 0, "$id": "http://evil.com", "$schema": "x", "$dynamicRef": "#x" });
    assert_eq!(input(&only(&with_schema(lies), &options()))["properties"]["q"], json!({}));
    let huge: Vec<Value> = (0..100_000).map(Value::from).collect();
    let schema = input(&only(&with_schema(json!({ "type": "integer", "enum": huge })), &options()));
    assert_eq!(schema["properties"]["q"], json!({ "type": "integer" }));
    let bounds = json!({ "type": "integer", "minimum": 1, "exclusiveMinimum": true, "nullable": true, "example": 3 });
    assert_eq!(
        input(&only(&with_schema(bounds), &options()))["properties"]["q"],
        json!({ "type": ["integer", "null"], "exclusiveMinimum": 1, "examples": [3] })
    );
}

/// OAS-16, OAS-7: types that are large together are described as far as there is room.
#[test]
fn a_document_of_large_types_does_not_exhaust_anybody() {
    let mut document = with_schema(json!({ "$ref": "#/components/schemas/T0" }));
    for number in 0..300 {
        let fields: serde_json::Map<_, _> = (0..100)
            .map(|field| {
                (format!("f{field}"), json!({ "$ref": format!("#/components/schemas/T{}", (number + field) % 300) }))
            })
            .collect();
        document["components"]["schemas"][format!("T{number}")] = json!({ "type": "object", "properties": fields });
    }
    let service = read(&document, &options()).unwrap();
    assert_eq!(service.tools.len() + service.left_out.len(), 1);
}

/// OAS-7: many paths that are all one large item, where each costs as much as one.
#[test]
fn what_is_shared_is_paid_for_each_time() {
    let fields = |n: usize, what: Value| (0..n).map(|number| (format!("f{number}"), what.clone())).collect::<Value>();
    let choices: Vec<Value> = (0..400).map(|number| "x".repeat(60 + number).into()).collect();
    let mut document = document(json!({}));
    document["x-item"] = json!({ "post": {
        "tags": vec!["t"; 50_000], "security": vec![json!({ "a": [] }); 50_000],
        "description": "d".repeat(1 << 20), "servers": vec![json!({ "url": "/a" }); 100],
        "responses": fields(20_000, json!({})),
        "requestBody": { "content": { "application/json": { "schema": { "type": "object",
            "properties": fields(20_000, json!({ "enum": choices.clone() })),
            "default": fields(20_000, json!(1)), "required": vec!["f1"; 20_000] } } } },
    } });
    for number in 0..2_000 {
        document["paths"][format!("/p{number}")] = json!({ "$ref": "#/x-item" });
    }
    let service = read(&document, &options()).unwrap();
    assert_eq!(service.tools.len() + service.left_out.len(), 2_000);
    assert!(service.left_out.iter().any(|left| left.reason.contains("describes more than is taken")));
}

/// OAS-7: a type that comes back from many operations, too large to be told, is looked at once.
#[test]
fn a_large_type_of_results_is_looked_at_once() {
    let fields: Value = (0..9_000).map(|number| (format!("f{number}"), json!({ "type": "string" }))).collect();
    let schema = json!({ "$ref": "#/components/schemas/T" });
    let get = json!({ "get": { "responses": { "200": { "content": { "application/json": { "schema": schema } } } } } });
    let paths = (0..600).map(|number| (format!("/p{number}"), get.clone())).collect();
    let mut document = document(paths);
    document["components"]["schemas"]["T"] = json!({ "type": "object", "properties": fields });
    let service = read(&document, &options()).unwrap();
    assert_eq!((service.tools.len(), service.left_out.as_slice()), (600, &[][..]));
}

/// OAS-7.
#[test]
fn ten_thousand_operations_are_too_many_and_it_is_said() {
    let paths: serde_json::Map<_, _> =
        (0..10_000).map(|number| (format!("/p{number:05}"), json!({ "get": {} }))).collect();
    let service = read(&document(Value::Object(paths)), &options()).unwrap();
    assert_eq!((service.tools.len(), service.left_out.len()), (MAX_OPERATIONS, 10_000 - MAX_OPERATIONS));
    assert_eq!(service.left_out[0].reason, "there are 4096 tools already; `include` those that are needed");
}

fn body_of(media: &str, schema: Value) -> Body {
    let operation = json!({ "requestBody": { "required": true, "content": { media: { "schema": schema } } } });
    only(&document(json!({ "/a": { "post": operation } })), &options()).operation().body.clone().unwrap()
}

/// OAS-17.
#[test]
fn bodies_are_of_every_kind_that_can_be_made() {
    for (media, kind, written) in [
        ("application/json", Kind::Json, "application/json"),
        ("application/vnd.api+json; v=1", Kind::Json, "application/vnd.api+json; v=1"),
        ("*/*", Kind::Json, "application/json"),
        ("application/x-www-form-urlencoded", Kind::Form, "application/x-www-form-urlencoded"),
        ("multipart/form-data", Kind::Multipart, "multipart/form-data"),
        ("text/plain", Kind::Text, "text/plain"),
        ("application/xml", Kind::Text, "application/xml"),
        ("application/octet-stream", Kind::Bytes, "application/octet-stream"),
        ("image/*", Kind::Bytes, "application/octet-stream"),
    ] {
        let body = body_of(media, json!({ "type": "string" }));
        assert_eq!((body.kind, body.media.as_str()), (kind, written), "{media}");
        assert_eq!(body.content, Content::Whole { argument: "body".to_owned() });
    }
    for wrong in ["multipart/mixed", "text/plain\r\nX: y", "nothing"] {
        let operation = json!({ "requestBody": { "required": true, "content": { wrong: {} } } });
        let service = read(&document(json!({ "/a": { "post": operation } })), &options()).unwrap();
        assert_eq!(service.left_out.len(), 1, "{wrong}");
    }
}

/// OAS-17.
#[test]
fn files_objects_and_texts_are_parts_of_a_form() {
    let schema = json!({ "type": "object", "properties": {
        "file": { "type": "string", "format": "binary" },
        "files": { "type": "array", "items": { "type": "string", "format": "binary" } },
        "about": { "type": "object", "properties": { "a": {} } }, "title": { "type": "string" } } });
    let Content::Fields { fields, .. } = body_of("multipart/form-data", schema).content else { panic!("fields") };
    let file = Part::File { media: "application/octet-stream".to_owned() };
    let parts: Vec<_> = fields.into_iter().filter_map(|field| field.part).collect();
    assert_eq!(
        parts,
        [
            file.clone(),
            file,
            Part::Json { media: "application/json".to_owned() },
            Part::Text { style: Style::Form, explode: true }
        ]
    );
}

/// OAS-24.
#[test]
fn descriptions_are_cut_and_hide_nothing() {
    let long = format!("a\u{200b}b\u{202e}c\u{e0041}{}", "é".repeat(1 << 20));
    let mut document =
        with_schema(json!({ "type": "string", "description": long, "enum": ["a\u{200b}"], "default": "\u{feff}" }));
    document["paths"]["/a"]["get"]["description"] = long.clone().into();
    document["paths"]["/a"]["get"]["summary"] = "two\nlines\u{7}".into();
    let tool = only(&document, &options());
    check_definitions(std::slice::from_ref(tool.definition())).unwrap();
    assert!(tool.definition().description.starts_with("two\nlines\n\nabcéé"));
    assert!(tool.definition().description.len() <= 8 << 10);
    assert_eq!(tool.definition().title.as_deref(), Some("two lines"));
    assert!(input(&tool)["properties"]["q"]["description"].as_str().unwrap().len() <= 1 << 10);
}

/// OAS-21.
#[test]
fn what_is_no_document_is_refused() {
    for wrong in
        [json!([]), json!({}), json!({ "openapi": "4.0" }), json!({ "swagger": "1.2" }), json!({ "openapi": true })]
    {
        assert!(matches!(read(&wrong, &options()), Err(DocumentError::Not(_))), "{wrong}");
    }
    let webhooks = json!({ "openapi": "3.1.0", "webhooks": { "x": { "post": {} } }, "paths": { "/a": { "post": {
        "callbacks": { "c": { "{$request.body#/url}": { "post": {} } } } } } } });
    assert_eq!(only(&webhooks, &options()).path, "/a");
}

const DAMAGED: [&str; 5] = [
    include_str!("../../../../tests/cases/openapi/fastapi.json"),
    include_str!("../../../../tests/cases/openapi/swagger.yaml"),
    include_str!("../../../../tests/cases/openapi/parameters.yaml"),
    include_str!("../../../../tests/cases/openapi/bodies.yaml"),
    include_str!("../../../../tests/cases/openapi/schemas.yaml"),
];

/// Any JSON, mostly of words that mean something.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "$ref",
        "#/paths",
        "#/components/schemas/A",
        "type",
        "object",
        "string",
        "array",
        "properties",
        "items",
        "allOf",
        "anyOf",
        "required",
        "schema",
        "name",
        "in",
        "query",
        "path",
        "header",
        "body",
        "formData",
        "parameters",
        "content",
        "application/json",
        "multipart/form-data",
        "requestBody",
        "responses",
        "200",
        "get",
        "post",
        "/a/{b}",
        "/{x",
        "servers",
        "url",
        "https://{x}/",
        "variables",
        "enum",
        "nullable",
        "additionalProperties",
        "security",
        "style",
        "x",
    ];
    let word = prop::sample::select(words.to_vec());
    let leaf = prop_oneof![
        word.clone().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        ".{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is in it, a document becomes tools that hold, or is refused.
    #[test]
    fn no_document_breaks_the_reader(item in any_json(), operation in any_json(), schema in any_json(), swagger: bool) {
        let version = if swagger { ("swagger", "2.0") } else { ("openapi", "3.0.0") };
        let mut operation = operation;
        if let Value::Object(fields) = &mut operation {
            fields.entry("parameters").or_insert_with(|| json!([schema.clone(), { "name": "b", "in": "path", "schema": schema }]));
        }
        let document = json!({ version.0: version.1, "paths": { "/a/{b}": { "post": operation, "get": item.clone() }, "/c": item },
            "components": { "schemas": { "A": schema } }, "servers": schema, "security": schema });
        if let Ok(service) = read(&document, &injecting(&[("x", None)])) {
            let definitions: Vec<_> = service.tools.iter().map(|tool| tool.definition().clone()).collect();
            prop_assert!(check_definitions(&definitions).is_ok());
            for definition in definitions {
                prop_assert!(ArgumentSchema::compile(&definition.input_schema, &[], serde_json::Map::new()).is_ok());
            }
        }
    }

    /// A document of ours with a piece of it gone, doubled or overwritten.
    #[test]
    fn a_damaged_document_breaks_nothing(which in 0..DAMAGED.len(), from in 0_usize..6000, long in 0_usize..60, with in ".{0,4}") {
        let text = DAMAGED[which];
        let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(from + long));
        for damaged in [
            format!("{}{with}{}", &text[..from], &text[to..]),
            format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
            text[..from].to_owned(),
        ] {
            if let Ok(document) = parse(&damaged, Format::Either) {
                let _ = elsewhere(&document, None);
                let _ = read(&document, &injecting(&[("id", None), ("tag", Some(Location::Body))]));
            }
        }
    }

    /// YAML that was damaged is an error or a value of a bounded size.
    #[test]
    fn no_text_breaks_the_parser(text in "[\\-a:&*x \n\\[\\]{},'\"|>!~<#?%0-9]{0,200}") {
        let _ = parse(&text, Format::Yaml);
        let _ = parse(&text, Format::Json);
    }

    /// JSON is YAML too, and means the same.
    #[test]
    fn json_is_read_the_same_as_yaml(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(parse(&text, Format::Json), parse_json(&text).map_err(|_| DocumentError::NoServer));
        if text.chars().all(|character| character.is_ascii_graphic() || character == ' ') {
            prop_assert_eq!(parse(&text, Format::Yaml), Ok(value));
        }
    }
}
