//! Callers with a token of an authorization server: a JWT that its keys have signed, made out to this server.
//!
//! The server's keys come from where the configuration says, or from where its own metadata says, and that has to be the
//! same server. Tokens are checked here and go nowhere else: no tool sees one, and none is sent on.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use bailiwick_core::call::Caller;
use bailiwick_core::config::OauthSettings;
use bailiwick_core::redact::visible;

use super::recent::Recent;
use super::{Identity, Refused, Tag, held, now};
use crate::egress::Egress;

/// What tokens may be signed with. Nothing symmetric: whoever can check those can make them.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
/// A longer token is none. Common ones have one or two thousand characters.
const MAX_TOKEN: usize = 16 << 10;
/// How much of an answer of the authorization server is read.
const MAX_ANSWER: usize = 256 << 10;
/// Keys of one server that are kept.
const MAX_KEYS: usize = 64;
/// How long the authorization server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A key nobody knows is asked for no more often than this: anybody can make up key ids.
const FLOOR: Duration = Duration::from_secs(30);
/// Keys are read anew after this: one that was withdrawn does not count for ever.
const FRESH: Duration = Duration::from_secs(3_600);
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;
/// Tokens that are remembered at once.
const MOST: usize = 4_096;
/// The longest name of a subject.
const MAX_SUBJECT: usize = 200;

/// An authorization server, and what its tokens are good for.
pub(super) struct Authority {
    settings: OauthSettings,
    egress: Arc<Egress>,
    keys: Mutex<Signers>,
    /// Held by whoever asks the server; the others wait for what comes of it.
    asking: tokio::sync::Mutex<()>,
    floor: Duration,
    /// Tokens that were good. What goes on under one ends when it expires, or is forgotten.
    seen: Mutex<Recent<Tag, Seen>>,
}

/// The keys of the server.
#[derive(Default)]
struct Signers {
    keys: Arc<Vec<Signer>>,
    /// When the server was asked last, and when it answered last.
    asked: Option<Instant>,
    answered: Option<Instant>,
}

struct Signer {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

struct Seen {
    caller: Arc<Caller>,
    revoked: CancellationToken,
    _end: DropGuard,
    expires: i64,
}

/// What counts of a token, beside what the validation has looked at.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: f64,
    sub: Option<String>,
    client_id: Option<String>,
    scope: Option<Value>,
    scp: Option<Value>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("issuer", &self.settings.issuer.as_str()).finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new(settings: OauthSettings, egress: Arc<Egress>) -> Self {
        let (keys, seen) = (Mutex::default(), Mutex::new(Recent::new(MOST)));
        Self { settings, egress, keys, asking: tokio::sync::Mutex::new(()), floor: FLOOR, seen }
    }

    /// Whether it is the same as it was.
    pub(super) fn is(&self, settings: &OauthSettings) -> bool {
        self.settings == *settings
    }

    /// Who has a token.
    pub(super) async fn identify(&self, token: &str, tag: Tag) -> Result<Identity, Refused> {
        if let Some(seen) = held(&self.seen).get(&tag).filter(|seen| now() < seen.expires) {
            return Ok(self.identity(seen));
        }
        if token.len() > MAX_TOKEN || is_critical(token) {
            return Err(Refused::Invalid);
        }
        let head = decode_header(token).map_err(|error| refused("its head cannot be read", &error))?;
        if !ALGORITHMS.contains(&head.alg) {
            tracing::warn!(algorithm = ?head.alg, "a token is refused: it is not signed with a key pair");
            return Err(Refused::Invalid);
        }
        let signers = self.signers(head.kid.as_deref(), head.alg).await?;
        let validation = self.validation(head.alg);
        let fitting = signers.iter().filter(|signer| signer.fits(head.kid.as_deref(), head.alg));
        let decoded: Vec<_> = fitting.map(|signer| decode::<Claims>(token, &signer.key, &validation)).collect();
        let mut wrong = None;
        for result in decoded {
            match result {
                Ok(data) => return self.remember(data.claims, tag),
                Err(error) => wrong = Some(error),
            }
        }
        Err(wrong.map_or(Refused::Invalid, |error| refused("it is not what it has to be", &error)))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_issuer(&names(&self.settings.issuer));
        validation
    }

