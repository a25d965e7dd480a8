//! The tables of `bailiwick.toml` as text with places: every key there is, what it takes, and what it is for.
//!
//! This is the reference of the file. The doc comments are what `bailiwick.schema.json` and editors show.

use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{AnyText, At, Bytes, Given, JsonTable, Named, Reading, Time, Value, closest, table};
use super::remote::AuthWord;
use super::service::NamingWord;
use super::{
    Approval, ApprovalSettings, AuditSettings, Confine, Expose, GatewaySettings, HostSettings, Lifetime, Mcp, Metrics,
    Mistake, Prefix, ProcessKind, Sandbox, Start, TelemetrySettings, Trust, code,
};
use crate::call::Budget;
use crate::grant::limit::{Limits, Size, Span};

type List = At<Vec<At<String>>>;

table! {
    /// What an operator allows: everything that is not written here is not granted.
    struct File {
        /// The host itself: where it keeps things and how much it does at once.
        host: At<HostTable>,
        /// The record of every call.
        audit: At<AuditTable>,
        /// The HTTP server: where it listens, whom it answers, and how much it takes.
        gateway: At<GatewayTable>,
        /// What callers may do, by name; keys share them.
        policies: Named<At<PolicyTable>>,
        /// Callers that prove themselves with a key, by name. `bailiwick keys create` makes others, outside of this file.
        keys: Named<At<KeyTable>>,
        /// How a person is asked whether a call may run.
        approval: At<ApprovalTable>,
        /// Where traces and metrics go.
        telemetry: At<TelemetryTable>,
        /// What provides tools, by name: 1 to 32 of a-z, 0-9, `_` and `-`, starting with a letter, without `__`.
        plugins: Named<At<PluginTable>>,
    }
}

table! {
    /// The host itself: where it keeps things and how much it does at once.
    struct HostTable {
        /// The folder for artifacts, the audit log and the host's key.
        state: At<String> = "~/.local/state/bailiwick",
        /// The folder for compiled components.
        cache: At<String> = "~/.cache/bailiwick",
        /// Calls at once in total, 1 to 1000.
        calls: At<u32> = HostSettings::DEFAULT_CALLS,
        /// Calls that may wait for a slot before a new one is refused, 0 to 10000.
        queue: At<u32> = HostSettings::DEFAULT_QUEUE,
        /// PEM files with certificates that are trusted for TLS beside the built-in roots.
        extra_ca: List = json!([]),
        /// Where the kernel cannot confine the host: run and say so (`best-effort`), or do not start (`required`).
        confine: At<Confine> = Confine::default().as_str(),
        /// Processor time that compiling one component may take, 1s to 1h.
        compile_time: At<Time> = Span(HostSettings::DEFAULT_COMPILE_TIME).to_string(),
        /// Memory that compiling one component may take, 64MiB to 64GiB.
        compile_memory: At<Bytes> = Size(HostSettings::DEFAULT_COMPILE_MEMORY).to_string(),
    }
}

table! {
    /// The record of every call.
    struct AuditTable {
        /// The file it is kept in; without this, `audit.db` in the state folder. Give it a folder of its own.
        file: At<String>,
        /// How long records are kept, 1h to 87600h.
        keep: At<Time> = Span(AuditSettings::DEFAULT_KEEP).to_string(),
        /// The size from which on the oldest records go before their time, 1MiB to 1024GiB.
        max: At<Bytes> = Size(AuditSettings::DEFAULT_MAX).to_string(),
    }
}

