use serde_json::json;

use super::*;
use crate::call::Selector;
use crate::config::Effective;
use crate::registry::{Annotations, Candidate, Naming, Risk};

fn registry() -> Registry {
    let definition = Definition {
        name: "echo".to_owned(),
        title: None,
        description: "Says it.".to_owned(),
        input_schema:
            r#"{"type":"object","properties":{"n":{"type":"integer"},"text":{"type":"string"}},"required":["text"]}"#
                .to_owned(),
        output_schema: None,
        annotations: Annotations::default(),
        risk: Risk::Low,
    };
    let arguments = ArgumentSchema::compile(&definition.input_schema, &[], Map::new()).unwrap();
    let tool = Tool {
        name: ToolName::parse("echo").unwrap(),
        plugin: PluginName::parse("polite").unwrap(),
        plugin_index: 0,
        definition,
        brief: None,
        effective: Arc::new(Effective { allowed: true, ..Effective::default() }),
        arguments,
        results: None,
        grants_digest: String::new(),
        annotations: Annotations::default(),
        not_configured: None,
        role: Role::Single,
    };
    Registry::new(vec![Candidate { tool, aliases: Vec::new(), naming: Naming::default() }]).unwrap()
}

fn second(name: &str, of: &str) -> SecondName {
    let (name, of) = (ToolName::parse(name).unwrap(), ToolName::parse(of).unwrap());
    SecondName { name, of, title: None, description: None, inject: Map::new(), over: Over::default() }
}

#[test]
fn g1_a_second_name_runs_the_tool_with_its_rights() {
    let mut registry = registry();
    let inject = json!({"n": 7}).as_object().cloned().unwrap();
    registry.stand_for(SecondName { inject, ..second("twin", "echo") }).unwrap();
    let (_, twin) = registry.resolve("twin").unwrap();
    let (_, echo) = registry.resolve("echo").unwrap();
    assert_eq!((twin.plugin_index, &twin.definition.name), (0, &"echo".to_owned()));
    assert_eq!(twin.effective.grants, echo.effective.grants);
    assert_eq!(twin.arguments.prepare(r#"{"text":"x"}"#).unwrap().text, r#"{"text":"x","n":7}"#);
    assert_eq!(twin.arguments.visible()["properties"].get("n"), None);
    assert_eq!(echo.arguments.prepare(r#"{"text":"x"}"#).unwrap().text, r#"{"text":"x"}"#);
    for (wrong, of) in
        [("echo", "echo"), ("twin", "echo"), ("other", "nothing"), ("other", "twin"), ("call_tool", "echo")]
    {
        assert!(registry.stand_for(second(wrong, of)).is_err(), "{wrong} {of}");
    }
}

#[test]
fn g1_who_is_kept_from_a_tool_is_kept_from_its_second_names() {
    let mut registry = registry();
    registry.stand_for(second("twin", "echo")).unwrap();
    let may = |entries: &[&str]| {
        let (name, tool) = registry.resolve("twin").unwrap();
        registry.selects(&Selector::of(entries.iter().copied()), name, tool)
    };
    assert!(may(&["*"]) && may(&["twin"]));
    assert!(!may(&["*", "!echo"]) && !may(&["twin", "!echo"]) && !may(&["*", "!twin"]) && !may(&["echo"]));
}

#[test]
fn g5_what_is_laid_over_a_tool_narrows_it() {
    let mut registry = registry();
    let echo = Which::Named(ToolName::parse("echo").unwrap());
    let over =
        Over { input: Some(json!({"properties": {"n": {"maximum": 3}}})), output: Some(json!({"type": "object"})) };
    registry.lay_over(&echo, &over).unwrap();
    let (_, tool) = registry.resolve("echo").unwrap();
    assert!(tool.arguments.prepare(r#"{"text":"x","n":3}"#).is_ok());
    assert!(tool.arguments.prepare(r#"{"text":"x","n":4}"#).is_err());
    assert!(tool.arguments.prepare(r#"{"n":3}"#).is_err(), "its own schema holds too");
    assert_eq!(tool.output_schema(), Some(&json!({"type": "object"})));
    // With one that cannot be used, nobody calls it.
    let broken = Over { input: Some(json!({"type": 7})), output: None };
    let own = Which::Own(PluginName::parse("polite").unwrap(), "echo".to_owned());
    assert!(registry.lay_over(&own, &broken).is_err());
    assert!(registry.resolve("echo").is_none());
    assert!(registry.lay_over(&echo, &over).is_err());
}
