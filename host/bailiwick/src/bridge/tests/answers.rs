//! What reaches a server, and what comes back.

use bailiwick_core::context::Subject;
use bailiwick_core::outcome::{Content, EmbeddedResource, ResourceBody};

use super::*;
use crate::channel::LogSink;

#[tokio::test(flavor = "multi_thread")]
async fn both_eras_answer_calls() {
    for mode in ["legacy", "modern"] {
        let world = World::new(mode);
        assert_eq!(world.told("echo", json!({"text": "a\nb ä"})).await, "a\nb ä", "{mode}");
        assert_eq!(world.told("given", nothing()).await, "{}", "{mode}");
        assert_eq!(world.told("nothing", nothing()).await, "arguments.invalid: Unknown tool: nothing", "{mode}");
        assert_eq!(world.starts(), 1, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_gives_has_legal_names_and_calls_reach_it_by_its_own() {
    let mut world = World::new("legacy-odd");
    let described = world.server.described().await.unwrap();
    world.told.clone_from(&described.tools);
    let of = |name: &str| described.tools.iter().find(|tool| tool.name == name).unwrap().clone();
    let one = of("files_read_601e4eb6");
    assert_eq!((one.title.as_deref(), one.description.as_str(), one.risk), (Some("Read"), "Reads.", Risk::Medium));
    assert_eq!((one.annotations.read_only, one.annotations.open_world), (Some(true), Some(false)));
    let other = of("files_read_ad37e30b");
    assert_eq!((other.title.as_deref(), other.description.as_str(), other.risk), (Some("T"), "", Risk::High));
    assert_eq!(described.tools.iter().filter(|tool| tool.name == "echo").count(), 1);
    let told = world.told("files_read_601e4eb6", nothing()).await;
    assert_eq!(told, "arguments.invalid: Unknown tool: files.read");
    let context = &described.context;
    let prompts: Vec<&str> = context.prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    let resources: Vec<&str> = context.resources.iter().map(|link| link.uri.as_str()).collect();
    assert_eq!((prompts, resources, context.templates.len()), (vec!["greet_once"], vec!["test://a"], 1));
    described.check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_finds_the_own_name_though_nobody_listed() {
    let mut world = World::new("legacy-odd");
    world.told = World::new("legacy-odd").server.described().await.unwrap().tools;
    let told = world.told("files_read_601e4eb6", nothing()).await;
    assert_eq!(told, "arguments.invalid: Unknown tool: files.read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_defined_otherwise_than_callers_were_told_is_not_called() {
    let mut world = World::new("legacy-odd");
    let mut listed = World::new("legacy-odd").server.described().await.unwrap();
    listed.tools.iter_mut().for_each(|tool| tool.description.push_str(" As before."));
    world.told.clone_from(&listed.tools);
    world.server.expect(&listed);
    let mut changes = world.server.changes();
    let told = world.told("files_read_601e4eb6", nothing()).await;
    assert!(told.starts_with("denied.quarantined: ") && told.contains("otherwise"), "{told}");
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    world.told = world.server.described().await.unwrap().tools;
    let told = world.told("files_read_601e4eb6", nothing()).await;
    assert_eq!(told, "arguments.invalid: Unknown tool: files.read");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_resources_and_values_are_had_as_components_give_them() {
    for mode in ["legacy", "modern"] {
        let world = World::new(mode);
        let prompt = Wanted::Prompt("greet_once".to_owned());
        let output = world.ask(prompt, "prompt", &json!({"who": "you"})).await.unwrap();
        assert_eq!(output.plain(), "hello you\nfrom greet.once");
        assert_eq!(output.structured, Some(json!({"description": "d", "roles": ["user", "assistant"]})));
        let resource = |uri: &str| Wanted::Resource(uri.to_owned());
        let output = world.ask(resource("test://a"), "read", &nothing()).await.unwrap();
        let document = |body| Content::Resource(EmbeddedResource { uri: "test://a".to_owned(), mime_type: None, body });
        let expected = [ResourceBody::Text("A".to_owned()), ResourceBody::Blob(vec![0, 1])].map(document);
        assert_eq!(output.content, expected);
        let gone = world.ask(resource("test://gone"), "read", &nothing()).await.unwrap_err();
        assert_eq!(gone.to_string(), "`test://gone` is not there. (Resource not found)");
        assert_eq!(gone.code.as_str(), "tool.not-found");
        let values = |subject| Wanted::Completion {
            subject,
            argument: "who".to_owned(),
            value: "y".to_owned(),
            known: Vec::new(),
        };
        let of_prompt = values(Subject::Prompt("greet_once".to_owned()));
        let said = world.ask(of_prompt, "complete", &nothing()).await.unwrap().structured;
        assert_eq!(said, Some(json!({"values": ["greet.once", "y"], "total": null, "hasMore": true})));
        let of_template = values(Subject::Template("test://{id}/b".to_owned()));
        let said = world.ask(of_template, "complete", &nothing()).await.unwrap().structured;
        assert_eq!(said, Some(json!({"values": ["test://{id}/b", "y"], "total": null, "hasMore": true})));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_failures() {
    for mode in ["legacy", "modern"] {
        let world = World::new(mode);
        assert_eq!(world.told("fail", nothing()).await, "tool.failed: no\nsuch thing");
        assert_eq!(world.told("error", nothing()).await, "tool.failed: it broke");
        assert_eq!(world.told("error", json!({"code": -32601})).await, "plugin.invalid: it broke");
        let lacks = json!({"code": -32021, "data": {"requiredCapabilities": {"sampling": {}}}});
        assert_eq!(world.told("error", lacks).await, "caller.no-sampling: it broke");
        let both = "tool.failed: the server answered with a result and an error both";
        assert_eq!(world.told("both", nothing()).await, both);
        let neither = "tool.failed: the server answered with neither a result nor an error";
        assert_eq!(world.told("neither", nothing()).await, neither);
        assert_eq!(world.starts(), 1, "none of it is the end");
    }
    let world = World::new("modern");
    let task = "plugin.invalid: the server answered with a result of the kind `task`, which nobody asked for";
    assert_eq!(world.told("unknown_result", nothing()).await, task);
    let rounds = "plugin.invalid: the server answered with questions 16 times and never with a result";
    assert_eq!(world.told("again", nothing()).await, rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_answer_to_what_was_asked_counts() {
    let world = World::new("legacy");
    assert_eq!(world.told("twice", nothing()).await, "first");
    assert_eq!(world.told("echo", json!({"text": "after"})).await, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_is_passed_over() {
    let world = World::new("legacy-banner");
    assert_eq!(world.told("noise", nothing()).await, "through");
    assert_eq!(world.told("big", nothing()).await.len(), 5 << 20);
    assert_eq!(world.starts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_at_once_get_their_own_answers() {
    for mode in ["legacy", "modern"] {
        let world = World::new(mode);
        let calls = (0..50).map(|number| {
            let arguments = json!({"ms": (number * 37) % 100, "text": number.to_string()});
            let world = &world;
            async move { (number, world.told("slow", arguments).await) }
        });
        for (number, told) in futures::future::join_all(calls).await {
            assert_eq!(told, number.to_string());
        }
        assert_eq!(world.starts(), 1, "whoever comes first starts it for all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_lines_reach_the_call_they_are_of_and_in_order() {
    for mode in ["legacy", "modern"] {
        let mut world = World::new(mode);
        let (progress, mut reports) = mpsc::channel(10);
        let (lines, mut log) = mpsc::channel(10);
        world.channel.progress = Some(progress);
        world.channel.log = Some(LogSink { least: tracing::Level::INFO, lines });
        assert_eq!(world.told("progress", nothing()).await, "done");
        let mut seen = Vec::new();
        while let Ok(report) = reports.try_recv() {
            seen.push((report.done, report.total, report.message.unwrap_or_default()));
        }
        let expected = [1.0, 2.0, 3.0].map(|done| (done, Some(3.0), format!("at {done}")));
        assert_eq!(seen, expected);
        assert_eq!(world.told("log", nothing()).await, "done");
        let line = log.try_recv().unwrap();
        assert_eq!((line.level, line.text.as_str()), (tracing::Level::WARN, "careful"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_reach_whoever_made_the_call() {
    let answer = |matter: &Matter| match matter {
        Matter::Form { .. } => Answer::Accepted(json!({"name": "Ada"})),
        Matter::Sample(_) => Answer::Accepted(json!({"text": "hello", "model": "m", "stopReason": "endTurn"})),
        Matter::Roots => Answer::Accepted(json!([{"uri": "file:///w", "name": "w"}])),
    };
    let form = json!({"action": "accept", "content": {"name": "Ada"}});
    let said = json!({"role": "assistant", "content": {"type": "text", "text": "hello"}, "model": "m", "stopReason": "endTurn"});
    let roots = json!({"roots": [{"uri": "file:///w", "name": "w"}]});
    for (tool, expected) in [("ask", form), ("sample", said), ("roots", roots)] {
        let mut legacy = World::new("legacy");
        let mut noted = legacy.answering(ABLE, answer);
        let told: Value = serde_json::from_str(&legacy.told(tool, nothing()).await).unwrap();
        assert_eq!(told, expected);
        assert_eq!(noted.recv().await.unwrap().0, "question");
        let mut modern = World::new("modern");
        let mut noted = modern.answering(ABLE, answer);
        let told: Value = serde_json::from_str(&modern.told(tool, nothing()).await).unwrap();
        assert_eq!(told, json!({"state": format!("state/{tool}"), "given": {"the_key": expected}}));
        assert_eq!(noted.recv().await.unwrap().0, "the_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_passed_on_as_a_no() {
    let mut world = World::new("legacy");
    let _noted = world.answering(ABLE, |_| Answer::Declined);
    assert_eq!(world.told("ask", nothing()).await, r#"{"action": "decline"}"#);
    assert_eq!(world.told("sample", nothing()).await, r#"{"error": "sampling was rejected by the user"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_asked_is_not_and_the_host_does_not_answer_for_them() {
    let legacy = World::new("legacy");
    let refused = r#"{"error": "whoever made this call cannot be asked that"}"#;
    assert_eq!(legacy.told("ask", nothing()).await, refused);
    assert_eq!(legacy.told("roots", nothing()).await, refused);
    let modern = World::new("modern");
    let refused =
        "caller.no-input: the tool asks something that has no answer: whoever made this call cannot be asked that";
    assert_eq!(modern.told("ask", nothing()).await, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_server_is_told_what_this_caller_can_be_asked_and_no_more() {
    let mut world = World::new("modern");
    assert_eq!(world.told("able", nothing()).await, "[]");
    let _noted = world.answering(Able { input: true, sample: false, roots: true }, |_| Answer::Declined);
    assert_eq!(world.told("able", nothing()).await, r#"["elicitation", "roots"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_may_be_another_calls_is_nobodys() {
    let mut world = World::new("legacy");
    let mut noted = world.answering(ABLE, |_| Answer::Accepted(json!({"name": "Ada"})));
    let other = world.told("slow", json!({"ms": 1_500}));
    let asking = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        world.told("ask", nothing()).await
    };
    let (_, told) = tokio::join!(other, asking);
    assert!(told.contains("several calls are under way") && told.contains(r#"lifetime = \"session\""#), "{told}");
    assert!(noted.try_recv().is_err(), "nobody was asked");
}

/// Results that are odd in every place they can be odd; none of them is more than a failure.
#[tokio::test(flavor = "multi_thread")]
async fn odd_results_harm_nobody() {
    for mode in ["legacy", "modern"] {
        let world = World::new(mode);
        for odd in [
            json!(null),
            json!([]),
            json!("x"),
            json!(7),
            json!({}),
            json!({"content": 7}),
            json!({"content": [null, 7, []]}),
        ] {
            let told = world.told("odd", json!({"result": odd})).await;
            assert!(told.starts_with("plugin.invalid: ") || odd["content"].is_array(), "{odd}: {told}");
        }
        let odd = [
            json!({"inputRequests": []}),
            json!({"inputRequests": {"a": 7}}),
            json!({"inputRequests": {"a": {"method": "ping"}}}),
        ];
        for mut odd in odd {
            odd["resultType"] = json!("input_required");
            let told = world.told("odd", json!({"result": odd})).await;
            assert!(told.starts_with("plugin.invalid: ") || told.starts_with("tool.failed: "), "{odd}: {told}");
        }
        assert_eq!(world.starts(), 1);
    }
}
