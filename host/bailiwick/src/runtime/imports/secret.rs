//! `bailiwick:host/secret`: names for everyone, values only for `reveal = true`.

use bailiwick_core::outcome::{Code, Failure};

use crate::runtime::bindings::bailiwick::host::secret;
use crate::runtime::state::State;

impl secret::Host for State {
    fn names(&mut self) -> Vec<String> {
        let mut names: Vec<String> =
            self.call.effective.grants.secrets.iter().map(|grant| grant.name.to_string()).collect();
        names.sort();
        names
    }

    fn is_set(&mut self, name: String) -> bool {
        self.call.effective.grants.secrets.iter().any(|grant| grant.name.as_ref() == name)
    }

    fn reveal(&mut self, name: String) -> Result<String, secret::Denial> {
        let grants = &self.call.effective.grants;
        let shown: String = bailiwick_core::redact::visible(&name).chars().take(64).collect();
        let Some(grant) = grants.secrets.iter().find(|grant| grant.name.as_ref() == name) else {
            let message = format!("`{}` may not use the secret `{shown}`: it is not granted", self.call.tool);
            let fix = format!(
                "add `secrets.{shown} = {{ env = \"{shown}\", … }}` under `[{}]` ({})",
                grants.table, grants.at
            );
            self.call.ledger.deny(Failure::new(Code::DeniedSecret, message).with_fix(fix));
            return Err(secret::Denial::Unknown);
        };
        if !grant.reveal {
            let message = format!(
                "`{}` may not see the value of the secret `{shown}`: the host uses it in its place",
                self.call.tool
            );
            let fix =
                format!("add `reveal = true` under `[plugins.{}.secrets.{shown}]` ({})", self.call.plugin, grants.at);
            self.call.ledger.deny(Failure::new(Code::DeniedSecret, message).with_fix(fix));
            return Err(secret::Denial::NotRevealed);
        }
        self.call.ledger.operation(format!("secret reveal {shown}"));
        self.call.secrets.value(&grant.name).map(str::to_owned).ok_or(secret::Denial::Unknown)
    }
}
