//! A world for servers at a URL: HTTP servers on loopback that do as they are told and keep what they heard, an MCP server
//! of either era, an authorization server, and a browser that does what it is shown.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use bailiwick_core::config::{self, Source};

use crate::ambient;
use crate::egress::Egress;
use crate::remote::Site;
use crate::resolver::{FixedNames, Resolver};
use crate::secrets::Secrets;
use crate::store::{FILE, Store};

/// What a server heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) method: String,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The method of a message, or of HTTP where there is none.
    pub(super) fn what(&self) -> String {
        self.json()["method"].as_str().map_or_else(|| self.method.clone(), str::to_owned)
    }

    /// The fields of a form, and of the query.
    pub(super) fn fields(&self) -> HashMap<String, String> {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        pairs(query).into_iter().chain(pairs(&self.body)).collect()
    }
}

pub(super) type Reply = Response<BoxBody<Bytes, Infallible>>;

pub(super) fn reply(status: u16, kind: &str, body: impl Into<Bytes>) -> Reply {
    let builder = Response::builder().status(status).header("content-type", kind);
    builder.body(Full::new(body.into()).boxed()).unwrap()
}

pub(super) fn json(status: u16, value: &Value) -> Reply {
    reply(status, "application/json", value.to_string())
}

pub(super) fn event(value: &Value) -> Reply {
    reply(200, "text/event-stream", format!(": hello\n\nid: 1\ndata: {value}\n\n"))
}

pub(super) fn with(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    reply.headers_mut().insert(name, value.parse().unwrap());
    reply
}

/// A server on loopback.
pub(super) struct Served {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// What messages came, in order.
    pub(super) fn whats(&self) -> Vec<String> {
        self.heard().iter().map(Heard::what).collect()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.heard().iter().filter(|heard| heard.what() == what || heard.path.split('?').next() == Some(what)).count()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Serves at a port that is known before the replies are made.
pub(super) async fn serve<F>(replies: impl FnOnce(u16) -> F) -> Served
where
    F: Fn(&Heard) -> Reply + Send + Sync + 'static,
{
    let listener = ambient::listen_on_loopback().await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, replies) = (Arc::default(), Arc::new(replies(port)));
    let task = tokio::spawn(accept(listener, Arc::clone(&heard), replies));
    Served { port, heard, task }
}

async fn accept<F>(listener: TcpListener, heard: Arc<Mutex<Vec<Heard>>>, replies: Arc<F>)
where
    F: Fn(&Heard) -> Reply + Send + Sync + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let (heard, replies) = (Arc::clone(&heard), Arc::clone(&replies));
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (heard, replies) = (Arc::clone(&heard), Arc::clone(&replies));
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                    let one = Heard {
                        method: parts.method.to_string(),
                        path: parts.uri.to_string(),
                        headers: parts.headers,
                        body: String::from_utf8_lossy(&body).into_owned(),
                    };
                    heard.lock().unwrap().push(one.clone());
                    Ok::<_, Infallible>(replies(&one))
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

pub(super) fn tools() -> Value {
    json!({"tools": [{"name": "echo", "description": "says it", "inputSchema": {"type": "object"}}],
        "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
}

/// The result of a message, as a server without sessions gives it; none for a method of the older era.
pub(super) fn modern(heard: &Heard) -> Option<Value> {
    let (message, says) = (heard.json(), heard.header("authorization").unwrap_or("nobody").to_owned());
    let result = match message["method"].as_str()? {
        "server/discover" => json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}),
        "tools/list" => tools(),
        "tools/call" => {
            json!({"resultType": "complete", "content": [{"type": "text", "text": format!("asked by {says}")}]})
        }
        _ => return None,
    };
    Some(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

/// A server without sessions that answers with JSON.
pub(super) fn modern_reply(heard: &Heard) -> Reply {
    match modern(heard) {
        Some(answer) => json(200, &answer),
        None if heard.method != "POST" => reply(405, "text/plain", ""),
        None => {
            let error = json!({"code": -32601, "message": "no such method"});
            json(404, &json!({"jsonrpc": "2.0", "id": heard.json()["id"], "error": error}))
        }
    }
}

/// A plugin's site, with its state in a folder of its own.
pub(super) struct World {
    pub(super) site: Site,
    pub(super) store: Arc<Store>,
    _folder: tempfile::TempDir,
}

/// The plugin `tracker` of this configuration, in which names resolve as `names` says.
pub(super) fn world(text: &str, names: &[(&str, &str)]) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join(FILE)).unwrap());
    World { site: site(text, names, &store), store, _folder: folder }
}

