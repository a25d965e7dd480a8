use serde_json::json;

use super::*;
use crate::call::Policy;

fn facts(arguments: &Value) -> Facts {
    let facts = Facts {
        caller: "key:ci".to_owned(),
        tool: "launch".to_owned(),
        plugin: "polite".to_owned(),
        risk: Risk::High,
        why: "it is".to_owned(),
        arguments: Value::Null,
        not_shown: 0,
        set_by_operator: Vec::new(),
        may: vec!["send POST to https://a.test".to_owned()],
    };
    facts.with_arguments(arguments, &Redactor::default())
}

#[track_caller]
fn check(answer: Value, expected: Result<Reply, &str>) {
    let read = Reply::read(&answer);
    assert_eq!(read.as_ref().map_err(String::as_str), expected.as_ref().map_err(|error| *error), "{answer}");
    if let Ok(reply) = read {
        assert_eq!(Reply::read(&reply.to_json()), Ok(reply), "it reads back as itself");
    }
}

#[test]
fn an_answer_says_yes_or_no_and_nothing_unknown() {
    check(json!({"decision": "approve"}), Ok(Reply::YES));
    check(json!({"decision": "reject", "reason": null}), Ok(Reply::NO));
    check(json!({"decision": "reject", "reason": " no "}), Ok(Reply { reason: Some("no".to_owned()), ..Reply::NO }));
    let decision = Decision::Approve { arguments: Some(r#"{"a":1}"#.to_owned()), minutes: Some(10) };
    check(json!({"decision": "approve", "arguments": {"a": 1}, "minutes": 10}), Ok(Reply { decision, reason: None }));
    for (answer, expected) in [
        (json!([]), "the answer must be a JSON object"),
        (json!({}), "`decision` must be `approve` or `reject`"),
        (json!({"decision": "yes"}), "`decision` must be `approve` or `reject`"),
        (json!({"decision": true}), "`decision` must be `approve` or `reject`"),
        (
            json!({"decision": "approve", "minute": 1}),
            "`minute` is unknown; there are `decision`, `arguments`, `minutes`, `reason`",
        ),
        (json!({"decision": "approve", "arguments": "{}"}), "`arguments` must be a JSON object"),
        (json!({"decision": "approve", "minutes": 0}), "`minutes` must be a whole number from 1 to 1440"),
        (json!({"decision": "approve", "minutes": 1.5}), "`minutes` must be a whole number from 1 to 1440"),
        (json!({"decision": "approve", "minutes": 1441}), "`minutes` must be a whole number from 1 to 1440"),
        (json!({"decision": "reject", "minutes": 1}), "`minutes` goes with `\"decision\": \"approve\"` only"),
        (json!({"decision": "reject", "arguments": {}}), "`arguments` goes with `\"decision\": \"approve\"` only"),
        (json!({"decision": "reject", "reason": 1}), "`reason` must be text"),
    ] {
        check(answer, Err(expected));
    }
}

#[test]
fn it_is_said_how_much_is_not_shown() {
    let long = facts(&json!({"x": "y".repeat(100 << 10)}));
    assert_eq!(long.not_shown, (100 << 10) + 8 - MAX_ARGUMENTS);
    let whole = (100 << 10) + 8 - MAX_SPOKEN;
    assert!(long.sentence().ends_with(&format!("yyy … and {whole} more characters, which are not shown")));
    let short = facts(&json!({"x": "y".repeat(MAX_SPOKEN)}));
    assert_eq!((short.not_shown, short.arguments.is_object()), (0, true));
    assert!(short.sentence().ends_with("yyy … and 8 more characters, which are not shown"));
}

#[test]
fn what_is_kept_reads_back() {
    let facts = facts(&json!({"target": "\u{1b}[2J"}));
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
    assert_eq!(
        facts.text(),
        "`key:ci` wants to run the tool `launch` of plugin `polite` with {\"target\":\"\\u001b[2J\"}\n  \
         asked because it is\n  it may send POST to https://a.test"
    );
}

#[test]
fn who_may_approve_is_the_policys_business() {
    let mut policy = Policy::default();
    assert!(!may_answer(&Caller::under("key:a", &policy)));
    policy.may.execute = true;
    policy.may.manage = true;
    assert!(!may_answer(&Caller::under("key:a", &policy)));
    policy.may.approve = true;
    assert!(may_answer(&Caller::under("key:a", &policy)));
}

#[test]
fn states_have_names_of_their_own() {
    for state in State::ALL {
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
    assert_eq!(State::parse("Pending"), None);
}

#[test]
fn an_id_is_a_random_uuid() {
    let id = ApprovalId::of([0xff; 16]);
    assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(ApprovalId::parse(id.as_str()), Some(id));
    assert_eq!(ApprovalId::of([0; 16]).as_str(), "00000000-0000-4000-8000-000000000000");
    for other in ["", "ffffffff-ffff-4fff-bfff-fffffffffffF", "ffffffff-ffff-4fff-bfffffffffffffff", "../x", "-"] {
        assert_eq!(ApprovalId::parse(other), None, "{other}");
    }
}
