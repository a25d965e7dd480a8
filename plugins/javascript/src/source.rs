//! From what was written to what the engine evaluates.

use crate::failure::Trouble;
use crate::input::{Form, Language};
use crate::position::Map;
use crate::syntax::{self, Translated};

/// What stands before a body, in its first line, and behind it.
const BODY: (&str, &str) = ("(async()=>{", "\n})()");
/// What stands before a script in a block, and behind it. With a lone block, `1 } { 2` would become a program.
const BLOCK: (&str, &str) = ("if(1){", "\n}else;");
/// By these words a script can tell whether it is in a block: by what becomes of the global object (`this`, `globalThis`), by
/// code that sees nothing but that (`eval`, `Function`, which is each function's `constructor`), and because a directive is
/// none there.
const TELLING: [&str; 5] = ["this", "eval", "Function", "constructor", "use strict"];

/// A script for the engine.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) map: Map,
    form: Form,
}

impl Script {
    /// The same in a block, where there is no telling the difference. The engine looks for a script's own names among the
    /// globals at each use; those of a block it knows, which makes programs up to a tenth faster.
    ///
    /// What no block may have (a `var` and a function of one name) is still a script.
    pub(crate) fn in_block(&self) -> Option<Self> {
        let is_told = |word| self.text.contains(word);
        (self.form == Form::Script && !TELLING.into_iter().any(is_told)).then(|| {
            let (before, behind) = BLOCK;
            let text = format!("{before}{}{behind}", self.text);
            Self { text, map: self.map.behind(before.len()), form: self.form }
        })
    }
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
            Script { map: Map::new(&text, before.len(), map), text: format!("{before}{text}{behind}"), form }
        }
        Form::Script | Form::Main | Form::Check => Script { map: Map::new(&text, 0, map), text, form },
    }
}
