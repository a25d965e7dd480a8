use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::call::Ceiling;
use crate::grant::{AddressRange, NetGrant, NetGrants, Placement, Section};

fn registration(protocol: Protocol) -> Registration {
    Registration {
        id: "5c0b7c5e-7d4f-4f39-9d0b-0f7c0c6b2a11".to_owned(),
        name: PluginName::parse("weather").unwrap(),
        title: None,
        protocol,
        timeout_ms: DEFAULT_TIMEOUT_MS,
        headers: Vec::new(),
        inject: Vec::new(),
        addresses: Vec::new(),
        net: Vec::new(),
        owner: "cli".to_owned(),
        created_at: 1_700_000_000,
        updated_at: 1_700_000_000,
    }
}

fn openapi(url: &str, spec: Option<Document>) -> Protocol {
    let naming = Naming::OperationId;
    Protocol::OpenApi(OpenApi {
        url: url.to_owned(),
        spec,
        naming,
        include: vec!["GET /points/**".to_owned()],
        exclude: Vec::new(),
        unverified_tls: false,
        login: None,
    })
}

fn logged_in(login_url: &str, body: &str, secrets: &[&str]) -> Registration {
    let mut protocol = openapi("https://api.example.com/v1", None);
    let Protocol::OpenApi(service) = &mut protocol else { unreachable!() };
    service.login = Some(login::Login {
        url: login_url.to_owned(),
        method: "POST".to_owned(),
        body: body.to_owned(),
        content_type: None,
        credential: login::Credential::Cookie("session".to_owned()),
        header: None,
        format: None,
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
    });
    registration(protocol)
}

fn mcp(url: &str) -> Protocol {
    Protocol::Mcp(Mcp { url: url.to_owned(), tool: "search".to_owned(), input_schema: None, output_schema: None })
}

fn header(name: &str, format: &str) -> Header {
    Header { name: name.to_owned(), format: format.to_owned() }
}

#[test]
fn c7_a_registration_stands_for_a_table() {
    let mut weather = registration(openapi("https://api.example.com/v1", None));
    weather.headers = vec![header("Authorization", "Bearer {}"), header("X-Api-Key", "{}")];
    weather.inject = vec!["units".to_owned()];
    let expected = r#"[plugins.weather]
net = ["GET,HEAD,POST,PUT,PATCH,DELETE https://api.example.com"]

[plugins.weather.limits]
time = "10s"

[plugins.weather.openapi]
include = ["GET /points/**"]
naming = "operation-id"
url = "https://api.example.com/v1"

[plugins.weather.secrets.Authorization]
env = "WEATHER_AUTHORIZATION"
format = "Bearer {}"
header = "Authorization"
origin = "https://api.example.com"

[plugins.weather.secrets.X-Api-Key]
env = "WEATHER_X_API_KEY"
header = "X-Api-Key"
origin = "https://api.example.com"
"#;
    assert_eq!(weather.table().unwrap().unwrap(), expected);
}

#[test]
fn what_is_needed_is_granted_and_no_more() {
    let net = |protocol| registration(protocol).net().unwrap();
    let elsewhere = Document::Url("https://docs.example.com/openapi.yaml".to_owned());
    assert_eq!(
        net(openapi("https://api.example.com", Some(elsewhere))),
        ["GET,HEAD,POST,PUT,PATCH,DELETE https://api.example.com", "GET https://docs.example.com"]
    );
    let beside = Document::Url("https://api.example.com/docs/openapi.yaml".to_owned());
    assert_eq!(net(openapi("https://api.example.com", Some(beside))).len(), 1);
    assert_eq!(net(mcp("https://hub.example.com/mcp")), ["GET,POST,DELETE https://hub.example.com"]);
    let echo = Http {
        url: "http://localhost:8000/anything/{id}".to_owned(),
        method: "PUT".to_owned(),
        description: String::new(),
        input_schema: None,
        output_schema: None,
        unverified_tls: false,
    };
    assert_eq!(net(Protocol::Http(echo)), ["PUT http://localhost:8000"]);
    for wrong in ["api.example.com", "ftp://x.example", "https://", ""] {
        assert!(registration(openapi(wrong, None)).net().is_err(), "{wrong}");
    }
}

