//! `bash`, `sandbox_exec` and `std-execute-code`: command lines, and what became of them, as agents' shells tell it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use bailiwick_core::config::Trust;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::registry::Definition;

use super::{Arguments, Programs, Said, Task, definition, room};
use crate::context::CallContext;
use crate::keeper::Ended;

/// Seconds a command has that asks for none.
const DEFAULT_TIMEOUT: u64 = 120;
/// Bytes of one stream of `sandbox_exec`.
const MAX_STREAM: usize = 1 << 20;
/// What of a failure's text there is room for: head and tail, with what joins them.
const MAX_FAILURE: usize = 3_600;

/// `bash`, whose calls may ask for so many seconds.
pub(super) fn bash(most_time: u64) -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "command": {"type": "string", "minLength": 1, "description": "What bash runs."},
            "workdir": {
                "type": "string",
                "minLength": 1,
                "description": "Where it runs, relative to the workspace; without this, the workspace itself."
            },
            "timeout": timeout(most_time, DEFAULT_TIMEOUT)
        },
        "required": ["command"],
        "additionalProperties": false
    });
    let description = "Runs a command with bash in the workspace. Gives standard output, then standard error after \
                       `[stderr]`, then `[exit code: N]` unless it is 0. There is no terminal and no input, and what is \
                       left running in the background ends with the command.";
    definition("bash", description, &schema)
}

/// `sandbox_exec`, whose calls may ask for so many seconds and, if the operator says so, to be trusted.
pub(super) fn sandbox_exec(most_time: u64, granted: Trust) -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "command": {"type": "string", "minLength": 1, "description": "What bash runs."},
            "trust": trust(granted, Trust::Sandboxed),
            "timeout": timeout(most_time, DEFAULT_TIMEOUT)
        },
        "required": ["command"],
        "additionalProperties": false
    });
    let description = "Runs a command with bash in a sandbox: a network only if it is trusted, 512 processes, 1 MiB of \
                       each stream. Gives standard output, standard error after `[stderr]`, and `Exit code: N`; it has \
                       failed unless that is 0.";
    definition("sandbox_exec", description, &schema)
}

/// `std-execute-code`, whose one sandbox is the plugin `plugin`.
pub(super) fn std_execute_code(plugin: &str) -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "sandboxId": {"type": "string", "enum": [plugin], "default": plugin, "description": "Where it runs: there is this one."},
            "command": {"type": "string", "minLength": 1, "description": "What bash runs."}
        },
        "required": ["command"],
        "additionalProperties": false
    });
    let description = "Runs a command with bash in the workspace. Gives `stdout`, `stderr` and `exitCode`; a command that \
                       failed has run all the same.";
    definition("std-execute-code", description, &schema)
}

pub(super) fn timeout(most: u64, default: u64) -> serde_json::Value {
    let description = format!("Seconds after which it is ended, at most {most}.");
    json!({"type": "integer", "minimum": 1, "maximum": most, "default": default.min(most), "description": description})
}

pub(super) fn trust(granted: Trust, default: Trust) -> serde_json::Value {
    let description = format!(
        "`sandboxed` has no network; `trusted` has what the operator grants. The operator lets it be `{}` at most.",
        granted.as_str()
    );
    let words = [Trust::Sandboxed.as_str(), Trust::Trusted.as_str()];
    json!({"type": "string", "enum": words, "default": default.as_str(), "description": description})
}

impl Programs {
    pub(super) async fn bash(&self, arguments: &Arguments, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let command = arguments.word("command")?;
        let workdir = self.workdir(arguments.text("workdir"), context)?;
        self.looks_harmless(&command, context)?;
        let room = room(context);
        let task = Task {
            arguments: vec![command.clone()],
            workdir,
            input: &[],
            time: Some(self.time(arguments)),
            network: true,
            keep: (room, room),
            timed_out: &|time| timed_out(time, &command),
        };
        Ok(Output::text(bash_said(self.run(task, context).await?)))
    }

