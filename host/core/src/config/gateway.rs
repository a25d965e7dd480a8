//! The tables around the tools: the HTTP server, who may call it and how a person is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::file::{ApprovalTable, GatewayTable, KeyTable, OauthTable, PolicyTable, TelemetryTable};
use super::reader::{At, Bytes, Named, Time};
use super::{Mistake, Place, Typing, code};
use crate::call::{Budget, Ceiling, May, Policy, Selector};
use crate::grant::address::AddressRange;
use crate::grant::{NetGrant, NetGrants};
use crate::key::KeyHash;

type List = At<Vec<At<String>>>;

/// The policies of a file; none stands for one that is wrong, so that naming it is not another mistake.
pub(super) type Policies = BTreeMap<String, Option<Arc<Policy>>>;

/// The most requests in a minute that can be asked for.
const MOST_PER_MINUTE: u32 = 1_000_000;

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Host names it answers to beside those of this machine itself, in lower case.
    pub hosts: Vec<String>,
    /// Origins whose pages may call it, as browsers write them.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Requests an address may make in a minute; 0 means no limit.
    pub per_ip: u32,
    /// Requests a key may make in a minute; 0 means no limit.
    pub per_key: u32,
    /// Connections at once.
    pub connections: u32,
    /// The largest body of a request, in bytes.
    pub body: u64,
    /// How long a request's head may take.
    pub header_time: Duration,
    /// How long a request's body may take.
    pub body_time: Duration,
    /// How long calls under way may take to finish at the end.
    pub grace: Duration,
    /// What callers without a key may do; none means that there are no such callers.
    pub anonymous: Option<Arc<Policy>>,
    /// The number of tools above which a caller is offered a search; 0 means never.
    pub search_above: u32,
    /// Whether tools can be run through the plain HTTP interface.
    pub enable_tool_execute: bool,
    /// Callers with a token of an authorization server.
    pub oauth: Option<OauthSettings>,
}

impl GatewaySettings {
    /// Where it listens where the config says nothing.
    pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
    /// Requests in a minute where the config says nothing.
    pub const DEFAULT_PER_MINUTE: u32 = 60;
    /// Connections at once where the config says nothing.
    pub const DEFAULT_CONNECTIONS: u32 = 4_096;
    /// The largest body where the config says nothing.
    pub const DEFAULT_BODY: u64 = 1 << 20;
    /// How long a head may take where the config says nothing.
    pub const DEFAULT_HEADER_TIME: Duration = Duration::from_secs(10);
    /// How long a body may take where the config says nothing.
    pub const DEFAULT_BODY_TIME: Duration = Duration::from_secs(30);
    /// How long calls may take to finish where the config says nothing.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
    /// When tools are searched for where the config says nothing.
    pub const DEFAULT_SEARCH_ABOVE: u32 = 100;
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            per_ip: Self::DEFAULT_PER_MINUTE,
            per_key: Self::DEFAULT_PER_MINUTE,
            connections: Self::DEFAULT_CONNECTIONS,
            body: Self::DEFAULT_BODY,
            header_time: Self::DEFAULT_HEADER_TIME,
            body_time: Self::DEFAULT_BODY_TIME,
            grace: Self::DEFAULT_GRACE,
            anonymous: None,
            search_above: Self::DEFAULT_SEARCH_ABOVE,
            enable_tool_execute: false,
            oauth: None,
        }
    }
}

/// Callers with a token of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthSettings {
    /// The authorization server.
    pub issuer: Url,
    /// What tokens for this server are made out to.
    pub audience: String,
    /// Where the server's keys are; none means as its metadata says.
    pub jwks: Option<Url>,
    /// Scopes a token must have.
    pub scopes: Vec<String>,
    /// What callers with such a token may do.
    pub policy: Arc<Policy>,
}

/// A caller that proves itself with a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The hash of the key.
    pub hash: KeyHash,
    /// What it may do.
    pub policy: Arc<Policy>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// How a person is asked whether a call may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// How long a person has to answer.
    pub time: Duration,
    /// Where questions are sent to as well.
    pub webhook: Option<Webhook>,
}

/// Where questions are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The URL.
    pub url: Url,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
}

impl ApprovalSettings {
    /// How long a person has where the config says nothing.
    pub const DEFAULT_TIME: Duration = Duration::from_secs(120);
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self { time: Self::DEFAULT_TIME, webhook: None }
    }
}

