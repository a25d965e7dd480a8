//! Says what it is told in every place where a plugin's words end up: results, failures, the log, reports, questions,
//! artifacts, denials.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is one of the places")]

use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Map, Value, json};
use bailiwick_sdk::{EmbeddedResource, Media, ResourceBody, ResourceLink};

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Says it in every place a result has, and beside the result.
    #[tool]
    fn everywhere(text: String) -> Output {
        let say = || text.clone();
        log::error(say());
        println!("{text}");
        eprintln!("{text}");
        progress::report(1.0, None, Some(&text));
        let _ = ask::input(&text, r#"{"type":"object","properties":{}}"#);
        let _ = artifact::put(&text, &text, say().into_bytes());
        let named: Map<String, Value> = Map::from_iter([(say(), json!([text, { text.as_str(): text }]))]);
        let resource = |body| Content::Resource(EmbeddedResource { uri: say(), mime_type: Some(say()), body });
        let content = vec![
            Content::Text(say()),
            Content::Image(Media { data: say().into_bytes(), mime_type: say() }),
            Content::Audio(Media { data: say().into_bytes(), mime_type: say() }),
            resource(ResourceBody::Text(say())),
            resource(ResourceBody::Blob(say().into_bytes())),
            Content::Link(ResourceLink {
                uri: say(),
                name: say(),
                title: Some(say()),
                description: Some(say()),
                mime_type: Some(say()),
                size: None,
            }),
        ];
        Output { content, structured: Some(Value::Object(named).to_string()) }
    }

    /// Fails with it.
    #[tool]
    fn fail(text: String, how: String) -> Result<String, Failure> {
        Err(match how.as_str() {
            "invalid" => Failure::invalid(text),
            "not-configured" => Failure::not_configured(text),
            "not-found" => Failure::not_found(text),
            "read" => Failure::denied_read(text),
            "write" => Failure::denied_write(text),
            "request" => Failure::denied_request(&text, &text),
            "secret" => Failure::denied_secret(text),
            "upstream" => Failure::upstream(text, 503),
            "panic" => panic!("{text}"),
            _ => Failure::failed(text),
        })
    }

    /// Asks the host for what is not granted, in its words.
    #[tool]
    fn reach(text: String) -> String {
        let _ = secret::reveal(&text);
        let _ = http::Request::new(&text, format!("http://x.example/{text}")).header("x-it", &text).send();
        let _ = http::Request::get(format!("http://{text}.example/")).send();
        "reached".to_owned()
    }

    /// Asks with a form in which `SECRET` stands for the value of a secret.
    #[tool]
    fn form(secret: Option<String>, form: String) -> String {
        let value = secret.and_then(|name| bailiwick_sdk::secret::reveal(&name).ok()).unwrap_or_default();
        match ask::input("?", &form.replace("SECRET", &value)) {
            Ok(answer) => format!("{answer:?}"),
            Err(refusal) => refusal.name().to_owned(),
        }
    }

    /// Answers with many pieces of so many bytes, or one media type of so many.
    #[tool]
    fn many(pieces: u32, bytes: usize, how: String) -> Output {
        let text = "x".repeat(bytes);
        let piece = |_| match how.as_str() {
            "link" => Content::Link(ResourceLink {
                uri: "memo://1".to_owned(),
                name: "memo".to_owned(),
                title: Some(text.clone()),
                description: None,
                mime_type: None,
                size: None,
            }),
            "type" => Content::Image(Media { data: Vec::new(), mime_type: text.clone() }),
            "uri" => Content::Resource(EmbeddedResource {
                uri: text.clone(),
                mime_type: None,
                body: ResourceBody::Text(String::new()),
            }),
            _ => Content::Text(text.clone()),
        };
        Output { content: (0..pieces).map(piece).collect(), structured: None }
    }

    /// Is refused so often, each time for another host, or for the same.
    #[tool]
    fn pester(times: u32, distinct: bool) -> String {
        for number in 0..times {
            let number = if distinct { number } else { 0 };
            let _ = http::Request::get(format!("http://h{number}.example/")).send();
        }
        "done".to_owned()
    }
}
