//! One request of a chain of redirects, and the next one. No I/O.

use url::Url;

use super::{Error, Headers};

/// A request with an absolute `http` or `https` URL without fragment and credentials.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hop {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Hop {
    pub(super) fn first(method: String, url: &str, headers: Headers, body: Vec<u8>) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|reason| Error::InvalidUrl(format!("`{url}`: {reason}")))?;
        Ok(Self { method, url: requestable(url)?, headers, body })
    }

    /// The request that a response asks for instead; none: it is no redirect.
    pub(super) fn redirected(
        &self,
        status: u16,
        headers: &Headers,
        sensitive: &[String],
    ) -> Result<Option<Self>, Error> {
        let Some(location) = headers.get("location").filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
            return Ok(None);
        };
        let url = self
            .url
            .join(location)
            .map_err(|reason| Error::InvalidUrl(format!("`{}` redirects to `{location}`: {reason}", self.url)))?;
        let mut next = Self { url: requestable(url)?, ..self.clone() };
        if becomes_get(status, &self.method) {
            next.method = "GET".to_owned();
            next.body.clear();
            for name in ["content-type", "content-length", "content-encoding", "content-language", "content-location"] {
                next.headers.remove(name);
            }
        }
        if next.url.origin() != self.url.origin() {
            let always = ["authorization", "cookie", "proxy-authorization"];
            for name in always.into_iter().chain(sensitive.iter().map(String::as_str)) {
                next.headers.remove(name);
            }
        }
        Ok(Some(next))
    }
}

fn requestable(mut url: Url) -> Result<Url, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::InvalidUrl(format!("`{}:` is neither `http:` nor `https:`", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::InvalidUrl("it holds a user name or a password; those belong in a header".to_owned()));
    }
    url.set_fragment(None);
    Ok(url)
}

fn becomes_get(status: u16, method: &str) -> bool {
    match status {
        303 => method != "HEAD" && method != "GET",
        301 | 302 => method == "POST",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Hop {
        let headers = [("Authorization", "a"), ("Content-Type", "text/plain"), ("X-Key", "k"), ("X-Other", "o")];
        let headers = headers.into_iter().collect();
        Hop::first("POST".to_owned(), "https://a.example/x/y?q#part", headers, b"body".to_vec()).expect("a valid URL")
    }

    fn check(status: u16, location: &str, expected: &str) {
        let headers = [("Location", location)].into_iter().collect();
        let rendered = match post().redirected(status, &headers, &["x-key".to_owned()]) {
            Ok(Some(Hop { method, url, headers, body })) => {
                let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
                format!("{method} {url} {} {}", names.join(","), String::from_utf8_lossy(&body))
            }
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(expected, rendered);
    }

    #[test]
    fn a_fragment_is_not_sent() {
        assert_eq!(post().url.as_str(), "https://a.example/x/y?q");
    }

    #[test]
    fn a_post_becomes_a_get_unless_the_status_keeps_it() {
        check(301, "/z", "GET https://a.example/z Authorization,X-Key,X-Other ");
        check(302, "z", "GET https://a.example/x/z Authorization,X-Key,X-Other ");
        check(303, "?p", "GET https://a.example/x/y?p Authorization,X-Key,X-Other ");
        check(307, "z", "POST https://a.example/x/z Authorization,Content-Type,X-Key,X-Other body");
        check(308, "z", "POST https://a.example/x/z Authorization,Content-Type,X-Key,X-Other body");
    }

    #[test]
    fn another_origin_does_not_see_credentials() {
        check(307, "https://b.example/", "POST https://b.example/ Content-Type,X-Other body");
        check(307, "http://a.example/", "POST http://a.example/ Content-Type,X-Other body");
        check(307, "https://a.example:444/", "POST https://a.example:444/ Content-Type,X-Other body");
        check(307, "https://a.example:443/", "POST https://a.example/ Authorization,Content-Type,X-Key,X-Other body");
    }

    #[test]
    fn other_statuses_are_no_redirects() {
        check(200, "/z", "none");
        check(304, "/z", "none");
    }

    #[test]
    fn a_redirect_goes_only_to_what_can_be_requested() {
        check(302, "file:///etc/passwd", "the URL cannot be requested: `file:` is neither `http:` nor `https:`");
        let credentials = "the URL cannot be requested: it holds a user name or a password; those belong in a header";
        check(302, "https://u:p@a.example/", credentials);
    }
}
