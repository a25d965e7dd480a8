//! What stands before every call and what is written down after it: names, callers, arguments, approval, audit.

use std::time::Duration;

use bailiwick::audit::Archive;
use bailiwick::channel::{Answer, Asker, Channel, Matter, Progress, Question};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::host::World;
use crate::support::{TestHost, Upstream, remedy, told};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

fn polite(lines: &str) -> String {
    format!("{POLITE}{lines}\n")
}

/// A caller who answers every question in this way, and what was asked.
fn answering(answer: Answer) -> (Channel, mpsc::UnboundedReceiver<(Asker, String, Value)>) {
    let (questions, mut received) = mpsc::channel::<Question>(8);
    let (noted, notes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(question) = received.recv().await {
            let Matter::Form { message, schema } = question.matter else { panic!("a form was asked") };
            drop(noted.send((question.from, message, schema)));
            drop(question.reply.send(answer.clone()));
        }
    });
    (Channel { questions: Some(questions), ..Channel::default() }, notes)
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_told_by_field() {
    let host = TestHost::new(POLITE).await;
    for (arguments, expected) in [
        (
            json!({}),
            "the arguments: \"name\" is a required property; it takes `name`, `count`, `loud`, `tags`, `way`, of which `name` must be there",
        ),
        (
            json!({"name": "x", "count": "many"}),
            "`count`: it is not of type \"integer\" (got \"many\"); the schema says `count`: {\"type\":\"integer\",\"description\":\"How often.\"}",
        ),
        (
            json!({"name": "x", "tags": ["a", {}]}),
            "`tags[1]`: it is not of type \"string\"; the schema says `tags`: {\"type\":\"array\",\"items\":{\"type\":\"string\"},\"description\":\"Anything else.\",\"default\":[]}",
        ),
        (
            json!({"name": "x", "colour": "red"}),
            "the arguments: Additional properties are not allowed ('colour' was unexpected); it takes `name`, `count`, `loud`, `tags`, `way`, of which `name` must be there",
        ),
        (json!([]), "the arguments must be a JSON object, not array"),
    ] {
        assert_eq!(host.told("echo", arguments).await, format!("arguments.invalid: {expected}"));
    }
    let outcome = host.call("echo", json!({"name": "x", "way": "sideways"})).await;
    assert_eq!(outcome.code(), "arguments.invalid");
    assert!(told(&outcome).contains("`way`") && told(&outcome).contains("(got \"sideways\")"), "{}", told(&outcome));
    assert_eq!(
        host.told("echo", json!({"name": "x", "way": "up"})).await.split(" | ").nth(1),
        Some("= {\"name\":\"x\",\"count\":null,\"loud\":false,\"tags\":[],\"way\":\"Up\"}")
    );
}

#[tokio::test]
async fn arguments_that_are_no_json_are_told_so() {
    let host = TestHost::new(POLITE).await;
    for text in
        ["{", "nonsense", "{\"name\":\"x\"} {}", "{\"name\":\"x\",\"name\":\"y\"}", "{\"name\":NaN}", "{'name':'x'}"]
    {
        let outcome = host.call_text("echo", text).await;
        assert!(
            told(&outcome).starts_with("arguments.invalid: the arguments are not JSON: "),
            "{text}: {}",
            told(&outcome)
        );
    }
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(host.call_text("echo", &deep).await.code(), "arguments.invalid");
    let large = json!({"name": "x".repeat(5 << 20)}).to_string();
    assert_eq!(
        told(&host.call_text("echo", &large).await),
        format!("arguments.too-large: the arguments have {} bytes; at most 4194304 are taken", large.len())
    );
    assert_eq!(host.call_text("counted", "{\"count\": 1}").await.code(), "ok");
    for nothing in ["", "null", "{}"] {
        assert_eq!(host.call_text("echo", nothing).await.code(), "arguments.invalid", "`name` is missing");
    }
}

