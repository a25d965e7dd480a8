//! What operations and their arguments are called, and which of them are left out.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::config::{Flaw, METHODS};
use crate::grant::pattern::Methods;
use crate::name::ToolName;

/// The longest name that every model takes.
const LONGEST: usize = 64;
/// Never tools, because they speak of the service and not of what it is for.
const EXCLUDED: [&str; 5] = ["/health", "/healthz", "/ready", "/readyz", "/metrics"];

/// How operations come by the names of their tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// `x-tool-name`, else `operationId`, else `<last segment>_<method>`, with `_` for what a name cannot hold.
    #[default]
    Given,
    /// `operationId`, else `x-tool-name`, else `<last segment>_<method>`, as they are; an operation whose name is not
    /// legal is left out.
    GivenExactly,
    /// `operationId`, else `<method>_<path>` with `by_x` for `{x}`; small letters, digits and `_` only.
    Slug,
}

/// What names an operation.
pub(super) struct Named<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) tool_name: Option<&'a str>,
}

impl Naming {
    /// The name it would like, which another one may have already.
    pub(super) fn wanted(self, of: &Named<'_>) -> Result<String, String> {
        let filled = |text: Option<&'_ str>| text.map(str::to_owned).filter(|text| !text.trim().is_empty());
        let (id, tool_name) = (filled(of.id), filled(of.tool_name));
        let method = of.method.to_ascii_lowercase();
        let fallback = || {
            let last = of.path.rsplit('/').find(|segment| !segment.is_empty()).map(word).unwrap_or_default();
            format!("{}_{method}", if last.is_empty() { "root" } else { &last })
        };
        match self {
            Self::Given => {
                let clean = |text: String| Some(word(&text)).filter(|name| !name.is_empty());
                let given = tool_name.and_then(clean).or_else(|| id.and_then(clean));
                Ok(given.unwrap_or_else(|| word(&fallback())))
            }
            Self::GivenExactly => {
                let name = id.or(tool_name).unwrap_or_else(|| word(&fallback()));
                ToolName::parse(&name).map(|_| name).map_err(|error| error.to_string())
            }
            Self::Slug => {
                let given = id.map(|id| slug(&id)).filter(|name| !name.is_empty());
                Ok(given.unwrap_or_else(|| slug(&by_path(&method, of.path))))
            }
        }
    }
}

fn by_path(method: &str, path: &str) -> String {
    format!("{method}_{}", path.replace('{', "by_"))
}

/// `text` with one `_` for each run of what a name cannot hold, and no longer than a name may be.
fn word(text: &str) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    fitted(joined(text, legal))
}

fn slug(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    fitted(joined(&text, |character| character.is_ascii_lowercase() || character.is_ascii_digit()))
}

fn joined(text: &str, legal: impl Fn(char) -> bool) -> String {
    let words = text.split(|character| !legal(character)).filter(|part| !part.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// What is too long ends in the start of its digest, so that two long names stay two.
fn fitted(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let digest = hex::encode(Sha256::digest(&name));
    format!("{}_{}", &name[..LONGEST - 9], &digest[..8])
}

/// Names that are given away. Two that differ in case only are one.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeSet<String>);

impl Taken {
    /// `name`, or the first of `name_2`, `name_3` … that nobody has.
    pub(super) fn give(&mut self, name: &str) -> String {
        let mut given = name.to_owned();
        let mut number = 2;
        while !self.0.insert(given.to_ascii_lowercase()) {
            let suffix = format!("_{number}");
            let kept = name.len().min(LONGEST - suffix.len());
            given = format!("{}{suffix}", &name[..kept]);
            number += 1;
        }
        given
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }
}

/// The name of an argument for what is called `name` on the wire: the same where models take it.
pub(super) fn argument(name: &str) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    if (1..=LONGEST).contains(&name.len()) && name.chars().all(legal) {
        return name.to_owned();
    }
    match fitted(joined(name, legal)) {
        name if name.is_empty() => "argument".to_owned(),
        name => name,
    }
}

/// Some operations, by method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    methods: Methods,
    /// None for a path of any length.
    segments: Vec<Option<String>>,
    rest: bool,
}

