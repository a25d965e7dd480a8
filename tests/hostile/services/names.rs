//! What operations call themselves: names that are none, names of others, and paths that are never tools.

use serde_json::{Map, Value, json};

use super::{Service, counted, document, get, left_out};
use crate::support::TestHost;
use crate::support::host::World;

/// The tool that asks for this path, found by calling all of them.
async fn tool_of(host: &TestHost, service: &Service, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let expected = path.replace("{id}", "v").replace('\u{e9}', "%C3%A9");
    for name in host.listed() {
        let before = service.asked().len();
        let takes = !host.schema(&name)["required"].is_null();
        let _ = host.call(&name, if takes { json!({"id": "v"}) } else { json!({}) }).await;
        if service.asked().get(before).is_some_and(|request| request.target == expected) {
            found.push(name);
        }
    }
    found
}

/// Every operation is a tool or has a reason, and each tool does what its own operation says.
async fn each_is_its_own(operations: &[(&str, Value)], openapi: &str) -> Vec<Option<String>> {
    let paths: Map<String, Value> = operations.iter().map(|(path, item)| ((*path).to_owned(), item.clone())).collect();
    let service = Service::of(&document(Value::Object(paths))).await;
    let host = service.host(openapi, "").await;
    let listed = host.listed();
    let mut folded: Vec<String> = listed.iter().map(|name| name.to_ascii_lowercase()).collect();
    folded.dedup();
    assert_eq!(folded.len(), listed.len(), "{listed:?}");
    for name in &listed {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!((1..=64).contains(&name.len()) && name.chars().all(legal), "{name:?}");
    }
    let mut named = Vec::new();
    for (path, _) in operations {
        let found = tool_of(&host, &service, path).await;
        assert!(found.len() <= 1, "{path}: {found:?}");
        assert!(
            found.len() == 1 || left_out(&host).contains(path),
            "{path}: neither a tool nor a reason: {}",
            left_out(&host)
        );
        named.push(found.into_iter().next());
    }
    named
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}

#[tokio::test]
async fn oas8_names_that_are_none_or_the_same_become_names_of_their_own() {
    let none = json!([]);
    let long = "x".repeat(300);
    let strange = [
        "../../etc/passwd",
        "a b",
        "a/b",
        "a.b",
        "",
        " ",
        "\0",
        "\u{1b}[31mred",
        "\u{202e}txet",
        "n\u{e9}e",
        "\u{4f60}\u{597d}",
        "a\nb",
        "__proto__",
        "constructor",
        "-",
        "_",
        "--help",
        "shop__ping",
        long.as_str(),
        "\u{ff41}",
        "a'; DROP TABLE tools; --",
        "{{secret:x}}",
    ];
    let paths: Vec<String> = (0..strange.len()).map(|n| format!("/s{n}")).collect();
    let operations: Vec<(&str, Value)> =
        paths.iter().map(String::as_str).zip(strange.iter().map(|name| get(name, none.clone()))).collect();
    let named = each_is_its_own(&operations, "").await;
    assert!(named.iter().all(Option::is_some), "{named:?}");
    let slugs = each_is_its_own(&operations, ", naming = \"slug\"").await;
    assert!(slugs.iter().all(Option::is_some), "{slugs:?}");
    // As they are, or not at all.
    let exact = each_is_its_own(&operations, ", naming = \"exact\"").await;
    let kept: Vec<&String> = exact.iter().flatten().collect();
    assert!(kept.iter().all(|name| strange.contains(&name.as_str()) || name.ends_with("_get")), "{kept:?}");

    let same = |path: &'static str, name: &str| (path, get(name, none.clone()));
    let operations = [
        same("/a", "same"),
        same("/b", "same"),
        same("/c", "SAME"),
        same("/d", "same_2"),
        same("/e", "sa me"),
        same("/f", "sa/me"),
        same("/g", "sa_me"),
    ];
    let named = each_is_its_own(&operations, "").await;
    assert_eq!(named, some(&["same", "same_2", "SAME_3", "same_2_2", "sa_me", "sa_me_2", "sa_me_3"]));
    // Long names of one beginning stay two.
    let (one, other) = (format!("{long}a"), format!("{long}b"));
    let named = each_is_its_own(&[same("/a", &one), same("/b", &other)], "").await;
    assert_ne!(named[0], named[1]);
    // The document's own word for it comes first.
    let mut own = get("id", none.clone());
    own["get"]["x-tool-name"] = json!("chosen");
    assert_eq!(each_is_its_own(&[("/a", own.clone())], "").await, some(&["chosen"]));
    assert_eq!(each_is_its_own(&[("/a", own)], ", naming = \"exact\"").await, some(&["id"]));
    counted("OAS-8", 3 * strange.len() + 7 + 2 + 2);
}

