//! `bailiwick explain`: would it be allowed, which line decides, which line would allow it? Nothing that is asked about
//! is touched: no name is looked up, no address connected to, no path opened, no secret read.

use std::fmt::Write as _;

use http::Uri;
use serde_json::{Value, json};

use bailiwick_core::call::Selector;
use bailiwick_core::config::{Config, Plugin};
use bailiwick_core::confine::Life;
use bailiwick_core::explain::{Answer, Fix, Line, Note, Ruling, Subject};
use bailiwick_core::grant::{Access, NetRequest};
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::Code;
use bailiwick_core::redact::visible;

use crate::load::Problem;
use crate::{egress, load};

use super::start::Ground;
use super::terminal::{BOLD, DIM, GREEN, RED, Terminal, Trouble};
use super::{Exit, ExplainArguments, Global, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick explain web_fetch --net 'GET https://api.example.com/v1/items'
  bailiwick explain files.read --fs read /notes/today.txt --fs write /notes/today.txt
  bailiwick explain fetch --secret TOKEN --json
  bailiwick explain execute_code --call web_fetch

Nothing is touched: no name is looked up, no path opened, no secret read. `PLUGIN.TOOL` and `PLUGIN`
are answered from the configuration alone; to find another tool by its name, the plugins are asked
what they publish. A tool is judged by its own rule, with every secret, limit and address range that
holds for it.

Ends with 0 when all of it would be allowed, and with 4 when something would be refused.";

pub(super) fn run(terminal: &Terminal, global: &Global, asked: &ExplainArguments) -> Result<Exit, Trouble> {
    let questions = questions(asked)?;
    let ground = start::ground(terminal, global, Life::Once, None)?;
    start::with_threads(explain(terminal, &ground, asked, &questions))
}

async fn explain(
    terminal: &Terminal,
    ground: &Ground,
    asked: &ExplainArguments,
    questions: &[Question],
) -> Result<Exit, Trouble> {
    let found = find(terminal, ground, &asked.subject).await?;
    let subject = Subject::new(found.plugin, found.tool.as_ref().map(AsRef::as_ref));
    let answers: Vec<(&Question, Answer)> =
        questions.iter().map(|question| (question, question.answer(&subject))).collect();
    let off = subject.switched_off();
    let allowed = off.is_none() && answers.iter().all(|(_, answer)| answer.is_allowed());
    if terminal.json {
        terminal.print_json(&json(&found, &subject, off.as_ref(), &answers))?;
    } else {
        terminal.print(&text(&found, &subject, off.as_ref(), &answers))?;
    }
    Ok(if allowed { Exit::Done } else { Exit::Denied })
}

/// Something asked about.
enum Question {
    Net { method: String, uri: Uri },
    Fs { access: Access, path: String },
    Secret(String),
    Call(ToolName),
}

fn questions(asked: &ExplainArguments) -> Result<Vec<Question>, Trouble> {
    let mut questions = Vec::new();
    for request in &asked.net {
        questions.push(net(request)?);
    }
    for pair in asked.fs.chunks(2) {
        let [access, path] = pair else { continue };
        questions.push(Question::Fs { access: access_of(access)?, path: path.clone() });
    }
    questions.extend(asked.secret.iter().cloned().map(Question::Secret));
    for name in &asked.call {
        questions.push(Question::Call(tool_of(name)?));
    }
    Ok(questions)
}

fn tool_of(name: &str) -> Result<ToolName, Trouble> {
    ToolName::parse(name).map_err(|error| {
        let message = format!("`--call {}` names no tool: {error}", visible(name));
        Trouble::new(Exit::Usage, "usage.tool", &message).with("fix", "`bailiwick list` shows the tools there are")
    })
}

fn net(request: &str) -> Result<Question, Trouble> {
    let (method, url) = request.trim().split_once(' ').unwrap_or(("GET", request.trim()));
    let uri = url.trim().parse().map_err(|error| {
        let message = format!("`{}` is no URL that a plugin could send: {error}", visible(url));
        Trouble::new(Exit::Usage, "usage.url", &message)
            .with("fix", "write `METHOD URL`, such as `GET https://api.example.com/v1`")
    })?;
    Ok(Question::Net { method: method.to_owned(), uri })
}

fn access_of(text: &str) -> Result<Access, Trouble> {
    match text {
        "read" | "ro" => Ok(Access::ReadOnly),
        "write" | "rw" => Ok(Access::ReadWrite),
        other => {
            let message = format!("`--fs {}` is neither `read` nor `write`", visible(other));
            Err(Trouble::new(Exit::Usage, "usage.access", &message)
                .with("fix", "write `--fs read PATH` or `--fs write PATH`"))
        }
    }
}

impl Question {
    fn answer(&self, subject: &Subject<'_>) -> Answer {
        match self {
            Self::Net { method, uri } => match egress::read_url(uri) {
                Ok(url) => subject.net(&NetRequest { method, url: &url }),
                Err(failure) => subject.unreadable(failure.code, &failure.message),
            },
            Self::Fs { access, path } => subject.fs(*access, path),
            Self::Secret(name) => subject.secret(name),
            Self::Call(tool) => subject.call(tool),
        }
    }

    fn text(&self) -> String {
        let text = match self {
            Self::Net { method, uri } => format!("{method} {uri}"),
            Self::Fs { access: Access::ReadOnly, path } => format!("read {path}"),
            Self::Fs { access: Access::ReadWrite, path } => format!("write {path}"),
            Self::Secret(name) => format!("secret {name}"),
            Self::Call(tool) => format!("call {tool}"),
        };
        visible(&text).into_owned()
    }

    fn json(&self) -> Value {
        match self {
            Self::Net { .. } => json!({"net": self.text()}),
            Self::Fs { access, path } => json!({"fs": path, "access": access}),
            Self::Secret(name) => json!({"secret": name}),
            Self::Call(tool) => json!({"call": tool}),
        }
    }
}

/// Whose rights are asked about.
struct Found<'c> {
    plugin: &'c Plugin,
    tool: Option<ToolName>,
}

