//! What the public MCP conformance suite wants of a server: its tools, prompts and resources, under its names and with its
//! texts. The suite's descriptions of its scenarios say what each has to do.

use bailiwick_sdk::ask::{self, Answer, Question, Reply};
use bailiwick_sdk::context::{Message, Subject};
use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Value, json};

/// A PNG of one red pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";
/// A WAV of no sound at all.
const SILENCE: &[u8] = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";
/// Where a test lets a tool write, to see a change told to callers.
const TRIGGER: &str = "/trigger/bailiwick.toml";

/// A form with one field that has to be filled in.
fn form(message: &str, field: &str, kind: &str) -> Question {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
    Question::form(message, schema.to_string())
}

/// One question under a key, and what was filled in.
fn fill(key: &str, question: Question) -> Result<Value, Failure> {
    match ask::all([(key, question)])?.pop() {
        Some(Reply::Filled(fields)) => Ok(bailiwick_sdk::serde_json::from_str(&fields)?),
        Some(Reply::Declined | Reply::Cancelled | Reply::Sampled(_) | Reply::Roots(_)) | None => {
            Err(Failure::failed("Nobody filled the form in."))
        }
    }
}

/// A form and what came of it, as the suite wants it told.
fn elicit(message: &str, schema: &Value) -> Result<String, Failure> {
    let (action, content) = match ask::input(message, &schema.to_string())? {
        Answer::Accepted(fields) => ("accept", fields),
        Answer::Declined => ("decline", "{}".to_owned()),
        Answer::Cancelled => ("cancel", "{}".to_owned()),
    };
    Ok(format!("action={action}, content={content}"))
}

fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

/// Changes a file of the operator's by a line break, where one is granted: whoever watches it looks again.
fn touch() -> Result<String, Failure> {
    let text = std::fs::read_to_string(TRIGGER)?;
    std::fs::write(TRIGGER, text.strip_suffix('\n').map_or_else(|| format!("{text}\n"), str::to_owned))?;
    Ok("changed".to_owned())
}

/// Arguments that only JSON Schema 2020-12 can describe.
const SCHEMA_2020_12: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
        }
    },
    "properties": {
        "name": { "type": "string" },
        "address": { "$ref": "#/$defs/address" },
        "contactMethod": { "type": "string", "enum": ["phone", "email"] },
        "phone": { "type": "string" },
        "email": { "type": "string" }
    },
    "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
    "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
    "then": { "required": ["phone"] },
    "else": { "required": ["email"] },
    "additionalProperties": false
}"##;