    pub(super) async fn sandbox_exec(
        &self,
        arguments: &Arguments,
        context: &Arc<CallContext>,
    ) -> Result<Output, Failure> {
        let command = arguments.word("command")?;
        let trust = self.trusted(arguments.trust().unwrap_or_default(), context)?;
        self.looks_harmless(&command, context)?;
        let room = room(context).min(MAX_STREAM);
        let task = Task {
            arguments: vec![command.clone()],
            workdir: self.workdir(None, context)?,
            input: &[],
            time: Some(self.time(arguments)),
            network: trust == Trust::Trusted,
            keep: (room, room),
            timed_out: &|time| timed_out(time, &command),
        };
        exit_said(self.run(task, context).await?)
    }

    pub(super) async fn std_execute_code(
        &self,
        arguments: &Arguments,
        context: &Arc<CallContext>,
    ) -> Result<Output, Failure> {
        let command = arguments.word("command")?;
        self.looks_harmless(&command, context)?;
        // Both stand in the result twice: as fields, and as text.
        let room = room(context) / 2;
        let task = Task {
            arguments: vec![command.clone()],
            workdir: self.workdir(None, context)?,
            input: &[],
            time: None,
            network: true,
            keep: (room, room),
            timed_out: &|time| timed_out(time, &command),
        };
        let Said { stdout, stderr, ended } = self.run(task, context).await?;
        let told = json!({"stdout": stdout.into_text(), "stderr": stderr.into_text(), "exitCode": exit_code(ended)});
        Ok(Output { structured: Some(told.clone()), ..Output::text(told.to_string()) })
    }

    fn time(&self, arguments: &Arguments) -> Duration {
        arguments.timeout().unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT.min(self.most_time)))
    }
}

/// The words of those who ran out of time before us.
pub(super) fn timed_out(time: Duration, command: &str) -> Failure {
    Failure::new(Code::LimitTime, format!("Command timed out after {}s: {command}", time.as_secs_f64()))
}

/// A signal as a negative number, as Python has it.
fn exit_code(ended: Ended) -> i32 {
    ended.code.or(ended.signal.map(|signal| -signal)).unwrap_or(-1)
}

/// What a program said: standard output, then standard error under its name.
fn streams(stdout: String, stderr: &str) -> Vec<String> {
    let mut parts = Vec::new();
    if !stdout.is_empty() {
        parts.push(stdout);
    }
    if !stderr.is_empty() {
        parts.push(format!("[stderr]\n{stderr}"));
    }
    parts
}

/// What `bash` gives; a command that failed has run all the same.
pub(super) fn bash_said(said: Said) -> String {
    let code = exit_code(said.ended);
    let mut parts = streams(said.stdout.into_text(), &said.stderr.into_text());
    if code != 0 {
        parts.push(format!("[exit code: {code}]"));
    }
    if parts.is_empty() { "(no output)".to_owned() } else { parts.join("\n") }
}

/// What `sandbox_exec` and agents give, or why they failed.
pub(super) fn exit_said(said: Said) -> Result<Output, Failure> {
    let code = exit_code(said.ended);
    let mut parts = streams(said.stdout.into_text(), &said.stderr.into_text());
    let exit = format!("Exit code: {code}");
    if code == 0 {
        parts.push(exit);
        return Ok(Output::text(parts.join("\n")));
    }
    // The end of what it said is what says why, and a failure has no artifact.
    let said = parts.join("\n");
    let said = if said.len() <= MAX_FAILURE { said } else { ends(&said) };
    let text = if said.is_empty() { exit } else { format!("{said}\n{exit}") };
    Err(Failure::new(Code::ToolFailed, text))
}

fn ends(text: &str) -> String {
    let head = text.floor_char_boundary(MAX_FAILURE / 3);
    let tail = text.ceil_char_boundary(text.len() - MAX_FAILURE / 3 * 2);
    format!("{}\n[… {} bytes left out here …]\n{}", &text[..head], tail - head, &text[tail..])
}
