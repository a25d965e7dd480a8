//! Components that know nothing of our contract: each function they export becomes a tool. WIT names become tool names,
//! WIT types become JSON Schema, doc comments become descriptions; `wit/README.md` states the rules for authors.
//!
//! Nothing here reads a component. The host hands in what it found as [`Function`]s and calls them with values that fit
//! the schemas made here.

mod docs;
mod names;
mod schema;

pub use docs::Docs;
pub use names::{FunctionName, tool_names};
pub use schema::{RESULT, definition, is_bare};

/// A WIT type that JSON can carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `u8` to `s64`.
    Integer(Integer),
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `string`.
    Text,
    /// `list<u8>`, which is text in base64 and not a list.
    Bytes,
    /// `list<T>` of anything else.
    List(Box<Self>),
    /// `tuple<A, B>`.
    Tuple(Vec<Self>),
    /// `record`: names and types of its fields.
    Record(Vec<(String, Self)>),
    /// `variant`: names of its cases, and what they carry.
    Variant(Vec<(String, Option<Self>)>),
    /// `enum`: names of its cases.
    Enum(Vec<String>),
    /// `flags`: their names.
    Flags(Vec<String>),
    /// `option<T>`.
    Option(Box<Self>),
    /// `result<T, E>`; either may be missing.
    Result(Option<Box<Self>>, Option<Box<Self>>),
}

/// The integers of WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in WIT")]
pub enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl Integer {
    /// The smallest of this type.
    #[must_use]
    pub fn least(self) -> i64 {
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 0,
            Self::S8 => i8::MIN.into(),
            Self::S16 => i16::MIN.into(),
            Self::S32 => i32::MIN.into(),
            Self::S64 => i64::MIN,
        }
    }

    /// The largest of this type.
    #[must_use]
    pub fn most(self) -> u64 {
        match self {
            Self::S8 => i8::MAX as u64,
            Self::U8 => u8::MAX.into(),
            Self::S16 => i16::MAX as u64,
            Self::U16 => u16::MAX.into(),
            Self::S32 => i32::MAX as u64,
            Self::U32 => u32::MAX.into(),
            Self::S64 => i64::MAX as u64,
            Self::U64 => u64::MAX,
        }
    }
}

/// A function that a component exports.
#[derive(Debug, Clone)]
pub struct Function {
    /// What it is called.
    pub name: FunctionName,
    /// Names and types of its parameters.
    pub params: Vec<(String, Type)>,
    /// What it returns, if anything.
    pub result: Option<Type>,
}

impl Function {
    /// What a successful call gives: of a `result<T, E>`, the `T`.
    #[must_use]
    pub fn output(&self) -> Option<&Type> {
        let result = self.result.as_ref()?;
        if let Type::Result(ok, _) = result { ok.as_deref() } else { Some(result) }
    }
}

/// Why an exported function is no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Something that only lives inside an instance, or that the host does not offer.
    #[error("{place} holds {what}, which JSON cannot carry")]
    Type {
        /// Which of its types.
        place: String,
        /// What it is, with its article.
        what: String,
    },
    /// Larger or deeper than the host describes.
    #[error("its types are too large to be described")]
    TooLarge,
    /// Part of a standard interface: it is called by hosts of another kind.
    #[error("`{0}` is for a host that starts programs or serves requests, not for callers of tools")]
    Standard(String),
}

/// An exported function that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its WIT name.
    pub function: FunctionName,
    /// Why.
    pub reason: Unfit,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A name may have any length.
        const LONGEST: usize = 400;
        let text = format!("`{}` is no tool: {}", self.function, self.reason);
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}…", &text[..end]),
            None => f.write_str(&text),
        }
    }
}