/// Arguments of which one is repeated in a header of the request.
const SCHEMA_HEADER: &str = r#"{
    "type": "object",
    "properties": { "region": { "type": "string", "description": "Where.", "x-mcp-header": "Region" } },
    "required": ["region"]
}"#;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Gives a text.
    #[tool(read_only)]
    fn test_simple_text() -> &'static str {
        "This is a simple text response for testing."
    }

    /// Gives an image.
    #[tool(read_only)]
    fn test_image_content() -> Content {
        Content::image(PIXEL, "image/png")
    }

    /// Gives a sound.
    #[tool(read_only)]
    fn test_audio_content() -> Content {
        Content::audio(SILENCE, "audio/wav")
    }

    /// Gives a document.
    #[tool(read_only)]
    fn test_embedded_resource() -> Content {
        Content::resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    }

    /// Gives a text, an image and a document.
    #[tool(read_only)]
    fn test_multiple_content_types() -> Vec<Content> {
        vec![
            Content::text("Multiple content types test:"),
            Content::image(PIXEL, "image/png"),
            Content::resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]
    }

    /// Logs three lines.
    #[tool(read_only)]
    fn test_tool_with_logging() -> &'static str {
        log::info("Tool execution started");
        pause();
        log::info("Tool processing data");
        pause();
        log::info("Tool execution completed");
        "Logged three lines."
    }

    /// Logs, whether anybody asked for it or not.
    #[tool(read_only)]
    fn test_logging_tool() -> &'static str {
        log::info("This is for whoever asked for it.");
        "Logged a line."
    }

    /// Says three times how far it is.
    #[tool(read_only)]
    fn test_tool_with_progress() -> &'static str {
        progress::report(0.0, Some(100.0), None);
        pause();
        progress::report(50.0, Some(100.0), None);
        pause();
        progress::report(100.0, Some(100.0), None);
        "Went all the way."
    }

    /// Fails.
    #[tool(read_only)]
    fn test_error_handling() -> Result<String, Failure> {
        Err(Failure::failed("This tool intentionally returns an error for testing"))
    }

    /// Asks the caller's model.
    #[tool(read_only)]
    fn test_sampling(
        /// What to ask it.
        prompt: String,
    ) -> Result<String, Failure> {
        Ok(format!("LLM response: {}", ask::sample(&prompt, 100)?.text))
    }

    /// Needs the caller's model.
    #[tool(read_only)]
    fn test_missing_capability() -> Result<String, Failure> {
        Ok(ask::sample("Are you there?", 10)?.text)
    }

    /// Asks a person.
    #[tool(read_only)]
    fn test_elicitation(
        /// What to ask.
        message: String,
    ) -> Result<String, Failure> {
        let schema = json!({
            "type": "object",
            "properties": {
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            },
            "required": ["username", "email"],
        });
        Ok(format!("User response: {}", elicit(&message, &schema)?))
    }

    /// Asks a person with values filled in.
    #[tool(read_only)]
    fn test_elicitation_sep1034_defaults() -> Result<String, Failure> {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            },
        });
        Ok(format!("Elicitation completed: {}", elicit("Please look at these values.", &schema)?))
    }

    /// Asks a person to choose.
    #[tool(read_only)]
    fn test_elicitation_sep1330_enums() -> Result<String, Failure> {
        let titled = |names: [&str; 3], what: &str| -> Value {
            let option = |(number, name): (usize, &str)| json!({ "const": format!("value{}", number + 1), "title": format!("{name} {what}") });
            names.into_iter().enumerate().map(option).collect()
        };
        let options = ["option1", "option2", "option3"];
        let schema = json!({
            "type": "object",
            "properties": {
                "untitledSingle": { "type": "string", "enum": options },
                "titledSingle": { "type": "string", "oneOf": titled(["First", "Second", "Third"], "Option") },
                "legacyEnum": {
                    "type": "string",
                    "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"],
                },
                "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
                "titledMulti": { "type": "array", "items": { "anyOf": titled(["First", "Second", "Third"], "Choice") } },
            },
        });
        Ok(format!("Elicitation completed: {}", elicit("Please choose.", &schema)?))
    }

    /// Takes its time, so that a stream can break.
    #[tool(read_only)]
    fn test_reconnection() -> &'static str {
        pause();
        "Reconnection test completed successfully."
    }

    /// Asks for a name.
    #[tool(read_only)]
    fn test_input_required_result_elicitation() -> Result<String, Failure> {
        let name = fill("user_name", form("What is your name?", "name", "string"))?;
        Ok(format!("Hello, {}!", name["name"].as_str().unwrap_or_default()))
    }

    /// Asks the caller's model for a capital.
    #[tool(read_only)]
    fn test_input_required_result_sampling() -> Result<String, Failure> {
        let question = Question::model("What is the capital of France?", 100);
        match ask::all([("capital_question", question)])?.pop() {
            Some(Reply::Sampled(said)) => Ok(said.text),
            Some(Reply::Filled(_) | Reply::Roots(_) | Reply::Declined | Reply::Cancelled) | None => {
                Err(Failure::failed("The model did not answer."))
            }
        }
    }

    /// Asks where the caller works.
    #[tool(read_only)]
    fn test_input_required_result_list_roots() -> Result<String, Failure> {
        match ask::all([("client_roots", Question::Roots)])?.pop() {
            Some(Reply::Roots(roots)) => Ok(roots.into_iter().map(|root| root.uri).collect::<Vec<_>>().join("\n")),
            Some(Reply::Filled(_) | Reply::Sampled(_) | Reply::Declined | Reply::Cancelled) | None => {
                Err(Failure::failed("There are no roots."))
            }
        }
    }

    /// Asks for a yes, which comes back with the state of the call.
    #[tool(read_only)]
    fn test_input_required_result_request_state() -> Result<String, Failure> {
        let said = fill("confirm", form("Please confirm", "ok", "boolean"))?;
        Ok(format!("state-ok: {}", said["ok"]))
    }

    /// Asks three things at once.
    #[tool(read_only)]
    fn test_input_required_result_multiple_inputs() -> Result<String, Failure> {
        let replies = ask::all([
            ("user_name", form("What is your name?", "name", "string")),
            ("greeting", Question::model("Generate a greeting", 50)),
            ("client_roots", Question::Roots),
        ])?;
        Ok(format!("{} answers", replies.len()))
    }

    /// Asks twice.
    #[tool(read_only)]
    fn test_input_required_result_multi_round() -> Result<String, Failure> {
        let name = fill("step1", form("Step 1: What is your name?", "name", "string"))?;
        let color = fill("step2", form("Step 2: What is your favorite color?", "color", "string"))?;
        Ok(format!("{} likes {}", name["name"], color["color"]))
    }

    /// Asks for a yes; who comes back with a state nobody gave out is refused by the host.
    #[tool(read_only)]
    fn test_input_required_result_tampered_state() -> Result<String, Failure> {
        let said = fill("confirm", form("Please confirm", "ok", "boolean"))?;
        Ok(format!("confirmed: {}", said["ok"]))
    }

    /// Asks what this caller can be asked, and no more.
    #[tool(read_only)]
    fn test_input_required_result_capabilities() -> Result<String, Failure> {
        let able = ask::able();
        let mut questions = Vec::new();
        if able.input {
            questions.push(("user_name", form("What is your name?", "name", "string")));
        }
        if able.sample {
            questions.push(("greeting", Question::model("Generate a greeting", 50)));
        }
        Ok(format!("{} answers", ask::all(questions)?.len()))
    }

    /// Asks in the middle of an answer.
    #[tool(read_only)]
    fn test_streaming_elicitation() -> Result<String, Failure> {
        progress::report(1.0, Some(2.0), None);
        let said = fill("confirm", form("Go on?", "ok", "boolean"))?;
        Ok(format!("confirmed: {}", said["ok"]))
    }

    /// Makes the host look at its configuration again, and tell callers that tools may have changed.
    #[tool]
    fn test_trigger_tool_change() -> Result<String, Failure> {
        touch()
    }

    /// Makes the host look at its configuration again, and tell callers that prompts may have changed.
    #[tool]
    fn test_trigger_prompt_change() -> Result<String, Failure> {
        touch()
    }

    /// Takes arguments that only JSON Schema 2020-12 can describe.
    #[tool(read_only, input_schema = SCHEMA_2020_12)]
    fn json_schema_2020_12_tool(all: Args<Value>) -> String {
        all.0.to_string()
    }

    /// Takes an argument that is repeated in a header.
    #[tool(read_only, input_schema = SCHEMA_HEADER)]
    fn test_custom_header(all: Args<Value>) -> String {
        format!("region: {}", all.0["region"].as_str().unwrap_or_default())
    }

    /// A simple prompt.
    #[prompt]
    fn test_simple_prompt() -> &'static str {
        "This is a simple prompt for testing."
    }

    /// A prompt with two arguments.
    #[prompt]
    fn test_prompt_with_arguments(
        /// First test argument
        arg1: String,
        /// Second test argument
        arg2: String,
    ) -> String {
        format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")
    }

    /// A prompt with a document.
    #[prompt]
    #[expect(non_snake_case, reason = "the suite's name for it")]
    fn test_prompt_with_embedded_resource(
        /// URI of the resource to embed
        resourceUri: String,
    ) -> Vec<Message> {
        vec![
            Message::user(Content::resource(resourceUri, "text/plain", "Embedded resource content for testing.")),
            Message::user("Please process the embedded resource above."),
        ]
    }

    /// A prompt with an image.
    #[prompt]
    fn test_prompt_with_image() -> Vec<Message> {
        vec![Message::user(Content::image(PIXEL, "image/png")), Message::user("Please analyze the image above.")]
    }

    /// A prompt that asks for what it is about.
    #[prompt]
    fn test_input_required_result_prompt() -> Result<String, Failure> {
        let said = fill("user_context", form("What context should the prompt use?", "context", "string"))?;
        Ok(format!("Consider this: {}", said["context"].as_str().unwrap_or_default()))
    }

    /// Text that never changes.
    #[resource(uri = "test://static-text", name = "Static text", mime_type = "text/plain")]
    fn static_text() -> &'static str {
        "This is the content of the static text resource."
    }

    /// A pixel that never changes.
    #[resource(uri = "test://static-binary", name = "Static binary", mime_type = "image/png")]
    fn static_binary() -> Vec<u8> {
        PIXEL.to_vec()
    }

    /// A resource that a client can ask to be told of.
    #[resource(uri = "test://watched-resource", name = "Watched", mime_type = "text/plain")]
    fn watched() -> &'static str {
        "Watched resource content."
    }

    /// Data by id.
    #[resource(template = "test://template/{id}/data", name = "Data", mime_type = "application/json")]
    fn data(id: String) -> String {
        let text = format!("Data for ID: {id}");
        json!({ "id": id, "templateTest": true, "data": text }).to_string()
    }

    #[complete]
    fn suggest(subject: Subject, argument: String, value: String, _known: Vec<(String, String)>) -> Vec<String> {
        let known: &[&str] = match (&subject, argument.as_str()) {
            (Subject::Prompt(_), "arg1") => &["paris", "park", "party"],
            (Subject::Prompt(_), _) => &["test", "testing"],
            (Subject::Template(_), _) => &["1", "12", "123"],
        };
        known.iter().filter(|known| known.starts_with(&value)).map(|known| (*known).to_owned()).collect()
    }
}
