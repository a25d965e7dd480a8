//! The document of a service: from a file, from what was kept, or fetched over egress with the plugin's own grants and
//! secrets. Nothing in it opens another way; other documents are read only where the operator allowed it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use bailiwick_core::config::{Document, Service, Spec};
use bailiwick_core::openapi::{Format, MAX_DOCUMENT, elsewhere, parse};
use bailiwick_core::outcome::{Code, Failure};

use super::kept::{self, Kept};
use crate::ambient::{self, Links};
use crate::remote::Wire;
use crate::store::Store;

/// Where services have their document, below their URL; the first is where it usually is.
const USUAL: [&str; 4] = ["openapi.json", "openapi.yaml", "swagger.json", "v3/api-docs"];
/// How long fetching one may take, and all that it refers to with it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take where an older one would do.
const IMPATIENCE: Duration = Duration::from_secs(3);
/// Redirects that are followed, each judged as a request of its own.
const MAX_REDIRECTS: usize = 3;
/// Documents that one may refer to, those they refer to included.
const MAX_OTHERS: usize = 64;
/// Bytes of all documents of a service.
const MAX_TOGETHER: usize = 2 * MAX_DOCUMENT;

/// A document and all that it refers to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) value: Value,
    /// Its URL, if it has one.
    pub(crate) at: Option<Url>,
    pub(crate) others: BTreeMap<Url, Value>,
    /// Why it is an older one, if it is.
    pub(crate) stale: Option<Failure>,
}

/// What is at a URL.
struct Page {
    value: Value,
    /// In bytes.
    size: usize,
    /// Why it is an older one, if it is.
    stale: Option<Failure>,
}

/// What reads the documents of one service.
pub(super) struct Documents<'d> {
    wire: &'d Wire,
    /// Where they are kept; none where there is no such place.
    store: Option<&'d Arc<Store>>,
    /// Whether the service is asked although its answer is known.
    afresh: bool,
    /// When nobody is asked any more.
    ends: Instant,
}

impl<'d> Documents<'d> {
    /// Reads them from now on, for as long as that may take.
    pub(super) fn new(wire: &'d Wire, store: Option<&'d Arc<Store>>, afresh: bool) -> Self {
        Self { wire, store, afresh, ends: Instant::now() + PATIENCE }
    }

    /// Reads the document of a service, with what it refers to.
    ///
    /// # Ambient authority
    /// Reads the file or asks the URL that the operator named.
    ///
    /// # Errors
    /// It cannot be read, and no older one is kept.
    pub(super) async fn read(&self, service: &Service, document: &Document) -> Result<Found, Failure> {
        let (at, value, stale) = match &document.spec {
            Some(Spec::File(file)) => (None, parsed(read_file(file.clone()).await?).await?, None),
            Some(Spec::Kept) => (None, parsed(self.registered().await?).await?, None),
            Some(Spec::Url(url)) => {
                let page = self.fetch(url).await?.ok_or_else(|| missing(url))?;
                (Some(url.clone()), page.value, page.stale)
            }
            None => self.discover(&service.url).await?,
        };
        let others = self.others(&value, at.as_ref(), document).await?;
        Ok(Found { value, at, others, stale })
    }

    /// The document that came with a registration.
    async fn registered(&self) -> Result<Vec<u8>, Failure> {
        let missing = || Failure::new(Code::PluginInvalid, "its document is not there any more");
        let (store, plugin) = (Arc::clone(self.store.ok_or_else(missing)?), self.wire.plugin.clone());
        let read = tokio::task::spawn_blocking(move || kept::registered(&store, &plugin)).await;
        let body =
            read.map_err(|_| missing())?.map_err(|error| Failure::new(Code::PluginInvalid, error.to_string()))?;
        body.ok_or_else(missing)
    }