table! {
    /// The HTTP server: where it listens, whom it answers, and how much it takes.
    struct GatewayTable {
        /// The address and port it listens on; port 0 takes a free one.
        listen: At<String> = GatewaySettings::DEFAULT_LISTEN,
        /// Host names it answers to, beside those of this machine itself.
        hosts: List = json!([]),
        /// Origins whose pages may call it, such as `https://app.example.com`.
        origins: List = json!([]),
        /// Addresses of proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.
        trusted_proxies: List = json!([]),
        /// Requests an address may make in a minute, 0 to 1000000; 0 means no limit.
        per_ip: At<u32> = GatewaySettings::DEFAULT_PER_MINUTE,
        /// Requests a key may make in a minute, 0 to 1000000; 0 means no limit.
        per_key: At<u32> = GatewaySettings::DEFAULT_PER_MINUTE,
        /// Connections at once, 1 to 65536.
        connections: At<u32> = GatewaySettings::DEFAULT_CONNECTIONS,
        /// The largest body of a request, 1KiB to 1GiB.
        body: At<Bytes> = Size(GatewaySettings::DEFAULT_BODY).to_string(),
        /// How long a request's head may take, 100ms to 10m.
        header_time: At<Time> = Span(GatewaySettings::DEFAULT_HEADER_TIME).to_string(),
        /// How long a request's body may take, 100ms to 1h.
        body_time: At<Time> = Span(GatewaySettings::DEFAULT_BODY_TIME).to_string(),
        /// How long calls under way may take to finish when the server is told to stop, 0s to 1h.
        grace: At<Time> = Span(GatewaySettings::DEFAULT_GRACE).to_string(),
        /// The policy of callers without a key; without this there are none.
        anonymous: At<String>,
        /// The number of tools above which a caller is offered three that search, describe and call, 0 to 100000; 0 means
        /// never.
        search_above: At<u32> = GatewaySettings::DEFAULT_SEARCH_ABOVE,
        /// The plain HTTP interface to the tools.
        api: At<GatewayApiTable>,
        /// Callers who prove themselves with a token of an authorization server.
        oauth: At<OauthTable>,
    }
}

table! {
    /// The plain HTTP interface to the tools.
    struct GatewayApiTable {
        /// Whether tools can be run through it; without this it only lists them.
        enable_tool_execute: At<bool> = false,
    }
}

table! {
    /// Callers who prove themselves with a token of an authorization server.
    struct OauthTable {
        /// The authorization server, as its tokens name it in `iss`.
        issuer: At<String>,
        /// What tokens for this server name in `aud`; its own public address, such as `https://tools.example.com/mcp`.
        audience: At<String>,
        /// Where the server's keys are; without this, as its metadata says.
        jwks: At<String>,
        /// Scopes a token must have, all of them.
        scopes: List = json!([]),
        /// The policy of callers with such a token.
        policy: At<String>,
    }
}

table! {
    /// What a caller may do. What is not written here it may not.
    struct PolicyTable {
        /// The tools it sees: names, `*` for all, `!name` for all but this one.
        tools: List = json!([]),
        /// Whether it may run them.
        execute: At<bool> = false,
        /// Whether it may answer when a person is asked for a call.
        approve: At<bool> = false,
        /// Whether it may manage what is loaded and see how the host does.
        manage: At<bool> = false,
        /// The most that tools it makes may reach, lines as in `net`; it makes them with `manage`. Absent means nothing.
        create: List = json!([]),
        /// Address ranges beyond the public internet that hosts of such tools may resolve to.
        create_addresses: List = json!([]),
        /// Requests in a minute, 0 to 1000000; 0 means no limit. Without this, `gateway.per_key`.
        per_minute: At<u32>,
        /// Calls in each `per`.
        calls: At<u32>,
        /// Time that calls take, together, in each `per`.
        time: At<Time>,
        /// Bytes of results in each `per`.
        bytes: At<Bytes>,
        /// The length of time that `calls`, `time` and `bytes` are counted over, 1s to 720h.
        per: At<Time> = Span(Budget::DEFAULT_PER).to_string(),
    }
}

table! {
    /// A caller that proves itself with a key.
    struct KeyTable {
        /// What `bailiwick keys hash` makes of the key: an Argon2id hash.
        hash: At<String>,
        /// Its policy.
        policy: At<String>,
    }
}

