//! Tools as resources: what a caller sends to make or change one, and what it is shown of one. Values of headers and of
//! arguments that are set come in and never go out.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::{Code, Document, Header, Http, Mcp, Native, OpenApi, Protocol, Registration, code, origin};
use crate::config::{Flaw, METHODS};
use crate::name::{PluginName, ToolName};
use crate::redact::quotable;

/// What a tool is called whose name is blank.
pub const UNNAMED: &str = "Unnamed tool";
/// Characters of a name.
const MOST_OF_NAME: usize = 200;
/// Characters of a plugin's name.
const MOST_OF_SLUG: usize = 32;

/// What runs a tool, as callers know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A tool that is there, under another name.
    #[default]
    Native,
    /// One request.
    Http,
    /// One tool of an MCP server.
    Mcp,
    /// A program.
    Code,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Native, Self::Http, Self::Mcp, Self::Code];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Http => "http",
            Self::Mcp => "mcp",
            Self::Code => "code",
        }
    }

    /// What a registration is to callers: each operation of a service is a request.
    #[must_use]
    pub fn of(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::OpenApi(_) | Protocol::Http(_) => Self::Http,
            Protocol::Mcp(_) => Self::Mcp,
            Protocol::Native(_) => Self::Native,
            Protocol::Code(_) => Self::Code,
        }
    }
}

/// What a caller sends: what it leaves out is none. There is no `Debug`, because there are secrets in it.
#[derive(Clone, Default, PartialEq)]
pub struct Wanted {
    /// For people. A blank one is [`UNNAMED`].
    pub name: Option<String>,
    /// What runs it.
    pub protocol: Option<Kind>,
    /// How.
    pub config: Option<Map<String, Json>>,
    /// What it takes; none within for nothing that is said of it.
    pub input_schema: Option<Option<Json>>,
    /// What it gives; the same.
    pub output_schema: Option<Option<Json>>,
}

impl Wanted {
    /// Reads a body. The id of the tool may stand in it.
    ///
    /// # Errors
    /// It is no object, a key is unknown, or a value is of another type.
    pub fn read(body: &Json) -> Result<Self, Flaw> {
        let Json::Object(fields) = body else { return Err(Flaw::new("the body has to be a JSON object")) };
        let mut wanted = Self::default();
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("id", Json::String(_)) => {}
                ("name", Json::String(name)) => wanted.name = Some(named(name)),
                ("protocol", value) => wanted.protocol = Some(kind(value)?),
                ("config", Json::Object(config)) => wanted.config = Some(config.clone()),
                ("inputSchema", Json::Object(_) | Json::Null) => wanted.input_schema = Some(schema(value)),
                ("outputSchema", Json::Object(_) | Json::Null) => wanted.output_schema = Some(schema(value)),
                ("id" | "name", _) => return Err(Flaw::new(format!("`{key}` has to be a text"))),
                ("config" | "inputSchema" | "outputSchema", _) => {
                    return Err(Flaw::new(format!("`{key}` has to be an object")));
                }
                _ => return Err(unknown(key, "id, name, protocol, config, inputSchema, outputSchema")),
            }
        }
        Ok(wanted)
    }

    /// The first field of it that a tool of the configuration does not take: it takes schemas alone.
    #[must_use]
    pub fn beyond_schemas(&self) -> Option<&'static str> {
        let fields =
            [("name", self.name.is_some()), ("protocol", self.protocol.is_some()), ("config", self.config.is_some())];
        fields.into_iter().find_map(|(field, is_there)| is_there.then_some(field))
    }
}

fn named(name: &str) -> String {
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let name: String = name.chars().filter(|c| !crate::redact::is_invisible(*c)).take(MOST_OF_NAME).collect();
    if name.is_empty() { UNNAMED.to_owned() } else { name }
}

fn schema(value: &Json) -> Option<Json> {
    Some(value.clone()).filter(|value| !value.is_null())
}

fn kind(value: &Json) -> Result<Kind, Flaw> {
    let kind = Kind::ALL.into_iter().find(|kind| value.as_str() == Some(kind.as_str()));
    kind.ok_or_else(|| Flaw::new("`protocol` is none that there is").legal("native, http, mcp, code"))
}

fn unknown(key: &str, legal: &str) -> Flaw {
    Flaw::new(format!("`{}` is not a field that can be set", quotable(key, 80))).legal(legal)
}

