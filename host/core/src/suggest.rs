//! Of what a plugin was refused, the smallest lines that would have allowed it. They are printed and nothing more: no
//! part of the host writes them anywhere.
//!
//! A line is suggested only for what can be judged from here: a public host by its exact name, method and path; a
//! directory that is there; a secret the plugin has already. Whatever leads inward, to this machine, a private network
//! or a cloud's metadata, is named and left to a person. What a plugin claims is marked as its own word.

mod fs;
mod net;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table as Toml, Value};

use crate::config::{self, Plugin, Source};
use crate::grant::{SecretWant, Section, Want, Witness, quoted};
use crate::name::{PluginName, ToolName};
use crate::observation::Observation;

/// What is known of the machine the lines are for.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    /// A directory without links, if there is one at this path.
    pub real_directory: &'g dyn Fn(&Path) -> Option<PathBuf>,
    /// Folders and files the host keeps for itself, without links.
    pub own: &'g [PathBuf],
}

/// What would cover what one plugin asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The plugin.
    pub plugin: PluginName,
    /// `FILE:LINE` of its table.
    pub at: String,
    /// Lines to add, by table, the plugin's own first.
    pub tables: Vec<Table>,
    /// What is left to a person, and why.
    pub withheld: Vec<Withheld>,
    /// How many wants are granted by now.
    pub granted: usize,
}

/// Lines for one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Such as `plugins.fetch`, without brackets.
    pub table: String,
    /// Where it starts.
    pub at: String,
    /// What to add.
    pub lines: Vec<Line>,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The list: `net`, `fs`, `secrets` or `call`.
    pub key: &'static str,
    /// The entry.
    pub grant: String,
    /// The entry whose place it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// What is not plain to see in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Who asked.
    pub asked: Vec<Asked>,
}

/// Something for which no line is suggested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withheld {
    /// What was asked for.
    pub want: String,
    /// Why there is no line for it.
    pub why: String,
    /// What a person could write who knows more. Never for a metadata service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// Who asked.
    pub asked: Vec<Asked>,
}

/// Who asked, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The tool, by the plugin's own name.
    pub tool: ToolName,
    /// Whose word it is.
    pub by: Witness,
    /// In how many calls.
    pub count: u64,
    /// When last.
    pub last: String,
    /// In which call.
    pub call: String,
}

impl Asked {
    fn of(seen: &Observation) -> Self {
        let Observation { tool, by, count, last, call, .. } = seen;
        Self { tool: tool.clone(), by: *by, count: *count, last: last.clone(), call: call.clone() }
    }
}

/// What one want needs.
enum Need<T> {
    /// Nothing: it is granted by now.
    Granted,
    /// A line in each of these tables.
    Lines(Vec<(Section, T)>),
    /// A person.
    Withheld { why: String, by_hand: Option<String> },
}

impl<T> Need<T> {
    fn withheld(why: impl Into<String>) -> Self {
        Self::Withheld { why: why.into(), by_hand: None }
    }

    fn by_hand(why: impl Into<String>, line: impl Into<String>) -> Self {
        Self::Withheld { why: why.into(), by_hand: Some(line.into()) }
    }
}

/// Puts together what `plugin` would need for all that was `observed` of it.
#[must_use]
pub fn suggest(plugin: &Plugin, observed: &[&Observation], ground: &Ground<'_>) -> Suggestion {
    let mut draft = Draft::default();
    for seen in observed {
        let tool = seen.tool.as_str();
        match &seen.want {
            Want::Net(want) => {
                let need = net::need(plugin, tool, want);
                draft.take(seen, need, |table, (), asked| table.net.push((want.clone(), asked)));
            }
            Want::Fs(want) => {
                let need = fs::need(plugin, tool, want, ground);
                draft.take(seen, need, |table, line, asked| table.fs.push((line, asked)));
            }
            Want::Secret(want) => {
                let need = secret(plugin, tool, want);
                draft.take(seen, need, |table, (), asked| {
                    table.secrets.entry(want.name.clone()).or_default().push(asked)
                });
            }
            Want::Setting(name) => draft.take(seen, setting(plugin, name), |_, (), _| {}),
            Want::Call(name) => draft.take(seen, call(plugin, name), |table, (), asked| {
                table.calls.entry(name.to_string()).or_default().push(asked)
            }),
        }
    }
    draft.finish(plugin)
}

/// Lines under way.
#[derive(Default)]
struct Draft {
    tables: BTreeMap<String, DraftTable>,
    withheld: Vec<Withheld>,
    granted: usize,
}

#[derive(Default)]
struct DraftTable {
    at: String,
    net: Vec<(crate::grant::NetWant, Asked)>,
    fs: Vec<(fs::Directory, Asked)>,
    secrets: BTreeMap<String, Vec<Asked>>,
    calls: BTreeMap<String, Vec<Asked>>,
}

impl Draft {
    fn take<T>(&mut self, seen: &Observation, need: Need<T>, add: impl Fn(&mut DraftTable, T, Asked)) {
        match need {
            Need::Granted => self.granted += 1,
            Need::Lines(lines) => {
                for (section, line) in lines {
                    let table = self.tables.entry(section.table.to_string()).or_default();
                    table.at = section.at.to_string();
                    add(table, line, Asked::of(seen));
                }
            }
            Need::Withheld { why, by_hand } => {
                let (want, asked) = (seen.want.to_string(), Asked::of(seen));
                match self.withheld.iter_mut().find(|known| known.want == want && known.why == why) {
                    Some(known) => known.asked.push(asked),
                    None => self.withheld.push(Withheld { want, why, by_hand, asked: vec![asked] }),
                }
            }
        }
    }