    /// Asks at the usual places. Some services answer everywhere with the same page, which is no document.
    async fn discover(&self, service: &Url) -> Result<(Option<Url>, Value, Option<Failure>), Failure> {
        let mut below = service.clone();
        below.set_path(&format!("{}/", service.path().trim_end_matches('/')));
        let mut broken = None;
        for place in USUAL {
            let url = below.join(place).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
            match self.fetch(&url).await {
                Ok(Some(page)) if describes(&page.value) => return Ok((Some(url), page.value, page.stale)),
                Ok(_) => {}
                Err(failure) if failure.code == Code::PluginInvalid => broken = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        let places = USUAL.map(|place| format!("`{below}{place}`")).join(", ");
        let also = broken.map(|failure| format!("; what was there last: {}", failure.message)).unwrap_or_default();
        Err(Failure::new(Code::UpstreamProtocol, format!("the service has no document at {places}{also}"))
            .with_fix("name it with `spec`"))
    }

    /// What is at a URL; none if there is nothing. What is kept does where it is fresh, or where nothing better is to be had:
    /// a page that cannot be read, or describes no service any more, does not take its place.
    async fn fetch(&self, url: &Url) -> Result<Option<Page>, Failure> {
        let kept = self.kept(url).await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh && !self.afresh) {
            return Page::of(kept.body.clone(), None).await.map(Some);
        }
        let answered = match (self.ask(url, kept.as_ref()).await, &kept) {
            (Ok(answer), Some(kept)) if answer.status() == StatusCode::NOT_MODIFIED => {
                self.keep(url, None).await;
                return Page::of(kept.body.clone(), None).await.map(Some);
            }
            (Ok(answer), _) => said(url, answer),
            (Err(failure), _) => Err(failure),
        };
        match answered {
            Err(failure) => older(kept, failure).await,
            Ok(None) if kept.is_none() => Ok(None),
            Ok(None) => older(kept, missing(url)).await,
            Ok(Some(fetched)) => {
                let page = match Page::of(fetched.body.clone(), None).await {
                    Ok(page) => page,
                    Err(failure) => return older(kept, failure).await,
                };
                if !describes(&page.value)
                    && let Some(kept) = kept
                    && Page::of(kept.body.clone(), None).await.is_ok_and(|before| describes(&before.value))
                {
                    let message = format!("`{url}` describes no service any more");
                    return older(Some(kept), Failure::new(Code::UpstreamProtocol, message)).await;
                }
                self.keep(url, Some(fetched)).await;
                Ok(Some(page))
            }
        }
    }

    /// The answer to a question for a URL, at the end of its redirects.
    async fn ask(&self, url: &Url, kept: Option<&Kept>) -> Result<Response<Bytes>, Failure> {
        let patience = if kept.is_some() { IMPATIENCE } else { PATIENCE };
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let broken = |error: http::Error| Failure::new(Code::Internal, error.to_string());
            let mut request = Request::get(url.as_str()).body(Bytes::new()).map_err(broken)?;
            let wanted = http::HeaderValue::from_static("application/json, application/yaml;q=0.9, */*;q=0.5");
            request.headers_mut().insert(ACCEPT, wanted);
            if let Some(kept) = kept {
                let tells = [(IF_NONE_MATCH, &kept.etag), (IF_MODIFIED_SINCE, &kept.modified)];
                for (name, value) in tells {
                    if let Some(value) = value.as_ref().and_then(|value| value.parse().ok()) {
                        request.headers_mut().insert(name, value);
                    }
                }
            }
            let left = self.ends.saturating_duration_since(Instant::now());
            let answer = self.wire.send_whole(request, MAX_DOCUMENT, patience.min(left)).await?;
            let next = answer.status().is_redirection().then(|| text_of(answer.headers(), &LOCATION)).flatten();
            let Some(next) = next.filter(|_| answer.status() != StatusCode::NOT_MODIFIED) else { return Ok(answer) };
            let nowhere = |_| Failure::new(Code::UpstreamProtocol, "the document is redirected to what is no address");
            url = url.join(&next).map_err(nowhere)?;
        }
        Err(Failure::new(Code::UpstreamProtocol, format!("the document is redirected more than {MAX_REDIRECTS} times")))
    }

    /// The documents that a document refers to, as far as the operator allows.
    async fn others(
        &self,
        value: &Value,
        at: Option<&Url>,
        document: &Document,
    ) -> Result<BTreeMap<Url, Value>, Failure> {
        let mut others: BTreeMap<Url, Value> = BTreeMap::new();
        let allowed = |url: &Url| document.references.iter().any(|reference| is_within(reference, url));
        let mut pending: Vec<Url> = elsewhere(value, at).into_iter().filter(allowed).collect();
        let mut together = 0;
        while let Some(url) = pending.pop() {
            if others.contains_key(&url) || at == Some(&url) {
                continue;
            }
            if others.len() == MAX_OTHERS {
                let message = format!("the document refers to more than {MAX_OTHERS} others");
                return Err(Failure::new(Code::PluginInvalid, message));
            }
            let page = self.fetch(&url).await?.ok_or_else(|| missing(&url))?;
            together += page.size;
            if together > MAX_TOGETHER {
                let message = format!("the document refers to more than {} MiB of others", MAX_TOGETHER >> 20);
                return Err(Failure::new(Code::PluginInvalid, message));
            }
            pending.extend(elsewhere(&page.value, Some(&url)).into_iter().filter(allowed));
            others.insert(url, page.value);
        }
        Ok(others)
    }

