//! `bailiwick:host/progress`.

use crate::runtime::bindings::bailiwick::host::progress;
use crate::runtime::state::State;

impl progress::Host for State {
    fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) {
        self.call.progress(done, total, message.as_deref());
    }
}
