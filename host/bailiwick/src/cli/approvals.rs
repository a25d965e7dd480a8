//! `bailiwick approvals`: the calls that wait for a person, on this machine, and the answer to them. Whoever can use the
//! state folder is its operator, so no key is needed here.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use bailiwick_core::approval::{ApprovalId, Decision, Reply, State};
use bailiwick_core::redact::{visible, visible_json};
use bailiwick_core::schema;

use crate::approval::{AnswerError, Counter, Entry, Standing};
use crate::load::StartError;
use crate::settings;
use crate::store::StoreError;

use super::ask::minutes;
use super::terminal::{BOLD, DIM, GREEN, RED, Terminal, Trouble, YELLOW};
use super::{Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick approvals                          # what waits
  bailiwick approvals list --watch             # and what comes, until Ctrl-C
  bailiwick approvals approve 3f2a             # the beginning of an id is enough
  bailiwick approvals approve 3f2a --arguments '{\"target\": \"staging\"}'
  bailiwick approvals approve 3f2a --for 30m   # and the same call again for half an hour
  bailiwick approvals reject 3f2a --reason 'not on a Friday'
  bailiwick approvals standing                 # answers that stand for a while
  bailiwick approvals revoke 3f2a

The first answer counts, whichever way it came: from here, from the caller's own terminal or MCP client
if it may approve, or over HTTP from a key that may. Other arguments have to fit the tool as the caller's
had to. As long as `--watch` runs, a host has somebody to ask, even where nobody else could answer.";

/// What `--watch` promises, and how often it says so again.
const PRESENT: Duration = Duration::from_secs(10);
const REMIND: Duration = Duration::from_secs(3);
/// How often it is looked for something new.
const LOOK: Duration = Duration::from_millis(250);

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List approvals, the newest first
    List {
        /// In this state: pending, approved, rejected, expired, cancelled, or all
        #[arg(long, value_name = "STATE", default_value = "pending", value_parser = state)]
        state: Chosen,
        /// Show what comes, too, until Ctrl-C
        #[arg(long, short)]
        watch: bool,
    },
    /// Show one approval
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Let a call run
    Approve {
        /// The approval's id, or the beginning of it
        id: String,
        /// With these arguments instead of the caller's
        #[arg(long, value_name = "JSON")]
        arguments: Option<String>,
        /// Let the same caller run the same tool with the same arguments for so long, 1m to 24h
        #[arg(long = "for", value_name = "TIME", value_parser = minutes)]
        minutes: Option<u32>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Keep a call from running
    Reject {
        /// The approval's id, or the beginning of it
        id: String,
        /// Why; the caller is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List answers that stand for a while
    Standing,
    /// Take back an answer that stands
    Revoke {
        /// Its id, or the beginning of it
        id: String,
    },
}

impl Default for Action {
    fn default() -> Self {
        Self::List { state: Chosen(Some(State::Pending)), watch: false }
    }
}

/// One state, or all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen(Option<State>);

fn state(text: &str) -> Result<Chosen, String> {
    if text == "all" {
        return Ok(Chosen(None));
    }
    let all = State::ALL.map(State::as_str).join(", ");
    State::parse(text).map(|state| Chosen(Some(state))).ok_or_else(|| format!("there are {all}, all"))
}

pub(super) fn run(terminal: &Terminal, global: &Global, action: Action) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let folder = settings::state_folder(&settings.config);
    let folder = folder.ok_or_else(|| start::cannot_start(&StartError::NoFolder("state", "state")))?;
    let counter = Counter::open(&folder).map_err(unusable)?;
    match action {
        Action::List { state, watch: false } => list(terminal, &counter, state),
        Action::List { state: _, watch: true } => watch(terminal, &counter),
        Action::Show { id } => {
            let entry = named(&counter, &id)?;
            print(terminal, &json!(entry), || long(&entry))
        }
        Action::Approve { id, arguments, minutes, reason } => {
            if let Some(arguments) = &arguments {
                let parsed = schema::parse(arguments).map(|value| value.is_object());
                if parsed != Ok(true) {
                    return Err(Trouble::new(Exit::Usage, "usage.argument", "`--arguments` takes a JSON object"));
                }
            }
            answer(terminal, &counter, &id, Reply { decision: Decision::Approve { arguments, minutes }, reason })
        }
        Action::Reject { id, reason } => answer(terminal, &counter, &id, Reply { decision: Decision::Reject, reason }),
        Action::Standing => standing(terminal, &counter),
        Action::Revoke { id } => revoke(terminal, &counter, &id),
    }
}

fn unusable(error: StoreError) -> Trouble {
    start::cannot_start(&StartError::Store(error))
}

fn print(terminal: &Terminal, json: &serde_json::Value, text: impl FnOnce() -> String) -> Result<Exit, Trouble> {
    if terminal.json {
        terminal.print_json(json)?;
    } else {
        terminal.print(&text())?;
    }
    Ok(Exit::Done)
}

fn list(terminal: &Terminal, counter: &Counter, Chosen(state): Chosen) -> Result<Exit, Trouble> {
    let entries = counter.list(state).map_err(unusable)?;
    let text = || match entries.is_empty() {
        true => "nothing\n".to_owned(),
        false => entries.iter().map(short).collect(),
    };
    print(terminal, &json!({"approvals": entries}), text)
}

/// Shows what waits and what comes. Ends when nobody reads any more.
fn watch(terminal: &Terminal, counter: &Counter) -> Result<Exit, Trouble> {
    let (mut seen, mut known, mut reminded) = (None, Vec::<String>::new(), None::<std::time::Instant>);
    terminal.hint("waiting for calls that need a person; Ctrl-C ends this");
    loop {
        if reminded.is_none_or(|at| at.elapsed() > REMIND) {
            counter.look(PRESENT).map_err(unusable)?;
            reminded = Some(std::time::Instant::now());
        }
        let version = counter.version().map_err(unusable)?;
        if seen.replace(version) != Some(version) {
            let pending = counter.list(Some(State::Pending)).map_err(unusable)?;
            for entry in pending.iter().rev().filter(|entry| !known.contains(&entry.id)) {
                let text = match terminal.json {
                    true => visible_json(&format!("{}\n", json!(entry))).into_owned(),
                    false => long(entry),
                };
                if !terminal.offer(&text)? {
                    return Ok(Exit::Done);
                }
            }
            known = pending.into_iter().map(|entry| entry.id).collect();
        }
        std::thread::sleep(LOOK);
    }
}

/// The approval whose id begins like this.
fn named(counter: &Counter, text: &str) -> Result<Entry, Trouble> {
    if let Some(id) = ApprovalId::parse(text) {
        return counter.one(&id).map_err(unusable)?.ok_or_else(|| unknown(text));
    }
    let mut found = counter.list(None).map_err(unusable)?;
    found.retain(|entry| text.len() >= 4 && entry.id.starts_with(text));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(unknown(text)),
        many => Err(ambiguous(text, many)),
    }
}