    async fn kept(&self, url: &Url) -> Option<Kept> {
        let (store, plugin, url) = (Arc::clone(self.store?), self.wire.plugin.clone(), url.to_string());
        let read = tokio::task::spawn_blocking(move || kept::read(&store, &plugin, &url)).await.ok()?;
        read.inspect_err(|error| tracing::error!(%error, plugin = %self.wire.plugin, "its document cannot be read"))
            .ok()?
    }

    /// Keeps what was fetched, or that it is as it was.
    async fn keep(&self, url: &Url, fetched: Option<Kept>) {
        let Some(store) = self.store.cloned() else { return };
        let (plugin, url) = (self.wire.plugin.clone(), url.to_string());
        let kept = tokio::task::spawn_blocking(move || match fetched {
            Some(fetched) => kept::write(&store, &plugin, &url, &fetched),
            None => kept::touch(&store, &plugin, &url),
        });
        if let Ok(Err(error)) = kept.await {
            tracing::error!(%error, plugin = %self.wire.plugin, "its document cannot be kept");
        }
    }
}

/// Whether a URL is the one that is allowed, or below it.
fn is_within(allowed: &Url, url: &Url) -> bool {
    let below = allowed.path().ends_with('/') && url.path().starts_with(allowed.path());
    allowed == url || (allowed.origin() == url.origin() && allowed.query().is_none() && below)
}

/// What an answer holds; none where it says that there is nothing.
fn said(url: &Url, answer: Response<Bytes>) -> Result<Option<Kept>, Failure> {
    let status = answer.status();
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED) {
        return Ok(None);
    }
    if !status.is_success() {
        let code = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::UpstreamAuth,
            _ => Code::UpstreamProtocol,
        };
        return Err(Failure::new(code, format!("`{url}` answered {status} when it was asked for the document")));
    }
    let (etag, modified) = (text_of(answer.headers(), &ETAG), text_of(answer.headers(), &LAST_MODIFIED));
    Ok(Some(Kept { etag, modified, is_fresh: true, body: answer.into_body().into() }))
}

async fn older(kept: Option<Kept>, failure: Failure) -> Result<Option<Page>, Failure> {
    match kept {
        Some(kept) => Page::of(kept.body, Some(failure)).await.map(Some),
        None => Err(failure),
    }
}

/// Whether this says of itself that it describes a service.
fn describes(value: &Value) -> bool {
    value.get("openapi").or_else(|| value.get("swagger")).is_some()
}

impl Page {
    async fn of(body: Vec<u8>, stale: Option<Failure>) -> Result<Self, Failure> {
        let size = body.len();
        Ok(Self { value: parsed(body).await?, size, stale })
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let most = MAX_DOCUMENT as u64;
    let read = tokio::task::spawn_blocking(move || ambient::read_regular(&path, most, Links::Followed));
    let body = read.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    body.map_err(|error| Failure::new(Code::PluginInvalid, format!("cannot read {shown}: {error}")))
}

fn missing(url: &Url) -> Failure {
    Failure::new(Code::UpstreamProtocol, format!("there is no document at `{url}`"))
}

fn text_of(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn parsed(body: Vec<u8>) -> Result<Value, Failure> {
    let unusable = |reason: String| Failure::new(Code::PluginInvalid, reason);
    let parsed = tokio::task::spawn_blocking(move || {
        let text = String::from_utf8(body).map_err(|_| "the document is not UTF-8".to_owned())?;
        parse(&text, Format::Either).map_err(|error| error.to_string())
    });
    parsed.await.map_err(|_| unusable("reading the document crashed; the log says more".to_owned()))?.map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_allows_one_address_or_all_below_it() {
        let within = |allowed: &str, url: &str| is_within(&allowed.parse().unwrap(), &url.parse().unwrap());
        assert!(within("https://a.example/s.json", "https://a.example/s.json"));
        assert!(!within("https://a.example/s.json", "https://a.example/s.json/x"));
        assert!(within("https://a.example/s/", "https://a.example/s/x.json"));
        assert!(!within("https://a.example/s/", "https://a.example/t/x.json"));
        assert!(!within("https://a.example/s/", "https://b.example/s/x.json"));
        assert!(!within("https://a.example/s/", "http://a.example/s/x.json"));
    }
}
