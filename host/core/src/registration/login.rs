//! How a registered service is logged in at. What stood in its body as `${NAME}` is sealed elsewhere.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::{OpenApi, Protocol, Registration};
use crate::config::{self, Flaw, variables};

/// What a login is, but for its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Where.
    pub url: String,
    /// Its method, in capitals.
    pub method: String,
    /// What is sent; `{{NAME}}` stands for the value of that name.
    #[serde(default)]
    pub body: String,
    /// What the body is; none for what it looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What of the answer is the credential.
    pub credential: Credential,
    /// The header that requests carry it in; none for the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What the header says; `{}` stands for the credential. None for the usual text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The names of its values, which are sealed.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// What of the answer to a login is the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The value of this cookie.
    Cookie(String),
    /// What is at this place of a JSON answer, such as `$.token`.
    Json(String),
}

impl Credential {
    /// Which kind it is, stable.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cookie(_) => "cookie",
            Self::Json(_) => "json",
        }
    }

    /// The name of the cookie, or the place.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cookie(name) | Self::Json(name) => name,
        }
    }
}

/// A body, and what is to be sealed of it, by name.
pub type SealedBody = (String, Vec<(String, String)>);

/// Takes the values out of a body: each `${NAME}` is asked of `env`, once, and a name stands in its place. `$${` stands for
/// the characters themselves.
///
/// # Errors
/// A variable is not set or empty, or is none. No value is in the sentence.
pub fn sealed_body(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SealedBody, Flaw> {
    let values = RefCell::new(Vec::<(String, String)>::new());
    let name = |number: usize| format!("LOGIN_{}", number + 1);
    let named = |variable: &str| {
        let mut values = values.borrow_mut();
        let known = values.iter().position(|(known, _)| known == variable);
        let number = match known {
            Some(number) => number,
            None => {
                values.push((variable.to_owned(), env(variable).filter(|value| !value.is_empty())?));
                values.len() - 1
            }
        };
        Some(format!("{{{{{}}}}}", name(number)))
    };
    let body = variables::expand(text, &named).map_err(|flaw| Flaw { suggestion: None, ..flaw })?;
    let values = values.into_inner().into_iter().enumerate();
    Ok((body, values.map(|(number, (_, value))| (name(number), value)).collect()))
}

/// What a header says, written with `{}` or, as in other programs, with one `%s`.
#[must_use]
pub fn format(text: &str) -> String {
    if text.contains("{}") || text.matches("%s").count() != 1 { text.to_owned() } else { text.replace("%s", "{}") }
}

impl Registration {
    /// How it is logged in at, as it was said.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        match &self.protocol {
            Protocol::OpenApi(OpenApi { login, .. }) => login.as_ref(),
            Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_) => None,
        }
    }

    /// The names of the values of its login.
    #[must_use]
    pub fn login_secrets(&self) -> &[String] {
        self.login().map_or(&[], |login| &login.secrets)
    }

    /// How it is logged in at, as the reader of the configuration understands it.
    #[must_use]
    pub fn effective_login(&self) -> Option<config::Login> {
        self.login()?;
        let plugin = self.plugin().ok().flatten()?;
        plugin.class.service()?.login.clone()
    }
}
