use super::*;
use crate::call::{CallId, Caller};
use crate::config::Effective;
use crate::grant::Grants;
use crate::name::{PluginName, SecretName, ToolName};
use crate::registry::{Annotations, Candidate, Naming, Role};
use crate::schema::ArgumentSchema;

const SCHEMA: &str = r#"{"type":"object","properties":{"target":{"type":"string"},"count":{"type":"integer"},
    "fuel":{"type":"string"}},"required":["target"],"additionalProperties":false}"#;

/// A tool of high risk, described so, with `fuel` set by the operator.
fn registry(description: &str, digest: &str) -> Registry {
    let definition = Definition {
        name: "launch".to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: SCHEMA.to_owned(),
        output_schema: None,
        annotations: Annotations::default(),
        risk: Risk::High,
    };
    let inject = json!({"fuel": "canary-fuel"}).as_object().cloned().unwrap();
    let overlay = json!({"properties": {"count": {"maximum": 3}}});
    let arguments = ArgumentSchema::compile(SCHEMA, &[overlay], inject.clone()).unwrap();
    let grants = Grants { at: "bailiwick.toml:4".to_owned(), table: "plugins.polite".to_owned(), ..Grants::default() };
    let tool = Tool {
        name: ToolName::parse("launch").unwrap(),
        plugin: PluginName::parse("polite").unwrap(),
        plugin_index: 0,
        definition,
        effective: Arc::new(Effective { grants: Arc::new(grants), inject, ..Effective::default() }),
        arguments,
        results: None,
        brief: None,
        grants_digest: digest.to_owned(),
        annotations: Annotations::default(),
        not_configured: None,
        role: Role::Single,
    };
    Registry::new(vec![Candidate { tool, aliases: Vec::new(), naming: Naming::default() }]).unwrap()
}

fn asked(registry: &Registry, caller: &str, arguments: &str) -> Question {
    let caller = Arc::new(Caller::operator(caller));
    let call = Call {
        id: CallId::new("a-0"),
        tool: "launch".to_owned(),
        arguments: arguments.to_owned(),
        caller,
        trace: None,
        session: None,
    };
    match permit(registry, call) {
        Verdict::Ask(question) => *question,
        Verdict::Permitted(_) | Verdict::Denied { .. } => panic!("a person has to agree"),
    }
}

#[test]
fn a_person_is_shown_what_would_run_and_no_secret() {
    let name = SecretName::parse("TOKEN").unwrap();
    let redactor = Redactor::new([(&name, "canary-secret")]);
    let arguments = r#"{"count": "2", "target": "the \u202emoon with canary-secret"}"#;
    let facts = asked(&registry("Launches.", ""), "key:ci", arguments).facts(&redactor);
    assert_eq!(
        facts.text(),
        "`key:ci` wants to run the tool `launch` of plugin `polite` with \
         {\"count\":2,\"target\":\"the \\\\u{202e}moon with [secret TOKEN]\"}\n  \
         asked because its plugin says that its risk is high\n  the operator sets `fuel`\n  \
         it reaches nothing outside of itself"
    );
    assert!(!format!("{facts:?}").contains("canary"), "{facts:?}");
}

#[test]
fn other_arguments_keep_to_the_same_rules() {
    let mut question = asked(&registry("Launches.", ""), "cli", r#"{"target": "moon"}"#);
    for (other, expected) in [
        (r#"{"count": 1}"#, "\"target\" is a required property"),
        (r#"{"target": "mars", "count": 4}"#, "`count`: 4 is greater than the maximum of 3"),
        (r#"{"target": "mars", "colour": 1}"#, "'colour' was unexpected"),
        ("[]", "must be a JSON object"),
    ] {
        let failure = question.edit(other).unwrap_err();
        assert_eq!(failure.code, Code::ArgumentsInvalid);
        assert!(failure.message.contains(expected) || failure.message.contains("maximum"), "{}", failure.message);
        assert_eq!(question.pending().arguments().text, r#"{"target":"moon","fuel":"canary-fuel"}"#);
    }
    question.edit(r#"{"target": "mars", "fuel": "mine"}"#).unwrap();
    let permitted = question.approved();
    assert_eq!(permitted.arguments().text, r#"{"target":"mars","fuel":"canary-fuel"}"#, "what is injected wins");
}

#[test]
fn what_was_agreed_to_is_the_same_only_if_all_of_it_is() {
    let digest = |question: Question| question.digest("sha256:1");
    let (tool, same) = (registry("Launches.", "g"), r#"{"target": "moon", "count": 1}"#);
    let agreed = digest(asked(&tool, "key:a", same));
    assert_eq!(
        digest(asked(&tool, "key:a", r#"{ "count": 1.0, "target": "moon" }"#)),
        agreed,
        "only the writing differs"
    );
    for (other, what) in [
        (digest(asked(&tool, "key:b", same)), "caller"),
        (digest(asked(&tool, "key:a", r#"{"target": "moon"}"#)), "arguments"),
        (digest(asked(&registry("Launches!", "g"), "key:a", same)), "description"),
        (digest(asked(&registry("Launches.", "h"), "key:a", same)), "rights"),
        (asked(&tool, "key:a", same).digest("sha256:2"), "component"),
    ] {
        assert_ne!(other, agreed, "{what}");
    }
}