/// What a config says: what runs the tool, and the values that are sealed of it. There is no `Debug` either.
#[derive(Clone, PartialEq)]
pub struct Made {
    /// What runs it.
    pub protocol: Protocol,
    /// How long a call may take.
    pub timeout_ms: Option<u64>,
    /// Its headers, with their values; none stands for one that stays as it is. None at all means that all stay.
    pub headers: Option<BTreeMap<String, Option<String>>>,
    /// Arguments that are set; the same.
    pub inject: Option<BTreeMap<String, Option<Json>>>,
    /// Address ranges that it asks for.
    pub addresses: Option<Vec<String>>,
}

/// What can be set of each.
const HTTP_KEYS: &str = "url, method, description, headers, inject, timeoutMs, addresses";
const MCP_KEYS: &str = "endpoint, toolName, headers, timeoutMs, addresses";
const NATIVE_KEYS: &str = "tool, description, arguments";
const SERVICE_KEYS: &str = "baseUrl, include, exclude, headers, inject, timeoutMs, addresses";

impl Made {
    /// Reads the config of a tool that runs by `kind`.
    ///
    /// # Errors
    /// A field is missing, unknown, or of another type. No value of a header or argument is in the sentence.
    pub fn new(kind: Kind, config: &Map<String, Json>) -> Result<Self, Flaw> {
        let mut reader = Reader::of(config);
        match kind {
            Kind::Http => {
                let http = Http {
                    url: reader.needed("url", "where the request goes")?,
                    method: method(reader.text("method")?)?,
                    description: reader.text("description")?.unwrap_or_default(),
                    unverified_tls: false,
                    input_schema: None,
                    output_schema: None,
                };
                reader.made(Protocol::Http(http), "inject", HTTP_KEYS)
            }
            Kind::Mcp => {
                let (url, tool) =
                    (reader.needed("endpoint", "where the server is")?, reader.needed("toolName", "which tool")?);
                let mcp = Mcp { url, tool, input_schema: None, output_schema: None };
                reader.made(Protocol::Mcp(mcp), "", MCP_KEYS)
            }
            Kind::Native => {
                let tool = reader.needed("tool", "the name of a tool that is there")?;
                let tool = ToolName::parse(&tool)
                    .map_err(|error| Flaw::new("`config.tool` is no tool's name").legal(error.legal()))?;
                let description = reader.text("description")?;
                let native = Native { tool, description, input_schema: None, output_schema: None };
                reader.made(Protocol::Native(native), "arguments", NATIVE_KEYS)
            }
            Kind::Code => Self::code(None, config),
        }
    }

    /// Reads the config of a service that is there already.
    ///
    /// # Errors
    /// As [`Made::new`].
    pub fn service(before: &OpenApi, config: &Map<String, Json>) -> Result<Self, Flaw> {
        let mut reader = Reader::of(config);
        let mut service = before.clone();
        if let Some(url) = reader.text("baseUrl")? {
            service.url = url;
        }
        for (key, list) in [("include", &mut service.include), ("exclude", &mut service.exclude)] {
            if let Some(given) = reader.texts(key)? {
                *list = given;
            }
        }
        reader.made(Protocol::OpenApi(service), "inject", SERVICE_KEYS)
    }
}

fn method(given: Option<String>) -> Result<String, Flaw> {
    let method = given.map_or_else(|| "POST".to_owned(), |method| method.to_ascii_uppercase());
    if METHODS.contains(&method.as_str()) {
        return Ok(method);
    }
    Err(Flaw::new("`config.method` is none that can be used").legal(METHODS.join(", ")))
}

/// A config that is read field by field.
pub(super) struct Reader<'c> {
    left: BTreeMap<&'c str, &'c Json>,
}

impl<'c> Reader<'c> {
    pub(super) fn of(config: &'c Map<String, Json>) -> Self {
        Self { left: config.iter().map(|(key, value)| (key.as_str(), value)).collect() }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Flaw> {
        Ok(self.verbatim(key)?.map(|text| text.trim().to_owned()))
    }

    /// A text with the blanks around it.
    pub(super) fn verbatim(&mut self, key: &str) -> Result<Option<&'c str>, Flaw> {
        match self.left.remove(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(Flaw::new(format!("`config.{key}` has to be a text"))),
        }
    }

