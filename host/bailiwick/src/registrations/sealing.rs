//! Values at rest: sealed with a key that is made of the host's own, and bound to the record they belong to, so that
//! neither another host nor another record opens them.

use std::collections::BTreeMap;
use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Okm, Salt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

/// The first byte of what is sealed in this way.
const VERSION: u8 = 1;

/// What a key is for: each use has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Values of registrations.
    Registrations,
    /// What services gave the host when it logged in there.
    Sessions,
    /// Telling logins apart without keeping what they are made with.
    Logins,
}

impl Purpose {
    /// Text that no other one has, stable.
    fn info(self) -> &'static [u8] {
        match self {
            Self::Registrations => b"bailiwick registrations, sealed values, 1",
            Self::Sessions => b"bailiwick sessions, sealed credentials, 1",
            Self::Logins => b"bailiwick sessions, digests of logins, 1",
        }
    }

    /// A key for this alone, made of the host's key.
    pub(crate) fn key<L: KeyType, K: for<'k> From<Okm<'k, L>>>(self, host_key: &[u8; 32], length: L) -> K {
        let extracted = Salt::new(HKDF_SHA256, &[]).extract(host_key);
        let info = [self.info()];
        let expanded = extracted.expand(&info, length).expect("keys of this length can be made");
        K::from(expanded)
    }
}

/// What a registration's headers hold, what is injected and what its login is made with. `Debug` shows names, never values.
#[derive(Clone, Default, PartialEq)]
pub struct Values {
    /// Of each header, what stands for `{}`, by the header's name.
    pub headers: BTreeMap<String, Zeroizing<String>>,
    /// Arguments that are set.
    pub inject: Map<String, Value>,
    /// What stands for `{{NAME}}` in the body of its login, by name.
    pub login: BTreeMap<String, Zeroizing<String>>,
}

impl Values {
    /// The value of a secret of the plugin: a header's, or one of the login.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Zeroizing<String>> {
        self.headers.get(name).or_else(|| self.login.get(name))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inject: Vec<&String> = self.inject.keys().collect();
        let mut shown = f.debug_struct("Values");
        shown.field("headers", &self.headers.keys()).field("inject", &inject);
        shown.field("login", &self.login.keys()).finish()
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.inject.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn plain(values: &BTreeMap<String, Zeroizing<String>>) -> BTreeMap<&str, &str> {
    values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// As values are written down.
#[derive(Serialize)]
struct Written<'v> {
    headers: BTreeMap<&'v str, &'v str>,
    inject: &'v Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    login: BTreeMap<&'v str, &'v str>,
}

/// As values are read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    headers: BTreeMap<String, String>,
    inject: Map<String, Value>,
    #[serde(default)]
    login: BTreeMap<String, String>,
}

/// Values that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another key, or other bytes.
    #[error(
        "its sealed values do not open with this host's key: `host.key` is another one, or the database was changed \
         from outside"
    )]
    Closed,
    /// No random numbers, or more than can be sealed.
    #[error("its values cannot be sealed: no random numbers")]
    Unsealable,
}

/// What seals and opens.
pub(crate) struct Seal(LessSafeKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// With a key of its own that is made of the host's key.
    pub(crate) fn new(host_key: &[u8; 32], purpose: Purpose) -> Self {
        let key: UnboundKey = purpose.key(host_key, &AES_256_GCM);
        Self(LessSafeKey::new(key))
    }

    /// Seals values for exactly this record.
    pub(crate) fn seal(&self, values: &Values, record: &str) -> Result<Vec<u8>, SealError> {
        let (headers, login) = (plain(&values.headers), plain(&values.login));
        let mut text = Zeroizing::new(Vec::with_capacity(4 << 10));
        let written = serde_json::to_writer(&mut *text, &Written { headers, inject: &values.inject, login });
        written.map_err(|_| SealError::Unsealable)?;
        self.seal_bytes(text, record.as_bytes())
    }

    /// Seals bytes for exactly what `bound` says.
    pub(crate) fn seal_bytes(&self, mut text: Zeroizing<Vec<u8>>, bound: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Unsealable)?;
        let assured = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(assured, Aad::from(bound), &mut text);
        let tag = tag.map_err(|_| SealError::Unsealable)?;
        Ok([&[VERSION], nonce.as_slice(), &text, tag.as_ref()].concat())
    }

    /// Opens what was sealed for this record.
    pub(crate) fn open(&self, sealed: &[u8], record: &str) -> Result<Values, SealError> {
        let text = self.open_bytes(sealed, record.as_bytes())?;
        let Read { headers, inject, login } = serde_json::from_slice(&text).map_err(|_| SealError::Closed)?;
        let held = |named: BTreeMap<String, String>| {
            named.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect()
        };
        Ok(Values { headers: held(headers), inject, login: held(login) })
    }

    /// Opens the bytes that were sealed for exactly what `bound` says.
    pub(crate) fn open_bytes(&self, sealed: &[u8], bound: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Closed)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Closed)?;
        if *version != VERSION {
            return Err(SealError::Closed);
        }
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(bound), &mut text);
        let length = opened.map_err(|_| SealError::Closed)?.len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours(key: u8) -> Seal {
        Seal::new(&[key; 32], Purpose::Registrations)
    }

    fn other(key: u8) -> Seal {
        Seal::new(&[key; 32], Purpose::Sessions)
    }

    fn values() -> Values {
        let Value::Object(inject) = json!({"units": "canary-inject", "n": [1, {"x": null}]}) else { unreachable!() };
        let headers = [("X-Key".to_owned(), Zeroizing::new("canary-header".to_owned()))].into();
        let login = [("LOGIN_1".to_owned(), Zeroizing::new("canary-login".to_owned()))].into();
        Values { headers, inject, login }
    }

    #[test]
    fn c7_what_is_sealed_is_opened_by_the_same_host_for_the_same_record_alone() {
        let seal = ours(7);
        let sealed = seal.seal(&values(), "record").unwrap();
        assert_eq!(seal.open(&sealed, "record").unwrap(), values());
        assert_eq!(seal.open(&sealed, "another record"), Err(SealError::Closed));
        assert_eq!(ours(8).open(&sealed, "record"), Err(SealError::Closed));
        let holds = |what: &[u8]| sealed.windows(what.len()).any(|window| window == what);
        assert!(!holds(b"canary") && !holds(b"X-Key") && !holds(b"units"));
        assert_eq!(other(7).open(&sealed, "record"), Err(SealError::Closed), "each use has a key of its own");
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let seal = ours(7);
        let sealed = seal.seal(&values(), "record").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed, "record"), Err(SealError::Closed), "byte {at}");
            assert_eq!(seal.open(&sealed[..at], "record"), Err(SealError::Closed), "{at} bytes");
        }
    }

    #[test]
    fn nothing_is_sealed_twice_in_the_same_way() {
        let seal = ours(7);
        assert_ne!(seal.seal(&values(), "record").unwrap(), seal.seal(&values(), "record").unwrap());
    }

    #[test]
    fn c4_debug_shows_names_and_no_values() {
        let shown = format!("{:?} {:?}", values(), ours(7));
        assert!(
            shown.contains("X-Key")
                && shown.contains("units")
                && shown.contains("LOGIN_1")
                && !shown.contains("canary"),
            "{shown}"
        );
    }
}
