//! `bailiwick.lock` as text: written the same way every time, read with every mistake at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::rights::Rights;
use super::{Lock, Pin, PinnedTool, Published, hints, risk_word};
use crate::config::{Approval, Lines, Mistake, Source};
use crate::name::{PluginName, ToolName};
use crate::redact::is_invisible;
use crate::registry::{Annotations, Risk};

/// The version of the format.
const VERSION: u32 = 1;

const HEADER: &str = "\
# What `bailiwick lock` pinned: review it, commit it, do not edit it.
# A plugin that is not what stands here does not run until `bailiwick lock --accept NAME`.
";

/// The codes of all mistakes in a lock file, for programs; a test has an example of each.
pub mod code {
    /// Not TOML, or not in the shape of a lock.
    pub const SYNTAX: &str = "lock.syntax";
    /// Of a version that this program does not know.
    pub const VERSION: &str = "lock.version";
    /// A value that is not legal.
    pub const VALUE: &str = "lock.value";
    /// A definition that does not have the hash beside it.
    pub const HASH: &str = "lock.hash";

    /// All of them.
    pub const ALL: &[&str] = &[SYNTAX, VERSION, VALUE, HASH];
}

#[derive(Deserialize)]
struct Head {
    version: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "judged before the rest is read")]
    version: u32,
    /// The names of all plugins, so that none is lost with the end of the file or in a merge.
    pinned: Vec<Spanned<String>>,
    #[serde(default)]
    plugins: BTreeMap<Spanned<String>, PluginTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginTable {
    component: Spanned<String>,
    imports: BTreeSet<String>,
    grants: GrantsTable,
    #[serde(default)]
    tools: BTreeMap<Spanned<String>, ToolTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolTable {
    hash: Spanned<String>,
    title: Option<String>,
    risk: Spanned<String>,
    hints: Vec<Spanned<String>>,
    description: String,
    input_schema: String,
    output_schema: Option<String>,
    grants: Option<GrantsTable>,
}

/// What is not there is what a plugin has that was granted nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsTable {
    allow: Option<bool>,
    approval: Option<Spanned<String>>,
    #[serde(default)]
    net: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    danger_metadata_addresses: bool,
    #[serde(default)]
    fs: Vec<String>,
    #[serde(default)]
    call: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    inject: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// What is wrong with it, each at its place. A lock that is wrong in part pins nothing.
    pub fn read(source: &Source) -> Result<Self, Vec<Mistake>> {
        let lines = Lines::of(&source.text);
        let unread = |error: toml::de::Error| {
            let place = lines.place(error.span().unwrap_or(0..0));
            vec![Mistake::new(code::SYNTAX, place, error.message().replace('\n', " "))]
        };
        let head: Head = toml::from_str(&source.text).map_err(unread)?;
        if *head.version.get_ref() != i64::from(VERSION) {
            let message = format!("this program reads lock files of version {VERSION}, not {}", head.version.get_ref());
            let mistake = Mistake::new(code::VERSION, lines.place(head.version.span()), message);
            return Err(vec![mistake.legal("a newer bailiwick, or a lock that this one wrote")]);
        }
        let file: File = toml::from_str(&source.text).map_err(unread)?;
        let mut reading = Reading { lines, mistakes: Vec::new() };
        reading.all_there(&file);
        let plugins = file.plugins.into_iter().filter_map(|(name, table)| reading.plugin(&name, table)).collect();
        if reading.mistakes.is_empty() {
            Ok(Self { file: source.name.clone(), plugins })
        } else {
            reading.mistakes.sort_by_key(|mistake| mistake.place.span.start);
            Err(reading.mistakes)
        }
    }

    /// The text of the file. The same for the same pins, byte for byte.
    pub fn write(&self) -> String {
        let mut text = format!("{HEADER}version = {VERSION}\n");
        let names: Vec<String> = self.plugins.keys().map(ToString::to_string).collect();
        list(&mut text, "pinned", &names);
        for (name, pin) in &self.plugins {
            write_pin(&mut text, name, pin);
        }
        text
    }
}

