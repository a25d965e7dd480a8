//! Logging in at a service: what proves who asks is fetched once it is needed, and stands in requests like a secret. No
//! guest sees it, nor the body that gets it. It is kept from start to start, sealed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use bailiwick_core::config::{Credential, Effective, Login, Place};
use bailiwick_core::grant::{Binding, Grants, Origin, Placement, SecretGrant, SecretSource};
use bailiwick_core::name::SecretName;
use bailiwick_core::outcome::{Code, Failure};

use super::sessions::Sessions;
use crate::context::CallContext;
use crate::remote::Wire;

/// How long logging in may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer to a login.
const MAX_ANSWER: usize = 1 << 20;
/// What the credential is called among the plugin's secrets while a call lasts. One of the operator's of that name gives way.
const NAME: &str = "login";

/// How one service is logged in at, and what came of it.
pub(crate) struct Session {
    login: Login,
    origin: Origin,
    wire: Arc<Wire>,
    /// None where nothing is kept.
    sessions: Option<Arc<Sessions>>,
    current: Mutex<Current>,
}

/// What came of logging in.
#[derive(Default)]
struct Current {
    /// Whether what was kept of an earlier start was looked for.
    is_read: bool,
    credential: Option<Arc<Zeroizing<String>>>,
}

impl Session {
    pub(super) fn new(login: Login, origin: Origin, wire: Arc<Wire>, sessions: Option<Arc<Sessions>>) -> Self {
        Self { login, origin, wire, sessions, current: Mutex::default() }
    }

    /// What the service gave last, also before this start, if it gave something.
    pub(super) async fn current(&self) -> Option<Arc<Zeroizing<String>>> {
        let mut current = self.current.lock().await;
        if !current.is_read {
            if let Some((sessions, login)) = self.keeping() {
                let kept = sessions.kept(&self.wire.plugin, login).await;
                current.credential = kept.map(Arc::new);
            }
            current.is_read = true;
        }
        current.credential.clone()
    }

    /// Something else than `refused`, which the service refused: what another call has fetched meanwhile, or else it logs
    /// in.
    ///
    /// # Ambient authority
    /// Asks the URL that the operator named, with the plugin's grants.
    ///
    /// # Errors
    /// The service does not let it in, or gives nothing.
    pub(super) async fn renewed(
        &self,
        refused: Option<&Arc<Zeroizing<String>>>,
    ) -> Result<Arc<Zeroizing<String>>, Failure> {
        let mut current = self.current.lock().await;
        let is_other = |other: &&Arc<_>| refused.is_none_or(|refused| !Arc::ptr_eq(refused, other));
        if let Some(other) = current.credential.as_ref().filter(is_other) {
            return Ok(Arc::clone(other));
        }
        let fresh = Arc::new(self.log_in().await?);
        *current = Current { is_read: true, credential: Some(Arc::clone(&fresh)) };
        if let Some((sessions, login)) = self.keeping() {
            sessions.keep(&self.wire.plugin, login, Zeroizing::clone(&fresh)).await;
        }
        Ok(fresh)
    }

    /// Where what this login gives is kept, and under what: another way to log in, or another secret, is another login.
    fn keeping(&self) -> Option<(&Arc<Sessions>, String)> {
        let sessions = self.sessions.as_ref()?;
        let Login { url, method, content_type, credential, header, format, .. } = &self.login;
        let body = self.body().ok()?;
        let (kind, named) = match credential {
            Credential::Cookie(name) => ("cookie", name),
            Credential::Json(pointer) => ("json", pointer),
        };
        let origin = self.origin.to_string();
        let said = [url.as_str(), method, content_type, &body, kind, named, header, format, &origin];
        let asked = Origin::of(url)?;
        let sent = self.wire.sent_to(&asked).flat_map(|secret| [secret.name.as_str(), secret.value]);
        Some((sessions, sessions.identify(said.into_iter().chain(sent))))
    }

