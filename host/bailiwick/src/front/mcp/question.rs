//! A question of the host's or a plugin's as MCP elicitation, and back.

use rmcp::RoleServer;
use rmcp::model::{ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ServerRequest};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext};
use serde_json::{Map, Value};

use super::wire::Vocabulary;
use crate::channel::{Answer, Asker, Matter, Question};

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
        let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
        // An empty capability stands for forms, as it did before there was anything else.
        let form = elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
        match (form, Vocabulary::of(context).stateless) {
            (false, _) => Self::Never,
            (true, false) => Self::Request,
            (true, true) => Self::Result,
        }
    }
}

/// The question as a form that says who asks; none for a schema that MCP has no form for.
pub(super) fn form(question: &Question) -> Option<ElicitRequest> {
    let Matter::Form { message, schema } = &question.matter else { return None };
    let message = match &question.from {
        Asker::Host => format!("Bailiwick asks: {message}"),
        Asker::Plugin(name) => format!("Plugin `{name}` asks: {message}"),
    };
    let requested_schema = serde_json::from_value(schema.clone()).ok()?;
    Some(ElicitRequest::new(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema }))
}

/// What the person said.
pub(super) fn answer(result: ElicitResult) -> Answer {
    match result.action {
        ElicitationAction::Accept => Answer::Accepted(result.content.unwrap_or_else(|| Value::Object(Map::new()))),
        ElicitationAction::Decline => Answer::Declined,
        ElicitationAction::Cancel | _ => Answer::Cancelled,
    }
}

/// Asks by a request and passes the answer on. Takes the request back when nobody waits for the answer any more.
pub(super) async fn ask(peer: &Peer<RoleServer>, mut question: Question) {
    let request = form(&question).map(ServerRequest::ElicitRequest);
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
            let answer = match response {
                Ok(Ok(ClientResult::ElicitResult(result))) => answer(result),
                Ok(Ok(_) | Err(_)) | Err(_) => Answer::Unavailable,
            };
            // Whoever asked may have given up in this very moment.
            let _ = question.reply.send(answer);
        }
        () = question.reply.closed() => {
            let _ = sent.cancel(Some("no answer is needed any more".to_owned())).await;
        }
    }
}