struct Reading<'t> {
    lines: Lines<'t>,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    fn note(&mut self, code: &'static str, at: &Spanned<String>, message: String, legal: &str) {
        let mistake = Mistake::new(code, self.lines.place(at.span()), message);
        self.mistakes.push(if legal.is_empty() { mistake } else { mistake.legal(legal) });
    }

    /// Checks that each name that is pinned has its table, and each table its name.
    fn all_there(&mut self, file: &File) {
        const LEGAL: &str = "the file as `bailiwick lock` wrote it";
        let has_table = |name: &Spanned<String>| file.plugins.keys().any(|known| known.get_ref() == name.get_ref());
        for name in file.pinned.iter().filter(|name| !has_table(name)) {
            self.note(code::VALUE, name, format!("`{}` is pinned, and its table is not there", name.get_ref()), LEGAL);
        }
        let is_pinned = |name: &Spanned<String>| file.pinned.iter().any(|known| known.get_ref() == name.get_ref());
        for name in file.plugins.keys().filter(|name| !is_pinned(name)) {
            self.note(code::VALUE, name, format!("`{}` is not among what is `pinned`", name.get_ref()), LEGAL);
        }
    }

    fn plugin(&mut self, name: &Spanned<String>, table: PluginTable) -> Option<(PluginName, Pin)> {
        let parsed =
            PluginName::parse(name.get_ref()).map_err(|error| self.note(code::VALUE, name, error.to_string(), "")).ok();
        let component = table.component.get_ref();
        if !is_digest(component) && !component.starts_with("builtin:") {
            let message = format!("`{component}` is neither a digest nor a built-in plugin");
            self.note(code::VALUE, &table.component, message, "`sha256:` and 64 hexadecimal digits, `builtin:NAME`");
        }
        let rights = self.rights(table.grants);
        let (mut tools, mut tool_rights) = (BTreeMap::new(), BTreeMap::new());
        for (name, mut tool) in table.tools {
            if let Some(grants) = tool.grants.take() {
                tool_rights.insert(name.get_ref().clone(), self.rights(grants));
            }
            if let Some(tool) = self.tool(&name, tool) {
                tools.insert(name.into_inner(), tool);
            }
        }
        let published = Published { component: table.component.into_inner(), imports: table.imports, tools };
        Some((parsed?, Pin { published, rights, tool_rights }))
    }

    fn tool(&mut self, name: &Spanned<String>, table: ToolTable) -> Option<PinnedTool> {
        // What is no tool is a prompt or a resource, which has such a name.
        let of_context = ["prompt:", "resource:", "template:"].iter().any(|kind| name.get_ref().starts_with(kind));
        if let (false, Err(error)) = (of_context, ToolName::parse(name.get_ref())) {
            self.note(code::VALUE, name, error.to_string(), "");
        }
        let tool = PinnedTool {
            risk: self.risk(&table.risk)?,
            annotations: self.annotations(&table.hints)?,
            title: table.title,
            description: table.description,
            input_schema: table.input_schema,
            output_schema: table.output_schema,
        };
        if tool.hash(name.get_ref()) != *table.hash.get_ref() {
            let message = format!("`{}` is not defined by what has this hash: it was changed by hand", name.get_ref());
            self.note(code::HASH, &table.hash, message, "the file as `bailiwick lock` wrote it");
        }
        Some(tool)
    }

    fn risk(&mut self, word: &Spanned<String>) -> Option<Risk> {
        let found = [Risk::Low, Risk::Medium, Risk::High].into_iter().find(|risk| risk_word(*risk) == word.get_ref());
        if found.is_none() {
            self.note(code::VALUE, word, format!("`risk` cannot be `{}`", word.get_ref()), "`low`, `medium`, `high`");
        }
        found
    }

    fn annotations(&mut self, words: &[Spanned<String>]) -> Option<Annotations> {
        let mut annotations = Annotations::default();
        for word in words {
            let (said, hint) = match word.get_ref().strip_prefix("not ") {
                Some(hint) => (false, hint),
                None => (true, word.get_ref().as_str()),
            };
            let slot = match hint {
                "read-only" => &mut annotations.read_only,
                "destructive" => &mut annotations.destructive,
                "idempotent" => &mut annotations.idempotent,
                "open-world" => &mut annotations.open_world,
                _ => {
                    let legal =
                        "`read-only`, `destructive`, `idempotent`, `open-world`, each also with `not ` before it";
                    self.note(code::VALUE, word, format!("`{}` is not a hint", word.get_ref()), legal);
                    return None;
                }
            };
            *slot = Some(said);
        }
        Some(annotations)
    }

    fn rights(&mut self, table: GrantsTable) -> Rights {
        let approval = match &table.approval {
            None => Approval::default(),
            Some(word) => {
                let found = Approval::ALL.into_iter().find(|approval| approval.as_str() == word.get_ref());
                found.unwrap_or_else(|| {
                    let message = format!("`approval` cannot be `{}`", word.get_ref());
                    self.note(code::VALUE, word, message, "`auto`, `always`, `never`");
                    Approval::default()
                })
            }
        };
        Rights {
            allowed: table.allow.unwrap_or(true),
            approval,
            net: table.net,
            addresses: table.addresses,
            danger_metadata_addresses: table.danger_metadata_addresses,
            fs: table.fs,
            call: table.call,
            env: table.env,
            secrets: table.secrets,
            inject: table.inject,
            arguments: table.arguments,
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn write_pin(text: &mut String, name: &PluginName, pin: &Pin) {
    let Published { component, imports, tools } = &pin.published;
    line(text, format_args!("\n[plugins.{name}]\ncomponent = {}", quoted(component)));
    list(text, "imports", imports);
    line(text, format_args!("\n[plugins.{name}.grants]"));
    write_rights(text, &pin.rights);
    for (tool, pinned) in tools {
        // The names of tools need no quotes.
        let key = if ToolName::parse(tool).is_ok() { tool.clone() } else { quoted(tool) };
        line(text, format_args!("\n[plugins.{name}.tools.{key}]\nhash = {}", quoted(&pinned.hash(tool))));
        if let Some(title) = &pinned.title {
            line(text, format_args!("title = {}", quoted(title)));
        }
        line(text, format_args!("risk = {}", quoted(risk_word(pinned.risk))));
        let hints: Vec<String> = hints(pinned.annotations).iter().map(|hint| quoted(hint)).collect();
        line(text, format_args!("hints = [{}]", hints.join(", ")));
        line(text, format_args!("description = {}", block(&pinned.description)));
        line(text, format_args!("input_schema = {}", block(&pinned.input_schema)));
        if let Some(schema) = &pinned.output_schema {
            line(text, format_args!("output_schema = {}", block(schema)));
        }
        if let Some(rights) = pin.tool_rights.get(tool) {
            line(text, format_args!("\n[plugins.{name}.tools.{key}.grants]"));
            write_rights(text, rights);
        }
    }
}

fn write_rights(text: &mut String, rights: &Rights) {
    if !rights.allowed {
        line(text, format_args!("allow = false"));
    }
    if rights.approval != Approval::default() {
        line(text, format_args!("approval = {}", quoted(rights.approval.as_str())));
    }
    if rights.danger_metadata_addresses {
        line(text, format_args!("danger_metadata_addresses = true"));
    }
    let lists = [
        ("net", &rights.net),
        ("addresses", &rights.addresses),
        ("fs", &rights.fs),
        ("call", &rights.call),
        ("env", &rights.env),
        ("secrets", &rights.secrets),
        ("inject", &rights.inject),
        ("arguments", &rights.arguments),
    ];
    for (key, lines) in lists {
        if !lines.is_empty() {
            list(text, key, lines);
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything");
}

/// A list with a line for each entry, so that one more entry is one more line for a reviewer.
fn list<'t>(text: &mut String, key: &str, entries: impl IntoIterator<Item = &'t String>) {
    line(text, format_args!("{key} = ["));
    for entry in entries {
        line(text, format_args!("    {},", quoted(entry)));
    }
    line(text, format_args!("]"));
}

/// A text on one line.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|character| escape(character, true)).collect();
    format!("\"{escaped}\"")
}

/// A text on as many lines as it has; what nobody would see is spelled out.
fn block(text: &str) -> String {
    let plain = |character: char| character == '\n' || (!character.is_control() && !is_invisible(character));
    match text {
        text if !text.contains('\n') => quoted(text),
        text if text.chars().all(plain) && !text.contains("''") && !text.ends_with('\'') => format!("'''\n{text}'''"),
        text => {
            let escaped: String = text.chars().map(|character| escape(character, false)).collect();
            format!("\"\"\"\n{escaped}\"\"\"")
        }
    }
}

fn escape(character: char, newlines: bool) -> String {
    match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' if newlines => "\\n".to_owned(),
        '\n' => "\n".to_owned(),
        hidden if hidden.is_control() || is_invisible(hidden) => match u32::from(hidden) {
            code @ 0..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        },
        shown => shown.to_string(),
    }
}