pub(super) fn site(text: &str, names: &[(&str, &str)], store: &Arc<Store>) -> Site {
    let source = Source { name: "bailiwick.toml".to_owned(), text: text.to_owned(), base: "/srv".into() };
    let config =
        config::read(&source, &|_| None).unwrap_or_else(|mistakes| panic!("{}", config::render(&source, &mistakes)));
    let plugin = &config.plugins[0];
    let address = |(name, address): &(&str, &str)| ((*name).to_owned(), vec![vec![address.parse::<IpAddr>().unwrap()]]);
    let names = FixedNames { names: names.iter().map(address).collect(), ..FixedNames::default() };
    let egress = Arc::new(Egress::new(Resolver::Fixed(Arc::new(names)), &[]).unwrap());
    let secrets = Arc::new(Secrets::load(&plugin.grants.secrets, "bailiwick.toml:1").unwrap());
    Site::new(plugin, plugin.class.remote().unwrap(), egress, secrets, Arc::clone(store))
}

/// A plugin at a server of this test, with more keys of `mcp`, and more lines that are granted.
pub(super) fn plugin(server: &Served, keys: &str, net: &[&str]) -> String {
    let url = format!("{}/mcp", server.url());
    let more: String = net.iter().map(|line| format!(", {line:?}")).collect();
    format!("[plugins.tracker]\nmcp = {{ url = \"{url}\"{keys} }}\nnet = [\"GET,POST,DELETE {url}\"{more}]\n")
}

/// What an authorization server has given, and how it behaves.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    /// By code: the challenge of PKCE, and where it was to be sent.
    codes: BTreeMap<String, (String, String)>,
    /// The tokens that are good.
    pub(super) access: Option<String>,
    pub(super) refresh: Option<String>,
    given: u32,
    /// How long tokens last, in seconds.
    pub(super) lasts: u64,
    /// What its metadata says beside the rest, or instead.
    pub(super) metadata: Value,
    /// What it says of itself in the answer that a browser brings.
    pub(super) issuer_in_answer: Option<String>,
    pub(super) secret: Option<String>,
}

pub(super) type Shared = Arc<Mutex<Authority>>;

pub(super) fn authority() -> Shared {
    Arc::new(Mutex::new(Authority {
        codes: BTreeMap::new(),
        access: None,
        refresh: None,
        given: 0,
        lasts: 3_600,
        metadata: json!({}),
        issuer_in_answer: None,
        secret: None,
    }))
}

/// Serves it.
pub(super) async fn authorization_server(state: &Shared) -> Served {
    let state = Arc::clone(state);
    serve(move |port| {
        let own = format!("http://127.0.0.1:{port}");
        move |heard: &Heard| {
            let mut state = state.lock().unwrap();
            let path = heard.path.split('?').next().unwrap_or_default();
            match path {
                "/.well-known/oauth-authorization-server" => json(200, &metadata(&own, &state)),
                "/register" => {
                    let uris = &heard.json()["redirect_uris"];
                    json(201, &json!({"client_id": "registered-1", "redirect_uris": uris}))
                }
                "/authorize" => authorize(&mut state, heard),
                "/token" => token(&mut state, heard),
                _ => reply(404, "text/plain", "no"),
            }
        }
    })
    .await
}

fn metadata(own: &str, state: &Authority) -> Value {
    let mut metadata = json!({
        "issuer": own, "authorization_endpoint": format!("{own}/authorize"), "token_endpoint": format!("{own}/token"),
        "registration_endpoint": format!("{own}/register"), "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
    });
    for (key, value) in state.metadata.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    metadata
}

