//! Tools that are programs: callers that may manage make, show and change them, in the words of other hosts' functions. A
//! program is read by its interpreter before it is kept, and not run; what was is kept beside what is.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use bailiwick_core::call::Caller;
use bailiwick_core::code::Language;
use bailiwick_core::config::Flaw;
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code as FailureCode, Failure};
use bailiwick_core::redact::brief;
use bailiwick_core::registration::code::{self, MAX_SOURCE};
use bailiwick_core::registration::resource::{self, Kind};
use bailiwick_core::registration::{Code, Protocol, Registration};
use bailiwick_core::registry::{FUNCTIONS, Tool};
use bailiwick_core::schema;

use super::found::moment;
use super::tools::{changes, id_of, object, reads};
use super::{Made, Refused};
use crate::examine::nothing;
use crate::host::Host;
use crate::registrations::{Kept, RegistrationError, Version};
use crate::search::tool;

/// What is said of a function that is not there.
pub(super) const UNKNOWN: &str = "Custom function not found";
/// Bytes of all programs together: each is read again at every change.
const MOST_SOURCES: usize = 64 << 20;
/// Mistakes of a program that are told at once, and characters of each.
const MOST_FAULTS: usize = 20;
const MOST_OF_FAULT: usize = 300;

/// Whether a name is one of these tools'.
pub(super) fn is_one(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// All of them.
pub(super) fn tools() -> &'static [(ToolName, Arc<Tool>)] {
    static TOOLS: LazyLock<Vec<(ToolName, Arc<Tool>)>> = LazyLock::new(|| {
        let [create, list, get, update] = FUNCTIONS;
        let told = [
            (
                create,
                "Makes a tool of a program: `main(input)` is given the arguments of a call, and what it returns is the \
                 result. It reaches no network, no files, no environment and no other tools. It can be called at once.",
                fields(&["name", "language", "source"]),
                changes(),
            ),
            (list, "Lists all tools that are programs, without their sources.", object(json!({}), &[]), reads()),
            (get, "Shows one of them, with its source and which versions of it there were.", one(), reads()),
            (
                update,
                "Changes one of them; what is left out stays as it is. The source from before is kept as a version.",
                fields(&["id"]),
                changes(),
            ),
        ];
        told.into_iter().map(|(name, description, schema, hints)| tool(name, description, &schema, hints)).collect()
    });
    &TOOLS
}

fn fields(required: &[&str]) -> Value {
    let languages = Language::ALL.map(Language::as_str);
    let mut properties = json!({
        "name": {"type": "string", "description": "What people call it; calls go by this in small letters, digits and `_`."},
        "language": {"type": "string", "enum": languages},
        "source": {"type": "string", "maxLength": MAX_SOURCE, "description": "The program. It defines `main(input)`; in JavaScript and TypeScript that may be async."},
        "description": {"type": "string", "description": "What callers are told of it."},
        "inputSchema": {"type": "object", "description": "JSON Schema of its arguments."},
    });
    if required.contains(&"id") {
        properties["id"] = id_of("The function's id, or its tool's, as `list_custom_functions` gives them.");
    }
    object(properties, required)
}

fn one() -> Value {
    let version = json!({"type": "integer", "minimum": 1, "description": "Which version's source; the newest where it is left out."});
    object(json!({"id": id_of("The function's id, or its tool's."), "version": version}), &["id"])
}

/// What is wrong with a call of one of them that is told in the words clients know, before its arguments are judged.
pub(super) fn lacks(name: &str, arguments: &str) -> Option<&'static str> {
    let [create, ..] = FUNCTIONS;
    if name != create {
        return None;
    }
    schema::parse(arguments).ok().as_ref().and_then(code::lacks)
}

