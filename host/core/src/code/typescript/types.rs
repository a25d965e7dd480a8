//! One JSON Schema as types. Each schema that is referred to becomes a type of its own name, so that a recursive one ends
//! and a shared one is said once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::keywords::{implied, says_nothing_more, spread, target};
use super::kind::{Type, allows, constant, sort};
use super::text::{Names, block, comment, notes, pascal, property};
use super::{MAX_SIGNATURE, MAX_TYPE};

/// Schemas in one another; what lies deeper is `unknown`.
pub(super) const MAX_DEPTH: usize = 16;
/// The same on a line.
const MAX_DEPTH_IN_LINE: usize = 5;
/// References that lead to references; what the next one leads to is `unknown`.
const MAX_CHAIN: usize = 8;
/// Longer literals and names of properties are not repeated, in bytes.
const MAX_LITERAL: usize = 200;
/// Values to choose from are not repeated when they are longer than this, all in all, in bytes. The codes of all
/// countries take half of it.
const MAX_CHOICE: usize = 4 << 10;
/// The most of a property's description that is repeated, in characters.
const MAX_DESCRIPTION: usize = 300;
/// Properties without comments stand on one line up to this length.
const MAX_LINE: usize = 80;
/// What one schema takes at the least: `unknown`, and what joins it to the next.
const LEAST: usize = 12;

/// `type NAME = …;` for `schema`, with the types that it refers to.
pub(super) fn named(schema: &Value, name: &str) -> String {
    let mut walk = Walk::new(schema, Layout::Lines, MAX_TYPE);
    walk.title = name.to_owned();
    let reference = Reference { name: name.to_owned(), state: State::Waiting };
    walk.references.insert(String::new(), reference);
    walk.define("");
    while let Some(pointer) = walk.waiting.pop_front() {
        walk.define(&pointer);
    }
    // Whatever this one needed first comes after it all the same.
    let (own, others): (Vec<_>, Vec<_>) = walk.definitions.into_iter().partition(|(pointer, _)| pointer.is_empty());
    own.into_iter().chain(others).map(|(_, text)| text).collect()
}

/// The type for `schema` on one line, without names.
pub(super) fn in_line(schema: &Value) -> String {
    let place = Place { depth: 0, indent: 0, position: Position::Same };
    Walk::new(schema, Layout::Line, MAX_SIGNATURE).schema(schema, place).text()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    Line,
}

/// Where a schema stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    depth: usize,
    /// Levels its lines are moved in.
    indent: usize,
    position: Position,
}

/// What a type is to the one that is being defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// A part of it: it may not refer to it.
    Same,
    /// Of something in it.
    Within,
}

impl Place {
    /// For another schema of the same value.
    fn same(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// For an item of a list.
    fn item(self) -> Self {
        Self { depth: self.depth + 1, position: Position::Within, ..self }
    }

    /// For a property of an object.
    fn property(self) -> Self {
        Self { depth: self.depth + 1, indent: self.indent + 1, position: Position::Within }
    }

    fn margin(self) -> String {
        "  ".repeat(self.indent)
    }
}

/// A schema that is referred to.
#[derive(Debug)]
struct Reference {
    name: String,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Waiting,
    Underway,
    /// With its width.
    Defined(usize),
}

struct Walk<'s> {
    root: &'s Value,
    layout: Layout,
    /// The name of the type for the whole.
    title: String,
    /// By JSON Pointer.
    references: BTreeMap<String, Reference>,
    names: Names,
    waiting: VecDeque<String>,
    /// With their pointers.
    definitions: Vec<(String, String)>,
    /// References that lead to the one that is being defined.
    chain: usize,
    /// Bytes that can be written.
    most: usize,
    /// Those of them that are left.
    left: usize,
}

/// One line of an object.
struct Member {
    comment: Vec<String>,
    name: String,
    mark: &'static str,
    kind: String,
}

impl<'s> Walk<'s> {
    fn new(root: &'s Value, layout: Layout, most: usize) -> Self {
        let (title, references, names, waiting, definitions) = Default::default();
        Self { root, layout, title, references, names, waiting, definitions, chain: 0, most, left: most }
    }

    /// Takes so many bytes; false when there are not as many left, and from then on.
    fn spend(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        self.left > 0
    }