#[tokio::test]
async fn what_models_get_wrong_is_mended() {
    let host = TestHost::new(POLITE).await;
    let mended = host
        .value("echo", json!({"name": 5, "count": "7", "loud": "true", "tags": "[\"a\",\"b\"]", "way": null}))
        .await;
    assert_eq!(mended, json!({"name": "5", "count": 7, "loud": true, "tags": ["a", "b"], "way": null}));
    assert_eq!(host.value("echo", json!({"name": "x", "count": 3.0})).await["count"], 3);
    assert_eq!(host.call("echo", json!({"name": "x", "count": 3.5})).await.code(), "arguments.invalid");
}

#[tokio::test]
async fn an_injected_argument_wins_and_is_hidden() {
    let text = polite("inject = { count = 3 }\n[plugins.polite.tools.echo]\ninject = { name = \"canary-injected\" }");
    let host = TestHost::new(&text).await;
    let properties = host.schema("echo")["properties"].clone();
    assert!(
        properties.get("name").is_none() && properties.get("count").is_none() && properties.get("loud").is_some(),
        "{properties}"
    );
    assert!(host.schema("echo").get("required").is_none());
    for arguments in [json!({}), json!({"name": "mine", "count": 99}), json!({"loud": false})] {
        let echoed = host.value("echo", arguments).await;
        assert_eq!((&echoed["name"], &echoed["count"]), (&json!("canary-injected"), &json!(3)));
    }
    let without = TestHost::new(POLITE).await;
    assert_eq!(without.value("echo", json!({"name": "mine", "count": 99})).await["name"], "mine");
    let audit = host.audit();
    assert!(!format!("{audit:?}").contains("canary-injected"));
}

#[tokio::test]
async fn the_operators_rules_for_arguments_hold_beside_the_tools_own() {
    let text = polite(
        "arguments = { properties = { count = { maximum = 10 } } }\n[plugins.polite.tools.echo]\narguments = { required = [\"count\"], properties = { name = { pattern = \"^a\" } } }",
    );
    let host = TestHost::new(&text).await;
    assert_eq!(host.value("echo", json!({"name": "abc", "count": 10})).await["name"], "abc");
    for (arguments, field) in [
        (json!({"name": "xbc", "count": 1}), "`name`"),
        (json!({"name": "abc", "count": 11}), "`count`"),
        (json!({"name": "abc", "count": "11"}), "`count`"),
        (json!({"name": "abc"}), "\"count\" is a required property"),
    ] {
        let outcome = host.call("echo", arguments).await;
        assert_eq!(outcome.code(), "arguments.invalid");
        assert!(told(&outcome).contains(field), "{}", told(&outcome));
    }
    let schema = host.schema("echo");
    assert_eq!(
        (&schema["properties"]["name"]["pattern"], &schema["properties"]["count"]["maximum"]),
        (&json!("^a"), &json!(10)),
        "callers see them"
    );
    assert_eq!(TestHost::new(POLITE).await.value("echo", json!({"name": "xbc"})).await["name"], "xbc");
}

#[tokio::test]
async fn a_tool_of_high_risk_runs_when_a_person_agrees() {
    let (channel, mut notes) = answering(Answer::Accepted(json!({})));
    let host = TestHost::new(POLITE).await.channel(channel);
    assert_eq!(host.told("launch", json!({"target": "the \u{1b}[2Jmoon"})).await, "ok: launched at the \\u{1b}[2Jmoon");
    let (asker, message, schema) = notes.recv().await.expect("somebody was asked");
    assert_eq!(asker, Asker::Host);
    assert_eq!(
        message,
        "`test` wants to run the tool `launch` of plugin `polite` with {\"target\":\"the \\u001b[2Jmoon\"}\n  \
         asked because its plugin says that its risk is high\n  it reaches nothing outside of itself"
    );
    assert_eq!(schema, json!({"type": "object", "properties": {}}));
    let host = host.channel(Channel::default());
    assert_eq!(host.audit()[0]["approval"], "approved by test");
}

