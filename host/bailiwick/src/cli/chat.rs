//! `bailiwick chat`: a model and the tools, in a loop. The model is any server that speaks OpenAI's chat completions; every
//! call it asks for goes through the gate, and who sits at the terminal is asked where somebody has to agree.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use serde_json::{Value, json};
use url::{Host as UrlHost, Url};

use bailiwick_core::call::{Call, Caller, May, Selector};
use bailiwick_core::confine::Life;
use bailiwick_core::dialect::answers;
use bailiwick_core::dialect::calls::{self, Asked};
use bailiwick_core::dialect::{Format, Offered, Strict, definitions};
use bailiwick_core::outcome::{Code, Outcome};
use bailiwick_core::redact::{quotable, visible, visible_json};

use crate::ambient;
use crate::artifact::Owner;
use crate::channel::Channel;
use crate::host::Host;

use super::ask::{Audience, audience};
use super::start::Ground;
use super::terminal::{Terminal, Trouble};
use super::{ChatArguments, Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick chat --base-url http://localhost:11434/v1 --model qwen3 'What is in notes/today.md?'
  bailiwick chat --base-url https://api.openai.com/v1 --model gpt-5-mini     # a conversation
  bailiwick chat --base-url http://localhost:8000/v1 --model m --tools 'read,grep,!write' < question.txt

The key of the server is taken from the variable OPENAI_API_KEY, or from the one that `--api-key-env`
names. No redirect is followed and no proxy is used: requests go to `--base-url` and nowhere else.

What the model calls runs with the rights in bailiwick.toml, as `bailiwick call` would run it. Where a
person has to agree you are asked; a call that is rejected is told to the model, which goes on. Ctrl-C
ends a turn, and the conversation when no turn is under way.";

/// What is said when a model only ever calls tools.
const ENDLESS: &str = "Max tool call loops reached. Please try again.";
/// How long a model may take for one answer.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest answer of a model.
const MAX_ANSWER: usize = 16 << 20;
/// How much of an error is shown.
const MAX_ERROR: usize = 500;

/// A conversation.
struct Chat<'c> {
    terminal: &'c Terminal,
    host: Arc<Host>,
    caller: Arc<Caller>,
    channel: Channel,
    audience: Audience,
    model: String,
    url: Url,
    /// The server's, if it has one.
    key: Option<String>,
    max_loops: u32,
    messages: Vec<Value>,
    /// Each call so far: the tool, and what came of it.
    calls: Vec<(String, &'static str)>,
}

/// How a turn ended.
enum Said {
    /// With these words.
    Answer(String),
    /// The model went on calling tools.
    Endless,
    /// A person has had enough.
    Interrupted,
}

pub(super) fn run(terminal: &Terminal, global: &Global, arguments: ChatArguments) -> Result<Exit, Trouble> {
    let url = endpoint(&arguments.base_url)?;
    let key = key(&arguments)?;
    if url.scheme() == "http" && key.is_some() && !is_near(&url) {
        let message = "the key of the model's server is sent without TLS: `--base-url` begins with `http://`";
        terminal.warning("chat.plain", message, None);
    }
    let settings = start::settings(global.config.as_deref())?;
    let ground = start::stand_beside(terminal, global, settings, Life::Once, None, Some(&url))?;
    start::with_threads(converse(terminal, ground, arguments, url, key))
}

/// Where completions are.
fn endpoint(base: &str) -> Result<Url, Trouble> {
    let url = Url::parse(&format!("{}/chat/completions", base.trim_end_matches('/'))).ok();
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    url.filter(fits).ok_or_else(|| {
        let trouble = Trouble::new(Exit::Usage, "usage.argument", "`--base-url` is no URL of a server of models");
        trouble.with("legal", "such as `http://localhost:11434/v1`, without a query and a user name")
    })
}

fn key(arguments: &ChatArguments) -> Result<Option<String>, Trouble> {
    let name = arguments.api_key_env.as_deref();
    let key = ambient::env(name.unwrap_or("OPENAI_API_KEY")).filter(|key| !key.is_empty());
    match (name, key) {
        (Some(name), None) => {
            let message = format!("the variable `{}`, which `--api-key-env` names, is not set", visible(name));
            Err(Trouble::new(Exit::Usage, "usage.argument", &message))
        }
        (_, key) => Ok(key),
    }
}

/// Whether the way there does not leave this machine.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(UrlHost::Domain(name)) => name == "localhost",
        Some(UrlHost::Ipv4(address)) => address.is_loopback(),
        Some(UrlHost::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn converse(
    terminal: &Terminal,
    ground: Ground,
    arguments: ChatArguments,
    url: Url,
    key: Option<String>,
) -> Result<Exit, Trouble> {
    let ChatArguments { model, tools, max_loops, system, prompt, .. } = arguments;
    let host = start::host(terminal, &ground).await?;
    start::warn_of_problems(terminal, &host);
    let selector = Selector::of(tools.split(',').map(str::trim).filter(|entry| !entry.is_empty()));
    // A model asks: it adds nothing to what the operator wrote down.
    let may = May { manage: false, ..May::EVERYTHING };
    let caller = Arc::new(Caller { tools: selector, may, ..Caller::operator("cli") });
    let (channel, audience) = audience(terminal, std::io::stdin().is_terminal());
    // The model asks, who is nobody to use what others were left.
    let channel = Channel { owner: Owner::Named(caller.name.as_str().into()), ..channel };
    let messages = system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
    let calls = Vec::new();
    let mut chat = Chat { terminal, host, caller, channel, audience, model, url, key, max_loops, messages, calls };
    match (prompt, std::io::stdin().is_terminal()) {
        (Some(prompt), _) => chat.once(prompt).await,
        (None, false) => {
            let mut prompt = String::new();
            std::io::stdin().read_to_string(&mut prompt).map_err(|error| {
                Trouble::new(Exit::Usage, "usage.stdin", &format!("standard input cannot be read: {error}"))
            })?;
            chat.once(prompt).await
        }
        (None, true) => chat.on_and_on().await,
    }
}

impl Chat<'_> {
    /// One turn, and its answer.
    async fn once(&mut self, prompt: String) -> Result<Exit, Trouble> {
        let (text, exit) = match self.turn(prompt).await? {
            Said::Answer(text) => (text, Exit::Done),
            Said::Endless => (ENDLESS.to_owned(), Exit::Failed),
            Said::Interrupted => {
                return Err(Trouble::new(Exit::Interrupted, Code::Cancelled.as_str(), "interrupted"));
            }
        };
        if self.terminal.json {
            let calls: Vec<Value> =
                self.calls.iter().map(|(tool, outcome)| json!({"tool": tool, "outcome": outcome})).collect();
            self.terminal.print_json(&json!({"content": text, "calls": calls}))?;
        } else {
            self.terminal.print(&format!("{}\n", visible(text.trim_end())))?;
        }
        Ok(exit)
    }

    /// A conversation: a turn for each line that is typed.
    async fn on_and_on(&mut self) -> Result<Exit, Trouble> {
        self.terminal.hint("Ctrl-D ends the conversation");
        loop {
            let line = tokio::select! {
                line = self.audience.line("> ") => line,
                () = interrupt() => None,
            };
            let Some(line) = line else { return Ok(Exit::Done) };
            if line.is_empty() {
                continue;
            }
            let text = match self.turn(line).await {
                Ok(Said::Answer(text)) => text,
                Ok(Said::Endless) => ENDLESS.to_owned(),
                Ok(Said::Interrupted) => continue,
                Err(trouble) => {
                    self.terminal.trouble(&trouble);
                    continue;
                }
            };
            if !self.terminal.offer(&format!("{}\n", visible(text.trim_end())))? {
                return Ok(Exit::Done);
            }
        }
    }

    /// From what a person says to the model's last word about it. What was said in a turn that broke off is forgotten.
    async fn turn(&mut self, prompt: String) -> Result<Said, Trouble> {
        let before = self.messages.len();
        self.messages.push(json!({"role": "user", "content": prompt}));
        let said = tokio::select! {
            said = self.rounds() => said,
            () = interrupt() => Ok(Said::Interrupted),
        };
        self.audience.clear();
        match said {
            Ok(Said::Answer(_)) => {}
            Ok(Said::Endless | Said::Interrupted) | Err(_) => self.messages.truncate(before),
        }
        said
    }

    /// Asks the model, makes the calls it wants, and asks again, so many times.
    async fn rounds(&mut self) -> Result<Said, Trouble> {
        for _ in 0..self.max_loops {
            let mut message = self.ask().await?;
            let text = message["content"].as_str().unwrap_or_default().to_owned();
            let wanted = wanted(&message)?;
            // What else a server adds, it does not take back.
            if let Some(fields) = message.as_object_mut() {
                fields.retain(|name, _| ["role", "content", "tool_calls"].contains(&name.as_str()));
            }
            self.messages.push(message);
            if wanted.is_empty() {
                return Ok(Said::Answer(text));
            }
            let mut answered = Vec::with_capacity(wanted.len());
            for asked in wanted {
                let outcome = self.call(&asked).await;
                answered.push((asked, outcome));
            }
            self.messages.extend(answers::messages(Format::OpenAi, &answered));
        }
        Ok(Said::Endless)
    }

    /// Makes one call, through the gate like any other.
    async fn call(&mut self, asked: &Asked) -> Outcome {
        let tool = Format::OpenAi.tool(&asked.name).to_owned();
        let (shown, arguments) = (quotable(&tool, 64), quotable(&asked.arguments, 200));
        self.terminal.hint(&format!("calls {shown} with {arguments}"));
        let (id, caller) = (self.host.new_call_id(), Arc::clone(&self.caller));
        let call = Call { id, tool, arguments: asked.arguments.clone(), caller, trace: None, session: None };
        let outcome = tokio::select! {
            outcome = self.host.call(call, self.channel.clone()) => outcome,
            never = self.audience.attend() => match never {},
        };
        self.audience.clear();
        self.terminal.hint(&format!("{shown}: {}", outcome.code()));
        self.calls.push((shown, outcome.code()));
        outcome
    }

    /// The model's next message.
    async fn ask(&self) -> Result<Value, Trouble> {
        let offered = self.host.list(&self.caller);
        let tools: Vec<Offered<'_>> = offered.iter().map(|(name, tool)| Offered::of(name, tool)).collect();
        let mut body = json!({"model": self.model, "messages": self.messages});
        if !tools.is_empty() {
            body["tools"] = definitions(Format::OpenAi, &tools, Strict::default()).into();
        }
        let request = Request::post(self.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("bailiwick/", env!("CARGO_PKG_VERSION")));
        let request = match &self.key {
            Some(key) => {
                let value = HeaderValue::from_str(&format!("Bearer {key}"));
                let mut value = value.map_err(|_| trouble("chat.key", "the server's key is no header's value"))?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            None => request,
        };
        let request = request.body(Bytes::from(body.to_string()));
        let request = request.map_err(|error| trouble("chat.unreachable", &error.to_string()))?;
        let answer =
            self.host.egress.send_own(request, PATIENCE, MAX_ANSWER).await.map_err(|error| {
                trouble("chat.unreachable", &format!("the model's server does not answer: {error}"))
            })?;
        let text = String::from_utf8_lossy(answer.body());
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            let message = format!("the model's server answered {status}: {}", self.spoken(&text));
            return Err(trouble("chat.status", &message));
        }
        let mut answer: Value = serde_json::from_str(&text)
            .map_err(|error| trouble("chat.answer", &format!("the model's server gave no JSON: {error}")))?;
        let message = answer.pointer_mut("/choices/0/message").map(Value::take);
        if let Some(message) = message.filter(Value::is_object) {
            return Ok(message);
        }
        Err(trouble("chat.answer", &format!("the model's server gave no message: {}", self.spoken(&text))))
    }

    /// What a server said, without our key in it, at a bearable length.
    fn spoken(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        };
        let text: String = text.trim().chars().take(MAX_ERROR).collect();
        visible_json(&text).into_owned()
    }
}

