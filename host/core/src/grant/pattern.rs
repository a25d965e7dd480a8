//! The parts of a net grant: methods, host and path; what each lets through, and whether one lies within another.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use super::address::{AddressClass, classify};
use crate::config::Flaw;

/// The HTTP methods a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Every method but CONNECT and TRACE.
    Any,
    /// These.
    Only(Vec<String>),
}

/// Never granted: they make a tunnel, or echo injected headers back.
const NEVER: [&str; 2] = ["CONNECT", "TRACE"];

/// Whether a text is a method that a grant can name: an upper-case token, and not one of those never granted.
pub fn is_method(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=32).contains(&text.len())
        && text.as_bytes()[0].is_ascii_uppercase()
        && text.bytes().all(token)
        && !NEVER.contains(&text)
}

impl Methods {
    /// What a grant that names no method allows.
    pub fn default_reading() -> Self {
        Self::Only(vec!["GET".to_owned(), "HEAD".to_owned()])
    }

    /// Reads `GET,POST` or `*`.
    ///
    /// # Errors
    /// One of them is no method, is never granted, or is there twice.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        const LEGAL: &str = "methods joined by commas, such as `GET,POST`, or `*` for all but CONNECT and TRACE";
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut methods: Vec<String> = Vec::new();
        for method in text.split(',') {
            if NEVER.contains(&method.to_ascii_uppercase().as_str()) {
                return Err(Flaw::new(format!("the method `{method}` is never granted")).legal(LEGAL));
            }
            if !is_method(method) {
                let flaw = Flaw::new(format!("`{method}` is not a method")).legal(LEGAL);
                let upper = method.trim().to_ascii_uppercase();
                return Err(if is_method(&upper) { flaw.suggest(format!("did you mean `{upper}`?")) } else { flaw });
            }
            if methods.iter().any(|known| known == method) {
                return Err(Flaw::new(format!("the method `{method}` is there twice")));
            }
            methods.push(method.to_owned());
        }
        Ok(Self::Only(methods))
    }

    /// Whether a request with this method is let through.
    pub fn allow(&self, method: &str) -> bool {
        is_method(method)
            && match self {
                Self::Any => true,
                Self::Only(methods) => methods.iter().any(|known| known == method),
            }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Only(methods) => f.write_str(&methods.join(",")),
        }
    }
}

/// The hosts a grant is for. From the narrowest to the widest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this address.
    Address(IpAddr),
    /// Exactly this name, in lower case.
    Name(String),
    /// Every name that ends in a dot and this one, at any depth, but not this one.
    Under(String),
    /// Every public host.
    Any,
}

/// The host of a request, as the `url` crate read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// An address.
    Address(IpAddr),
    /// A name in lower case, without a final dot.
    Name(String),
}

impl HostPattern {
    /// Reads the host part of a grant.
    ///
    /// # Errors
    /// It is no host, not written the one way it is written in a URL, or has a wildcard where none may stand.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        const WILDCARDS: &str = "an exact host, `*.` and a domain of at least two labels, or `*` for any public host";
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            let domain = host_name(domain)?;
            return match domain {
                Self::Name(name) if name.contains('.') => Ok(Self::Under(name)),
                Self::Name(_) | Self::Address(_) | Self::Under(_) | Self::Any => {
                    let message = format!("`{text}` is too wide: what stands after `*.` needs at least two labels");
                    Err(Flaw::new(message).legal(WILDCARDS))
                }
            };
        }
        if text.contains('*') {
            let message = format!("`{text}` has a `*` inside a name: a wildcard stands for whole labels at the start");
            return Err(Flaw::new(message).legal(WILDCARDS));
        }
        host_name(text)
    }

    /// How wide it is, among patterns for the same host: the narrower has less.
    pub(super) fn width(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Address(_) => (0, Reverse(0)),
            Self::Name(_) => (1, Reverse(0)),
            Self::Under(domain) => (2, Reverse(domain.len())),
            Self::Any => (3, Reverse(0)),
        }
    }

    /// Whether the host is one of those the pattern is for. Says nothing about what it resolves to.
    pub fn allows(&self, host: &HostName) -> bool {
        match (self, host) {
            (Self::Address(own), HostName::Address(other)) => own == other,
            (Self::Name(own), HostName::Name(other)) => own == other,
            (Self::Under(domain), HostName::Name(name)) => is_under(name, domain),
            (Self::Any, HostName::Name(name)) => name != "localhost" && !is_under(name, "localhost"),
            (Self::Any, HostName::Address(_)) => true,
            (Self::Address(_), HostName::Name(_)) | (Self::Name(_) | Self::Under(_), HostName::Address(_)) => false,
        }
    }

    /// Whether every host of `other` is one of this pattern's, and as public.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Address(address)) => classify(*address) == AddressClass::Public,
            (_, Self::Address(address)) => self.allows(&HostName::Address(*address)),
            (_, Self::Name(name)) => self.allows(&HostName::Name(name.clone())),
            (Self::Any, Self::Under(_) | Self::Any) => true,
            (Self::Under(own), Self::Under(domain)) => own == domain || is_under(domain, own),
            (Self::Address(_) | Self::Name(_), Self::Under(_) | Self::Any) | (Self::Under(_), Self::Any) => false,
        }
    }
}

