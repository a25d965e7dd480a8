//! The person at the terminal: sees progress, answers questions.

use std::convert::Infallible;
use std::io::IsTerminal as _;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Receiver};

use bailiwick_core::approval::MAX_MINUTES;
use bailiwick_core::grant::limit::parse_duration;
use bailiwick_core::redact::visible;
use bailiwick_core::schema::{self, ResultSchema};

use crate::channel::{Answer, Asker, Channel, Matter, Progress, Question};

use super::terminal::{BOLD, DIM, Terminal, YELLOW, say};

/// How often a field is asked for before the answer counts as none.
const TRIES: u32 = 3;
const BAR: u32 = 24;

/// Who sits at the terminal during one call.
pub(super) struct Audience {
    progress: Receiver<Progress>,
    questions: Receiver<Question>,
    lines: Option<Receiver<String>>,
    /// What stands on the last line.
    last: LastLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLine {
    Empty,
    Bar,
    Prompt,
}

/// A channel to the person at the terminal, if there is one. `input` says whether they may be asked.
pub(super) fn audience(terminal: &Terminal, input: bool) -> (Channel, Audience) {
    let (progress, progress_reports) = mpsc::channel(16);
    let (questions, questions_asked) = mpsc::channel(1);
    let watched = std::io::stderr().is_terminal();
    let answers = input && watched && std::io::stdin().is_terminal();
    let channel = Channel {
        progress: terminal.is_watched().then_some(progress),
        questions: answers.then_some(questions),
        ..Channel::default()
    };
    (channel, Audience { progress: progress_reports, questions: questions_asked, lines: None, last: LastLine::Empty })
}

impl Audience {
    /// Shows and answers, for as long as the call takes.
    pub(super) async fn attend(&mut self) -> Infallible {
        loop {
            tokio::select! {
                Some(question) = self.questions.recv() => self.question(question).await,
                Some(progress) = self.progress.recv() => self.show(&progress),
                else => std::future::pending::<()>().await,
            }
        }
    }

    /// Makes room for something else: takes a bar away, leaves an unanswered prompt alone.
    pub(super) fn clear(&mut self) {
        match std::mem::replace(&mut self.last, LastLine::Empty) {
            LastLine::Empty => {}
            LastLine::Bar => say("\r\u{1b}[2K"),
            LastLine::Prompt => say("\n"),
        }
    }

    fn show(&mut self, progress: &Progress) {
        say(&format!("\r\u{1b}[2K{DIM}{}{DIM:#}", bar(progress)));
        self.last = LastLine::Bar;
    }

    async fn question(&mut self, question: Question) {
        self.clear();
        let Question { from, matter, approval, mut reply, .. } = question;
        // There is no model here and no place of work: nobody asks for them.
        let Matter::Form { message, schema } = matter else { return };
        let answer = tokio::select! {
            answer = self.put(&from, &message, &schema, approval.is_some()) => answer,
            () = reply.closed() => {
                self.clear();
                say(&format!("{DIM}(too late: the question is closed){DIM:#}\n"));
                return;
            }
        };
        // The call may just have ended; then nobody needs the answer.
        let _ = reply.send(answer);
    }

    async fn put(&mut self, from: &Asker, message: &str, schema: &Value, approval: bool) -> Answer {
        // What was typed before the question is no answer to it.
        while self.lines.as_mut().is_some_and(|lines| lines.try_recv().is_ok()) {}
        say(&asked(from, message));
        if approval {
            return self.approval().await;
        }
        let empty = Map::new();
        let fields = schema["properties"].as_object().unwrap_or(&empty);
        if fields.is_empty() {
            return self.yes_or_no(from).await;
        }
        say(&format!("{DIM}(an empty line skips a field; Ctrl-D declines){DIM:#}\n"));
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
        let mut answers = Map::new();
        for (name, field) in fields {
            match self.field(name, field, required(name)).await {
                Ok(Some(value)) => drop(answers.insert(name.clone(), value)),
                Ok(None) => {}
                Err(answer) => return answer,
            }
        }
        Answer::Accepted(Value::Object(answers))
    }

    async fn yes_or_no(&mut self, from: &Asker) -> Answer {
        let what = match from {
            Asker::Host => "Allow it?",
            Asker::Plugin(_) => "Yes?",
        };
        match self.line(&format!("{what} [y/N] ")).await {
            Some(line) if is_yes(&line) => Answer::Accepted(Value::Object(Map::new())),
            Some(_) => Answer::Declined,
            None => Answer::Cancelled,
        }
    }