#[tokio::test]
async fn oas8_no_document_takes_anothers_name() {
    let names = [
        "search_tools",
        "describe_tool",
        "call_tool",
        "get_current_datetime",
        "now",
        "web__x",
        "datetime__now",
        "shop",
        "other__ping",
        "ping",
    ];
    let paths: Map<String, Value> = names.iter().map(|name| (format!("/{name}"), get(name, json!([])))).collect();
    let service = Service::of(&document(Value::Object(paths))).await;
    let other =
        Service::of(&document(json!({"/ping": get("ping", json!([])), "/alone": get("alone", json!([]))}))).await;
    let builtin = "[plugins.datetime]\ncomponent = \"builtin:datetime\"\n";
    let before = World::new().start(builtin).await.listed();
    let all = format!("{builtin}{}{}", service.plugin("shop", "", ""), other.plugin("other", "", ""));
    let host = World::new().start(&all).await;
    let listed = host.listed();
    for name in &before {
        assert!(listed.contains(name), "`{name}` of the host's own is taken away: {listed:?}");
    }
    let mine: Vec<&String> = listed.iter().filter(|name| name.contains("ping") || name.contains("alone")).collect();
    assert_eq!(mine, ["alone", "other__ping", "shop__other__ping", "shop__ping"], "{listed:?}");
    // A document that calls an operation as a built-in tool is called changes nothing for that.
    let own = before.first().expect("it has tools").clone();
    let thief =
        Service::of(&document(json!({"/x": get(&own, json!([])), "/y": get(&own.replace('_', "-"), json!([]))}))).await;
    let host = World::new().start(&format!("{builtin}{}", thief.plugin("thief", "", ""))).await;
    assert!(host.listed().contains(&own), "{:?}", host.listed());
    let _ = host.call(&own, json!({})).await;
    assert_eq!(thief.asked().len(), 0, "{:?}", host.listed());
    let _ = host.call(&format!("thief__{own}"), json!({})).await;
    assert_eq!(thief.asked().len(), 1, "{:?}", host.listed());
    for reserved in ["search_tools", "describe_tool", "call_tool"] {
        assert!(!listed.contains(&reserved.to_owned()), "{listed:?}");
    }
    counted("OAS-8", names.len() + 4);
}

#[tokio::test]
async fn oas9_operations_without_names_are_called_after_their_paths() {
    let bare = || json!({"get": {}});
    let named = each_is_its_own(
        &[
            ("/", bare()),
            ("/a", bare()),
            ("/a/", bare()),
            ("/b/a", bare()),
            ("/a/{id}", bare()),
            ("/A", bare()),
            ("/x/{id}/", bare()),
            ("/\u{e9}\u{e9}", bare()),
            ("/.well-known", bare()),
            ("/a-b", bare()),
            ("/a_b", bare()),
            ("/a%20b", bare()),
        ],
        "",
    )
    .await;
    let plain: Vec<&str> = named.iter().flatten().map(String::as_str).collect();
    assert!(plain.contains(&"root_get") && plain.contains(&"A_get") && plain.contains(&"a_get_2"), "{named:?}");
    for naming in ["slug", "exact"] {
        each_is_its_own(
            &[("/a", bare()), ("/b/a", bare()), ("/a/{id}", bare()), ("/a/id", bare())],
            &format!(", naming = \"{naming}\""),
        )
        .await;
    }
    // One that is called as another would be.
    let named = each_is_its_own(
        &[
            ("/a", bare()),
            ("/b", get("a_get", json!([]))),
            ("/c/a", json!({"get": {"operationId": 7}})),
            ("/d/a", json!({"get": {"operationId": null}})),
        ],
        "",
    )
    .await;
    assert_eq!(named, some(&["a_get", "a_get_2", "a_get_3", "a_get_4"]));
    counted("OAS-9", 12 + 8 + 4);
}

