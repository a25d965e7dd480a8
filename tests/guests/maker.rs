//! Calls other tools.

use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Value, json};

#[bailiwick_sdk::args]
pub struct Wanted {
    tool: String,
    arguments: Value,
}

fn told(answer: Result<Value, call::Unanswered>) -> Value {
    match answer {
        Ok(value) => json!({"ok": value}),
        Err(failure) => json!({"code": failure.code, "message": failure.message}),
    }
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// The tools it can call.
    #[tool]
    fn callable() -> Json<Vec<String>> {
        Json(call::tools())
    }

    /// Begins all of these calls and waits for each.
    #[tool]
    fn together(calls: Vec<Wanted>) -> Json<Vec<Value>> {
        let pending: Vec<_> = calls.iter().map(|wanted| call::start(&wanted.tool, &wanted.arguments)).collect();
        Json(pending.into_iter().map(|pending| told(pending.wait())).collect())
    }

    /// Makes these calls one after the other.
    #[tool]
    fn in_turn(calls: Vec<Wanted>) -> Json<Vec<Value>> {
        Json(calls.iter().map(|wanted| told(call::start(&wanted.tool, &wanted.arguments).wait())).collect())
    }

    /// Begins a call and wants it no more.
    #[tool]
    fn abandon(tool: String, arguments: Value) -> String {
        drop(call::start(&tool, &arguments));
        "done".to_owned()
    }

    /// Begins a call and ends without its answer.
    #[tool]
    fn leave(tool: String, arguments: Value) -> String {
        std::mem::forget(call::start(&tool, &arguments));
        "done".to_owned()
    }
}