fn unknown(text: &str) -> Trouble {
    let message = format!("there is no approval `{}`", visible(text));
    let trouble = Trouble::new(Exit::Arguments, "approval.unknown", &message);
    trouble
        .with("fix", "`bailiwick approvals list --state all` shows what there is; four characters of an id are enough")
}

fn ambiguous(text: &str, many: usize) -> Trouble {
    let message = format!("{many} ids begin with `{}`", visible(text));
    Trouble::new(Exit::Arguments, "approval.ambiguous", &message)
}

fn answer(terminal: &Terminal, counter: &Counter, id: &str, reply: Reply) -> Result<Exit, Trouble> {
    let found = named(counter, id)?;
    // What is stored under its own name is one.
    let id = ApprovalId::parse(&found.id).ok_or_else(|| unknown(id))?;
    let entry = counter.answer(&id, "cli", &reply).map_err(|error| {
        let exit = match &error {
            AnswerError::Unknown(_) | AnswerError::Arguments(_) => Exit::Arguments,
            AnswerError::Settled { .. } | AnswerError::Untaken(_) => Exit::Failed,
            AnswerError::Store(_) => Exit::Start,
        };
        Trouble::new(exit, error.code(), &error.to_string())
    })?;
    print(terminal, &json!(entry), || short(&entry))
}

fn standing(terminal: &Terminal, counter: &Counter) -> Result<Exit, Trouble> {
    let standing = counter.standing().map_err(unusable)?;
    let text = || match standing.is_empty() {
        true => "nothing\n".to_owned(),
        false => standing.iter().map(stands).collect(),
    };
    print(terminal, &json!({"standing": standing}), text)
}

fn revoke(terminal: &Terminal, counter: &Counter, text: &str) -> Result<Exit, Trouble> {
    let mut found = counter.standing().map_err(unusable)?;
    found.retain(|standing| text.len() >= 4 && standing.id.starts_with(text));
    if found.len() > 1 {
        return Err(ambiguous(text, found.len()));
    }
    let id = found.first().and_then(|standing| ApprovalId::parse(&standing.id));
    let gone = id.as_ref().map(|id| counter.revoke(id)).transpose().map_err(unusable)?;
    match (found.first(), gone) {
        (Some(standing), Some(true)) => {
            print(terminal, &json!({"revoked": standing.id}), || format!("revoked {}\n", standing.id))
        }
        (_, _) => {
            let message = format!("there is no standing answer `{}`", visible(text));
            let trouble = Trouble::new(Exit::Arguments, "approval.unknown", &message);
            Err(trouble.with("fix", "`bailiwick approvals standing` shows what there is"))
        }
    }
}

/// One approval on one line.
fn short(entry: &Entry) -> String {
    let style = match entry.state {
        "pending" => YELLOW,
        "approved" => GREEN,
        "rejected" => RED,
        _ => DIM,
    };
    let by = entry.by.as_deref().map(|by| format!(" by {}", visible(by))).unwrap_or_default();
    let (id, state, sentence) = (&entry.id, entry.state, entry.facts.sentence());
    format!("{DIM}{id}{DIM:#}  {style}{state}{style:#}{by}  {sentence}\n")
}

/// One approval with all there is to know.
fn long(entry: &Entry) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}  {}\n", entry.id, entry.state);
    let _ = writeln!(text, "  {}", entry.facts.text());
    let _ = writeln!(text, "  {DIM}since {}, until {}, call {}{DIM:#}", entry.created, entry.expires, entry.call);
    if let Some(by) = &entry.by {
        let answer = entry.answer.as_ref().map(|answer| visible_json(&answer.to_string()).into_owned());
        let at = entry.settled.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  answered by {} at {at}: {}", visible(by), answer.unwrap_or_default());
    }
    if entry.state == State::Pending.as_str() {
        let id = &entry.id[..8.min(entry.id.len())];
        let _ = writeln!(text, "  `bailiwick approvals approve {id}` or `reject {id}`");
    }
    text
}

fn stands(standing: &Standing) -> String {
    let Standing { id, facts, by, expires, .. } = standing;
    format!("{DIM}{id}{DIM:#}  until {expires}, by {}  {}\n", visible(by), facts.sentence())
}