impl Pattern {
    /// Reads `GET /v1/**`, `GET,POST /users/{id}` or `/admin/*`: methods (any, if none are named) and a path as the document
    /// writes it, with `*` for one segment and `**` at the end for whatever follows.
    ///
    /// # Errors
    /// The methods or the path are not what they should be.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        const LEGAL: &str = "methods and a path, such as `GET /v1/**`, or a path alone";
        let (methods, path) = match text.trim().split_once(char::is_whitespace) {
            Some((methods, path)) => (Methods::parse(methods)?, path.trim()),
            None => (Methods::Any, text.trim()),
        };
        if let Methods::Only(named) = &methods
            && let Some(wrong) = named.iter().find(|method| !METHODS.contains(&method.as_str()))
        {
            return Err(Flaw::new(format!("no operation has the method `{wrong}`")).legal(LEGAL));
        }
        let Some(path) = path.strip_prefix('/') else {
            return Err(Flaw::new(format!("`{text}` has no path that begins with `/`")).legal(LEGAL));
        };
        let mut raw: Vec<&str> = path.split('/').collect();
        let rest = raw.last() == Some(&"**");
        if rest {
            raw.pop();
        }
        if let Some(wrong) = raw.iter().find(|segment| segment.contains('*') && **segment != "*") {
            let flaw = Flaw::new(format!("`{wrong}` stands in `{text}`"));
            return Err(flaw.legal("`*` for one whole segment, `**` as the last segment for whatever follows"));
        }
        let segments = raw.into_iter().map(|segment| (segment != "*").then(|| segment.to_owned())).collect();
        Ok(Self { methods, segments, rest })
    }

    /// Whether an operation is one of them.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let path: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let long_enough = if self.rest { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        let same = |(own, segment): (&Option<String>, &&str)| match own {
            Some(text) => text == segment,
            None => !segment.is_empty(),
        };
        long_enough && self.methods.allow(method) && self.segments.iter().zip(&path).all(same)
    }

    /// Whether an operation is one of them by any spelling of its path that a service may take for the same one.
    fn covers(&self, method: &str, path: &str) -> bool {
        let lower = |segment: &Option<String>| segment.as_ref().map(|text| text.to_lowercase());
        let folded = Self { segments: self.segments.iter().map(lower).collect(), ..self.clone() };
        self.matches(method, path) || folded.matches(method, &spelt(path))
    }

    /// Whether it names one path and no others.
    fn is_exact(&self) -> bool {
        !self.rest && self.segments.iter().all(Option::is_some)
    }
}

/// A path in the one spelling of all that services take for the same: decoded, in small letters, without parameters of
/// segments and without empty segments.
fn spelt(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy().to_lowercase();
    let segments = decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default().trim());
    segments.filter(|segment| !segment.is_empty()).fold(String::new(), |path, segment| path + "/" + segment)
}

/// Why an operation is not to be a tool.
pub(super) fn excluded(method: &str, path: &str, include: &[Pattern], exclude: &[Pattern]) -> Option<&'static str> {
    if exclude.iter().any(|pattern| pattern.covers(method, path)) {
        return Some("`exclude` names it");
    }
    let matching: Vec<&Pattern> = include.iter().filter(|pattern| pattern.matches(method, path)).collect();
    if !include.is_empty() && matching.is_empty() {
        return Some("`include` does not name it");
    }
    let speaks_of_service = EXCLUDED.contains(&spelt(path).as_str());
    if speaks_of_service && !matching.iter().any(|pattern| pattern.is_exact()) {
        return Some("it tells how the service is, and `include` does not name it by itself");
    }
    None
}
