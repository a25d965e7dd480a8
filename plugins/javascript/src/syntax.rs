//! Reading sources with oxc: TypeScript becomes JavaScript, `export`s become what a script can say, and mistakes get a place.
#![expect(clippy::wildcard_enum_match_arm, reason = "oxc's enums have a case for each part of two languages")]

use std::path::{Path, PathBuf};

use oxc_allocator::Allocator;
use oxc_ast::ast::Statement;
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_diagnostics::OxcDiagnostic;
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_semantic::SemanticBuilder;
use oxc_sourcemap::SourceMap;
use oxc_span::{GetSpan as _, SourceType, Span};
use oxc_transformer::{HelperLoaderMode, TransformOptions, Transformer};

use crate::failure::Trouble;
use crate::input::{Form, Language};
use crate::position::{Map, Place};

/// JavaScript that QuickJS can run as a script, and where it comes from.
pub(crate) struct Translated {
    pub(crate) text: String,
    pub(crate) map: Option<SourceMap<'static>>,
}

/// Whether `return` may stand outside of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    Allowed,
    Refused,
}

/// All that is wrong with a source, without running it.
pub(crate) fn mistakes(source: &str, language: Language) -> Vec<Trouble> {
    let found = mistakes_as(source, kind(language));
    if found.is_empty() || language == Language::TypeScript {
        return found;
    }
    // What is wrong in a module may be right in a script, which is not strict.
    if mistakes_as(source, SourceType::script()).is_empty() { Vec::new() } else { found }
}

fn mistakes_as(source: &str, kind: SourceType) -> Vec<Trouble> {
    let allocator = Allocator::default();
    let parsed = parse(&allocator, source, kind, Return::Allowed);
    let mut found: Vec<Trouble> = parsed.diagnostics.errors().map(|error| trouble(error, source)).collect();
    if !parsed.panicked && found.is_empty() {
        let checked = SemanticBuilder::new().with_check_syntax_error(true).build(&parsed.program);
        found.extend(checked.diagnostics.errors().map(|error| trouble(error, source)));
    }
    found
}

const fn kind(language: Language) -> SourceType {
    match language {
        Language::JavaScript => SourceType::mjs(),
        Language::TypeScript => SourceType::ts(),
    }
}

fn parse<'a>(allocator: &'a Allocator, source: &'a str, kind: SourceType, returns: Return) -> ParserReturn<'a> {
    let options = ParseOptions { allow_return_outside_function: returns == Return::Allowed, ..ParseOptions::default() };
    Parser::new(allocator, source, kind).with_options(options).parse()
}

/// Makes a script of a source: without types, and without what is newer than the engine.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn translate(source: &str, language: Language, form: Form) -> Result<Translated, Vec<Trouble>> {
    let allocator = Allocator::default();
    let mut parsed = parse(&allocator, source, kind(language), returns(form));
    let told = |errors: Vec<&OxcDiagnostic>| errors.into_iter().map(|error| trouble(error, source)).collect::<Vec<_>>();
    if parsed.diagnostics.has_errors() || parsed.panicked {
        return Err(told(parsed.diagnostics.errors().collect()));
    }
    let checked = SemanticBuilder::new()
        .with_check_syntax_error(true)
        .with_excess_capacity(2.0)
        .with_enum_eval(true)
        .build(&parsed.program);
    if checked.diagnostics.has_errors() {
        return Err(told(checked.diagnostics.errors().collect()));
    }
    let scoping = checked.semantic.into_scoping();
    let transformed =
        Transformer::new(&allocator, Path::new("code.ts"), &options()).build_with_scoping(scoping, &mut parsed.program);
    if transformed.diagnostics.has_errors() {
        return Err(told(transformed.diagnostics.errors().collect()));
    }
    let printed = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: Some(PathBuf::from("code.ts")),
            comments: CommentOptions::disabled(),
            ..CodegenOptions::default()
        })
        .build(&parsed.program);
    let map = printed.map.map(SourceMap::into_owned);
    let text = without_exports(&printed.code, form).map_err(|(message, place)| {
        let place = Map::new(&printed.code, 0, map.clone()).original(place);
        vec![Trouble::syntax(message, Some(place))]
    })?;
    Ok(Translated { text, map })
}

const fn returns(form: Form) -> Return {
    match form {
        Form::Body | Form::Check => Return::Allowed,
        Form::Script | Form::Main => Return::Refused,
    }
}

/// Types go; decorators and `using`, which the engine does not know, become calls of the prelude's helpers.
fn options() -> TransformOptions {
    let mut options = TransformOptions::default();
    options.decorator.legacy = true;
    options.env.es2026.explicit_resource_management = true;
    options.helper_loader.mode = HelperLoaderMode::External;
    options
}

