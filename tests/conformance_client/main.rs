//! The program as a client of MCP servers, for the client scenarios of the public conformance suite.
//!
//! The suite starts this with the URL of a server as its last argument and the scenario in its environment. Here an
//! operator writes that server down as a plugin, logs in where the server wants it, and a caller with a person and a
//! model behind it calls what there is, on standard streams.
#![expect(clippy::disallowed_methods, reason = "it builds the world the program is judged in")]
#![expect(clippy::print_stderr, reason = "the suite shows what a client says there")]

mod browser;
mod caller;
mod operator;

use std::process::ExitCode;

use serde_json::{Value, json};

use caller::{Caller, sample};
use operator::Operator;

/// One thing a scenario wants.
#[derive(Clone, Copy)]
enum Step {
    /// The operator logs in, a browser agrees.
    Login,
    /// The lists of the server.
    List,
    /// Every tool, with the least its schema takes.
    CallEach,
    /// One tool with these arguments.
    Call(&'static str, &'static str),
    /// The calls that the suite's context names.
    CallGiven,
    /// Every resource.
    ReadEach,
    /// Every prompt.
    FillEach,
}

use Step::{Call, CallEach, CallGiven, FillEach, List, Login, ReadEach};

/// What is done in each scenario; those of `auth/` that are not here log in and call.
const SCENARIOS: [(&str, &[Step]); 14] = [
    ("initialize", &[List]),
    ("tools_call", &[Call("add_numbers", r#"{"a":5,"b":3}"#)]),
    ("elicitation-sep1034-client-defaults", &[CallEach]),
    ("sse-retry", &[Call("test_reconnection", "{}")]),
    ("request-metadata", &[List]),
    ("sep-2322-client-request-state", &[CallEach]),
    ("http-standard-headers", &[CallEach, ReadEach, FillEach]),
    ("http-custom-headers", &[CallGiven]),
    ("http-invalid-tool-headers", &[CallEach]),
    ("json-schema-ref-no-deref", &[List]),
    ("auth/scope-step-up", &[Login, CallEach, Login, CallEach]),
    ("auth/scope-retry-limit", &[Login, CallEach, Login, CallEach]),
    ("auth/authorization-server-migration", &[Login, CallEach, Login, CallEach]),
    ("auth/client-credentials-basic", &[CallEach]),
];

fn steps(scenario: &str) -> Option<&'static [Step]> {
    let known = SCENARIOS.iter().find(|(name, _)| *name == scenario).map(|(_, steps)| *steps);
    known.or_else(|| scenario.starts_with("auth/").then_some(&[Login, CallEach]))
}

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let scenario = variable("MCP_CONFORMANCE_SCENARIO");
    let context: Value = serde_json::from_str(&variable("MCP_CONFORMANCE_CONTEXT")).unwrap_or(Value::Null);
    let (Some(url), Some(steps)) = (std::env::args().next_back(), steps(&scenario)) else {
        eprintln!("`{scenario}` is no scenario that is known here");
        return ExitCode::FAILURE;
    };
    let mut operator = Operator::new(&scenario, &url, &context);
    let mut last = Ok(());
    for step in steps {
        last = take(*step, &mut operator, &context);
        if let Err(reason) = &last {
            eprintln!("{scenario}: {reason}");
        }
    }
    match last {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Does one thing; the reason when it did not work.
fn take(step: Step, operator: &mut Operator, context: &Value) -> Result<(), String> {
    if matches!(step, Login) {
        return operator.login();
    }
    let mut caller = Caller::start(operator.serve());
    let done = match step {
        Login => Ok(()),
        List => caller.list().map(drop),
        Call(tool, arguments) => {
            let arguments = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
            caller.list().and_then(|_| caller.call(tool, &arguments))
        }
        CallEach => caller.list().and_then(|tools| {
            let calls = tools.iter().map(|tool| (tool["name"].clone(), sample(&tool["inputSchema"])));
            call_all(&mut caller, calls)
        }),
        CallGiven => caller.list().and_then(|_| {
            let given = context["toolCalls"].as_array().cloned().unwrap_or_default();
            call_all(&mut caller, given.into_iter().map(|call| (call["name"].clone(), call["arguments"].clone())))
        }),
        ReadEach => {
            caller.each("resources/list", "resources", "resources/read", |resource| json!({"uri": resource["uri"]}))
        }
        FillEach => caller.each("prompts/list", "prompts", "prompts/get", |prompt| json!({"name": prompt["name"]})),
    };
    let said = caller.end();
    done.map_err(|reason| format!("{reason}\n{said}")).inspect_err(|reason| operator.heed(reason))
}

/// Calls all of them, whatever becomes of each; the first reason.
fn call_all(caller: &mut Caller, calls: impl Iterator<Item = (Value, Value)>) -> Result<(), String> {
    let told: Vec<Result<(), String>> =
        calls.map(|(tool, arguments)| caller.call(tool.as_str().unwrap_or_default(), &arguments)).collect();
    if told.is_empty() {
        return Err("there are no tools".to_owned());
    }
    told.into_iter().collect()
}