/// Finds a tool or a plugin: in the configuration, if that tells; else by asking the plugins what they publish.
async fn find<'c>(terminal: &Terminal, ground: &'c Ground, subject: &str) -> Result<Found<'c>, Trouble> {
    let config = &ground.settings.config;
    if let Some(found) = written(config, subject) {
        return Ok(found);
    }
    terminal.hint("the configuration does not tell whose tool it is; asking the plugins …");
    let published = load::published(config, start::setup(ground)).await;
    let (registry, problems) = published.map_err(|error| start::cannot_start(&error))?;
    if let Some((_, tool)) = registry.resolve(subject) {
        let named = config.plugins.iter().find(|plugin| plugin.name == tool.plugin);
        if let (Some(plugin), Ok(tool)) = (named, ToolName::parse(&tool.definition.name)) {
            return Ok(Found { plugin, tool: Some(tool) });
        }
    }
    let closest = registry.closest(subject, &Selector::all()).map(|name| format!("did you mean `{name}`?"));
    Err(unknown(terminal, subject, &problems, closest))
}

fn unknown(terminal: &Terminal, subject: &str, problems: &[Problem], closest: Option<String>) -> Trouble {
    for problem in problems {
        terminal.warning("plugin.left-out", &problem.to_string(), None);
    }
    let message = format!("there is no tool and no plugin `{}`", visible(subject));
    let fix = closest.unwrap_or_else(|| "`bailiwick list` shows the tools there are".to_owned());
    Trouble::new(Exit::Arguments, Code::ToolUnknown.as_str(), &message).with("fix", &fix)
}

/// What the configuration itself says of a name: `PLUGIN.TOOL`, `PLUGIN__TOOL`, a second name, a tool with a rule of its
/// own, or a plugin.
fn written<'c>(config: &'c Config, subject: &str) -> Option<Found<'c>> {
    let plugin = |name: &str| config.plugins.iter().find(|plugin| plugin.name.as_str() == name);
    if let Some((name, tool)) = subject.split_once('.').or(subject.split_once("__")) {
        let plugin = plugin(name)?;
        let own = plugin.alias.get(tool).cloned().or_else(|| ToolName::parse(tool).ok());
        return Some(Found { plugin, tool: Some(own?) });
    }
    let second = config.plugins.iter().find_map(|plugin| Some((plugin, plugin.alias.get(subject)?)));
    if let Some((plugin, tool)) = second {
        return Some(Found { plugin, tool: Some(tool.clone()) });
    }
    let mut ruled = config.plugins.iter().filter(|plugin| plugin.tools.contains_key(subject));
    if let (Some(plugin), None) = (ruled.next(), ruled.next()) {
        return Some(Found { plugin, tool: Some(ToolName::parse(subject).ok()?) });
    }
    plugin(subject).map(|plugin| Found { plugin, tool: None })
}

