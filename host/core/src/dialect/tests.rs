use serde_json::{Value, json};

use super::answers::{messages, text};
use super::calls::{Asked, Batch, MAX_CALLS, read};
use super::*;
use crate::outcome::{Code, Content, Failure, Media, Outcome, Output, ResourceLink};

fn offered<'t>(name: &'t str, description: &'t str, input: &'t Value) -> Offered<'t> {
    Offered {
        name,
        title: None,
        description,
        not_configured: None,
        input,
        output: None,
        annotations: Annotations::default(),
    }
}

#[track_caller]
fn check(format: Format, how: Strict, input: Value, expected: Value) {
    let definitions = definitions(format, &[offered("read", "Reads.", &input)], how);
    assert_eq!(Value::from(definitions), json!([expected]));
}

fn simple() -> Value {
    json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {
        "path": {"type": "string", "description": "What to read."},
        "limit": {"type": "integer", "minimum": 1, "default": 10},
        "kind": {"type": "string", "enum": ["a", "b"]},
    }, "required": ["path"], "additionalProperties": false})
}

#[test]
fn a_tool_looks_different_to_each_provider() {
    let plain = {
        let mut plain = simple();
        plain.as_object_mut().unwrap().shift_remove("$schema");
        plain
    };
    let strict = json!({"type": "object", "properties": {
        "path": {"description": "What to read.", "type": "string"},
        "limit": {"type": ["integer", "null"], "minimum": 1, "description": "{default: 10}"},
        "kind": {"type": ["string", "null"], "enum": ["a", "b", null]},
    }, "required": ["path", "limit", "kind"], "additionalProperties": false});
    let strict_anthropic = json!({"type": "object", "properties": {
        "path": {"description": "What to read.", "type": "string"},
        "limit": {"type": "integer", "description": "{default: 10, minimum: 1}"},
        "kind": {"enum": ["a", "b"]},
    }, "required": ["path"], "additionalProperties": false});
    let gemini = json!({"type": "OBJECT", "properties": {
        "path": {"type": "STRING", "description": "What to read."},
        "limit": {"type": "INTEGER", "minimum": 1, "description": "{default: 10}"},
        "kind": {"type": "STRING", "enum": ["a", "b"]},
    }, "required": ["path"]});
    let about = |definition: Value| {
        let mut about = json!({"name": "read", "description": "Reads."});
        about.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
        about
    };
    let (auto, always, never) = (Strict::Auto, Strict::Always, Strict::Never);
    check(Format::Flat, auto, simple(), about(json!({"parameters": simple()})));
    check(Format::Mcp, auto, simple(), about(json!({"inputSchema": simple(), "annotations": {}})));
    let function = |parameters: &Value, strict| about(json!({"parameters": parameters, "strict": strict}));
    let wrapped = |parameters, strict| json!({"type": "function", "function": function(parameters, strict)});
    check(Format::OpenAi, auto, simple(), wrapped(&strict, true));
    check(Format::OpenAi, never, simple(), wrapped(&plain, false));
    let mut flat = function(&strict, true);
    flat["type"] = "function".into();
    check(Format::OpenAiResponses, auto, simple(), flat);
    check(Format::Anthropic, auto, simple(), about(json!({"input_schema": plain})));
    check(Format::Anthropic, always, simple(), about(json!({"input_schema": strict_anthropic, "strict": true})));
    check(Format::Gemini, auto, simple(), json!({"functionDeclarations": [about(json!({"parameters": gemini}))]}));
}

#[test]
fn a_tool_without_arguments_is_one_everywhere() {
    let nothing = json!({"type": "object", "properties": {}});
    let strict = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    let about = json!({"name": "read", "description": "Reads."});
    check(
        Format::OpenAi,
        Strict::Auto,
        nothing.clone(),
        json!({"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": strict, "strict": true}}),
    );
    check(Format::Gemini, Strict::Auto, nothing, json!({ "functionDeclarations": [about] }));
    assert_eq!(definitions(Format::Gemini, &[], Strict::Auto), Vec::<Value>::new());
}

