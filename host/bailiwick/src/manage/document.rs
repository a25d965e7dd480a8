//! Tools of an OpenAPI document that a caller sends or names.

use serde_json::{Map, Value, json};
use url::Url;

use bailiwick_core::call::Caller;
use bailiwick_core::config::{Flaw, Plugin};
use bailiwick_core::openapi::{self, Format, Naming, Options};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::registration::{self, Document, OpenApi, Protocol};

use super::draft::Draft;
use super::found::Made;
use super::{Refused, resource};
use crate::host::Host;

/// What became of a document.
pub(crate) struct Imported {
    /// The service that it describes.
    pub(crate) service: Made,
    /// Its tools: `{id, name, protocol}`.
    pub(crate) tools: Vec<Value>,
}

/// What a caller says of a document.
struct Asked {
    source: Source,
    base: Option<Url>,
    name: Option<String>,
    /// The rest, as the config of a service has it.
    config: Map<String, Value>,
}

enum Source {
    At(String),
    Given(Value),
}

const LEGAL: &str = "specUrl or spec, baseUrlOverride, name, headers, inject, include, exclude, timeoutMs, addresses";

impl Asked {
    fn read(body: &Value) -> Result<Self, Flaw> {
        let Value::Object(fields) = body else { return Err(Flaw::new("the body has to be a JSON object")) };
        let (mut sources, mut base, mut name, mut config) = (Vec::new(), None, None, Map::new());
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("specUrl" | "spec" | "baseUrlOverride" | "name", Value::Null) => {}
                ("specUrl", Value::String(url)) => sources.push(Source::At(url.trim().to_owned())),
                ("spec", Value::Object(_)) => sources.push(Source::Given(value.clone())),
                ("spec", Value::String(text)) => {
                    let value = openapi::parse(text, Format::Either).map_err(|error| Flaw::new(error.to_string()))?;
                    sources.push(Source::Given(value));
                }
                ("baseUrlOverride", Value::String(text)) => {
                    let url = Url::parse(text.trim()).map_err(|_| Flaw::new("`baseUrlOverride` is no URL"))?;
                    base = Some(url);
                }
                ("name", Value::String(text)) => name = Some(text.clone()),
                ("headers" | "inject" | "include" | "exclude" | "timeoutMs" | "addresses", value) => {
                    config.insert(key.clone(), value.clone());
                }
                _ => {
                    let key = bailiwick_core::redact::quotable(key, 80);
                    return Err(Flaw::new(format!("`{key}` is not a field that can be set")).legal(LEGAL));
                }
            }
        }
        match (sources.pop(), sources.pop()) {
            (Some(source), None) => Ok(Self { source, base, name, config }),
            (None, _) => Err(Flaw::new("there is neither `specUrl` nor `spec`").legal(LEGAL)),
            (Some(_), Some(_)) => Err(Flaw::new("`specUrl` and `spec` are both there").legal("one of them")),
        }
    }
}

impl Host {
    /// Makes tools of all operations of a document.
    ///
    /// # Errors
    /// The document cannot be had or read, nobody says where its service is, or that lies beyond what `caller` may let be
    /// reached.
    pub(crate) async fn import_tools(&self, caller: &Caller, body: &Value) -> Result<Imported, Refused> {
        let asked = Asked::read(body)?;
        let (value, at) = match &asked.source {
            Source::At(url) => self.document(caller, url).await?,
            Source::Given(value) => (value.clone(), None),
        };
        let (spec, kept) = match asked.source {
            Source::At(url) => (Document::Url(url), None),
            Source::Given(value) => (Document::Kept, Some(value.to_string().into_bytes())),
        };
        let read = read(value, asked.base, at).await?;
        let protocol = Protocol::OpenApi(OpenApi {
            url: read.base.to_string(),
            spec: Some(spec),
            naming: registration::Naming::Slug,
            include: Vec::new(),
            exclude: Vec::new(),
            unverified_tls: false,
            login: None,
        });
        let title = asked.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| read.title.clone());
        let mut draft = Draft::new(title, protocol, caller)?;
        if let Protocol::OpenApi(service) = &draft.registration.protocol {
            let made = resource::Made::service(service, &asked.config)?;
            draft.put(made)?;
        }
        draft.document = kept;
        draft.registration.fit(&caller.ceiling);
        self.may_be(caller, &draft.registration)?;
        let plugin = draft.registration.id.clone();
        let service = self.added(caller, draft).await?;
        let tools = self.operations(&plugin, &read);
        Ok(Imported { service, tools })
    }

    /// The tools that became of the operations.
    fn operations(&self, id: &str, read: &openapi::Service) -> Vec<Value> {
        let kept = self.kept();
        let Some(kept) = kept.iter().find(|kept| kept.registration.id == id) else { return Vec::new() };
        let named = |own: &str| {
            let tool = read.tools.iter().find(|tool| tool.definition().name == own)?;
            let titled = tool.definition().title.clone().or_else(|| tool.id.clone());
            Some(titled.unwrap_or_else(|| format!("{} {}", tool.operation().method, tool.path)))
        };
        let snapshot = self.snapshot();
        let tools = snapshot.registry.tools().iter().filter(|tool| tool.plugin == kept.name && tool.effective.allowed);
        let one = |tool: &std::sync::Arc<bailiwick_core::registry::Tool>| {
            let name = named(&tool.definition.name).unwrap_or_else(|| tool.name.to_string());
            json!({"id": tool.name.as_str(), "name": name, "protocol": "http"})
        };
        tools.map(one).collect()
    }

    /// The document at a URL, as far as `caller` may let it be asked for.
    async fn document(&self, caller: &Caller, url: &str) -> Result<(Value, Option<Url>), Refused> {
        let reader = registration::reader(url, &caller.ceiling)?;
        let plugin: Option<Plugin> = reader.plugin()?;
        let plugin = plugin.ok_or_else(|| Failure::new(Code::Internal, "a document is no plugin"))?;
        let beyond = |message| Failure::new(Code::DeniedCeiling, message);
        self.wall.as_ref().map_or(Ok(()), |wall| wall.admits(&plugin)).map_err(beyond)?;
        Ok(self.services.document(&plugin).await?)
    }
}

async fn read(value: Value, base: Option<Url>, at: Option<Url>) -> Result<openapi::Service, Refused> {
    let options = Options { url: base, document: at, naming: Naming::Slug, ..Options::default() };
    let read = tokio::task::spawn_blocking(move || openapi::read(&value, &options)).await;
    let read = read.map_err(|_| Failure::new(Code::Internal, "reading the document crashed"))?;
    read.map_err(|error| Failure::new(Code::ArgumentsInvalid, error.to_string()).into())
}