/// Where traces and metrics go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// A collector that takes OTLP over HTTP.
    pub otlp: Option<Url>,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
    /// Of a hundred traces, how many are kept.
    pub sample: u32,
}

impl TelemetrySettings {
    /// How many traces of a hundred are kept where the config says nothing.
    pub const DEFAULT_SAMPLE: u32 = 100;
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { otlp: None, metrics: Metrics::default(), sample: Self::DEFAULT_SAMPLE }
    }
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// Nobody.
    Off,
    /// Callers that may manage.
    #[default]
    Key,
    /// Everyone who reaches the server.
    Open,
}

impl Metrics {
    pub(crate) const ALL: [Self; 3] = [Self::Off, Self::Key, Self::Open];

    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Key => "key",
            Self::Open => "open",
        }
    }
}

const ORIGIN_LEGAL: &str = "an origin such as `https://app.example.com`, without a path";
const HTTP_LEGAL: &str = "a URL that begins with `https://` or `http://`";

impl Typing<'_, '_> {
    pub(super) fn gateway(&mut self, table: GatewayTable, policies: &Policies) -> GatewaySettings {
        let default = GatewaySettings::default();
        let second = Duration::from_secs;
        let listen = table.listen.and_then(|at| self.listen(&at)).unwrap_or(default.listen);
        let hosts = self.each("gateway.hosts", table.hosts, |host| {
            host_name(host).ok_or("a host name or an address, without a port")
        });
        let origins = self.each("gateway.origins", table.origins, |origin| browser_origin(origin).ok_or(ORIGIN_LEGAL));
        let trusted_proxies = self.proxies(table.trusted_proxies);
        let api = table.api.and_then(|api| api.value.enable_tool_execute);
        GatewaySettings {
            listen,
            hosts,
            origins,
            trusted_proxies,
            per_ip: self.count("gateway.per_ip", table.per_ip, default.per_ip, 0, MOST_PER_MINUTE),
            per_key: self.count("gateway.per_key", table.per_key, default.per_key, 0, MOST_PER_MINUTE),
            connections: self.count("gateway.connections", table.connections, default.connections, 1, 65_536),
            body: self.size("gateway.body", table.body, default.body, 1 << 10, 1 << 30),
            header_time: self.span(
                "gateway.header_time",
                table.header_time,
                default.header_time,
                Duration::from_millis(100),
                second(600),
            ),
            body_time: self.span(
                "gateway.body_time",
                table.body_time,
                default.body_time,
                Duration::from_millis(100),
                second(3_600),
            ),
            grace: self.span("gateway.grace", table.grace, default.grace, Duration::ZERO, second(3_600)),
            anonymous: table.anonymous.and_then(|name| self.policy_named(&name, policies)),
            search_above: self.count("gateway.search_above", table.search_above, default.search_above, 0, 100_000),
            enable_tool_execute: api.is_some_and(|enabled| enabled.value),
            oauth: table.oauth.and_then(|oauth| self.oauth(oauth, policies)),
        }
    }

    fn listen(&mut self, at: &At<String>) -> Option<SocketAddr> {
        let text = at.value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let parsed = text.as_deref().unwrap_or(&at.value).parse();
        parsed.map_err(|_| self.wrong("gateway.listen", at, "an address and a port, such as `127.0.0.1:8080`")).ok()
    }

    fn proxies(&mut self, list: Option<At<Vec<At<String>>>>) -> Vec<AddressRange> {
        let list = list.map(|list| list.value).unwrap_or_default();
        list.iter().filter_map(|at| self.reading.accept(AddressRange::parse(&at.value), &at.place)).collect()
    }

    fn oauth(&mut self, table: At<OauthTable>, policies: &Policies) -> Option<OauthSettings> {
        let At { value: table, place, .. } = table;
        let missing: Vec<&str> = [
            ("issuer", table.issuer.is_none()),
            ("audience", table.audience.is_none()),
            ("policy", table.policy.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, missing)| missing.then_some(key))
        .collect();
        for key in missing {
            let mistake = Mistake::new(code::MISSING_KEY, place.clone(), format!("`[gateway.oauth]` has no `{key}`"));
            self.reading.note(mistake.suggest(format!("add `{key} = \"…\"`")));
        }
        let issuer = table.issuer.and_then(|at| self.http_url("gateway.oauth.issuer", &at));
        let jwks = table.jwks.and_then(|at| self.http_url("gateway.oauth.jwks", &at));
        let policy = table.policy.and_then(|name| self.policy_named(&name, policies));
        let scopes = table.scopes.map(|list| list.value).unwrap_or_default();
        Some(OauthSettings {
            issuer: issuer?,
            audience: table.audience?.value,
            jwks,
            scopes: scopes.into_iter().map(|scope| scope.value).collect(),
            policy: policy?,
        })
    }

