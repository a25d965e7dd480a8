//! A folder of programs, each with a description beside it: `NAME.sh` and `NAME.tool.json`. A call's arguments come to a
//! script as JSON on its standard input; what it prints is the result.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::redact::quotable;
use bailiwick_core::registry::{Definition, MAX_TOOLS, check_definitions};
use bailiwick_core::schema::{ArgumentSchema, MAX_SCHEMA, parse};

use super::{Programs, Said, Task, definition, room};
use crate::ambient::{self, Links};
use crate::context::CallContext;

/// What the name of a description ends with.
const DESCRIPTION: &str = ".tool.json";
/// The largest description: its schema, and as much again for its texts.
const MAX_DESCRIPTION: u64 = 2 * MAX_SCHEMA as u64;
/// The largest program. Each is read whole before each of its runs.
const MAX_SCRIPT: u64 = 16 << 20;
/// Files of a folder that are looked at.
const MAX_FILES: usize = 10_000;
/// The permission to write that everybody has.
const WRITABLE_BY_OTHERS: u32 = 0o002;
const EXECUTABLE: u32 = 0o111;

/// The scripts of a folder.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    tools: Vec<Script>,
    /// What is no tool, and why: one sentence for each.
    pub(super) skipped: Vec<String>,
}

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) definition: Definition,
    pub(super) digest: [u8; 32],
    file: PathBuf,
}

/// What stands in a `.tool.json`.
#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    parameters: Option<Map<String, Value>>,
}

