//! One operation of an HTTP service as data. The host reads it from the service's document, a component builds the request
//! by it: the component decides nothing, because all that a document can say is settled here.
//!
//! Values travel apart from this: what a model wrote, by argument name, and what the operator injects, by the name the
//! operator gave it. A place that is [`Source::Injected`] is filled from the second only.

use serde::{Deserialize, Serialize};

/// Fields of the connection, which are nobody's to set.
pub const CONNECTION_HEADERS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that say who asks, for whom, or what is asked instead: the operator may set them, a caller not. `accept` and
/// `content-type` are the operation's; nobody decompresses what `accept-encoding` asks for.
pub const OPERATORS_HEADERS: [&str; 20] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-type",
    "cookie",
    "forwarded",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// How one request is made of arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// The whole path, from its first slash on, below the origin the operator granted.
    pub path: Vec<Piece>,
    /// Everything outside of path and body, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// None where nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The value of `Accept`.
    pub accept: String,
}

/// A part of a path. Pieces between two slashes are one segment: none may come to `.` or `..`, whatever it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Piece {
    /// As it goes on the wire: encoded, without dot segments.
    Text(String),
    /// A value, of which every byte that is not unreserved is percent-encoded; never empty.
    Value(PathValue),
}

/// A value within a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathValue {
    /// Where the value comes from.
    pub from: Source,
    /// The name in the template, which the label and matrix styles write.
    pub name: String,
    /// How lists and objects are written.
    pub style: Style,
    /// Whether each item of them stands by itself.
    pub explode: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// From the caller's argument of this name.
    Argument(String),
    /// From the operator, under this name. An argument of the same name is not looked at.
    Injected(String),
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// Into the path.
    Path,
    /// Behind the `?`.
    Query,
    /// Into a header of its own. A value with a control character is refused.
    Header,
    /// Into `Cookie`.
    Cookie,
    /// Into the body.
    Body,
}

/// How a list or an object is written where only text can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `a,b`; `k,v` or, exploded, `k=v,k=v`.
    Simple,
    /// `n=a,b` or, exploded, `n=a&n=b`; objects `n=k,v` or `k=v`.
    Form,
    /// `n=a b`.
    Space,
    /// `n=a|b`.
    Pipe,
    /// `n=a\tb`, of Swagger 2.0.
    Tab,
    /// `n[k]=v`.
    Deep,
    /// `.a.b`.
    Label,
    /// `;n=a,b`.
    Matrix,
    /// As JSON text.
    Json,
}

/// A value in the query, a header or a cookie. It is left out where its source has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Where the value comes from.
    pub from: Source,
    /// The name on the wire.
    pub name: String,
    /// Where it goes: [`Location::Query`], [`Location::Header`] or [`Location::Cookie`].
    pub at: Location,
    /// How lists and objects are written.
    pub style: Style,
    /// Whether each item of them stands by itself.
    pub explode: bool,
    /// Whether reserved characters stay as they are, as far as they mean nothing in a query (`allowReserved`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub reserved: bool,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The value of `Content-Type`, without a boundary.
    pub media: String,
    /// How it is written.
    pub kind: Kind,
    /// What it is made of.
    pub content: Content,
    /// Whether one is sent also where no argument is for it: an empty object, form or text.
    pub required: bool,
    /// What the operator adds to an object: these names are taken out of what a model wrote, whatever their case, and
    /// put in with the operator's values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<InjectedField>,
}

/// A field that the operator fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedField {
    /// The operator's name for the value.
    pub from: String,
    /// The name on the wire.
    pub name: String,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// As JSON.
    Json,
    /// `application/x-www-form-urlencoded`; with GET and HEAD, which send nothing, behind the `?`.
    Form,
    /// As a form behind the `?`, whatever the method.
    Query,
    /// `multipart/form-data`.
    Multipart,
    /// The text as it is.
    Text,
    /// The bytes that base64 text stands for, or those of an artifact.
    Bytes,
}

/// What a body is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// One argument is the whole of it.
    Whole {
        /// The argument.
        argument: String,
    },
    /// Arguments are the fields of an object.
    Fields {
        /// In the order of the document.
        fields: Vec<Field>,
        /// Whether arguments that are nothing else become fields too.
        open: bool,
    },
}

/// A field of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The caller's argument.
    pub argument: String,
    /// The name on the wire.
    pub name: String,
    /// How a form writes it; JSON has its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// How a form writes a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    /// As text, lists and objects in this style.
    Text {
        /// How lists and objects are written.
        style: Style,
        /// Whether each item of them stands by itself.
        explode: bool,
    },
    /// As JSON text, or a part of this media type that holds it.
    Json {
        /// `application/json`, or what the document says.
        media: String,
    },
    /// As a file: the bytes that base64 text stands for, or those of an artifact. A list is several files.
    File {
        /// `application/octet-stream`, or what the document says.
        media: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(yes: &bool) -> bool {
    !yes
}