    /// The same call with the credential among its secrets.
    pub(super) fn with(
        &self,
        context: &CallContext,
        credential: &Zeroizing<String>,
    ) -> Result<Arc<CallContext>, Failure> {
        let name = SecretName::parse(NAME).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        let secrets = context.secrets.clone_with(&name, credential);
        let placement = Placement::Header { name: self.login.header.clone(), format: self.login.format.clone() };
        let grant = SecretGrant {
            name,
            source: SecretSource::Kept,
            binding: Some(Binding { origin: self.origin.clone(), placement }),
            variable: None,
            reveal: false,
            place: Place::default(),
        };
        let mut grants = Grants::clone(&context.effective.grants);
        // What stands in the same place gives way.
        grants.secrets.retain(|known| known.binding != grant.binding && known.name != grant.name);
        grants.secrets.push(grant);
        let effective = Effective { grants: Arc::new(grants), ..Effective::clone(&context.effective) };
        Ok(context.again(Arc::new(effective), Arc::new(secrets)))
    }

    async fn log_in(&self) -> Result<Zeroizing<String>, Failure> {
        let Login { url, method, content_type, credential, .. } = &self.login;
        let body = self.body()?;
        let broken = |error: http::Error| Failure::new(Code::Internal, error.to_string());
        let mut request = Request::builder().method(method.as_str()).uri(url.as_str());
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(Bytes::from(body.as_bytes().to_vec())).map_err(broken)?;
        let answer = self.wire.send_whole(request, MAX_ANSWER, PATIENCE).await?;
        let status = answer.status();
        let refused = |reason: String| Failure::new(Code::UpstreamAuth, format!("the login at `{url}` {reason}"));
        if !status.is_success() && !status.is_redirection() {
            return Err(refused(format!("was answered with {status}")));
        }
        let found = match credential {
            Credential::Cookie(name) => cookie(answer.headers(), name),
            Credential::Json(pointer) => text_at(answer.body(), pointer),
        };
        let found = found.filter(|value| !value.is_empty() && !value.contains(char::is_control));
        found.ok_or_else(|| {
            refused(match credential {
                Credential::Cookie(name) => format!("gave no cookie `{name}`"),
                Credential::Json(pointer) => format!("gave nothing at `{pointer}`"),
            })
        })
    }

    /// The body with the plugin's secrets in it, written as its type has it.
    fn body(&self) -> Result<Zeroizing<String>, Failure> {
        let Login { body, content_type, .. } = &self.login;
        let mut written = Zeroizing::new(String::with_capacity(body.len() + 256));
        let mut rest = body.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            written.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            let secret = SecretName::parse(name).ok();
            let value = secret.as_ref().and_then(|name| self.wire.secret(name)).ok_or_else(|| {
                Failure::new(Code::PluginNotConfigured, format!("there is no secret `{name}` to log in with"))
            })?;
            if content_type.contains("json") {
                let quoted = Zeroizing::new(Value::from(value).to_string());
                written.push_str(quoted.trim_start_matches('"').strip_suffix('"').unwrap_or(&quoted));
            } else if content_type.contains("form-urlencoded") {
                utf8_percent_encode(value, NON_ALPHANUMERIC).for_each(|part| written.push_str(part));
            } else {
                written.push_str(value);
            }
            rest = after;
        }
        written.push_str(rest);
        Ok(written)
    }
}

/// The value of a cookie that an answer sets.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Zeroizing<String>> {
    headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()).find_map(|cookie| {
        let (known, value) = cookie.split(';').next()?.split_once('=')?;
        (known.trim() == name).then(|| Zeroizing::new(value.trim().to_owned()))
    })
}

/// The text at a place of a JSON answer.
fn text_at(body: &[u8], pointer: &str) -> Option<Zeroizing<String>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    match answer.pointer(pointer)? {
        Value::String(text) => Some(Zeroizing::new(text.clone())),
        Value::Number(number) => Some(Zeroizing::new(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, "theme=dark; Path=/".parse().unwrap());
        headers.append(SET_COOKIE, "session = abc ; HttpOnly".parse().unwrap());
        assert_eq!(cookie(&headers, "session").as_deref().map(String::as_str), Some("abc"));
        assert_eq!(cookie(&headers, "sess"), None);
    }

    #[test]
    fn a_credential_is_a_text_or_a_number() {
        let found = |pointer| text_at(br#"{"a": {"t": "x"}, "n": 7, "o": {}}"#, pointer).map(|text| text.to_string());
        assert_eq!(found("/a/t"), Some("x".to_owned()));
        assert_eq!(found("/n"), Some("7".to_owned()));
        assert_eq!((found("/o"), found("/z")), (None, None));
    }
}