    fn finish(self, plugin: &Plugin) -> Suggestion {
        let table = |(table, draft): (String, DraftTable)| {
            // A tool's lines have to lie within the plugin's: there, each stays what was asked for.
            let wide = if table == plugin.grants.table { net::Width::Ids } else { net::Width::Exact };
            let mut lines = net::lines(&draft.net, wide);
            lines.extend(fs::lines(draft.fs));
            let line = |key| move |(grant, asked)| Line { key, grant, instead_of: None, about: None, asked };
            lines.extend(draft.secrets.into_iter().map(line("secrets")));
            lines.extend(draft.calls.into_iter().map(line("call")));
            if table.ends_with(".tools.\"*\"") {
                let shared = || "the rule is for every tool that has none of its own".to_owned();
                for line in &mut lines {
                    line.about.get_or_insert_with(shared);
                }
            }
            Table { table, at: draft.at, lines }
        };
        Suggestion {
            plugin: plugin.name.clone(),
            at: plugin.grants.at.clone(),
            tables: self.tables.into_iter().map(table).collect(),
            withheld: self.withheld,
            granted: self.granted,
        }
    }
}

fn secret(plugin: &Plugin, tool: &str, want: &SecretWant) -> Need<()> {
    let SecretWant { name, reveal } = want;
    let table = &plugin.grants.table;
    let Some(own) = plugin.grants.secret(name) else {
        let line = format!("[{table}.secrets.{name}] with a source (`env`, `file`, `command`), `origin` and `header`");
        return Need::by_hand("the plugin has no secret of this name, and only you know which one it could be", line);
    };
    if plugin.rules_for(tool).grants.secret(name).is_none() {
        return match plugin.secrets_table(tool) {
            Some(section) => Need::Lines(vec![(section.clone(), ())]),
            None => Need::Granted,
        };
    }
    if *reveal && !own.reveal {
        let why = "it is granted for use by the host, and this would hand its value to the plugin";
        return Need::by_hand(why, format!("reveal = true under [{table}.secrets.{name}]"));
    }
    Need::Granted
}

fn setting(plugin: &Plugin, name: &str) -> Need<()> {
    if plugin.config.contains_key(name) {
        return Need::Granted;
    }
    let line = format!("config.{} = … under [{}]", quoted(name), plugin.grants.table);
    Need::by_hand("it is not set, which may be meant so", line)
}

fn call(plugin: &Plugin, tool: &ToolName) -> Need<()> {
    let calls = &plugin.grants.call;
    match calls.line(tool) {
        _ if calls.allows(tool) => Need::Granted,
        Some(_) => Need::Lines(vec![(calls.section().clone(), ())]),
        None => {
            let line = format!("no {} in `call` under [{}]", quoted(&format!("!{tool}")), plugin.grants.table);
            Need::by_hand("`call` takes it out, which may be meant so", line)
        }
    }
}

impl Suggestion {
    /// Leaves only lines with which the file is still right: each is put into `source` and all of it is read again.
    /// What would be a mistake there is withheld, with the mistake.
    #[must_use]
    pub fn checked(mut self, source: &Source, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let Ok(mut file) = source.text.parse::<Toml>() else { return self };
        let Self { tables, withheld, .. } = &mut self;
        for Table { table, lines, .. } in tables.iter_mut() {
            for line in std::mem::take(lines) {
                let mut next = file.clone();
                put(&mut next, table, line.toml());
                match mistake(&next, source, env) {
                    None => {
                        file = next;
                        lines.push(line);
                    }
                    Some(mistake) => withheld.push(line.refused(table, &mistake)),
                }
            }
        }
        tables.retain(|table| !table.lines.is_empty());
        self
    }
}

/// The first thing that is wrong with a file, if it were `file`.
fn mistake(file: &Toml, source: &Source, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let text = match toml::to_string(file) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let mistakes = config::read(&Source { text, ..source.clone() }, env).err()?;
    mistakes.into_iter().next().map(|mistake| mistake.message)
}

impl Line {
    fn toml(&self) -> Toml {
        let list = Value::Array(vec![Value::String(self.grant.clone())]);
        Toml::from_iter([(self.key.to_owned(), list)])
    }

    fn refused(self, table: &str, mistake: &str) -> Withheld {
        let line = format!("{} = [{}]", self.key, quoted(&self.grant));
        let why = format!("`{line}` under [{table}] would be a mistake: {mistake}");
        Withheld { want: line, why, by_hand: None, asked: self.asked }
    }
}

/// Puts lines into a table of a file, such as `plugins.x.tools."*"`: lists grow, and a directory that is granted anew
/// takes the place of its old grant.
pub(crate) fn put(file: &mut Toml, table: &str, lines: Toml) {
    let found = table.split('.').try_fold(file, |table, key| {
        let inner = table.entry(key.trim_matches('"')).or_insert_with(|| Value::Table(Toml::new()));
        inner.as_table_mut()
    });
    if let Some(table) = found {
        merge(table, lines);
    }
}

fn merge(into: &mut Toml, lines: Toml) {
    for (key, value) in lines {
        match (into.get_mut(&key), value) {
            (Some(Value::Array(known)), Value::Array(more)) => {
                for new in more {
                    match known.iter_mut().find(|item| bare(item) == bare(&new)) {
                        Some(old) => *old = new,
                        None => known.push(new),
                    }
                }
            }
            (Some(Value::Table(known)), Value::Table(more)) => merge(known, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A grant without its access.
fn bare(item: &Value) -> Option<&str> {
    let text = item.as_str()?;
    Some(text.strip_suffix(":ro").or(text.strip_suffix(":rw")).unwrap_or(text))
}

#[cfg(test)]
#[path = "suggest_tests.rs"]
mod tests;