    fn needed(&mut self, key: &str, what: &str) -> Result<String, Flaw> {
        let text = self.text(key)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Flaw::new(format!("`config.{key}` is missing: {what}")))
    }

    fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, Flaw> {
        let wrong = || Flaw::new(format!("`config.{key}` has to be a list of texts"));
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        let list = value.as_array().ok_or_else(wrong)?;
        list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
    }

    /// Names with values, or names alone, whose values stay as they are.
    fn values(&mut self, key: &str) -> Result<Option<BTreeMap<String, Option<&'c Json>>>, Flaw> {
        let wrong = || Flaw::new(format!("`config.{key}` has to be an object, or a list of the names that stay"));
        match self.left.remove(key) {
            None => Ok(None),
            Some(Json::Object(map)) => Ok(Some(map.iter().map(|(name, value)| (name.clone(), Some(value))).collect())),
            Some(Json::Array(names)) => {
                let names = names.iter().map(|name| Ok((name.as_str().ok_or_else(wrong)?.to_owned(), None)));
                names.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(wrong()),
        }
    }

    fn headers(&mut self) -> Result<Option<BTreeMap<String, Option<String>>>, Flaw> {
        let Some(values) = self.values("headers")? else { return Ok(None) };
        let one = |(name, value): (String, Option<&Json>)| match value {
            None => Some(Ok((name, None))),
            // Which the host sends by itself.
            Some(Json::String(text))
                if name.eq_ignore_ascii_case("content-type") && text.starts_with("application/json") =>
            {
                None
            }
            Some(Json::String(text)) => Some(Ok((name, Some(text.clone())))),
            Some(_) => Some(Err(Flaw::new(format!("the header `{}` has to be a text", quotable(&name, 80))))),
        };
        values.into_iter().filter_map(one).collect::<Result<_, _>>().map(Some)
    }

    /// All that is left; what nobody knows is a mistake.
    pub(super) fn made(mut self, protocol: Protocol, inject: &str, legal: &str) -> Result<Made, Flaw> {
        let has = |key: &str| legal.split(", ").any(|known| known == key);
        let headers = if has("headers") { self.headers()? } else { None };
        let inject = if inject.is_empty() { None } else { self.values(inject)? };
        let inject = inject.map(|values| values.into_iter().map(|(name, value)| (name, value.cloned())).collect());
        let timeout_ms = match self.left.remove("timeoutMs").filter(|_| has("timeoutMs")) {
            None => None,
            Some(value) => {
                let wrong = || Flaw::new("`config.timeoutMs` has to be a number of milliseconds above 0");
                Some(value.as_u64().filter(|value| *value > 0).ok_or_else(wrong)?)
            }
        };
        let addresses = if has("addresses") { self.texts("addresses")? } else { None };
        match self.left.keys().next() {
            Some(key) => Err(unknown(&format!("config.{key}"), legal)),
            None => Ok(Made { protocol, timeout_ms, headers, inject, addresses }),
        }
    }
}

/// The header as it is kept, with what is sealed of it.
///
/// # Errors
/// As [`Header::of`].
pub fn header(name: &str, value: &str) -> Result<(Header, String), Flaw> {
    Header::of(name, value).map(|(header, value)| (header, value.to_owned()))
}

/// Whether requests go somewhere else than before: then nothing that was sealed goes with them.
#[must_use]
pub fn moved(before: &Registration, after: &Protocol) -> bool {
    let of = |url: Option<&str>| url.and_then(|url| origin(url).ok());
    of(before.url()) != of(url(after)) || tool(&before.protocol) != tool(after)
}

fn url(protocol: &Protocol) -> Option<&str> {
    match protocol {
        Protocol::OpenApi(OpenApi { url, .. }) | Protocol::Http(Http { url, .. }) | Protocol::Mcp(Mcp { url, .. }) => {
            Some(url)
        }
        Protocol::Native(_) | Protocol::Code(_) => None,
    }
}

fn tool(protocol: &Protocol) -> Option<&ToolName> {
    match protocol {
        Protocol::Native(native) => Some(&native.tool),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Code(_) => None,
    }
}

impl Protocol {
    /// What it takes and gives, as far as that was said.
    #[must_use]
    pub fn schemas(&self) -> (Option<&Json>, Option<&Json>) {
        match self {
            Self::OpenApi(_) => (None, None),
            Self::Http(Http { input_schema, output_schema, .. })
            | Self::Mcp(Mcp { input_schema, output_schema, .. })
            | Self::Native(Native { input_schema, output_schema, .. })
            | Self::Code(Code { input_schema, output_schema, .. }) => (input_schema.as_ref(), output_schema.as_ref()),
        }
    }

