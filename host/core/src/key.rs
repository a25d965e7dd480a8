//! Keys that callers prove themselves with: what one looks like, and what is kept of it.
//!
//! A key is a prefix and 32 random bytes. What is kept is its Argon2id hash and, beside it, a [`KeyId`] to find the hash
//! by. Making and checking hashes takes time and memory, so the shell does it; what may be asked of it is judged here.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::general_purpose::{NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};

/// What the keys of this host begin with. Others begin otherwise: `rtr_`, `tls_`, `adm_`, `grip_`.
pub const PREFIX: &str = "bwk_";

/// The random part of a key, in bytes.
pub const RANDOM: usize = 32;

/// The random part of a key, in characters.
const ENCODED: usize = 43;

/// A key, as a caller sends it: 2 to 8 small letters, `_`, and 43 characters of base64url. It is not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'t>(&'t str);

impl<'t> KeyText<'t> {
    /// Reads a key; none if the text does not look like one.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (prefix, random) = text.split_once('_')?;
        let named = (2..=8).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_lowercase());
        let whole = random.len() == ENCODED && URL_SAFE_NO_PAD.decode(random).is_ok();
        (named && whole).then_some(Self(text))
    }

    /// The key itself.
    #[must_use]
    pub fn as_str(self) -> &'t str {
        self.0
    }

    /// What its hash is found by.
    #[must_use]
    pub fn id(self) -> KeyId {
        let digest = Sha256::new().chain_update(b"bailiwick key id\0").chain_update(self.0).finalize();
        KeyId(hex::encode(&digest[..8]))
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// Makes a key of `random` bytes.
#[must_use]
pub fn make(random: &[u8; RANDOM]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The name a key's hash is found by: 64 bits of its digest. They say nothing of use about the 256 random ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// As it was written down.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is written down.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What making a hash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory: u32,
    /// How often it is gone through.
    pub passes: u32,
    /// Parts of it that could be gone through at once.
    pub lanes: u32,
}

impl Cost {
    /// What our own hashes take.
    pub const OWN: Self = Self { memory: 65_536, passes: 3, lanes: 4 };

    /// Whether a server can be asked to do this for whoever comes: no more than 1 GiB, and no more work in all than
    /// going through it once.
    fn is_bearable(self) -> bool {
        const MOST_MEMORY: u32 = 1 << 20;
        let Self { memory, passes, lanes } = self;
        let legal = (1..=255).contains(&lanes) && passes >= 1 && memory >= 8 * lanes;
        legal && memory <= MOST_MEMORY && u64::from(memory) * u64::from(passes) <= u64::from(MOST_MEMORY)
    }
}

/// An Argon2id hash, as PHC text has it: `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`, in base64 without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash {
    /// What making it took.
    pub cost: Cost,
    /// 8 to 64 bytes.
    pub salt: Vec<u8>,
    /// 16 to 64 bytes.
    pub hash: Vec<u8>,
}

/// Why a text is no hash. It does not repeat the text: somebody may have put the key itself there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// Another form.
    #[error("it is not `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`")]
    Form,
    /// Another function.
    #[error("it is a hash of another kind than Argon2id, version 19")]
    Kind,
    /// Salt or hash are not base64, too short or too long.
    #[error("its salt or its hash is not base64 without padding, or of no usual length")]
    Bytes,
    /// Too much work.
    #[error("making it takes more than a server can be asked for (1 GiB of memory, gone through once in all)")]
    Cost,
}

impl KeyHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// See [`HashFault`].
    pub fn parse(text: &str) -> Result<Self, HashFault> {
        let parts: Vec<&str> = text.split('$').collect();
        let ["", kind, version, cost, salt, hash] = parts[..] else { return Err(HashFault::Form) };
        if (kind, version) != ("argon2id", "v=19") {
            return Err(if kind.starts_with("argon2") { HashFault::Kind } else { HashFault::Form });
        }
        let cost = cost_of(cost).ok_or(HashFault::Form)?;
        let bytes = |text: &str, least: usize| {
            let decoded = phc_base64().decode(text).ok();
            decoded.filter(|bytes| (least..=64).contains(&bytes.len())).ok_or(HashFault::Bytes)
        };
        let hash = Self { cost, salt: bytes(salt, 8)?, hash: bytes(hash, 16)? };
        if hash.cost.is_bearable() { Ok(hash) } else { Err(HashFault::Cost) }
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost: Cost { memory, passes, lanes }, salt, hash } = self;
        let (salt, hash) = (phc_base64().encode(salt), phc_base64().encode(hash));
        write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Base64 as PHC text has it: the usual alphabet, and no padding.