table! {
    /// How a person is asked whether a call may run.
    struct ApprovalTable {
        /// How long a person has to answer, 1s to 24h. It does not count as the call's time.
        time: At<Time> = Span(ApprovalSettings::DEFAULT_TIME).to_string(),
        /// Where questions are sent to as well: a URL that takes them as JSON by POST.
        webhook: At<String>,
    }
}

table! {
    /// Where traces and metrics go.
    struct TelemetryTable {
        /// An OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`.
        otlp: At<String>,
        /// Who may read `/metrics`: nobody (`off`), callers that may manage (`key`), or everyone (`open`).
        metrics: At<Metrics> = Metrics::default().as_str(),
        /// Of a hundred traces that nobody else decided about, how many are kept, 0 to 100.
        sample: At<u32> = TelemetrySettings::DEFAULT_SAMPLE,
    }
}

table! {
    /// One plugin: what it is, what it may reach, and how its tools are called.
    struct PluginTable {
        /// Whether it is loaded.
        enabled: At<bool> = true,
        /// A WebAssembly component: `builtin:NAME`, or the path of a `.wasm` file relative to this file.
        component: Given<At<String>>,
        /// An MCP server.
        mcp: Given<At<McpTable>>,
        /// Native programs of this machine as tools. They are high risk: a person is asked before each call.
        process: Given<At<ProcessTable>>,
        /// An HTTP service that an OpenAPI document describes (3.1, 3.0 or Swagger 2.0): each operation whose method `net`
        /// grants is a tool.
        openapi: Given<At<OpenApiTable>>,
        /// One HTTP request as a tool, named like the plugin.
        http: Given<At<HttpTable>>,
        /// A program as a tool, named like the plugin, for an interpreter of the host's: it reaches no more than `fs` and `call`
        /// say.
        code: Given<At<CodeTable>>,
        /// Whether its tools are tools (`flat`), or commands of one tool (`aggregate`). For MCP servers.
        expose: At<Expose> = Expose::default().as_str(),
        /// When its tools have its name before their own: on a `conflict` of names, or `always`.
        prefix: At<Prefix> = Prefix::default().as_str(),
        /// What it may reach over HTTP, such as `GET,POST https://*.example.com/v1/**`; no methods means GET and HEAD.
        net: List = json!([]),
        /// Address ranges beyond the public internet that exactly named hosts may resolve to, such as `10.0.0.0/8`.
        addresses: List = json!([]),
        /// Whether a cloud's metadata service, which hands out credentials, may be reached if a grant names it.
        danger_metadata_addresses: At<bool> = false,
        /// The directories it sees, such as `./docs:ro` or `~/notes:/notes:rw`.
        fs: List = json!([]),
        /// Other tools that its code may call: `*` for all, names, and `!name` for all but these. Never more than its caller
        /// may use. For components that import `bailiwick:host/call`, and for code.
        call: List = json!([]),
        /// Environment variables as it sees them.
        env: Named<At<String>> = json!({}),
        /// Settings as it reads them: strings as they are, everything else as JSON.
        config: Named<At<AnyText>> = json!({}),
        /// Whether a person is asked before a call: `auto` asks if the tool says that it is high risk.
        approval: At<Approval> = "auto",
        /// Second names for its tools: `NAME = "TOOL"`.
        alias: Named<At<String>> = json!({}),
        /// JSON Schema that the arguments of every tool have to match beside the tool's own.
        arguments: At<JsonTable>,
        /// Arguments that are set for every tool: they win over the caller's and are hidden from it.
        inject: At<JsonTable> = json!({}),
        /// What one call may use.
        limits: At<LimitsTable>,
        /// Secrets that are put into its requests, by name: 1 to 64 of A-Z, a-z, 0-9, `_` and `-`.
        secrets: Named<At<SecretTable>>,
        /// Rules for single tools, by name; `*` fills in what a tool's own rule leaves out.
        tools: Named<At<ToolTable>>,
    }
}

