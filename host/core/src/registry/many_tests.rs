//! As many tools as services have.

use serde_json::Map;

use super::*;

/// A tool as a document describes one.
fn definition(name: &str) -> Definition {
    let input = serde_json::json!({"type": "object", "properties": {
        "owner": {"type": "string", "description": "The account owner of the repository."},
        "repo": {"type": "string", "description": "The name of the repository."},
        "per_page": {"type": "integer", "maximum": 100},
    }, "required": ["owner", "repo"], "additionalProperties": false});
    Definition {
        name: name.to_owned(),
        title: Some("List repository issues".to_owned()),
        description: format!("List repository issues\n\n{}", "Only open issues are listed. ".repeat(20)),
        input_schema: input.to_string(),
        output_schema: None,
        annotations: Annotations::default(),
        risk: Risk::Low,
    }
}

fn many(n_tools: usize) -> Vec<Definition> {
    (0..n_tools).map(|n| definition(&format!("issues_list-for-repo_{n}"))).collect()
}

fn candidates(plugin: &str, definitions: &[Definition]) -> Vec<Candidate> {
    let plugin = PluginName::parse(plugin).unwrap();
    let candidate = |definition: &Definition| {
        let tool = Tool {
            name: ToolName::parse(&definition.name).unwrap(),
            plugin: plugin.clone(),
            plugin_index: 0,
            brief: Publisher::Service.brief(&definition.description),
            definition: definition.clone(),
            effective: Arc::new(Effective { allowed: true, ..Effective::default() }),
            arguments: ArgumentSchema::compile(&definition.input_schema, &[], Map::new()).unwrap(),
            results: None,
            grants_digest: String::new(),
            annotations: definition.annotations,
            not_configured: Some("set `KEY`".to_owned()),
            role: Role::Single,
        };
        Candidate { tool, aliases: Vec::new(), naming: Naming { yields: true, prefix_always: false } }
    };
    definitions.iter().map(candidate).collect()
}

#[test]
fn a_service_may_have_more_tools_than_a_plugin() {
    let told = |publisher, n| check_published(publisher, &many(n)).map_err(|error| error.to_string());
    assert_eq!(told(Publisher::Plugin, 256), Ok(()));
    let refused = "the plugin publishes 257 tools; at most 256 are taken";
    assert_eq!(told(Publisher::Plugin, 257), Err(refused.to_owned()));
    assert_eq!(told(Publisher::Service, 4_096), Ok(()));
    let refused = "the plugin publishes 4097 tools; at most 4096 are taken";
    assert_eq!(told(Publisher::Service, 4_097), Err(refused.to_owned()));
    let twice = [many(4_000), many(1)].concat();
    let error = check_published(Publisher::Service, &twice).unwrap_err();
    assert_eq!(error.to_string(), "tool `issues_list-for-repo_0` is there twice");
}

#[test]
fn services_with_the_same_thousands_of_names_all_get_their_own() {
    let definitions = many(4_096);
    let tools = ["a", "b"].into_iter().flat_map(|plugin| candidates(plugin, &definitions)).collect();
    let registry = Registry::new(tools).unwrap();
    let everybody = Selector::all();
    assert_eq!(registry.visible(&everybody).count(), 8_192);
    let (_, tool) = registry.resolve("b__issues_list-for-repo_4095").unwrap();
    assert_eq!((tool.plugin.as_str(), tool.definition.name.as_str()), ("b", "issues_list-for-repo_4095"));
    assert_eq!(tool.description(), "List repository issues … [NOT CONFIGURED] set `KEY`");
    assert!(tool.whole_description().ends_with("are listed.  [NOT CONFIGURED] set `KEY`"));
}

#[test]
fn of_many_tools_those_are_named_that_may_be_meant() {
    let definitions = many(1_000);
    let names = || definitions.iter().map(|definition| definition.name.as_str());
    let said = DefinitionError::unknown("issues_list-for-repo_99x", names()).to_string();
    let start = "the configuration names `issues_list-for-repo_99x`, which is not a tool of this plugin; it has \
                 `issues_list-for-repo_99`, ";
    assert!(said.starts_with(start) && said.ends_with(" and 960 more"), "{said}");
    assert!(said.len() < 2_000);
    let said = DefinitionError::unknown("c", ["b", "a"]).to_string();
    assert!(said.ends_with("; it has `b`, `a`"), "{said}");
}
