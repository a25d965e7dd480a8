//! Would it be allowed, which line decides, which line would change that? Every answer comes from the function that
//! the runtime asks; nothing is looked up, opened or read for it.

use std::net::IpAddr;

use url::Host;

use crate::config::{Approval, Effective, Place, Plugin};
use crate::grant::fs::FsGrant;
use crate::grant::limit::Size;
use crate::grant::{
    Access, AddressClass, FsDenial, Grants, NetDenial, NetDenialKind, NetGrant, NetRequest, Origin, Placement, Reach,
    SecretGrant, SecretSource, Section, classify,
};
use crate::name::ToolName;
use crate::outcome::Code;

/// Whose rights are asked about: one tool's, or those of a plugin whose tools have no rules of their own.
#[derive(Debug)]
pub struct Subject<'c> {
    plugin: &'c Plugin,
    tool: Option<&'c str>,
    effective: Effective,
}

/// What is said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub ruling: Ruling,
    /// What else there is to know, in the order people ask.
    pub notes: Vec<Note>,
}

/// A decision, and the line behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It would be let through.
    Allowed {
        /// By this line.
        by: Line,
    },
    /// It would be refused.
    Denied {
        /// As the call would say it.
        code: Code,
        /// Why, as a phrase.
        reason: String,
        /// The grant that comes closest, or the table that has none.
        by: Line,
        /// What would let it through; empty where nothing can.
        fix: Vec<Fix>,
    },
}

/// A line of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `FILE:LINE`.
    pub at: String,
    /// What it says.
    pub text: String,
}

/// A line to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// As it would stand in the file.
    pub line: String,
    /// The table it belongs to, without brackets.
    pub table: String,
    /// Where that table starts.
    pub at: String,
}

/// Something else to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about, in one word.
    pub about: &'static str,
    /// What there is to know.
    pub text: String,
}

impl Answer {
    /// Whether it would be let through.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self.ruling, Ruling::Allowed { .. })
    }

    fn allowed(at: String, text: impl Into<String>, notes: Vec<Note>) -> Self {
        Self { ruling: Ruling::Allowed { by: Line { at, text: text.into() } }, notes }
    }
}

fn note(about: &'static str, text: impl Into<String>) -> Note {
    Note { about, text: text.into() }
}

fn table_line(section: &Section) -> Line {
    Line { at: section.at.to_string(), text: format!("[{}]", section.table) }
}

fn fixes(lines: &[(String, Section)]) -> Vec<Fix> {
    let fix = |(line, section): &(String, Section)| fix(line, section);
    lines.iter().map(fix).collect()
}

fn fix(line: &str, section: &Section) -> Fix {
    Fix { line: line.to_owned(), table: section.table.to_string(), at: section.at.to_string() }
}

impl<'c> Subject<'c> {
    /// The tool that the plugin itself calls `tool`; without one, what the plugin is granted before any rule for a tool.
    #[must_use]
    pub fn new(plugin: &'c Plugin, tool: Option<&'c str>) -> Self {
        let effective = match tool {
            Some(tool) => plugin.rules_for(tool),
            None => Plugin { tools: Default::default(), ..plugin.clone() }.rules_for(""),
        };
        Self { plugin, tool, effective }
    }

    /// What holds for it.
    #[must_use]
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// Why no call of it comes to anything, if it is switched off.
    #[must_use]
    pub fn switched_off(&self) -> Option<Answer> {
        let grants = &self.effective.grants;
        let section = Section::new(&grants.table, &grants.at);
        let (line, section) = match self.plugin.enabled {
            false => ("enabled = true", Section::new(&self.plugin.grants.table, &self.plugin.grants.at)),
            true if self.effective.allowed => return None,
            true => ("allow = true", section),
        };
        let ruling = Ruling::Denied {
            code: Code::DeniedTool,
            reason: "it is switched off in the configuration".to_owned(),
            by: table_line(&section),
            fix: vec![fix(line, &section)],
        };
        Some(Answer { ruling, notes: Vec::new() })
    }

