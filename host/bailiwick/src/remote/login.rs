//! How a person agrees: a page of the authorization server, whose answer comes to a port of this machine.

use std::time::Duration;

use futures::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::transport::auth::{AuthorizationCallback, OAuthClientConfig};
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;
use zeroize::Zeroizing;

use bailiwick_core::config::LoginClient;
use bailiwick_core::outcome::{Code, Failure};

use super::client::Client;
use super::oauth::{Kept, Kind, Server, Tokens, internal, is_protected, log_in};
use super::rows::Row;
use super::wire::said;

/// How long a person has.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How long a browser may take to say what it was told.
const REQUEST: Duration = Duration::from_secs(10);
/// Connections that are listened to at once: a browser opens a few, and some say nothing.
const AT_ONCE: usize = 16;
/// Where the answer goes.
const PATH: &str = "/callback";

/// What a person is asked to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The page where they agree.
    pub page: Url,
    /// What the host asks for; empty means that the authorization server decides.
    pub scopes: Vec<String>,
}

/// What came of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// What was granted.
    pub scopes: Vec<String>,
    /// When the token expires, in seconds since 1970, if it says so.
    pub expires: Option<u64>,
    /// Whether it is renewed without asking again.
    pub renews: bool,
}

/// Lets a person agree, and keeps what comes of it.
pub(super) async fn log_in_with(
    client: &Client,
    tokens: &Tokens,
    listener: TcpListener,
    tell: impl FnOnce(&Invitation),
    patience: Duration,
) -> Result<LoggedIn, Failure> {
    let Kind::Person(settings) = &tokens.kind else {
        let message = format!("`{}` has credentials of its own: nobody logs in", tokens.wire.plugin);
        return Err(Failure::new(Code::ArgumentsInvalid, message));
    };
    let port = listener.local_addr().map_err(|error| internal(&error))?.port();
    let before = tokens.logins.load().await?;
    // One that was made to what was proved says more than one to nobody.
    let is_of_proof = |challenge: &String| challenge.contains("insufficient_scope");
    let challenge = match before.challenge.clone().filter(is_of_proof) {
        Some(challenge) => Some(challenge),
        None => client.challenge().await?.or(before.challenge.clone()),
    };
    let mut server = tokens.discovered(challenge.as_deref()).await?;
    // Before a person is asked: what they agree to would be in vain.
    tokens.wire.may("POST", &server.metadata.token_endpoint)?;
    let scopes = scopes(settings, &before, &server).await;
    let registered = registered(tokens, settings, &mut server, port, &scopes).await?;
    let wanted: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let page = server.manager.get_authorization_url(&wanted).await;
    let page = page.map_err(|error| server.failure(&tokens.wire.plugin, &error))?;
    let page = Url::parse(&page).ok().filter(|page| is_protected(page.as_str())).ok_or_else(|| internal(&"no page"))?;
    let state =
        page.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| Zeroizing::new(state.into_owned()));
    let state = state.ok_or_else(|| internal(&"no state"))?;
    tell(&Invitation { page, scopes });
    let answer = tokio::time::timeout(patience, answered(listener, port, &state)).await;
    let answer = answer.map_err(|_| nobody(tokens, patience))??;
    let exchanged =
        server.manager.exchange_code_for_token_with_issuer(&answer.code, &answer.csrf_token, answer.issuer.as_deref());
    exchanged.await.map_err(|error| server.failure(&tokens.wire.plugin, &error))?;
    let credentials = server.credentials().await?;
    let row = Row { client_secret: registered, credentials: Some(credentials), challenge: None };
    let kept = Kept::of(&row).ok_or_else(|| {
        let message = format!("the authorization server of `{}` gave no bearer token", tokens.wire.plugin);
        Failure::new(Code::UpstreamAuth, message)
    })?;
    let (expires, renews) = (kept.expires(), kept.can_be_refreshed());
    let logged_in = LoggedIn { scopes: kept.granted_scopes, expires, renews };
    tokens.logins.keep(row).await?;
    Ok(logged_in)
}

fn nobody(tokens: &Tokens, patience: Duration) -> Failure {
    let message = format!("nobody agreed within {} seconds", patience.as_secs());
    Failure::new(Code::UpstreamAuth, message).with_fix(log_in(&tokens.wire.plugin))
}

/// What to ask for: what the operator says; else what the server says it takes, and what was had before.
async fn scopes(settings: &LoginClient, before: &Row, server: &Server) -> Vec<String> {
    if !settings.scopes.is_empty() {
        return settings.scopes.clone();
    }
    let mut scopes = server.manager.select_initial_scopes(&[]).await;
    for had in Kept::of(before).map(|kept| kept.granted_scopes).unwrap_or_default() {
        if !scopes.contains(&had) {
            scopes.push(had);
        }
    }
    scopes
}