fn trouble(error: &OxcDiagnostic, source: &str) -> Trouble {
    let place = error.labels.first().map(|label| Place::of(source, label.offset() as usize));
    let message = match &error.help {
        Some(help) => format!("SyntaxError: {} ({help})", error.message),
        None => format!("SyntaxError: {}", error.message),
    };
    Trouble::syntax(message, place)
}

/// Makes a script of a module: each `export` becomes something of the same length, so that places stay what they are. Of a
/// file with `main`, what was exported stands behind the script, as `exports`.
fn without_exports(source: &str, form: Form) -> Result<String, (String, Place)> {
    if !source.contains("export") && !source.contains("import") {
        return Ok(source.to_owned());
    }
    let allocator = Allocator::default();
    let parsed = parse(&allocator, source, SourceType::mjs(), returns(form));
    let mut edits = Edits { text: source.to_owned(), behind: String::new(), form };
    for statement in &parsed.program.body {
        edits.statement(statement, source)?;
    }
    edits.text.push_str(&edits.behind);
    Ok(edits.text)
}

struct Edits {
    text: String,
    behind: String,
    form: Form,
}

impl Edits {
    fn statement(&mut self, statement: &Statement<'_>, source: &str) -> Result<(), (String, Place)> {
        let span = statement.span();
        match statement {
            Statement::ImportDeclaration(import) => return Err(no_module(&import.source.value, span, source)),
            Statement::ExportAllDeclaration(export) => return Err(no_module(&export.source.value, span, source)),
            Statement::ExportFromDeclaration(export) => return Err(no_module(&export.source.value, span, source)),
            Statement::ExportDeclaration(export) => {
                self.blank(Span::new(span.start, export.declaration.span().start));
                for name in names(&export.declaration) {
                    self.export(&name, &name);
                }
            }
            Statement::ExportNamedDeclaration(export) => {
                self.blank(span);
                for specifier in &export.specifiers {
                    self.export(&specifier.exported.name(), &specifier.local.name());
                }
            }
            Statement::ExportDefaultDeclaration(export) => {
                let inner = Span::new(span.start, export.declaration.span().start);
                match default_name(&export.declaration) {
                    Some(name) => {
                        self.blank(inner);
                        self.export("default", &name);
                    }
                    // `export default` has as many letters. Elsewhere than in a file with `main`, it is an expression.
                    None => self.replace(inner, if self.form == Form::Main { "exports.main =" } else { "0," }),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn export(&mut self, name: &str, local: &str) {
        if self.form != Form::Main {
            return;
        }
        self.behind.push_str(&format!("\n;exports[{name:?}] = {local};"));
    }

    fn blank(&mut self, span: Span) {
        self.replace(span, "");
    }

    /// Puts `with` in place of a span, and spaces in place of the rest of it; line breaks stay.
    fn replace(&mut self, span: Span, with: &str) {
        let (start, end) = (span.start as usize, span.end as usize);
        let mut left = with.chars();
        let new: String = self.text[start..end]
            .chars()
            .flat_map(|old| {
                let new = if old == '\n' { '\n' } else { left.next().unwrap_or(' ') };
                std::iter::repeat_n(new, if new.is_ascii() { old.len_utf8() } else { 1 })
            })
            .collect();
        self.text.replace_range(start..end, &new);
    }
}

fn no_module(name: &str, span: Span, source: &str) -> (String, Place) {
    let message = format!("SyntaxError: `{name}` cannot be imported: there are no modules here, only globals");
    (message, Place::of(source, span.start as usize))
}

/// The names that a declaration makes.
fn names(declaration: &oxc_ast::ast::Declaration<'_>) -> Vec<String> {
    use oxc_ast::ast::Declaration;
    match declaration {
        Declaration::VariableDeclaration(variables) => variables
            .declarations
            .iter()
            .flat_map(|one| one.id.get_binding_identifiers())
            .map(|name| name.name.to_string())
            .collect(),
        Declaration::FunctionDeclaration(function) => function.id.iter().map(|name| name.name.to_string()).collect(),
        Declaration::ClassDeclaration(class) => class.id.iter().map(|name| name.name.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn default_name(declaration: &oxc_ast::ast::ExportDefaultDeclarationKind<'_>) -> Option<String> {
    use oxc_ast::ast::ExportDefaultDeclarationKind as Kind;
    match declaration {
        Kind::FunctionDeclaration(function) => function.id.as_ref().map(|name| name.name.to_string()),
        Kind::ClassDeclaration(class) => class.id.as_ref().map(|name| name.name.to_string()),
        _ => None,
    }
}