impl Scripts {
    /// Finds the tools of a folder, in the order of their files' names.
    ///
    /// # Errors
    /// When the folder cannot be read, or everybody could put something there; in a sentence.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let unreadable = |error| format!("the scripts in {shown} cannot be read: {error}");
        let folder = &ambient::canonical(folder).map_err(unreadable)?;
        let (mode, _) = ambient::mode_and_owner(folder).map_err(unreadable)?;
        if mode & WRITABLE_BY_OTHERS != 0 {
            return Err(format!("everybody may put scripts into {shown} (mode {mode:04o}); run `chmod o-w {shown}`"));
        }
        let names = ambient::names_in(folder, MAX_FILES).map_err(unreadable)?;
        let mut found = Self::default();
        let is_description = |name: &&String| name.ends_with(DESCRIPTION);
        for name in names.iter().filter(|name| !is_description(name) && !name.starts_with('.')) {
            match script(folder, name) {
                Ok(Some(script)) => found.add(name, script),
                Ok(None) => {}
                Err(reason) => found.skipped.push(format!("`{name}` in {shown} is no tool: {reason}")),
            }
        }
        Ok(found)
    }

    fn add(&mut self, file: &str, script: Script) {
        let name = &script.definition.name;
        if let Some(other) = self.tools.iter().find(|other| other.definition.name == *name) {
            let other = other.file.file_name().unwrap_or_default().to_string_lossy();
            self.skipped.push(format!("`{file}` is no tool: `{other}` is named `{name}` too"));
        } else if self.tools.len() == MAX_TOOLS {
            self.skipped.push(format!("`{file}` is no tool: there are {MAX_TOOLS} already"));
        } else {
            self.tools.push(script);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Script> {
        self.tools.iter()
    }

    pub(super) fn definitions(&self) -> Vec<Definition> {
        self.tools.iter().map(|script| script.definition.clone()).collect()
    }
}

/// Reads one script and its description; none for a file that is no program. A program without a description is none of
/// ours either, and nobody is told.
fn script(folder: &Path, name: &str) -> Result<Option<Script>, String> {
    let file = folder.join(name);
    let is_program = ambient::mode_and_owner(&file).is_ok_and(|(mode, _)| mode & EXECUTABLE != 0);
    if !is_program || ambient::is_dir(&file) {
        return Ok(None);
    }
    let base = name.rsplit_once('.').map_or(name, |(base, _)| base);
    let beside = folder.join(format!("{base}{DESCRIPTION}"));
    if !ambient::exists(&beside) {
        return Ok(None);
    }
    for path in [&file, &beside] {
        let (mode, _) = ambient::mode_and_owner(path).map_err(|error| error.to_string())?;
        if mode & WRITABLE_BY_OTHERS != 0 {
            let path = path.display();
            return Err(format!("everybody may write to {path} (mode {mode:04o}); run `chmod o-w {path}`"));
        }
    }
    let definition = described(&beside)?;
    let digest = digest(&file)?;
    Ok(Some(Script { definition, digest, file }))
}

fn described(path: &Path) -> Result<Definition, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text =
        ambient::read_regular(path, MAX_DESCRIPTION, Links::Refused).map_err(|error| format!("`{name}`: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("`{name}` is not UTF-8"))?;
    let value = parse(&text).map_err(|error| format!("`{name}` is not JSON: {error}"))?;
    let description: Description = serde_json::from_value(value).map_err(|error| format!("`{name}`: {error}"))?;
    for (key, text) in [("name", &description.name), ("description", &description.description)] {
        if text.trim().is_empty() {
            return Err(format!("`{name}` has no `{key}`"));
        }
    }
    ToolName::parse(&description.name).map_err(|error| format!("`{name}`: {error}"))?;
    let schema = description.parameters.map_or_else(|| json!({"type": "object"}), Value::Object);
    let tool = definition(&description.name, &description.description, &schema);
    check_definitions(std::slice::from_ref(&tool)).map_err(|error| format!("`{name}`: {error}"))?;
    ArgumentSchema::compile(&tool.input_schema, &[], Map::new()).map_err(|error| format!("`{name}`: {error}"))?;
    Ok(tool)
}

fn digest(file: &Path) -> Result<[u8; 32], String> {
    let bytes = ambient::read_regular(file, MAX_SCRIPT, Links::Refused).map_err(|error| error.to_string())?;
    Ok(Sha256::digest(&bytes).into())
}

impl Programs {
    pub(super) async fn script(
        &self,
        name: &str,
        arguments: &str,
        context: &Arc<CallContext>,
    ) -> Result<Output, Failure> {
        let script = self.scripts.iter().find(|script| script.definition.name == name);
        let script = script.ok_or_else(|| Failure::new(Code::ToolUnknown, format!("there is no script `{name}`")))?;
        unchanged(script).await?;
        let file = script.file.to_str().ok_or_else(|| Failure::new(Code::ToolFailed, "its path is not UTF-8"))?;
        let log = usize::try_from(context.effective.limits.log).unwrap_or(usize::MAX);
        let task = Task {
            arguments: vec![file.to_owned()],
            workdir: self.workdir(None, context)?,
            input: arguments.as_bytes(),
            time: None,
            network: true,
            keep: (room(context), log),
            timed_out: &|time| {
                let message = format!("shell tool \"{name}\" timed out after {}s", time.as_secs_f64());
                Failure::new(Code::LimitTime, message)
            },
        };
        let Said { stdout, stderr, ended } = self.run(task, context).await?;
        for line in stderr.into_text().lines() {
            context.say(tracing::Level::DEBUG, line);
        }
        let how = match (ended.code, ended.signal) {
            (Some(0), _) => return Ok(result(stdout.into_text())),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".to_owned(),
        };
        Err(Failure::new(Code::ToolFailed, format!("shell tool \"{name}\" exited with error: {how}")))
    }
}

/// JSON is a result of its own kind, everything else a text.
pub(super) fn result(printed: String) -> Output {
    match parse(printed.trim()) {
        Ok(value) => Output { structured: Some(value), ..Output::default() },
        Err(_) => Output::text(printed),
    }
}

/// Checks that a script is the one that was described, and perhaps approved.
pub(super) async fn unchanged(script: &Script) -> Result<(), Failure> {
    let (file, known) = (script.file.clone(), script.digest);
    let name = quotable(&script.definition.name, 64);
    let found = tokio::task::spawn_blocking(move || digest(&file)).await;
    match found.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(digest) if digest == known => Ok(()),
        Ok(_) => {
            let message = format!("the script of `{name}` is not the one that was loaded");
            Err(Failure::new(Code::DeniedQuarantined, message).with_fix("look at it, then reload the configuration"))
        }
        Err(reason) => Err(Failure::new(Code::ToolFailed, format!("the script of `{name}` cannot be read: {reason}"))),
    }
}
