//! Where a request goes: its URL, read by one parser and judged by what that parser says.
//!
//! `http::Uri`, which is what a guest's request arrives in, keeps `2130706433` or `0x7f.1` as opaque names that a
//! resolver turns into 127.0.0.1. The `url` crate reads them as the address they are. Where the two disagree about more
//! than upper and lower case, somebody is playing games, and the request is refused.

use std::net::IpAddr;

use http::Uri;
use url::{Host, Position, Url};
use wasmtime_wasi_http::Error;

use bailiwick_core::grant::Origin;
use bailiwick_core::outcome::Code;

/// DNS takes no longer names.
const LONGEST_NAME: usize = 253;
/// DNS takes no longer labels.
const LONGEST_LABEL: usize = 63;

/// A URL that says plainly where it leads.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The URL; all that is sent is taken from it. Its host has no final dot.
    pub(super) url: Url,
    /// Whom it is for.
    pub(super) origin: Origin,
    /// What has to be resolved, or not.
    pub(super) place: Place,
}

/// The host of a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A name, in lower case, without a final dot.
    Name(String),
    /// An address, written as one.
    Address(IpAddr),
}

/// A URL that is not even judged.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) code: Code,
    pub(super) reason: String,
    pub(super) error: Error,
    /// What it comes to, where that is plain.
    pub(super) url: Option<Box<Url>>,
}

impl Unreadable {
    fn new(reason: impl Into<String>) -> Self {
        Self { code: Code::DeniedNetHost, reason: reason.into(), error: Error::HttpRequestUriInvalid, url: None }
    }

    fn respelled(said: &str, address: impl Into<IpAddr>, url: &Url) -> Self {
        let address = address.into();
        let reason = format!("`{said}` is another spelling of the address {address}: write the address itself");
        let url = Some(Box::new(url.clone()));
        Self { code: Code::DeniedNetAddress, reason, error: Error::DestinationIpProhibited, url }
    }
}

