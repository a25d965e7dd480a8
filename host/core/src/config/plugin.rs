//! One `[plugins.NAME]` table: from text to what it means.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json};

use super::file::{PluginTable, SecretTable, ToolTable};
use super::mistake::{Flaw, Mistake, code, shown};
use super::reader::{AnyText, At, JsonTable, Named, joined};
use super::variables::is_variable;
use super::{Class, ComponentSource, OwnPaths, Plugin, Typing};
use crate::grant::fs::Roots;
use crate::grant::limit::Limits;
use crate::grant::pattern::HostPattern;
use crate::grant::{
    Access, AddressClass, AddressRange, CallGrants, FsGrant, FsGrants, Grants, NetGrant, NetGrants, SecretGrant,
    SecretSource, Section, classify,
};
use crate::name::{PluginName, SecretName, ToolName};
use crate::schema::ArgumentSchema;

type List = At<Vec<At<String>>>;

/// What a service that may be anybody is reached by is so too.
fn net_of(class: Option<&Class>, net: NetGrants) -> NetGrants {
    let unverified = class.and_then(Class::service).is_some_and(|service| service.unverified_tls);
    if unverified { net.with_unverified_tls() } else { net }
}

fn call_grants(list: Option<&List>, section: &Section) -> CallGrants {
    let entries = list.iter().flat_map(|list| &list.value);
    CallGrants::new(entries.map(|entry| entry.value.as_str()), section.clone())
}

impl Typing<'_, '_> {
    pub(super) fn plugin(&mut self, name: &At<String>, table: At<PluginTable>, own: &OwnPaths) -> Option<Plugin> {
        let path = joined("plugins", &name.value);
        let section = self.section(&path, &name.place);
        let parsed_name = PluginName::parse(&name.value);
        if let Err(error) = &parsed_name {
            let mistake =
                Mistake::new(code::VALUE, name.place.clone(), format!("{} is not a plugin name", shown(&name.value)));
            self.reading.note(mistake.legal(error.legal()));
        }
        let mut table = table.value;
        let class = self.class(&path, &name.place, &mut table);
        if let Some(class) = &class {
            self.fits(&path, class, &table);
        }
        let (net, net_clean) =
            self.net(&table.net, &table.addresses, table.danger_metadata_addresses.as_ref(), &section);
        let (fs, fs_clean) = self.fs(table.fs.as_ref(), &section);
        let (secrets, secrets_clean) =
            self.own_secrets(&path, table.secrets.unwrap_or_default(), net_clean.then_some(&net), class.as_ref());
        if let Some(class) = class.as_ref().filter(|_| net_clean && fs_clean) {
            self.can_be_held(class, &net, &fs);
            self.trust_fits(class, &name.place, &net);
            self.workspace_fits(class, &name.place, &fs);
        }
        if fs_clean {
            self.keep_out(&fs, own, class.as_ref(), &secrets);
        }
        let limits = self.limits(&path, table.limits, None);
        let grants = Arc::new(Grants {
            net: net_of(class.as_ref(), net),
            fs,
            call: call_grants(table.call.as_ref(), &section),
            env: self.env(table.env.unwrap_or_default()),
            secrets,
            table: section.table.to_string(),
            at: section.at.to_string(),
        });
        let limits = limits.over(&class.as_ref().map_or(Limits::DEFAULT, Class::limits));
        let alias = self.alias(table.alias.unwrap_or_default());
        let within =
            Within { path: &path, grants: &grants, limits: &limits, alias: &alias, net_clean, fs_clean, secrets_clean };
        let rules: Named<At<ToolTable>> = table.tools.unwrap_or_default();
        let tools = self.rules(rules, &within);
        let config = table.config.unwrap_or_default().0;
        Some(Plugin {
            name: parsed_name.ok()?,
            enabled: table.enabled.is_none_or(|enabled| enabled.value),
            class: class?,
            expose: table.expose.map(|expose| expose.value).unwrap_or_default(),
            prefix: table.prefix.map(|prefix| prefix.value).unwrap_or_default(),
            config: config.into_iter().map(|(key, At { value: AnyText(text), .. })| (key.value, text)).collect(),
            limits,
            approval: table.approval.map(|approval| approval.value).unwrap_or_default(),
            alias,
            arguments: self.arguments(&path, table.arguments),
            inject: table.inject.map(|inject| inject.value.0).unwrap_or_default(),
            tools,
            grants,
            place: name.place.clone(),
            kept: false,
        })
    }

