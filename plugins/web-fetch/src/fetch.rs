//! One fetch, from the question to the record. What sends the requests is the caller's, so that a test can be the web.

use std::time::Duration;

use url::Url;

use crate::ask::{Ask, Method, Mode};
use crate::charset;
use crate::links;
use crate::markdown;
use crate::media::Media;
use crate::page;
use crate::record::{Fetched, Headers};
use crate::search;
use crate::window;

/// Most of a body that is read, before anything is made of it. Any article is smaller.
pub(crate) const MAX_BODY: usize = 5 << 20;

/// A result with fewer words is suspected to be a page that a script fills.
const FEW_WORDS: usize = 100;

/// Longest wait for the answer to the request that only asks for the type.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to send.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) timeout: Duration,
}

/// An answer, after redirects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// At most [`MAX_BODY`].
    pub(crate) body: Vec<u8>,
    /// Where it came from.
    pub(crate) url: String,
    /// Whether the body goes on.
    pub(crate) is_cut: bool,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No grant allows the request, or one it was redirected to.
    Denied(Denied),
    /// Anything else, as the rest of a sentence.
    Failed(String),
}

/// The request that no grant allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) method: String,
    pub(crate) url: String,
}

/// The web, and a clock that began when the call did.
pub(crate) struct Web<'a> {
    pub(crate) send: &'a mut dyn FnMut(&Request<'_>) -> Result<Reply, Trouble>,
    pub(crate) elapsed: &'a dyn Fn() -> Duration,
}

/// Fetches. Trouble on the way is in the record; only a refusal by the host is an error.
///
/// # Errors
///
/// When no grant allows the request.
pub(crate) fn fetch(ask: &Ask, web: &mut Web<'_>) -> Result<Fetched, Denied> {
    let mut fetched = Fetched {
        url: ask.url.to_string(),
        final_url: None,
        mode: ask.mode,
        status: 0,
        content_type: String::new(),
        headers: Headers::default(),
        title: None,
        content: None,
        links: None,
        word_count: 0,
        total_chars: 0,
        truncated: None,
        note: None,
        error: None,
        duration_ms: 0,
    };
    let answered = answer(ask, &mut fetched, web);
    fetched.duration_ms = u64::try_from((web.elapsed)().as_millis()).unwrap_or(u64::MAX);
    match answered {
        Ok(reply) => fill(&mut fetched, ask, &reply),
        Err(Trouble::Failed(message)) => fetched.error = Some(message),
        Err(Trouble::Denied(denied)) => return Err(denied),
    }
    Ok(fetched)
}

/// Sends the requests; the answer is one that can be read.
fn answer(ask: &Ask, fetched: &mut Fetched, web: &mut Web<'_>) -> Result<Reply, Trouble> {
    if ask.method == Method::Get
        && let Some(head) = preflight(ask, web)
    {
        note_answer(fetched, &head);
        return Err(Trouble::Failed(not_text(&fetched.content_type)));
    }
    let spent = (web.elapsed)();
    let timeout = ask.timeout.saturating_sub(spent);
    if timeout.is_zero() {
        return Err(Trouble::Failed(no_answer_within(ask.timeout)));
    }
    let request =
        Request { method: ask.method, url: &ask.url, headers: &ask.headers, body: ask.body.as_deref(), timeout };
    let reply = (web.send)(&request)?;
    note_answer(fetched, &reply);
    match unreadable(ask.method, &reply) {
        Some(message) => Err(Trouble::Failed(message)),
        None => Ok(reply),
    }
}

/// Asks for the type before the body: an answer is one that says the body is not text. Whatever else comes of it, a
/// refusal too, leaves the decision to the request itself.
fn preflight(ask: &Ask, web: &mut Web<'_>) -> Option<Reply> {
    let timeout = PREFLIGHT_TIMEOUT.min(ask.timeout / 2);
    let request = Request { method: Method::Head, url: &ask.url, headers: &ask.headers, body: None, timeout };
    let reply = (web.send)(&request).ok()?;
    let is_binary = reply.header("Content-Type").is_some_and(|kind| Media::of(kind) == Media::Binary);
    ((200..300).contains(&reply.status) && is_binary).then_some(reply)
}

/// What the record says of any answer.
fn note_answer(fetched: &mut Fetched, reply: &Reply) {
    let header = |name| reply.header(name).map(links::one_line);
    fetched.status = reply.status;
    fetched.final_url = (reply.url != fetched.url).then(|| reply.url.clone());
    fetched.headers = Headers {
        content_type: header("Content-Type"),
        content_length: header("Content-Length"),
        last_modified: header("Last-Modified"),
        etag: header("ETag"),
        location: header("Location"),
    };
    fetched.content_type = fetched.headers.content_type.clone().unwrap_or_default();
}

