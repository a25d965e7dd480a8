//! An HTTP service: one that a document describes, or one request that the operator describes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use url::Url;

use super::file::{HttpTable, LoginTable, OpenApiTable, PluginTable};
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::reader::{At, JsonTable, joined};
use super::web::{self, Reserved};
use super::{Class, Typing};
use crate::grant::pattern::is_method;
use crate::grant::{NetGrant, NetGrants, NetRequest, Origin, Placement};
use crate::name::SecretName;
use crate::openapi::{Naming, Pattern};
use crate::schema::ArgumentSchema;

/// The methods a service can be asked with: those that a document can describe, without TRACE.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// An HTTP service. It is reached by one component of the host's own, over egress, with the plugin's grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it is: origin and perhaps a path that all of it lies below. For a single request, all of its URL.
    pub url: Url,
    /// Headers of every request, in lower case. None of them is a secret.
    pub headers: BTreeMap<String, String>,
    /// How the host logs in there, if it has to.
    pub login: Option<Login>,
    /// Whether it may be anybody who answers: certificates are not checked.
    pub unverified_tls: bool,
    /// What is known of it.
    pub known: Known,
    /// Where its URL is written.
    pub place: Place,
}

/// What is known of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// What its document says: each operation is a tool.
    Document(Document),
    /// What the operator says: one request is the only tool.
    Request(Request),
}

/// Which document describes a service, and what of it becomes a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it is; none means that the service itself is asked at the usual places.
    pub spec: Option<Spec>,
    /// How tools are named.
    pub naming: Naming,
    /// Which operations become tools; empty means all.
    pub include: Vec<Pattern>,
    /// Which do not.
    pub exclude: Vec<Pattern>,
    /// Other documents it may refer to: these URLs, and with a `/` at the end all below them.
    pub references: Vec<Url>,
    /// Whether callers see headers and cookies that may be left out.
    pub optional_headers: bool,
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// At a URL, which the plugin's `net` reaches.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// In the host's database, where a registration came with it.
    Kept,
}

/// One request as a tool, named like its plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its URL as written, with `{name}` where arguments go.
    pub template: String,
    /// In capitals.
    pub method: String,
    /// What callers are told.
    pub description: String,
    /// The schema of its arguments.
    pub input: Json,
}

/// How the host gets what proves to a service who asks: it logs in when it was refused, and asks once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Where.
    pub url: Url,
    /// In capitals.
    pub method: String,
    /// What is sent; `{{NAME}}` stands for a secret of the plugin.
    pub body: String,
    /// What the body is.
    pub content_type: String,
    /// What of the answer is the credential.
    pub credential: Credential,
    /// The header it is sent in, in lower case.
    pub header: String,
    /// What the header says; `{}` stands for the credential.
    pub format: String,
    /// The secrets that `body` names.
    pub secrets: Vec<SecretName>,
}

/// What of the answer to a login is the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The value of this cookie.
    Cookie(String),
    /// The text at this place of a JSON answer, as a JSON pointer (RFC 6901).
    Json(String),
}

/// How tools are named, as it stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamingWord {
    /// [`Naming::Given`].
    #[default]
    OperationId,
    /// [`Naming::GivenExactly`].
    Exact,
    /// [`Naming::Slug`].
    Slug,
}

impl NamingWord {
    pub(crate) const ALL: [Self; 3] = [Self::OperationId, Self::Exact, Self::Slug];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OperationId => "operation-id",
            Self::Exact => "exact",
            Self::Slug => "slug",
        }
    }

    fn naming(self) -> Naming {
        match self {
            Self::OperationId => Naming::Given,
            Self::Exact => Naming::GivenExactly,
            Self::Slug => Naming::Slug,
        }
    }
}

/// What the URL of a service looks like, for messages.
const URL_LEGAL: &str = "`https://HOST` or `https://HOST/PATH`, without user, password, `?` and `#`";