    /// Reads the plugin's secrets, and says whether all of them could be read. With them, and its net, the server at a URL
    /// or the service has to be in reach.
    fn own_secrets(
        &mut self,
        path: &str,
        tables: Named<At<SecretTable>>,
        net: Option<&NetGrants>,
        class: Option<&Class>,
    ) -> (Vec<SecretGrant>, bool) {
        let n_secrets = tables.0.len();
        let remote = class.and_then(Class::remote);
        let service = class.and_then(Class::service);
        // These go to where the host proves who it is, and nowhere else.
        let own: Vec<SecretName> = match (remote, service) {
            (Some(remote), _) => remote.client_secret().cloned().into_iter().collect(),
            (None, Some(service)) => service.login_secrets().to_vec(),
            (None, None) => Vec::new(),
        };
        let secrets = self.secrets(path, tables, net, &own);
        let clean = secrets.len() == n_secrets;
        if let (Some(remote), true) = (remote, clean) {
            self.can_be_reached(path, remote, net, &secrets);
        }
        if let (Some(service), true) = (service, clean) {
            let names: Vec<&SecretName> = secrets.iter().map(|secret| &secret.name).collect();
            self.service_in_reach(path, service, net, &names);
        }
        (secrets, clean)
    }

    fn net(
        &mut self,
        list: &Option<List>,
        addresses: &Option<List>,
        danger: Option<&At<bool>>,
        section: &Section,
    ) -> (NetGrants, bool) {
        let before = self.reading.n_mistakes();
        let clean = list.as_ref().is_none_or(|list| list.clean);
        let grants = self.net_list(list.as_ref());
        let danger = danger.is_some_and(|danger| danger.value);
        self.check_reachable(&grants, danger);
        let mut ranges = Vec::new();
        for range in addresses.iter().flat_map(|list| &list.value) {
            ranges.extend(self.reading.accept(AddressRange::parse(&range.value), &range.place));
        }
        let clean = clean && self.reading.n_mistakes() == before;
        let exact = |grant: &NetGrant| matches!(grant.host(), HostPattern::Name(_));
        if let (true, Some(list), false) = (clean && !ranges.is_empty(), addresses, grants.iter().any(exact)) {
            let message = "`addresses` has no effect: it is for hosts granted by their exact name, and `net` has none";
            self.reading.note(Mistake::new(code::UNUSED, list.place.clone(), message));
        }
        (NetGrants::new(grants, ranges, danger, section.clone()), clean)
    }

    pub(super) fn net_list(&mut self, list: Option<&List>) -> Vec<NetGrant> {
        let mut grants: Vec<NetGrant> = Vec::new();
        for (at, line) in list.iter().flat_map(|list| &list.value).enumerate() {
            let Some(grant) =
                self.reading.accept(NetGrant::parse(&line.value, at + 1, line.place.clone()), &line.place)
            else {
                continue;
            };
            if grants.iter().any(|known| known.text() == grant.text()) {
                let message = format!("`{}` is granted twice", grant.text());
                self.reading.note(Mistake::new(code::DUPLICATE, line.place.clone(), message));
            }
            grants.push(grant);
        }
        grants
    }

    /// An address of a metadata service is a grant only together with the key that says so.
    fn check_reachable(&mut self, grants: &[NetGrant], danger: bool) {
        for grant in grants {
            let HostPattern::Address(address) = grant.host() else {
                continue;
            };
            if classify(*address) == AddressClass::Metadata && !danger {
                let message = format!("`{address}` is a cloud metadata service, which hands out credentials");
                let mistake = Mistake::new(code::CONFLICT, grant.place().clone(), message);
                self.reading.note(mistake.suggest("to allow it, add `danger_metadata_addresses = true`"));
            }
        }
    }

