//! One operation of an HTTP service as data: what is asked where, and how each argument gets into the request.
//!
//! The host reads operations from a document and keeps them; the plugin `openapi` gets one with each call and runs it.
//! Two names are kept apart throughout: `name` is what a caller calls an argument, `wire` what the service calls it.
//! Schemas are not here: what an argument may be is checked before a call gets this far.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path below the base, beginning with `/`, cut at its places; see [`pieces`].
    pub path: Vec<Piece>,
    /// Arguments outside of the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What is sent along; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Where arguments go that nothing here names.
    #[serde(default, skip_serializing_if = "Rest::is_nowhere")]
    pub rest: Rest,
    /// Media types of answers with a status of 2xx, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

/// A method. TRACE and CONNECT are not among them: neither is an operation of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
}

impl Method {
    /// As it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether a request with it may have a body. What GET and HEAD carry has no meaning, and servers read it differently.
    pub fn takes_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch | Self::Delete | Self::Options => true,
            Self::Get | Self::Head => false,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A piece of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Sent as it stands. May hold a `?`: what follows is the beginning of the query.
    Text(String),
    /// The value of the path parameter with this wire name; without such a parameter, of the argument of this name.
    Place(String),
}

/// The pieces of a template such as `/users/{id}/posts`; none: a brace without its other half, or a place without a name.
///
/// ```
/// use bailiwick_operation::{Piece, pieces};
///
/// let [text, place, end] = ["/files/", "name", ".json"].map(str::to_owned);
/// assert_eq!(pieces("/files/{name}.json"), Some(vec![Piece::Text(text), Piece::Place(place), Piece::Text(end)]));
/// assert_eq!(pieces("/files/{name"), None);
/// ```
pub fn pieces(template: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}')?;
        if text.contains('}') || place.is_empty() || place.contains('{') {
            return None;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(Piece::Place(place.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

/// An argument outside of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What the caller calls it.
    pub name: String,
    /// What the service calls it.
    pub wire: String,
    /// Where it goes.
    pub location: Location,
    /// How a list or an object is written.
    pub style: Style,
    /// Whether each item of a list, or each property of an object, is written on its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explode: bool,
    /// Whether a request without it makes no sense.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether the value is written as JSON, whatever the style (`content: application/json`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub json: bool,
    /// Whether reserved characters that separate nothing in a query stay as they are (`allowReserved`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub reserved: bool,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// In a place of the path.
    Path,
    /// In the query.
    Query,
    /// In a header field.
    Header,
    /// In the header field `Cookie`.
    Cookie,
}

/// How a list or an object becomes text. The names are those of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `a,b`; objects `k,v` or `k=v`. What path and header parameters have unless they say otherwise.
    Simple,
    /// `n=a&n=b` or `n=a,b`. What query and cookie parameters have unless they say otherwise.
    Form,
    /// `.a.b`, in a path.
    Label,
    /// `;n=a;n=b`, in a path.
    Matrix,
    /// `n=a%20b`.
    SpaceDelimited,
    /// `n=a|b`.
    PipeDelimited,
    /// `n=a%09b`, of Swagger 2.0.
    TabDelimited,
    /// `n[k]=v`, as deep as the value is; places in lists are numbers.
    DeepObject,
}

/// What is sent along with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The media type as it is sent, for example `application/vnd.github+json`. Never a pattern such as `*/*`.
    pub content_type: String,
    /// How it is written.
    pub how: How,
    /// Whether a request without it makes no sense.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The argument that is the whole body; none: each of `fields` is an argument of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// Properties of the body. With `argument` they only say how a property of it is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// As JSON.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// The argument's own text: plain text, XML, YAML.
    Text,
    /// The bytes of a file.
    Bytes,
}

/// A property of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What the caller calls it.
    pub name: String,
    /// What the service calls it.
    pub wire: String,
    /// Whether a body without it makes no sense.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// How a form writes it; none: values as they are, each item of a list on its own, objects as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// As with a [`Parameter`]. Counts only with a `style`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explode: bool,
    /// Whether it is a file, or a list of files, in a multipart body.
    #[serde(default, skip_serializing_if = "is_false")]
    pub file: bool,
    /// The media type of its part in a multipart body, where the document says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Where arguments go that nothing names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// Nowhere: they are a mistake.
    #[default]
    Nowhere,
    /// Into the query, each item of a list on its own.
    Query,
    /// Into the body, which is an object.
    Body,
}

impl Rest {
    fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_cut_at_its_places() {
        let check = |template: &str, expected: Option<&str>| {
            let told = pieces(template).map(|pieces| {
                let shown = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Place(name) => format!("<{name}>"),
                });
                shown.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(told.as_deref(), expected, "{template}");
        };
        check("/a", Some("/a"));
        check("/a/{b}", Some("/a/ <b>"));
        check("/{a}{b}.{c}?d={e}&f", Some("/ <a> <b> . <c> ?d= <e> &f"));
        check("", Some(""));
        check("/a/{b", None);
        check("/a/b}", None);
        check("/a/{}", None);
        check("/a/{{b}}", None);
        check("/}a{b}", None);
    }

    #[test]
    fn an_operation_is_small_as_json_and_comes_back() {
        let text = r#"{"method":"GET","path":[{"text":"/a/"},{"place":"id"}],"parameters":[{"name":"id","wire":"id","location":"path","style":"simple","required":true}]}"#;
        let operation: Operation = serde_json::from_str(text).expect("an operation");
        assert_eq!(serde_json::to_string(&operation).expect("JSON"), text);
        let unknown = text.replace("method", "verb");
        assert!(serde_json::from_str::<Operation>(&unknown).is_err(), "what is not known is an error");
    }
}