/// Headers that the host sets.
const HOSTS: Reserved = Reserved {
    names: &["accept-encoding", "content-type"],
    starts: &["proxy-"],
    whose: "the host's",
    origin: "service's",
};

impl Service {
    /// Whom requests to it are for.
    ///
    /// # Panics
    /// Never: its URL has an origin.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of(&self.url).expect("the URL of a service is one of HTTP")
    }

    /// The secrets that only its login uses.
    #[must_use]
    pub fn login_secrets(&self) -> &[SecretName] {
        self.login.as_ref().map_or(&[], |login| &login.secrets)
    }

    /// The file its document is in, if it is in one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match &self.known {
            Known::Document(Document { spec: Some(Spec::File(file)), .. }) => Some(file),
            Known::Document(_) | Known::Request(_) => None,
        }
    }

    /// The key that makes a plugin one.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self.known {
            Known::Document(_) => "openapi",
            Known::Request(_) => "http",
        }
    }
}

impl Class {
    /// The HTTP service, if it is one.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::Component(_) | Self::Mcp(_) | Self::Remote(_) | Self::Process(_) | Self::Code(_) => None,
        }
    }
}

impl Typing<'_, '_> {
    /// Reads a service that a document describes.
    pub(super) fn openapi(&mut self, path: &str, place: &Place, table: OpenApiTable) -> Option<Service> {
        let before = self.reading.n_mistakes();
        let patterns = |typing: &mut Self, list: Option<At<Vec<At<String>>>>| {
            let lines = list.into_iter().flat_map(|list| list.value);
            lines.filter_map(|line| typing.reading.accept(Pattern::parse(&line.value), &line.place)).collect()
        };
        let include = patterns(self, table.include);
        let exclude = patterns(self, table.exclude);
        let spec = match table.spec {
            None => None,
            Some(spec) if spec.value.contains("://") => {
                let url = self.reading.accept(web_url(&spec.value, true), &spec.place)?;
                Some(Spec::Url(url))
            }
            Some(spec) => Some(Spec::File(self.path(&spec)?)),
        };
        let references = table.references.into_iter().flat_map(|list| list.value);
        let references =
            references.filter_map(|line| self.reading.accept(web_url(&line.value, true), &line.place)).collect();
        let headers = self.plain_headers(table.headers.unwrap_or_default(), &HOSTS).unwrap_or_default();
        let login = match table.login {
            Some(login) => Some(self.login(&joined(path, "login"), &login.place, login.value)?),
            None => None,
        };
        let url = self.service_url(path, place, table.url)?;
        let parsed = web_url(&url.value, false).and_then(|url| if login.is_some() { encrypted(url) } else { Ok(url) });
        let parsed = self.reading.accept(parsed, &url.place)?;
        let document = Document {
            spec,
            naming: table.naming.map(|naming| naming.value).unwrap_or_default().naming(),
            include,
            exclude,
            references,
            optional_headers: table.optional_headers.is_some_and(|shown| shown.value),
        };
        (self.reading.n_mistakes() == before).then_some(Service {
            url: parsed,
            headers,
            login,
            unverified_tls: table.danger_unverified_tls.is_some_and(|danger| danger.value),
            known: Known::Document(document),
            place: url.place,
        })
    }

    /// Reads a request that the operator describes.
    pub(super) fn http(&mut self, path: &str, place: &Place, table: HttpTable) -> Option<Service> {
        let before = self.reading.n_mistakes();
        let headers = self.plain_headers(table.headers.unwrap_or_default(), &HOSTS).unwrap_or_default();
        let method = self.method(table.method);
        let input = self.input(path, table.input);
        let url = self.service_url(path, place, table.url)?;
        let parsed = self.reading.accept(template_url(&url.value), &url.place)?;
        let request = Request {
            template: url.value,
            method: method?,
            description: table.description.map(|text| text.value).unwrap_or_default(),
            input: input?,
        };
        (self.reading.n_mistakes() == before).then_some(Service {
            url: parsed,
            headers,
            login: None,
            unverified_tls: table.danger_unverified_tls.is_some_and(|danger| danger.value),
            known: Known::Request(request),
            place: url.place,
        })
    }