    /// Writes the type for what `pointer` points to, unless it is there.
    fn define(&mut self, pointer: &str) {
        let Some(reference) = self.references.get_mut(pointer) else { return };
        if self.chain > MAX_CHAIN || !matches!(reference.state, State::Waiting) {
            return;
        }
        self.chain += 1;
        reference.state = State::Underway;
        let name = reference.name.clone();
        let schema = self.root.pointer(pointer).unwrap_or(&Value::Null);
        let comment = self.comment(schema, "");
        let kind = self.schema(schema, Place { depth: 0, indent: 0, position: Position::Same });
        self.chain -= 1;
        let text = format!("{}type {name} = {};\n", block(&comment, ""), kind.text());
        self.definitions.push((pointer.to_owned(), text));
        self.references.insert(pointer.to_owned(), Reference { name, state: State::Defined(kind.width()) });
    }

    fn schema(&mut self, schema: &'s Value, place: Place) -> Type {
        let deepest = match self.layout {
            Layout::Lines => MAX_DEPTH,
            Layout::Line => MAX_DEPTH_IN_LINE,
        };
        if !self.spend(LEAST) || place.depth > deepest {
            return Type::unknown();
        }
        match schema {
            Value::Object(fields) => self.fields(fields, place),
            Value::Bool(false) => Type::never(),
            Value::Bool(true) | Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => Type::unknown(),
        }
    }

    fn fields(&mut self, fields: &'s Map<String, Value>, place: Place) -> Type {
        let spread = spread(fields);
        let mut parts = match &spread {
            Some((_, kinds)) => vec![self.of_kinds(kinds, fields, place)],
            None => vec![self.own(fields, place)],
        };
        if let Some(reference) = fields.get("$ref") {
            parts.push(self.reference(reference, place));
        }
        for keyword in ["anyOf", "oneOf"] {
            let is_done = spread.as_ref().is_some_and(|(done, _)| *done == keyword);
            if let (false, Some(Value::Array(others))) = (is_done, fields.get(keyword)) {
                parts.push(Type::union(self.all(others, place)));
            }
        }
        if let Some(Value::Array(others)) = fields.get("allOf") {
            parts.extend(self.all(others, place));
        }
        let excluded = fields.get("not");
        if excluded.is_some_and(|other| other == true || other.as_object().is_some_and(Map::is_empty)) {
            return Type::never();
        }
        let kind = Type::intersection(parts);
        let nullable = fields.get("nullable") == Some(&Value::Bool(true));
        if nullable { Type::union(vec![kind, Type::of("null")]) } else { kind }
    }

    /// Other schemas for the same value. Those for which no room is left are `unknown`.
    fn all(&mut self, schemas: &'s [Value], place: Place) -> Vec<Type> {
        let mut types = Vec::new();
        for schema in schemas {
            types.push(self.schema(schema, place.same()));
            if self.left == 0 {
                types.push(Type::unknown());
                break;
            }
        }
        types
    }

