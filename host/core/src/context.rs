//! What plugins give beside tools: prompts, resources and templates of resources. Checked like tools when a plugin is
//! loaded, pinned with them, and found by callers in one immutable [`Contexts`].
//!
//! A caller's `tools` say which plugins' context it has: `*` means all, `context:PLUGIN` that of one plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::call::Selector;
use crate::name::{PluginName, ToolName};
use crate::outcome::{Code, Content, Failure, ResourceLink};
use crate::redact::quotable;
use crate::registry::{self, Annotations, Definition, Risk, Tool, check_text};

mod template;

pub use template::Template;

/// A plugin may publish this many prompts, and as many templates.
pub const MAX_PROMPTS: usize = 256;
/// A plugin may publish this many resources.
pub const MAX_RESOURCES: usize = 1024;
/// A prompt may have this many arguments.
const MAX_ARGUMENTS: usize = 32;
/// The longest URI.
const MAX_URI: usize = 2048;
/// The longest name of a resource, and the longest media type.
const MAX_LABEL: usize = 255;
/// The scheme of what the host keeps itself.
const OWN_SCHEME: &str = "artifact:";

/// All that one plugin offers, as it published it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Catalogue {
    /// Its prompts.
    pub prompts: Vec<Prompt>,
    /// Its resources.
    pub resources: Vec<ResourceLink>,
    /// Families of resources.
    pub templates: Vec<Family>,
}

/// A text with blanks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Prompt {
    /// The plugin's own name for it.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is good for.
    pub description: String,
    /// What it needs.
    pub arguments: Vec<PromptArgument>,
}

/// A value that a prompt needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether the prompt cannot be had without it.
    pub required: bool,
}

/// Resources whose URIs differ in some places.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Family {
    /// `house://diary/{day}`.
    pub uri_template: String,
    /// A short name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What such resources are.
    pub description: Option<String>,
    /// Their media type, where all have the same.
    pub mime_type: Option<String>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// `user` or `assistant`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Assistant].into_iter().find(|role| role.as_str() == text)
    }
}

/// A prompt with its blanks filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// What it is about, when that depends on the arguments.
    pub description: Option<String>,
    /// What is said, in order.
    pub messages: Vec<(Role, Content)>,
}

/// What a value is suggested for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An argument of the prompt of this name.
    Prompt(String),
    /// A place of the template with this text.
    Template(String),
}

/// Values that could be meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The best first, 100 at most.
    pub values: Vec<String>,
    /// How many there are in all, where known.
    pub total: Option<u32>,
    /// Whether there are more than are here.
    pub has_more: bool,
}

/// What is wanted of a plugin in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A tool, by the call's own name for it.
    Tool,
    /// The prompt of this name.
    Prompt(String),
    /// The resource with this URI.
    Resource(String),
    /// Values for an argument.
    Completion {
        /// Of what.
        subject: Subject,
        /// The argument, or the place in the template.
        argument: String,
        /// How the value begins.
        value: String,
        /// The arguments that are filled in already.
        known: Vec<(String, String)>,
    },
}

