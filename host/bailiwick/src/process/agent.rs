//! `code_agent`: a program of the operator's that is given a task. The task is one argument of it, and no shell sees it.

use std::sync::Arc;

use serde_json::json;

use bailiwick_core::config::Trust;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::registry::Definition;

use super::{Arguments, Programs, Task, definition, room, shell};
use crate::context::CallContext;

/// The tool under this name.
pub(super) fn definition_of(name: &str, most_time: u64, granted: Trust) -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "task": {"type": "string", "minLength": 1, "description": "What the agent is to do, in words."},
            "trust": shell::trust(granted, granted),
            "timeout": shell::timeout(most_time, most_time)
        },
        "required": ["task"],
        "additionalProperties": false
    });
    let description = "Gives a task to a coding agent on this machine and waits until it is done. Gives what the agent \
                       said, standard error after `[stderr]`, and `Exit code: N`; it has failed unless that is 0.";
    definition(name, description, &schema)
}

impl Programs {
    pub(super) async fn agent(&self, arguments: &Arguments, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let task = arguments.word("task")?;
        let ends_options = self.process.launch.command.last().is_some_and(|word| word == "--");
        if task.starts_with('-') && !ends_options {
            let message = "`task` cannot begin with `-`: the agent would take it for an option";
            let fix =
                "begin it with a word; the operator can end the agent's `command` with `\"--\"`, if it knows that";
            return Err(Failure::new(Code::ArgumentsInvalid, message).with_fix(fix));
        }
        let trust = self.trusted(arguments.trust().unwrap_or(self.process.trust), context)?;
        let room = room(context);
        let work = Task {
            arguments: vec![task.clone()],
            workdir: self.workdir(None, context)?,
            input: &[],
            time: arguments.timeout(),
            network: trust == Trust::Trusted,
            keep: (room, room),
            timed_out: &|time| shell::timed_out(time, &task),
        };
        shell::exit_said(self.run(work, context).await?)
    }
}
