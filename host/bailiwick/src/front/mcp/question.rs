//! Questions of the host's or a plugin's in MCP's shapes, and back: forms (elicitation), a word from the client's model
//! (sampling), where the client works (roots).

use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, ClientResult, CreateMessageRequest, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, ListRootsRequest,
    ListRootsResult, Role, SamplingMessage, SamplingMessageContentBlock, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext};
use serde_json::{Map, Value, json};

use bailiwick_core::context;

use super::wire::Vocabulary;
use crate::channel::{Able, Answer, Asker, Matter, Question, Sampling};

/// How this client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// By a request to it, while the call waits: everything before 2026-07-28.
    Request,
    /// By answering the call with the question; the client calls again with the answer: from 2026-07-28 on.
    Result,
    /// Not at all.
    Never,
}

impl Manner {
    /// What the request's protocol version and its client's capabilities say.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        match (able(context) == Able::NOTHING, Vocabulary::of(context).stateless) {
            (true, _) => Self::Never,
            (false, false) => Self::Request,
            (false, true) => Self::Result,
        }
    }
}

/// What this client says it can be asked.
pub(super) fn able(context: &RequestContext<RoleServer>) -> Able {
    context.client_capabilities().map_or(Able::NOTHING, |capabilities| abilities(&capabilities))
}

/// What a client with these capabilities can be asked.
pub(super) fn abilities(capabilities: &ClientCapabilities) -> Able {
    // An empty capability stands for forms, as it did before there was anything else.
    let input = capabilities.elicitation.as_ref().is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
    Able { input, sample: capabilities.sampling.is_some(), roots: capabilities.roots.is_some() }
}

/// The question as a request; a form says who asks. None for a schema that MCP has no form for.
pub(super) fn request(question: &Question) -> Option<InputRequest> {
    match &question.matter {
        Matter::Form { message, schema } => {
            let message = match &question.from {
                Asker::Host => format!("Bailiwick asks: {message}"),
                Asker::Plugin(name) => format!("Plugin `{name}` asks: {message}"),
            };
            let requested_schema = serde_json::from_value(schema.clone()).ok()?;
            let form = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
            Some(InputRequest::Elicitation(ElicitRequest::new(form)))
        }
        Matter::Sample(Sampling { messages, system, max_tokens }) => {
            let message = |(role, text): &(context::Role, String)| {
                let role = match role {
                    context::Role::User => Role::User,
                    context::Role::Assistant => Role::Assistant,
                };
                SamplingMessage::new(role, SamplingMessageContentBlock::text(text.as_str()))
            };
            let mut params = CreateMessageRequestParams::new(messages.iter().map(message).collect(), *max_tokens);
            params.system_prompt.clone_from(system);
            Some(InputRequest::CreateMessage(CreateMessageRequest::new(params)))
        }
        Matter::Roots => Some(InputRequest::ListRoots(ListRootsRequest::default())),
    }
}

/// What the client answered.
///
/// # Errors
/// When it is no answer to this.
pub(super) fn read(matter: &Matter, answer: &Value) -> Result<Answer, serde_json::Error> {
    let answer = answer.clone();
    Ok(match matter {
        Matter::Form { .. } => filled(serde_json::from_value(answer)?),
        Matter::Sample(_) => sampled(serde_json::from_value(answer)?),
        Matter::Roots => roots(serde_json::from_value(answer)?),
    })
}

fn filled(result: ElicitResult) -> Answer {
    match result.action {
        ElicitationAction::Accept => Answer::Accepted(result.content.unwrap_or_else(|| Value::Object(Map::new()))),
        ElicitationAction::Decline => Answer::Declined,
        ElicitationAction::Cancel | _ => Answer::Cancelled,
    }
}

fn sampled(result: CreateMessageResult) -> Answer {
    let texts = result.message.content.into_vec();
    let texts: Vec<&str> = texts.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    Answer::Accepted(json!({"text": texts.join("\n"), "model": result.model, "stopReason": result.stop_reason}))
}

fn roots(result: ListRootsResult) -> Answer {
    let root = |root: rmcp::model::Root| json!({"uri": root.uri, "name": root.name});
    Answer::Accepted(result.roots.into_iter().map(root).collect())
}

/// Asks by a request and passes the answer on. Takes the request back when nobody waits for the answer any more.
pub(super) async fn ask(peer: &Peer<RoleServer>, mut question: Question) {
    let request = request(&question).and_then(|request| match request {
        InputRequest::Elicitation(form) => Some(ServerRequest::ElicitRequest(form)),
        InputRequest::CreateMessage(message) => Some(ServerRequest::CreateMessageRequest(message)),
        InputRequest::ListRoots(list) => Some(ServerRequest::ListRootsRequest(list)),
        _ => None,
    });
    let sent = match request {
        Some(request) => peer.send_request_with_option(request, PeerRequestOptions::no_options()).await.ok(),
        None => None,
    };
    let Some(mut sent) = sent else {
        let _ = question.reply.send(Answer::Unavailable);
        return;
    };
    tokio::select! {
        response = &mut sent.rx => {
            let answer = match (&question.matter, response) {
                (Matter::Form { .. }, Ok(Ok(ClientResult::ElicitResult(result)))) => filled(result),
                (Matter::Sample(_), Ok(Ok(ClientResult::CreateMessageResult(result)))) => sampled(*result),
                (Matter::Roots, Ok(Ok(ClientResult::ListRootsResult(result)))) => roots(result),
                // How a client says that its person said no.
                (Matter::Sample(_), Ok(Err(rmcp::ServiceError::McpError(error)))) if error.code.0 == -1 => Answer::Declined,
                (Matter::Form { .. } | Matter::Sample(_) | Matter::Roots, Ok(Ok(_) | Err(_)) | Err(_)) => Answer::Unavailable,
            };
            // Whoever asked may have given up in this very moment.
            let _ = question.reply.send(answer);
        }
        () = question.reply.closed() => {
            let _ = sent.cancel(Some("no answer is needed any more".to_owned())).await;
        }
    }
}