impl Catalogue {
    /// Whether the plugin offers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.resources.is_empty() && self.templates.is_empty()
    }

    /// Checks what a plugin published: names, texts, URIs, counts.
    ///
    /// # Errors
    /// The first thing that is wrong, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("prompts", self.prompts.len(), MAX_PROMPTS),
            ("resources", self.resources.len(), MAX_RESOURCES),
            ("templates of resources", self.templates.len(), MAX_PROMPTS),
        ];
        if let Some((what, count, most)) = counts.into_iter().find(|(_, count, most)| count > most) {
            return Err(format!("the plugin publishes {count} {what}; at most {most} are taken"));
        }
        let names = self.prompts.iter().map(|prompt| &prompt.name);
        let uris = self.resources.iter().map(|resource| &resource.uri);
        let templates = self.templates.iter().map(|family| &family.uri_template);
        unique("prompt", names)?;
        unique("resource", uris)?;
        unique("template", templates)?;
        self.prompts.iter().try_for_each(check_prompt)?;
        self.resources.iter().try_for_each(check_resource)?;
        self.templates.iter().try_for_each(check_family)
    }

    /// What of it is pinned, as definitions of tools are: `prompt:NAME`, `resource:URI`, `template:URI`. No tool can have
    /// such a name.
    #[must_use]
    pub fn definitions(&self) -> Vec<Definition> {
        let prompts = self.prompts.iter().map(|prompt| {
            let schema = prompt.schema().to_string();
            definition(format!("prompt:{}", prompt.name), &prompt.title, &prompt.description, schema)
        });
        let resources = self.resources.iter().map(|resource| {
            let ResourceLink { uri, name, title, description, mime_type, size } = resource;
            let shape = json!({"name": name, "mimeType": mime_type, "size": size}).to_string();
            definition(format!("resource:{uri}"), title, description.as_deref().unwrap_or_default(), shape)
        });
        let families = self.templates.iter().map(|family| {
            let Family { uri_template, name, title, description, mime_type } = family;
            let shape = json!({"name": name, "mimeType": mime_type}).to_string();
            definition(format!("template:{uri_template}"), title, description.as_deref().unwrap_or_default(), shape)
        });
        prompts.chain(resources).chain(families).collect()
    }

    /// Leaves out what [`Catalogue::definitions`] calls `name`.
    pub fn leave_out(&mut self, name: &str) {
        match name.split_once(':') {
            Some(("prompt", prompt)) => self.prompts.retain(|known| known.name != prompt),
            Some(("resource", uri)) => self.resources.retain(|known| known.uri != uri),
            Some(("template", template)) => self.templates.retain(|known| known.uri_template != template),
            Some(_) | None => {}
        }
    }
}

impl Prompt {
    /// Its arguments as a JSON Schema: an object of texts.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> = self
            .arguments
            .iter()
            .map(|argument| {
                let mut property = json!({"type": "string"});
                for (key, text) in [("title", &argument.title), ("description", &argument.description)] {
                    if let Some(text) = text {
                        property[key] = json!(text);
                    }
                }
                (argument.name.clone(), property)
            })
            .collect();
        let required: Vec<&str> =
            self.arguments.iter().filter(|argument| argument.required).map(|argument| argument.name.as_str()).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

fn definition(name: String, title: &Option<String>, description: &str, input_schema: String) -> Definition {
    Definition {
        name,
        title: title.clone(),
        description: description.to_owned(),
        input_schema,
        output_schema: None,
        annotations: Annotations { read_only: Some(true), ..Annotations::default() },
        risk: Risk::Low,
    }
}

fn unique<'n>(what: &str, names: impl Iterator<Item = &'n String>) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{what} `{}` is there twice", quotable(name, MAX_LABEL)));
        }
    }
    Ok(())
}

fn check_prompt(prompt: &Prompt) -> Result<(), String> {
    let name =
        ToolName::parse(&prompt.name).map_err(|error| format!("prompt `{}`: {error}", quotable(&prompt.name, 80)))?;
    let told = |reason: String| format!("prompt `{name}`: {reason}");
    check_text(&prompt.description).map_err(told)?;
    check_line(&prompt.title).map_err(told)?;
    if prompt.arguments.len() > MAX_ARGUMENTS {
        return Err(told(format!("it has {} arguments; at most {MAX_ARGUMENTS} are taken", prompt.arguments.len())));
    }
    unique(&format!("prompt `{name}`: argument"), prompt.arguments.iter().map(|argument| &argument.name))?;
    for argument in &prompt.arguments {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(1..=64).contains(&argument.name.len()) || !argument.name.chars().all(legal) {
            let shown = quotable(&argument.name, 80);
            return Err(told(format!("the argument `{shown}` is not 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`, `.`")));
        }
        check_line(&argument.title).map_err(told)?;
        argument.description.as_deref().map_or(Ok(()), check_text).map_err(told)?;
    }
    Ok(())
}

fn check_resource(resource: &ResourceLink) -> Result<(), String> {
    let told = |reason: String| format!("resource `{}`: {reason}", quotable(&resource.uri, 200));
    check_uri(&resource.uri).map_err(told)?;
    url::Url::parse(&resource.uri).map_err(|_| told("it is not an absolute URI".to_owned()))?;
    check_labels(&resource.name, &resource.title, resource.description.as_deref(), &resource.mime_type).map_err(told)
}

