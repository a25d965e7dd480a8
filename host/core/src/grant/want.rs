//! What a plugin asked for, in the terms of a grant: enough to write the line that would allow it, and nothing more. No
//! query, header, body or value is in it, and a part of a path that holds a secret is a `*`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::fs::{Access, FsGrants};
use super::net::NetRequest;
use super::secret::Origin;
use crate::name::ToolName;
use crate::redact::{Redactor, visible};

/// A path longer than this is not kept: no line would be written for it.
const LONGEST_PATH: usize = 1024;
/// A name longer than this is not kept.
const LONGEST_NAME: usize = 253;
const LONGEST_METHOD: usize = 32;

/// Something a plugin asked for and was not given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Want {
    /// To send a request.
    Net(NetWant),
    /// To read or change a file.
    Fs(FsWant),
    /// To use a secret.
    Secret(SecretWant),
    /// To read a setting of its `config` that is not there.
    Setting(String),
    /// To call this tool.
    Call(ToolName),
}

/// A request that did not leave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetWant {
    /// As it would have been sent.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// A name or an address, as a URL writes it.
    pub host: String,
    /// Always set.
    pub port: u16,
    /// As a grant writes it: `*` for a segment that held a secret, `%2A` for an asterisk.
    pub path: String,
    /// The address its name led to, if that is why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
}

/// A path that was not opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsWant {
    /// To read it, or to change it.
    pub access: Access,
    /// As the plugin calls it.
    pub path: String,
}

/// A secret that was not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretWant {
    /// As the plugin calls it.
    pub name: String,
    /// Whether the plugin asked for the value itself.
    pub reveal: bool,
}

/// Who says that it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    /// The host, which refused it.
    Host,
    /// The plugin, which found it missing. It may say anything.
    Plugin,
}

impl Want {
    /// A request that was refused, by its URL or by the `address` its name led to. None if it could not be granted
    /// whatever a line says, or if a secret stands where none can be left out.
    #[must_use]
    pub fn net(request: &NetRequest<'_>, address: Option<IpAddr>, redactor: &Redactor) -> Option<Self> {
        let Origin { scheme, host, port } = Origin::of(request.url)?;
        let path = pattern(request.url.path(), redactor);
        let fits = request.method.len() <= LONGEST_METHOD && host.len() <= LONGEST_NAME && path.len() <= LONGEST_PATH;
        let method = request.method.to_owned();
        let clean = is_clean(&host, redactor) && is_clean(&method, redactor);
        (fits && clean).then_some(Self::Net(NetWant { method, scheme, host, port, path, address }))
    }

    /// A path that was refused, as what it means to `grants`. None for one that is too long, or holds a secret.
    #[must_use]
    pub fn fs(access: Access, path: &str, grants: &FsGrants, redactor: &Redactor) -> Option<Self> {
        let path = grants.meant(path);
        let fits = path.len() <= LONGEST_PATH && is_clean(&path, redactor);
        fits.then_some(Self::Fs(FsWant { access, path }))
    }

    /// A secret that was refused. None for a name no secret can have.
    #[must_use]
    pub fn secret(name: &str, reveal: bool) -> Option<Self> {
        let name = crate::name::SecretName::parse(name).ok()?;
        Some(Self::Secret(SecretWant { name: name.to_string(), reveal }))
    }

    /// A setting that is not there. None for a name that is too long, or holds a secret.
    #[must_use]
    pub fn setting(name: &str, redactor: &Redactor) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= LONGEST_NAME && is_clean(name, redactor);
        fits.then(|| Self::Setting(name.to_owned()))
    }
}

fn is_clean(text: &str, redactor: &Redactor) -> bool {
    matches!(redactor.secrets(text), std::borrow::Cow::Borrowed(_))
}

/// A path as a grant would write it. Each segment that holds a secret becomes `*`; one that crosses segments, all.
fn pattern(path: &str, redactor: &Redactor) -> String {
    let crosses = !is_clean(path, redactor) && path.split('/').all(|segment| is_clean(segment, redactor));
    let segment = |segment: &str| match segment {
        "" => String::new(),
        _ if crosses || !is_clean(segment, redactor) => "*".to_owned(),
        plain => plain.replace('*', "%2A"),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

impl NetWant {
    /// Where it was going.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { scheme: self.scheme.clone(), host: self.host.clone(), port: self.port }
    }
}

impl fmt::Display for NetWant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.origin(), self.path)
    }
}

