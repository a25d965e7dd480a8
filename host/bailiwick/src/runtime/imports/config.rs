//! `wasi:config/store`: the plugin's own `config` table, nothing else.

use bailiwick_core::grant::{Want, Witness};

use crate::runtime::bindings::wasi::config::store;
use crate::runtime::state::State;

impl store::Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        let value = self.call.config.get(&key).cloned();
        if value.is_none() {
            self.call.ledger.want(Want::setting(&key, self.call.redactor()), Witness::Host);
        }
        Ok(value)
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        Ok(self.call.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