    pub(super) fn policies(&mut self, tables: Named<At<PolicyTable>>) -> Policies {
        tables.0.into_iter().map(|(name, table)| (name.value.clone(), self.policy(&name.value, table))).collect()
    }

    fn policy(&mut self, name: &str, table: At<PolicyTable>) -> Option<Arc<Policy>> {
        let At { value: table, place, clean } = table;
        let before = self.reading.n_mistakes();
        let key = |key: &str| super::reader::joined(&super::reader::joined("policies", name), key);
        let tools = table.tools.map(|list| list.value).unwrap_or_default();
        let said = |at: Option<At<bool>>| at.is_some_and(|at| at.value);
        let per_minute = table.per_minute.map(|at| self.count(&key("per_minute"), Some(at), 0, 0, MOST_PER_MINUTE));
        let per = self.span(
            &key("per"),
            table.per,
            Budget::DEFAULT_PER,
            Duration::from_secs(1),
            Duration::from_secs(720 * 3_600),
        );
        let manages = said(table.manage);
        let ceiling = self.ceiling((name, &place), table.create, table.create_addresses, manages);
        let policy = Policy {
            name: name.to_owned(),
            tools: Selector::of(tools.iter().map(|at| at.value.as_str())),
            may: May { execute: said(table.execute), approve: said(table.approve), manage: manages },
            per_minute,
            budget: Budget {
                calls: table.calls.map(|At { value, .. }| value),
                time: table.time.map(|At { value: Time(value), .. }| value),
                bytes: table.bytes.map(|At { value: Bytes(value), .. }| value),
                per,
            },
            ceiling,
        };
        (clean && self.reading.n_mistakes() == before).then(|| Arc::new(policy))
    }

    /// The most that tools of a policy's callers may reach.
    fn ceiling(
        &mut self,
        (name, place): (&str, &Place),
        create: Option<List>,
        addresses: Option<List>,
        manages: bool,
    ) -> Ceiling {
        let table = super::reader::joined("policies", name);
        for (key, list) in [("create", &create), ("create_addresses", &addresses)] {
            if let (Some(list), false) = (list, manages) {
                let message = format!("`{table}.{key}` has no effect: its callers may not make tools");
                let mistake = Mistake::new(code::UNUSED, list.place.clone(), message);
                self.reading.note(mistake.suggest(format!("set `manage = true` under `[{table}]`, or leave it out")));
            }
        }
        let lines = create.into_iter().flat_map(|list| list.value).enumerate();
        let grants = lines.filter_map(|(index, line)| {
            self.reading.accept(NetGrant::parse(&line.value, index + 1, line.place.clone()), &line.place)
        });
        let grants = grants.collect();
        let ranges = addresses.into_iter().flat_map(|list| list.value);
        let ranges =
            ranges.filter_map(|range| self.reading.accept(AddressRange::parse(&range.value), &range.place)).collect();
        let section = self.section(&table, place);
        Ceiling::Within(Arc::new(NetGrants::new(grants, ranges, false, section)))
    }

    fn policy_named(&mut self, name: &At<String>, policies: &Policies) -> Option<Arc<Policy>> {
        if let Some(policy) = policies.get(&name.value) {
            return policy.clone();
        }
        let message = format!("there is no policy `{}`", name.value);
        let mistake = Mistake::new(code::VALUE, name.place.clone(), message);
        let names = policies.keys().map(String::as_str);
        self.reading.note(match super::reader::closest(&name.value, names) {
            Some(meant) => mistake.suggest(format!("did you mean `{meant}`?")),
            None => mistake.suggest(format!("add `[policies.{}]`", name.value)),
        });
        None
    }

    pub(super) fn keys(&mut self, tables: Named<At<KeyTable>>, policies: &Policies) -> BTreeMap<String, Key> {
        tables
            .0
            .into_iter()
            .filter_map(|(name, table)| Some((name.value.clone(), self.key(&name, table, policies)?)))
            .collect()
    }