fn check_family(family: &Family) -> Result<(), String> {
    let told = |reason: String| format!("template `{}`: {reason}", quotable(&family.uri_template, 200));
    check_uri(&family.uri_template).map_err(told)?;
    Template::parse(&family.uri_template).map_err(told)?;
    check_labels(&family.name, &family.title, family.description.as_deref(), &family.mime_type).map_err(told)
}

fn check_uri(uri: &str) -> Result<(), String> {
    if uri.len() > MAX_URI {
        return Err(format!("it has {} bytes; at most {MAX_URI} are taken", uri.len()));
    }
    if uri.chars().any(|c| c.is_whitespace() || !c.is_ascii_graphic()) {
        return Err("a URI has no spaces, control characters or letters beyond ASCII".to_owned());
    }
    if uri.get(..OWN_SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(OWN_SCHEME)) {
        return Err(format!("`{OWN_SCHEME}` is the host's own"));
    }
    Ok(())
}

fn check_labels(
    name: &str,
    title: &Option<String>,
    description: Option<&str>,
    mime_type: &Option<String>,
) -> Result<(), String> {
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    check_line(&Some(name.to_owned()))?;
    check_line(title)?;
    check_line(mime_type)?;
    description.map_or(Ok(()), check_text)
}

/// A short text of one line that hides nothing.
fn check_line(text: &Option<String>) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    check_text(text)?;
    if text.contains('\n') || text.len() > MAX_LABEL {
        return Err(format!("a name, a title or a media type is one line of at most {MAX_LABEL} bytes"));
    }
    Ok(())
}

/// What a plugin offers, ready to be found by callers.
#[derive(Debug)]
pub struct Offer {
    /// The plugin.
    pub plugin: PluginName,
    /// What it published.
    pub catalogue: Catalogue,
    /// What each of its prompts is called as, in the order of the catalogue. The names are the plugin's own still.
    pub prompts: Vec<Tool>,
    /// What reads its resources.
    pub reader: Arc<Tool>,
    /// What suggests values.
    pub completer: Arc<Tool>,
}

/// A prompt as callers find it.
#[derive(Debug, Clone)]
pub struct OfferedPrompt {
    /// Its rights, and the name callers use.
    pub tool: Arc<Tool>,
    /// What the plugin published.
    pub prompt: Prompt,
}

/// A resource as callers find it.
#[derive(Debug, Clone)]
pub struct OfferedResource {
    /// Its rights.
    pub reader: Arc<Tool>,
    /// What the plugin published.
    pub link: ResourceLink,
}

/// A family of resources as callers find it.
#[derive(Debug, Clone)]
pub struct OfferedFamily {
    /// The rights to read one.
    pub reader: Arc<Tool>,
    completer: Arc<Tool>,
    /// What the plugin published.
    pub family: Family,
    template: Template,
}

/// All that a caller may have, in the order of names.
#[derive(Debug, Clone, Default)]
pub struct Visible {
    /// By the names callers use.
    pub prompts: Vec<OfferedPrompt>,
    /// By URI.
    pub resources: Vec<OfferedResource>,
    /// By template.
    pub families: Vec<OfferedFamily>,
}

/// The context of all plugins at one moment.
#[derive(Debug, Default)]
pub struct Contexts {
    prompts: BTreeMap<ToolName, (OfferedPrompt, Arc<Tool>)>,
    resources: BTreeMap<String, Vec<OfferedResource>>,
    families: Vec<OfferedFamily>,
}

impl Contexts {
    /// Gives every prompt its name, as tools get theirs: one that two plugins want goes to neither. A URI cannot be
    /// changed: one that two plugins publish is nobody's.
    #[must_use]
    pub fn new(offers: Vec<Offer>) -> Self {
        let wanted: Vec<(PluginName, ToolName)> = offers
            .iter()
            .flat_map(|offer| offer.prompts.iter().map(|tool| (offer.plugin.clone(), tool.name.clone())))
            .collect();
        let mut names = registry::distinct(&wanted).into_iter();
        let mut contexts = Self::default();
        for Offer { catalogue, prompts, reader, completer, .. } in offers {
            for (mut tool, prompt) in prompts.into_iter().zip(catalogue.prompts) {
                tool.name = names.next().unwrap_or(tool.name);
                let offered = OfferedPrompt { tool: Arc::new(tool), prompt };
                contexts.prompts.insert(offered.tool.name.clone(), (offered, Arc::clone(&completer)));
            }
            for link in catalogue.resources {
                let offered = OfferedResource { reader: Arc::clone(&reader), link };
                contexts.resources.entry(offered.link.uri.clone()).or_default().push(offered);
            }
            for family in catalogue.templates {
                // What is no template was refused with its plugin.
                let Ok(template) = Template::parse(&family.uri_template) else { continue };
                let (reader, completer) = (Arc::clone(&reader), Arc::clone(&completer));
                contexts.families.push(OfferedFamily { reader, completer, family, template });
            }
        }
        contexts.families.sort_by(|one, other| one.family.uri_template.cmp(&other.family.uri_template));
        contexts
    }

