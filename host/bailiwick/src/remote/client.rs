//! Streamable HTTP as rmcp's transport wants it spoken: one POST for each message, answered with JSON or a stream of
//! events, and for servers with sessions a stream by GET and an end by DELETE.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorData, GetExtensions as _, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_LAST_EVENT_ID, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;
use wasmtime_wasi_http::WasiBody;

use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::Redactor;

use super::events::events;
use super::wire::{MAX_MESSAGE, Patience, collected, elsewhere, pieces, said};
use super::{For, Inner};
use crate::context::CallContext;

/// How long a message may go unanswered that no call waits for; whoever calls gives up at its own deadline.
const ANSWER: Duration = Duration::from_secs(600);
/// How long a stream may be silent. A person may be asked meanwhile; then it is opened anew.
const SILENCE: Duration = Duration::from_secs(3_600);
/// How much is read of an answer that is an error.
const MAX_ERROR: usize = 64 << 10;
/// The longest name of a session, and the longest challenge.
const MAX_HEADER: usize = 4 << 10;

type Error = StreamableHttpError<Failure>;

/// What the transport of a [`super::Site`] sends with.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

/// An answer, and what has to be taken out of it.
pub(super) struct Answer {
    response: Response<WasiBody>,
    mask: Option<Arc<Redactor>>,
}

impl StreamableHttpClient for Client {
    type Error = Failure;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post(message, session, headers, MAX_MESSAGE).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post(message, session, headers, most).await
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session: Arc<str>,
        _auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        let headers = head(JSON_MIME_TYPE, Some(&session), None, headers)?;
        let answer = self.ask(&self.0.wire.context(), &Method::DELETE, headers, Bytes::new()).await;
        let answer = answer.map_err(StreamableHttpError::Client)?;
        let status = answer.response.status();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(StreamableHttpError::ServerDoesNotSupportDeleteSession);
        }
        if status.is_success() { Ok(()) } else { Err(StreamableHttpError::Client(self.0.refused(status, ""))) }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        self.get_stream_with_max_sse_event_size(uri, session, last, auth, headers, MAX_MESSAGE).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        _uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        _auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        most: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        let headers = head(EVENT_STREAM_MIME_TYPE, session.as_deref(), last.as_deref(), headers)?;
        let answer =
            self.ask(&self.0.wire.context(), &Method::GET, headers, Bytes::new()).await.map_err(stream_refused)?;
        let status = answer.response.status();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        if !status.is_success() {
            return Err(StreamableHttpError::Client(self.0.refused(status, "")));
        }
        match sort(answer.response.headers()) {
            Sort::Events => Ok(events(answer.response.into_body(), answer.mask, most, None)),
            Sort::Json | Sort::Other => Err(StreamableHttpError::UnexpectedContentType(None)),
        }
    }
}

