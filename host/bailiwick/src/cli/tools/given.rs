//! What is said of a service on the command line, and what it makes of a registration.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use bailiwick_core::config::Flaw;
use bailiwick_core::registration::{
    Document, Http, Naming, OpenApi, Protocol, Registration, header_line, headers, inject_line,
};

use crate::ambient;
use crate::registrations::Values;

use super::login::LoginArguments;

/// A new service.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArguments {
    /// What it is called: 1 to 32 of a-z, 0-9, `_` and `-`, starting with a letter
    pub(super) name: String,
    /// Where it is
    #[arg(long, value_name = "URL")]
    pub(super) url: String,
    #[command(flatten)]
    pub(super) given: Given,
}

/// What is different about a service.
#[derive(Debug, Args)]
pub(in crate::cli) struct UpdateArguments {
    /// Its name
    pub(super) name: String,
    /// Where it is
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    #[command(flatten)]
    pub(super) given: Given,
}

/// What can be said of a service beside its name and its URL.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// Its OpenAPI document: a URL, or a file; an empty text for one of the usual places below its URL
    #[arg(long, value_name = "URL|FILE")]
    spec: Option<String>,
    /// A header of every request, sealed; can be repeated. All of them are replaced
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<Hidden>,
    /// A file with headers, one on each line, for its owner alone
    #[arg(long, value_name = "FILE")]
    header_file: Option<PathBuf>,
    /// An argument that is set and hidden, a text; can be repeated. All of them are replaced
    #[arg(long, value_name = "NAME=VALUE")]
    inject: Vec<Hidden>,
    /// How long a call may take, in milliseconds [default: 10000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// How its tools are named
    #[arg(long, value_name = "HOW")]
    naming: Option<NamingWord>,
    /// Operations that become tools, such as `GET /points/**`; can be repeated. Without this all do
    #[arg(long, value_name = "METHODS PATH")]
    include: Vec<String>,
    /// Operations that do not, whatever --include says; can be repeated
    #[arg(long, value_name = "METHODS PATH")]
    exclude: Vec<String>,
    /// Address ranges beyond the public internet that its host may resolve to, such as `10.0.0.0/8`; can be repeated
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    addresses: Vec<String>,
    /// Do not check who answers: anybody on the way may read and change everything, headers included
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    insecure_skip_tls_verify: Option<bool>,
    #[command(flatten)]
    login: LoginArguments,
}

/// A part of the command line that may hold a secret: it is shown nowhere.
#[derive(Clone)]
pub(super) struct Hidden(pub(super) Zeroizing<String>);

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// See [`Naming`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamingWord {
    /// As the document names them
    OperationId,
    /// As the document names them, and an operation whose name is none is left out
    Exact,
    /// In small letters, digits and `_`
    Slug,
}

impl From<NamingWord> for Naming {
    fn from(word: NamingWord) -> Self {
        match word {
            NamingWord::OperationId => Self::OperationId,
            NamingWord::Exact => Self::Exact,
            NamingWord::Slug => Self::Slug,
        }
    }
}

/// Largest file of headers that is read.
const MAX_HEADERS: u64 = 64 << 10;

impl Given {
    /// Puts what is given into a registration and its values. Where headers or injected arguments are given, they are all.
    ///
    /// # Errors
    /// What is given is not what it should be; no value is in the sentence.
    pub(super) fn put(&self, registration: &mut Registration, values: &mut Values) -> Result<(), Flaw> {
        if !self.header.is_empty() || self.header_file.is_some() {
            self.put_headers(registration, values)?;
        }
        if !self.inject.is_empty() {
            let inject = self.injected()?;
            registration.inject = inject.keys().cloned().collect();
            values.inject = inject;
        }
        if let Some(timeout) = self.timeout {
            registration.timeout_ms = timeout;
        }
        if !self.addresses.is_empty() {
            registration.addresses = filled(&self.addresses);
        }
        match (&mut registration.protocol, self.insecure_skip_tls_verify) {
            (Protocol::OpenApi(OpenApi { unverified_tls, .. }), Some(unverified))
            | (Protocol::Http(Http { unverified_tls, .. }), Some(unverified)) => *unverified_tls = unverified,
            (Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_), Some(_)) => {
                return Err(Flaw::new("`--insecure-skip-tls-verify` is for services, and this is none"));
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// The same, of what a service with a document has.
    pub(super) fn put_service(&self, service: &mut OpenApi, values: &mut Values) -> Result<(), Flaw> {
        self.login.put(service, values)?;
        if let Some(spec) = &self.spec {
            service.spec = document(spec)?;
        }
        if let Some(naming) = self.naming {
            service.naming = naming.into();
        }
        if !self.include.is_empty() {
            service.include = filled(&self.include);
        }
        if !self.exclude.is_empty() {
            service.exclude = filled(&self.exclude);
        }
        Ok(())
    }

    /// Whether something is given that only a service with a document has.
    pub(super) fn is_of_services(&self) -> bool {
        let filters = !self.include.is_empty() || !self.exclude.is_empty();
        filters || self.spec.is_some() || self.naming.is_some() || self.login.is_given()
    }

    fn put_headers(&self, registration: &mut Registration, values: &mut Values) -> Result<(), Flaw> {
        let file = self.header_file.as_deref().map(header_file).transpose()?.unwrap_or_default();
        let lines = file.lines().filter(|line| !line.trim().is_empty());
        let lines = self.header.iter().map(|hidden| hidden.0.as_str()).chain(lines);
        let pairs = lines.map(header_line).collect::<Result<Vec<_>, _>>()?;
        let (kept, sealed) = headers(pairs)?;
        registration.headers = kept;
        values.headers = sealed.into_iter().map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).collect();
        Ok(())
    }

    fn injected(&self) -> Result<Map<String, Value>, Flaw> {
        let mut inject = Map::new();
        for hidden in &self.inject {
            let (name, value) = inject_line(&hidden.0)?;
            if inject.insert(name.to_owned(), value.into()).is_some() {
                return Err(Flaw::new(format!("the injected argument `{name}` is given twice")));
            }
        }
        Ok(inject)
    }
}

/// The texts that say something: an empty one stands for none at all.
fn filled(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// The text of a file of headers.
fn header_file(path: &Path) -> Result<Zeroizing<String>, Flaw> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Flaw::new(format!("{shown} cannot be read: {error}"));
    let (mode, _) = ambient::mode_and_owner(path).map_err(unreadable)?;
    if mode & 0o077 != 0 {
        let flaw = Flaw::new(format!("others may read or write {shown} (mode {mode:04o})"));
        return Err(flaw.suggest(format!("run `chmod 600 {shown}`")));
    }
    let bytes = Zeroizing::new(ambient::read(path, MAX_HEADERS).map_err(unreadable)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Flaw::new(format!("{shown} is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Where a document is: a URL, or a file that has to be there. An empty text is none.
fn document(text: &str) -> Result<Option<Document>, Flaw> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| *scheme != "file") {
        return match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Ok(Some(Document::Url(text.to_owned()))),
            _ => Err(Flaw::new(format!("`--spec` cannot be `{text}`")).legal("`https://…`, `file://…`, or a path")),
        };
    }
    let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
    let missing = |error| Flaw::new(format!("the document {} is not there: {error}", path.display()));
    let path = ambient::canonical(path).map_err(missing)?;
    if ambient::is_dir(&path) {
        return Err(Flaw::new(format!("the document {} is a folder", path.display())));
    }
    Ok(Some(Document::File(path)))
}
