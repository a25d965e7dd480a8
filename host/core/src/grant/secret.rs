//! Where a secret comes from and where it may go. A plugin never holds the value unless the operator wrote `reveal`.

use std::fmt;
use std::path::PathBuf;

use url::{Host, Url};

use crate::config::{Flaw, Place};
use crate::name::SecretName;

/// One `[plugins.NAME.secrets.SECRET]` table. It holds no value, only where to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretGrant {
    /// What the plugin calls it.
    pub name: SecretName,
    /// Where its value comes from.
    pub source: SecretSource,
    /// Which requests it is put into, if any.
    pub binding: Option<Binding>,
    /// The environment variable that holds it in a program the host starts.
    pub variable: Option<String>,
    /// Whether the plugin may read the value itself.
    pub reveal: bool,
    /// Where it is written.
    pub place: Place,
}

/// Where a secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the host's environment.
    Env(String),
    /// The contents of a file.
    File(PathBuf),
    /// What a program prints: its name and arguments, no shell.
    Command(Vec<String>),
    /// The host itself, which keeps it sealed. No configuration says this.
    Kept,
}

/// Which requests a secret is put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Requests to exactly this origin.
    pub origin: Origin,
    /// At this place.
    pub placement: Placement,
}

/// Where in a request a secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// A header; `{}` in the format stands for the value.
    Header {
        /// In lower case.
        name: String,
        /// Such as `Bearer {}`; holds `{}` exactly once.
        format: String,
    },
    /// Basic authentication: the user's name; the value is the password.
    Basic {
        /// Has no colon.
        user: String,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        key: String,
    },
}

/// A scheme, a host and a port: all that decides who gets a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// A name without a final dot or an address, as the `url` crate writes it.
    pub host: String,
    /// Always set: the scheme's own if the text has none.
    pub port: u16,
}

/// What an origin looks like, for messages.
pub const ORIGIN_LEGAL: &str = "`https://HOST` or `https://HOST:PORT`; `http` only for localhost or a loopback address";

impl Origin {
    /// The origin of a URL; none for schemes other than http and https.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host).to_owned();
        Some(Self { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default()? })
    }

    /// Reads the origin a secret is bound to.
    ///
    /// # Errors
    /// The text is more or less than an origin, or would send the secret unencrypted over a network.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let no_origin = || Flaw::new(format!("`{text}` is not an origin")).legal(ORIGIN_LEGAL);
        if text.contains('*') {
            let flaw = Flaw::new(format!("`{text}` has a wildcard: a secret is bound to exactly one host"));
            return Err(flaw.legal(ORIGIN_LEGAL));
        }
        let url = Url::parse(text).map_err(|_| no_origin())?;
        let origin = Self::of(&url).ok_or_else(no_origin)?;
        let spelled = [origin.to_string(), format!("{origin}:{}", origin.port)];
        if !spelled.contains(&text.to_ascii_lowercase()) {
            return Err(no_origin().suggest(format!("did you mean `{origin}`?")));
        }
        if origin.scheme == "http" && !origin.is_loopback(&url) {
            let flaw = Flaw::new(format!("`{text}` would send the secret over the network unencrypted"));
            return Err(flaw.legal(ORIGIN_LEGAL).suggest("write `https`"));
        }
        Ok(origin)
    }

    fn is_loopback(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => self.host == "localhost",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

/// Headers that frame a message or route it: a secret there would be a hole or a broken request.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Placement {
    /// A header with the secret at `{}`.
    ///
    /// # Errors
    /// The name is no header name or one that frames the message, or `{}` is not in the format exactly once.
    pub fn header(name: &str) -> Result<String, Flaw> {
        let lower = name.to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(
                Flaw::new(format!("`{name}` is not a header name")).legal("such as `Authorization` or `X-Api-Key`")
            );
        }
        if FRAMING.contains(&lower.as_str()) {
            return Err(Flaw::new(format!("the header `{name}` is the host's own: a secret cannot stand in it")));
        }
        Ok(lower)
    }

    /// Checks the text around a secret in a header.
    ///
    /// # Errors
    /// `{}` is not in it exactly once, or it holds what a header may not.
    pub fn format(text: &str) -> Result<String, Flaw> {
        const LEGAL: &str = "a text with `{}` exactly once, such as `Bearer {}`";
        if text.matches("{}").count() != 1 {
            return Err(Flaw::new(format!("`{text}` does not hold `{{}}` exactly once")).legal(LEGAL));
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(Flaw::new("a header may hold only printable ASCII").legal(LEGAL));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, shown) in [
            ("https://api.github.com", "https://api.github.com"),
            ("https://API.github.com:443", "https://api.github.com"),
            ("https://x.example:8443", "https://x.example:8443"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("http://[::1]:9000", "http://[::1]:9000"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "api.github.com",
            "https://*.github.com",
            "https://*",
            "https://api.github.com/",
            "https://api.github.com/v3",
            "https://api.github.com?x",
            "https://me@api.github.com",
            "http://api.github.com",
            "http://10.0.0.1",
            "ftp://api.github.com",
            "https://127.1",
            "",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_has_the_origin_it_would_connect_to() {
        let origin = Origin::parse("https://api.github.com").unwrap();
        for (url, same) in [
            ("https://api.github.com/user?x#y", true),
            ("https://api.github.com:443/", true),
            ("https://api.github.com./", true),
            ("https://api.github.com:8443/", false),
            ("http://api.github.com/", false),
            ("https://api.github.com@evil.example/", false),
            ("https://api.github.com.evil.example/", false),
            ("https://xapi.github.com/", false),
        ] {
            assert_eq!(Origin::of(&Url::parse(url).unwrap()).unwrap() == origin, same, "{url}");
        }
        assert_eq!(Origin::of(&Url::parse("file:///etc/passwd").unwrap()), None);
    }

    #[test]
    fn a_secret_stands_in_a_header_that_is_not_the_hosts_own() {
        assert_eq!(Placement::header("X-Api-Key").unwrap(), "x-api-key");
        for name in ["", "a b", "a:b", "Host", "content-length", "x\r\ny", "ä"] {
            assert!(Placement::header(name).is_err(), "{name:?}");
        }
        assert!(Placement::format("Bearer {}").is_ok());
        for format in ["Bearer", "{}{}", "a\n{}", "ä {}"] {
            assert!(Placement::format(format).is_err(), "{format:?}");
        }
    }
}