#[test]
fn this_machines_addresses_come_with_its_names_alone() {
    let ranges = |url: &str| registration(openapi(url, None)).ranges();
    for here in ["http://localhost:8000", "http://api.localhost:8000/x", "http://LOCALHOST./"] {
        assert_eq!(ranges(here), ["127.0.0.0/8", "::1/128"], "{here}");
    }
    for elsewhere in
        ["http://127.0.0.1:8000", "http://[::1]:8000", "https://localhost.example.com", "https://x.example"]
    {
        assert!(ranges(elsewhere).is_empty(), "{elsewhere}");
    }
    let mut named = registration(openapi("http://localhost:8000", None));
    named.addresses = vec!["10.0.0.0/8".to_owned(), "127.0.0.0/8".to_owned()];
    assert_eq!(named.ranges(), ["10.0.0.0/8", "127.0.0.0/8", "::1/128"]);
}

#[test]
fn g10_one_tool_of_a_server_is_a_plugin_with_kept_secrets() {
    let mut hub = registration(mcp("https://hub.example.com/mcp"));
    hub.headers = vec![header("Authorization", "Bearer {}")];
    let plugin = hub.plugin().unwrap().unwrap();
    assert!(plugin.kept);
    assert_eq!(plugin.grants.at, "bailiwick tools show --toml weather:1");
    let [secret] = plugin.grants.secrets.as_slice() else { panic!("{:?}", plugin.grants.secrets) };
    assert_eq!(secret.source, SecretSource::Kept);
    let binding = secret.binding.as_ref().unwrap();
    assert_eq!(binding.origin.to_string(), "https://hub.example.com");
    let expected = Placement::Header { name: "authorization".to_owned(), format: "Bearer {}".to_owned() };
    assert_eq!(binding.placement, expected);
    assert!(plugin.rules_for("search").allowed && !plugin.rules_for("delete").allowed);
    assert_eq!(plugin.limits.time.as_millis(), 10_000);
}

#[test]
fn g1_a_second_name_is_no_plugin() {
    let tool = ToolName::parse("web_fetch").unwrap();
    let native = Native { tool, description: None, input_schema: None, output_schema: None };
    let native = registration(Protocol::Native(native));
    assert!(native.plugin().unwrap().is_none() && native.table().unwrap().is_none() && native.url().is_none());
}

#[test]
fn c7_headers_do_not_go_over_a_network_unencrypted() {
    let mut service = registration(mcp("http://10.1.2.3:8000/mcp"));
    service.headers = vec![header("X-Key", "{}")];
    let flaw = service.plugin().unwrap_err();
    assert_eq!(flaw.message, "`http://10.1.2.3:8000` would get the headers over the network unencrypted");
    service.protocol = mcp("http://127.0.0.1:8000/mcp");
    assert!(service.plugin().is_ok());
}

#[test]
fn nothing_in_it_stands_for_a_variable() {
    let mut service = registration(mcp("https://hub.example.com/mcp?x=${HOME}"));
    let plugin = service.plugin().unwrap().unwrap();
    assert_eq!(plugin.class.remote().unwrap().url.query(), Some("x=${HOME}"));
    service.net = vec!["GET,POST,DELETE https://${HOST}".to_owned()];
    assert!(service.plugin().is_err());
}

#[test]
fn what_the_reader_refuses_is_refused() {
    let mut service = registration(mcp("https://hub.example.com/mcp"));
    service.net = vec!["GET https://hub.example.com".to_owned()];
    assert!(service.plugin().unwrap_err().message.contains("out of reach"));
    service.net = Vec::new();
    service.timeout_ms = 0;
    assert_eq!(service.plugin().unwrap_err().message, "the timeout has to be more than 0");
    service.timeout_ms = u64::MAX;
    assert!(service.plugin().is_err());
}

#[test]
fn c2_lines_are_names_and_values() {
    assert_eq!(header_line(" X-Key :  a:b  "), Ok(("X-Key", "a:b")));
    assert_eq!(inject_line(" units = si=x "), Ok(("units", "si=x")));
    assert_eq!(inject_line("units="), Ok(("units", "")));
    for wrong in ["", "X-Key canary", ":canary", "  : canary"] {
        let flaw = header_line(wrong).unwrap_err();
        assert!(!flaw.message.contains("canary"), "{flaw}");
    }
    for wrong in ["", "canary", "=canary", "  =canary"] {
        let flaw = inject_line(wrong).unwrap_err();
        assert!(!flaw.message.contains("canary"), "{flaw}");
    }
}

