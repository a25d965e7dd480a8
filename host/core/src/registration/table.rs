//! The `[plugins.NAME]` table that a registration stands for.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::login::{Credential, Login};
use super::{Code, Document, Header, Http, OpenApi, Protocol, Registration, origin, time};
use crate::config::Flaw;
use crate::grant::Origin;

impl Registration {
    /// The text it stands for; none of a second name. In the place of each value that is sealed it names a variable of the
    /// environment, and what is injected is not in it.
    ///
    /// # Errors
    /// Its URL is none, a header would go over the network unencrypted, or a schema holds what TOML cannot.
    pub fn table(&self) -> Result<Option<String>, Flaw> {
        let mut plugin = Table::new();
        match &self.protocol {
            Protocol::OpenApi(service) => plugin.insert("openapi".into(), openapi(service)?.into()),
            Protocol::Http(request) => plugin.insert("http".into(), http(request)?.into()),
            Protocol::Mcp(server) => {
                plugin.insert("tools".into(), only(&server.tool).into());
                plugin.insert("mcp".into(), Table::from_iter([("url".to_owned(), text(&server.url))]).into())
            }
            Protocol::Native(_) => return Ok(None),
            Protocol::Code(program) => plugin.insert("code".into(), code(program)?.into()),
        };
        let is_code = matches!(self.protocol, Protocol::Code(_));
        if !is_code {
            plugin.insert("net".into(), list(&self.net()?));
        }
        if !self.ranges().is_empty() {
            plugin.insert("addresses".into(), list(&self.ranges()));
        }
        plugin.insert("limits".into(), Table::from_iter([("time".to_owned(), text(&time(self.timeout_ms)))]).into());
        let secrets = self.secrets()?;
        if !secrets.is_empty() {
            plugin.insert("secrets".into(), secrets.into());
        }
        let named = Table::from_iter([(self.name.to_string(), Value::from(plugin))]);
        let whole = Table::from_iter([("plugins".to_owned(), Value::from(named))]);
        // A program is read in lines.
        let text = if is_code { toml::to_string_pretty(&whole) } else { toml::to_string(&whole) };
        text.map(Some).map_err(|error| Flaw::new(format!("it cannot be written as TOML: {error}")))
    }

    /// What its headers and its login hold.
    fn secrets(&self) -> Result<Table, Flaw> {
        let mut secrets = Table::new();
        if let (Some(url), false) = (self.url(), self.headers.is_empty()) {
            let origin = sealed_origin(url, "the headers")?;
            secrets.extend(self.headers.iter().map(|header| (header.name.clone(), self.secret(header, &origin))));
        }
        if let (Some(url), Some(login)) = (self.url(), self.login()) {
            sealed_origin(url, "what a login gives")?;
            sealed_origin(&login.url, "what proves who logs in")?;
        }
        for name in self.login_secrets() {
            let env = Table::from_iter([("env".to_owned(), text(&self.variable(name)))]);
            if secrets.insert(name.clone(), env.into()).is_some() {
                return Err(Flaw::new(format!("the header `{name}` has the name of a value of the login")));
            }
        }
        Ok(secrets)
    }

    /// The variable that stands for a value.
    fn variable(&self, value: &str) -> String {
        format!("{}_{value}", self.name).to_ascii_uppercase().replace('-', "_")
    }

    fn secret(&self, header: &Header, origin: &Origin) -> Value {
        let mut secret = Table::from_iter([
            ("env".to_owned(), text(&self.variable(&header.name))),
            ("origin".to_owned(), text(&origin.to_string())),
            ("header".to_owned(), text(&header.name)),
        ]);
        if header.format != "{}" {
            secret.insert("format".into(), text(&header.format));
        }
        secret.into()
    }
}

/// The origin that headers are bound to, or that gets something else that is secret.
fn sealed_origin(url: &str, what: &str) -> Result<Origin, Flaw> {
    let origin = origin(url)?;
    Origin::parse(&origin.to_string()).map_err(|_| {
        let message = format!("`{origin}` would get {what} over the network unencrypted");
        let flaw = Flaw::new(message).legal("secrets go to `https://…`, or to this machine itself");
        flaw.suggest("take `https`, or leave them out")
    })
}