/// `input` as OpenAI's strict form, as what Gemini is told, and with a plain root.
#[track_caller]
fn forms(input: Value, strict_form: Option<Value>, gemini_form: Option<Value>, plain: Option<Value>) {
    assert_eq!(strict(&input, &Subset::OPENAI), strict_form, "strict");
    let declared = gemini_declaration(&offered("read", "", &input));
    assert_eq!(declared.get("parameters").cloned(), gemini_form, "gemini");
    let plain = plain.unwrap_or_else(|| input.clone());
    assert_eq!(plain_root(&input), plain, "plain");
}

fn of(property: Value) -> Value {
    json!({"type": "object", "properties": {"a": property}, "required": ["a"]})
}

fn held(property: Value) -> Option<Value> {
    let root =
        json!({"type": "object", "properties": {"a": property}, "required": ["a"], "additionalProperties": false});
    Some(root)
}

fn told(property: Value) -> Option<Value> {
    Some(json!({"type": "OBJECT", "properties": {"a": property}, "required": ["a"]}))
}

#[test]
fn what_a_provider_has_no_words_for_goes_without() {
    forms(
        of(json!({"type": "string", "minLength": 2, "format": "uri", "description": "A."})),
        held(json!({"description": "A.\n\n{minLength: 2, format: \"uri\"}", "type": "string"})),
        told(json!({"type": "STRING", "minLength": 2, "description": "A.\n\n{format: \"uri\"}"})),
        None,
    );
    forms(of(json!({"const": "x"})), held(json!({"type": "string", "const": "x"})), None, None);
    forms(of(json!({"type": "string", "enum": [""]})), held(json!({"type": "string", "enum": [""]})), None, None);
    forms(
        of(json!({"type": "array", "items": {"type": "number"}, "maxItems": 3})),
        held(json!({"type": "array", "items": {"type": "number"}, "maxItems": 3})),
        told(json!({"type": "ARRAY", "maxItems": 3, "items": {"type": "NUMBER"}})),
        None,
    );
    let either = json!({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A", "default": null});
    forms(
        of(either),
        held(json!({"title": "A", "anyOf": [{"type": "string"}, {"type": "null"}]})),
        told(json!({"type": "STRING", "nullable": true, "title": "A"})),
        None,
    );
    for neither in [
        json!({}),
        json!(true),
        json!({"type": "array"}),
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "string", "not": {"const": "x"}}),
        json!({"allOf": [{"type": "string"}]}),
        json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": true}),
    ] {
        forms(of(neither), None, None, None);
    }
}

#[test]
fn a_null_the_host_would_not_take_out_again_is_never_asked_for() {
    let optional = json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": false});
    let strict_form = json!({"type": "object", "properties": {"b": {"type": ["string", "null"]}}, "required": ["b"], "additionalProperties": false});
    assert_eq!(strict(&of(optional.clone()), &Subset::OPENAI), held(strict_form.clone()));
    let either = json!({"anyOf": [optional.clone(), {"type": "null"}]});
    assert_eq!(strict(&of(either), &Subset::OPENAI), held(json!({"anyOf": [strict_form, {"type": "null"}]})));
    let several = json!({"anyOf": [optional.clone(), {"type": "object", "properties": {"c": {"type": "string"}}}]});
    assert_eq!(strict(&of(several), &Subset::OPENAI), None);
    let mut referred = of(json!({"$ref": "#/$defs/o"}));
    referred["$defs"] = json!({ "o": optional });
    assert_eq!(strict(&referred, &Subset::OPENAI), None);
    referred["$defs"]["o"]["required"] = json!(["b"]);
    assert!(strict(&referred, &Subset::OPENAI).is_some());
}

#[test]
fn a_schema_too_large_to_hold_a_model_to_is_offered_without() {
    let mut deep = json!({"type": "string"});
    for _ in 0..11 {
        deep = json!({"type": "object", "properties": {"a": deep}, "required": ["a"]});
    }
    assert_eq!(strict(&deep, &Subset::OPENAI), None);
    assert!(strict(&deep["properties"]["a"], &Subset::OPENAI).is_some());
    let choices = |n: usize| of(json!({"type": "integer", "enum": (0..n).collect::<Vec<_>>()}));
    assert!(strict(&choices(1_000), &Subset::OPENAI).is_some());
    assert_eq!(strict(&choices(1_001), &Subset::OPENAI), None);
}

