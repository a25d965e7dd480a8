//! Makes and checks hashes of keys. Both take their time and memory by design: whoever is in async code takes
//! `spawn_blocking`, and not for everybody who asks at once.

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use bailiwick_core::key::{self, Cost, KeyHash, KeyText};

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// The function refuses.
    #[error("a key cannot be hashed: {0}")]
    Function(argon2::Error),
    /// No random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A new key. It is nowhere else.
///
/// # Errors
/// No random numbers.
pub(crate) fn new_key() -> Result<Zeroizing<String>, HashError> {
    let mut random = Zeroizing::new([0; key::RANDOM]);
    getrandom::fill(random.as_mut_slice()).map_err(HashError::Random)?;
    Ok(Zeroizing::new(key::make(&random)))
}

/// The hash of a key, with a salt of its own. Blocks for about a tenth of a second.
///
/// # Errors
/// No random numbers, or not enough memory.
pub(crate) fn make(key: KeyText<'_>) -> Result<KeyHash, HashError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(HashError::Random)?;
    let mut hash = KeyHash { cost: Cost::OWN, salt: salt.to_vec(), hash: vec![0; 32] };
    hash.hash = digest(key, &hash)?.to_vec();
    Ok(hash)
}

/// Whether `hash` is the hash of `key`. How long that takes says nothing of how much of it fits. Blocks.
///
/// # Errors
/// Not enough memory.
pub(crate) fn fits(key: KeyText<'_>, hash: &KeyHash) -> Result<bool, HashError> {
    Ok(digest(key, hash)?.ct_eq(&hash.hash).into())
}

/// What `key` hashes to with the cost, the salt and the length of `like`.
fn digest(key: KeyText<'_>, like: &KeyHash) -> Result<Zeroizing<Vec<u8>>, HashError> {
    let Cost { memory, passes, lanes } = like.cost;
    let params = Params::new(memory, passes, lanes, Some(like.hash.len())).map_err(HashError::Function)?;
    let function = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut digest = Zeroizing::new(vec![0; like.hash.len()]);
    function.hash_password_into(key.as_str().as_bytes(), &like.salt, &mut digest).map_err(HashError::Function)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that argon2-cffi 25.1.0 made (the reference implementation in C).
    const MADE_ELSEWHERE: [(&str, &str); 3] = [
        (
            "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TD/XGA42HWHXFumfwZZ9ZJOeUQqS5Y5fJrUHMMcsSw4",
        ),
        (
            "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vJUe/WFIFA3WGmy/KkLlcQ",
        ),
        (
            "rtr_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
            "$argon2id$v=19$m=65536,t=3,p=4$ZmVkY2JhOTg3NjU0MzIxMA$eZD2mnNlkxPeyAd0w9BWqA8SutQzpmtxU6fE8hQrCfM",
        ),
    ];

    #[test]
    fn a3_hashes_of_others_are_checked_with_the_cost_they_name() {
        for (key, hash) in MADE_ELSEWHERE {
            let (hash, own) = (KeyHash::parse(hash).unwrap(), KeyText::parse(key).unwrap());
            assert!(fits(own, &hash).unwrap(), "{key}");
            let other = key.replace("_A", "_B").replace("_I", "_J");
            assert!(!fits(KeyText::parse(&other).unwrap(), &hash).unwrap(), "{other}");
        }
    }

    #[test]
    fn a2_a3_a_new_key_fits_its_hash_alone() {
        let (one, other) = (new_key().unwrap(), new_key().unwrap());
        assert_ne!(*one, *other);
        let one = KeyText::parse(&one).unwrap();
        let hash = make(one).unwrap();
        assert!(hash.to_string().starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{hash}");
        assert_eq!((hash.salt.len(), hash.hash.len()), (16, 32));
        let read = KeyHash::parse(&hash.to_string()).unwrap();
        assert!(fits(one, &read).unwrap() && !fits(KeyText::parse(&other).unwrap(), &read).unwrap());
        assert_ne!(make(one).unwrap().salt, hash.salt);
    }
}