table! {
    /// An MCP server: one that the host starts and speaks to over its standard streams (`command`), or one at a `url`.
    struct McpTable {
        /// Where it is, if the host does not start it: `https://HOST/PATH`.
        url: At<String>,
        /// Headers of every request to its URL. None of them may be a secret.
        headers: Named<At<String>> = json!({}),
        /// How the host proves to the server at the URL who asks: not, or by secrets (`none`); by what a person agreed to
        /// (`oauth`, with `bailiwick login`); by credentials of its own (`client-credentials`).
        auth: At<AuthWord> = AuthWord::default().as_str(),
        /// The host's name at the authorization server; without this it registers itself, where that can be done.
        client_id: At<String>,
        /// The secret of the plugin that goes with `client_id`, by its name.
        client_secret: At<String>,
        /// The public document that says what the host is, for authorization servers that read such.
        client_metadata_url: At<String>,
        /// What is asked of the authorization server; without this, what the server at the URL says it takes.
        scopes: List,
        /// The program and its arguments; no shell. A name without a `/` is looked up in the usual folders.
        command: List,
        /// Its working directory, one of those in `fs`; without this, an empty folder of its own.
        cwd: At<String>,
        /// When it is started: with the first call (`lazy`) or with the host (`eager`).
        start: At<Start> = Start::default().as_str(),
        /// How long it may do nothing before it is ended, 1s to 24h.
        idle: At<Time> = Span(Mcp::DEFAULT_IDLE).to_string(),
        /// Who shares one: all callers (`pooled`), those of one `session`, or nobody (`call`).
        lifetime: At<Lifetime> = Lifetime::default().as_str(),
        /// Whether it starts only where the kernel holds it to its grants (`required`), or has all rights of the host
        /// (`off`).
        sandbox: At<Sandbox> = Sandbox::default().as_str(),
        /// Whether the command may install a package, whose exact version it has to name.
        install: At<bool> = false,
    }
}

table! {
    /// An HTTP service that an OpenAPI document describes. Its requests go to the origin of `url`, whatever the document
    /// says.
    struct OpenApiTable {
        /// Where the service is: `https://HOST`, or `https://HOST/PATH` if all of it lies below a path.
        url: At<String>,
        /// Its document: a URL that `net` reaches, or a file relative to this one. Without this the service is asked for
        /// `/openapi.json`, `/openapi.yaml`, `/swagger.json` and `/v3/api-docs`.
        spec: At<String>,
        /// How tools are named: by `x-tool-name` or else `operationId`, with `_` for what a name cannot hold
        /// (`operation-id`); by `operationId` or else `x-tool-name`, without those that are no names (`exact`); in small
        /// letters by `operationId` or else method and path (`slug`).
        naming: At<NamingWord> = NamingWord::default().as_str(),
        /// The operations that become tools, such as `GET /v1/**` or `/users/{id}`; without this, all.
        include: List = json!([]),
        /// Operations that do not, whatever `include` says.
        exclude: List = json!([]),
        /// Headers of every request to the service. None of them may be a secret.
        headers: Named<At<String>> = json!({}),
        /// Other documents that the document may refer to: URLs that `net` reaches; with a `/` at the end, all below it.
        references: List = json!([]),
        /// Whether callers may set headers and cookies that can be left out.
        optional_headers: At<bool> = false,
        /// How the host logs in, if the service refuses it.
        login: At<LoginTable>,
        /// Whether anybody may answer in the service's place: certificates are not checked.
        danger_unverified_tls: At<bool> = false,
    }
}