fn text(found: &Found<'_>, subject: &Subject<'_>, off: Option<&Answer>, answers: &[(&Question, Answer)]) -> String {
    let grants = &subject.effective().grants;
    let mut text = match &found.tool {
        Some(tool) => format!("{BOLD}{tool}{BOLD:#} of {}", found.plugin.name),
        None => format!("{BOLD}{}{BOLD:#}", found.plugin.name),
    };
    let _ = writeln!(text, "  {DIM}[{}] {}{DIM:#}", grants.table, grants.at);
    text.push_str(&notes(&subject.notes()));
    if let Some(off) = off {
        text.push_str(&answer_text("every call", off));
    }
    for (question, answer) in answers {
        text.push_str(&answer_text(&question.text(), answer));
    }
    text
}

fn answer_text(question: &str, answer: &Answer) -> String {
    let mut text = String::from("\n");
    match &answer.ruling {
        Ruling::Allowed { by } => {
            let _ = writeln!(text, "{GREEN}allowed{GREEN:#}  {question}");
            text.push_str(&fact("decided by", &line_text(by)));
        }
        Ruling::Denied { code, reason, by, fix } => {
            let _ = writeln!(text, "{RED}denied{RED:#}   {question}  {DIM}{code}{DIM:#}");
            text.push_str(&fact("because", reason));
            text.push_str(&fact("decided by", &line_text(by)));
            for Fix { line, table, at } in fix {
                text.push_str(&fact("to allow it", &format!("{line}  {DIM}under [{table}] {at}{DIM:#}")));
            }
            if fix.is_empty() {
                text.push_str(&fact("to allow it", "no line can"));
            }
        }
    }
    text.push_str(&notes(&answer.notes));
    text
}

fn line_text(Line { at, text }: &Line) -> String {
    format!("{at}  {text}")
}

fn notes(notes: &[Note]) -> String {
    notes.iter().map(|note| fact(note.about, &note.text)).collect()
}

fn fact(name: &str, value: &str) -> String {
    format!("  {name:<11}  {value}\n")
}

fn json(found: &Found<'_>, subject: &Subject<'_>, off: Option<&Answer>, answers: &[(&Question, Answer)]) -> Value {
    let grants = &subject.effective().grants;
    let answer = |(question, answer): &(&Question, Answer)| {
        let mut json = answer_json(answer);
        json["question"] = question.json();
        json
    };
    json!({
        "plugin": found.plugin.name,
        "tool": found.tool,
        "table": grants.table,
        "at": grants.at,
        "allowed": off.is_none() && answers.iter().all(|(_, answer)| answer.is_allowed()),
        "notes": notes_json(&subject.notes()),
        "switchedOff": off.map(answer_json),
        "answers": answers.iter().map(answer).collect::<Value>(),
    })
}

fn answer_json(answer: &Answer) -> Value {
    let line = |Line { at, text }: &Line| json!({"at": at, "text": text});
    let fix = |Fix { line, table, at }: &Fix| json!({"line": line, "table": table, "at": at});
    match &answer.ruling {
        Ruling::Allowed { by } => json!({"allowed": true, "decidedBy": line(by), "notes": notes_json(&answer.notes)}),
        Ruling::Denied { code, reason, by, fix: fixes } => json!({
            "allowed": false,
            "code": code,
            "reason": reason,
            "decidedBy": line(by),
            "fix": fixes.iter().map(fix).collect::<Value>(),
            "notes": notes_json(&answer.notes),
        }),
    }
}

fn notes_json(notes: &[Note]) -> Value {
    notes.iter().map(|note| json!({"about": note.about, "text": note.text})).collect()
}