    fn fs(&mut self, list: Option<&List>, section: &Section) -> (FsGrants, bool) {
        let before = self.reading.n_mistakes();
        let grants = self.fs_list(list);
        let clean = list.is_none_or(|list| list.clean) && self.reading.n_mistakes() == before;
        (FsGrants::new(grants, section.clone()), clean)
    }

    pub(super) fn fs_list(&mut self, list: Option<&List>) -> Vec<FsGrant> {
        let home = (self.env)("HOME");
        let roots = Roots { base: &self.source.base, home: home.as_deref() };
        let mut grants: Vec<FsGrant> = Vec::new();
        for line in list.iter().flat_map(|list| &list.value) {
            let parsed = FsGrant::parse(&line.value, roots, line.place.clone());
            let Some(grant) = self.reading.accept(parsed, &line.place) else {
                continue;
            };
            if let Some(mistake) = grants.iter().find_map(|known| fs_clash(known, &grant)) {
                self.reading.note(mistake);
            }
            grants.push(grant);
        }
        grants
    }

    /// Refuses directories through which a plugin could grant itself more or read what it is not to see.
    fn keep_out(&mut self, fs: &FsGrants, own: &OwnPaths, class: Option<&Class>, secrets: &[SecretGrant]) {
        for grant in fs.iter() {
            let writes = grant.access == Access::ReadWrite;
            let mut found: Vec<String> = Vec::new();
            if writes && own.config.starts_with(&grant.host) {
                found.push("it could change this file, and so its own grants".to_owned());
            }
            let touches = |path: &Path| path.starts_with(&grant.host) || grant.host.starts_with(path);
            found.extend(
                own.private.iter().filter(|(path, _)| touches(path)).map(|(_, what)| format!("it could see {what}")),
            );
            if let (true, Some(Class::Component(ComponentSource::Path(wasm)))) = (writes, class)
                && wasm.starts_with(&grant.host)
            {
                found.push("it could replace its own component".to_owned());
            }
            let scripts = class.and_then(Class::process).and_then(|process| process.folder.as_deref());
            if writes && scripts.is_some_and(touches) {
                found.push("it could replace its own scripts".to_owned());
            }
            for secret in secrets.iter().filter(|secret| !secret.reveal) {
                if let SecretSource::File(file) = &secret.source
                    && file.starts_with(&grant.host)
                {
                    found.push(format!("it could read the secret `{}` from its file", secret.name));
                }
            }
            for reason in found {
                let message = format!("the plugin may not have `{}`: {reason}", grant.text);
                let mistake = Mistake::new(code::CONFLICT, grant.place.clone(), message);
                self.reading.note(mistake.suggest("grant a folder beside it"));
            }
        }
    }

    fn env(&mut self, table: Named<At<String>>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for (name, value) in table.0 {
            if !is_variable(&name.value) {
                let message = format!("{} is not a name an environment variable can have", shown(&name.value));
                let mistake = Mistake::new(code::VALUE, name.place, message);
                self.reading.note(mistake.legal("A-Z, a-z, 0-9 and `_`, not starting with a digit"));
            } else if value.value.contains('\0') {
                let message = format!("`{}` holds a NUL, which no environment variable can", name.value);
                self.reading.note(Mistake::new(code::VALUE, value.place, message));
            } else {
                env.insert(name.value, value.value);
            }
        }
        env
    }

    fn alias(&mut self, table: Named<At<String>>) -> BTreeMap<ToolName, ToolName> {
        let mut alias: BTreeMap<ToolName, ToolName> = BTreeMap::new();
        let second_names: Vec<String> = table.0.iter().map(|(name, _)| name.value.clone()).collect();
        for (name, tool) in table.0 {
            let second = self.tool_name(&name);
            let (Some(second), Some(first)) = (second, self.tool_name(&tool)) else {
                continue;
            };
            if second == first {
                let message = format!("`{second}` is a second name for itself");
                self.reading.note(Mistake::new(code::CONFLICT, tool.place, message));
            } else if second_names.contains(&tool.value) {
                let message = format!("`{second}` leads to `{first}`, which is a second name itself");
                self.reading.note(Mistake::new(code::CONFLICT, tool.place, message));
            } else {
                alias.insert(second, first);
            }
        }
        alias
    }