#[tokio::test]
async fn a_tool_of_high_risk_does_not_run_when_nobody_agrees() {
    for (answer, approval) in [(Answer::Declined, "rejected by test"), (Answer::Cancelled, "rejected by test")] {
        let (channel, _notes) = answering(answer);
        let host = TestHost::new(POLITE).await.channel(channel);
        assert_eq!(host.told("launch", json!({"target": "x"})).await, "denied.approval: Tool call rejected by user.");
        let host = host.channel(Channel::default());
        let audit = host.audit();
        assert_eq!((&audit[0]["approval"], &audit[0]["outcome"]), (&json!(approval), &json!("denied.approval")));
    }
}

#[tokio::test]
async fn without_a_way_to_ask_the_answer_is_no() {
    let host = TestHost::new(POLITE).await;
    let outcome = host.call("launch", json!({"target": "x"})).await;
    assert_eq!(
        told(&outcome),
        "denied.approval: `launch` needs a person's approval and this caller has no way to give it; \
         add `approval = \"never\"` under `[plugins.polite]` (bailiwick.toml:1)"
    );
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    let granted = TestHost::new(&remedy::applied(POLITE, &fix)).await;
    assert_eq!(granted.told("launch", json!({"target": "x"})).await, "ok: launched at x");
}

#[tokio::test]
async fn the_operator_says_which_tools_ask() {
    let (channel, mut notes) = answering(Answer::Declined);
    let text = polite(
        "approval = \"always\"\n[plugins.polite.tools.counted]\napproval = \"auto\"\n[plugins.polite.tools.launch]\napproval = \"never\"",
    );
    let host = TestHost::new(&text).await.channel(channel);
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "denied.approval");
    assert_eq!(host.call("counted", json!({"count": 1})).await.code(), "ok");
    assert_eq!(host.call("launch", json!({"target": "x"})).await.code(), "ok");
    assert_eq!(
        host.call("echo", json!({})).await.code(),
        "arguments.invalid",
        "nobody is asked about a call that cannot run"
    );
    let host = host.channel(Channel::default());
    drop(host);
    let asked: Vec<String> = std::iter::from_fn(|| notes.try_recv().ok()).map(|(_, message, _)| message).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_name_nobody_has_is_answered_with_the_closest() {
    let host = TestHost::new(POLITE).await;
    assert_eq!(host.told("ecko", json!({})).await, "tool.unknown: Tool 'ecko' not found; did you mean `echo`?");
    assert_eq!(host.told("something_else", json!({})).await, "tool.unknown: Tool 'something_else' not found");
    assert_eq!(host.told("a\u{1b}[2J\u{202e}", json!({})).await, "tool.unknown: Tool 'a\\u{1b}[2J\\u{202e}' not found");
    assert_eq!(host.call(&"x".repeat(10_000), json!({})).await.code(), "tool.unknown");
    let limited = host.caller("guest", &["launch"]);
    assert_eq!(
        limited.told("ecko", json!({})).await,
        "tool.unknown: Tool 'ecko' not found",
        "what a caller may not use is not suggested"
    );
}

#[tokio::test]
async fn a_caller_uses_the_tools_it_was_given() {
    let host = TestHost::new(POLITE).await.caller("guest", &["echo", "counted"]);
    assert_eq!(host.listed(), ["counted", "echo"]);
    assert_eq!(
        host.told("steps", json!({"steps": 1})).await,
        "denied.tool: `steps` is not among the tools `guest` may use"
    );
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
    let host = host.caller("everyone", &["*", "!echo"]);
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "denied.tool");
    assert_eq!(host.call("steps", json!({"steps": 1})).await.code(), "ok");
    let host = host.caller("nobody", &[]);
    assert!(host.listed().is_empty());
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "denied.tool");
}

