//! The interpreter for JavaScript and TypeScript: QuickJS, with oxc to read TypeScript.
//!
//! Its one tool, `run`, is for the host, which offers callers tools of its own that are made of it; what it takes and gives
//! changes with the host. A run takes `source` in one of four forms: a `script` (its value is that of its last
//! expression), the `body` of an async function, a file with a function `main`, or a `check` that runs nothing. Promises
//! are awaited, and a run ends when no timer and no call of a tool is left, or when its time is up.
//!
//! **Values.** The value of a run is JSON. What JSON has no word for is given as the nearest thing: `NaN` and the infinities
//! as their names, a bigint as its digits, a date as its ISO text, an error, a regular expression, a symbol and a function
//! as text, a `Map` as an object (as a list of pairs, where a key is no string), a `Set` and a typed array as a list, a
//! value within itself as `"[Circular]"`, what lies deeper than 100 levels as `"[Object]"`. No value fails a run; one
//! whose JSON is larger than 1 MiB goes to the artifact `value.json`, and what is printed beyond 96 KiB to `output.txt`.
//!
//! **Globals.** Those of the language, and `console`, `setTimeout` and its kin, `queueMicrotask`, `structuredClone`, `btoa`,
//! `atob`, `Buffer`, `TextEncoder`, `TextDecoder`, `URL`, `URLSearchParams`, `crypto.randomUUID` and `getRandomValues`,
//! `performance.now`; `api`, when the run may call tools; `readFile`, `writeFile` and `listFiles`, when the host gave it
//! folders. Timers run in real time. There is no network, no `require` or `import`, no `process`, no `Intl`, no
//! `WebAssembly` and no threads.
//!
//! **Time** is that of the run alone: waiting for a tool does not count, waiting for a timer does. It is looked at every
//! 10,000 steps of the engine (calls, turns of loops, steps of a pattern); a program whose steps are slow, such as one that
//! fills all of its memory again and again, is ended by the host's deadline instead. Memory and stack are the host's to
//! limit; a program that needs more of either gets an exception where QuickJS notices in time (see `engine::STACK`).
//!
//! The first call of `describe` sets the interpreter up. `plugins/prepare` calls it when the component is built and keeps
//! the memory, so that an instance starts with globals ready.
#![cfg(target_family = "wasm")]

mod bindings;
mod engine;
mod failure;
mod files;
mod input;
mod memory;
mod natives;
mod output;
mod position;
mod run;
mod source;
mod state;
mod syntax;

use bindings::exports::bailiwick::tool::tool::{Annotations, Definition, Failure, Guest, Output, Risk};

struct Interpreter;

impl Guest for Interpreter {
    fn describe() -> Vec<Definition> {
        run::warm();
        vec![Definition {
            name: input::TOOL.to_owned(),
            title: None,
            description: "Runs JavaScript or TypeScript and gives what it printed, its value and its error.".to_owned(),
            input_schema: input::SCHEMA.to_owned(),
            output_schema: None,
            annotations: Annotations { read_only: None, destructive: None, idempotent: None, open_world: Some(false) },
            risk: Risk::Medium,
        }]
    }

    fn check() -> Option<String> {
        None
    }

    fn call(name: String, arguments: String) -> Result<Output, Failure> {
        if name != input::TOOL {
            return Err(Failure::NotFound(format!("This plugin has no tool `{name}`.")));
        }
        let request = input::read(&arguments).map_err(Failure::InvalidArguments)?;
        let answer = run::run(&request);
        let text = serde_json::to_string(&answer).map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Output { content: Vec::new(), structured: Some(text) })
    }
}
