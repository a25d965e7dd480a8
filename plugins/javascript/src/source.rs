//! From what was written to what the engine evaluates.

use crate::failure::Trouble;
use crate::input::{Form, Language};
use crate::position::Map;
use crate::syntax::{self, Translated};

/// What stands before a body, in its first line, and behind it.
const BODY: (&str, &str) = ("(async()=>{", "\n})()");

/// A script for the engine.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) map: Map,
}

/// The script for a source as it stands: of JavaScript what was written, of TypeScript what is left without its types.
///
/// # Errors
/// All that is wrong with TypeScript. Of JavaScript, the engine says it.
pub(crate) fn first(source: &str, language: Language, form: Form) -> Result<Script, Vec<Trouble>> {
    match language {
        Language::JavaScript => Ok(script(Translated { text: source.to_owned(), map: None }, form)),
        Language::TypeScript => translated(source, language, form),
    }
}

/// The script for JavaScript that the engine did not take as it stands: with `export`, decorators or `using`.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn translated(source: &str, language: Language, form: Form) -> Result<Script, Vec<Trouble>> {
    syntax::translate(source, language, form).map(|translated| script(translated, form))
}

fn script(translated: Translated, form: Form) -> Script {
    let Translated { text, map } = translated;
    match form {
        Form::Body => {
            let (before, behind) = BODY;
            Script { map: Map::new(&text, before.len(), map), text: format!("{before}{text}{behind}") }
        }
        Form::Script | Form::Main | Form::Check => Script { map: Map::new(&text, 0, map), text },
    }
}
