//! Who asks for what.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::grant::NetGrants;
use crate::name::{PluginName, ToolName};
use crate::trace::TraceContext;

/// One request to run a tool, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    /// Unique within the host's state directory; names the call in the log, the audit and artifacts.
    pub id: CallId,
    /// The name the caller wrote.
    pub tool: String,
    /// A JSON object as text; empty text stands for `{}`.
    pub arguments: String,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What trace it is part of, if any.
    pub trace: Option<TraceContext>,
    /// Names the session it came in, where there are sessions: a plugin may keep something for each.
    pub session: Option<Arc<str>>,
}

/// The name of one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Arc<str>);

impl CallId {
    /// `id` should be unique and fit for a file name; the host makes them of a counter and random bits.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks, and what they may ask for.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Shown in the audit, for example `cli`, `mcp-stdio` or `key:ci`. What is counted is counted under this name.
    pub name: String,
    /// The tools this caller may see and call.
    pub tools: Selector,
    /// What it may do beside seeing them.
    pub may: May,
    /// How much of it; nothing here means that only the host's own limits count.
    pub budget: Budget,
    /// The `[policies.NAME]` table that says so, where one does.
    pub policy: Option<String>,
    /// The most that tools it makes may reach.
    pub ceiling: Ceiling,
}

impl Caller {
    /// The person who started this process: may use every tool the configuration allows.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        let (tools, may, budget) = (Selector::all(), May::EVERYTHING, Budget::default());
        Self { name: name.to_owned(), tools, may, budget, policy: None, ceiling: Ceiling::Open }
    }

    /// A caller under a policy.
    #[must_use]
    pub fn under(name: &str, policy: &Policy) -> Self {
        let name_of_policy = Some(policy.name.clone()).filter(|name| !name.is_empty());
        Self {
            name: name.to_owned(),
            tools: policy.tools.clone(),
            may: policy.may,
            budget: policy.budget,
            policy: name_of_policy,
            ceiling: policy.ceiling.clone(),
        }
    }
}

/// What a caller may do beside seeing tools. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct May {
    /// Run them.
    pub execute: bool,
    /// Answer when a person is asked for a call, its own too.
    pub approve: bool,
    /// Manage what is loaded, and see how the host does.
    pub manage: bool,
}

impl May {
    /// All of it.
    pub const EVERYTHING: Self = Self { execute: true, approve: true, manage: true };
}

/// How much a caller may have in a length of time. None means no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls.
    pub calls: Option<u32>,
    /// Time that calls take, together.
    pub time: Option<Duration>,
    /// Bytes of results.
    pub bytes: Option<u64>,
    /// The length of time.
    pub per: Duration,
}

impl Budget {
    /// What is counted over where the configuration says nothing: a day.
    pub const DEFAULT_PER: Duration = Duration::from_secs(24 * 3_600);
}

impl Default for Budget {
    fn default() -> Self {
        Self { calls: None, time: None, bytes: None, per: Self::DEFAULT_PER }
    }
}

/// What callers of one sort may do: one `[policies.NAME]` table. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its name; empty for rights that were given to one key alone.
    pub name: String,
    /// The tools they see.
    pub tools: Selector,
    /// What they may do with them.
    pub may: May,
    /// Requests in a minute; 0 means no limit, none what holds for all keys.
    pub per_minute: Option<u32>,
    /// How much they may have.
    pub budget: Budget,
    /// The most that tools they make may reach.
    pub ceiling: Ceiling,
}

/// The most that tools which a caller makes may reach. The default is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceiling {
    /// Whatever the one who makes them says: that is the operator.
    Open,
    /// What these grants let through.
    Within(Arc<NetGrants>),
}

impl Default for Ceiling {
    fn default() -> Self {
        Self::Within(Arc::default())
    }
}

/// A set of tools: `[]` none, `["*"]` all, `["a", "b"]` these, `["*", "!a"]` all but these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    all: bool,
    named: Vec<String>,
    excluded: Vec<String>,
}