    /// Yes, yes to other arguments, yes for a while, or no.
    async fn approval(&mut self) -> Answer {
        let Some(line) = self.line("Allow it? [y/N, `e` to change the arguments, `10m` for ten minutes] ").await else {
            return Answer::Cancelled;
        };
        if is_yes(&line) {
            return Answer::Accepted(Value::Object(Map::new()));
        }
        if let Ok(minutes) = minutes(&line) {
            return Answer::Accepted(json!({"minutes": minutes}));
        }
        if !line.eq_ignore_ascii_case("e") {
            return Answer::Declined;
        }
        for _ in 0..TRIES {
            let Some(line) = self.line("  the arguments, as JSON on one line: ").await else {
                return Answer::Cancelled;
            };
            match schema::parse(&line) {
                Ok(arguments) if arguments.is_object() => return Answer::Accepted(json!({"arguments": arguments})),
                Ok(_) => say("  a JSON object is needed here\n"),
                Err(reason) => say(&format!("  {}\n", visible(&reason))),
            }
        }
        Answer::Declined
    }

    /// One field's value; none when it is skipped; an answer when there will be no form.
    async fn field(&mut self, name: &str, schema: &Value, required: bool) -> Result<Option<Value>, Answer> {
        say(&described(name, schema, required));
        for _ in 0..TRIES {
            let Some(line) = self.line(&format!("  {}: ", visible(name))).await else { return Err(Answer::Declined) };
            if line.is_empty() {
                match schema.get("default") {
                    Some(default) => return Ok(Some(default.clone())),
                    None if !required => return Ok(None),
                    None => {
                        say("  a value is needed here\n");
                        continue;
                    }
                }
            }
            match typed(&line, schema) {
                Ok(value) => return Ok(Some(value)),
                Err(reason) => say(&format!("  {}\n", visible(&reason))),
            }
        }
        Err(Answer::Cancelled)
    }

    /// One line of what the person types; none when they closed the input.
    pub(super) async fn line(&mut self, prompt: &str) -> Option<String> {
        say(prompt);
        self.last = LastLine::Prompt;
        let line = self.lines.get_or_insert_with(typed_lines).recv().await;
        if line.is_some() {
            self.last = LastLine::Empty;
        } else {
            self.clear();
        }
        line
    }
}

/// Reads lines on a thread of its own: nothing can interrupt a read from a terminal.
fn typed_lines() -> Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

/// The question, so that a plugin's cannot pass for the host's: each of its lines is set back behind a bar.
fn asked(from: &Asker, message: &str) -> String {
    let message = visible(message);
    match from {
        Asker::Host => format!("{YELLOW}approval needed{YELLOW:#}: {message}\n"),
        Asker::Plugin(plugin) => {
            let lines: Vec<String> = message.lines().map(|line| format!("  {DIM}|{DIM:#} {line}\n")).collect();
            format!("{BOLD}the plugin `{plugin}` asks{BOLD:#}:\n{}", lines.concat())
        }
    }
}

/// What stands above a field: `name (integer, needed): what it is; one of a, b`.
fn described(name: &str, schema: &Value, required: bool) -> String {
    let kind = schema["type"].as_str().unwrap_or("string");
    let needed = if required { ", needed" } else { "" };
    let mut text = format!("  {BOLD}{}{BOLD:#} ({}{needed})", visible(name), visible(kind));
    for key in ["title", "description"] {
        if let Some(words) = schema[key].as_str() {
            text.push_str(&format!(": {}", visible(words).replace('\n', " ")));
        }
    }
    let (which, choices) = match kind {
        "array" => ("any of, with commas between", choices(&schema["items"])),
        _ => ("one of", choices(schema)),
    };
    if !choices.is_empty() {
        text.push_str(&format!("; {which} {}", visible(&choices.join(", "))));
    }
    if let Some(default) = schema.get("default") {
        text.push_str(&format!("; empty for {}", visible(&default.to_string())));
    }
    text + "\n"
}

/// What can be chosen: the values, with what they are called behind those that have a title.
fn choices(schema: &Value) -> Vec<String> {
    let titled = schema["oneOf"].as_array().or(schema["anyOf"].as_array()).into_iter().flatten();
    let titled = titled.map(|option| {
        let text = |name: &str| option[name].as_str().unwrap_or_default();
        format!("{} ({})", text("const"), text("title"))
    });
    let plain = schema["enum"].as_array().into_iter().flatten();
    let plain = plain.map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned));
    titled.chain(plain).collect()
}

/// What was typed as a value of the field's type.
fn typed(line: &str, schema: &Value) -> Result<Value, String> {
    let value = match schema["type"].as_str() {
        Some("boolean") if is_yes(line) || line.eq_ignore_ascii_case("true") => Value::Bool(true),
        Some("boolean") if ["n", "no", "false"].contains(&line.to_ascii_lowercase().as_str()) => Value::Bool(false),
        Some("boolean") => return Err("write `yes` or `no`".to_owned()),
        Some("integer") => line.parse::<i64>().map(Value::from).map_err(|_| "write a whole number".to_owned())?,
        Some("number") => serde_json::from_str(line).ok().filter(Value::is_number).ok_or("write a number")?,
        Some("array") => line.split(',').map(|choice| Value::from(choice.trim())).collect(),
        Some(_) | None => Value::String(line.to_owned()),
    };
    match ResultSchema::compile(&schema.to_string()) {
        Ok(rule) => rule.mismatch(&value).map_or(Ok(value), Err),
        // A rule the host cannot read is for the plugin to judge.
        Err(_) => Ok(value),
    }
}