#[test]
fn c7_a_credential_is_told_from_the_word_before_it() {
    let check = |value: &str, format: &str, sealed: &str| {
        assert_eq!(Header::of("Authorization", value), Ok((header("Authorization", format), sealed)), "{value}");
    };
    check("Bearer abc", "Bearer {}", "abc");
    check(" bearer   abc ", "bearer {}", "abc");
    check("Token abc def", "Token {}", "abc def");
    check("Basic YTpi", "Basic {}", "YTpi");
    check("Digest username=x", "{}", "Digest username=x");
    check("Bearer", "{}", "Bearer");
    for (name, value) in [("X-Key", ""), ("X-Key", "  "), ("Host", "x"), ("a b", "x"), ("x.y", "x"), ("X", "ca\nnary")]
    {
        let flaw = Header::of(name, value).unwrap_err();
        assert!(!flaw.message.contains("nary"), "{flaw}");
    }
}

#[test]
fn c2_a_header_is_given_once() {
    let (kept, values) = headers([("X-Key", "abc"), ("Authorization", "Bearer def")]).unwrap();
    assert_eq!(kept, [header("X-Key", "{}"), header("Authorization", "Bearer {}")]);
    assert_eq!(values, [("X-Key".to_owned(), "abc"), ("Authorization".to_owned(), "def")]);
    assert_eq!(headers([("X-Key", "a"), ("x-key", "b")]).unwrap_err().message, "the header `x-key` is given twice");
}

#[test]
fn c20_a_record_is_read_back_as_it_was_and_unknown_keys_are_none() {
    let mut service = registration(openapi("https://x.example", Some(Document::File("/srv/x.yaml".into()))));
    service.headers = vec![header("X-Key", "{}")];
    let text = serde_json::to_string(&service).unwrap();
    assert_eq!(serde_json::from_str::<Registration>(&text).unwrap(), service);
    let mut json = serde_json::to_value(&service).unwrap();
    json["protocol"]["surprise"] = json!(1);
    assert!(serde_json::from_value::<Registration>(json).is_err());
}

#[test]
fn a_schema_is_kept_but_for_what_toml_cannot_say() {
    let http = |schema: Json| {
        registration(Protocol::Http(Http {
            url: "https://x.example/${id}".to_owned(),
            method: "POST".to_owned(),
            description: "Says \"x\"\nand ${y}.".to_owned(),
            input_schema: Some(schema),
            output_schema: None,
            unverified_tls: true,
        }))
        .table()
    };
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"], "default": null}, "b": {"minimum": 0.5}}});
    let text = http(schema).unwrap().unwrap();
    let read: toml::Table = toml::from_str(&text).unwrap();
    let request = &read["plugins"]["weather"]["http"];
    assert_eq!(request["description"].as_str(), Some("Says \"x\"\nand $${y}."));
    assert_eq!(request["input"]["properties"]["b"]["minimum"].as_float(), Some(0.5));
    assert!(request["input"]["properties"]["a"].get("default").is_none());
    assert_eq!(request["danger_unverified_tls"].as_bool(), Some(true));
    assert!(http(json!({"enum": ["a", null]})).is_err());
}

