//! One call at a server, from what is wanted to what came of it, with the questions that the server answers it with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rmcp::model::{
    ArgumentInfo, CallToolRequest, CallToolRequestParams, ClientRequest, CompleteRequest, CompleteRequestParams,
    CompletionContext, GetPromptRequest, GetPromptRequestParams, InputResponses, JsonObject, ReadResourceRequest,
    ReadResourceRequestParams, Reference,
};
use serde_json::Value;

use bailiwick_core::context::{Subject, Wanted};
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::policy::Permitted;

use super::hear::Flight;
use super::line::{Fault, Line};
use super::names::Names;
use super::questions;
use super::translate::{self, Asked, taken};
use crate::context::CallContext;

/// How often a server may answer one call with questions.
const MAX_ROUNDS: usize = 16;

/// What is asked of a server.
#[derive(Debug)]
pub(super) enum Work {
    Tool { name: String, arguments: JsonObject },
    Prompt { name: String, arguments: JsonObject },
    Resource { uri: String },
    Completion { of: Reference, argument: String, value: String, known: HashMap<String, String> },
}

/// What a server asked to be told before it goes on.
#[derive(Debug, Default)]
struct Given {
    responses: Option<InputResponses>,
    state: Option<String>,
}

impl Work {
    /// What `permitted` wants, in the server's own names.
    pub(super) fn of(permitted: &Permitted, names: &Names) -> Self {
        // They were checked to be an object.
        let arguments = || serde_json::from_str(&permitted.arguments().text).unwrap_or_default();
        match permitted.wanted() {
            Wanted::Tool => {
                let name = names.own_tool(&permitted.tool().definition.name).to_owned();
                Self::Tool { name, arguments: arguments() }
            }
            Wanted::Prompt(name) => Self::Prompt { name: names.own_prompt(name).to_owned(), arguments: arguments() },
            Wanted::Resource(uri) => Self::Resource { uri: uri.clone() },
            Wanted::Completion { subject, argument, value, known } => Self::Completion {
                of: match subject {
                    Subject::Prompt(name) => Reference::for_prompt(names.own_prompt(name)),
                    Subject::Template(text) => Reference::for_resource(text),
                },
                argument: argument.clone(),
                value: value.clone(),
                known: known.iter().cloned().collect(),
            },
        }
    }

    fn request(&self, given: Given) -> ClientRequest {
        let Given { responses, state } = given;
        match self {
            Self::Tool { name, arguments } => {
                let mut params = CallToolRequestParams::new(name.clone()).with_arguments(arguments.clone());
                (params.input_responses, params.request_state) = (responses, state);
                ClientRequest::CallToolRequest(CallToolRequest::new(params))
            }
            Self::Prompt { name, arguments } => {
                let mut params = GetPromptRequestParams::new(name).with_arguments(arguments.clone());
                (params.input_responses, params.request_state) = (responses, state);
                ClientRequest::GetPromptRequest(GetPromptRequest::new(params))
            }
            Self::Resource { uri } => {
                let mut params = ReadResourceRequestParams::new(uri);
                (params.input_responses, params.request_state) = (responses, state);
                ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params))
            }
            Self::Completion { of, argument, value, known } => {
                let mut params = CompleteRequestParams::new(of.clone(), ArgumentInfo::new(argument, value));
                if !known.is_empty() {
                    params = params.with_context(CompletionContext::with_arguments(known.clone()));
                }
                ClientRequest::CompleteRequest(CompleteRequest::new(params))
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        match self {
            Self::Tool { .. } => Asked::Tool,
            Self::Prompt { .. } => Asked::Prompt,
            Self::Resource { uri } => Asked::Resource(uri),
            Self::Completion { .. } => Asked::Completion,
        }
    }

    fn read(&self, result: Value) -> Result<Output, Failure> {
        match self {
            Self::Tool { .. } => translate::result(result),
            Self::Prompt { .. } => translate::conversation(result),
            Self::Resource { uri } => translate::documents(result, uri),
            Self::Completion { .. } => Ok(translate::completion(&result)),
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Told {
    /// The server said something to it: a result, or why there is none.
    Said(Result<Output, Failure>),
    /// The connection was over before the server could have read of it.
    Unsent(String),
    /// The connection was over in the middle.
    Over(String),
    /// It did not get there.
    Failed(Failure),
}

/// Asks for `work` on `line` and waits. Questions go to whoever made the call.
pub(super) async fn talk(line: &Line, work: &Work, context: &Arc<CallContext>) -> Told {
    let able = context.channel.able();
    if let Some(sink) = &context.channel.log {
        line.log_from(sink.least).await;
    }
    let mut given = Given::default();
    for round in 0..=MAX_ROUNDS {
        let flight = Flight::new(context);
        let mut result = match line.exchange(work.request(given), able, Some(&flight)).await {
            Ok(result) => result,
            Err(Fault::Refused(error)) => return Told::Said(Err(translate::refusal(&error, work.asked()))),
            Err(Fault::Failed(failure)) => return Told::Failed(failure),
            Err(Fault::Over(why)) if round == 0 && !flight.is_sent() => return Told::Unsent(why),
            Err(Fault::Over(why)) => return Told::Over(why),
        };
        match result["resultType"].as_str() {
            None | Some("complete") => return Told::Said(work.read(result)),
            Some("input_required") => match answered(&mut result, context).await {
                Ok(answers) => given = answers,
                Err(failure) => return Told::Said(Err(failure)),
            },
            Some(other) => {
                let other = bailiwick_core::redact::quotable(other, 40);
                let message =
                    format!("the server answered with a result of the kind `{other}`, which nobody asked for");
                return Told::Said(Err(Failure::new(Code::PluginInvalid, message)));
            }
        }
    }
    let message = format!("the server answered with questions {MAX_ROUNDS} times and never with a result");
    Told::Said(Err(Failure::new(Code::PluginInvalid, message)))
}

/// Asks the caller what the server wants to know before it goes on.
async fn answered(result: &mut Value, context: &Arc<CallContext>) -> Result<Given, Failure> {
    let state = result["requestState"].as_str().map(str::to_owned);
    let Value::Object(requests) = taken(result, "inputRequests") else {
        // Nothing is asked: it wants to be called again.
        return Ok(Given { responses: None, state });
    };
    let is_plain = |key: &str| {
        (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    // A caller sees the server's keys where they can be shown, else numbers in their place.
    let plain = requests.keys().all(|key| is_plain(key));
    let null = Value::Null;
    let asked = requests.iter().enumerate().map(|(number, (key, request))| {
        let key = if plain { key.clone() } else { format!("q{number}") };
        (key, request["method"].as_str().unwrap_or_default(), request.get("params").unwrap_or(&null))
    });
    let answers = questions::ask(context, asked.collect()).await.map_err(|error| {
        let code = context.ledger.unasked().unwrap_or(Code::ToolFailed);
        Failure::new(code, format!("the tool asks something that has no answer: {}", error.message))
    })?;
    let responses: BTreeMap<String, Value> = requests.keys().cloned().zip(answers).collect();
    Ok(Given { responses: Some(responses), state })
}