table! {
    /// How the host logs in at a service: when a request was refused with 401 or 403 it logs in once and asks once more.
    struct LoginTable {
        /// Where: a URL that `net` reaches.
        url: At<String>,
        /// The method of the request.
        method: At<String> = "POST",
        /// What is sent; `{{NAME}}` stands for the secret NAME of the plugin.
        body: At<String> = "",
        /// What the body is; without this, `application/json` for what looks like JSON, or else a form.
        content_type: At<String>,
        /// The cookie of the answer that is the credential.
        cookie: At<String>,
        /// The place in a JSON answer where the credential is, such as `$.access_token`.
        json: At<String>,
        /// The header that requests carry it in; without this, `Cookie` or `Authorization`.
        header: At<String>,
        /// What the header says; `{}` stands for the credential. Without this, `NAME={}` or `Bearer {}`.
        format: At<String>,
    }
}

table! {
    /// One HTTP request as a tool.
    struct HttpTable {
        /// Its URL; `{name}` in the path or the query stands for an argument. The other arguments go to the query (GET,
        /// HEAD, OPTIONS, DELETE) or into a JSON body.
        url: At<String>,
        /// Its method.
        method: At<String> = "POST",
        /// What callers are told.
        description: At<String> = "",
        /// Its headers. None of them may be a secret.
        headers: Named<At<String>> = json!({}),
        /// JSON Schema of its arguments; without this, any object.
        input: At<JsonTable>,
        /// Whether anybody may answer in the service's place: certificates are not checked.
        danger_unverified_tls: At<bool> = false,
    }
}

table! {
    /// A program as a tool. It defines `main`, which is called with the arguments and gives the result.
    struct CodeTable {
        /// Its language: `javascript`, `typescript` or `python`; without this, what the file's ending says.
        language: At<String>,
        /// The file it is in, relative to this file.
        file: At<String>,
        /// Its text, if it is in no file.
        source: At<String>,
        /// What callers are told.
        description: At<String> = "",
        /// JSON Schema of its arguments; without this, any object.
        input: At<JsonTable>,
    }
}

table! {
    /// Native programs of this machine as tools.
    struct ProcessTable {
        /// Which: `bash`, `sandbox_exec` and `std-execute-code` run command lines, `scripts` the programs of a folder, `code_agent` (or
        /// `opencode`) a program that is given a task.
        kind: Given<At<ProcessKind>>,
        /// For `scripts`: the folder, in which each program `NAME.sh` has its description in `NAME.tool.json`.
        folder: At<String>,
        /// For `code_agent`: the program and its arguments, after which the task comes as one more; no shell.
        command: List,
        /// Where they work, one of the directories in `fs`; without this, the first that may be changed, or else the first.
        cwd: At<String>,
        /// For `sandbox_exec` and `code_agent`: the most a call may ask for. `sandboxed` is no network at all, `trusted`
        /// what `net` grants.
        trust: At<Trust> = Trust::default().as_str(),
        /// For `bash` and `sandbox_exec`: commands that are not run, as texts or, after `re:`, regular expressions. A
        /// courtesy and no boundary: what holds is the sandbox.
        deny: List = json!([]),
        /// Whether they run only where the kernel holds them to their grants (`required`), or have all rights of the host
        /// (`off`).
        sandbox: At<Sandbox> = Sandbox::default().as_str(),
        /// For `code_agent`: whether the command may install a package, whose exact version it has to name.
        install: At<bool> = false,
    }
}

table! {
    /// A rule for one tool. It can only narrow what the plugin is granted.
    struct ToolTable {
        /// Whether it may be called at all.
        allow: At<bool> = true,
        /// If set, all it may reach over HTTP; each has to lie within the plugin's.
        net: List,
        /// If set, all directories it sees; each has to lie within the plugin's.
        fs: List,
        /// If set, all secrets it may use, by name.
        secrets: List,
        /// What one call may use; no more than the plugin's limits.
        limits: At<LimitsTable>,
        /// Whether a person is asked before a call.
        approval: At<Approval>,
        /// JSON Schema that its arguments have to match beside the tool's own and the plugin's.
        arguments: At<JsonTable>,
        /// Arguments that are set: they win over the caller's and are hidden from it.
        inject: At<JsonTable>,
    }
}

