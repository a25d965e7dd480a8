//! `bailiwick:host/secret`: names for everyone, values only for `reveal = true`.

use bailiwick_core::grant::{Want, Witness};
use bailiwick_core::name::SecretName;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::quotable;

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
        self.call.effective.grants.secret(&name).is_some()
    }

    fn reveal(&mut self, name: String) -> Result<String, secret::Denial> {
        let grants = &self.call.effective.grants;
        let shown = quotable(&name, 64);
        let granted = grants.secret(&name);
        if granted.is_none_or(|grant| !grant.reveal) {
            self.call.ledger.want(Want::secret(&name, true), Witness::Host);
        }
        let Some(grant) = granted else {
            let message = format!("`{}` may not use the secret `{shown}`: it is not granted", self.call.tool);
            let line = format!("secrets.{shown} = {{ env = \"{shown}\", … }}");
            let fix = format!("add `{line}` under `[{}]` ({})", grants.table, grants.at);
            let failure = Failure::new(Code::DeniedSecret, message);
            // What is no name of a secret cannot be granted.
            let is_name = SecretName::parse(&name).is_ok();
            self.call.ledger.deny(if is_name { failure.with_fix(fix) } else { failure });
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