    /// What stands before each call, whatever it wants.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        match self.effective.approval {
            Approval::Always => notes.push(note("approval", "a person is asked before each call")),
            Approval::Auto | Approval::Never => {}
        }
        let set: Vec<String> = self.effective.inject.keys().map(|name| format!("`{name}`")).collect();
        if !set.is_empty() {
            notes
                .push(note("arguments", format!("{} are set by the operator, whatever a caller says", set.join(", "))));
        }
        if let (None, false) = (self.tool, self.plugin.tools.is_empty()) {
            let ruled: Vec<String> =
                self.plugin.tools.keys().map(|tool| format!("`{}.{tool}`", self.plugin.name)).collect();
            notes.push(note("rules", format!("{} may have less: ask for it by that name", ruled.join(", "))));
        }
        if self.plugin.class.service().is_some() {
            let text = "each tool has the part of `net` that is for its own method, and GET and HEAD for redirects";
            notes.push(note("methods", text));
        }
        notes
    }

    /// Whether a request would leave. The URL is one that egress has read.
    #[must_use]
    pub fn net(&self, request: &NetRequest<'_>) -> Answer {
        let grants = &self.effective.grants;
        match grants.net.decide(request) {
            Err(denial) => net_denied(grants, &denial, request),
            Ok(_) if self.effective.limits.http_requests == 0 => self.no_requests(),
            Ok(grant) => {
                let by = format!("net {}: {}", grant.index(), grant.text());
                Answer::allowed(grants.line(grant.place()), by, self.net_notes(grant, request))
            }
        }
    }

    /// The answer for a URL that egress does not even judge.
    #[must_use]
    pub fn unreadable(&self, code: Code, reason: &str) -> Answer {
        let by = table_line(self.effective.grants.net.section());
        Answer { ruling: Ruling::Denied { code, reason: reason.to_owned(), by, fix: Vec::new() }, notes: Vec::new() }
    }

    fn no_requests(&self) -> Answer {
        let grants = &self.effective.grants;
        let section = Section::new(&grants.table, &grants.at);
        let ruling = Ruling::Denied {
            code: Code::LimitHttp,
            reason: "`limits.http_requests` is 0: no request is sent at all".to_owned(),
            by: table_line(&section),
            fix: vec![fix("limits.http_requests = 100", &section)],
        };
        Answer { ruling, notes: Vec::new() }
    }

    fn net_notes(&self, grant: &NetGrant, request: &NetRequest<'_>) -> Vec<Note> {
        let Effective { grants, limits, .. } = &self.effective;
        let mut notes = Vec::new();
        if !grant.text().contains(' ') {
            notes.push(note("methods", "the grant names none, which means GET and HEAD"));
        }
        let reach = grants.net.reach(grant, request);
        notes.push(note(
            "addresses",
            match (&reach, literal(request)) {
                (Reach::Nothing, _) | (Reach::Exactly(_), _) => reach.to_string(),
                (Reach::Public { .. }, Some(address)) => format!("{address} ({})", classify(address)),
                (Reach::Public { .. }, None) => format!("the name is looked up at the call; it may lead to {reach}"),
            },
        ));
        let origin = Origin::of(request.url);
        for secret in &grants.secrets {
            if let Some(binding) = secret.binding.as_ref().filter(|binding| Some(&binding.origin) == origin.as_ref()) {
                let text = format!("`{}` is put into {} by the host", secret.name, placement(&binding.placement));
                notes.push(note("secret", text));
            }
        }
        notes.push(note(
            "limits",
            format!(
                "{} requests in one call, {} at once; bodies of {} out and {} in",
                limits.http_requests,
                limits.http_concurrent,
                Size(limits.http_request_body),
                Size(limits.http_response_body)
            ),
        ));
        notes
    }

    /// Whether a path would be read, or changed. It is taken for what it means, as the built-in file tools take it.
    #[must_use]
    pub fn fs(&self, access: Access, path: &str) -> Answer {
        let grants = &self.effective.grants;
        let meant = grants.fs.meant(path);
        let decided = match access {
            Access::ReadOnly => grants.fs.decide_read(&meant),
            Access::ReadWrite => grants.fs.decide_write(&meant),
        };
        let mut notes = Vec::new();
        if meant != path {
            notes.push(note("path", format!("it means `{meant}`")));
        }
        match decided {
            Ok(grant) => {
                notes.extend(climbs_out(grants, path, &meant).map(|text| note("path", text)));
                notes.extend(host_path(grants, &meant).map(|path| note("host path", path)));
                notes.push(note("links", "one that leads out of the directory is refused at the call"));
                Answer::allowed(grants.line(&grant.place), format!("fs: {}", grant.text), notes)
            }
            Err(denial) => fs_denied(grants, &denial, notes),
        }
    }

    /// Whether it may call the tool that callers know by this name. Whether there is one is not asked.
    #[must_use]
    pub fn call(&self, tool: &ToolName) -> Answer {
        let calls = &self.effective.grants.call;
        let entries: Vec<String> = calls.entries().iter().map(|entry| format!("{entry:?}")).collect();
        let by = Line { at: calls.section().at.to_string(), text: format!("call = [{}]", entries.join(", ")) };
        match calls.permits(tool) {
            Ok(()) => {
                let text = "who calls it needs the right to it as well; it is judged and recorded as any call";
                Answer { ruling: Ruling::Allowed { by }, notes: vec![note("caller", text)] }
            }
            Err(failure) => {
                let notes = match calls.line(tool) {
                    Some(_) => Vec::new(),
                    None => failure.fix.iter().map(|fix| note("excluded", fix)).collect(),
                };
                let fix = calls.line(tool).iter().map(|line| fix(line, calls.section())).collect();
                Answer { ruling: Ruling::Denied { code: failure.code, reason: failure.message, by, fix }, notes }
            }
        }
    }

    /// Whether a secret may be used, and how.
    #[must_use]
    pub fn secret(&self, name: &str) -> Answer {
        let grants = &self.effective.grants;
        if let Some(secret) = grants.secret(name) {
            let table = format!("[{}.secrets.{name}]", self.plugin.grants.table);
            return Answer::allowed(grants.line(&secret.place), table, secret_notes(grants, secret));
        }
        let own = Section::new(&self.plugin.grants.table, &self.plugin.grants.at);
        let narrowed = self.tool.and_then(|tool| self.plugin.secrets_table(tool));
        let known = self.plugin.grants.secret(name).is_some();
        let (reason, section, line) = match narrowed.filter(|_| known) {
            Some(rule) => ("the rule for the tool leaves it out", rule, format!("secrets = [\"{name}\"]")),
            None => {
                let line =
                    format!("secrets.{name} = {{ env = \"{name}\", origin = \"https://HOST\", header = \"NAME\" }}");
                ("the plugin has no secret of this name", &own, line)
            }
        };
        let ruling = Ruling::Denied {
            code: Code::DeniedSecret,
            reason: reason.to_owned(),
            by: table_line(section),
            fix: vec![fix(&line, section)],
        };
        Answer { ruling, notes: Vec::new() }
    }
}

