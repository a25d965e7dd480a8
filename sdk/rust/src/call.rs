//! Other tools: a plugin may be made of them. Grant: `call`.
//!
//! Every call passes the host's gate on behalf of whoever called the plugin: the tool is one that the caller may use, its
//! arguments are checked, a person is asked where one has to be, and it leaves a record of its own.
//!
//! ```no_run
//! use bailiwick_sdk::call;
//! use bailiwick_sdk::serde_json::json;
//!
//! // Both are under way at the same time.
//! let calls = ["a.txt", "b.txt"].map(|file| call::start("read", &json!({"filePath": file})));
//! for answer in calls.map(call::Pending::wait) {
//!     match answer {
//!         Ok(value) => println!("{value}"),
//!         Err(failure) => println!("{}: {}", failure.code, failure.message),
//!     }
//! }
//! ```

use serde::Serialize;
use serde_json::Value;

use crate::bindings::bailiwick::host::call as host;

/// A call under way. Dropping it ends the call.
#[derive(Debug)]
pub struct Pending(host::Pending);

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The stable code, such as `denied.call`.
    pub code: String,
    /// What happened, and the way out.
    pub message: String,
}

/// The names of the tools that can be called, sorted.
#[must_use]
pub fn tools() -> Vec<String> {
    host::tools()
}

/// Begins a call of `tool` and goes on. `arguments` have to be an object as JSON; what makes no sense is told by the answer.
pub fn start(tool: &str, arguments: &impl Serialize) -> Pending {
    let arguments = serde_json::to_string(arguments).unwrap_or_default();
    Pending(host::start(tool, &arguments))
}

impl Pending {
    /// Waits for the result: the tool's structured one, or its text.
    ///
    /// # Errors
    /// The tool failed, or it was not let through.
    pub fn wait(self) -> Result<Value, Unanswered> {
        loop {
            if let Some(answer) = self.0.take() {
                return read(answer);
            }
            self.0.subscribe().block();
        }
    }
}

fn read(answer: host::Answer) -> Result<Value, Unanswered> {
    let value: Value = serde_json::from_str(&answer.output).unwrap_or_default();
    if answer.success {
        return Ok(value);
    }
    let message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Err(Unanswered { code: answer.code.unwrap_or_default(), message })
}