    /// Whether no plugin offers anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.resources.is_empty() && self.families.is_empty()
    }

    /// What a caller may have.
    #[must_use]
    pub fn visible(&self, selector: &Selector) -> Visible {
        let may = |tool: &Tool| tool.effective.allowed && selector.has_context(&tool.plugin);
        let only = |offered: &Vec<OfferedResource>| match offered.as_slice() {
            [one] if may(&one.reader) => Some(one.clone()),
            [] | [_] | [..] => None,
        };
        Visible {
            prompts: self.prompts.values().map(|(one, _)| one).filter(|one| may(&one.tool)).cloned().collect(),
            resources: self.resources.values().filter_map(only).collect(),
            families: self.families.iter().filter(|family| may(&family.reader)).cloned().collect(),
        }
    }

    /// What runs for `wanted`, whoever asks.
    ///
    /// # Errors
    /// When there is no such thing, or more than one.
    pub fn resolve(&self, wanted: &Wanted) -> Result<&Arc<Tool>, Failure> {
        match wanted {
            Wanted::Tool => Err(Failure::new(Code::Internal, "a tool was looked for among prompts and resources")),
            Wanted::Prompt(name) => self.prompt(name).map(|(offered, _)| &offered.tool),
            Wanted::Resource(uri) => self.resource(uri),
            Wanted::Completion { subject: Subject::Prompt(name), .. } => {
                self.prompt(name).map(|(_, completer)| completer)
            }
            Wanted::Completion { subject: Subject::Template(text), .. } => {
                let mut fit = self.families.iter().filter(|family| family.family.uri_template == *text);
                one_of(&mut fit, "template", text).map(|family| &family.completer)
            }
        }
    }

    /// The same, with the plugin's own names for its prompts.
    #[must_use]
    pub(crate) fn own(&self, wanted: Wanted) -> Wanted {
        let own = |name: String| match self.prompt(&name) {
            Ok((offered, _)) => offered.prompt.name.clone(),
            Err(_) => name,
        };
        match wanted {
            Wanted::Prompt(name) => Wanted::Prompt(own(name)),
            Wanted::Completion { subject: Subject::Prompt(name), argument, value, known } => {
                Wanted::Completion { subject: Subject::Prompt(own(name)), argument, value, known }
            }
            other @ (Wanted::Tool | Wanted::Resource(_) | Wanted::Completion { .. }) => other,
        }
    }

    fn prompt(&self, name: &str) -> Result<&(OfferedPrompt, Arc<Tool>), Failure> {
        let known = ToolName::parse(name).ok().and_then(|name| self.prompts.get(&name));
        known.ok_or_else(|| unknown("Prompt", name))
    }

    fn resource(&self, uri: &str) -> Result<&Arc<Tool>, Failure> {
        if let Some(offered) = self.resources.get(uri) {
            return one_of(&mut offered.iter(), "Resource", uri).map(|offered| &offered.reader);
        }
        let mut fit = self.families.iter().filter(|family| family.template.fits(uri));
        one_of(&mut fit, "Resource", uri).map(|family| &family.reader)
    }
}

/// The one thing there is. What two plugins publish goes to neither.
fn one_of<'o, T>(offered: &mut dyn Iterator<Item = &'o T>, what: &str, name: &str) -> Result<&'o T, Failure> {
    let first = offered.next().ok_or_else(|| unknown(what, name))?;
    match offered.next() {
        None => Ok(first),
        Some(_) => Err(unknown(what, name).with_fix("more than one plugin publishes it, so it is nobody's")),
    }
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(Code::ToolUnknown, format!("{what} '{}' not found", quotable(name, 200)))
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
