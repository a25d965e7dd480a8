//! Keys that callers prove themselves with: what one looks like, and what is kept of it.

/// Whether `text` is an Argon2id hash as PHC text: `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    parts.len() == 6 && parts[0].is_empty() && parts[1] == "argon2id" && parts[2..].iter().all(|part| !part.is_empty())
}
