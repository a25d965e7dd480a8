//! The `[plugins.NAME.tools.TOOL]` tables and every `limits`: a tool's rule narrows what its plugin has, never widens it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::{LimitsTable, ToolTable};
use super::mistake::{Mistake, Place, code};
use super::plugin::Within;
use super::reader::{At, Bytes, Named, Time, closest, joined};
use super::{Effective, Plugin, ToolRule, Typing};
use crate::grant::limit::{Limits, Size, SomeLimits, Span};
use crate::grant::{FsGrants, Grants, NetGrants, Section};
use crate::name::SecretName;

/// The rule for every tool, where its own says nothing.
const EVERY: &str = "*";

impl Plugin {
    /// Puts together what holds for one tool: its own rule, then the rule for `*`, then the plugin's.
    pub fn rules_for(&self, tool: &str) -> Effective {
        let rules: Vec<&ToolRule> = [self.tools.get(tool), self.tools.get(EVERY)].into_iter().flatten().collect();
        let first_arguments = rules.iter().find_map(|rule| rule.arguments.clone());
        let mut inject = self.inject.clone();
        for rule in rules.iter().rev() {
            inject.extend(rule.inject.clone());
        }
        Effective {
            allowed: rules.iter().find_map(|rule| rule.allow).unwrap_or(true),
            grants: self.grants_within(&rules),
            limits: rules.iter().rev().fold(self.limits.clone(), |limits, rule| rule.limits.over(&limits)),
            approval: rules.iter().find_map(|rule| rule.approval).unwrap_or(self.approval),
            arguments: self.arguments.iter().cloned().chain(first_arguments).collect(),
            inject,
        }
    }

    /// The table that narrows which secrets a tool may use, if one does.
    pub fn secrets_table(&self, tool: &str) -> Option<&Section> {
        let rules = [self.tools.get(tool), self.tools.get(EVERY)].into_iter().flatten();
        rules.filter(|rule| rule.secrets.is_some()).map(|rule| &rule.section).next()
    }

    fn grants_within(&self, rules: &[&ToolRule]) -> Arc<Grants> {
        let Some(nearest) = rules.first() else {
            return Arc::clone(&self.grants);
        };
        let mut grants = Grants::clone(&self.grants);
        if let Some(net) = rules.iter().find_map(|rule| rule.net.clone()) {
            grants.net = net;
        }
        if let Some(fs) = rules.iter().find_map(|rule| rule.fs.clone()) {
            grants.fs = fs;
        }
        if let Some(names) = rules.iter().find_map(|rule| rule.secrets.as_ref()) {
            grants.secrets.retain(|secret| names.contains(&secret.name));
        }
        grants.table = nearest.section.table.to_string();
        grants.at = nearest.section.at.to_string();
        Arc::new(grants)
    }
}

impl Typing<'_, '_> {
    pub(super) fn rules(&mut self, tables: Named<At<ToolTable>>, within: &Within<'_>) -> BTreeMap<String, ToolRule> {
        let mut rules = BTreeMap::new();
        let tools = joined(within.path, "tools");
        for (name, table) in tables.0 {
            let path = joined(&tools, &name.value);
            let section = self.section(&path, &name.place);
            if name.value != EVERY && self.tool_name(&name).is_none() {
                continue;
            }
            if let Some(tool) = within.alias.get(name.value.as_str()) {
                let message = format!("`{}` is a second name: rules go by the tool's own", name.value);
                let mistake = Mistake::new(code::CONFLICT, name.place.clone(), message);
                self.reading.note(mistake.suggest(format!("write `[{}]`", joined(&tools, tool.as_str()))));
            }
            let rule = self.rule(&path, table.value, section, within);
            rules.insert(name.value, rule);
        }
        rules
    }

    fn rule(&mut self, path: &str, table: ToolTable, section: Section, within: &Within<'_>) -> ToolRule {
        ToolRule {
            allow: table.allow.map(|allow| allow.value),
            net: table.net.map(|list| self.narrowed_net(&list, &section, within)),
            fs: table.fs.map(|list| self.narrowed_fs(&list, &section, within)),
            secrets: table.secrets.map(|list| self.narrowed_secrets(&list.value, within)),
            limits: self.limits(path, table.limits, Some(within.limits)),
            approval: table.approval.map(|approval| approval.value),
            arguments: self.arguments(path, table.arguments),
            inject: table.inject.map(|inject| inject.value.0).unwrap_or_default(),
            section,
        }
    }

    fn narrowed_net(&mut self, list: &At<Vec<At<String>>>, section: &Section, within: &Within<'_>) -> NetGrants {
        let grants = self.net_list(Some(list));
        for grant in grants.iter().filter(|grant| within.net_clean && !within.grants.net.covers(grant)) {
            let granted: Vec<&str> = within.grants.net.iter().map(|grant| grant.text()).collect();
            self.note_wider("net", grant.text(), grant.place(), &granted, within);
        }
        within.grants.net.narrowed(grants, section.clone())
    }

    fn narrowed_fs(&mut self, list: &At<Vec<At<String>>>, section: &Section, within: &Within<'_>) -> FsGrants {
        let grants = self.fs_list(Some(list));
        for grant in grants.iter().filter(|grant| within.fs_clean && !within.grants.fs.covers(grant)) {
            let granted: Vec<&str> = within.grants.fs.iter().map(|grant| grant.text.as_str()).collect();
            self.note_wider("fs", &grant.text, &grant.place, &granted, within);
        }
        let narrowed = within.grants.fs.narrowed(grants, section.clone());
        self.note_hidden(&narrowed);
        narrowed
    }