    fn key(&mut self, name: &At<String>, table: At<KeyTable>, policies: &Policies) -> Option<Key> {
        let table = table.value;
        let path = super::reader::joined("keys", &name.value);
        for (key, missing) in [("hash", table.hash.is_none()), ("policy", table.policy.is_none())] {
            if missing {
                let mistake = Mistake::new(code::MISSING_KEY, name.place.clone(), format!("`[{path}]` has no `{key}`"));
                self.reading.note(mistake.suggest(format!("add `{key} = \"…\"`")));
            }
        }
        let hash = table.hash.and_then(|at| {
            // The value is not repeated: somebody may have put the key itself there.
            let refused = |fault| format!("`{path}.hash` cannot be used: {fault}");
            let read = KeyHash::parse(&at.value).map_err(|fault| Mistake::new(code::VALUE, at.place, refused(fault)));
            let legal = "what `bailiwick keys hash` prints, `$argon2id$v=19$…`";
            read.map_err(|mistake| self.reading.note(mistake.legal(legal))).ok()
        });
        let policy = table.policy.and_then(|name| self.policy_named(&name, policies));
        Some(Key { hash: hash?, policy: policy? })
    }

    pub(super) fn approval(&mut self, table: ApprovalTable) -> ApprovalSettings {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(24 * 3_600));
        let webhook = table.webhook.and_then(|at| {
            let url = self.http_url("approval.webhook", &at)?;
            Some(Webhook { url, at: format!("{}:{}", self.source.name, at.place.line) })
        });
        ApprovalSettings {
            time: self.span("approval.time", table.time, ApprovalSettings::DEFAULT_TIME, least, most),
            webhook,
        }
    }

    pub(super) fn telemetry(&mut self, table: Option<TelemetryTable>) -> TelemetrySettings {
        let (otlp, metrics, kept) = table.map_or((None, None, None), |table| (table.otlp, table.metrics, table.sample));
        let sample = self.standard_sample().unwrap_or(TelemetrySettings::DEFAULT_SAMPLE);
        TelemetrySettings {
            otlp: match otlp {
                Some(at) => self.http_url("telemetry.otlp", &at),
                None => self.standard_collector(),
            },
            metrics: metrics.map(|metrics| metrics.value).unwrap_or_default(),
            sample: self.count("telemetry.sample", kept, sample, 0, 100),
        }
    }

    /// The collector that OpenTelemetry's own variable names, where the file names none. One that is no URL is none.
    fn standard_collector(&self) -> Option<Url> {
        (self.env)("OTEL_EXPORTER_OTLP_ENDPOINT").and_then(|text| plain_http_url(&text))
    }

    /// How many traces of a hundred OpenTelemetry's own variable keeps: it says so as a part of one.
    fn standard_sample(&self) -> Option<u32> {
        let part: f64 = (self.env)("OTEL_TRACES_SAMPLER_ARG")?.trim().parse().ok()?;
        (0..=100).find(|percent| f64::from(*percent) >= part * 100.0).filter(|_| part >= 0.0)
    }

    fn http_url(&mut self, key: &str, at: &At<String>) -> Option<Url> {
        let fits = plain_http_url(&at.value);
        if fits.is_none() {
            self.wrong(key, at, HTTP_LEGAL);
        }
        fits
    }

    fn each<T>(
        &mut self,
        key: &str,
        list: Option<At<Vec<At<String>>>>,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Vec<T> {
        let list = list.map(|list| list.value).unwrap_or_default();
        let one = |at: &At<String>| parse(&at.value).map_err(|legal| self.wrong(key, at, legal)).ok();
        list.iter().filter_map(one).collect()
    }

    fn wrong(&mut self, key: &str, at: &At<String>, legal: &str) {
        let message = format!("`{key}` cannot be `{}`", at.value);
        self.reading.note(Mistake::new(code::VALUE, at.place.clone(), message).legal(legal));
    }
}

/// A URL of HTTP that names a host and nobody's password.
fn plain_http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    (url.has_host() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// A host as it stands in a `Host` header, in lower case and without a port.
fn host_name(text: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let plain = url.port().is_none() && url.path() == "/" && url.username().is_empty() && !text.contains('/');
    url.host_str().filter(|_| plain && !text.contains(':') || text.starts_with('[')).map(str::to_owned)
}

/// An origin as browsers write it.
fn browser_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let origin = url.origin().ascii_serialization();
    (text.trim_end_matches('/').eq_ignore_ascii_case(&origin) || url.as_str() == format!("{text}/")).then_some(origin)
}
