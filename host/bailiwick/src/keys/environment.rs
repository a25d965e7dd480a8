//! The one key that comes from the environment, for hosts that are set up by it alone.

use std::time::Duration;

use bailiwick_core::call::{May, Policy, Selector};
use bailiwick_core::config::Key;
use bailiwick_core::grant::limit;
use bailiwick_core::key::{HashFault, KeyHash};

use crate::ambient;

/// What the environment says of keys. `BAILIWICK_` names win over `AUXOT_` ones.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `…_API_KEY_HASH`, with `…_ALLOWED_TOOLS`: all granted tools where that is not set, and it may run them.
    pub key: Option<Key>,
    /// `…_AUTH_CACHE_TTL`.
    pub cache: Option<Duration>,
}

/// A variable that cannot be used. What it holds is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A hash that is none.
    #[error("the variable {variable} cannot be used: {fault}")]
    Hash {
        /// Which.
        variable: String,
        /// Why not.
        fault: HashFault,
    },
    /// A length of time that is none.
    #[error("the variable {variable} is not a length of time such as `5m`")]
    Time {
        /// Which.
        variable: String,
    },
}

impl Environment {
    /// Reads the variables.
    ///
    /// # Ambient authority
    /// Reads the process environment.
    ///
    /// # Errors
    /// A variable that cannot be used.
    pub fn read() -> Result<Self, EnvironmentError> {
        Self::of(&ambient::env)
    }

    /// The same of any variables.
    ///
    /// # Errors
    /// A variable that cannot be used.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let named = |name: &str| {
            let both = [format!("BAILIWICK_{name}"), format!("AUXOT_{name}")];
            both.into_iter().find_map(|name| Some((variable(&name).filter(|value| !value.is_empty())?, name)))
        };
        let tools = named("ALLOWED_TOOLS").map(|(tools, _)| listed(&tools)).filter(|tools| !tools.is_empty());
        let selector = tools.map_or_else(Selector::all, |tools| Selector::of(tools.iter().map(String::as_str)));
        let may = May { execute: true, ..May::default() };
        let policy = Policy { tools: selector, may, ..Policy::default() };
        let key = named("API_KEY_HASH").map(|(hash, variable)| {
            let hash = KeyHash::parse(hash.trim()).map_err(|fault| EnvironmentError::Hash { variable, fault })?;
            Ok(Key { hash, policy: policy.into() })
        });
        let cache = named("AUTH_CACHE_TTL").map(|(text, variable)| {
            limit::parse_duration(text.trim()).map_err(|_| EnvironmentError::Time { variable })
        });
        Ok(Self { key: key.transpose()?, cache: cache.transpose()? })
    }
}

/// A list with commas; spaces around names and empty names do not count.
fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use bailiwick_core::name::ToolName;

    use super::*;

    const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vJUe/WFIFA3WGmy/KkLlcQ";

    fn of(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Environment::of(&value)
    }

    fn tools(variables: &[(&str, &str)]) -> Vec<&'static str> {
        let environment = of(variables).unwrap();
        let selector = environment.key.unwrap().policy.tools.clone();
        ["read", "write"].into_iter().filter(|tool| selector.contains(&ToolName::parse(tool).unwrap())).collect()
    }

    #[test]
    fn a7_no_variable_no_key() {
        let nothing = of(&[("AUXOT_API_KEY_HASH", "")]).unwrap();
        assert!(nothing.key.is_none() && nothing.cache.is_none());
    }

    #[test]
    fn a9_the_list_of_tools_is_trimmed_and_none_means_all() {
        let hash = ("AUXOT_API_KEY_HASH", HASH);
        assert_eq!(tools(&[hash]), ["read", "write"]);
        assert_eq!(tools(&[hash, ("AUXOT_ALLOWED_TOOLS", " read , ,")]), ["read"]);
        assert_eq!(tools(&[hash, ("AUXOT_ALLOWED_TOOLS", " , ")]), ["read", "write"]);
        assert_eq!(tools(&[hash, ("AUXOT_ALLOWED_TOOLS", "read"), ("BAILIWICK_ALLOWED_TOOLS", "write")]), ["write"]);
    }

    #[test]
    fn a7_our_own_names_win() {
        let cache = |variables: &[_]| of(variables).unwrap().cache;
        assert_eq!(cache(&[("AUXOT_AUTH_CACHE_TTL", "2m")]), Some(Duration::from_secs(120)));
        let both = [("AUXOT_AUTH_CACHE_TTL", "2m"), ("BAILIWICK_AUTH_CACHE_TTL", "1s")];
        assert_eq!(cache(&both), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_variable_that_is_wrong_is_told_and_not_shown() {
        let told = |variables: &[_]| of(variables).unwrap_err().to_string();
        assert_eq!(
            told(&[("AUXOT_API_KEY_HASH", "rtr_canary")]),
            "the variable AUXOT_API_KEY_HASH cannot be used: it is not `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`"
        );
        assert_eq!(
            told(&[("BAILIWICK_AUTH_CACHE_TTL", "soon")]),
            "the variable BAILIWICK_AUTH_CACHE_TTL is not a length of time such as `5m`"
        );
    }
}