/// The page where a person agrees; this one agrees at once.
fn authorize(state: &mut Authority, heard: &Heard) -> Reply {
    let fields = heard.fields();
    let code = format!("code-{}", state.codes.len());
    let (challenge, back) = (fields["code_challenge"].clone(), fields["redirect_uri"].clone());
    let mut to = Url::parse(&back).unwrap();
    to.query_pairs_mut().append_pair("code", &code).append_pair("state", &fields["state"]);
    if let Some(issuer) = &state.issuer_in_answer {
        to.query_pairs_mut().append_pair("iss", issuer);
    }
    state.codes.insert(code, (challenge, back));
    with(reply(302, "text/plain", ""), "location", to.as_str())
}

fn token(state: &mut Authority, heard: &Heard) -> Reply {
    let fields = heard.fields();
    let refused = |why: &str| json(400, &json!({"error": why}));
    let refreshes = match fields.get("grant_type").map(String::as_str) {
        Some("authorization_code") => {
            let Some((challenge, back)) = state.codes.remove(&fields["code"]) else { return refused("invalid_grant") };
            let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(fields["code_verifier"].as_bytes()));
            if proof != challenge || back != fields["redirect_uri"] {
                return refused("invalid_grant");
            }
            true
        }
        Some("refresh_token") if state.refresh.as_ref() == fields.get("refresh_token") => true,
        Some("client_credentials") if state.secret.as_ref() == fields.get("client_secret") => false,
        Some("client_credentials") => return json(401, &json!({"error": "invalid_client"})),
        Some(_) | None => return refused("invalid_grant"),
    };
    state.given += 1;
    let access = format!("access-token-canary-{}", state.given);
    state.access = Some(access.clone());
    let mut answer = json!({"access_token": access, "token_type": "Bearer", "expires_in": state.lasts});
    if refreshes {
        let refresh = format!("refresh-token-canary-{}", state.given);
        state.refresh = Some(refresh.clone());
        answer["refresh_token"] = refresh.into();
    }
    json(200, &answer)
}

/// A server without sessions that wants to be shown a token of `authority`, at `issuer`.
pub(super) async fn guarded_server(authority: &Shared, issuer: &str) -> Served {
    let (authority, issuer) = (Arc::clone(authority), issuer.to_owned());
    serve(move |port| {
        let own = format!("http://127.0.0.1:{port}");
        move |heard: &Heard| {
            if heard.path == "/.well-known/oauth-protected-resource" {
                let resource = format!("{own}/mcp");
                return json(
                    200,
                    &json!({"resource": resource, "authorization_servers": [issuer],
                    "scopes_supported": ["read"]}),
                );
            }
            let wanted = authority.lock().unwrap().access.as_ref().map(|token| format!("Bearer {token}"));
            if wanted.is_some() && heard.header("authorization") == wanted.as_deref() {
                return modern_reply(heard);
            }
            let challenge = format!("Bearer resource_metadata=\"{own}/.well-known/oauth-protected-resource\"");
            with(reply(401, "text/plain", "who are you?"), "www-authenticate", &challenge)
        }
    })
    .await
}

/// What a plain GET of `url` is answered, redirects followed: as much of a browser as is needed.
pub(super) async fn browse(url: String) -> String {
    let mut url = Url::parse(&url).unwrap();
    for _ in 0..5 {
        let (head, body) = get(&url, None).await;
        match head.lines().find_map(|line| line.strip_prefix("location: ")) {
            Some(next) => url = url.join(next).unwrap(),
            None => return format!("{} {body}", head.split_whitespace().nth(1).unwrap_or_default()),
        }
    }
    "too far".to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test's own browser")]
pub(super) async fn get(url: &Url, host: Option<&str>) -> (String, String) {
    let address = SocketAddr::new(url.host_str().unwrap().parse().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = host.map_or_else(|| address.to_string(), str::to_owned);
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
