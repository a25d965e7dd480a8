//! One server of somebody else's file as a table of ours.

use url::{Host, Url};

use super::Proposal;
use super::file::{Entry, Inputs};
use super::runner::{Started, started};
use super::secret::{is_secret, is_secret_name, is_secret_value};
use super::text::{Piece, Variables, is_variable, list, pieces, quoted, shown, variable};
use crate::config::Place;
use crate::grant::{NetGrant, Origin, Placement};
use crate::launcher::program;
use crate::name::{PluginName, SecretName, ToolName};

/// What comes of a server, while it is put together.
struct Draft<'i> {
    name: PluginName,
    inputs: &'i Inputs,
    variables: &'i mut Variables,
    /// The lines of its own table, after its head.
    lines: Vec<String>,
    secrets: Vec<Secret>,
    tools: Vec<ToolName>,
    notes: Vec<String>,
}

/// A `[plugins.NAME.secrets.SECRET]` table.
struct Secret {
    name: String,
    /// The variable of the host that holds it.
    env: String,
    /// Where it goes: lines of TOML.
    placement: Vec<String>,
}

/// The proposal for a server.
///
/// # Errors
/// It cannot be a plugin; the sentence says why.
pub(super) fn proposal(
    name: PluginName,
    mut entry: Entry,
    inputs: &Inputs,
    variables: &mut Variables,
) -> Result<Proposal, String> {
    if let Some(fault) = entry.fault {
        return Err(fault);
    }
    let (lines, secrets, tools, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut draft = Draft { name, inputs, variables, lines, secrets, tools, notes };
    if entry.name != draft.name.as_str() {
        draft.note(format!("it was called `{}`", shown(&entry.name)));
    }
    let transport = entry.transport.take().map(|transport| transport.to_ascii_lowercase());
    match transport.as_deref() {
        Some("sse") => return Err("it speaks HTTP+SSE, which is deprecated and not spoken here".to_owned()),
        Some("ws" | "websocket") => return Err("it speaks over a WebSocket, which is not spoken here".to_owned()),
        None | Some("stdio" | "http" | "https" | "streamable-http" | "streamablehttp" | "streamable_http") => {}
        Some(other) => draft.note(format!("its `type`, `{}`, is not known", shown(other))),
    }
    draft.notes.append(&mut entry.notes);
    let (without, is_off) = (std::mem::take(&mut entry.without), entry.is_off);
    let in_container = match (entry.command.take(), entry.url.take()) {
        (Some(_), Some(_)) => return Err("it has both a `command` and a `url`".to_owned()),
        (None, None) => return Err("it has neither a `command` nor a `url`".to_owned()),
        (Some(command), None) => draft.of_command(&command, entry)?,
        (None, Some(url)) => {
            if !entry.env.is_empty() {
                draft.note("its `env` is left out: the host does not start it".to_owned());
            }
            draft.of_url(&url, &entry.headers, &[])?;
            false
        }
    };
    if is_off || in_container {
        draft.lines.insert(0, "enabled = false".to_owned());
    }
    draft.without(without);
    Ok(draft.done())
}

impl Draft<'_> {
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A server that the host starts. Says whether it runs in a container.
    fn of_command(&mut self, command: &str, entry: Entry) -> Result<bool, String> {
        if command.trim().is_empty() {
            return Err("its `command` is empty".to_owned());
        }
        let Started { words, package, in_container, notes } = started(command, &entry.args);
        let program = words.first().filter(|program| !program.is_empty());
        let Some(program) = program else { return Err("its `command` names no package".to_owned()) };
        if package.as_deref() == Some("mcp-remote") {
            return self.of_bridge(&words[1..], &entry.env).map(|()| false);
        }
        if program.contains(char::is_whitespace) && words.len() == 1 {
            return Err("its `command` is one text with spaces: give each word for itself".to_owned());
        }
        notes.into_iter().for_each(|note| self.note(note));
        if !entry.headers.is_empty() {
            self.note("its `headers` are left out: it is no server at a URL".to_owned());
        }
        let written = self.command(&words);
        let command: Vec<String> = written.iter().map(|(word, _)| word.clone()).collect();
        let mut fs = Vec::new();
        let mut mcp = format!("mcp = {{ command = {}", list(&command));
        if let Some(cwd) = entry.cwd.as_ref().filter(|cwd| !cwd.is_empty()) {
            let cwd = self.written(cwd, "cwd");
            mcp += &format!(", cwd = {}", quoted(&cwd));
            self.directory(&cwd, &mut fs);
        }
        self.lines.push(mcp + " }");
        self.environment(&entry.env);
        // What is hidden is no path.
        let visible = written.into_iter().map(|(word, hidden)| if hidden { String::new() } else { word });
        self.directories(&visible.collect::<Vec<_>>(), &mut fs);
        if !fs.is_empty() {
            self.lines
                .push("# What the entry names; `:rw` in the place of `:ro` lets the server write there.".to_owned());
            self.lines.push(format!("fs = {}", list(&fs)));
        }
        Ok(in_container)
    }

    /// `mcp-remote` does for others what the host does itself.
    fn of_bridge(&mut self, words: &[String], env: &[(String, String)]) -> Result<(), String> {
        let (mut url, mut headers, mut left_out) = (None, Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--header" => headers.extend(words.next().and_then(|header| {
                    let (name, value) = header.split_once(':')?;
                    Some((name.trim().to_owned(), value.trim().to_owned()))
                })),
                word if !word.starts_with('-') && url.is_none() => url = Some(word.to_owned()),
                word if word.starts_with('-') => {
                    left_out.push(format!("`{}`", shown(word.split('=').next().unwrap_or(word))));
                }
                _ => left_out.push("a value".to_owned()),
            }
        }
        let url = url.ok_or("`mcp-remote` is given no URL")?;
        self.note("`mcp-remote` is left out: the host speaks to the server itself".to_owned());
        if !left_out.is_empty() {
            self.note(format!("arguments of `mcp-remote` are left out: {}", left_out.join(", ")));
        }
        self.of_url(&url, &headers, env)
    }

    /// The words of a command, without what looks like a secret; each with whether it did.
    fn command(&mut self, words: &[String]) -> Vec<(String, bool)> {
        let mut written = Vec::new();
        // What the word before says that this one is.
        let mut announced: Option<&str> = None;
        for (at, word) in words.iter().enumerate() {
            let text = self.word(at, word, announced);
            announced = (at > 0 && word.starts_with('-') && !word.contains('=')).then_some(word.as_str());
            written.push(text);
        }
        written
    }

    fn word(&mut self, at: usize, word: &str, announced: Option<&str>) -> (String, bool) {
        let name = self.name.clone();
        if at == 0 {
            return (self.written(word, "program"), false);
        }
        // `--key=VALUE`, `KEY=VALUE` and `Header: VALUE`.
        let split = word.find(['=', ':']).filter(|at| {
            let key = word[..*at].trim_start_matches('-');
            !key.is_empty()
                && key.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
        });
        if let Some(split) = split.filter(|split| !word[split + 1..].starts_with("//")) {
            let (key, value) = word.split_at(split + 1);
            let bare = value.trim_start();
            let key_name = key.trim_end_matches(['=', ':']);
            if is_literal_secret(key_name.trim_start_matches('-'), bare) {
                let kept = format!("{key}{}", &value[..value.len() - bare.len()]);
                return (kept.replace("${", "$${") + &self.hidden(&[name.as_str(), key_name], bare), true);
            }
        }
        let announced = announced.map(|option| option.trim_start_matches('-')).filter(|_| !word.starts_with('-'));
        match announced {
            Some(option) if is_literal_secret(option, word) => (self.hidden(&[name.as_str(), option], word), true),
            Some(_) | None if is_literal_secret("", word) => {
                let number = at.to_string();
                (self.hidden(&[name.as_str(), "argument", &number], word), true)
            }
            Some(_) | None => (self.written(word, &format!("argument-{at}")), false),
        }
    }

    /// A reference in the place of a secret among arguments.
    fn hidden(&mut self, parts: &[&str], value: &str) -> String {
        let variable = self.variables.of(&variable(parts), value);
        self.note(format!(
            "a secret among its arguments is left out: set `{variable}` where the host is started; everybody on the \
             machine can see the arguments of a program"
        ));
        format!("${{{variable}}}")
    }

    /// A text as our file has it: references become references to variables, what else looks like one becomes text.
    fn written(&mut self, text: &str, what: &str) -> String {
        let mut written = String::new();
        for piece in pieces(text) {
            let reference = match piece {
                Piece::Text(text) => {
                    written += &text.replace("${", "$${");
                    continue;
                }
                Piece::Folder => {
                    self.note("`${workspaceFolder}` is written as `.`: give the path of a folder".to_owned());
                    written.push('.');
                    continue;
                }
                Piece::Variable { name, default: Some(default) } => {
                    self.note(format!("`{name}` is written as what it is where it is not set"));
                    written += &default.replace("${", "$${");
                    continue;
                }
                Piece::Home => "HOME".to_owned(),
                Piece::Variable { name, default: None } => name,
                Piece::Input(id) => match self.inputs.get(&id).and_then(|input| input.default.clone()) {
                    Some(default) if !is_secret(&id, &default) => {
                        self.note(format!("`{}` is written as it is where nobody answers", shown(&id)));
                        written += &default.replace("${", "$${");
                        continue;
                    }
                    Some(_) | None => {
                        let name = variable(&[self.name.as_str(), if id.is_empty() { what } else { &id }]);
                        let name = self.variables.of(&name, &format!("${{input:{id}}}"));
                        self.note(format!("set `{name}` where the host is started: {}", self.asked(&id)));
                        name
                    }
                },
            };
            // A `$` before it would make it text.
            let dollar = if written.ends_with('$') { "$" } else { "" };
            written += &format!("{dollar}${{{reference}}}");
            if reference != "HOME" && self.notes.iter().all(|note| !note.contains(&format!("`{reference}`"))) {
                self.note(format!("`{reference}` has to be set where the host is started"));
            }
        }
        written
    }

    fn asked(&self, id: &str) -> String {
        let description = self.inputs.get(id).map(|input| shown(&input.description)).filter(|text| !text.is_empty());
        description.unwrap_or_else(|| format!("what `{}` asked for", shown(id)))
    }

    fn environment(&mut self, env: &[(String, String)]) {
        let mut plain = Vec::new();
        for (name, value) in env {
            if !is_variable(name) {
                self.note(format!("`{}` of its `env` is left out: no variable can have that name", shown(name)));
            } else if self.is_secret(name, value) {
                let env = self.source(name, value);
                let placement = vec![format!("variable = {}", quoted(name))];
                self.secret(name, env, placement);
            } else {
                plain.push(format!("{name} = {}", quoted(&self.written(value, name))));
            }
        }
        if !plain.is_empty() {
            self.lines.push(format!("env = {{ {} }}", plain.join(", ")));
        }
    }

    /// Whether this is a secret: by its looks, or because a person is asked for it as for a password.
    fn is_secret(&self, name: &str, value: &str) -> bool {
        let asked = pieces(value).into_iter().any(|piece| match piece {
            Piece::Input(id) => self.inputs.get(&id).is_some_and(|input| input.is_password) || is_secret_name(&id),
            Piece::Variable { name, .. } => is_secret_name(&name),
            Piece::Text(_) | Piece::Folder | Piece::Home => false,
        });
        asked || is_secret(name, value)
    }

    /// The variable of the host that holds a secret, with a note that it has to be set: the one the value refers to, or
    /// one named `fallback`.
    fn source(&mut self, fallback: &str, value: &str) -> String {
        let (env, how) = match pieces(value).as_slice() {
            [Piece::Variable { name, .. }] => (name.clone(), String::new()),
            [Piece::Input(id)] => (self.variables.of(fallback, value), format!(": {}", self.asked(id))),
            [] => (self.variables.of(fallback, value), String::new()),
            _ => (self.variables.of(fallback, value), " to what the file has for it".to_owned()),
        };
        self.note(format!("set `{env}` where the host is started{how}; the secret itself is not written here"));
        env
    }

    fn secret(&mut self, name: &str, env: String, placement: Vec<String>) {
        let plain: String =
            name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = plain.trim_matches('_').chars().take(60).collect::<String>();
        let plain = if SecretName::parse(&plain).is_ok() { plain } else { "secret".to_owned() };
        let numbered = |number: usize| if number == 1 { plain.clone() } else { format!("{plain}_{number}") };
        let is_free = |name: &String| self.secrets.iter().all(|secret| secret.name != *name);
        let name = (1..).map(numbered).find(is_free).expect("there are more numbers than secrets");
        self.secrets.push(Secret { name, env, placement });
    }

    /// Directories that the arguments name, for servers whose arguments are known. The words are those of our file.
    fn directories(&mut self, words: &[String], fs: &mut Vec<String>) {
        let named = |what: &str| words.iter().position(|word| word.contains(what));
        let mut known = Vec::new();
        if let Some(at) = named("server-filesystem") {
            known.extend(words[at + 1..].iter().filter(|word| !word.is_empty() && !word.starts_with('-')).cloned());
        }
        if let Some(at) = named("mcp-server-git").or_else(|| named("mcp_server_git")) {
            let rest = &words[at + 1..];
            known.extend(
                rest.windows(2)
                    .filter(|pair| matches!(pair[0].as_str(), "-r" | "--repository"))
                    .map(|pair| pair[1].clone()),
            );
            known.extend(rest.iter().filter_map(|word| word.strip_prefix("--repository=").map(str::to_owned)));
        }
        known.extend(own_folder(words));
        for path in &known {
            self.directory(path, fs);
        }
        let is_path = |word: &&String| word.starts_with('/') || word.starts_with("~/");
        for word in words.iter().skip(1).filter(is_path) {
            if !is_secret_value(word) && !known.iter().any(|path| word.starts_with(path.as_str())) {
                self.note(format!("its arguments name `{}`: it gets nothing there unless `fs` says so", shown(word)));
            }
        }
    }

    fn directory(&mut self, path: &str, fs: &mut Vec<String>) {
        let trimmed = path.trim_end_matches('/');
        let refuse = |reason: &str| format!("the directory `{}` is not proposed: {reason}", shown(path));
        let is_of_kernel = |never: &str| trimmed == never || trimmed.starts_with(&format!("{never}/"));
        if trimmed.is_empty() {
            self.note(refuse("the whole file system is never granted"));
        } else if ["/proc", "/sys", "/dev"].iter().any(|never| is_of_kernel(never)) {
            self.note(refuse("it holds no files"));
        } else if path.contains([':', '\\']) || path.contains(char::is_control) {
            self.note(refuse("a grant cannot hold such a path"));
        } else {
            if !path.starts_with(['/', '~', '$']) {
                self.note(format!("`{}` is relative to this file now", shown(path)));
            }
            let grant = format!("{trimmed}:ro");
            if !fs.contains(&grant) {
                fs.push(grant);
            }
        }
    }

    /// A server at a URL. `env` is what references in it may mean.
    fn of_url(&mut self, url: &str, headers: &[(String, String)], env: &[(String, String)]) -> Result<(), String> {
        let Address { mut url, references } = self.address(url)?;
        let origin = Origin::of(&url).ok_or("its `url` has no host")?;
        let user = Some(url.username().to_owned()).filter(|user| !user.is_empty());
        if let Some(user) = user.or_else(|| url.password().map(|_| String::new())) {
            let variable = variable(&[self.name.as_str(), "password"]);
            let env = self.source(&variable, url.password().unwrap_or_default());
            self.secret(
                "password",
                env,
                vec![format!("origin = {}", quoted(&origin.to_string())), format!("basic = {}", quoted(&user))],
            );
            let _ = url.set_username("").and_then(|()| url.set_password(None));
        }
        self.query(&mut url, &origin, &references);
        url.set_fragment(None);
        let plain = self.headers(headers, env, &origin);
        let shown_url = restored(url.as_str(), &references);
        if shown_url.trim_end_matches('/').ends_with("/sse") {
            self.note(
                "its `url` ends with `/sse`: if it speaks only the deprecated HTTP+SSE, it cannot be had".to_owned(),
            );
        }
        let headers = if plain.is_empty() { String::new() } else { format!(", headers = {{ {} }}", plain.join(", ")) };
        self.lines.push(format!("mcp = {{ url = {}{headers} }}", quoted(&shown_url)));
        let whole = format!("GET,POST,DELETE {origin}");
        let path = url.path().replace('*', "%2A");
        let exact = if path == "/" { whole.clone() } else { format!("{whole}{path}") };
        let grant = if NetGrant::parse(&exact, 1, Place::default()).is_ok() { exact } else { whole };
        self.lines.push(format!("net = {}", list([&restored(&grant, &references)])));
        Ok(())
    }

    /// A URL whose references are words that mean nothing, so that it can be read as one.
    fn address(&mut self, text: &str) -> Result<Address, String> {
        let (mut plain, mut references) = (String::new(), Vec::new());
        for piece in pieces(text) {
            let (name, note) = match piece {
                Piece::Text(text) => {
                    plain += &text;
                    continue;
                }
                Piece::Variable { default: Some(default), name } => {
                    self.note(format!("`{name}` is written as what it is where it is not set"));
                    plain += &default;
                    continue;
                }
                Piece::Folder | Piece::Home => return Err("its `url` refers to a folder".to_owned()),
                Piece::Variable { name, default: None } => {
                    let note = format!("`{name}` has to be set where the host is started");
                    (name, note)
                }
                Piece::Input(id) => {
                    let name = self.variables.of(&variable(&[self.name.as_str(), &id]), &format!("${{input:{id}}}"));
                    let note = format!("set `{name}` where the host is started: {}", self.asked(&id));
                    (name, note)
                }
            };
            self.note(note);
            plain += &format!("{MARK}{}{MARK_END}", references.len());
            references.push(name);
        }
        let mut url = Url::parse(&plain).map_err(|_| "its `url` is none".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("its `url` is not one of HTTP".to_owned());
        }
        if url.host_str().is_some_and(|host| host.contains(MARK)) {
            return Err("the host in its `url` depends on something: write which it is".to_owned());
        }
        let is_here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "http" && !is_here {
            return Err("its `url` is not `https`: all that is said to it could be read on the way".to_owned());
        }
        self.hide_path(&mut url, &mut references);
        Ok(Address { url, references })
    }

    /// Takes what looks like a secret out of a path.
    fn hide_path(&mut self, url: &mut Url, references: &mut Vec<String>) {
        let segments: Vec<String> = url.path().split('/').map(str::to_owned).collect();
        let hidden = segments.into_iter().map(|segment| {
            if segment.contains(MARK) || !is_secret_value(&segment) {
                return segment;
            }
            let name = variable(&[self.name.as_str(), "path", &references.len().to_string()]);
            let name = self.variables.of(&name, &segment);
            self.note(format!("a secret in its `url` is left out: set `{name}` where the host is started"));
            references.push(name);
            format!("{MARK}{}{MARK_END}", references.len() - 1)
        });
        let path = hidden.collect::<Vec<_>>().join("/");
        url.set_path(&path);
    }

    /// Takes secrets out of a query; the host puts them there.
    fn query(&mut self, url: &mut Url, origin: &Origin, references: &[String]) {
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        url.set_query(None);
        for (name, value) in pairs {
            let value = restored(&value, references);
            if !self.is_secret(&name, &value) {
                url.query_pairs_mut().append_pair(&name, &value);
                continue;
            }
            let fallback = variable(&[self.name.as_str(), &name]);
            let env = self.source(&fallback, &value);
            let placement =
                vec![format!("origin = {}", quoted(&origin.to_string())), format!("query = {}", quoted(&name))];
            self.secret(&name, env, placement);
        }
    }

    /// Headers: those that hold no secret are given back, as entries of a TOML table.
    fn headers(&mut self, headers: &[(String, String)], env: &[(String, String)], origin: &Origin) -> Vec<String> {
        const PROTOCOL: &[&str] =
            &["accept", "accept-encoding", "content-type", "last-event-id", "traceparent", "tracestate"];
        let mut plain: Vec<String> = Vec::new();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            let own = PROTOCOL.contains(&lower.as_str()) || lower.starts_with("mcp-") || lower.starts_with("proxy-");
            if own || Placement::header(name).is_err() {
                self.note(format!("the header `{}` is left out: it is the host's own, or none", shown(name)));
                continue;
            }
            let refers = |piece: &Piece| match piece {
                Piece::Variable { name, .. } => env.iter().find(|(known, _)| known == name),
                Piece::Text(_) | Piece::Input(_) | Piece::Folder | Piece::Home => None,
            };
            let parts = pieces(value);
            let meant = parts.iter().find_map(refers);
            let is_secret = self.is_secret(name, value) || meant.is_some_and(|(name, value)| is_secret(name, value));
            let is_plain = !is_secret && meant.is_none() && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            if is_plain {
                plain.push(format!("{} = {}", quoted(name), quoted(&self.written(value, name))));
                continue;
            }
            self.header(name, value, origin);
        }
        plain
    }

    /// A header with a secret.
    fn header(&mut self, name: &str, value: &str, origin: &Origin) {
        let scheme = value.split_once(' ').filter(|(scheme, rest)| {
            let word = scheme.len() <= 16 && scheme.starts_with(|first: char| first.is_ascii_alphabetic());
            word && !rest.trim().is_empty()
                && !is_secret_value(scheme)
                && scheme.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
        });
        let (format, value) = match scheme {
            Some((scheme, rest)) => (format!("{scheme} {{}}"), rest.trim()),
            None => ("{}".to_owned(), value),
        };
        let env = self.source(&variable(&[self.name.as_str(), name]), value);
        let mut placement =
            vec![format!("origin = {}", quoted(&origin.to_string())), format!("header = {}", quoted(name))];
        if format != "{}" {
            placement.push(format!("format = {}", quoted(&format)));
        }
        self.secret(name, env, placement);
    }

    /// Tools that were switched off stay so.
    fn without(&mut self, tools: Vec<String>) {
        for tool in tools {
            match ToolName::parse(&tool) {
                Ok(name) if self.tools.contains(&name) => {}
                Ok(name) => self.tools.push(name),
                Err(_) => self.note(format!("`{}` was switched off, and is no name a tool can have", shown(&tool))),
            }
        }
    }

    fn done(self) -> Proposal {
        let name = &self.name;
        let mut toml = format!("[plugins.{name}]\n{}\n", self.lines.join("\n"));
        for Secret { name: secret, env, placement } in &self.secrets {
            let placement = placement.join("\n");
            toml += &format!("\n[plugins.{name}.secrets.{secret}]\nenv = {}\n{placement}\n", quoted(env));
        }
        for tool in &self.tools {
            toml += &format!("\n[plugins.{name}.tools.{tool}]\nallow = false\n");
        }
        Proposal { name: self.name, toml, notes: self.notes }
    }
}