/// Makes the host known to the authorization server, by the first of the ways there are: its operator did; a document
/// says what it is; it registers itself. Gives the secret of a registration of its own.
async fn registered(
    tokens: &Tokens,
    settings: &LoginClient,
    server: &mut Server,
    port: u16,
    scopes: &[String],
) -> Result<Option<Zeroizing<String>>, Failure> {
    let plugin = &tokens.wire.plugin;
    let back = format!("http://127.0.0.1:{port}{PATH}");
    let reads_documents = server.metadata.additional_fields.get("client_id_metadata_document_supported");
    let reads_documents = reads_documents.and_then(serde_json::Value::as_bool).unwrap_or(false);
    let document = settings.client_metadata_url.as_ref().filter(|_| reads_documents).map(Url::to_string);
    if let Some(client_id) = settings.client_id.clone().or(document) {
        let mut config = OAuthClientConfig::new(client_id, back);
        config.client_secret = settings.client_secret.as_ref().map(|name| tokens.secret(name)).transpose()?;
        config.scopes = scopes.to_vec();
        server.manager.configure_client(config).map_err(|error| server.failure(plugin, &error))?;
        return Ok(None);
    }
    if server.metadata.registration_endpoint.is_none() {
        let message = format!("the authorization server of `{plugin}` does not let clients register themselves");
        let fix = format!("register Bailiwick there with the redirect URI {back}, and write its `client_id` in `mcp`");
        return Err(Failure::new(Code::UpstreamAuth, message).with_fix(fix));
    }
    let wanted: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let config = server.manager.register_client("Bailiwick", &back, &wanted).await;
    let config = config.map_err(|error| server.failure(plugin, &error))?;
    Ok(config.client_secret.map(Zeroizing::new))
}

/// What a browser brings.
type Brought = Result<AuthorizationCallback, Failure>;

/// Waits until a browser brings the answer to this very question.
async fn answered(listener: TcpListener, port: u16, state: &Zeroizing<String>) -> Brought {
    let (bring, mut brought) = mpsc::channel(1);
    let connections = futures::stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.ok().map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let served = connections.for_each_concurrent(AT_ONCE, |stream| {
        let (bring, state) = (bring.clone(), state.clone());
        async move {
            match stream {
                Some(stream) => serve(stream, port, state, bring).await,
                // Out of file descriptors, for example: not for long.
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    tokio::select! {
        brought = brought.recv() => brought.unwrap_or_else(|| Err(internal(&"no browser can come"))),
        () = served => Err(internal(&"no browser can come")),
    }
}

/// Hears one connection out. It goes on in a task of its own, so that the page is there when the login is done.
async fn serve(stream: TcpStream, port: u16, state: Zeroizing<String>, bring: mpsc::Sender<Brought>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let judged = judged(&request, port, &state);
        let bring = bring.clone();
        async move {
            let page = match judged {
                Ok(brought) => {
                    let page = page_of(&brought);
                    // A second answer is as good as none.
                    let _ = bring.try_send(brought);
                    page
                }
                Err(status) => page(status, "This is not the answer to a login that is under way."),
            };
            Ok::<_, std::convert::Infallible>(page)
        }
    });
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let served = tokio::spawn(tokio::time::timeout(REQUEST, connection));
    // Whoever did not say what it was told may come again.
    let _ = served.await;
}

/// What a request brings, if it is the answer that is waited for.
fn judged(request: &Request<Incoming>, port: u16, state: &str) -> Result<Brought, StatusCode> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host != Some(format!("127.0.0.1:{port}").as_str()) {
        // A page elsewhere, under a name that leads here.
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let url = Url::parse(&format!("http://127.0.0.1:{port}{}", request.uri())).map_err(|_| StatusCode::BAD_REQUEST)?;
    let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let is_ours = value("state").is_some_and(|said| bool::from(said.as_bytes().ct_eq(state.as_bytes())));
    if !is_ours {
        return Err(StatusCode::BAD_REQUEST);
    }
    if let Some(error) = value("error") {
        let more = value("error_description").map(|more| format!(" ({})", said(&more))).unwrap_or_default();
        let message = format!("the authorization server says no: {}{more}", said(&error));
        return Ok(Err(Failure::new(Code::UpstreamAuth, message)));
    }
    AuthorizationCallback::from_redirect_url(url.as_str()).map(Ok).map_err(|_| StatusCode::BAD_REQUEST)
}

fn page_of(brought: &Brought) -> Response<Full<Bytes>> {
    match brought {
        Ok(_) => page(StatusCode::OK, "Bailiwick has its answer. You can close this page."),
        Err(_) => page(StatusCode::OK, "Bailiwick was refused. You can close this page."),
    }
}

fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *page.status_mut() = status;
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    for (name, value) in headers {
        page.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    page
}
