//! What a model asked for, in the message in which its provider gave it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Format;

/// The most calls one message may ask for.
pub const MAX_CALLS: usize = 64;

/// The calls of a message, in its order.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// How they were written, and how the answers are.
    pub format: Format,
    /// The calls.
    pub calls: Vec<Asked>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What the answer refers to it by; Gemini may leave it out.
    pub id: Option<String>,
    /// The name the model wrote.
    pub name: String,
    /// The arguments as they came, or `{}`.
    pub arguments: String,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// Where, with dots between names and numbers.
    pub field: String,
    /// What.
    pub message: String,
    /// A stable word for it.
    pub kind: &'static str,
}

impl Misread {
    /// Something wrong with a field.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>, kind: &'static str) -> Self {
        Self { field: field.into(), message: message.into(), kind }
    }
}

/// Reads the calls out of `body`: a list of them, the message they stand in, or the whole answer of a provider. What else
/// there is in a message is passed over. Where nothing says which provider wrote it, `told` does.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(body: &str, told: Option<Format>) -> Result<Batch, Misread> {
    let envelope: Envelope<'_> =
        serde_json::from_str(body).map_err(|error| Misread::new("body", error.to_string(), "json_invalid"))?;
    let (format, field, items) = envelope.items()?;
    if told.is_some_and(|told| told != format) {
        let message = format!("this is `{}`, and not what `format` says", format.as_str());
        return Err(Misread::new(field, message, "format_mismatch"));
    }
    let mut calls = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let at = || format!("{field}.{number}");
        calls.extend(call(format, item).map_err(|(below, message, kind)| {
            let field = if below.is_empty() { at() } else { format!("{}.{below}", at()) };
            Misread::new(field, message, kind)
        })?);
    }
    if calls.len() > MAX_CALLS {
        let message = format!("there are {} calls; at most {MAX_CALLS} are taken at once", calls.len());
        return Err(Misread::new(field, message, "too_long"));
    }
    Ok(Batch { format, calls })
}

/// A message of any provider, or the answer it stands in. A field that is there with `null` counts as one that is not.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: ChatMessage<'a>,
}

#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Candidate<'a> {
    #[serde(borrow)]
    content: GeminiContent<'a>,
}

#[derive(Deserialize)]
struct GeminiContent<'a> {
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
}

type Items<'a> = (Format, &'static str, Vec<&'a RawValue>);

impl<'a> Envelope<'a> {
    fn items(self) -> Result<Items<'a>, Misread> {
        let in_choice =
            self.choices.and_then(|choices| choices.into_iter().next()).map(|choice| choice.message.tool_calls);
        let candidate = self.candidates.and_then(|candidates| candidates.into_iter().next());
        let in_candidate = candidate.map(|candidate| candidate.content.parts);
        let mut there = [
            (Format::OpenAi, "tool_calls", self.tool_calls),
            (Format::OpenAi, "choices.0.message.tool_calls", in_choice.flatten()),
            (Format::OpenAiResponses, "output", self.output),
            (Format::Anthropic, "content", self.content.filter(|content| content.get().starts_with('['))),
            (Format::Gemini, "parts", self.parts),
            (Format::Gemini, "candidates.0.content.parts", in_candidate.flatten()),
        ]
        .into_iter()
        .filter_map(|(format, field, list)| Some((format, field, list?)));
        let Some((format, field, list)) = there.next() else {
            let message = "there is none of `tool_calls` (OpenAI), `output` (OpenAI responses), a `content` list \
                           (Anthropic) and `parts` (Gemini)";
            return Err(Misread::new("body", message, "missing"));
        };
        // A message of OpenAI's may have a list as its content too.
        if let Some((_, other, _)) = there.find(|(other, ..)| *other != format && format != Format::OpenAi) {
            let message = format!("there is `{other}` too; one message comes from one provider");
            return Err(Misread::new(field, message, "ambiguous"));
        }
        let items =
            serde_json::from_str(list.get()).map_err(|_| Misread::new(field, "it must be a list", "list_type"))?;
        Ok((format, field, items))
    }
}

/// Where below an item, what is wrong, and the word for it.
type Wrong = (&'static str, String, &'static str);

/// The call in an item, if there is one in it.
fn call(format: Format, item: &RawValue) -> Result<Option<Asked>, Wrong> {
    match format {
        Format::Anthropic => anthropic(item),
        Format::Gemini => gemini(item),
        Format::OpenAiResponses => response(item),
        Format::OpenAi | Format::Flat | Format::Mcp => chat(item).map(Some),
    }
}

fn shape<'a, T: Deserialize<'a>>(item: &'a RawValue, below: &'static str) -> Result<T, Wrong> {
    serde_json::from_str(item.get()).map_err(|error| (below, error.to_string(), "model_attributes_type"))
}

#[derive(Deserialize)]
struct Kind {
    r#type: Option<String>,
}

fn chat(item: &RawValue) -> Result<Asked, Wrong> {
    #[derive(Deserialize)]
    struct Item<'a> {
        id: String,
        r#type: Option<String>,
        #[serde(borrow)]
        function: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Function<'a> {
        name: String,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let item: Item<'_> = shape(item, "")?;
    if item.r#type.as_deref().is_some_and(|kind| kind != "function") {
        return Err(("type", "only calls of the type `function` can be run here".to_owned(), "literal_error"));
    }
    let function = item.function.ok_or_else(|| ("function", "it must be there".to_owned(), "missing"))?;
    let Function { name, arguments } = shape(function, "function")?;
    Ok(Asked { id: Some(item.id), name, arguments: text(arguments, "function.arguments")? })
}

fn response(item: &RawValue) -> Result<Option<Asked>, Wrong> {
    #[derive(Deserialize)]
    struct Item<'a> {
        call_id: String,
        name: String,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let kind: Kind = shape(item, "")?;
    if kind.r#type.as_deref() != Some("function_call") {
        return Ok(None);
    }
    let Item { call_id, name, arguments } = shape(item, "")?;
    Ok(Some(Asked { id: Some(call_id), name, arguments: text(arguments, "arguments")? }))
}

fn anthropic(item: &RawValue) -> Result<Option<Asked>, Wrong> {
    #[derive(Deserialize)]
    struct Item<'a> {
        id: String,
        name: String,
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    let kind: Kind = shape(item, "")?;
    if kind.r#type.as_deref() != Some("tool_use") {
        return Ok(None);
    }
    let Item { id, name, input } = shape(item, "")?;
    Ok(Some(Asked { id: Some(id), name, arguments: object(input) }))
}

fn gemini(item: &RawValue) -> Result<Option<Asked>, Wrong> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, rename = "functionCall", alias = "function_call")]
        call: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Call<'a> {
        id: Option<String>,
        name: String,
        #[serde(borrow)]
        args: Option<&'a RawValue>,
    }
    let part: Part<'_> = shape(item, "")?;
    let Some(call) = part.call else { return Ok(None) };
    let Call { id, name, args } = shape(call, "functionCall")?;
    Ok(Some(Asked { id, name, arguments: object(args) }))
}

/// Arguments that are JSON in a text; some servers of models give the object itself.
fn text(arguments: Option<&RawValue>, below: &'static str) -> Result<String, Wrong> {
    match arguments {
        Some(text) if text.get().starts_with('"') => shape(text, below),
        other => Ok(object(other)),
    }
}

fn object(arguments: Option<&RawValue>) -> String {
    match arguments.map(RawValue::get) {
        None | Some("null") => "{}".to_owned(),
        Some(text) => text.to_owned(),
    }
}