    fn remember(&self, claims: Claims, tag: Tag) -> Result<Identity, Refused> {
        // The validation would be content with a list of issuers that has the right one in it.
        if !names(&self.settings.issuer).contains(&claims.iss) {
            return Err(Refused::Invalid);
        }
        let scopes: Vec<&str> = [&claims.scope, &claims.scp].into_iter().flatten().flat_map(words).collect();
        if self.settings.scopes.iter().any(|scope| !scopes.contains(&scope.as_str())) {
            return Err(Refused::Scope(self.settings.scopes.join(" ")));
        }
        let subject = claims.sub.or(claims.client_id).filter(|subject| (1..=MAX_SUBJECT).contains(&subject.len()));
        let subject = subject.ok_or(Refused::Invalid)?;
        let caller = Arc::new(Caller::under(&format!("oauth:{}", visible(&subject)), &self.settings.policy));
        let revoked = CancellationToken::new();
        #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest number there is")]
        let expires = (claims.exp as i64).saturating_add(LEEWAY.cast_signed());
        let seen = Seen { caller, _end: revoked.clone().drop_guard(), revoked, expires };
        let identity = self.identity(&seen);
        held(&self.seen).insert(tag, seen);
        Ok(identity)
    }

    fn identity(&self, seen: &Seen) -> Identity {
        let (caller, revoked) = (Arc::clone(&seen.caller), seen.revoked.clone());
        Identity { caller, per_minute: self.settings.policy.per_minute, revoked }
    }

    /// Forgets tokens that are expired, and so ends what goes on under them.
    pub(super) fn expire(&self) {
        let now = now();
        held(&self.seen).retain(|seen| now < seen.expires);
    }

    /// The server's keys; asked for again if none of those that are known fits.
    async fn signers(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Vec<Signer>>, Refused> {
        if let Some(keys) = self.known(id, algorithm) {
            return Ok(keys);
        }
        let _asking = self.asking.lock().await;
        // Somebody may have asked while we waited.
        if let Some(keys) = self.known(id, algorithm) {
            return Ok(keys);
        }
        let (old, asked, answered) = {
            let signers = held(&self.keys);
            (Arc::clone(&signers.keys), signers.asked, signers.answered)
        };
        if asked.is_some_and(|asked| asked.elapsed() < self.floor) {
            return if answered.is_some() { Ok(old) } else { Err(Refused::Unavailable) };
        }
        held(&self.keys).asked = Some(Instant::now());
        match self.ask().await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let mut signers = held(&self.keys);
                (signers.keys, signers.answered) = (Arc::clone(&keys), Some(Instant::now()));
                Ok(keys)
            }
            Err(error) => {
                tracing::error!(issuer = %self.settings.issuer, error, "the keys of the authorization server cannot be had");
                if answered.is_some() { Ok(old) } else { Err(Refused::Unavailable) }
            }
        }
    }

    /// The keys, if they are fresh and one of them fits.
    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Vec<Signer>>> {
        let signers = held(&self.keys);
        let fresh = signers.answered.is_some_and(|answered| answered.elapsed() < FRESH);
        let fits = signers.keys.iter().any(|signer| signer.fits(id, algorithm));
        (fresh && fits).then(|| Arc::clone(&signers.keys))
    }

    /// Asks the server for its keys.
    async fn ask(&self) -> Result<Vec<Signer>, String> {
        let url = match &self.settings.jwks {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let set = self.get(&url).await?;
        let keys = set["keys"].as_array().ok_or("there is no list of keys")?;
        let keys: Vec<Signer> = keys.iter().filter_map(Signer::of).take(MAX_KEYS).collect();
        tracing::info!(issuer = %self.settings.issuer, keys = keys.len(), "keys of the authorization server");
        Ok(keys)
    }

    /// Where the server's metadata says that its keys are.
    async fn discover(&self) -> Result<Url, String> {
        let issuer = &self.settings.issuer;
        let mut last = String::new();
        for url in metadata_urls(issuer) {
            let metadata = match self.get(&url).await {
                Ok(metadata) => metadata,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            if !metadata["issuer"].as_str().is_some_and(|said| names(issuer).iter().any(|name| name == said)) {
                return Err(format!("{url} is another issuer's"));
            }
            let keys = metadata["jwks_uri"].as_str().and_then(|keys| Url::parse(keys).ok());
            let keys = keys.ok_or_else(|| format!("{url} names no `jwks_uri`"))?;
            if keys.origin() != issuer.origin() {
                return Err(format!(
                    "its keys are on another server; name it: `jwks = \"{keys}\"` under `[gateway.oauth]`"
                ));
            }
            return Ok(keys);
        }
        Err(last)
    }

    async fn get(&self, url: &Url) -> Result<Value, String> {
        let request = Request::get(url.as_str()).header(header::ACCEPT, "application/json").body(Bytes::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.egress.send_own(request, PATIENCE, MAX_ANSWER).await;
        let answer = answer.map_err(|error| format!("{url}: {error}"))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{url} answers with {}", answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|_| format!("{url} does not answer with JSON"))
    }
}

impl Signer {
    /// A public key to check signatures with; none for what is anything else.
    fn of(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let signs = match &jwk.common.public_key_use {
            None | Some(PublicKeyUse::Signature) => true,
            Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
        };
        let verifies = jwk.common.key_operations.as_ref().is_none_or(|uses| uses.contains(&KeyOperations::Verify));
        let mut algorithms = algorithms(&jwk.algorithm);
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| only == (*algorithm).into());
        }
        if !signs || !verifies || algorithms.is_empty() {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithms, key })
    }

    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = id.is_none() || self.id.as_deref() == id;
        named && self.algorithms.contains(&algorithm)
    }
}