fn is_under(name: &str, domain: &str) -> bool {
    let front = name.strip_suffix(domain).and_then(|front| front.strip_suffix('.'));
    front.is_some_and(|front| front.split('.').all(|label| !label.is_empty()))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
            Self::Under(domain) => write!(f, "*.{domain}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// An exact host, written as a URL would write it: lower case is forgiven, nothing else is.
fn host_name(text: &str) -> Result<HostPattern, Flaw> {
    let lower = text.to_ascii_lowercase();
    let no_host = || Flaw::new(format!("`{text}` is not a host name"));
    if text.is_empty() {
        return Err(Flaw::new("there is no host").legal("such as `https://api.example.com`"));
    }
    let mapped = text.trim_matches(['[', ']']).parse().map(|address: IpAddr| address.to_canonical());
    if let (true, Ok(inner @ IpAddr::V4(_))) = (text.starts_with('['), mapped) {
        return Err(
            Flaw::new(format!("`{text}` is an IPv4 address written as IPv6")).suggest(format!("write `{inner}`"))
        );
    }
    let parsed = url::Host::parse(&lower).map_err(|_| no_host())?;
    let canonical = parsed.to_string();
    match parsed {
        _ if !text.is_ascii() => {
            let message = format!("`{text}` is not ASCII: names that look alike would be told apart by nobody");
            Err(Flaw::new(message).suggest(format!("write it as punycode: `{canonical}`")))
        }
        _ if canonical != lower => Err(Flaw::new(format!("`{text}` is another way to write `{canonical}`"))
            .suggest(format!("write `{canonical}`"))),
        url::Host::Ipv4(address) => Ok(HostPattern::Address(address.into())),
        url::Host::Ipv6(address) => Ok(HostPattern::Address(address.into())),
        url::Host::Domain(name) if name.ends_with('.') => {
            Err(Flaw::new(format!("`{text}` ends in a dot")).suggest(format!("write `{}`", name.trim_end_matches('.'))))
        }
        url::Host::Domain(name) if is_domain(&name) => Ok(HostPattern::Name(name)),
        url::Host::Domain(_) => {
            Err(no_host().legal("labels of a-z, 0-9, `-` and `_`, at most 63 each, joined by dots"))
        }
    }
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The paths a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Every path, also one that could be read in two ways.
    Any,
    /// Paths of these segments; with `rest`, whatever follows them too.
    Segments {
        /// One for each segment.
        segments: Vec<Segment>,
        /// Whether the pattern ends in `**`.
        rest: bool,
    },
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// `*`: any one segment that is not empty.
    One,
    /// Exactly this, decoded.
    Text(String),
}

impl Segment {
    fn allows(&self, segment: &str) -> bool {
        match self {
            Self::One => !segment.is_empty(),
            Self::Text(own) => own == segment,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::One => *self == Self::One,
            Self::Text(text) => self.allows(text),
        }
    }
}

/// Why a path cannot be compared with a pattern: servers read it in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(pub &'static str);

impl PathPattern {
    /// Reads the path part of a grant, from its first slash on; empty means any.
    ///
    /// # Errors
    /// A wildcard stands where none may, or the path could be read in two ways.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        const WILDCARDS: &str = "`*` for one whole segment, `**` as the last segment for whatever follows";
        if text.is_empty() || text == "/**" {
            return Ok(Self::Any);
        }
        if text.contains('\\') {
            return Err(Flaw::new(format!("`{text}` has a backslash")).legal("segments joined by `/`"));
        }
        let mut raw: Vec<&str> = text.split('/').skip(1).collect();
        let rest = raw.last() == Some(&"**");
        if rest {
            raw.pop();
        }
        let mut segments = Vec::new();
        for (at, segment) in raw.iter().enumerate() {
            match *segment {
                "*" => segments.push(Segment::One),
                "**" => {
                    return Err(Flaw::new(format!("`**` stands in the middle of `{text}`")).legal(WILDCARDS));
                }
                partial if partial.contains('*') => {
                    let flaw = Flaw::new(format!("`{partial}` has a `*` inside a segment")).legal(WILDCARDS);
                    return Err(flaw.suggest("for a `*` in the path itself write `%2A`"));
                }
                "" if rest || at + 1 < raw.len() => {
                    return Err(Flaw::new(format!("`{text}` has an empty segment (`//`)")));
                }
                plain => segments.push(Segment::Text(literal(text, plain)?)),
            }
        }
        Ok(Self::Segments { segments, rest })
    }

    /// Whether a request to this path (as the `url` crate normalised it) is let through.
    ///
    /// # Errors
    /// The path could be read in two ways, and the pattern is not [`PathPattern::Any`].
    pub fn allows(&self, path: &str) -> Result<bool, Ambiguous> {
        let Self::Segments { segments, rest } = self else {
            return Ok(true);
        };
        let path = path_segments(path)?;
        let long_enough = if *rest { path.len() >= segments.len() } else { path.len() == segments.len() };
        Ok(long_enough && segments.iter().zip(&path).all(|(own, segment)| own.allows(segment)))
    }

    /// Whether every path of `other` is one of this pattern's.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Segments { .. }, Self::Any) => false,
            (
                Self::Segments { segments: own, rest: own_rest },
                Self::Segments { segments: others, rest: others_rest },
            ) => {
                let long_enough =
                    if *own_rest { others.len() >= own.len() } else { !others_rest && others.len() == own.len() };
                long_enough && own.iter().zip(others).all(|(own, other)| own.covers(other))
            }
        }
    }
}