/// The calls a message asks for.
fn wanted(message: &Value) -> Result<Vec<Asked>, Trouble> {
    if message["tool_calls"].as_array().is_none_or(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let batch = calls::read(&message.to_string(), Some(Format::OpenAi));
    batch.map(|batch| batch.calls).map_err(|misread| {
        let message = format!("the model's calls cannot be read: `{}`: {}", misread.field, misread.message);
        trouble("chat.answer", &message)
    })
}

fn trouble(code: &str, message: &str) -> Trouble {
    Trouble::new(Exit::Failed, code, message)
}

/// Waits for Ctrl-C. Without a handler the signal ends the process by itself.
async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::interrupt()) {
        Ok(mut interrupt) => drop(interrupt.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, expected: Option<&str>) {
        assert_eq!(endpoint(base).ok().as_ref().map(Url::as_str), expected, "{base}");
    }

    #[test]
    fn a_servers_url_is_its_folder_of_endpoints() {
        check("http://localhost:11434/v1", Some("http://localhost:11434/v1/chat/completions"));
        check("https://api.example.com/v1/", Some("https://api.example.com/v1/chat/completions"));
        check("https://api.example.com", Some("https://api.example.com/chat/completions"));
        for wrong in ["", "localhost:11434", "ftp://a.test/v1", "https://me@a.test/v1", "https://a.test/v1?key=1"] {
            check(wrong, None);
        }
    }
}
