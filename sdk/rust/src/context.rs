//! Prompts and resources: what a plugin gives beside tools, for a person or a program to pick and a model to read.
//!
//! In a [`plugin`](macro@crate::plugin) module, a function marked [`#[prompt]`](macro@crate::prompt) is a prompt, one
//! marked [`#[resource]`](macro@crate::resource) a resource or a family of them, and at most one marked
//! [`#[complete]`](macro@crate::complete) suggests values for their arguments.
//!
//! ```
//! use bailiwick_sdk::prelude::*;
//!
//! #[bailiwick_sdk::plugin]
//! mod house {
//!     use super::*;
//!
//!     /// How we review a change.
//!     #[prompt(title = "Review")]
//!     fn review(
//!         /// What to look at above all.
//!         focus: Option<String>,
//!     ) -> String {
//!         format!("Review this change. Look at {} above all.", focus.as_deref().unwrap_or("its tests"))
//!     }
//!
//!     /// The rules of the house.
//!     #[resource(uri = "house://rules", mime_type = "text/plain")]
//!     fn rules() -> &'static str {
//!         "Be kind."
//!     }
//!
//!     /// What happened on a day.
//!     #[resource(template = "house://diary/{day}", mime_type = "text/plain")]
//!     fn diary(day: String) -> Result<String, Failure> {
//!         if day.len() == 10 { Ok(format!("On {day} it rained.")) } else { Err(Failure::not_found("No such day.")) }
//!     }
//! }
//! # fn main() {}
//! ```

pub use crate::bindings::exports::bailiwick::tool::context::{
    Catalogue, Completion, Conversation, Message, Prompt, PromptArgument, ResourceTemplate, Role, Subject,
};
use crate::{Content, EmbeddedResource, Failure, ResourceBody};

impl Message {
    /// What the person says.
    pub fn user(content: impl Into<Content>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// What the model says.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What a prompt can return: texts and content are one message of the person's.
pub trait IntoConversation {
    /// Makes the conversation.
    fn into_conversation(self) -> Conversation;
}

impl IntoConversation for Conversation {
    fn into_conversation(self) -> Conversation {
        self
    }
}

impl IntoConversation for Vec<Message> {
    fn into_conversation(self) -> Conversation {
        Conversation { description: None, messages: self }
    }
}

impl IntoConversation for Content {
    fn into_conversation(self) -> Conversation {
        vec![Message::user(self)].into_conversation()
    }
}

impl IntoConversation for String {
    fn into_conversation(self) -> Conversation {
        Content::from(self).into_conversation()
    }
}

impl IntoConversation for &'static str {
    fn into_conversation(self) -> Conversation {
        Content::from(self).into_conversation()
    }
}

/// What a prompt function can return: a conversation, or a `Result` of one.
pub trait IntoPrompt {
    /// Makes the answer.
    ///
    /// # Errors
    ///
    /// The prompt's own failure.
    fn into_prompt(self) -> Result<Conversation, Failure>;
}

impl<T: IntoConversation> IntoPrompt for T {
    fn into_prompt(self) -> Result<Conversation, Failure> {
        Ok(self.into_conversation())
    }
}

impl<T: IntoConversation, E: Into<Failure>> IntoPrompt for Result<T, E> {
    fn into_prompt(self) -> Result<Conversation, Failure> {
        self.map(IntoConversation::into_conversation).map_err(Into::into)
    }
}

/// What a resource can return: text, bytes, or several documents.
pub trait IntoContents {
    /// Makes the documents, of which one that has none of its own gets this URI and media type.
    fn into_contents(self, uri: &str, mime_type: Option<&str>) -> Vec<EmbeddedResource>;
}

impl IntoContents for Vec<EmbeddedResource> {
    fn into_contents(self, _uri: &str, _mime_type: Option<&str>) -> Vec<EmbeddedResource> {
        self
    }
}

impl IntoContents for ResourceBody {
    fn into_contents(self, uri: &str, mime_type: Option<&str>) -> Vec<EmbeddedResource> {
        vec![EmbeddedResource { uri: uri.to_owned(), mime_type: mime_type.map(str::to_owned), body: self }]
    }
}

impl IntoContents for String {
    fn into_contents(self, uri: &str, mime_type: Option<&str>) -> Vec<EmbeddedResource> {
        ResourceBody::Text(self).into_contents(uri, mime_type)
    }
}

impl IntoContents for &'static str {
    fn into_contents(self, uri: &str, mime_type: Option<&str>) -> Vec<EmbeddedResource> {
        ResourceBody::from(self).into_contents(uri, mime_type)
    }
}

impl IntoContents for Vec<u8> {
    fn into_contents(self, uri: &str, mime_type: Option<&str>) -> Vec<EmbeddedResource> {
        ResourceBody::Blob(self).into_contents(uri, mime_type)
    }
}

/// What a resource function can return: contents, or a `Result` of them.
pub trait IntoResource {
    /// Makes the answer.
    ///
    /// # Errors
    ///
    /// The resource's own failure.
    fn into_resource(self, uri: &str, mime_type: Option<&str>) -> Result<Vec<EmbeddedResource>, Failure>;
}

impl<T: IntoContents> IntoResource for T {
    fn into_resource(self, uri: &str, mime_type: Option<&str>) -> Result<Vec<EmbeddedResource>, Failure> {
        Ok(self.into_contents(uri, mime_type))
    }
}

impl<T: IntoContents, E: Into<Failure>> IntoResource for Result<T, E> {
    fn into_resource(self, uri: &str, mime_type: Option<&str>) -> Result<Vec<EmbeddedResource>, Failure> {
        self.map(|contents| contents.into_contents(uri, mime_type)).map_err(Into::into)
    }
}

/// What `#[complete]` can return: values, best first, or a [`Completion`].
pub trait IntoCompletion {
    /// Makes the completion.
    fn into_completion(self) -> Completion;
}

impl IntoCompletion for Completion {
    fn into_completion(self) -> Completion {
        self
    }
}

impl IntoCompletion for Vec<String> {
    fn into_completion(self) -> Completion {
        Completion { total: u32::try_from(self.len()).ok(), values: self, has_more: false }
    }
}

/// The values of a template's places in `uri`, in order; none: it does not fit.
///
/// ```
/// use bailiwick_sdk::context::values;
///
/// assert_eq!(values("diary://{day}/{page}", "diary://monday/3"), Some(vec!["monday".to_owned(), "3".to_owned()]));
/// assert_eq!(values("diary://{day}/{page}", "diary://monday/3/4"), None);
/// assert_eq!(values("file://{+path}", "file://a/b"), Some(vec!["a/b".to_owned()]));
/// ```
pub fn values(template: &str, uri: &str) -> Option<Vec<String>> {
    let Some((literal, rest)) = template.split_once('{') else { return (template == uri).then(Vec::new) };
    let uri = uri.strip_prefix(literal)?;
    let (place, rest) = rest.split_once('}')?;
    let longest = if place.starts_with('+') { uri.len() } else { uri.find('/').unwrap_or(uri.len()) };
    // The longest value that leaves a rest that fits.
    (1..=longest).rev().filter(|end| uri.is_char_boundary(*end)).find_map(|end| {
        let mut after = values(rest, &uri[end..])?;
        after.insert(0, uri[..end].to_owned());
        Some(after)
    })
}
