//! What looks like a secret. To take one for something else would print it; the other way round costs a person a moment.

/// How keys of well-known services begin.
const BEGINNINGS: &[&str] = &[
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "SG.",
    "shpat_",
    "figd_",
    "lin_api_",
    "ntn_",
    "secret_",
    "tvly-",
    "BSA",
    "pplx-",
    "gsk_",
    "r8_",
    "sntrys_",
    "sntryu_",
    "sbp_",
    "whsec_",
    "AGE-SECRET-KEY-",
    "rtr_",
    "pat_",
    "key-",
    "Bearer ",
    "Basic ",
    "-----BEGIN",
];

/// A key is no shorter than this.
const SHORTEST_KEY: usize = 12;
/// A random text that says nothing else of itself is no shorter than this.
const SHORTEST_RANDOM: usize = 20;

/// Whether what is called so is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: &[&str] =
        &["token", "secret", "passw", "passphrase", "credential", "apikey", "api_key", "api-key", "auth", "cookie"];
    const WORDS: &[&str] =
        &["key", "keys", "pwd", "pass", "creds", "cred", "pat", "jwt", "bearer", "private", "dsn", "session", "sid"];
    let lower = name.to_lowercase();
    PARTS.iter().any(|part| lower.contains(part)) || words(name).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// Whether this, called so, is a secret: a name that says so is not believed of a switch, a number or a path.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    is_secret_value(value) || (is_secret_name(name) && !is_plain(value))
}

/// Whether a text is a secret by its own looks.
pub(super) fn is_secret_value(value: &str) -> bool {
    let value = value.trim();
    let begins = value.len() >= SHORTEST_KEY && BEGINNINGS.iter().any(|beginning| value.starts_with(beginning));
    begins || has_password(value) || value.split(['/', '?', '&', '=', ' ', ',', ';', ':', '@', '"']).any(is_random)
}

/// The words of a name: `apiKey`, `API_KEY` and `api-key` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words
}

/// A switch, a number or the place of a file.
fn is_plain(value: &str) -> bool {
    const ENDINGS: &[&str] =
        &[".json", ".pem", ".key", ".crt", ".cer", ".p12", ".txt", ".toml", ".yaml", ".yml", ".sock"];
    let switch = matches!(value.to_ascii_lowercase().as_str(), "true" | "false" | "on" | "off" | "yes" | "no" | "none");
    let number = value.len() <= 6 && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = value.starts_with(['/', '~', '.']) && ENDINGS.iter().any(|ending| value.ends_with(ending));
    switch || number || is_path
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    value.split_whitespace().filter_map(|word| word.split_once("://")).any(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        user.is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Whether nobody would have written this by hand: long, without a space, and it goes from letters to digits, or from
/// small ones to large ones, again and again.
fn is_random(text: &str) -> bool {
    let kind = |character: char| match character {
        '0'..='9' => Some(0),
        'a'..='z' => Some(1),
        'A'..='Z' => Some(2),
        _ => None,
    };
    let legal = |character: char| kind(character).is_some() || "-_+.~%$".contains(character);
    if text.len() < SHORTEST_RANDOM || !text.chars().all(legal) {
        return false;
    }
    let kinds: Vec<i32> = text.chars().filter_map(kind).collect();
    let n_turns = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let n_digits = kinds.iter().filter(|kind| **kind == 0).count();
    let n_letters = kinds.len() - n_digits;
    n_digits >= 2 && n_letters >= 2 && n_turns >= 5 && n_turns * 5 >= kinds.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_so_in_any_spelling() {
        for name in [
            "GITHUB_TOKEN",
            "apiKey",
            "API_KEY",
            "OPENAI_APIKEY",
            "PGPASSWORD",
            "Authorization",
            "X-Auth",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "GITLAB_PAT",
            "SENTRY_DSN",
            "DB_PASS",
            "Set-Cookie",
            "privateKey",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["LOG_LEVEL", "KEYBOARD", "MONKEY", "PATH", "PATTERN", "REGION", "Accept", "PASTE", "COMPASS", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_say_so_too() {
        for value in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "sk-ant-REDACTED",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "postgresql://me:hunter2@db/x",
            "9f86d081884c7d659a2feaa0c55ad015",
            "https://mcp.example.com/s/Zk3xP9q2Lw8Rt5Yb1Nc7/mcp",
            "x?key=wJalrXUtnFEMI1K7MDENG2bPxRfiCYz",
            "Bearer abcdefgh",
            "123e4567-e89b-12d3-a456-426614174000",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        for value in [
            "",
            "debug",
            "true",
            "8080",
            "/home/me/projects/notes",
            "https://example.com/v1/messages?limit=20",
            "@modelcontextprotocol/server-filesystem@2026.8.31",
            "mcp-server-time==2026.10.1",
            "us-east-1",
            "key-value",
            "postgresql://me@db/x",
            "MyVeryLongCamelCaseIdentifier",
            "europe-west4-docker.pkg.dev",
            "--max-tokens",
        ] {
            assert!(!is_secret_value(value), "{value}");
        }
    }

    #[test]
    fn a_switch_a_number_or_a_path_is_none_whatever_it_is_called() {
        for (name, value) in [
            ("AUTH", "false"),
            ("MAX_TOKENS", "4096"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json"),
            ("SSH_AUTH_SOCK", "/run/agent.sock"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [("TOKEN", "abc"), ("API_KEY", ""), ("PASSWORD", "/secret"), ("X", "ghp_0123456789ab")] {
            assert!(is_secret(name, value), "{name}={value}");
        }
    }
}
