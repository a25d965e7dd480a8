//! `bailiwick:host/call`: other tools, by way of the gate.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use bailiwick_core::outcome::{Content, Failure, Output};
use bailiwick_core::schema;

use crate::inner::{Answer, Door};
use crate::runtime::bindings::bailiwick::host::call;
use crate::runtime::state::State;

/// A call that a guest waits for.
#[derive(Debug)]
pub enum Pending {
    /// It is under way.
    Waits(oneshot::Receiver<Answer>),
    /// It is over.
    There(Answer),
    /// Its answer was taken.
    Taken,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pending {
    async fn ready(&mut self) {
        if let Self::Waits(answer) = self {
            // Who drops the other end was ended together with the call that waits.
            let answer = answer.await;
            *self = answer.map_or(Self::Taken, Self::There);
        }
    }
}

impl call::Host for State {
    fn tools(&mut self) -> Result<Vec<String>> {
        Ok(self.call.door.iter().flat_map(Door::names).map(ToString::to_string).collect())
    }

    fn start(&mut self, tool: String, arguments: String) -> Result<Resource<Pending>> {
        let call = Arc::clone(&self.call);
        let pending = match Door::order(&call, tool, arguments) {
            Ok(answer) => Pending::Waits(answer),
            Err(failure) => Pending::There(Err(failure)),
        };
        Ok(self.table.push(pending)?)
    }
}

impl call::HostPending for State {
    fn subscribe(&mut self, pending: Resource<Pending>) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, pending)
    }

    fn take(&mut self, pending: Resource<Pending>) -> Result<Option<call::Answer>> {
        let pending = self.table.get_mut(&pending)?;
        if let Pending::Waits(answer) = pending
            && let Ok(answer) = answer.try_recv()
        {
            *pending = Pending::There(answer);
        }
        match std::mem::replace(pending, Pending::Taken) {
            Pending::There(answer) => Ok(Some(told(answer))),
            waits @ Pending::Waits(_) => {
                *pending = waits;
                Ok(None)
            }
            Pending::Taken => Ok(None),
        }
    }

    fn drop(&mut self, pending: Resource<Pending>) -> Result<()> {
        self.table.delete(pending)?;
        Ok(())
    }
}

/// An answer as a guest reads it.
fn told(answer: Answer) -> call::Answer {
    match answer {
        Ok(output) => call::Answer { success: true, output: value(output).to_string(), code: None },
        Err(failure) => {
            let code = Some(failure.code.as_str().to_owned());
            call::Answer { success: false, output: Value::from(sentence(&failure)).to_string(), code }
        }
    }
}

/// What happened and the way out.
fn sentence(failure: &Failure) -> String {
    match &failure.fix {
        None => failure.message.clone(),
        Some(fix) => format!("{}; {fix}", failure.message),
    }
}

/// A result as one value: the structured one, with the text beside it where that says something else.
fn value(output: Output) -> Value {
    let has_text = output.content.iter().any(|piece| matches!(piece, Content::Text(_)));
    let text = has_text.then(|| output.plain());
    match (output.structured, text) {
        (None, text) => text.map_or(Value::Null, Value::from),
        (Some(Value::Object(mut fields)), Some(text)) => {
            let says_the_same = schema::parse(&text).is_ok_and(|said| said.as_object() == Some(&fields));
            if !says_the_same {
                fields.entry("text").or_insert(text.into());
            }
            Value::Object(fields)
        }
        (Some(structured), _) => structured,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use bailiwick_core::outcome::Code;

    use super::*;

    #[test]
    fn a_result_is_its_value_and_else_its_text() {
        let both = |text: &str| Output { structured: Some(json!({"n": 1})), ..Output::text(text) };
        assert_eq!(told(Ok(both("{ \"n\": 1 }"))).output, "{\"n\":1}");
        assert_eq!(told(Ok(both("one"))).output, "{\"n\":1,\"text\":\"one\"}");
        let structured = Output { structured: Some(json!([1])), ..Output::text("one") };
        assert_eq!(told(Ok(structured)).output, "[1]");
        assert_eq!(told(Ok(Output::text("one"))).output, "\"one\"");
        assert_eq!(told(Ok(Output::default())).output, "null");
    }

    #[test]
    fn a_failure_has_its_code_and_the_way_out() {
        let failure = Failure::new(Code::DeniedCall, "it may not").with_fix("add a line");
        let told = told(Err(failure));
        assert_eq!((told.success, told.code.as_deref()), (false, Some("denied.call")));
        assert_eq!(told.output, "\"it may not; add a line\"");
    }
}
