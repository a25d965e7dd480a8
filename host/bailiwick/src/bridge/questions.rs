//! What a server asks of a client, as questions for whoever made the call; and their answers, as a server wants them. The
//! host answers nothing of it itself.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::ErrorCode;
use serde_json::{Value, json};

use crate::context::CallContext;
use crate::runtime;
use crate::runtime::question::{Form, Message, Question, Refusal, Reply, Role, Sampling};

/// The code for "the person said no" to a request that has no other word for it.
const REJECTED: ErrorCode = ErrorCode(-1);

/// Asks the caller of `call` what the server wants to know, all of it together, and gives the answers in the same order.
///
/// # Errors
/// As the server is told: something that cannot be asked, a caller who cannot answer it, one who said no to what has no
/// other word for it.
pub(super) async fn ask(call: &Arc<CallContext>, asked: Vec<(String, &str, &Value)>) -> Result<Vec<Value>, ErrorData> {
    let questions = asked.iter().map(|(key, method, params)| Ok((key.clone(), question(method, params)?)));
    let questions: Vec<(String, Question)> = questions.collect::<Result<_, ErrorData>>()?;
    let replies = runtime::ask(call, questions).await.map_err(refused)?;
    replies.into_iter().zip(&asked).map(|(reply, (_, method, _))| answer(method, reply)).collect()
}

/// Whether a caller may be asked such a thing at all.
pub(super) fn is_question(method: &str) -> bool {
    matches!(method, "elicitation/create" | "sampling/createMessage" | "roots/list")
}

fn question(method: &str, params: &Value) -> Result<Question, ErrorData> {
    match method {
        "elicitation/create" => form(params).map(Question::Input),
        "sampling/createMessage" => sampling(params).map(Question::Sample),
        "roots/list" => Ok(Question::Roots),
        _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None)),
    }
}

fn form(params: &Value) -> Result<Form, ErrorData> {
    if params.get("mode").is_some_and(|mode| mode != "form") {
        return Err(ErrorData::invalid_params("only forms can be shown here; the client declares no other mode", None));
    }
    let message = params["message"].as_str().unwrap_or_default().to_owned();
    Ok(Form { message, schema: params["requestedSchema"].to_string() })
}

fn sampling(params: &Value) -> Result<Sampling, ErrorData> {
    if params["tools"].as_array().is_some_and(|tools| !tools.is_empty()) {
        return Err(ErrorData::invalid_params("tools in sampling are not declared, and not passed on", None));
    }
    let messages: Option<Vec<Message>> = params["messages"].as_array().into_iter().flatten().map(message).collect();
    let messages = messages
        .ok_or_else(|| ErrorData::invalid_params("messages of a kind other than text are not passed on", None))?;
    let max_tokens = params["maxTokens"].as_u64().map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX));
    Ok(Sampling { messages, system: params["systemPrompt"].as_str().map(str::to_owned), max_tokens })
}

/// A message of nothing but text.
fn message(message: &Value) -> Option<Message> {
    let role = if message["role"] == "assistant" { Role::Assistant } else { Role::User };
    let content = &message["content"];
    let blocks = content.as_array().map_or(std::slice::from_ref(content), Vec::as_slice).iter();
    let texts = blocks.map(|block| block["text"].as_str().filter(|_| block["type"] == "text"));
    let text = texts.collect::<Option<Vec<_>>>()?.join("\n");
    Some(Message { role, text })
}

fn answer(method: &str, reply: Reply) -> Result<Value, ErrorData> {
    let no = |what: &str| Err(ErrorData::new(REJECTED, format!("{what} was rejected by the user"), None));
    Ok(match reply {
        Reply::Filled(fields) => {
            let content: Value = serde_json::from_str(&fields).unwrap_or_default();
            json!({"action": "accept", "content": content})
        }
        Reply::Sampled(said) => {
            let content = json!({"type": "text", "text": said.text});
            let mut answer = json!({"role": "assistant", "content": content, "model": said.model});
            if let Some(reason) = said.stop_reason {
                answer["stopReason"] = json!(reason);
            }
            answer
        }
        Reply::Roots(roots) => {
            let root = |root: &runtime::question::Root| match &root.name {
                Some(name) => json!({"uri": root.uri, "name": name}),
                None => json!({"uri": root.uri}),
            };
            json!({"roots": roots.iter().map(root).collect::<Vec<_>>()})
        }
        Reply::Declined | Reply::Cancelled if method == "sampling/createMessage" => return no("sampling"),
        Reply::Declined | Reply::Cancelled if method == "roots/list" => return no("listing roots"),
        Reply::Declined => json!({"action": "decline"}),
        Reply::Cancelled => json!({"action": "cancel"}),
    })
}

fn refused(refusal: Refusal) -> ErrorData {
    let (code, why) = match refusal {
        Refusal::Unavailable => (ErrorCode::METHOD_NOT_FOUND, "whoever made this call cannot be asked that"),
        Refusal::TimedOut => (ErrorCode::INTERNAL_ERROR, "nobody answered in time"),
        Refusal::TooMany => (ErrorCode::INVALID_REQUEST, "the call asked too many questions"),
        Refusal::InvalidSchema => {
            (ErrorCode::INVALID_PARAMS, "the schema is no form with flat fields that says all it asks")
        }
        Refusal::InvalidQuestion => (ErrorCode::INVALID_PARAMS, "this is nothing that can be asked"),
    };
    ErrorData::new(code, why, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(method: &str, params: &Value, expected: &str) {
        assert_eq!(question(method, params).unwrap_err().message, expected);
    }

    #[test]
    fn what_no_caller_can_be_asked_is_refused_with_a_reason() {
        let url = json!({"mode": "url", "url": "javascript:alert(1)", "message": "m"});
        refused("elicitation/create", &url, "only forms can be shown here; the client declares no other mode");
        let image = json!({"messages": [{"role": "user", "content": {"type": "image", "data": ""}}], "maxTokens": 1});
        refused("sampling/createMessage", &image, "messages of a kind other than text are not passed on");
        let tools = json!({"messages": [], "tools": [{"name": "t"}], "maxTokens": 1});
        refused("sampling/createMessage", &tools, "tools in sampling are not declared, and not passed on");
        refused("tasks/get", &Value::Null, "tasks/get");
    }

    #[test]
    fn several_texts_of_one_message_are_one() {
        let params = json!({"messages": [
            {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ], "systemPrompt": "s", "maxTokens": 9});
        let Ok(Question::Sample(sampling)) = question("sampling/createMessage", &params) else { panic!("no sampling") };
        let Sampling { messages, system, max_tokens } = sampling;
        assert_eq!(
            (messages.len(), messages[0].text.as_str(), system.as_deref(), max_tokens),
            (1, "a\nb", Some("s"), 9)
        );
        assert!(matches!(messages[0].role, Role::Assistant));
    }

    #[test]
    fn an_answer_is_in_the_words_of_what_was_asked() {
        let said = |method, reply| answer(method, reply).map_err(|error| error.message.into_owned());
        assert_eq!(said("elicitation/create", Reply::Declined), Ok(json!({"action": "decline"})));
        assert_eq!(said("elicitation/create", Reply::Cancelled), Ok(json!({"action": "cancel"})));
        let filled = Reply::Filled(r#"{"a":1}"#.to_owned());
        assert_eq!(said("elicitation/create", filled), Ok(json!({"action": "accept", "content": {"a": 1}})));
        assert_eq!(
            said("sampling/createMessage", Reply::Declined),
            Err("sampling was rejected by the user".to_owned())
        );
    }
}