    /// Says what it takes and gives.
    ///
    /// # Errors
    /// Operations of a document have schemas of their own.
    pub fn set_schemas(&mut self, input: Option<Option<Json>>, output: Option<Option<Json>>) -> Result<(), Flaw> {
        match self {
            Self::OpenApi(_) if input.is_some() || output.is_some() => {
                Err(Flaw::new("the schemas of a service stand in its document"))
            }
            Self::OpenApi(_) => Ok(()),
            Self::Http(Http { input_schema, output_schema, .. })
            | Self::Mcp(Mcp { input_schema, output_schema, .. })
            | Self::Native(Native { input_schema, output_schema, .. })
            | Self::Code(Code { input_schema, output_schema, .. }) => {
                *input_schema = input.unwrap_or_else(|| input_schema.take());
                *output_schema = output.unwrap_or_else(|| output_schema.take());
                Ok(())
            }
        }
    }
}

/// A registration as callers are shown it: names of headers and of arguments that are set, and never a value.
#[must_use]
pub fn record(of: &Registration) -> Json {
    let headers: Vec<&str> = of.headers.iter().map(|header| header.name.as_str()).collect();
    let (input, output) = of.protocol.schemas();
    let mut config = match &of.protocol {
        Protocol::Http(Http { url, method, description, .. }) => {
            json!({"url": url, "method": method, "description": description, "headers": headers, "inject": of.inject})
        }
        Protocol::Mcp(Mcp { url, tool, .. }) => json!({"endpoint": url, "toolName": tool, "headers": headers}),
        Protocol::Native(Native { tool, description, .. }) => {
            json!({"tool": tool, "description": description, "arguments": of.inject})
        }
        Protocol::OpenApi(OpenApi { url, include, exclude, .. }) => json!({
            "baseUrl": url, "include": include, "exclude": exclude, "headers": headers, "inject": of.inject,
        }),
        Protocol::Code(Code { language, source, description, .. }) => {
            json!({"language": language, "source": source, "description": description, "timeoutMs": of.timeout_ms})
        }
    };
    if of.url().is_some() {
        config["timeoutMs"] = of.timeout_ms.into();
        config["addresses"] = of.addresses.clone().into();
    }
    if let (Protocol::Http(_) | Protocol::Native(_) | Protocol::Code(_), Json::Object(config)) =
        (&of.protocol, &mut config)
    {
        config.retain(|key, value| key != "description" || value.as_str().is_some_and(|text| !text.is_empty()));
    }
    let mut record = json!({
        "id": id(of), "name": title(of), "protocol": Kind::of(&of.protocol).as_str(), "config": config,
    });
    for (key, schema) in [("inputSchema", input), ("outputSchema", output)] {
        if let Some(schema) = schema {
            record[key] = schema.clone();
        }
    }
    record
}

/// The id that clients know a registration by.
#[must_use]
pub fn id(of: &Registration) -> String {
    match &of.protocol {
        Protocol::Code(_) => code::tool_id(&of.id),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) => of.id.clone(),
    }
}

/// What people call a registration.
#[must_use]
pub fn title(of: &Registration) -> &str {
    of.title.as_deref().unwrap_or(of.name.as_str())
}

/// Where the document of a service is, in a word, for records.
#[must_use]
pub fn document(of: &Registration) -> Option<String> {
    match &of.protocol {
        Protocol::OpenApi(OpenApi { spec: Some(spec), .. }) => Some(match spec {
            Document::Url(url) => url.clone(),
            Document::File(_) => "a file".to_owned(),
            Document::Kept => "kept".to_owned(),
        }),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_) => None,
    }
}

/// The name that callers use: `title` in small letters, digits, `_` and `-`, and the first of `NAME`, `NAME_2`, `NAME_3` …
/// that is not taken.
///
/// # Panics
/// Never: what it makes is a name.
pub fn slug(title: &str, is_taken: impl Fn(&str) -> bool) -> PluginName {
    let lower = title.to_ascii_lowercase();
    let words = lower.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let joined = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    let whole = match joined.bytes().next() {
        None => "tool".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("tool_{joined}"),
        Some(_) => joined.to_owned(),
    };
    let cut = |most: usize| whole[..whole.len().min(most)].trim_end_matches(['_', '-']);
    let mut name = cut(MOST_OF_SLUG).to_owned();
    let mut number = 2;
    while is_taken(&name) {
        let suffix = format!("_{number}");
        name = format!("{}{suffix}", cut(MOST_OF_SLUG - suffix.len()));
        number += 1;
    }
    PluginName::parse(&name).expect("it has the characters of a name, and begins with a letter")
}