    /// Two directories that get the same path in the plugin only once they are put below its own.
    fn note_hidden(&mut self, narrowed: &FsGrants) {
        let grants: Vec<_> = narrowed.iter().collect();
        for (at, grant) in grants.iter().enumerate() {
            let twin = grants[..at].iter().find(|known| known.guest == grant.guest && known.host != grant.host);
            if let Some(twin) = twin {
                let message = format!("`{}` and `{}` are both seen as `{}`", twin.text, grant.text, grant.guest);
                self.reading.note(Mistake::new(code::DUPLICATE, grant.place.clone(), message));
            }
        }
    }

    fn narrowed_secrets(&mut self, list: &[At<String>], within: &Within<'_>) -> BTreeSet<SecretName> {
        let known: Vec<&SecretName> = within.grants.secrets.iter().map(|secret| &secret.name).collect();
        let mut names = BTreeSet::new();
        for name in list {
            match known.iter().find(|known| known.as_str() == name.value) {
                Some(known) => {
                    names.insert((*known).clone());
                }
                None if within.secrets_clean => {
                    let message = format!("`[{}]` has no secret `{}`", within.path, name.value);
                    let mut mistake = Mistake::new(code::WIDER, name.place.clone(), message);
                    if let Some(meant) = closest(&name.value, known.iter().map(|known| known.as_str())) {
                        mistake = mistake.suggest(format!("did you mean `{meant}`?"));
                    }
                    let legal: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
                    self.reading.note(match legal.as_slice() {
                        [] => mistake.legal(format!("nothing: `[{}]` has no secrets", within.path)),
                        legal => mistake.legal(legal.join(", ")),
                    });
                }
                None => {}
            }
        }
        names
    }

    fn note_wider(&mut self, key: &str, text: &str, place: &Place, granted: &[&str], within: &Within<'_>) {
        let message =
            format!("`{text}` reaches further than `{key}` of `[{}]`: a tool's rule can only narrow", within.path);
        let mistake = Mistake::new(code::WIDER, place.clone(), message);
        let legal = match granted {
            [] => format!("nothing: `[{}]` has no `{key}`", within.path),
            granted => format!("what lies within `{}`", granted.join("`, `")),
        };
        self.reading.note(mistake.legal(legal));
    }

    /// Reads a `limits` table: each between its least and its most, and a tool's no more than its plugin's.
    pub(super) fn limits(&mut self, path: &str, table: Option<At<LimitsTable>>, plugin: Option<&Limits>) -> SomeLimits {
        let Some(At { value: table, .. }) = table else {
            return SomeLimits::default();
        };
        let path = joined(path, "limits");
        let path = path.as_str();
        let (least, most) = (Limits::LEAST, Limits::MOST);
        macro_rules! limit {
            ($key:ident, $inner:pat => $value:expr, $show:expr) => {
                table.$key.map(|At { value: $inner, place, .. }| {
                    let bounds =
                        Bounds { least: least.$key, most: most.$key, plugin: plugin.map(|plugin| plugin.$key) };
                    self.within_bounds(path, stringify!($key), $value, &place, bounds, $show)
                })
            };
        }
        SomeLimits {
            time: limit!(time, Time(time) => time, |time| Span(time).to_string()),
            memory: limit!(memory, Bytes(size) => size, show_size),
            output: limit!(output, Bytes(size) => size, show_size),
            log: limit!(log, Bytes(size) => size, show_size),
            artifacts: limit!(artifacts, Bytes(size) => size, show_size),
            calls: limit!(calls, count => count, show_count),
            http_requests: limit!(http_requests, count => count, show_count),
            http_concurrent: limit!(http_concurrent, count => count, show_count),
            http_request_body: limit!(http_request_body, Bytes(size) => size, show_size),
            http_response_body: limit!(http_response_body, Bytes(size) => size, show_size),
            handles: limit!(handles, count => count, show_count),
            table_elements: limit!(table_elements, count => count, show_count),
            concurrency: limit!(concurrency, count => count, show_count),
        }
    }

    fn within_bounds<T: PartialOrd + Copy>(
        &mut self,
        path: &str,
        key: &str,
        value: T,
        place: &Place,
        bounds: Bounds<T>,
        show: impl Fn(T) -> String,
    ) -> T {
        let Bounds { least, most, plugin } = bounds;
        if value < least || value > most {
            let mistake = Mistake::new(code::VALUE, place.clone(), format!("`{path}.{key}` cannot be {}", show(value)));
            self.reading.note(mistake.legal(format!("{} to {}", show(least), show(most))));
        } else if let Some(plugin) = plugin.filter(|plugin| value > *plugin) {
            let (asked, given) = (show(value), show(plugin));
            let message =
                format!("`{path}.{key}` is {asked}, more than the plugin's {given}: a tool's rule can only narrow");
            let mistake = Mistake::new(code::WIDER, place.clone(), message);
            self.reading.note(mistake.legal(format!("{} to {given}", show(least))));
        }
        value
    }
}

/// What a limit may be.
struct Bounds<T> {
    least: T,
    most: T,
    plugin: Option<T>,
}

fn show_size(bytes: u64) -> String {
    Size(bytes).to_string()
}

fn show_count(count: u32) -> String {
    count.to_string()
}