#[tokio::test]
async fn a_tool_that_is_switched_off_is_not_there() {
    let text = polite("[plugins.polite.tools.\"*\"]\nallow = false\n[plugins.polite.tools.echo]\nallow = true");
    let host = TestHost::new(&text).await;
    assert_eq!(host.listed(), ["echo"]);
    let outcome = host.call("counted", json!({"count": 1})).await;
    assert_eq!(
        told(&outcome),
        "denied.tool: `counted` is switched off in the configuration; set `allow = true` under `[plugins.polite.tools.counted]` (bailiwick.toml:3)"
    );
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    assert_eq!(
        TestHost::new(&remedy::applied(&text, &fix)).await.call("counted", json!({"count": 1})).await.code(),
        "ok"
    );
}

#[tokio::test]
async fn a_second_name_is_as_good_as_the_first() {
    let host = TestHost::new(&polite("alias = { say = \"echo\" }")).await;
    assert_eq!(host.value("say", json!({"name": "x"})).await["name"], "x");
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
    assert!(host.listed().contains(&"say".to_owned()));
    let limited = host.caller("guest", &["echo"]);
    assert_eq!(limited.call("say", json!({"name": "x"})).await.code(), "denied.tool", "a name is what is granted");
}

#[tokio::test]
async fn a_name_that_two_plugins_want_goes_to_neither() {
    let text = "[plugins.b]\ncomponent = \"polite.wasm\"\n[plugins.a]\ncomponent = \"polite.wasm\"\nalias = { mine = \"echo\" }\n";
    let host = TestHost::new(text).await;
    assert_eq!(host.value("a__echo", json!({"name": "x"})).await["name"], "x");
    assert_eq!(host.value("b__echo", json!({"name": "x"})).await["name"], "x");
    assert_eq!(host.value("mine", json!({"name": "x"})).await["name"], "x");
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "tool.unknown");
    let off = TestHost::new(&text.replace("[plugins.b]\n", "[plugins.b]\nenabled = false\n")).await;
    assert_eq!(off.call("echo", json!({"name": "x"})).await.code(), "ok", "a plugin that is not enabled wants no name");
}