/// Why a body cannot be read, if it cannot.
fn unreadable(method: Method, reply: &Reply) -> Option<String> {
    if method == Method::Head || reply.body.is_empty() {
        return None;
    }
    if let Some(coding) = reply.header("Content-Encoding")
        && !coding.trim().is_empty()
        && !coding.trim().eq_ignore_ascii_case("identity")
    {
        return Some(format!("the answer is compressed (`{}`) without being asked to be", links::one_line(coding)));
    }
    let kind = reply.header("Content-Type").unwrap_or_default();
    (media(reply) == Media::Binary).then(|| not_text(kind))
}

fn media(reply: &Reply) -> Media {
    match reply.header("Content-Type") {
        Some(kind) if !kind.trim().is_empty() => Media::of(kind),
        Some(_) | None => Media::sniff(&reply.body),
    }
}

fn not_text(kind: &str) -> String {
    let kind = if kind.is_empty() { "no type, and it does not look like text" } else { kind };
    format!("the content is not text ({kind}); only HTML, plain text, JSON, XML and the like are returned")
}

/// The sentence for a request that took too long.
pub(crate) fn no_answer_within(timeout: Duration) -> String {
    format!("no complete answer within {} s", timeout.as_secs())
}

/// Makes of the body what was asked for.
fn fill(fetched: &mut Fetched, ask: &Ask, reply: &Reply) {
    if ask.method == Method::Head {
        return;
    }
    if reply.is_cut {
        fetched.remark("The answer is larger than 5 MiB; this is made of its beginning.");
    }
    let kind = media(reply);
    let mut text = charset::text(&reply.body, &fetched.content_type, kind);
    if kind == Media::Html && !text.trim().is_empty() {
        let address = fetched.final_url.as_deref().and_then(|url| Url::parse(url).ok()).unwrap_or(ask.url.clone());
        match ask.mode {
            Mode::Links => return fill_links(fetched, ask, &text, &address),
            Mode::Article => text = article(fetched, &text, &address),
            Mode::Full => {
                let page = parse(fetched, &text);
                text = full(fetched, &page.document, &address);
            }
        }
    } else if ask.mode == Mode::Links {
        fetched.remark("This is not an HTML page: here is its text instead of links.");
    }
    fill_text(fetched, ask, text);
}

fn parse(fetched: &mut Fetched, html: &str) -> page::Page {
    let page = page::parse(html);
    if page.is_cut {
        fetched.remark("The page has too many elements; this is made of its beginning.");
    }
    page
}

fn article(fetched: &mut Fetched, html: &str, address: &Url) -> String {
    let page = parse(fetched, html);
    let Some(article) = markdown::article(page.document, address) else {
        fetched.remark("No article was found; this is the full page. Mode `links` may help too.");
        return full(fetched, &page::parse(html).document, address);
    };
    fetched.title = article.title;
    let words = count_words(&article.markdown);
    if words < FEW_WORDS {
        fetched.remark(&format!(
            "There is little text (words: {words}). The page may need scripts or a login; try mode `full` or `links`."
        ));
    }
    article.markdown
}

fn full(fetched: &mut Fetched, document: &dom_query::Document, address: &Url) -> String {
    fetched.title = markdown::title(document);
    markdown::full(document, address)
}

fn fill_text(fetched: &mut Fetched, ask: &Ask, mut text: String) {
    if let Some(pattern) = &ask.search {
        text = search::matching(&text, pattern).unwrap_or_else(|| {
            fetched.remark(&format!("No line matches `search` in {} characters.", text.chars().count()));
            String::new()
        });
    }
    let window = window::of_text(&text, ask.offset, ask.limit);
    fetched.word_count = count_words(&text);
    fetched.total_chars = window.total;
    fetched.content = Some(window.part);
    fetched.truncated = window.hint;
}

fn fill_links(fetched: &mut Fetched, ask: &Ask, html: &str, address: &Url) {
    let page = parse(fetched, html);
    fetched.title = markdown::title(&page.document);
    let mut found = links::of(&page.document, address);
    let n_found = found.len();
    if let Some(pattern) = &ask.search {
        found.retain(|link| pattern.is_match(&link.text) || pattern.is_match(&link.url));
    }
    if found.is_empty() {
        fetched.remark(&match n_found {
            0 => "The page has no links to other pages.".to_owned(),
            n => format!("None of the {n} links matches `search`."),
        });
    }
    let window = window::of_links(&found, ask.offset, ask.limit);
    fetched.word_count = window.total;
    fetched.total_chars = window.total;
    fetched.links = Some(window.part);
    fetched.truncated = window.hint;
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}