/// The host of a request, if it is written as an address.
fn literal(request: &NetRequest<'_>) -> Option<IpAddr> {
    match request.url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn net_denied(grants: &Grants, denial: &NetDenial, request: &NetRequest<'_>) -> Answer {
    let decided = denial.closest().filter(|_| denial.kind() != NetDenialKind::Host);
    let by = match decided {
        Some(grant) => net_line(grants, grant),
        None => table_line(grants.net.section()),
    };
    let mut notes = Vec::new();
    if let (NetDenialKind::Host, Some(near)) = (denial.kind(), denial.closest()) {
        let Line { at, text } = net_line(grants, near);
        notes.push(note("meant", format!("perhaps {at}  {text}")));
    }
    if let Some(address) = literal(request).filter(|address| classify(*address) != AddressClass::Public) {
        notes.push(note("address", format!("{address} is a {} address", classify(address))));
    }
    let ruling = Ruling::Denied {
        code: Code::parse(denial.code()).unwrap_or(Code::DeniedNetHost),
        reason: denial.reason().to_owned(),
        by,
        fix: fixes(denial.lines()),
    };
    Answer { ruling, notes }
}

fn net_line(grants: &Grants, grant: &NetGrant) -> Line {
    Line { at: grants.line(grant.place()), text: format!("net {}: {}", grant.index(), grant.text()) }
}

fn fs_denied(grants: &Grants, denial: &FsDenial, notes: Vec<Note>) -> Answer {
    let line = |grant: &FsGrant, place: &Place| Line { at: grants.line(place), text: format!("fs: {}", grant.text) };
    let by = match denial.within() {
        Some(grant) => line(grant, &grant.place),
        None => table_line(grants.fs.section()),
    };
    let ruling = Ruling::Denied {
        code: Code::parse(denial.code()).unwrap_or(Code::DeniedFsRead),
        reason: denial.reason().to_owned(),
        by,
        fix: fixes(denial.lines()),
    };
    Answer { ruling, notes }
}

/// Where a granted path lies on the host, by its text alone.
fn host_path(grants: &Grants, path: &str) -> Option<String> {
    let (grant, below) = grants.fs.showing(path)?;
    let mut host = grant.host.clone();
    host.extend(below);
    Some(host.display().to_string())
}

/// A `..` that leads from one granted directory into another: a plugin that takes it out finds the path, one that hands
/// it on as it is does not.
fn climbs_out(grants: &Grants, path: &str, meant: &str) -> Option<String> {
    let (first, _) = grants.fs.showing(path.split("/..").next().filter(|start| *start != path)?)?;
    let (last, _) = grants.fs.showing(meant)?;
    let text = format!(
        "as it is written it leads out of `{}`, and is refused to a plugin that does not take `..` out",
        first.text
    );
    (first != last).then_some(text)
}

fn secret_notes(grants: &Grants, secret: &SecretGrant) -> Vec<Note> {
    let source = match &secret.source {
        SecretSource::Env(name) => format!("the variable {name}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
        // Its arguments may hold what is not for every eye.
        SecretSource::Command(argv) => format!("the command `{}`", argv.first().map_or("", String::as_str)),
        SecretSource::Kept => "the host's own database, sealed".to_owned(),
    };
    let usage = match &secret.binding {
        None => "the host puts it into no request".to_owned(),
        Some(binding) => {
            let unused = if grants.net.names(&binding.origin) { "" } else { ", which no `net` of this tool reaches" };
            format!("the host puts it into {} of requests to {}{unused}", placement(&binding.placement), binding.origin)
        }
    };
    let value = match secret.reveal {
        true => "the plugin can read it: `reveal = true`",
        false => "the plugin never sees it",
    };
    vec![note("use", usage), note("value", value), note("source", source)]
}

fn placement(placement: &Placement) -> String {
    match placement {
        Placement::Header { name, .. } => format!("the header `{name}`"),
        Placement::Basic { user } => format!("basic authentication of `{user}`"),
        Placement::Query { key } => format!("the query parameter `{key}`"),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
