//! Programs that callers send, and tools that are programs: what an interpreter is asked, what it says, and what callers are
//! told of that.

pub mod run;
pub mod tools;
pub mod typescript;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A language that an interpreter of the host's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// ECMAScript.
    #[default]
    JavaScript,
    /// The same, with types that are taken out.
    TypeScript,
    /// Python 3.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::JavaScript, Self::TypeScript, Self::Python];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Python => "python",
        }
    }

    /// The language of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == name)
    }

    /// The language of files that end so.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "js" | "mjs" => Some(Self::JavaScript),
            "ts" | "mts" => Some(Self::TypeScript),
            "py" => Some(Self::Python),
            _ => None,
        }
    }

    /// What runs it.
    #[must_use]
    pub fn interpreter(self) -> Interpreter {
        match self {
            Self::JavaScript | Self::TypeScript => Interpreter::JavaScript,
            Self::Python => Interpreter::Python,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A component of the host's that runs programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Interpreter {
    /// For JavaScript and TypeScript.
    JavaScript,
    /// For Python.
    Python,
}

impl Interpreter {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::JavaScript, Self::Python];

    /// As it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }
}