fn openapi(service: &OpenApi) -> Result<Table, Flaw> {
    let OpenApi { url, spec, naming, include, exclude, unverified_tls, login: how } = service;
    let mut table = Table::from_iter([("url".to_owned(), text(url)), ("naming".to_owned(), text(naming.as_str()))]);
    match spec {
        Some(Document::Url(url)) => {
            table.insert("spec".into(), text(url));
        }
        Some(Document::File(path)) => {
            let path = path.to_str().ok_or_else(|| Flaw::new("the path of the document is not UTF-8"))?;
            table.insert("spec".into(), text(path));
        }
        // No file can say that.
        Some(Document::Kept) | None => {}
    }
    for (key, patterns) in [("include", include), ("exclude", exclude)] {
        if !patterns.is_empty() {
            table.insert(key.into(), list(patterns));
        }
    }
    if *unverified_tls {
        table.insert("danger_unverified_tls".into(), true.into());
    }
    if let Some(how) = how {
        table.insert("login".into(), login(how).into());
    }
    Ok(table)
}

fn login(how: &Login) -> Table {
    let Login { url, method, body, content_type, credential, header, format, secrets: _ } = how;
    let (cookie, json) = match credential {
        Credential::Cookie(name) => (Some(name), None),
        Credential::Json(place) => (None, Some(place)),
    };
    let said = [
        ("url", Some(url)),
        ("method", Some(method)),
        ("body", Some(body).filter(|body| !body.is_empty())),
        ("content_type", content_type.as_ref()),
        ("cookie", cookie),
        ("json", json),
        ("header", header.as_ref()),
        ("format", format.as_ref()),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), text(value?)))).collect()
}

fn http(request: &Http) -> Result<Table, Flaw> {
    let Http { url, method, description, input_schema, output_schema: _, unverified_tls } = request;
    let mut table = Table::from_iter([("url".to_owned(), text(url)), ("method".to_owned(), text(method))]);
    if !description.is_empty() {
        table.insert("description".into(), text(description));
    }
    if let Some(schema) = input_schema {
        table.insert("input".into(), value(schema)?);
    }
    if *unverified_tls {
        table.insert("danger_unverified_tls".into(), true.into());
    }
    Ok(table)
}

fn code(program: &Code) -> Result<Table, Flaw> {
    let Code { language, source, description, input_schema, output_schema: _, version: _ } = program;
    let mut table =
        Table::from_iter([("language".to_owned(), text(language.as_str())), ("source".to_owned(), text(source))]);
    if !description.is_empty() {
        table.insert("description".into(), text(description));
    }
    if let Some(schema) = input_schema {
        table.insert("input".into(), value(schema)?);
    }
    Ok(table)
}

/// Rules that let one tool through.
fn only(tool: &str) -> Table {
    let allow = |yes: bool| Value::from(Table::from_iter([("allow".to_owned(), Value::from(yes))]));
    Table::from_iter([("*".to_owned(), allow(false)), (tool.to_owned(), allow(true))])
}

/// A text that is read back as it is: nothing in it stands for a variable of the environment.
fn text(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

fn list(texts: &[String]) -> Value {
    texts.iter().map(|line| text(line)).collect::<Vec<_>>().into()
}

/// JSON as TOML, which has no `null`. What a schema says of a default that is `null` is left out.
fn value(json: &Json) -> Result<Value, Flaw> {
    match json {
        Json::Null => Err(Flaw::new("a `null` cannot be kept in a schema").suggest("leave it out")),
        Json::Bool(yes) => Ok(Value::from(*yes)),
        Json::String(string) => Ok(text(string)),
        Json::Array(items) => items.iter().map(value).collect::<Result<Vec<_>, _>>().map(Value::from),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::from);
            whole
                .or_else(|| number.as_f64().map(Value::from))
                .ok_or_else(|| Flaw::new(format!("the number `{number}` cannot be kept in a schema")))
        }
        Json::Object(map) => {
            let told = map.iter().filter(|(key, value)| !(value.is_null() && *key == "default"));
            let pairs = told.map(|(key, inner)| Ok((key.clone(), value(inner)?)));
            pairs.collect::<Result<Table, Flaw>>().map(Value::from)
        }
    }
}
