//! A model and the tools in a loop: the model is a server that follows a script, the program is the real one.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::program::Run;
use crate::support::{Reply, Upstream};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

/// What a model says that calls these tools.
fn calls(wanted: &[(&str, Value)]) -> Value {
    let call = |(number, (name, arguments)): (usize, &(&str, Value))| {
        json!({"id": format!("call_{number}"), "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}})
    };
    json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": wanted.iter().enumerate().map(call).collect::<Value>()})
}

fn says(text: &str) -> Value {
    json!({"role": "assistant", "content": text, "tool_calls": []})
}

/// A model that says these things one after the other, and the last of them for ever.
async fn model(script: Vec<Value>) -> Upstream {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Upstream::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let message = &script[number.min(script.len() - 1)];
        Reply::ok(json!({"choices": [{"index": 0, "message": message}]}).to_string())
            .header("content-type", "application/json")
    })
    .await
}

/// Runs the program beside the model.
async fn chat(world: World, text: &str, model: &Upstream, arguments: &[&str], input: &str) -> Run {
    let url = model.url("/v1");
    let fixed = ["chat", "--model", "m", "--base-url", &url];
    let arguments: Vec<String> = fixed.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
    let (text, input) = (text.to_owned(), input.to_owned());
    let run = move || world.run(&text, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &input);
    tokio::task::spawn_blocking(run).await.expect("it does not panic")
}

/// The bodies of all requests.
fn bodies(model: &Upstream) -> Vec<Value> {
    let body =
        |request: &crate::support::upstream::Received| serde_json::from_slice(&request.body).expect("it is JSON");
    model.requests().iter().map(body).collect()
}

#[tokio::test]
async fn a_model_calls_tools_and_reads_what_came_of_it() {
    let wanted = [("counted", json!({"count": 3})), ("nothing", json!({})), ("counted", json!({"count": "many"}))];
    let model = model(vec![calls(&wanted), says("There are three.\u{1b}[2J")]).await;
    let arguments = ["--tools", "counted, steps", "--system", "Be brief.", "How many?"];
    let run = chat(World::new(), POLITE, &model, &arguments, "").await;
    assert_eq!((run.exit, run.out.as_str(), run.err.as_str()), (0, "There are three.\\u{1b}[2J\n", ""));
    let requests = model.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/v1/chat/completions"));
    let [first, second] = <[Value; 2]>::try_from(bodies(&model)).expect("it is asked twice");
    let names: Vec<&Value> =
        first["tools"].as_array().expect("a list").iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["counted", "steps"]);
    let asked = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]);
    assert_eq!((&first["model"], &first["messages"]), (&json!("m"), &asked));
    let messages = second["messages"].as_array().expect("a list");
    assert_eq!(messages[..2], asked.as_array().expect("a list")[..]);
    let mut said = calls(&wanted);
    said.as_object_mut().expect("an object").remove("refusal");
    assert_eq!(messages[2], said);
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "call_0", "content": "{\"count\":3}"}));
    assert_eq!(
        messages[4],
        json!({"role": "tool", "tool_call_id": "call_1", "content": "Error: Tool 'nothing' not found [tool.unknown]"})
    );
    assert!(
        messages[5]["content"].as_str().is_some_and(|text| text.ends_with("[arguments.invalid]")),
        "{}",
        messages[5]
    );
    assert_eq!(messages.len(), 6);
}

#[tokio::test]
async fn what_is_not_among_its_tools_a_model_does_not_get() {
    let model = model(vec![calls(&[("counted", json!({"count": 3}))]), says("no")]).await;
    let run = chat(World::new(), POLITE, &model, &["--json", "--tools", "*,!counted"], "How many?\n").await;
    let told: Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(told, json!({"content": "no", "calls": [{"tool": "counted", "outcome": "denied.tool"}]}));
    let body = &bodies(&model)[1];
    assert!(
        body["tools"].as_array().is_some_and(|tools| tools.iter().all(|tool| tool["function"]["name"] != "counted"))
    );
    let denied = "Error: `counted` is not among the tools `cli` may use [denied.tool]";
    assert_eq!(body["messages"][2]["content"], denied);
}

#[tokio::test]
async fn a_model_adds_nothing_to_what_the_operator_wrote() {
    let new = json!({"name": "x", "config": {"tool": "counted"}});
    let wanted = [("create_tool", new.clone()), ("call_tool", json!({"name": "create_tool", "arguments": new}))];
    let model = model(vec![calls(&wanted), says("no")]).await;
    let run = chat(World::new(), POLITE, &model, &["--json", "--tools", "*"], "Make a tool!\n").await;
    let told: Value = serde_json::from_str(&run.out).expect("it is JSON");
    let outcomes: Vec<&Value> = told["calls"].as_array().expect("a list").iter().map(|call| &call["outcome"]).collect();
    assert_eq!(outcomes, ["denied.manage", "denied.manage"]);
}

#[tokio::test]
async fn a_rejected_call_is_told_and_the_loop_goes_on() {
    let hook = Upstream::new(|_| Reply::status(204, "")).await;
    let text = format!("{POLITE}[approval]\ntime = \"1s\"\nwebhook = \"{}\"\n", hook.url("/"));
    let model = model(vec![calls(&[("launch", json!({"target": "moon"}))]), says("Then not.")]).await;
    let run = chat(World::new(), &text, &model, &["Launch!"], "").await;
    assert_eq!((run.exit, run.out.as_str()), (0, "Then not.\n"));
    let told = "Tool call rejected by user. (approval timed out)";
    assert_eq!(bodies(&model)[1]["messages"][2], json!({"role": "tool", "tool_call_id": "call_0", "content": told}));
}

#[tokio::test]
async fn a_model_that_only_calls_tools_is_stopped() {
    let model = model(vec![calls(&[("counted", json!({"count": 3}))])]).await;
    let run = chat(World::new(), POLITE, &model, &["--max-loops", "3", "How many?"], "").await;
    assert_eq!((run.exit, run.out.as_str()), (1, "Max tool call loops reached. Please try again.\n"));
    assert_eq!(model.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_gives_no_message_is_told_without_the_key() {
    let refusing = Upstream::new(|request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        Reply::status(401, format!("{{\"error\": \"wrong key: {key}\u{1b}\"}}"))
    })
    .await;
    let world = World::new();
    let (url, text) = (refusing.url("/v1"), POLITE.to_owned());
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = world.program(&text, &[], &["chat", "--model", "m", "--base-url", &url, "hello"]);
        command.env("OPENAI_API_KEY", "canary-key").stdin(std::process::Stdio::null()).output()
    });
    let output = ran.await.expect("it does not panic").expect("it can be started");
    let said = String::from_utf8(output.stderr).expect("it writes UTF-8");
    assert_eq!(refusing.requests()[0].header("authorization"), Some("Bearer canary-key"));
    let expected =
        "error[chat.status]: the model's server answered 401: {\"error\": \"wrong key: Bearer [key]\\u001b\"}\n";
    assert_eq!((output.status.code(), said.as_str()), (Some(1), expected));
    let odd = Upstream::new(|_| Reply::ok("{\"choices\": []}")).await;
    let run = chat(World::new(), POLITE, &odd, &["hello"], "").await;
    assert_eq!(
        (run.exit, run.err.as_str()),
        (1, "error[chat.answer]: the model's server gave no message: {\"choices\": []}\n")
    );
}
