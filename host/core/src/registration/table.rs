//! The `[plugins.NAME]` table that a registration stands for.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Document, Header, Http, OpenApi, Protocol, Registration, origin, time};
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
        };
        plugin.insert("net".into(), list(&self.net()?));
        if !self.ranges().is_empty() {
            plugin.insert("addresses".into(), list(&self.ranges()));
        }
        plugin.insert("limits".into(), Table::from_iter([("time".to_owned(), text(&time(self.timeout_ms)))]).into());
        if let (Some(url), false) = (self.url(), self.headers.is_empty()) {
            let origin = sealed_origin(url)?;
            let secrets = self.headers.iter().map(|header| (header.name.clone(), self.secret(header, &origin)));
            plugin.insert("secrets".into(), Table::from_iter(secrets).into());
        }
        let named = Table::from_iter([(self.name.to_string(), Value::from(plugin))]);
        let whole = Table::from_iter([("plugins".to_owned(), Value::from(named))]);
        let text = toml::to_string(&whole);
        text.map(Some).map_err(|error| Flaw::new(format!("it cannot be written as TOML: {error}")))
    }

    fn secret(&self, header: &Header, origin: &Origin) -> Value {
        let variable = format!("{}_{}", self.name, header.name).to_ascii_uppercase().replace('-', "_");
        let mut secret = Table::from_iter([
            ("env".to_owned(), text(&variable)),
            ("origin".to_owned(), text(&origin.to_string())),
            ("header".to_owned(), text(&header.name)),
        ]);
        if header.format != "{}" {
            secret.insert("format".into(), text(&header.format));
        }
        secret.into()
    }
}

/// The origin that headers are bound to.
fn sealed_origin(url: &str) -> Result<Origin, Flaw> {
    let origin = origin(url)?;
    Origin::parse(&origin.to_string()).map_err(|_| {
        let message = format!("`{origin}` would get the headers over the network unencrypted");
        let flaw = Flaw::new(message).legal("headers go to `https://…`, or to this machine itself");
        flaw.suggest("take `https`, or leave the headers out")
    })
}

fn openapi(service: &OpenApi) -> Result<Table, Flaw> {
    let OpenApi { url, spec, naming, include, exclude, unverified_tls } = service;
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
    Ok(table)
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