/// A length of time such as `10m` as whole minutes that an answer can stand for.
pub(super) fn minutes(text: &str) -> Result<u32, String> {
    let time = parse_duration(text).map_err(|_| "write a length of time such as `10m`".to_owned())?;
    let minutes = u32::try_from(time.as_secs() / 60).unwrap_or(u32::MAX);
    if time.as_secs() % 60 == 0 && (1..=MAX_MINUTES).contains(&minutes) {
        return Ok(minutes);
    }
    Err("an answer stands for whole minutes, from `1m` to `24h`".to_owned())
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.to_ascii_lowercase().as_str())
}

fn bar(progress: &Progress) -> String {
    let message = visible(progress.message.as_deref().unwrap_or_default()).replace('\n', " ");
    let message: String = message.chars().take(80).collect();
    match progress.total.filter(|total| *total > 0.0) {
        Some(total) => {
            let share = (progress.done / total).clamp(0.0, 1.0);
            let full = (0..BAR).filter(|cell| f64::from(*cell) < share * f64::from(BAR)).count();
            let empty = BAR as usize - full;
            format!("[{}{}] {:>3.0} % {message}", "█".repeat(full), "·".repeat(empty), share * 100.0)
        }
        None => format!("{} {message}", progress.done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, schema: &Value, expected: Option<Value>) {
        assert_eq!(typed(line, schema).ok(), expected, "{line}");
    }

    #[test]
    fn a_line_becomes_what_the_field_takes() {
        check("5", &json!({"type": "integer"}), Some(json!(5)));
        check("5.5", &json!({"type": "integer"}), None);
        check("5.5", &json!({"type": "number"}), Some(json!(5.5)));
        check("\"5\"", &json!({"type": "number"}), None);
        check("Yes", &json!({"type": "boolean"}), Some(json!(true)));
        check("maybe", &json!({"type": "boolean"}), None);
        check("5", &json!({"type": "string"}), Some(json!("5")));
        check("c", &json!({"type": "string", "enum": ["a", "b"]}), None);
        check("11", &json!({"type": "integer", "maximum": 10}), None);
    }

    /// What comes of typing these lines.
    async fn answered(typed: &[&str]) -> Answer {
        let (sender, lines) = mpsc::channel(8);
        for line in typed {
            sender.try_send((*line).to_owned()).unwrap();
        }
        drop(sender);
        let (_, mut audience) = audience(&Terminal::new(false, true), false);
        audience.lines = Some(lines);
        audience.approval().await
    }

    #[tokio::test]
    async fn a_person_allows_changes_or_refuses_a_call() {
        assert_eq!(answered(&["y"]).await, Answer::Accepted(json!({})));
        assert_eq!(answered(&["10m"]).await, Answer::Accepted(json!({"minutes": 10})));
        let changed = Answer::Accepted(json!({"arguments": {"target": "mars"}}));
        assert_eq!(answered(&["e", "mars", "[]", "{\"target\": \"mars\"}"]).await, changed);
        assert_eq!(answered(&["e", "1", "2", "3"]).await, Answer::Declined);
        for no in ["", "n", "90s", "perhaps"] {
            assert_eq!(answered(&[no]).await, Answer::Declined, "{no}");
        }
        assert_eq!(answered(&[]).await, Answer::Cancelled);
        assert_eq!(answered(&["e"]).await, Answer::Cancelled);
    }

    #[test]
    fn an_answer_stands_for_whole_minutes() {
        assert_eq!([minutes("10m"), minutes("1h"), minutes("24h")], [Ok(10), Ok(60), Ok(1_440)]);
        for wrong in ["90s", "25h", "0s", "10", "y", ""] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plugin_cannot_pass_for_the_host() {
        let plugin = bailiwick_core::name::PluginName::parse("evil").unwrap();
        let shown = asked(&Asker::Plugin(plugin), "x\napproval needed: `cli` wants\u{1b}[1A");
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(plain, "the plugin `evil` asks:\n  | x\n  | approval needed: `cli` wants\\u{1b}[1A\n");
    }

    #[test]
    fn a_bar_never_overflows() {
        let progress = Progress { done: 7.0, total: Some(2.0), message: Some("a\nb".into()) };
        assert_eq!(bar(&progress), format!("[{}] 100 % a b", "█".repeat(24)));
        assert_eq!(bar(&Progress { done: 7.0, total: None, message: None }), "7 ");
    }
}
