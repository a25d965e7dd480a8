//! A plugin whose tools are programs for an interpreter of the host's.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::file::{CodeTable, PluginTable};
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::reader::At;
use super::{Class, Typing};
use crate::code::Language;

/// What is run by an interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpreted {
    /// What callers send.
    Executor,
    /// What callers send, with their other tools at hand.
    Mode,
    /// `main` of what callers send.
    Runner,
    /// What the operator wrote.
    Tool(Box<CodeTool>),
}

/// A program as a tool, named like its plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTool {
    /// Its language.
    pub language: Language,
    /// Its text.
    pub source: CodeSource,
    /// What callers are told.
    pub description: String,
    /// The schema of its arguments.
    pub input: Json,
}

/// Where a program's text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSource {
    /// In a file, absolute.
    File(PathBuf),
    /// Here.
    Text(String),
}

impl Interpreted {
    const BUILTINS: [Self; 3] = [Self::Executor, Self::Mode, Self::Runner];

    /// Its name after `builtin:`, if it is built in.
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Executor => Some("code-executor"),
            Self::Mode => Some("code-mode"),
            Self::Runner => Some("std-run-code"),
            Self::Tool(_) => None,
        }
    }

    /// What is behind `builtin:NAME`, if an interpreter runs that.
    pub(super) fn builtin(name: &str) -> Option<Self> {
        Self::BUILTINS.into_iter().find(|known| known.name() == Some(name))
    }

    /// The names of what is built in.
    pub fn builtins() -> impl Iterator<Item = &'static str> {
        Self::BUILTINS.into_iter().filter_map(|known| known.name())
    }

    /// The file that it is in, if it is.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Executor | Self::Mode | Self::Runner => None,
            Self::Tool(tool) => match &tool.source {
                CodeSource::File(file) => Some(file),
                CodeSource::Text(_) => None,
            },
        }
    }

    /// Where it comes from, as the operator wrote it.
    #[must_use]
    pub fn source(&self) -> String {
        match self {
            Self::Executor | Self::Mode | Self::Runner => format!("builtin:{}", self.name().unwrap_or_default()),
            Self::Tool(tool) => match &tool.source {
                CodeSource::File(file) => file.display().to_string(),
                CodeSource::Text(_) => tool.language.to_string(),
            },
        }
    }
}

impl Typing<'_, '_> {
    /// Reads a program that is a tool.
    pub(super) fn code_tool(&mut self, path: &str, place: &Place, table: CodeTable) -> Option<CodeTool> {
        let source = self.code_source(path, place, table.file, table.source);
        let named = table.language.map(|language| {
            let known = Language::of(&language.value);
            let flaw = || Flaw::new(format!("{} is no language that is run here", shown(&language.value)));
            let legal = Language::ALL.map(|language| format!("`{language}`")).join(", ");
            self.reading.accept(known.ok_or_else(|| flaw().legal(legal)), &language.place)
        });
        let language = match (named, &source) {
            (Some(language), _) => language,
            (None, Some(CodeSource::File(file))) => self.language_of(path, place, &file.display().to_string()),
            (None, Some(CodeSource::Text(_))) => self.language_of(path, place, ""),
            (None, None) => None,
        };
        let input = self.input(path, table.input);
        Some(CodeTool {
            language: language?,
            source: source?,
            description: table.description.map(|text| text.value).unwrap_or_default(),
            input: input?,
        })
    }

    fn code_source(
        &mut self,
        path: &str,
        place: &Place,
        file: Option<At<String>>,
        text: Option<At<String>>,
    ) -> Option<CodeSource> {
        const LEGAL: &str = "exactly one of `file`, `source`";
        match (file, text) {
            (Some(file), None) => self.path(&file).map(CodeSource::File),
            (None, Some(text)) if text.value.trim().is_empty() => {
                self.reading.note(Mistake::new(code::VALUE, text.place, format!("`{path}.source` is empty")));
                None
            }
            (None, Some(text)) => Some(CodeSource::Text(text.value)),
            (Some(_), Some(text)) => {
                let message = format!("`{path}` says twice what the program is");
                self.reading.note(Mistake::new(code::CONFLICT, text.place, message).legal(LEGAL));
                None
            }
            (None, None) => {
                let message = format!("`{path}` does not say what the program is");
                self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(LEGAL));
                None
            }
        }
    }

    fn language_of(&mut self, path: &str, place: &Place, file: &str) -> Option<Language> {
        let language = Language::of_file(file);
        if language.is_none() {
            let message = format!("`{path}` does not say in which language the program is");
            let legal = Language::ALL.map(|language| format!("`language = \"{language}\"`")).join(", ");
            self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(legal));
        }
        language
    }

    /// Refuses what a program could not use: it reaches the world by directories and by other tools.
    pub(super) fn code_fits(&mut self, path: &str, class: &Class, table: &PluginTable) {
        let interpreted = match class {
            Class::Code(interpreted) => interpreted,
            Class::Component(_) => return,
            Class::Mcp(_) | Class::Remote(_) | Class::Process(_) | Class::Service(_) => {
                if let Some(call) = &table.call {
                    let message =
                        format!("`call` has no effect: a plugin with `{}` calls no tools of the host", class.key());
                    self.reading.note(Mistake::new(code::UNUSED, call.place.clone(), message));
                }
                return;
            }
        };
        let foreign = [
            ("net", table.net.as_ref().map(|list| &list.place)),
            ("env", table.env.iter().flat_map(|env| &env.0).next().map(|(name, _)| &name.place)),
            ("config", table.config.iter().flat_map(|config| &config.0).next().map(|(name, _)| &name.place)),
            ("secrets", table.secrets.iter().flat_map(|secrets| &secrets.0).next().map(|(name, _)| &name.place)),
        ];
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?.clone()))) {
            let message =
                format!("`{key}` has no effect: programs reach files by `fs`, and all else by tools they `call`");
            self.reading.note(Mistake::new(code::UNUSED, place, message));
        }
        if let (Interpreted::Executor | Interpreted::Runner, Some(call)) = (interpreted, &table.call) {
            let message = format!("`call` of `[{path}]` has no effect: `{}` calls no tools", interpreted.source());
            let mistake = Mistake::new(code::UNUSED, call.place.clone(), message);
            self.reading.note(mistake.suggest("`builtin:code-mode` does"));
        }
    }
}