table! {
    /// What one call may use.
    struct LimitsTable {
        /// Wall clock for the whole call, waiting included, such as `30s`.
        time: At<Time> = Span(Limits::DEFAULT.time).to_string(),
        /// Memory of the instance, such as `64MiB`.
        memory: At<Bytes> = Size(Limits::DEFAULT.memory).to_string(),
        /// Output that a caller is shown; what is over it becomes an artifact.
        output: At<Bytes> = Size(Limits::DEFAULT.output).to_string(),
        /// Log lines that are kept.
        log: At<Bytes> = Size(Limits::DEFAULT.log).to_string(),
        /// Artifacts that are kept.
        artifacts: At<Bytes> = Size(Limits::DEFAULT.artifacts).to_string(),
        /// Calls of other tools.
        calls: At<u32> = Limits::DEFAULT.calls,
        /// HTTP requests.
        http_requests: At<u32> = Limits::DEFAULT.http_requests,
        /// HTTP requests at once.
        http_concurrent: At<u32> = Limits::DEFAULT.http_concurrent,
        /// One request body.
        http_request_body: At<Bytes> = Size(Limits::DEFAULT.http_request_body).to_string(),
        /// One response body.
        http_response_body: At<Bytes> = Size(Limits::DEFAULT.http_response_body).to_string(),
        /// Open files, requests and streams at once.
        handles: At<u32> = Limits::DEFAULT.handles,
        /// Table elements of the instance.
        table_elements: At<u32> = Limits::DEFAULT.table_elements,
        /// Calls at once.
        concurrency: At<u32> = Limits::DEFAULT.concurrency,
    }
}

table! {
    /// A secret: one source, and the requests it is put into. The plugin itself never sees the value.
    struct SecretTable {
        /// Source: an environment variable of the host.
        env: At<String>,
        /// Source: a file, relative to this file.
        file: At<String>,
        /// Source: what a program prints; its name and arguments, no shell.
        command: List,
        /// The only origin it is sent to, such as `https://api.example.com`.
        origin: At<String>,
        /// Placement: a header of requests to the origin.
        header: At<String>,
        /// What the header says; `{}` stands for the value.
        format: At<String> = "{}",
        /// Placement: basic authentication; the user's name, the value is the password.
        basic: At<String>,
        /// Placement: a query parameter.
        query: At<String>,
        /// Placement, for programs that the host starts: the environment variable that holds it there.
        variable: At<String>,
        /// Whether the plugin may read the value itself.
        reveal: At<bool> = false,
    }
}

/// Words that stand for one of a few values.
macro_rules! words {
    ($($name:ident),+) => { $(
        impl Value for $name {
            fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
                one_of(&Self::ALL, Self::as_str, value, path, reading)
            }

            fn schema() -> Json {
                json!({ "type": "string", "enum": Self::ALL.map(Self::as_str) })
            }
        }
    )+ };
}

words!(Approval, AuthWord, Confine, Expose, Lifetime, Metrics, NamingWord, Prefix, ProcessKind, Sandbox, Start, Trust);

/// Reads a word that stands for one of a few values.
fn one_of<T: Copy>(
    all: &[T],
    word: fn(T) -> &'static str,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    reading: &mut Reading<'_>,
) -> Option<T> {
    let text = String::read(value, path, reading)?;
    if let Some(known) = all.iter().copied().find(|known| word(*known) == text) {
        return Some(known);
    }
    let words: Vec<&str> = all.iter().copied().map(word).collect();
    let legal = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let message = format!("`{path}` cannot be `{text}`");
    let mistake = Mistake::new(code::VALUE, reading.place(value.span()), message).legal(legal);
    reading.note(match closest(&text, words.into_iter()) {
        Some(meant) => mistake.suggest(format!("did you mean `{meant}`?")),
        None => mistake,
    });
    None
}

/// The JSON Schema of the file.
pub(super) fn json_schema() -> Json {
    let mut schema = File::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("bailiwick.toml");
    schema
}
