//! A small blocking HTTP client over `wasi:http`.
//!
//! Every request, and every hop of a redirect, is one the host authorises against the operator's grants before anything
//! leaves the machine. TLS is the host's: a plugin sees neither keys nor certificates. No cookies are kept and nothing is
//! decompressed, because no `accept-encoding` is sent.
//!
//! ```no_run
//! use bailiwick_sdk::{Failure, http};
//!
//! fn title(id: u32) -> Result<String, Failure> {
//!     let response = http::Request::get(format!("https://api.example.com/items/{id}"))
//!         .header("accept", "application/json")
//!         .timeout(std::time::Duration::from_secs(10))
//!         .send()?;
//!     if response.status != 200 {
//!         return Err(Failure::upstream("The item service did not give the item.", response.status));
//!     }
//!     let item: bailiwick_sdk::serde_json::Value = response.json()?;
//!     Ok(item["title"].as_str().unwrap_or("untitled").to_owned())
//! }
//! ```

mod charset;
mod error;
mod exchange;
mod headers;
mod hop;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::Error;
pub use headers::Headers;
use hop::Hop;
pub use url::Url;

/// The most that is read of a body unless [`Request::max_body`] says otherwise.
pub const DEFAULT_MAX_BODY: usize = 8 << 20;

/// The most redirects that are followed unless [`Request::redirects`] says otherwise.
pub const DEFAULT_REDIRECTS: u32 = 5;

/// A request on its way to being sent.
///
/// ```no_run
/// # fn example() -> Result<(), bailiwick_sdk::http::Error> {
/// use bailiwick_sdk::{http::Request, serde_json::json};
///
/// let made = Request::post("https://api.example.com/items").json(&json!({ "title": "New" })).redirects(0).send()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    headers: Headers,
    body: Vec<u8>,
    timeout: Option<Duration>,
    max_body: usize,
    max_redirects: u32,
    sensitive: Vec<String>,
}

impl Request {
    /// A request with any method, for example `PATCH`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Headers::default(),
            body: Vec::new(),
            timeout: None,
            max_body: DEFAULT_MAX_BODY,
            max_redirects: DEFAULT_REDIRECTS,
            sensitive: Vec::new(),
        }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `HEAD`; the response has no body.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A `DELETE`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Sets a header, in place of one of the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.set(name.into(), value.into());
        self
    }

    /// Sets the body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sets the body to `value` as JSON, and `content-type` unless it is set.
    ///
    /// # Panics
    ///
    /// When `value` cannot be written as JSON (a map whose keys are not text). The panic ends the call.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        if self.headers.get("content-type").is_none() {
            self.headers.set("content-type".to_owned(), "application/json".to_owned());
        }
        self.body = serde_json::to_vec(value).expect("the body must be writable as JSON");
        self
    }

    /// How long each of these may take: to connect, to get the first byte, to get any next one. Each redirect starts
    /// anew. Without it the host's own limits hold.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Stops reading the body after `bytes` and sets [`Response::truncated`]. [`DEFAULT_MAX_BODY`] unless set.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Follows up to `n_hops` redirects, [`DEFAULT_REDIRECTS`] unless set; with 0 a redirect is a response like any other.
    ///
    /// A hop to another origin drops the headers `authorization`, `cookie` and those named by [`Request::sensitive`]. 303,
    /// and 301 and 302 in answer to a `POST`, go on as a `GET` without body.
    pub fn redirects(mut self, n_hops: u32) -> Self {
        self.max_redirects = n_hops;
        self
    }

    /// Names headers that no other origin than the first may see.
    pub fn sensitive<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.sensitive.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sends the request and reads the response. A status of 4xx or 5xx is a response, not an error.
    ///
    /// # Errors
    ///
    /// See [`Error`]; with `?` it becomes a [`Failure`](crate::Failure).
    pub fn send(self) -> Result<Response, Error> {
        let mut hop = Hop::first(self.method, &self.url, self.headers, self.body)?;
        for n_followed in 0.. {
            let reply = exchange::send(&hop, self.timeout)?;
            let next = match self.max_redirects {
                0 => None,
                _ => hop.redirected(reply.status, &reply.headers, &self.sensitive)?,
            };
            match next {
                Some(_) if n_followed == self.max_redirects => return Err(Error::TooManyRedirects),
                Some(next) => hop = next,
                None => return reply.read(&hop, self.max_body, n_followed > 0),
            }
        }
        Err(Error::TooManyRedirects)
    }
}

/// A response, read to its end or to [`Request::max_body`].
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers of the last hop.
    pub headers: Headers,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// Where the response came from, after redirects.
    pub url: String,
    /// Whether a redirect was followed.
    pub redirected: bool,
    /// Whether the body was longer than what is in `body`.
    pub truncated: bool,
}

impl Response {
    /// The body as text, in the charset that `content-type` names: UTF-8, or Latin-1 in its web form, windows-1252. Any
    /// other charset is read as UTF-8. Bytes that are no text become U+FFFD.
    pub fn text(&self) -> String {
        charset::decode(self.headers.get("content-type"), &self.body)
    }

    /// The body read as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when it is not the JSON of a `T`; [`Error::BodyTooLarge`] when it was cut off.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.truncated {
            return Err(Error::BodyTooLarge);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Protocol(format!("the body is not the expected JSON: {error}")))
    }
}