fn phc_base64() -> GeneralPurpose {
    let config: GeneralPurposeConfig = NO_PAD.with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&STANDARD_ALPHABET, config)
}

/// `m=…,t=…,p=…`.
fn cost_of(text: &str) -> Option<Cost> {
    let mut parts = text.split(',');
    let mut number = |name: &str| {
        let digits = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        digits.parse().ok().filter(|_| plain)
    };
    let cost = Cost { memory: number("m")?, passes: number("t")?, lanes: number("p")? };
    parts.next().is_none().then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes 0 to 31.
    const KEY: &str = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const HASH: &str =
        "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZJOeUQqS5Y5fJrUHMMcsSw4";

    #[test]
    fn a_key_is_a_prefix_and_43_characters() {
        assert_eq!(make(&std::array::from_fn(|at| at as u8)), KEY);
        let random = &KEY[4..];
        for prefix in ["bwk", "rtr", "tls", "adm", "grip"] {
            let key = format!("{prefix}_{random}");
            assert_eq!(KeyText::parse(&key).map(KeyText::as_str), Some(key.as_str()));
        }
        for no_key in [
            String::new(),
            "bwk_".to_owned(),
            random.to_owned(),
            format!("_{random}"),
            format!("b_{random}"),
            format!("BWK_{random}"),
            format!("bailiwick_{random}"),
            format!("{KEY}="),
            format!("{KEY}A"),
            KEY[..KEY.len() - 1].to_owned(),
            format!(" {KEY}"),
            KEY.replace("AAEC", "+AEC"),
            // Two bits too many are set: another text for the same bytes.
            format!("{}9", &KEY[..KEY.len() - 1]),
        ] {
            assert_eq!(KeyText::parse(&no_key), None, "{no_key}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", KeyText::parse(KEY)), "Some(KeyText(…))");
        let hash = KeyHash::parse(HASH).unwrap();
        assert_eq!(format!("{hash:?}"), "KeyHash { cost: Cost { memory: 65536, passes: 3, lanes: 4 }, .. }");
    }

    #[test]
    fn an_id_is_of_the_whole_key() {
        let id = |key: &str| KeyText::parse(key).unwrap().id();
        assert_eq!(id(KEY).as_str().len(), 16);
        assert_ne!(id(KEY), id(&KEY.replace("bwk", "rtr")));
        assert_eq!(KeyId::stored(id(KEY).as_str()), id(KEY));
    }

    #[test]
    fn a_hash_reads_back_as_itself() {
        let hash = KeyHash::parse(HASH).unwrap();
        assert_eq!((hash.cost, hash.salt.as_slice(), hash.hash.len()), (Cost::OWN, b"0123456789abcdef".as_slice(), 32));
        assert_eq!(hash.to_string(), HASH);
    }

    #[test]
    fn what_is_no_hash_is_an_error() {
        let cases = [
            ("", HashFault::Form),
            (KEY, HashFault::Form),
            ("$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg", HashFault::Form),
            ("$bcrypt$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Form),
            ("$argon2i$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Kind),
            ("$argon2id$v=16$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Kind),
            ("$argon2id$v=19$t=3,m=65536,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Form),
            ("$argon2id$v=19$m=65536,t=3,p=4,x=1$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Form),
            ("$argon2id$v=19$m=+65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Form),
            ("$argon2id$v=19$m=65536,t=3,p=4$c2hvcnQ$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Bytes),
            ("$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg==$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Bytes),
            ("$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$c2hvcnQ", HashFault::Bytes),
            ("$argon2id$v=19$m=1048577,t=1,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Cost),
            ("$argon2id$v=19$m=65536,t=17,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Cost),
            ("$argon2id$v=19$m=8,t=1,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA", HashFault::Cost),
        ];
        for (text, fault) in cases {
            assert_eq!(KeyHash::parse(text), Err(fault), "{text}");
        }
        assert!(
            KeyHash::parse("$argon2id$v=19$m=1048576,t=1,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZA").is_ok()
        );
    }
}