impl Client {
    async fn post(
        &self,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        headers: HashMap<HeaderName, HeaderValue>,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        const BOTH: &str = "application/json, text/event-stream";
        let mut headers = head(BOTH, session.as_deref(), None, headers)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_MIME_TYPE));
        let body = serde_json::to_vec(&message)?;
        let context = context_of(&message).unwrap_or_else(|| self.0.wire.context());
        let answer =
            self.ask(&context, &Method::POST, headers, body.into()).await.map_err(StreamableHttpError::Client)?;
        self.read(answer, &message, session.is_some(), most).await
    }

    /// What a server says where nobody has proved anything: its challenge, if it has one.
    pub(super) async fn challenge(&self) -> Result<Option<String>, Failure> {
        let headers = head("application/json, text/event-stream", None, None, HashMap::new());
        let mut headers = headers.map_err(|error| self.0.failure(&error))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_MIME_TYPE));
        let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        let answer = self.send(&self.0.wire.context(), &Method::POST, headers, body, None).await?;
        let refused = answer.status() == StatusCode::UNAUTHORIZED;
        Ok(refused.then(|| challenge(answer.headers())).flatten())
    }

    /// Sends a request to the server, with what proves who asks; with something fresher once, if that is no good.
    async fn ask(
        &self,
        context: &Arc<CallContext>,
        method: &Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let Some(tokens) = &self.0.tokens else {
            let response = self.send(context, method, headers, body, None).await?;
            return self.judged(Answer { response, mask: None }).await;
        };
        let mut token = tokens.token().await?;
        let bearer = token.as_ref().map(|token| &token.bearer);
        let mut response = self.send(context, method, headers.clone(), body.clone(), bearer).await?;
        if let (StatusCode::UNAUTHORIZED, Some(sent)) = (response.status(), &token)
            && let Some(fresh) = tokens.renewed(sent).await?
        {
            response = self.send(context, method, headers, body, Some(&fresh.bearer)).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                tokens.is_barren(&fresh).await;
            }
            token = Some(fresh);
        }
        self.judged(Answer { response, mask: token.map(|token| Arc::clone(&token.mask)) }).await
    }

    async fn send(
        &self,
        context: &Arc<CallContext>,
        method: &Method,
        headers: HeaderMap,
        body: Bytes,
        bearer: Option<&HeaderValue>,
    ) -> Result<Response<WasiBody>, Failure> {
        let inner = &self.0;
        let request = Request::builder().method(method).uri(inner.remote.url.as_str()).body(body);
        let mut request = request.map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        *request.headers_mut() = headers;
        if let Some(bearer) = bearer {
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
        }
        let patience = Patience { first_byte: inner.wire.time().max(ANSWER), between_bytes: SILENCE };
        inner.wire.send(context, request, patience).await
    }

    /// The answer, unless it says that nobody has proved who asks, or leads elsewhere.
    async fn judged(&self, answer: Answer) -> Result<Answer, Failure> {
        let status = answer.response.status();
        let challenge = challenge(answer.response.headers());
        if status == StatusCode::UNAUTHORIZED {
            self.remember(challenge.as_deref()).await;
            return Err(self.0.unproved());
        }
        if let (StatusCode::FORBIDDEN, Some(challenge)) = (status, challenge) {
            self.remember(Some(&challenge)).await;
            return Err(self.0.not_enough(&challenge));
        }
        if status.is_redirection() {
            let (parts, _) = answer.response.into_parts();
            return Err(self.0.led_away(status, &elsewhere(&parts)));
        }
        Ok(answer)
    }

    /// Keeps what a login has to answer to.
    async fn remember(&self, challenge: Option<&str>) {
        if let (Some(tokens), Some(challenge)) = (&self.0.tokens, challenge) {
            tokens.challenged(challenge).await;
        }
    }

    /// Reads what came of a message.
    async fn read(
        &self,
        answer: Answer,
        message: &ClientJsonRpcMessage,
        in_session: bool,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let Answer { response, mask } = answer;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && in_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        let sort = sort(response.headers());
        let session =
            session(response.headers()).map_err(|reason| StreamableHttpError::Client(self.0.unreadable(reason)))?;
        if !status.is_success() {
            return self.failed(Answer { response, mask }, message, in_session, &sort).await;
        }
        let empty = response.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0");
        let asked = request_id(message);
        if empty && asked.is_none() {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        match sort {
            Sort::Events => {
                Ok(StreamableHttpPostResponse::Sse(events(response.into_body(), mask, most, asked), session))
            }
            Sort::Json => {
                let body = collected(pieces(response.into_body(), mask), most).await;
                let body = body.map_err(|broken| StreamableHttpError::Client(broken.into_failure()))?;
                match serde_json::from_slice(&body) {
                    Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
                    // Nobody waits for an answer to what was no request.
                    Err(_) if asked.is_none() => Ok(StreamableHttpPostResponse::Accepted),
                    Err(error) => Err(StreamableHttpError::Client(self.0.unreadable(&error.to_string()))),
                }
            }
            Sort::Other => {
                let named = response.headers().get(CONTENT_TYPE).and_then(|sort| sort.to_str().ok());
                let named = said(named.unwrap_or("no content type"));
                Err(StreamableHttpError::Client(self.0.unreadable(&format!("`{named}` is neither JSON nor events"))))
            }
        }
    }

    /// Reads an answer that is an error.
    async fn failed(
        &self,
        answer: Answer,
        message: &ClientJsonRpcMessage,
        in_session: bool,
        sort: &Sort,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let (parts, body) = answer.response.into_parts();
        let status = parts.status;
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS;
        let body = match is_busy {
            true => Bytes::new(),
            false => collected(pieces(body, answer.mask), MAX_ERROR).await.unwrap_or_default(),
        };
        let told = serde_json::from_slice(&body).ok();
        let told = told.filter(|told| matches!(told, JsonRpcMessage::Error(_)));
        if let Some(answer) = of_an_older_era(message, in_session, status, told.as_ref()) {
            return Ok(StreamableHttpPostResponse::Json(answer, None));
        }
        if let (Some(told), Sort::Json, false) = (told, sort, status == StatusCode::FORBIDDEN) {
            let session = session(&parts.headers);
            let session = session.map_err(|reason| StreamableHttpError::Client(self.0.unreadable(reason)))?;
            return Ok(StreamableHttpPostResponse::Json(told, session));
        }
        if is_busy {
            let after = parts.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()).map(str::to_owned);
            return Err(StreamableHttpError::Client(self.0.busy(after.as_deref())));
        }
        Err(StreamableHttpError::Client(self.0.refused(status, &String::from_utf8_lossy(&body))))
    }
}

