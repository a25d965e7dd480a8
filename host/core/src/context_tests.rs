//! What a plugin may publish as context, and what is pinned of it.

use super::*;

fn prompt(name: &str, description: &str) -> Prompt {
    let argument = PromptArgument { name: "focus".to_owned(), title: None, description: None, required: true };
    Prompt { name: name.to_owned(), title: None, description: description.to_owned(), arguments: vec![argument] }
}

fn resource(uri: &str) -> ResourceLink {
    ResourceLink { uri: uri.to_owned(), name: "it".to_owned(), ..ResourceLink::default() }
}

#[track_caller]
fn check(catalogue: Catalogue, expected: &str) {
    assert_eq!(catalogue.check().err().as_deref().unwrap_or("fine"), expected);
}

#[test]
fn texts_that_hide_something_are_refused_wherever_they_stand() {
    let with = |prompt| Catalogue { prompts: vec![prompt], ..Catalogue::default() };
    check(with(prompt("review", "Reviews.")), "fine");
    check(with(prompt("review", "a\u{202e}b")), "prompt `review`: the description hides a character (U+202E)");
    let mut hiding = prompt("review", "");
    hiding.arguments[0].description = Some("a\u{e0041}".to_owned());
    check(with(hiding), "prompt `review`: the description hides a character (U+E0041)");
    let mut titled = prompt("review", "");
    titled.title = Some("a\nb".to_owned());
    check(with(titled), "prompt `review`: a name, a title or a media type is one line of at most 255 bytes");
    let named = |name: &str| Catalogue {
        resources: vec![ResourceLink { name: name.to_owned(), ..resource("a:b") }],
        ..Catalogue::default()
    };
    check(named("fine"), "fine");
    check(named("a\u{200b}"), "resource `a:b`: the description hides a character (U+200B)");
    check(named(""), "resource `a:b`: it has no name");
}

#[test]
fn names_and_uris_are_legal_and_unique() {
    let prompts = |prompts: &[&str]| Catalogue {
        prompts: prompts.iter().map(|name| prompt(name, "")).collect(),
        ..Catalogue::default()
    };
    check(prompts(&["a", "b"]), "fine");
    check(prompts(&["a", "a"]), "prompt `a` is there twice");
    let illegal = prompts(&["a b"]).check().unwrap_err();
    assert!(illegal.starts_with("prompt `a b`: `a b` is not a tool name"), "{illegal}");
    let resources =
        |uris: &[&str]| Catalogue { resources: uris.iter().map(|uri| resource(uri)).collect(), ..Catalogue::default() };
    check(resources(&["a:b", "https://x.example/y"]), "fine");
    check(resources(&["a:b", "a:b"]), "resource `a:b` is there twice");
    check(resources(&["b"]), "resource `b`: it is not an absolute URI");
    check(resources(&["a:b c"]), "resource `a:b c`: a URI has no spaces, control characters or letters beyond ASCII");
    check(resources(&["Artifact://x/y"]), "resource `Artifact://x/y`: `artifact:` is the host's own");
}

#[test]
fn what_is_pinned_has_names_no_tool_can_have() {
    let catalogue = Catalogue {
        prompts: vec![prompt("review", "Reviews.")],
        resources: vec![resource("a:b")],
        templates: vec![Family {
            uri_template: "a:{b}".to_owned(),
            name: "all".to_owned(),
            title: None,
            description: None,
            mime_type: None,
        }],
    };
    let pinned = catalogue.definitions();
    let names: Vec<&str> = pinned.iter().map(|definition| definition.name.as_str()).collect();
    assert_eq!(names, ["prompt:review", "resource:a:b", "template:a:{b}"]);
    assert!(names.iter().all(|name| ToolName::parse(name).is_err()));
    let schema: Value = serde_json::from_str(&pinned[0].input_schema).unwrap();
    let expected = json!({"type": "object", "properties": {"focus": {"type": "string"}}, "required": ["focus"],
                          "additionalProperties": false});
    assert_eq!(schema, expected);
}
