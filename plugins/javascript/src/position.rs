//! Places in what is run, as places in what its author wrote.

use oxc_sourcemap::SourceMap;

/// What the engine calls the author's source.
pub(crate) const FILE: &str = "code";
/// What it calls the prelude, whose frames are nobody's business.
pub(crate) const PRELUDE: &str = "bailiwick";

/// A place: line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The place of a byte in a text.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line: small(line), column: small(column) }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How what is run differs from what was written.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    /// Columns before the first line.
    before: u32,
    /// The last line that is the author's.
    last: u32,
    written: Option<SourceMap<'static>>,
}

impl Map {
    /// It does not differ.
    pub(crate) const fn none() -> Self {
        Self { before: 0, last: u32::MAX, written: None }
    }

    /// It is `text`, with `before` columns more in its first line, and was made of what `written` says.
    pub(crate) fn new(text: &str, before: usize, written: Option<SourceMap<'static>>) -> Self {
        let last = small(text.bytes().filter(|byte| *byte == b'\n').count() + 1);
        Self { before: small(before), last, written }
    }

    /// The same with `before` columns more in the first line.
    pub(crate) fn behind(&self, before: usize) -> Self {
        Self { before: self.before + small(before), ..self.clone() }
    }

    /// The place its author knows.
    pub(crate) fn original(&self, place: Place) -> Place {
        let before = if place.line == 1 { self.before } else { 0 };
        let column = place.column.saturating_sub(before).max(1);
        let Some(map) = &self.written else { return Place { line: place.line, column } };
        let table = map.generate_lookup_table();
        match map.lookup_token_approx(&table, place.line - 1, column - 1) {
            Some(token) => Place { line: token.get_src_line() + 1, column: token.get_src_col() + 1 },
            None => Place { line: place.line, column },
        }
    }

    /// A stack of the engine's: the author's frames, at the author's places, and the first of those places.
    pub(crate) fn stack(&self, stack: &str) -> (String, Option<Place>) {
        let mut first = None;
        let mut lines = Vec::new();
        for frame in stack.lines() {
            let Some((name, place)) = read(frame).filter(|(_, place)| place.line <= self.last) else { continue };
            let place = self.original(place);
            first = first.or(Some(place));
            let at = format!("{FILE}:{}:{}", place.line, place.column);
            lines.push(if is_named(name) { format!("    at {name} ({at})") } else { format!("    at {at}") });
        }
        (lines.join("\n"), first)
    }
}

/// Whether a frame's function has a name of its author's.
fn is_named(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('<')
}

/// The function and the place of a frame `    at NAME (code:LINE:COLUMN)` or `    at code:LINE:COLUMN`.
fn read(frame: &str) -> Option<(&str, Place)> {
    let frame = frame.trim().strip_prefix("at ")?;
    let (name, place) = match frame.rsplit_once(" (") {
        Some((name, rest)) => (name, rest.strip_suffix(')')?),
        None => ("", frame),
    };
    let mut numbers = place.strip_prefix(FILE)?.strip_prefix(':')?.split(':');
    let line = numbers.next()?.parse().ok()?;
    let column = numbers.next().and_then(|column| column.parse().ok()).unwrap_or(1);
    Some((name, Place { line, column }))
}