    fn service_url(&mut self, path: &str, place: &Place, url: Option<At<String>>) -> Option<At<String>> {
        if url.is_none() {
            let message = format!("`{path}` does not say where the service is");
            let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message);
            self.reading.note(mistake.legal(URL_LEGAL).suggest("add `url = \"https://…\"`"));
        }
        url
    }

    fn method(&mut self, method: Option<At<String>>) -> Option<String> {
        let Some(method) = method else { return Some("POST".to_owned()) };
        let known = METHODS.contains(&method.value.as_str()).then(|| method.value.clone());
        let flaw = || {
            let flaw = Flaw::new(format!("{} is not a method that can be used", shown(&method.value)));
            let flaw = flaw.legal(METHODS.map(|method| format!("`{method}`")).join(", "));
            let upper = method.value.to_ascii_uppercase();
            if is_method(&upper) && METHODS.contains(&upper.as_str()) {
                flaw.suggest(format!("did you mean `{upper}`?"))
            } else {
                flaw
            }
        };
        self.reading.accept(known.ok_or_else(flaw), &method.place)
    }

    /// The schema of the arguments of a tool that the operator describes; without one, any object.
    pub(super) fn input(&mut self, path: &str, table: Option<At<JsonTable>>) -> Option<Json> {
        let Some(At { value: JsonTable(map), place, .. }) = table else {
            return Some(json!({ "type": "object" }));
        };
        let schema = Json::Object(map);
        let compiled = ArgumentSchema::compile(&schema.to_string(), &[], serde_json::Map::new());
        let usable = compiled.map_err(|error| Flaw::new(format!("`{path}.input` is no schema of arguments: {error}")));
        self.reading.accept(usable, &place).map(|_| schema)
    }

    fn login(&mut self, path: &str, place: &Place, table: LoginTable) -> Option<Login> {
        let missing = |typing: &mut Self, message: String, legal: &str| {
            typing.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(legal));
        };
        let Some(url) = table.url else {
            missing(self, format!("`{path}` does not say where to log in"), "`url = \"https://…\"`");
            return None;
        };
        let url = self.reading.accept(web_url(&url.value, true).and_then(encrypted), &url.place);
        let method = self.method(table.method);
        let credential = match (table.cookie, table.json) {
            (Some(cookie), None) => Some(Credential::Cookie(cookie.value)),
            (None, Some(json)) => self.reading.accept(json_place(&json.value), &json.place).map(Credential::Json),
            (Some(_), Some(json)) => {
                let message = format!("`{path}` says twice what of the answer is the credential");
                self.reading.note(Mistake::new(code::CONFLICT, json.place, message).legal("`cookie` or `json`"));
                None
            }
            (None, None) => {
                let message = format!("`{path}` does not say what of the answer is the credential");
                missing(self, message, "`cookie = \"NAME\"` or `json = \"$.token\"`");
                None
            }
        };
        let (usual_header, usual_format) = match &credential {
            Some(Credential::Cookie(name)) => ("cookie", format!("{name}={{}}")),
            Some(Credential::Json(_)) | None => ("authorization", "Bearer {}".to_owned()),
        };
        let header = match table.header {
            Some(header) => self.reading.accept(Placement::header(&header.value), &header.place),
            None => Some(usual_header.to_owned()),
        };
        let format = match table.format {
            Some(format) => self.reading.accept(Placement::format(&format.value), &format.place),
            None => Some(usual_format),
        };
        let body = table.body.map(|body| (body.value, body.place)).unwrap_or_default();
        let secrets = self.reading.accept(secrets_in(&body.0), &body.1)?;
        let is_json = body.0.trim_start().starts_with(['{', '[']);
        let usual_type = if is_json { "application/json" } else { "application/x-www-form-urlencoded" };
        let content_type = table.content_type.map_or_else(|| usual_type.to_owned(), |kind| kind.value);
        let (url, method, credential, header, format) = (url?, method?, credential?, header?, format?);
        Some(Login { url, method, body: body.0, content_type, credential, header, format, secrets })
    }

    /// Notes what keeps a service from being reached with these grants.
    pub(super) fn service_in_reach(
        &mut self,
        path: &str,
        service: &Service,
        net: Option<&NetGrants>,
        names: &[&SecretName],
    ) {
        let origin = service.origin();
        if let Some(net) = net.filter(|net| !net.names(&origin)) {
            let denied = net.decide(&NetRequest { method: "GET", url: &service.url }).err();
            let reason = denied.map(|denial| format!(": {}", denial.reason())).unwrap_or_default();
            let message = format!("the service is out of reach{reason}");
            let methods = match &service.known {
                Known::Document(_) => "GET,POST,PUT,PATCH,DELETE".to_owned(),
                Known::Request(request) => request.method.clone(),
            };
            let line = crate::grant::quoted(&format!("{methods} {origin}"));
            let mistake = Mistake::new(code::CONFLICT, service.place.clone(), message);
            self.reading.note(mistake.suggest(format!("add `net = [{line}]` under `[{path}]`")));
        }
        let mut asked: Vec<(&str, &str, &Url)> = Vec::new();
        if let Known::Document(Document { spec: Some(Spec::Url(url)), .. }) = &service.known {
            asked.push(("its document", "GET", url));
        }
        if let Some(login) = &service.login {
            asked.push(("its login", &login.method, &login.url));
        }
        for (what, method, url) in asked {
            let denial = net.and_then(|net| net.decide(&NetRequest { method, url }).err());
            let Some(denial) = denial else { continue };
            let message = format!("{what} is out of reach: {}", denial.reason());
            let mistake = Mistake::new(code::CONFLICT, service.place.clone(), message);
            let origin = Origin::of(url).map(|origin| origin.to_string()).unwrap_or_default();
            let line = crate::grant::quoted(&format!("{method} {origin}"));
            self.reading.note(mistake.suggest(format!("add {line} to `net` of `[{path}]`")));
        }
        for name in service.login_secrets().iter().filter(|name| !names.contains(name)) {
            let message = format!("there is no secret `{name}`, which `login.body` names");
            let mistake = Mistake::new(code::MISSING_KEY, service.place.clone(), message);
            self.reading.note(mistake.suggest(format!("add it as `[{path}.secrets.{name}]`")));
        }
    }

    /// Notes what means nothing for a service.
    pub(super) fn service_fits(&mut self, path: &str, service: &Service, table: &PluginTable) {
        let foreign = [
            ("fs", table.fs.as_ref().map(|key| &key.place)),
            ("env", table.env.as_ref().and_then(|env| env.0.first()).map(|(name, _)| &name.place)),
            ("config", table.config.as_ref().and_then(|config| config.0.first()).map(|(name, _)| &name.place)),
        ];
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let message =
                format!("`{path}.{key}` has no effect: a plugin with `{}` reads nothing of it", service.key());
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }
}

