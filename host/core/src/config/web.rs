//! What tables of servers and of services have in common: URLs that are asked, and headers that hold no secret.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::Typing;
use super::mistake::{Flaw, Mistake, code, shown};
use super::reader::{At, Named};
use crate::grant::Placement;

/// Parts of names of headers whose values are secrets.
const SECRET: &[&str] = &["auth", "cookie", "token", "secret", "password", "credential", "api-key", "apikey"];

/// Reads a URL that is asked, without user, password and fragment. `what` it should be and what is `legal` are for messages.
pub(super) fn url(text: &str, what: &str, legal: &str) -> Result<Url, Flaw> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| Flaw::new(format!("{} is not {what}", shown(text))).legal(legal))?;
    if !url.username().is_empty() || url.password().is_some() {
        let flaw = Flaw::new("the URL holds a user name or a password").legal(legal);
        return Err(flaw.suggest("write a secret with `basic = \"USER\"` that is bound to its origin"));
    }
    if url.fragment().is_some() {
        return Err(Flaw::new("the URL has a `#`, which is never sent").legal(legal));
    }
    Ok(url)
}

/// Takes a URL that leads to this machine, or over an encrypted connection. `what` else would be heard is for the message.
pub(super) fn encrypted(url: Url, what: &str, legal: &str) -> Result<Url, Flaw> {
    if url.scheme() == "http" && !is_here(&url) {
        let flaw = Flaw::new(format!("{what} would go over the network unencrypted")).legal(legal);
        return Err(flaw.suggest("write `https`"));
    }
    Ok(url)
}

/// Whether a URL leads to this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Headers that an operator may not set.
pub(super) struct Reserved {
    /// Their names.
    pub(super) names: &'static [&'static str],
    /// What their names begin with.
    pub(super) starts: &'static [&'static str],
    /// Whose they are, for messages.
    pub(super) whose: &'static str,
    /// To whose origin a secret is bound instead, for messages.
    pub(super) origin: &'static str,
}

impl Reserved {
    /// The name, in lower case, of a header that an operator may set to a text that is no secret.
    fn header(&self, name: &str) -> Result<String, Flaw> {
        let lower = Placement::header(name)?;
        if self.names.contains(&lower.as_str()) || self.starts.iter().any(|start| lower.starts_with(start)) {
            return Err(Flaw::new(format!("the header `{name}` is {} own", self.whose)));
        }
        if SECRET.iter().any(|part| lower.contains(part)) {
            let flaw = Flaw::new(format!("the header `{name}` holds a secret, and this file is no place for one"));
            return Err(
                flaw.suggest(format!("write a secret with `header` that is bound to the {} origin", self.origin))
            );
        }
        Ok(lower)
    }
}

impl Typing<'_, '_> {
    /// Reads headers that hold no secret, by name in lower case; none if one of them cannot be.
    pub(super) fn plain_headers(
        &mut self,
        table: Named<At<String>>,
        reserved: &Reserved,
    ) -> Option<BTreeMap<String, String>> {
        let before = self.reading.n_mistakes();
        let mut headers = BTreeMap::new();
        for (name, value) in table.0 {
            let lower = self.reading.accept(reserved.header(&name.value), &name.place);
            let printable = value.value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            let fits = printable.then_some(()).ok_or_else(|| Flaw::new("a header may hold only printable ASCII"));
            if let (Some(lower), Some(())) = (lower, self.reading.accept(fits, &value.place))
                && headers.insert(lower, value.value).is_some()
            {
                let message = format!("the header `{}` is there already", name.value);
                self.reading.note(Mistake::new(code::DUPLICATE, name.place, message));
            }
        }
        (self.reading.n_mistakes() == before).then_some(headers)
    }
}