#[test]
fn c7_the_reader_takes_every_table() {
    let mut weather = registration(openapi("http://localhost:8000/v1", Some(Document::File("/srv/x.yaml".into()))));
    weather.headers = vec![header("X-Api-Key", "{}")];
    let plugin = weather.plugin().unwrap().unwrap();
    let service = plugin.class.service().unwrap();
    assert_eq!((service.url.as_str(), service.file()), ("http://localhost:8000/v1", Some(&"/srv/x.yaml".into())));
    let echo = Http {
        url: "https://x.example/things/{id}".to_owned(),
        method: "POST".to_owned(),
        description: "Costs ${5}.".to_owned(),
        input_schema: Some(json!({"type": "object", "properties": {"id": {"type": "string", "default": null}}})),
        output_schema: None,
        unverified_tls: true,
    };
    let plugin = registration(Protocol::Http(echo)).plugin().unwrap().unwrap();
    let service = plugin.class.service().unwrap();
    let config::Known::Request(request) = &service.known else { panic!("{service:?}") };
    assert_eq!((request.description.as_str(), service.unverified_tls), ("Costs ${5}.", true));
    for naming in Naming::ALL {
        let mut named = registration(openapi("https://x.example", None));
        let Protocol::OpenApi(service) = &mut named.protocol else { unreachable!() };
        service.naming = naming;
        assert!(named.plugin().is_ok(), "{naming:?}");
    }
}

#[test]
fn c15_a_login_is_part_of_the_table_and_its_values_are_not() {
    let body = "{\"p\":\"{{LOGIN_1}}\",\"c\":\"${x}\"}";
    let service = logged_in("https://id.example.com/login", body, &["LOGIN_1"]);
    let table: toml::Table = toml::from_str(&service.table().unwrap().unwrap()).unwrap();
    let plugin = &table["plugins"]["weather"];
    let login = plugin["openapi"]["login"].as_table().unwrap();
    assert_eq!(login.keys().collect::<Vec<_>>(), ["body", "cookie", "method", "url"]);
    assert_eq!(login["body"].as_str(), Some("{\"p\":\"{{LOGIN_1}}\",\"c\":\"$${x}\"}"));
    assert_eq!(plugin["secrets"]["LOGIN_1"]["env"].as_str(), Some("WEATHER_LOGIN_1"));
    assert_eq!(
        service.net().unwrap(),
        ["GET,HEAD,POST,PUT,PATCH,DELETE https://api.example.com", "POST https://id.example.com"]
    );
    let read = service.plugin().unwrap().unwrap();
    assert_eq!(read.grants.secrets[0].source, SecretSource::Kept);
    let login = service.effective_login().unwrap();
    assert_eq!((login.header.as_str(), login.format.as_str(), login.body.as_str()), ("cookie", "session={}", body));
    assert_eq!(logged_in("https://api.example.com/login", "", &[]).net().unwrap().len(), 1, "it is in reach already");
    assert!(logged_in("http://localhost:9/login", "", &[]).ranges().contains(&"::1/128".to_owned()));
}

#[test]
fn c15_a_login_is_sent_where_nobody_listens_and_names_only_what_is_sealed() {
    let check = |service: Registration, part: &str| {
        let flaw = service.plugin().unwrap_err();
        assert!(flaw.message.contains(part), "{flaw}");
    };
    check(
        logged_in("http://id.example.com/login", "", &[]),
        "`http://id.example.com` would get what proves who logs in",
    );
    check(logged_in("https://id.example.com/login", "{{LOGIN_1}}", &[]), "there is no secret `LOGIN_1`");
    let mut open = logged_in("https://id.example.com/login", "", &[]);
    let Protocol::OpenApi(service) = &mut open.protocol else { unreachable!() };
    service.url = "http://api.example.com".to_owned();
    check(open, "would get what a login gives");
    let mut twice = logged_in("https://id.example.com/login", "{{LOGIN_1}}", &["LOGIN_1"]);
    twice.headers = vec![header("LOGIN_1", "{}")];
    check(twice, "the header `LOGIN_1` has the name of a value of the login");
}

#[test]
fn c15_a_login_changes_nothing_of_what_callers_see() {
    let before = registration(openapi("https://api.example.com/v1", None));
    assert!(logged_in("https://id.example.com/login", "", &[]).publishes_as(&before));
    assert!(!registration(openapi("https://api.example.com/v2", None)).publishes_as(&before));
}