    /// What a schema says itself.
    fn own(&mut self, fields: &'s Map<String, Value>, place: Place) -> Type {
        if let Some(value) = fields.get("const") {
            return self.literal(value);
        }
        if let Some(Value::Array(values)) = fields.get("enum") {
            return self.choice(values, fields.get("type"));
        }
        match fields.get("type") {
            Some(Value::String(kind)) => self.of_kind(kind, fields, place),
            Some(Value::Array(kinds)) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str().unwrap_or_default()).collect();
                self.of_kinds(&kinds, fields, place)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Type::unknown(),
            None => implied(fields).map_or_else(Type::unknown, |kind| self.of_kind(kind, fields, place)),
        }
    }

    fn of_kinds(&mut self, kinds: &[&str], fields: &'s Map<String, Value>, place: Place) -> Type {
        let mut seen = BTreeSet::new();
        let kinds = kinds.iter().filter(|kind| seen.insert(**kind));
        Type::union(kinds.map(|kind| self.of_kind(kind, fields, place)).collect())
    }

    fn of_kind(&mut self, kind: &str, fields: &'s Map<String, Value>, place: Place) -> Type {
        match kind {
            "string" | "boolean" | "null" | "number" => Type::of(kind),
            "integer" => Type::of("number"),
            "array" => self.list(fields, place),
            // What it is made of says more.
            "object" if says_nothing_more(fields) => Type::unknown(),
            "object" => self.object(fields, place),
            _ => Type::unknown(),
        }
    }

    /// One of these values, of those that the type allows.
    fn choice(&mut self, values: &[Value], kinds: Option<&Value>) -> Type {
        let values: Vec<&Value> = values.iter().filter(|value| allows(kinds, value)).collect();
        let length: usize = values.iter().map(|value| value.to_string().len()).sum();
        if length > MAX_CHOICE || length > self.left {
            return Type::union(values.into_iter().map(sort).collect());
        }
        Type::union(values.into_iter().map(|value| self.literal(value)).collect())
    }

    fn literal(&mut self, value: &Value) -> Type {
        let text = constant(value);
        if text.len() > MAX_LITERAL || !self.spend(text.len() + LEAST) { sort(value) } else { Type::of(text) }
    }

    fn reference(&mut self, reference: &Value, place: Place) -> Type {
        let Some((pointer, schema)) = target(self.root, reference) else { return Type::unknown() };
        if self.layout == Layout::Line {
            return self.schema(schema, place.same());
        }
        if !self.references.contains_key(&pointer) {
            let last = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/");
            let wanted = format!("{}_{}", self.title, pascal(&last));
            // The name is written twice, and its definition has at least a type.
            if !self.spend(2 * wanted.len() + 4 * LEAST) {
                return Type::unknown();
            }
            let name = self.names.fresh(&wanted, "");
            self.references.insert(pointer.clone(), Reference { name, state: State::Waiting });
            self.waiting.push_back(pointer.clone());
        }
        if place.position == Position::Same {
            self.define(&pointer);
        }
        let Some(Reference { name, state }) = self.references.get(&pointer) else { return Type::unknown() };
        let (text, state) = (name.clone(), *state);
        if !self.spend(text.len()) {
            return Type::unknown();
        }
        match (state, place.position) {
            (State::Defined(width), Position::Same) => Type::name(text, width),
            // It is too far off, or made of itself, which says nothing.
            (State::Waiting | State::Underway, Position::Same) => Type::unknown(),
            (State::Waiting | State::Underway | State::Defined(_), Position::Within) => Type::of(text),
        }
    }

    fn list(&mut self, fields: &'s Map<String, Value>, place: Place) -> Type {
        let (first, rest) = match (fields.get("prefixItems"), fields.get("items")) {
            (Some(Value::Array(first)), rest) => (first.as_slice(), rest),
            // As it was written before 2020.
            (_, Some(Value::Array(first))) => (first.as_slice(), fields.get("additionalItems")),
            (_, items) => (&[][..], items),
        };
        let bound = |keyword: &str| fields.get(keyword).and_then(Value::as_u64);
        let rest = match rest {
            Some(rest) => self.schema(rest, place.item()),
            None => Type::unknown(),
        };
        if first.is_empty() {
            return if rest == Type::never() { Type::of("[]") } else { Type::of(format!("{}[]", rest.tight())) };
        }
        let (mut items, mut rest) = (Vec::new(), Some(rest).filter(|rest| *rest != Type::never()));
        if bound("maxItems").is_some_and(|most| most <= first.len() as u64) {
            rest = None;
        }
        for (index, item) in first.iter().enumerate() {
            if self.left == 0 {
                rest = Some(Type::unknown());
                break;
            }
            let kind = self.schema(item, place.item());
            let is_there = bound("minItems").is_some_and(|least| (index as u64) < least);
            items.push(if is_there { kind.text() } else { format!("{}?", kind.tight()) });
        }
        items.extend(rest.map(|rest| format!("...{}[]", rest.tight())));
        Type::of(format!("[{}]", items.join(", ")))
    }

    fn object(&mut self, fields: &'s Map<String, Value>, place: Place) -> Type {
        let required: BTreeSet<&str> = match fields.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) | None => {
                BTreeSet::new()
            }
        };
        let properties = fields.get("properties").and_then(Value::as_object);
        let known = properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema));
        let unknown = |name: &&&str| !properties.is_some_and(|properties| properties.contains_key(**name));
        let others = required.iter().filter(unknown).map(|name| (*name, &Value::Bool(true)));
        let mut members = Vec::new();
        let mut is_whole = true;
        for (name, schema) in known.chain(others) {
            match self.member(name, schema, required.contains(name), place.property()) {
                Some(member) => members.push(member),
                None => is_whole = false,
            }
            if self.left == 0 {
                is_whole = false;
                break;
            }
        }
        let index = if is_whole { self.index(fields, &members, place.property()) } else { Some("unknown".to_owned()) };
        let kind = index.map(|kind| Member { comment: Vec::new(), name: "[key: string]".to_owned(), mark: "", kind });
        members.extend(kind);
        self.spend(LEAST + 2 * place.indent);
        Type::of(self.written(&members, place))
    }

    /// One property; none where it has no room.
    fn member(&mut self, name: &str, schema: &'s Value, is_required: bool, place: Place) -> Option<Member> {
        if name.len() > MAX_LITERAL {
            return None;
        }
        let name = property(name);
        if !self.spend(name.len() + place.margin().len() + LEAST) {
            return None;
        }
        let comment = self.comment(schema, &place.margin());
        let mark = if is_required { "" } else { "?" };
        Some(Member { comment, name, mark, kind: self.schema(schema, place).text() })
    }

    /// What other properties there may be; none where none were asked for.
    fn index(&mut self, fields: &'s Map<String, Value>, members: &[Member], place: Place) -> Option<String> {
        let patterns = fields.get("patternProperties").and_then(Value::as_object);
        let mut schemas: Vec<&Value> = patterns.into_iter().flat_map(Map::values).collect();
        schemas.extend(fields.get("additionalProperties").filter(|other| **other != false));
        if schemas.is_empty() {
            let is_closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
            let kind = if is_closed { "never" } else { "unknown" };
            return members.is_empty().then(|| kind.to_owned());
        }
        let mut types = Vec::new();
        for schema in schemas {
            types.push(self.schema(schema, place));
            if self.left == 0 {
                return Some("unknown".to_owned());
            }
        }
        // TypeScript wants the type for all properties to take in those of the known ones.
        types.extend(members.iter().map(|member| Type::of(member.kind.as_str())));
        types.extend(members.iter().filter(|member| member.mark == "?").map(|_| Type::of("undefined")));
        let kind = Type::union(types).text();
        let is_short = members.is_empty() || kind.len() <= MAX_LINE && !kind.contains('\n');
        Some(kind).filter(|kind| is_short && self.spend(kind.len())).or_else(|| Some("unknown".to_owned()))
    }

    /// An object with these members.
    fn written(&self, members: &[Member], place: Place) -> String {
        let plain = |Member { name, mark, kind, .. }: &Member| format!("{name}{mark}: {kind}");
        let line = || format!("{{ {} }}", members.iter().map(plain).collect::<Vec<_>>().join("; "));
        let is_plain = members.iter().all(|member| member.comment.is_empty() && !member.kind.contains('\n'));
        let length: usize = members.iter().map(|member| member.name.len() + member.kind.len() + 4).sum();
        if self.layout == Layout::Line || is_plain && length <= MAX_LINE {
            return line();
        }
        let (inner, outer) = (place.property().margin(), place.margin());
        let lines: String = members
            .iter()
            .map(|member| format!("{}{inner}{};\n", block(&member.comment, &inner), plain(member)))
            .collect();
        format!("{{\n{lines}{outer}}}")
    }

    /// The comment for what `schema` describes.
    fn comment(&mut self, schema: &Value, margin: &str) -> Vec<String> {
        let (Value::Object(fields), Layout::Lines) = (schema, self.layout) else { return Vec::new() };
        let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let mut lines = comment(description, MAX_DESCRIPTION);
        let notes = comment(&notes(fields), MAX_DESCRIPTION).join(" ");
        match lines.last_mut() {
            Some(last) if !notes.is_empty() => last.push_str(&format!(" ({notes})")),
            None if !notes.is_empty() => lines.push(notes),
            Some(_) | None => {}
        }
        let length: usize = lines.iter().map(|line| line.len() + margin.len() + LEAST).sum();
        // The types come first: comments have one half of the room.
        let has_room = length + self.most / 2 < self.left && self.spend(length);
        if has_room { lines } else { Vec::new() }
    }
}