#[test]
fn alternatives_at_the_root_become_one_object() {
    let url = json!({"type": "object", "properties": {"url": {"type": "string"}, "n": {"type": "integer"}}, "required": ["n", "url"]});
    let path = json!({"type": "object", "properties": {"path": {"type": "string"}, "n": {"type": "string"}}, "required": ["path", "n"]});
    let schema = json!({"type": "object", "oneOf": [url, path, {"$ref": "#/$defs/none"}], "$defs": {"none": {"properties": {"z": {"type": "null"}}, "required": ["n"]}},
        "if": {"required": ["url"]}, "then": {"properties": {"depth": {"type": "integer"}}, "required": ["depth"]}, "not": {"required": ["q"]}});
    let expected = json!({"type": "object", "properties": {
        "url": {"type": "string"}, "n": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "path": {"type": "string"},
        "z": {"type": "null"}, "depth": {"type": "integer"},
    }, "required": ["n"], "$defs": {"none": {"properties": {"z": {"type": "null"}}, "required": ["n"]}}});
    assert_eq!(plain_root(&schema), expected);
    forms(schema.clone(), None, None, Some(expected.clone()));
    let declared = gemini_declaration(&offered("read", "", &schema));
    assert_eq!(declared["parametersJsonSchema"], expected);
    let circle = json!({"type": "object", "$ref": "#", "properties": {"a": {}}});
    assert_eq!(plain_root(&circle), json!({"type": "object", "properties": {"a": {}}}));
}

#[test]
fn a_long_description_keeps_what_has_to_be_set() {
    let (input, long) = (json!({"type": "object", "properties": {}}), "ä".repeat(2_000));
    let tool = Offered { not_configured: Some("set `KEY`"), ..offered("read", &long, &input) };
    let short = definition(Format::OpenAiResponses, &tool, Strict::Auto)["description"].as_str().unwrap().to_owned();
    assert_eq!(short.chars().count(), MAX_DESCRIPTION);
    assert!(short.ends_with("ä… [NOT CONFIGURED] set `KEY`"), "{short}");
    assert_eq!(tool.whole_description(), format!("{long} [NOT CONFIGURED] set `KEY`"));
    let tool = Offered { not_configured: Some(&long), ..offered("read", "Reads.", &input) };
    assert_eq!(tool.described(MAX_DESCRIPTION).chars().count(), MAX_DESCRIPTION);
}

#[test]
fn a_name_that_gemini_refuses_gets_another_that_no_tool_has() {
    for (name, gemini) in [("read", "read"), ("_x", "_x"), ("2fa", "_.2fa"), ("-", "_.-")] {
        assert_eq!(Format::Gemini.name(name), gemini);
        for format in Format::ALL {
            assert_eq!(format.tool(&format.name(name)), name);
        }
        assert!(gemini == name || ToolName::parse(gemini).is_err());
    }
}

fn asked(id: &str, name: &str, arguments: &str) -> Asked {
    Asked { id: Some(id.to_owned()), name: name.to_owned(), arguments: arguments.to_owned() }
}

#[track_caller]
fn reads(body: &str, format: Format, calls: &[Asked]) {
    assert_eq!(read(body, None), Ok(Batch { format, calls: calls.to_vec() }));
    assert_eq!(read(body, Some(format)), Ok(Batch { format, calls: calls.to_vec() }));
}