#[test]
fn c15_values_of_a_body_come_from_variables_and_are_taken_out() {
    let env =
        |name: &str| (name != "NONE").then(|| if name == "EMPTY" { String::new() } else { format!("canary {name}") });
    let (body, values) = login::sealed_body("u=${USER}&p=${PASS}&q=${USER}&l=$${x}", &env).unwrap();
    assert_eq!(body, "u={{LOGIN_1}}&p={{LOGIN_2}}&q={{LOGIN_1}}&l=${x}");
    let expected = [("LOGIN_1", "canary USER"), ("LOGIN_2", "canary PASS")];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for wrong in ["${NONE}", "${USER}${EMPTY}", "${USER", "${a b}"] {
        let flaw = login::sealed_body(wrong, &env).unwrap_err();
        assert!(!flaw.to_string().contains("canary") && flaw.suggestion.is_none(), "{flaw}");
    }
    for (given, expected) in
        [("Token %s", "Token {}"), ("Bearer {}", "Bearer {}"), ("{} 100%s", "{} 100%s"), ("%s%s", "%s%s"), ("x", "x")]
    {
        assert_eq!(login::format(given), expected);
    }
}

fn ceiling(create: &[&str], addresses: &[&str]) -> Ceiling {
    let place = crate::config::Place::default();
    let grants = create.iter().enumerate();
    let grants = grants.map(|(index, line)| NetGrant::parse(line, index + 1, place.clone()).unwrap()).collect();
    let ranges = addresses.iter().map(|range| AddressRange::parse(range).unwrap()).collect();
    Ceiling::Within(Arc::new(NetGrants::new(grants, ranges, false, Section::new("policies.maker", "bailiwick.toml:7"))))
}

fn http(method: &str, url: &str) -> Registration {
    registration(Protocol::Http(Http {
        url: url.to_owned(),
        method: method.to_owned(),
        description: String::new(),
        input_schema: None,
        output_schema: None,
        unverified_tls: false,
    }))
}

#[track_caller]
fn check_within(mut registration: Registration, ceiling: &Ceiling, expected: &str) {
    registration.fit(ceiling);
    let said =
        within(&registration, ceiling).map_or_else(|failure| failure.to_string(), |()| registration.net.join(" | "));
    assert_eq!(said, expected);
}

#[test]
fn g2_a_registration_asks_for_what_its_ceiling_has() {
    let paths = ceiling(&["GET,POST https://api.example.com/v1/**"], &[]);
    check_within(http("GET", "https://api.example.com/v1/{id}/x?q={q}"), &paths, "GET https://api.example.com/v1/*/x");
    let origin = ceiling(&["GET,POST https://*.example.com"], &[]);
    check_within(http("GET", "https://api.example.com/v1/{id}"), &origin, "GET https://api.example.com");
    check_within(
        registration(openapi("https://api.example.com/v1", None)),
        &paths,
        "GET,POST https://api.example.com/v1/**",
    );
    check_within(
        registration(mcp("https://api.example.com/mcp")),
        &ceiling(&["* https://api.example.com"], &[]),
        "GET,POST,DELETE https://api.example.com",
    );
    check_within(
        registration(Protocol::Native(Native {
            tool: ToolName::parse("echo").unwrap(),
            description: None,
            input_schema: None,
            output_schema: None,
        })),
        &Ceiling::default(),
        "",
    );
    let mut open = http("GET", "https://anywhere.example");
    open.fit(&Ceiling::Open);
    assert!(open.net.is_empty() && within(&open, &Ceiling::Open).is_ok());
}

#[test]
fn g2_what_lies_beyond_a_ceiling_is_refused_with_the_line_that_would_let_it() {
    let small = ceiling(&["GET https://api.example.com/v1/**"], &[]);
    let beyond = |line: &str| {
        format!(
            "`{line}` is more than tools that this caller makes may reach; add \"{line}\" to `create` under \
             `[policies.maker]` (bailiwick.toml:7)"
        )
    };
    for (method, url, line) in [
        ("POST", "https://api.example.com/v1/x", "POST https://api.example.com/v1/x"),
        ("GET", "https://api.example.com/v2", "GET https://api.example.com/v2"),
        ("GET", "http://api.example.com/v1/x", "GET http://api.example.com/v1/x"),
        ("GET", "https://api.example.com:8443/v1/x", "GET https://api.example.com:8443/v1/x"),
        ("GET", "https://evil.example/v1/x", "GET https://evil.example/v1/x"),
        ("GET", "https://10.0.0.1/", "GET https://10.0.0.1"),
    ] {
        check_within(http(method, url), &small, &beyond(line));
    }
    // Whatever names hosts names no address that is not public.
    let wide = ceiling(&["GET https://*", "GET http://*"], &[]);
    check_within(http("GET", "https://10.0.0.1/"), &wide, &beyond("GET https://10.0.0.1"));
    check_within(http("GET", "http://169.254.169.254/latest"), &wide, &beyond("GET http://169.254.169.254/latest"));
    check_within(http("GET", "http://localhost/"), &wide, &beyond("GET http://localhost"));
    let named = ceiling(&["GET http://localhost"], &[]);
    let local = within(&http("GET", "http://localhost/"), &named).unwrap_err();
    assert_eq!(local.code, crate::outcome::Code::DeniedCeiling);
    assert!(local.to_string().contains("`create_addresses`"), "{local}");
    let nothing = within(&http("GET", "https://a.example/"), &Ceiling::default()).unwrap_err().to_string();
    assert!(
        nothing.ends_with("make its key with a policy that has `create = [\"GET https://a.example\"]`"),
        "{nothing}"
    );
}