impl Target {
    /// Reads the URL of a guest's request.
    ///
    /// # Errors
    /// It is none for HTTP, says more than where to go (user name, password), or can be read in two ways.
    pub(super) fn read(uri: &Uri) -> Result<Self, Unreadable> {
        let scheme = uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            let reason = "only `http` and `https` can be granted";
            return Err(Unreadable { code: Code::DeniedNetScheme, ..Unreadable::new(reason) });
        }
        let authority = uri.authority().ok_or_else(|| Unreadable::new("the URL names no host"))?;
        if authority.as_str().contains('@') {
            return Err(Unreadable::new("the URL holds a user name or a password; send a header instead"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if !authority.as_str().bytes().all(plain) {
            return Err(Unreadable::new("the host of the URL holds a character that no host name has"));
        }
        let path = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        if !path.is_empty() && !path.starts_with(['/', '?']) {
            return Err(Unreadable::new("the path of the URL does not start with `/`"));
        }
        let url = Url::parse(&format!("{scheme}://{authority}{path}"))
            .map_err(|error| Unreadable::new(format!("the URL cannot be read: {error}")))?;
        let unasked = url.fragment().is_some() || !url.username().is_empty() || url.password().is_some();
        let port = authority.port_u16().or(if scheme == "https" { Some(443) } else { Some(80) });
        if unasked || url.scheme() != scheme || url.port_or_known_default() != port || port == Some(0) {
            return Err(Unreadable::new("the URL can be read in two ways, or names port 0"));
        }
        Self::of(url, &authority.host().to_ascii_lowercase())
    }

    /// `said` is the host as it was written, in lower case.
    fn of(mut url: Url, said: &str) -> Result<Self, Unreadable> {
        let place = match url.host() {
            Some(Host::Ipv4(address)) if address.to_string() == said => Place::Address(address.into()),
            Some(Host::Ipv4(address)) => return Err(Unreadable::respelled(said, address, &url)),
            Some(Host::Ipv6(address)) if said.trim_matches(['[', ']']).parse() == Ok(address) => {
                Place::Address(address.into())
            }
            Some(Host::Ipv6(address)) => return Err(Unreadable::respelled(said, address, &url)),
            Some(Host::Domain(name)) if name == said => Place::Name(name.strip_suffix('.').unwrap_or(name).to_owned()),
            Some(Host::Domain(_)) | None => return Err(Unreadable::new("the host of the URL can be read in two ways")),
        };
        if let Place::Name(name) = &place {
            let label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len());
            if name.len() > LONGEST_NAME || !name.split('.').all(label) {
                return Err(Unreadable::new("the host of the URL is no DNS name: a part of it is empty or too long"));
            }
            url.set_host(Some(name)).map_err(|_| Unreadable::new("the URL names no host"))?;
        }
        let origin = Origin::of(&url).ok_or_else(|| Unreadable::new("the URL names no host"))?;
        Ok(Self { url, origin, place })
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The `Host` header.
    pub(super) fn host_header(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// What stands in the request line.
    ///
    /// # Errors
    /// A path or query that HTTP cannot carry.
    pub(super) fn request_line(url: &Url) -> Result<Uri, Error> {
        url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| Error::HttpRequestUriInvalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, expected: Result<(&str, &str), Code>) {
        let Ok(uri) = uri.parse::<Uri>() else {
            assert!(expected.is_err(), "`{uri}` is no URI");
            return;
        };
        let read = Target::read(&uri).map_err(|refusal| refusal.code);
        let shown = read.as_ref().map(|target| (target.url.as_str(), target.host_header())).map_err(|code| *code);
        assert_eq!(shown, expected, "{uri}");
    }

    #[test]
    fn a_plain_url_is_read_as_it_stands() {
        check("https://example.com", Ok(("https://example.com/", "example.com")));
        check("https://EXAMPLE.com:443/a?b=c", Ok(("https://example.com/a?b=c", "example.com")));
        check("http://example.com:8080/", Ok(("http://example.com:8080/", "example.com:8080")));
        check("http://example.com:0080/", Ok(("http://example.com/", "example.com")));
        check("https://example.com./x", Ok(("https://example.com/x", "example.com")));
        check("https://a_b.example.com/", Ok(("https://a_b.example.com/", "a_b.example.com")));
        check("http://127.0.0.1:9/", Ok(("http://127.0.0.1:9/", "127.0.0.1:9")));
        check("http://[::1]:9/", Ok(("http://[::1]:9/", "[::1]:9")));
        check("http://[0:0:0:0:0:0:0:1]/", Ok(("http://[::1]/", "[::1]")));
    }

    #[test]
    fn the_path_is_the_one_the_url_crate_sees() {
        check("https://h.example/api/../admin", Ok(("https://h.example/admin", "h.example")));
        check("https://h.example/api/%2e%2e/admin", Ok(("https://h.example/admin", "h.example")));
        check("https://h.example/api\\..\\admin", Ok(("https://h.example/admin", "h.example")));
        check("https://h.example/a%2fb", Ok(("https://h.example/a%2fb", "h.example")));
    }

    #[test]
    fn an_address_in_another_spelling_is_refused() {
        for host in [
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "127.1",
            "127.0.1",
            "0",
            "127.0.0.01",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "127.0.0.1.",
            "0X7F.1",
        ] {
            check(&format!("http://{host}/"), Err(Code::DeniedNetAddress));
            check(&format!("https://{host}:8443/x"), Err(Code::DeniedNetAddress));
        }
    }

    #[test]
    fn a_url_that_says_more_than_where_to_go_is_refused() {
        for uri in [
            "https://good@evil.example/",
            "https://good:80@evil.example/",
            "https://%6cocalhost/",
            "https://a..b/",
            "https://256.0.0.1/",
            "https://h.example:65536/",
            "https://h.example:0/",
            "https://[fe80::1%25eth0]/",
            "https://h.example\\@127.0.0.1/",
            "https://xn--/",
            "https://a.example../",
            "https://./",
            "https://a,b/",
        ] {
            check(uri, Err(Code::DeniedNetHost));
        }
        check(&format!("https://{}.example/", "a".repeat(64)), Err(Code::DeniedNetHost));
        check(&format!("https://{}example/", "a.".repeat(130)), Err(Code::DeniedNetHost));
        check("ftp://h.example/", Err(Code::DeniedNetScheme));
        check("file:///etc/passwd", Err(Code::DeniedNetScheme));
        check("/only/a/path", Err(Code::DeniedNetScheme));
    }
}