impl Selector {
    /// Every tool.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, named: Vec::new(), excluded: Vec::new() }
    }

    /// No tool; what an absent or empty list means.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a list of `*`, names and `!names`. Names nobody has are kept: the tool may come later.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let mut selector = Self::none();
        for entry in entries {
            match entry.strip_prefix('!') {
                Some(name) => selector.excluded.push(name.to_owned()),
                None if entry == "*" => selector.all = true,
                None => selector.named.push(entry.to_owned()),
            }
        }
        selector
    }

    /// Whether the prompts and resources of `plugin` are in the set: by `*` or `context:PLUGIN`, unless `!context:PLUGIN`
    /// takes them out.
    #[must_use]
    pub fn has_context(&self, plugin: &PluginName) -> bool {
        let is = |entry: &String| entry.strip_prefix("context:") == Some(plugin.as_str());
        (self.all || self.named.iter().any(is)) && !self.excluded.iter().any(is)
    }

    /// Whether `tool` is in the set. An exclusion always wins.
    #[must_use]
    pub fn contains(&self, tool: &ToolName) -> bool {
        let name: &str = tool.as_ref();
        (self.all || self.named.iter().any(|n| n == name)) && !self.excluded.iter().any(|n| n == name)
    }

    /// Whether `tool` is taken out of the set.
    #[must_use]
    pub fn excludes(&self, tool: &ToolName) -> bool {
        self.excluded.iter().any(|name| name == tool.as_str())
    }

    /// The same for a tool that callers come to by way of another, `whole`: who has that has the part, but for an
    /// exclusion of either.
    #[must_use]
    pub fn contains_part(&self, part: &ToolName, whole: &ToolName) -> bool {
        let has = |list: &[String], tool: &ToolName| list.iter().any(|name| name == tool.as_str());
        (self.all || has(&self.named, part) || has(&self.named, whole))
            && !has(&self.excluded, part)
            && !has(&self.excluded, whole)
    }

    /// The list it is read from, in one order.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        let all = self.all.then(|| "*".to_owned());
        let excluded = self.excluded.iter().map(|name| format!("!{name}"));
        all.into_iter().chain(self.named.iter().cloned()).chain(excluded).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entries: &[&str], tool: &str, expected: bool) {
        let tool = ToolName::parse(tool).unwrap();
        assert_eq!(Selector::of(entries.iter().copied()).contains(&tool), expected);
    }

    #[test]
    fn an_empty_list_means_none() {
        check(&[], "read", false);
        check(&["*"], "read", true);
    }

    #[test]
    fn an_exclusion_wins() {
        check(&["*", "!read"], "read", false);
        check(&["read", "!read"], "read", false);
        check(&["*", "!read"], "write", true);
    }

    #[test]
    fn a_list_is_what_it_was_read_from() {
        for list in [&[][..], &["*"], &["a", "b"], &["*", "!a"]] {
            assert_eq!(Selector::of(list.iter().copied()).entries(), list);
        }
    }

    #[test]
    fn who_has_a_tool_has_its_parts_but_for_an_exclusion() {
        let (part, whole) = (ToolName::parse("hub__read").unwrap(), ToolName::parse("hub").unwrap());
        let has = |entries: &[&str]| Selector::of(entries.iter().copied()).contains_part(&part, &whole);
        assert!(has(&["*"]) && has(&["hub"]) && has(&["hub__read"]));
        assert!(!has(&[]) && !has(&["read"]) && !has(&["*", "!hub"]) && !has(&["hub", "!hub__read"]));
    }

    #[test]
    fn context_is_had_by_plugin() {
        let has =
            |entries: &[&str]| Selector::of(entries.iter().copied()).has_context(&PluginName::parse("house").unwrap());
        assert!(has(&["*"]) && has(&["context:house"]));
        assert!(!has(&[]) && !has(&["house"]) && !has(&["context:other"]) && !has(&["*", "!context:house"]));
    }

    #[test]
    fn names_are_whole_names() {
        check(&["read"], "read", true);
        check(&["read"], "reader", false);
    }
}