/// The body that makes or changes the tool behind a function.
fn body(arguments: &Value) -> Value {
    let mut config = Map::new();
    for key in ["language", "source", "description"] {
        config.extend(arguments.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    let mut body = json!({"protocol": Kind::Code.as_str(), "config": config});
    for key in ["name", "inputSchema"] {
        if let Some(value) = arguments.get(key) {
            body[key] = value.clone();
        }
    }
    body
}

impl Host {
    /// Does what one of them is for.
    pub(super) async fn function(&self, caller: &Caller, tool: &str, arguments: &Value) -> Result<Value, Refused> {
        let [create, list, get, _] = FUNCTIONS;
        let id = arguments["id"].as_str().unwrap_or_default();
        if tool == create {
            let made = self.make_tool(caller, &body(arguments)).await?;
            return Ok(created(&made));
        }
        if tool == list {
            return Ok(self.kept().iter().filter_map(|kept| code::function(&kept.registration)).collect());
        }
        let kept = self.known(id).ok_or(Refused::Unknown)?;
        if tool == get {
            let number = arguments["version"].as_u64();
            return self.shown_function(kept, number).await;
        }
        let made = self.change_tool(caller, &resource::id(&kept.registration), &body(arguments)).await?;
        let name = made.record["name"].as_str().unwrap_or_default();
        Ok(json!({"id": kept.registration.id, "message": format!("Function \"{name}\" updated")}))
    }

    /// The function of this id, or of this tool.
    fn known(&self, id: &str) -> Option<Kept> {
        let id = code::function_id(id);
        let mut kept = self.kept().into_iter();
        kept.find(|kept| kept.registration.id == id && Kind::of(&kept.registration.protocol) == Kind::Code)
    }

    /// A function with the source of one of its versions.
    async fn shown_function(&self, kept: Kept, number: Option<u64>) -> Result<Value, Refused> {
        let (Some(mut shown), Some(program)) = (code::function(&kept.registration), program(&kept.registration)) else {
            return Err(Refused::Unknown);
        };
        let number = number.map_or(program.version, |number| u32::try_from(number).unwrap_or(u32::MAX));
        let (registrations, id) = (Arc::clone(&self.registrations), kept.registration.id.clone());
        let read = tokio::task::spawn_blocking(move || {
            Ok::<_, RegistrationError>((registrations.versions(&id)?, registrations.source(&id, number)?))
        });
        let crashed = |_| Failure::new(FailureCode::Internal, "reading the versions of a program crashed");
        let (versions, source) = read.await.map_err(crashed)??;
        let (language, source) = match source {
            _ if number == program.version => (program.language, program.source.clone()),
            Some(source) => source,
            None => return Err(not_kept(number, &versions).into()),
        };
        shown["language"] = language.as_str().into();
        shown["source"] = source.into();
        shown["version"] = number.into();
        shown["sandboxId"] = Value::Null;
        shown["versions"] = versions.iter().map(told).collect();
        Ok(shown)
    }

    /// Whether a program can be compiled, if it is one and another than before.
    pub(super) async fn compiles(&self, new: &Registration, before: Option<&Registration>) -> Result<(), Failure> {
        let Some(code) = program(new) else { return Ok(()) };
        if before.and_then(program).is_some_and(|before| before.is_same_program(code)) {
            return Ok(());
        }
        let context = || nothing(&new.name, &self.egress, &self.artifacts);
        let faults = self.interpreters.check(code.language, &code.source, context).await?;
        if faults.is_empty() {
            return Ok(());
        }
        let more = faults.len().saturating_sub(MOST_FAULTS);
        let mut said: Vec<String> =
            faults.iter().take(MOST_FAULTS).map(|fault| brief(&fault.sentence(), MOST_OF_FAULT)).collect();
        if more > 0 {
            said.push(format!("and {more} more"));
        }
        let message = format!("the source is no {} that can be run: {}", code.language, said.join("; "));
        Err(Failure::new(FailureCode::ArgumentsInvalid, message).with_fix("correct it and send it once more"))
    }

    /// Whether there is room for a program beside all others.
    pub(super) fn has_room(&self, new: &Registration) -> Result<(), Failure> {
        let Some(code) = program(new) else { return Ok(()) };
        let registered = self.registered.load();
        let others = registered.listed.kept.iter().filter(|kept| kept.registration.id != new.id);
        let bytes: usize = others.filter_map(|kept| program(&kept.registration)).map(|code| code.source.len()).sum();
        if bytes + code.source.len() <= MOST_SOURCES {
            return Ok(());
        }
        let message = format!("all programs that are tools may have {MOST_SOURCES} bytes together, and have {bytes}");
        Err(Failure::new(FailureCode::LimitBudget, message).with_fix("delete those that nobody needs"))
    }
}

fn program(of: &Registration) -> Option<&Code> {
    match &of.protocol {
        Protocol::Code(code) => Some(code),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) => None,
    }
}

fn created(made: &Made) -> Value {
    let (tool_id, name) = (made.record["id"].as_str().unwrap_or_default(), made.record["name"].as_str());
    let message = super::tools::created("Function", name.unwrap_or_default(), made.called());
    json!({"id": code::function_id(tool_id), "toolId": tool_id, "name": name, "message": message})
}

fn not_kept(number: u32, versions: &[Version]) -> Flaw {
    let numbers: Vec<String> = versions.iter().map(|version| version.number.to_string()).collect();
    let flaw = Flaw::new(format!("version {number} of this function is not kept"));
    flaw.suggest(format!("ask for one of {}", numbers.join(", ")))
}

fn told(version: &Version) -> Value {
    json!({"version": version.number, "at": moment(version.time), "by": version.caller})
}
