//! Who calls: an MCP client on standard streams, with a person and a model that answer whatever is asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a list may stay empty before it is believed.
const COMING_UP: Duration = Duration::from_secs(3);

/// A client that has said who it is.
pub(crate) struct Caller {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    errors: JoinHandle<String>,
    asked: u64,
}

impl Caller {
    /// Starts the program and greets it.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let input = child.stdin.take().expect("it is piped");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut said = child.stderr.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let messages = out.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            messages.take_while(|message: &Value| sender.send(message.clone()).is_ok()).for_each(drop);
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            drop(said.read_to_string(&mut text));
            text
        });
        let mut caller = Self { child, input, lines, errors, asked: 0 };
        let greeting = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
            "clientInfo": {"name": "conformance-client", "version": "1"},
        });
        // What is wrong with the program is seen by the first that is asked of it.
        if caller.ask("initialize", &greeting).is_ok() {
            caller.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        caller
    }

    fn say(&mut self, message: &Value) {
        // Who does not read any more does not answer either.
        drop(writeln!(self.input, "{message}"));
    }

    /// Asks, answers what is asked on the way, and gives the result.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.asked += 1;
        let id = self.asked;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let ends = Instant::now() + PATIENCE;
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            let mut message = self.lines.recv_timeout(left).map_err(|error| format!("{method}: {error}"))?;
            if message["id"] == id && message["method"].is_null() {
                return match message.get("error") {
                    Some(error) => Err(format!("{method}: {error}")),
                    None => Ok(message["result"].take()),
                };
            }
            if let Some(result) = message["method"].as_str().map(|method| answer(method, &message["params"]))
                && !message["id"].is_null()
            {
                self.say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
            }
        }
    }

    /// The tools there are, once there are any.
    pub(crate) fn list(&mut self) -> Result<Vec<Value>, String> {
        let ends = Instant::now() + COMING_UP;
        loop {
            let result = self.ask("tools/list", &json!({}))?;
            let tools = result["tools"].as_array().cloned().unwrap_or_default();
            if !tools.is_empty() || Instant::now() > ends {
                return Ok(tools);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Calls a tool; the reason when it failed.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Result<(), String> {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        match result["isError"].as_bool() {
            Some(true) => Err(format!("{tool}: {}", result["content"][0]["text"].as_str().unwrap_or_default())),
            Some(false) | None => Ok(()),
        }
    }

    /// Asks for everything in a list.
    pub(crate) fn each(
        &mut self,
        list: &str,
        items: &str,
        method: &str,
        params: impl Fn(&Value) -> Value,
    ) -> Result<(), String> {
        self.list()?;
        let mut result = self.ask(list, &json!({}))?;
        let items = result[items].take();
        let told = items.as_array().into_iter().flatten().map(|item| self.ask(method, &params(item)).map(drop));
        // All are asked for, whatever becomes of one.
        told.collect::<Vec<_>>().into_iter().collect()
    }

    /// Ends the program by the end of its input; what it said on standard error.
    pub(crate) fn end(self) -> String {
        let Self { mut child, input, errors, .. } = self;
        drop(input);
        drop(child.wait());
        errors.join().unwrap_or_default()
    }
}

/// What a person, a model or a client answers.
fn answer(method: &str, params: &Value) -> Value {
    match method {
        "elicitation/create" => json!({"action": "accept", "content": filled(&params["requestedSchema"])}),
        "sampling/createMessage" => {
            json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "Yes."}})
        }
        "roots/list" => json!({"roots": []}),
        _ => json!({}),
    }
}

/// A form as it is sent by who changes nothing: what has a default has it, what is needed has something.
fn filled(schema: &Value) -> Value {
    let defaults = fields(schema).filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone())));
    let mut content: Map<String, Value> = defaults.collect();
    for (name, value) in sample(schema).as_object().into_iter().flatten() {
        content.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(content)
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The least a schema takes.
pub(crate) fn sample(schema: &Value) -> Value {
    let needed = |name: &str| schema["required"].as_array().into_iter().flatten().any(|known| known == name);
    let value = |field: &Value| match field["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        Some("null") => Value::Null,
        Some(_) | None => field["enum"][0].as_str().map_or_else(|| json!("x"), |first| json!(first)),
    };
    fields(schema).filter(|(name, _)| needed(name)).map(|(name, field)| (name.clone(), value(field))).collect()
}