#[tokio::test]
async fn each_call_leaves_one_record_without_a_value() {
    let web = Upstream::hello().await;
    let text =
        format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://127.0.0.1:{}\"]\n{POLITE}", web.port);
    let host = TestHost::new(&text).await;
    host.value("get", json!({"url": web.url("/canary-path?canary-query"), "headers": {"x-canary": "canary-value"}}))
        .await;
    assert_eq!(host.call("get", json!({"url": "http://canary.test/"})).await.code(), "denied.net.host");
    assert_eq!(
        host.call("echo", json!({"name": "canary-name", "count": "canary-count"})).await.code(),
        "arguments.invalid"
    );
    assert_eq!(host.call("nobody\n", json!({"canary": 1})).await.code(), "tool.unknown");
    let audit = host.audit();
    assert_eq!(audit.len(), 4);
    let mut first = audit[0].clone();
    for (field, is_right) in [
        ("time", first["time"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z'))),
        ("call", first["call"].as_str().is_some_and(|call| call.ends_with("-0"))),
        (
            "component",
            first["component"].as_str().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71),
        ),
        ("grants", first["grants"].as_str().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71)),
        ("micros", first["micros"].as_u64().is_some_and(|micros| micros > 0)),
        ("memory", first["memory"].as_u64().is_some_and(|memory| memory >= 64 << 10)),
        ("output", first["output"].as_u64().is_some_and(|output| output > 0)),
    ] {
        assert!(is_right, "{field}: {first}");
        first.as_object_mut().expect("a record").remove(field);
    }
    assert_eq!(
        first,
        json!({
            "caller": "test",
            "tool": "get",
            "plugin": "probe",
            "arguments": "{url:string,headers:object}",
            "outcome": "ok",
            "operations": {format!("http GET http://127.0.0.1:{}", web.port): 1},
        })
    );
    let outcomes: Vec<&str> = audit.iter().filter_map(|record| record["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["ok", "denied.net.host", "arguments.invalid", "tool.unknown"]);
    assert_eq!(audit[1]["denials"][0]["code"], "denied.net.host");
    assert_eq!(audit[3]["tool"], "nobody\n");
    let ids: std::collections::BTreeSet<&str> = audit.iter().filter_map(|record| record["call"].as_str()).collect();
    assert_eq!(ids.len(), 4);
    let whole = format!("{audit:?}");
    for value in ["canary-path", "canary-query", "canary-value", "canary-name", "canary-count"] {
        assert!(!whole.contains(value), "{value} in {whole}");
    }
}

#[tokio::test]
async fn a_record_is_written_where_the_operator_says() {
    let host = World::new().start(&polite("[audit]\nfile = \"audit/calls.db\"")).await;
    assert_eq!(host.call("nobody", json!({})).await.code(), "tool.unknown");
    let world = host.end();
    let archive = Archive::open(&world.path("audit/calls.db")).expect("it can be read").expect("it is there");
    assert_eq!(archive.last().expect("it can be read"), 1);
    assert!(!world.path("state/audit.db").exists());
}

#[tokio::test]
async fn a_question_of_a_plugin_goes_to_the_caller_and_costs_no_time() {
    let (questions, mut received) = mpsc::channel::<Question>(1);
    let host = TestHost::new(&polite("limits.time = \"300ms\""))
        .await
        .channel(Channel { questions: Some(questions), ..Channel::default() });
    let answer = async {
        let question = received.recv().await.expect("it asks");
        assert_eq!(
            (&question.from, question.message()),
            (&Asker::Plugin(bailiwick_core::name::PluginName::parse("polite").expect("a name")), "which?")
        );
        let Matter::Form { schema, .. } = &question.matter else { panic!("a form was asked") };
        assert_eq!(schema["required"], json!(["answer"]));
        // Longer than the call may take: what is waited for is the point here.
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(question.reply.send(Answer::Accepted(json!({"answer": "this"}))));
    };
    let (told, ()) = tokio::join!(host.told("ask", json!({"question": "which?"})), answer);
    assert_eq!(told, "ok: Answer::Accepted(\"{\\\"answer\\\":\\\"this\\\"}\")");
    let host = host.channel(Channel::default());
    assert_eq!(
        host.told("ask", json!({"question": "which?"})).await,
        "caller.no-input: The tool has to ask something, and this caller cannot be asked."
    );
}

#[tokio::test]
async fn a_question_is_answered_within_its_form_or_not_at_all() {
    for (answer, expected) in [
        (Answer::Accepted(json!({"answer": "yes"})), "ok: Answer::Accepted(\"{\\\"answer\\\":\\\"yes\\\"}\")"),
        (Answer::Accepted(json!({"answer": 5})), "ok: Answer::Cancelled"),
        (Answer::Accepted(json!({})), "ok: Answer::Cancelled"),
        (Answer::Declined, "ok: Answer::Declined"),
        (Answer::Cancelled, "ok: Answer::Cancelled"),
        (Answer::Unavailable, "caller.no-input: The tool has to ask something, and this caller cannot be asked."),
    ] {
        let (channel, _notes) = answering(answer);
        let host = TestHost::new(POLITE).await.channel(channel);
        assert_eq!(host.told("ask", json!({"question": "?"})).await, expected);
    }
    let (channel, mut notes) = answering(Answer::Declined);
    let host = TestHost::new(POLITE).await.channel(channel);
    assert_eq!(host.told("ask", json!({"question": "?", "times": 10})).await, "ok: Answer::Declined");
    assert_eq!(
        host.told("ask", json!({"question": "?", "times": 11})).await,
        "tool.failed: The tool asked too many questions in one call."
    );
    for form in [
        "",
        "[]",
        "{\"type\":\"array\"}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\"}}}",
        "{\"type\":\"object\"}",
    ] {
        assert_eq!(host.told("ask_badly", json!({"form": form})).await, "ok: invalid-schema", "{form}");
    }
    let host = host.channel(Channel::default());
    drop(host);
    assert_eq!(std::iter::from_fn(|| notes.try_recv().ok()).count(), 20);
}

#[tokio::test]
async fn progress_grows_and_keeps_its_pace() {
    let (progress, mut reports) = mpsc::channel::<Progress>(64);
    let host = TestHost::new(POLITE).await.channel(Channel { progress: Some(progress), ..Channel::default() });
    assert_eq!(host.told("steps", json!({"steps": 5})).await, "ok: done");
    let heard: Vec<Progress> = std::iter::from_fn(|| reports.try_recv().ok()).collect();
    let expected: Vec<Progress> = (1..=5)
        .map(|step| Progress { done: f64::from(step), total: Some(5.0), message: Some(format!("step {step}")) })
        .collect();
    assert_eq!(heard, expected);
    assert_eq!(host.told("steps", json!({"steps": 1_000})).await, "ok: done");
    let heard = std::iter::from_fn(|| reports.try_recv().ok()).count();
    assert!((1..=20).contains(&heard), "{heard} of 1,000 reports");
}

#[tokio::test]
async fn a_result_keeps_to_its_schema() {
    let host = TestHost::new(POLITE).await;
    assert_eq!(host.told("counted", json!({"count": 3})).await, "ok: {\"count\":3} | = {\"count\":3}");
    assert_eq!(
        host.told("uncounted", json!({})).await,
        "plugin.invalid: the tool has an output schema and gave no structured result"
    );
    assert_eq!(
        host.told("miscounted", json!({})).await,
        "plugin.invalid: the tool's result breaks its own output schema: `count`: it is not of type \"integer\""
    );
}

#[tokio::test]
async fn a_failure_has_the_code_of_its_kind() {
    let host = TestHost::new(POLITE).await;
    for (how, expected) in [
        ("invalid", "arguments.invalid: `how` makes no sense."),
        ("not-configured", "plugin.not-configured: Set `url`."),
        ("not-found", "tool.not-found: There is no such thing."),
        ("upstream", "upstream.status: It answered 503.; try again in 2 s"),
        ("silent", "upstream.protocol: It said nothing."),
        (
            "request",
            "denied.net.host: `fail` says `GET https://never.example/asked` was refused; the host refused nothing",
        ),
        (
            "secret",
            "denied.secret: `fail` needs the secret `TOKEN`, which is not granted; add `secrets.TOKEN` under `[plugins.polite]` (bailiwick.toml:1)",
        ),
        ("else", "tool.failed: It broke."),
    ] {
        assert_eq!(host.told("fail", json!({"how": how})).await, expected);
    }
}

#[tokio::test]
async fn a_plugin_that_lacks_something_says_so_in_its_descriptions() {
    let host = TestHost::new(&polite("config = { wants = \"TOKEN\" }")).await;
    let caller = bailiwick_core::call::Caller::operator("x");
    let description = |host: &TestHost| {
        host.host
            .list(&caller)
            .into_iter()
            .find(|(name, _)| name.to_string() == "echo")
            .map(|(_, tool)| tool.description())
    };
    assert_eq!(
        description(&host).as_deref(),
        Some("Says what it was given. [NOT CONFIGURED] The secret `TOKEN` is not set.")
    );
    let text = polite(
        "config = { wants = \"TOKEN\" }\n[plugins.polite.secrets.TOKEN]\ncommand = [\"printf\", \"a token\"]\nreveal = true",
    );
    assert_eq!(description(&TestHost::new(&text).await).as_deref(), Some("Says what it was given."));
}
