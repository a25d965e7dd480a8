//! Prompts and resources of plugins: had through the gate, under the rules of tools.

use bailiwick::contexts;
use bailiwick_core::context::Subject;
use bailiwick_core::outcome::ResourceBody;
use serde_json::json;

use crate::support::host::{TestHost, World};

const HOUSE: &str = "[plugins.house]\ncomponent = \"house.wasm\"\n";

impl TestHost {
    /// A prompt as text: who says what, line by line.
    async fn prompt(&self, name: &str, arguments: serde_json::Value) -> String {
        let call = contexts::call(&self.host, &self.who(), name, arguments.to_string());
        match self.host.prompt(call, self.channel.clone()).await {
            Err(failure) => format!("{}: {failure}", failure.code),
            Ok(made) => {
                let said = made.messages.iter().map(|(role, content)| format!("{}: {content:?}", role.as_str()));
                said.collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// A resource as text.
    async fn resource(&self, uri: &str) -> String {
        let call = contexts::call(&self.host, &self.who(), uri, String::new());
        match self.host.resource(call, self.channel.clone()).await {
            Err(failure) => format!("{}: {failure}", failure.code),
            Ok(documents) => {
                let text = |body: &ResourceBody| match body {
                    ResourceBody::Text(text) => text.clone(),
                    ResourceBody::Blob(bytes) => format!("{} bytes", bytes.len()),
                };
                let documents = documents.iter();
                documents.map(|one| format!("{} {:?} {}", one.uri, one.mime_type, text(&one.body))).collect()
            }
        }
    }

    /// The names of all that a caller may have.
    fn offered(&self) -> Vec<String> {
        let visible = self.host.contexts(&self.who());
        let prompts = visible.prompts.iter().map(|offered| offered.tool.name.to_string());
        let resources = visible.resources.iter().map(|offered| offered.link.uri.clone());
        let families = visible.families.iter().map(|offered| offered.family.uri_template.clone());
        prompts.chain(resources).chain(families).collect()
    }
}

#[tokio::test]
async fn prompts_and_resources_are_listed_and_had() {
    let host = TestHost::new(HOUSE).await;
    assert_eq!(host.offered(), ["blab", "endless", "greet", "long", "house://rules", "house://diary/{day}"]);
    assert_eq!(host.listed(), Vec::<String>::new());
    let said = "user: Text(\"Greet Ada kindly.\")\nassistant: Text(\"Gladly.\")";
    assert_eq!(host.prompt("greet", json!({"name": "Ada"})).await, said);
    assert_eq!(host.resource("house://rules").await, "house://rules Some(\"text/plain\") Be kind.");
    let rained = "house://diary/monday Some(\"text/plain\") On monday it rained.";
    assert_eq!(host.resource("house://diary/monday").await, rained);
    let call = contexts::call(&host.host, &host.who(), "", String::new());
    let known = vec![("name".to_owned(), "Ada".to_owned())];
    let made = host.host.complete(call, Subject::Prompt("greet".to_owned()), "manner", "war", known).await.unwrap();
    assert_eq!(made.values, ["war!", "greet", "manner", "[(\"name\", \"Ada\")]"]);
    let tools: Vec<String> = host.audit().iter().map(|record| record["tool"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tools, ["prompt:greet", "resource:house://rules", "resource:house://diary/monday", "complete:greet"]);
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let host = TestHost::new(HOUSE).await;
    assert_eq!(host.prompt("greets", json!({})).await, "tool.unknown: Prompt 'greets' not found");
    assert_eq!(host.resource("house://roles").await, "tool.unknown: Resource 'house://roles' not found");
    assert_eq!(host.resource("house://diary/never").await, "tool.not-found: There is no such day.");
    let missing = host.prompt("greet", json!({})).await;
    assert!(missing.starts_with("arguments.invalid: ") && missing.contains("name"), "{missing}");
    let unknown = host.prompt("greet", json!({"name": "Ada", "age": "3"})).await;
    assert!(unknown.starts_with("arguments.invalid: ") && unknown.contains("age"), "{unknown}");
}

#[tokio::test]
async fn a_caller_has_the_context_of_the_plugins_in_its_tools() {
    let host = TestHost::new(HOUSE).await.caller("key:ci", &["house", "greet"]);
    let refused = "denied.tool: the prompts and resources of `house` are not among what `key:ci` may use";
    assert_eq!(host.offered(), Vec::<String>::new());
    assert_eq!(host.prompt("greet", json!({"name": "Ada"})).await, refused);
    assert_eq!(host.resource("house://rules").await, refused);
    let host = host.caller("key:ci", &["context:house"]);
    assert_eq!(host.offered().len(), 6);
    assert_eq!(host.resource("house://rules").await, "house://rules Some(\"text/plain\") Be kind.");
}

#[tokio::test]
async fn what_is_switched_off_for_all_tools_is_off_here_too() {
    let host = TestHost::new(&format!("{HOUSE}tools.\"*\".allow = false\n")).await;
    assert_eq!(host.offered(), Vec::<String>::new());
    let told = host.prompt("greet", json!({"name": "Ada"})).await;
    let expected = "denied.tool: the prompts and resources of `house` are switched off in the configuration; \
                    set `allow = true` under `[plugins.house.tools.\"*\"]`";
    assert!(told.starts_with(expected), "{told}");
}

#[tokio::test]
async fn a_prompt_that_hides_something_keeps_its_plugin_out() {
    let host = World::new().try_start("[plugins.sly]\ncomponent = \"sly.wasm\"\n").await.unwrap();
    let problem =
        "plugin `sly` (bailiwick.toml:1) is left out: prompt `harmless`: the description hides a character (U+202E)";
    assert!(host.problems().iter().any(|told| told.ends_with(&problem[11..])), "{:?}", host.problems());
    assert_eq!(host.offered(), Vec::<String>::new());
}

#[tokio::test]
async fn what_two_plugins_publish_goes_to_neither_under_its_own_name() {
    let host =
        TestHost::new("[plugins.a]\ncomponent = \"house.wasm\"\n[plugins.b]\ncomponent = \"house.wasm\"\n").await;
    let prompts: Vec<String> = host.offered().into_iter().take(8).collect();
    let expected = ["a__blab", "a__endless", "a__greet", "a__long", "b__blab", "b__endless", "b__greet", "b__long"];
    assert_eq!(prompts, expected);
    let said = "user: Text(\"Greet Ada kindly.\")\nassistant: Text(\"Gladly.\")";
    assert_eq!(host.prompt("b__greet", json!({"name": "Ada"})).await, said);
    let nobodys =
        "tool.unknown: Resource 'house://rules' not found; more than one plugin publishes it, so it is nobody's";
    assert_eq!(host.resource("house://rules").await, nobodys);
}

#[tokio::test]
async fn limits_hold() {
    let host = TestHost::new(&format!("{HOUSE}limits = {{ output = \"1KiB\", time = \"200ms\" }}\n")).await;
    let told = host.prompt("long", json!({"bytes": "900"})).await;
    assert!(told.starts_with("user: "), "{told}");
    let told = host.prompt("long", json!({"bytes": "1100"})).await;
    assert!(told.starts_with("limit.output: `prompt:long` gave a result of "), "{told}");
    assert!(told.contains("raise `limits.output` under `[plugins.house]`"), "{told}");
    let told = host.prompt("endless", json!({})).await;
    assert!(told.starts_with("limit.time: `endless` did not end within 200ms"), "{told}");
}

#[tokio::test]
async fn secrets_are_taken_out() {
    let secret = "[plugins.house.secrets.TOKEN]\nfile = \"token\"\nreveal = true\n";
    let host = World::new().secret("token", "sesame-4711-open").start(&format!("{HOUSE}{secret}")).await;
    let told = host.prompt("blab", json!({})).await;
    assert!(told.starts_with("user: Text(\"It is ") && !told.contains("4711"), "{told}");
    let host = TestHost::new(HOUSE).await;
    let told = host.prompt("blab", json!({})).await;
    assert!(told.starts_with("plugin.not-configured: "), "{told}");
}