/// A URL, with the variables it refers to.
struct Address {
    url: Url,
    references: Vec<String>,
}

/// What stands for a reference while a URL is read.
const MARK: &str = "bailiwick-reference-";
const MARK_END: &str = "-";

/// A text with its references where they were, and everything else that looks like one as text.
fn restored(text: &str, references: &[String]) -> String {
    let text = text.replace("${", "$${");
    references
        .iter()
        .enumerate()
        .fold(text, |text, (at, name)| text.replace(&format!("{MARK}{at}{MARK_END}"), &format!("${{{name}}}")))
}

/// Whether a value, called so, holds a secret as such: a reference to one is none.
fn is_literal_secret(name: &str, value: &str) -> bool {
    let parts = pieces(value);
    let literal = |piece: &Piece| match piece {
        Piece::Text(text) => is_secret_value(text),
        Piece::Variable { default, .. } => default.as_deref().is_some_and(is_secret_value),
        Piece::Input(_) | Piece::Folder | Piece::Home => false,
    };
    let has_reference = parts.iter().any(|piece| !matches!(piece, Piece::Text(_)));
    parts.iter().any(literal) || (!has_reference && !value.is_empty() && is_secret(name, value))
}

/// The folder of the program that an interpreter is told to run, unless it is one where everything of a person is.
fn own_folder(words: &[String]) -> Option<String> {
    const INTERPRETERS: &[&str] =
        &["node", "nodejs", "python", "python3", "deno", "bun", "ruby", "php", "perl", "java", "bash", "sh", "tsx"];
    let (first, rest) = words.split_first()?;
    let name = program(first);
    let folder = if name == "uv" {
        let option = rest.iter().position(|word| matches!(word.as_str(), "--directory" | "--project"))?;
        rest.get(option + 1)?.clone()
    } else if INTERPRETERS.contains(&name.as_str()) {
        let script = rest.iter().find(|word| word.starts_with('/') || word.starts_with("~/"))?;
        script.rsplit_once('/')?.0.to_owned()
    } else {
        return None;
    };
    let n_parts = folder.split('/').filter(|part| !part.is_empty()).count();
    let is_deep =
        if folder.starts_with('/') { n_parts >= 3 || !is_home(&folder) && n_parts >= 2 } else { n_parts >= 2 };
    is_deep.then_some(folder)
}

fn is_home(folder: &str) -> bool {
    ["/home", "/root", "/Users"].iter().any(|home| folder == *home || folder.starts_with(&format!("{home}/")))
}