/// Why there is no stream. One that wants to know who asks is not asked again.
fn stream_refused(failure: Failure) -> Error {
    if failure.code == Code::UpstreamAuth {
        return StreamableHttpError::AuthRequired(AuthRequiredError::new(failure.message));
    }
    StreamableHttpError::Client(failure)
}

/// Whose call a message is part of, if whoever sends it has said so.
fn context_of(message: &ClientJsonRpcMessage) -> Option<Arc<CallContext>> {
    let JsonRpcMessage::Request(request) = message else { return None };
    request.request.extensions().get::<For>().map(|for_call| Arc::clone(&for_call.0))
}

fn request_id(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => None,
    }
}

/// The answer to the question for a server's versions, where a refusal says that it is one with sessions: the lifecycle
/// then begins as those do.
fn of_an_older_era(
    message: &ClientJsonRpcMessage,
    in_session: bool,
    status: StatusCode,
    told: Option<&ServerJsonRpcMessage>,
) -> Option<ServerJsonRpcMessage> {
    let JsonRpcMessage::Request(request) = message else { return None };
    let asks = matches!(request.request, ClientRequest::DiscoverRequest(_));
    if !asks || in_session || !status.is_client_error() || status == StatusCode::FORBIDDEN {
        return None;
    }
    let error = match told {
        Some(JsonRpcMessage::Error(told)) => told.error.clone(),
        Some(JsonRpcMessage::Request(_) | JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_)) | None => {
            ErrorData::invalid_request(format!("the server answers {}", status.as_u16()), None)
        }
    };
    // Such servers may not have read the message's id.
    Some(ServerJsonRpcMessage::error(error, Some(request.id.clone())))
}

fn head(
    accept: &'static str,
    session: Option<&str>,
    last: Option<&str>,
    headers: HashMap<HeaderName, HeaderValue>,
) -> Result<HeaderMap, Error> {
    let legal = |text: &str| {
        let unfit = || StreamableHttpError::UnexpectedServerResponse(Cow::from("a name that no header can hold"));
        HeaderValue::from_str(text).map_err(|_| unfit())
    };
    let mut head: HeaderMap = headers.into_iter().collect();
    head.insert(ACCEPT, HeaderValue::from_static(accept));
    for (name, text) in [(HEADER_SESSION_ID, session), (HEADER_LAST_EVENT_ID, last)] {
        if let Some(text) = text {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header of the protocol is one");
            head.insert(name, legal(text)?);
        }
    }
    Ok(head)
}

/// What a body is.
enum Sort {
    Json,
    Events,
    Other,
}

fn sort(headers: &HeaderMap) -> Sort {
    let named = headers.get(CONTENT_TYPE).map(|named| named.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    if named.starts_with(EVENT_STREAM_MIME_TYPE.as_bytes()) {
        Sort::Events
    } else if named.starts_with(JSON_MIME_TYPE.as_bytes()) {
        Sort::Json
    } else {
        Sort::Other
    }
}

/// The session's name: visible ASCII, as the protocol has it, and of a bounded length.
fn session(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let Some(name) = headers.get(HEADER_SESSION_ID) else { return Ok(None) };
    let plain = name.to_str().ok().filter(|name| name.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
    match plain.filter(|name| (1..=MAX_HEADER).contains(&name.len())) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err("the session it begins has no legal name"),
    }
}

/// What a server wants to be shown.
fn challenge(headers: &HeaderMap) -> Option<String> {
    let texts: Vec<&str> = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|text| text.to_str().ok()).collect();
    let whole = texts.join(", ");
    (!texts.is_empty() && whole.len() <= MAX_HEADER).then_some(whole)
}