/// The grants of `net` for one method, and for those that a redirect may turn it into: no others are needed to use it.
#[must_use]
pub fn narrowed_to(net: &NetGrants, method: &str) -> NetGrants {
    let wanted = [method, "GET", "HEAD"];
    let grants: Vec<NetGrant> = net.iter().filter_map(|grant| grant.only(&wanted)).collect();
    net.narrowed(grants, net.section().clone())
}

/// The URL of something that is fetched.
fn web_url(text: &str, query: bool) -> Result<Url, Flaw> {
    let url = web::url(text, "a URL of the web", URL_LEGAL)?;
    if !query && url.query().is_some() {
        return Err(Flaw::new("the URL has a `?`: what goes there is up to each operation").legal(URL_LEGAL));
    }
    Ok(url)
}

/// The URL of what gets a credential.
fn encrypted(url: Url) -> Result<Url, Flaw> {
    web::encrypted(url, "what proves who asks", URL_LEGAL)
}

/// The URL of a request, where arguments stand in the path or the query and nowhere before.
fn template_url(text: &str) -> Result<Url, Flaw> {
    let url = web_url(text, true)?;
    let start = text.find("://").map_or(0, |at| at + 3);
    let authority = &text[start..start + text[start..].find(['/', '?']).unwrap_or(text.len() - start)];
    if authority.contains(['{', '}', '%']) {
        let flaw = Flaw::new("an argument cannot say which host is asked").legal(URL_LEGAL);
        return Err(flaw.suggest("write the host, and `{name}` in the path or the query"));
    }
    Ok(url)
}