    pub(super) fn tool_name(&mut self, text: &At<String>) -> Option<ToolName> {
        let named = ToolName::parse(&text.value)
            .map_err(|error| Flaw::new(format!("{} is not a tool name", shown(&text.value))).legal(error.legal()));
        self.reading.accept(named, &text.place)
    }

    /// Takes a schema that is laid over a tool's own, if it is one.
    pub(super) fn arguments(&mut self, path: &str, table: Option<At<JsonTable>>) -> Option<Json> {
        let At { value: JsonTable(map), place, .. } = table?;
        let schema = Json::Object(map);
        let overlay = std::slice::from_ref(&schema);
        let compiled = ArgumentSchema::compile(r#"{"type":"object"}"#, overlay, JsonMap::new());
        let usable = compiled.map_err(|error| {
            let reason = error.to_string();
            let reason = reason.strip_prefix("the schema cannot be used: ").unwrap_or(&reason);
            Flaw::new(format!("`{path}.arguments` cannot be used as a JSON Schema: {reason}"))
        });
        self.reading.accept(usable, &place)?;
        Some(schema)
    }
}

pub(super) fn builtin(name: &str) -> Result<String, Flaw> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(word) {
        let flaw = Flaw::new(format!("`builtin:{name}` does not name a built-in plugin"));
        return Err(flaw.legal("`builtin:` and a name of a-z, 0-9 and `-`, such as `builtin:web-fetch`"));
    }
    Ok(name.to_owned())
}

pub(super) fn wasm_file(text: &str) -> Result<(), Flaw> {
    const LEGAL: &str = "`builtin:NAME`, or the path of a `.wasm` file";
    if text.is_empty() {
        return Err(Flaw::new("the path is empty").legal(LEGAL));
    }
    if text.contains("://") {
        return Err(Flaw::new(format!("`{text}` is not a file: components are not downloaded")).legal(LEGAL));
    }
    if text.ends_with(".cwasm") {
        let flaw = Flaw::new(format!("`{text}` is native code, which is never loaded from a file"));
        return Err(flaw.legal(LEGAL).suggest("name the `.wasm` it was made from"));
    }
    if !text.ends_with(".wasm") {
        return Err(Flaw::new(format!("`{text}` is not a `.wasm` file")).legal(LEGAL));
    }
    Ok(())
}

/// Why two directories cannot both be granted.
fn fs_clash(known: &FsGrant, grant: &FsGrant) -> Option<Mistake> {
    if known.guest == grant.guest {
        let message = format!("`{}` and `{}` are both seen as `{}`", known.text, grant.text, grant.guest);
        let mistake = Mistake::new(code::DUPLICATE, grant.place.clone(), message);
        return Some(mistake.suggest(format!("leave one out, or show it elsewhere: `{}`", elsewhere(grant))));
    }
    let (inner, outer) = if grant.host.starts_with(&known.host) { (grant, known) } else { (known, grant) };
    let hollow = inner.host.starts_with(&outer.host) && inner.access < outer.access;
    hollow.then(|| {
        let message =
            format!("`{}` has no effect: the plugin can change all of it through `{}`", inner.text, outer.text);
        Mistake::new(code::CONFLICT, inner.place.clone(), message)
    })
}

fn elsewhere(grant: &FsGrant) -> String {
    let path = grant.text.split(':').next().unwrap_or_default();
    format!("{path}:/other:{}", grant.access)
}

/// What a tool's rule has to lie within.
pub(super) struct Within<'a> {
    pub(super) path: &'a str,
    pub(super) grants: &'a Grants,
    pub(super) limits: &'a Limits,
    pub(super) alias: &'a BTreeMap<ToolName, ToolName>,
    /// Whether all of the plugin's `net` could be read.
    pub(super) net_clean: bool,
    /// Whether all of the plugin's `fs` could be read.
    pub(super) fs_clean: bool,
    /// Whether all of the plugin's secrets could be read.
    pub(super) secrets_clean: bool,
}