fn literal(path: &str, segment: &str) -> Result<String, Flaw> {
    if segment.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(
            Flaw::new(format!("`{path}` has a space or a control character")).suggest("write `%20` for a space")
        );
    }
    let decoded = decode(segment).map_err(|Ambiguous(why)| Flaw::new(format!("`{path}` {why}")))?;
    Ok(decoded.into_owned())
}

/// The decoded segments of a path.
///
/// # Errors
/// The path could be read in two ways.
pub fn path_segments(path: &str) -> Result<Vec<Cow<'_, str>>, Ambiguous> {
    path.split('/').skip(1).map(decode).collect()
}

/// Decodes a segment once, and refuses it if a server that decodes again, or takes `\` for `/`, or cuts at `;` or NUL,
/// would see another path.
fn decode(segment: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let not_text = |_| Ambiguous("has bytes that are not UTF-8");
    let decoded = percent_decode_str(segment).decode_utf8().map_err(not_text)?;
    let mut layer = decoded.clone().into_owned();
    loop {
        if layer.contains(['/', '\\']) {
            return Err(Ambiguous("has an encoded slash or a backslash"));
        }
        let bare = layer.split(';').next().unwrap_or_default();
        if matches!(bare, "." | "..") {
            return Err(Ambiguous("has a dot segment"));
        }
        if layer.chars().any(char::is_control) {
            return Err(Ambiguous("has an encoded control character"));
        }
        let again = percent_decode_str(&layer).decode_utf8().map_err(not_text)?.into_owned();
        if again == layer {
            return Ok(decoded);
        }
        layer = again;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        match url::Host::parse(text).unwrap() {
            url::Host::Domain(name) => HostName::Name(name),
            url::Host::Ipv4(address) => HostName::Address(address.into()),
            url::Host::Ipv6(address) => HostName::Address(address.into()),
        }
    }

    #[test]
    fn a_host_pattern_allows_its_hosts_and_no_others() {
        for (pattern, allowed, refused) in [
            ("a.com", "a.com", "x.a.com"),
            ("a.com", "a.com", "a.com.evil.com"),
            ("*.a.com", "x.a.com", "a.com"),
            ("*.a.com", "y.x.a.com", "evila.com"),
            ("*.a.com", "x.a.com", "x.a.com.evil.com"),
            ("*", "a.com", "localhost"),
            ("*", "8.8.8.8", "x.localhost"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("[::1]", "[::1]", "localhost"),
            ("localhost", "localhost", "127.0.0.1"),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert!(parsed.allows(&host(allowed)), "{pattern} {allowed}");
            assert!(!parsed.allows(&host(refused)), "{pattern} {refused}");
        }
    }

    #[test]
    fn a_crooked_host_is_refused() {
        for text in [
            "",
            "*.",
            "*.com",
            "**.a.com",
            "a*.com",
            "x.*.com",
            "*.*.com",
            "a..com",
            ".a.com",
            "a.com.",
            "a b.com",
            "ä.com",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.01",
            "[::0001]",
            "[::ffff:127.0.0.1]",
            "*.127.0.0.1",
            "a%2ecom",
            "-a.com",
            "a-.com",
            "ａ.com",
            "[::1",
            "a_b..com",
            "xn--a.com",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(HostPattern::parse("API.Example.com").unwrap(), HostPattern::Name("api.example.com".into()));
        let flaw = HostPattern::parse("bücher.example").unwrap_err();
        assert_eq!(flaw.suggestion.unwrap(), "write it as punycode: `xn--bcher-kva.example`");
    }

    #[test]
    fn a_path_pattern_compares_whole_decoded_segments() {
        for (pattern, path, allowed) in [
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/", true),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v1x", false),
            ("/v1/**", "//v1/a", false),
            ("/v1/*/x", "/v1/a/x", true),
            ("/v1/*/x", "/v1//x", false),
            ("/v1/*", "/v1/", false),
            ("/v1/*", "/v1/a/b", false),
            ("/v1/", "/v1/", true),
            ("/v1/", "/v1", false),
            ("/", "/", true),
            ("/", "/a", false),
            ("/a%20b", "/a%20b", true),
            ("/%61", "/a", true),
            ("/a", "/%61", true),
            ("/ä", "/%C3%A4", true),
            ("/%2A", "/*", true),
            ("/%2A", "/x", false),
            ("/api", "/api;v=1", false),
            ("/**", "/a%2fb", true),
        ] {
            let parsed = PathPattern::parse(pattern).unwrap();
            assert_eq!(parsed.allows(path), Ok(allowed), "{pattern} {path}");
        }
    }

    #[test]
    fn a_path_that_reads_in_two_ways_matches_no_pattern() {
        let pattern = PathPattern::parse("/v1/**").unwrap();
        for path in [
            "/v1/a%2fb",
            "/v1/a%5cb",
            "/v1/a\\b",
            "/v1/%2e%2e",
            "/v1/.%2e",
            "/v1/%252e%252e",
            "/v1/%25252e.",
            "/v1/%252f",
            "/v1/..;/admin",
            "/v1/a%00",
            "/v1/%c0%ae%c0%ae",
            "/v1/%0d%0a",
            "/v1/%2e",
        ] {
            assert!(pattern.allows(path).is_err(), "{path}");
        }
        for path in ["/v1/...", "/v1/a.b", "/v1/100%25", "/v1/%zz", "/v1/a;b=c"] {
            assert_eq!(pattern.allows(path), Ok(true), "{path}");
        }
    }

    #[test]
    fn a_crooked_path_pattern_is_refused() {
        for text in ["/a*", "/**/a", "/a//b", "//**", "/a/../b", "/./a", "/a b", "/a%2fb", "/%2e%2e/a", "/a\\b", "/***"]
        {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn covering_is_about_every_path() {
        for (wide, narrow, covers) in [
            ("", "/v1", true),
            ("/v1/**", "", false),
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/**", true),
            ("/v1/**", "/**", false),
            ("/v1/a/**", "/v1/**", false),
            ("/*/a", "/x/a", true),
            ("/x/a", "/*/a", false),
            ("/v1/*", "/v1/**", false),
            ("/v1/**", "/v1/*", true),
            ("/v1/*", "/v1/", false),
        ] {
            let (wide, narrow) = (PathPattern::parse(wide).unwrap(), PathPattern::parse(narrow).unwrap());
            assert_eq!(wide.covers(&narrow), covers, "{wide:?} {narrow:?}");
        }
    }

    #[test]
    fn connect_and_trace_are_never_granted() {
        for text in ["CONNECT", "GET,TRACE", "trace", "get", "", "GET,", "GET,GET", "GET POST", "G€T"] {
            assert!(Methods::parse(text).is_err(), "{text}");
        }
        for method in ["CONNECT", "TRACE", "get", "GET\r\nX", "", "G T"] {
            assert!(!Methods::Any.allow(method), "{method:?}");
        }
        assert!(Methods::Any.allow("PROPFIND"));
    }
}