impl fmt::Display for Want {
    /// On one line, whatever the plugin wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Net(want) => want.to_string(),
            Self::Fs(FsWant { access: Access::ReadOnly, path }) => format!("read {path}"),
            Self::Fs(FsWant { access: Access::ReadWrite, path }) => format!("write {path}"),
            Self::Secret(SecretWant { name, reveal: false }) => format!("use the secret {name}"),
            Self::Secret(SecretWant { name, reveal: true }) => format!("see the value of the secret {name}"),
            Self::Setting(name) => format!("read the setting {name}"),
            Self::Call(tool) => format!("call {tool}"),
        };
        f.write_str(&one_line(&text))
    }
}

/// Text from outside, fit for a comment: nothing invisible, no line feed.
#[must_use]
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::name::SecretName;

    const SECRET: &str = "canary/9f4c2-7e";

    fn redactor() -> Redactor {
        Redactor::new([(&SecretName::parse("TOKEN").unwrap(), SECRET)])
    }

    fn net(method: &str, url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        Want::net(&NetRequest { method, url: &url }, None, &redactor()).map(|want| want.to_string())
    }

    #[test]
    fn a_request_is_kept_without_what_may_hold_a_value() {
        for (url, kept) in [
            ("https://me:pw@h.example/a/b?token=1#x", "GET https://h.example/a/b"),
            ("http://h.example:8080/", "GET http://h.example:8080/"),
            ("http://[::1]:9/x", "GET http://[::1]:9/x"),
            ("https://h.example/a*b/*", "GET https://h.example/a%2Ab/%2A"),
            ("https://h.example/x/canary%2F9f4c2%2D7e/y", "GET https://h.example/x/*/y"),
            ("https://h.example/x/canary/9f4c2-7e/y", "GET https://h.example/*/*/*/*"),
        ] {
            assert_eq!(net("GET", url).unwrap(), kept, "{url}");
        }
        assert_eq!(net("GET", "ftp://h.example/"), None);
        assert_eq!(net(&"G".repeat(33), "https://h.example/"), None);
        assert_eq!(net("GET", &format!("https://h.example/{}", "a".repeat(1024))), None);
    }

    #[test]
    fn what_holds_a_secret_where_nothing_can_be_left_out_is_not_kept() {
        let hex = hex::encode(SECRET);
        assert_eq!(net("GET", &format!("https://{hex}.evil.example/")), None);
        let grants = FsGrants::default();
        assert_eq!(Want::fs(Access::ReadOnly, &format!("/tmp/{SECRET}"), &grants, &redactor()), None);
        assert!(Want::fs(Access::ReadOnly, "/tmp/x", &grants, &redactor()).is_some());
        assert_eq!(Want::setting(SECRET, &redactor()), None);
        assert!(Want::setting("max", &redactor()).is_some());
        assert_eq!(Want::secret("no name", false), None);
        assert!(Want::secret("TOKEN", true).is_some());
    }

    #[test]
    fn a_want_is_one_line_and_reads_back_as_itself() {
        let wants = [
            Want::Net(NetWant {
                method: "GET".into(),
                scheme: "http".into(),
                host: "10.0.0.7".into(),
                port: 80,
                path: "/".into(),
                address: Some("10.0.0.7".parse().unwrap()),
            }),
            Want::Fs(FsWant { access: Access::ReadWrite, path: "/a\nnet = []\u{202e}".into() }),
            Want::Secret(SecretWant { name: "TOKEN".into(), reveal: true }),
            Want::Setting("max".into()),
        ];
        for want in wants {
            let json = serde_json::to_string(&want).unwrap();
            assert_eq!(serde_json::from_str::<Want>(&json).unwrap(), want, "{json}");
            assert!(!want.to_string().contains(char::is_control), "{want}");
        }
        assert!(serde_json::from_str::<Want>(r#"{"secret":{"name":"A","reveal":true,"value":"x"}}"#).is_err());
    }
}