#[test]
fn g11_what_only_the_operator_may_register_no_ceiling_lets_through() {
    let wide = ceiling(&["* https://*"], &[]);
    let mut unchecked = registration(openapi("https://api.example.com", None));
    if let Protocol::OpenApi(service) = &mut unchecked.protocol {
        service.unverified_tls = true;
    }
    let file = registration(openapi("https://api.example.com", Some(Document::File(PathBuf::from("/etc/passwd")))));
    for registration in [unchecked, file] {
        assert!(within(&registration, &Ceiling::Open).is_ok());
        assert!(within(&registration, &wide).is_err_and(|failure| failure.message.contains("only the operator")));
    }
}

#[test]
fn g2_a_name_is_a_slug_that_nobody_has() {
    let slug = |title: &str, taken: &[&str]| resource::slug(title, |name| taken.contains(&name)).to_string();
    for (title, expected) in [
        ("My Weather!", "my_weather"),
        ("Unnamed tool", "unnamed_tool"),
        ("größe", "gr_e"),
        ("大小", "tool"),
        ("__a__b", "a_b"),
        ("7 things", "tool_7_things"),
        ("-x-", "x"),
        ("", "tool"),
    ] {
        assert_eq!(slug(title, &[]), expected, "{title}");
    }
    assert_eq!(slug("a b", &["a_b", "a_b_2"]), "a_b_3");
    let long = "word ".repeat(40);
    assert!(slug(&long, &[]).len() <= 32 && slug(&long, &[&slug(&long, &[])]).ends_with("_2"));
}

#[test]
fn g1_a_record_shows_names_and_no_values() {
    let config =
        json!({"url": "https://a.example/{id}", "headers": {"X-Key": "Bearer canary"}, "inject": {"units": "canary"}});
    let made = resource::Made::new(resource::Kind::Http, config.as_object().unwrap()).unwrap();
    let mut http = registration(made.protocol);
    http.headers = vec![header("X-Key", "Bearer {}")];
    http.inject = vec!["units".to_owned()];
    http.title = Some("A tool".to_owned());
    let record = resource::record(&http);
    assert_eq!((&record["name"], &record["protocol"]), (&json!("A tool"), &json!("http")));
    let expected = json!({"url": "https://a.example/{id}", "method": "POST", "headers": ["X-Key"], "inject": ["units"],
        "timeoutMs": 10_000, "addresses": []});
    assert_eq!(record["config"], expected);
    assert!(!record.to_string().contains("canary"));
}

#[test]
fn g5_a_body_is_read_field_by_field() {
    let read = |body: serde_json::Value| resource::Wanted::read(&body).map_err(|flaw| flaw.message);
    let wanted = read(json!({"id": "x", "name": " a \n b ", "inputSchema": null})).unwrap();
    assert_eq!((wanted.name.as_deref(), wanted.input_schema, wanted.output_schema), (Some("a b"), Some(None), None));
    assert_eq!(read(json!({"name": "\u{200b} "})).unwrap().name.as_deref(), Some(resource::UNNAMED));
    for wrong in [json!([]), json!({"name": 1}), json!({"config": []}), json!({"protocol": "x"}), json!({"x": 1})] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}
