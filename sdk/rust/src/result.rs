//! Builders of [`Output`] and [`Content`], and what a tool may return.

use serde::Serialize;

use crate::{Content, EmbeddedResource, Failure, Media, Output, ResourceBody, ResourceLink};

/// ```
/// use bailiwick_sdk::{Content, Output};
///
/// let output = Output::text("2 files").with(Content::text("a.txt\nb.txt")).with_structured(&["a.txt", "b.txt"]);
/// assert_eq!(output.structured.as_deref(), Some(r#"["a.txt","b.txt"]"#));
/// ```
impl Output {
    /// A result of one piece of text.
    pub fn text(text: impl Into<String>) -> Self {
        Content::text(text).into()
    }

    /// A result without any content.
    pub fn empty() -> Self {
        Self { content: Vec::new(), structured: None }
    }

    /// Adds a piece of content at the end.
    #[must_use]
    pub fn with(mut self, content: Content) -> Self {
        self.content.push(content);
        self
    }

    /// Gives the result as JSON too, for callers that are programs.
    ///
    /// # Panics
    ///
    /// When `value` cannot be written as JSON (a map whose keys are not text). The panic ends the call.
    #[must_use]
    pub fn with_structured(mut self, value: &impl Serialize) -> Self {
        self.structured = Some(serde_json::to_string(value).expect("the structured result must be writable as JSON"));
        self
    }
}

impl Content {
    /// Text for the caller, usually a model.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An image; `mime_type` is, for example, `image/png`.
    pub fn image(data: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> Self {
        Self::Image(Media { data: data.into(), mime_type: mime_type.into() })
    }

    /// Sound; `mime_type` is, for example, `audio/wav`.
    pub fn audio(data: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> Self {
        Self::Audio(Media { data: data.into(), mime_type: mime_type.into() })
    }

    /// A document given whole: `body` is a `String`, a `&str` or a `Vec<u8>`.
    pub fn resource(uri: impl Into<String>, mime_type: impl Into<String>, body: impl Into<ResourceBody>) -> Self {
        Self::Resource(EmbeddedResource { uri: uri.into(), mime_type: Some(mime_type.into()), body: body.into() })
    }

    /// A document named, not given. For title, media type and size fill a [`ResourceLink`] in.
    pub fn link(uri: impl Into<String>, name: impl Into<String>) -> Self {
        ResourceLink { uri: uri.into(), name: name.into(), title: None, description: None, mime_type: None, size: None }
            .into()
    }
}

impl From<Content> for Output {
    fn from(content: Content) -> Self {
        Self { content: vec![content], structured: None }
    }
}

impl From<ResourceLink> for Content {
    fn from(link: ResourceLink) -> Self {
        Self::Link(link)
    }
}

impl From<String> for ResourceBody {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ResourceBody {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for ResourceBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

/// A result that is a value: structured, and as JSON text for callers that read only text.
///
/// ```
/// use bailiwick_sdk::{IntoOutput, Json, Output};
///
/// let output = Json([1, 2]).into_output();
/// assert_eq!(output, Ok(Output::text("[1,2]").with_structured(&[1, 2])));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Json<T>(pub T);

/// The only parameter of a tool whose arguments are a struct of its own (see [`args`](macro@crate::args)).
#[derive(Clone, Debug, PartialEq)]
pub struct Args<T>(pub T);

/// What a tool can return as its result.
pub trait IntoOutput {
    /// Makes the result.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON.
    fn into_output(self) -> Result<Output, Failure>;
}

impl IntoOutput for Output {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(self)
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(Output::text(self))
    }
}

impl IntoOutput for &'static str {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(Output::text(self))
    }
}

impl IntoOutput for () {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(Output::empty())
    }
}

impl IntoOutput for Content {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(self.into())
    }
}

impl IntoOutput for Vec<Content> {
    fn into_output(self) -> Result<Output, Failure> {
        Ok(Output { content: self, structured: None })
    }
}

impl<T: Serialize> IntoOutput for Json<T> {
    fn into_output(self) -> Result<Output, Failure> {
        let json = serde_json::to_string(&self.0)
            .map_err(|error| Failure::failed(format!("The result cannot be written as JSON: {error}.")))?;
        Ok(Output { content: vec![Content::Text(json.clone())], structured: Some(json) })
    }
}

/// What a tool function can return: a result, or a `Result` of one.
pub trait IntoAnswer {
    /// Makes the answer to the call.
    ///
    /// # Errors
    ///
    /// The tool's own failure.
    fn into_answer(self) -> Result<Output, Failure>;
}

impl<T: IntoOutput> IntoAnswer for T {
    fn into_answer(self) -> Result<Output, Failure> {
        self.into_output()
    }
}

impl<T: IntoOutput, E: Into<Failure>> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Result<Output, Failure> {
        self.map_err(Into::into)?.into_output()
    }
}