/// What can be signed with a key of this kind.
fn algorithms(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        // 2048 bits are 342 characters.
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= 342 => vec![Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => vec![Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        AlgorithmParameters::RSA(_)
        | AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::OctetKey(_)
        | AlgorithmParameters::Other(_) => Vec::new(),
        // What the library may come to know.
        _ => Vec::new(),
    }
}

/// Whether a token asks for something that we would have to understand to check it.
fn is_critical(token: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let head = token.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
    let head: Option<Value> = head.and_then(|head| serde_json::from_slice(&head).ok());
    head.is_none_or(|head| head.get("crit").is_some() || head.get("enc").is_some() || head["b64"] == Value::Bool(false))
}

/// An issuer as tokens may name it: with and without the slash that URLs have where they have no path.
fn names(issuer: &Url) -> Vec<String> {
    let name = issuer.as_str();
    match name.strip_suffix('/') {
        Some(bare) if issuer.path() == "/" => vec![name.to_owned(), bare.to_owned()],
        Some(_) | None => vec![name.to_owned()],
    }
}

/// Where an authorization server says of itself what it is: RFC 8414, and OpenID's way.
fn metadata_urls(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url
    };
    let mut urls = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ];
    urls.dedup();
    urls
}

/// The words of a claim: a text with spaces, or a list.
fn words(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn refused(what: &str, error: &jsonwebtoken::errors::Error) -> Refused {
    tracing::warn!(%error, "a token is refused: {what}");
    Refused::Invalid
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod with_a_server;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_where_the_standards_have_it() {
        let urls = |issuer: &str| -> Vec<String> {
            metadata_urls(&Url::parse(issuer).unwrap()).iter().map(Url::to_string).collect()
        };
        let at = "https://a.example";
        let known = ["oauth-authorization-server", "openid-configuration"];
        assert_eq!(urls(at), known.map(|name| format!("{at}/.well-known/{name}")));
        assert_eq!(
            urls("https://a.example/realms/x/"),
            [
                format!("{at}/.well-known/oauth-authorization-server/realms/x"),
                format!("{at}/realms/x/.well-known/openid-configuration")
            ]
        );
    }

    #[test]
    fn a_key_that_is_secret_small_or_for_something_else_signs_nothing() {
        let is = |key: Value| Signer::of(&key).is_some();
        let x = "A".repeat(43);
        assert!(is(serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x})));
        assert!(is(serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "alg": "ES256", "use": "sig"})));
        assert!(!is(serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "alg": "ES384"})));
        assert!(!is(serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "use": "enc"})));
        assert!(!is(serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": x, "key_ops": ["sign"]})));
        assert!(!is(serde_json::json!({"kty": "oct", "k": x})));
        assert!(!is(serde_json::json!({"kty": "RSA", "n": "A".repeat(171), "e": "AQAB"})));
        assert!(is(serde_json::json!({"kty": "RSA", "n": "A".repeat(342), "e": "AQAB"})));
        assert!(!is(serde_json::json!({"kty": "new", "x": x})));
    }
}