#[tokio::test]
async fn oas19_paths_that_speak_of_the_service_are_no_tools_however_they_are_spelt() {
    let known = ["/health", "/healthz", "/ready", "/readyz", "/metrics"];
    let mut spelt: Vec<String> = Vec::new();
    for path in known {
        let upper = path.to_ascii_uppercase();
        let title = format!("/{}{}", &upper[1..2], &path[2..]);
        spelt.extend([
            path.to_owned(),
            format!("{path}/"),
            format!("{path}//"),
            upper.clone(),
            format!("{upper}/"),
            title,
        ]);
        spelt.extend([path.replace('e', "%65"), format!("{path}%2F"), format!("{path};x=1")]);
    }
    let mut paths: Map<String, Value> =
        spelt.iter().enumerate().map(|(n, path)| (path.clone(), get(&format!("op_{n}"), json!([])))).collect();
    paths.insert("/v1/health".to_owned(), get("of_a_person", json!([])));
    paths.insert("/healthcare".to_owned(), get("another", json!([])));
    paths.insert("/health/{id}".to_owned(), get("of_one", json!([])));
    paths.insert("/metrics".to_owned(), json!({"get": {"operationId": "get_m"}, "post": {"operationId": "post_m"}}));
    let service = Service::of(&document(Value::Object(paths))).await;
    let host = service.host("", "").await;
    let listed = host.listed();
    assert!(["another", "of_a_person", "of_one"].iter().all(|name| listed.contains(&(*name).to_owned())), "{listed:?}");
    let others: Vec<&String> = listed.iter().filter(|name| name.starts_with("op_") || name.ends_with("_m")).collect();
    let told: Vec<&String> =
        others.iter().filter_map(|name| spelt.get(name.strip_prefix("op_")?.parse::<usize>().ok()?)).collect();
    assert!(others.is_empty(), "these are tools: {told:?}");
    // Named by itself it is one; by a pattern for many it is not.
    let host = service.host(", include = [\"GET /metrics\", \"/healthz\"]", "").await;
    assert_eq!(host.listed(), ["get_m", "op_9"], "{}", left_out(&host));
    let host = service.host(", include = [\"/**\"]", "").await;
    assert!(!host.listed().contains(&"get_m".to_owned()), "{:?}", host.listed());
    let host = service.host(", include = [\"/*\"], exclude = [\"/metrics\"]", "").await;
    assert!(!host.listed().contains(&"get_m".to_owned()), "{:?}", host.listed());
    counted("OAS-19", spelt.len() + 4 + 3);
}

#[tokio::test]
async fn oas19_exclude_wins_and_names_whole_paths() {
    let paths: Map<String, Value> =
        ["/a", "/a/b", "/a/b/c", "/admin", "/admin/x", "/Admin", "/admin/", "/ad%6Din", "/admin;v=1", "//admin"]
            .iter()
            .enumerate()
            .map(|(n, path)| {
                (
                    (*path).to_owned(),
                    json!({"get": {"operationId": format!("g{n}")}, "post": {"operationId": format!("p{n}")}}),
                )
            })
            .collect();
    let service = Service::of(&document(Value::Object(paths))).await;
    let mut inputs = 0;
    for (openapi, expected) in [
        (", exclude = [\"/**\"]", ""),
        (", include = [\"GET /**\"], exclude = [\"/a/**\"]", "g3 g4 g5 g6 g7 g8"),
        // However it is spelt, and nothing below it.
        (", include = [\"GET /**\"], exclude = [\"/admin\", \"/a/**\"]", "g4"),
        (", include = [\"GET /**\"], exclude = [\"GET /ADMIN/**\", \"/a/**\"]", ""),
        (", include = [\"GET /**\"], exclude = [\"POST /admin/**\", \"/a/**\"]", "g3 g4 g5 g6 g7 g8"),
        (", include = [\"/admin\"]", "g3 p3"),
        (", include = [\"GET /a\", \"POST /a/*\"]", "g0 p1"),
        (", include = [\"/a/b\"], exclude = [\"POST /a/b\"]", "g1"),
        (", include = [\"/nothing\"]", ""),
    ] {
        let host = service.host(openapi, "").await;
        assert_eq!(host.listed().join(" "), expected, "{openapi}");
        inputs += 1;
    }
    for wrong in [
        "include = [\"admin\"]",
        "include = [\"/a*\"]",
        "exclude = [\"/**/x\"]",
        "exclude = [\"FETCH /a\"]",
        "exclude = [\"\"]",
    ] {
        let text = service.plugin("shop", &format!(", {wrong}"), "");
        assert!(World::new().config(&text).is_err(), "{wrong}");
        inputs += 1;
    }
    counted("OAS-19", inputs);
}