#[test]
fn calls_are_read_from_the_message_a_provider_gave() {
    let two = [asked("a", "read", "{\"path\":\"x\"}"), asked("b", "now", "{}")];
    let tool_calls = r#"[{"id":"a","type":"function","function":{"name":"read","arguments":"{\"path\":\"x\"}"}},
        {"id":"b","function":{"name":"now"}}]"#;
    reads(&format!(r#"{{"tool_calls":{tool_calls}}}"#), Format::OpenAi, &two);
    reads(&format!(r#"{{"role":"assistant","content":null,"tool_calls":{tool_calls}}}"#), Format::OpenAi, &two);
    reads(&format!(r#"{{"content":[{{"type":"text","text":""}}],"tool_calls":{tool_calls}}}"#), Format::OpenAi, &two);
    reads(&format!(r#"{{"choices":[{{"message":{{"tool_calls":{tool_calls}}}}}]}}"#), Format::OpenAi, &two);
    reads(
        r#"{"output":[{"type":"reasoning","id":"r"},{"type":"function_call","id":"f","call_id":"a","name":"read","arguments":"{\"path\":\"x\"}"},
            {"type":"function_call","call_id":"b","name":"now","arguments":""}]}"#,
        Format::OpenAiResponses,
        &[two[0].clone(), asked("b", "now", "")],
    );
    reads(
        r#"{"role":"assistant","stop_reason":"tool_use","content":[{"type":"text","text":"I look."},
            {"type":"tool_use","id":"a","name":"read","input":{"path":"x"}},{"type":"tool_use","id":"b","name":"now"}]}"#,
        Format::Anthropic,
        &two,
    );
    let parts = r#"[{"text":"I look."},{"functionCall":{"id":"a","name":"read","args":{"path":"x"}},"thoughtSignature":"s"},
        {"function_call":{"id":"b","name":"now","args":null}}]"#;
    reads(&format!(r#"{{"role":"model","parts":{parts}}}"#), Format::Gemini, &two);
    reads(&format!(r#"{{"candidates":[{{"content":{{"parts":{parts}}}}}]}}"#), Format::Gemini, &two);
    // No digit is lost: the text goes on as it came.
    reads(
        r#"{"content":[{"type":"tool_use","id":"a","name":"read","input":{"n": 123456789012345678901234567890}}]}"#,
        Format::Anthropic,
        &[asked("a", "read", r#"{"n": 123456789012345678901234567890}"#)],
    );
    reads(r#"{"tool_calls":[]}"#, Format::OpenAi, &[]);
}

#[track_caller]
fn misreads(body: &str, told: Option<Format>, expected: &str) {
    let seen = read(body, told).unwrap_err();
    assert_eq!(format!("{} <- {} [{}]", seen.field, seen.message, seen.kind), expected);
}

#[test]
fn what_cannot_be_read_is_named() {
    misreads("{", None, "body <- EOF while parsing an object at line 1 column 1 [json_invalid]");
    let none = "there is none of `tool_calls` (OpenAI), `output` (OpenAI responses), a `content` list (Anthropic) and `parts` (Gemini)";
    misreads("{}", None, &format!("body <- {none} [missing]"));
    misreads(r#"{"content":"text"}"#, None, &format!("body <- {none} [missing]"));
    misreads(r#"{"tool_calls":{}}"#, None, "tool_calls <- it must be a list [list_type]");
    misreads(
        r#"{"output":[],"parts":[]}"#,
        None,
        "output <- there is `parts` too; one message comes from one provider [ambiguous]",
    );
    misreads(
        r#"{"parts":[]}"#,
        Some(Format::OpenAi),
        "parts <- this is `gemini`, and not what `format` says [format_mismatch]",
    );
    misreads(r#"{"tool_calls":[{"id":"a"}]}"#, None, "tool_calls.0.function <- it must be there [missing]");
    misreads(
        r#"{"tool_calls":[{"id":"a","type":"custom","custom":{}}]}"#,
        None,
        "tool_calls.0.type <- only calls of the type `function` can be run here [literal_error]",
    );
    misreads(
        r#"{"tool_calls":[{"id":"a","function":{"name":1}}]}"#,
        None,
        "tool_calls.0.function <- invalid type: integer `1`, expected a string at line 1 column 9 [model_attributes_type]",
    );
    let many = vec![r#"{"id":"a","function":{"name":"x"}}"#; MAX_CALLS + 1].join(",");
    misreads(
        &format!(r#"{{"tool_calls":[{many}]}}"#),
        None,
        "tool_calls <- there are 65 calls; at most 64 are taken at once [too_long]",
    );
}

fn outcomes() -> Vec<(Asked, Outcome)> {
    let picture = |mime_type: &str| Content::Image(Media { data: vec![1, 2, 255], mime_type: mime_type.to_owned() });
    let link = ResourceLink { uri: "artifact://c/x".to_owned(), name: "x".to_owned(), ..ResourceLink::default() };
    let shown = Output {
        content: vec![Content::Text("seen".to_owned()), picture("image/png"), picture("x/y"), Content::Link(link)],
        structured: None,
        ..Output::default()
    };
    let structured = Output { structured: Some(json!({"n": 1})), ..Output::default() };
    let refused = Failure::new(Code::DeniedNetHost, "`p` may not reach `x`").with_fix("add it");
    let rejected = Failure::new(Code::DeniedApproval, "Tool call rejected by user.");
    vec![
        (asked("a", "see", "{}"), Outcome::done(shown)),
        (asked("b", "count", "{}"), Outcome::done(structured)),
        (asked("c", "fetch", "{}"), Outcome::failed(refused)),
        (asked("d", "shell", "{}"), Outcome::failed(rejected)),
    ]
}

#[track_caller]
fn answers(format: Format, expected: Value) {
    assert_eq!(Value::from(messages(format, &outcomes())), expected);
}

#[test]
fn answers_are_the_messages_a_provider_reads_next_in_the_order_of_the_calls() {
    let unshown = "[3 bytes of x/y, which cannot be shown here]";
    let link = "[resource artifact://c/x]";
    let refused = "Error: `p` may not reach `x`; add it [denied.net.host]";
    let rejected = "Tool call rejected by user.";
    let tool = |id: &str, content: &str| json!({"role": "tool", "tool_call_id": id, "content": content});
    answers(
        Format::OpenAi,
        json!([
            tool("a", &format!("seen\n{unshown}\n{link}\n[image 1, in the message after the results]")),
            tool("b", "{\"n\":1}"),
            tool("c", refused),
            tool("d", rejected),
            {"role": "user", "content": [{"type": "text", "text": "Image 1, from `a`:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQL/"}}]},
        ]),
    );
    let output = |id: &str, output: Value| json!({"type": "function_call_output", "call_id": id, "output": output});
    let part = |text: &str| json!({"type": "input_text", "text": text});
    let picture = json!({"type": "input_image", "image_url": "data:image/png;base64,AQL/"});
    answers(
        Format::OpenAiResponses,
        json!([
            output("a", json!([part("seen"), picture, part(unshown), part(link)])),
            output("b", json!("{\"n\":1}")),
            output("c", json!(refused)),
            output("d", json!(rejected)),
        ]),
    );
    let text = |text: &str| json!({"type": "text", "text": text});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQL/"}});
    answers(
        Format::Anthropic,
        json!([{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [text("seen"), image, text(unshown), text(link)]},
            {"type": "tool_result", "tool_use_id": "b", "content": "{\"n\":1}"},
            {"type": "tool_result", "tool_use_id": "c", "content": refused, "is_error": true},
            {"type": "tool_result", "tool_use_id": "d", "content": rejected, "is_error": true},
        ]}]),
    );
    let data = |mime: &str| json!({"inlineData": {"mimeType": mime, "data": "AQL/"}});
    answers(
        Format::Gemini,
        json!([{"role": "user", "parts": [
            {"functionResponse": {"id": "a", "name": "see", "response": {"output": format!("seen\n{link}")}, "parts": [data("image/png"), data("x/y")]}},
            {"functionResponse": {"id": "b", "name": "count", "response": {"output": {"n": 1}}}},
            {"functionResponse": {"id": "c", "name": "fetch", "response": {"error": refused}}},
            {"functionResponse": {"id": "d", "name": "shell", "response": {"error": rejected}}},
        ]}]),
    );
}

#[test]
fn an_outcome_as_text_says_all_of_it() {
    let texts: Vec<String> = outcomes().iter().map(|(_, outcome)| text(outcome)).collect();
    assert_eq!(
        texts,
        [
            "seen\n[3 bytes of image/png, which cannot be shown here]\n[3 bytes of x/y, which cannot be shown here]\n[resource artifact://c/x]",
            "{\"n\":1}",
            "Error: `p` may not reach `x`; add it [denied.net.host]",
            "Tool call rejected by user.",
        ]
    );
}