/// Reads `$.a.b[0]` or `$['a']` (the parts of JSONPath, RFC 9535, that lead to one place) as a JSON pointer.
fn json_place(text: &str) -> Result<String, Flaw> {
    let flaw = || Flaw::new(format!("{} leads to no one place", shown(text))).legal("`$.token`, `$.data[0].token`");
    let mut rest = text.strip_prefix('$').ok_or_else(flaw)?;
    let mut pointer = String::new();
    while !rest.is_empty() {
        let (step, after) = if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            named.split_at(end)
        } else {
            let inner = rest.strip_prefix('[').ok_or_else(flaw)?;
            let (step, after) = inner.split_once(']').ok_or_else(flaw)?;
            let quoted = ['\'', '"'].into_iter().find_map(|quote| step.strip_prefix(quote)?.strip_suffix(quote));
            let index = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
            (quoted.or(index.then_some(step)).ok_or_else(flaw)?, after)
        };
        if step.is_empty() || step.contains('*') {
            return Err(flaw());
        }
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        rest = after;
    }
    if pointer.is_empty() { Err(flaw()) } else { Ok(pointer) }
}

/// The secrets that `{{NAME}}` stands for in a text.
fn secrets_in(body: &str) -> Result<Vec<SecretName>, Flaw> {
    let mut names: Vec<SecretName> = Vec::new();
    for part in body.split("{{").skip(1) {
        let name = part.split_once("}}").map(|(name, _)| name);
        let legal = "`{{NAME}}` with the name of a secret of the plugin";
        let name = name.ok_or_else(|| Flaw::new("the body has a `{{` without its `}}`").legal(legal))?;
        let parsed = SecretName::parse(name)
            .map_err(|_| Flaw::new(format!("{} in the body is not the name of a secret", shown(name))).legal(legal))?;
        if !names.contains(&parsed) {
            names.push(parsed);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_json_is_one_place() {
        let check = |text, expected: Option<&str>| assert_eq!(json_place(text).ok().as_deref(), expected, "{text}");
        check("$.token", Some("/token"));
        check("$.data[0].access_token", Some("/data/0/access_token"));
        check("$['a.b'][\"c/d\"]", Some("/a.b/c~1d"));
        for wrong in ["", "$", "token", "$.", "$..a", "$.*", "$[*]", "$[]", "$[0", "$.a[x]", "$a"] {
            check(wrong, None);
        }
    }

    #[test]
    fn an_argument_chooses_no_host() {
        for wrong in ["https://{host}/a", "https://a.example:{port}/", "https://{x}.example", "https://u:p@a.example/"]
        {
            assert!(template_url(wrong).is_err(), "{wrong}");
        }
        for right in ["https://a.example/{id}", "https://a.example/a?b={c}", "http://127.0.0.1:8000"] {
            assert!(template_url(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_body_names_secrets() {
        let names = secrets_in("{\"u\":\"x\",\"p\":\"{{password}}\",\"q\":\"{{password}}{{pin}}\"}").unwrap();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["password", "pin"]);
        assert!(secrets_in("{{").is_err() && secrets_in("{{a b}}").is_err());
    }
}
