//! What it costs to check a value against a schema, known before it is checked.
//!
//! A schema can be written so that checking takes for ever (alternatives that lead to the same alternatives, twice at
//! every level), or so that it needs more stack than there is. Whoever publishes a tool writes its schema, so this is
//! counted when the schema is compiled, and a value that would cost too much is refused unchecked.
//!
//! What is counted is an upper bound: how often a schema is applied to one value at most, and how many are applied within
//! one another at most, by how deep the value is. References lead within the document only.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Deeper values are not parsed (see [`super::parse`]).
const DEEPEST: usize = 128;
/// Schemas applied in all, to one set of arguments. One takes 20 to 200 ns.
const MOST_CHECKS: u64 = 16 << 20;
/// The same where what does not fit is looked for: that takes microseconds, because every alternative says why not.
const MOST_EXPLAINED: u64 = 512 << 10;
/// Schemas applied within one another. Half a mebibyte of stack at most, of the 2 MiB that a thread has.
const MOST_NESTED: u64 = 600;
/// Bytes of text matched against patterns, each times the states of its pattern: the matcher looks at all of them for
/// every byte at worst, which takes some 10 ns each.
const MOST_MATCHED: u64 = 128 << 20;
/// States of a pattern that repeats a group a number of times, and of any other at most: what the compiler takes.
const MOST_STATES: u64 = 2_000;

/// The cost of one schema.
#[derive(Debug)]
pub(super) struct Cost {
    /// For values as deep as the index; if it ends early, deeper ones cost as much as the last.
    by_depth: Vec<Step>,
    /// The states of all patterns.
    n_states: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    checks: u64,
    nested: u64,
}

/// How large a value is, for comparing it with what a schema costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    n_values: u64,
    depth: usize,
    /// Bytes of all texts, names of fields included.
    text: u64,
}

impl Extent {
    const SCALAR: Self = Self { n_values: 1, depth: 0, text: 0 };

    pub(super) fn of(value: &Value) -> Self {
        let mut extent = Self::SCALAR;
        match value {
            Value::Array(items) => items.iter().for_each(|item| extent.add(&Self::of(item))),
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                extent.text += name.len() as u64;
                extent.add(&Self::of(field));
            }),
            Value::String(text) => extent.text = text.len() as u64,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        extent
    }

    fn add(&mut self, inner: &Self) {
        self.n_values += inner.n_values;
        self.depth = self.depth.max(inner.depth + 1);
        self.text += inner.text;
    }
}

/// Whether it can be said in a reasonable time what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    None,
    Full,
}

impl Cost {
    /// Counts what `schema` costs.
    ///
    /// # Errors
    /// It refers to something outside of itself or, without end, to itself; or no value at all could be checked.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        one_document(schema)?;
        let graph = Graph::of(schema)?;
        let order = graph.inner_first()?;
        let mut by_depth = Vec::new();
        let mut below: Option<Vec<Step>> = None;
        while by_depth.len() <= DEEPEST {
            let steps = graph.steps(&order, below.as_deref());
            let whole = steps.first().copied().unwrap_or(Step { checks: 0, nested: 0 });
            let settled = below.as_ref() == Some(&steps);
            by_depth.push(whole);
            if settled {
                break;
            }
            below = Some(steps);
        }
        let cost = Self { by_depth, n_states: graph.nodes.iter().fold(0, |sum, node| node.states.saturating_add(sum)) };
        let unusable = |_| "nothing can be checked against it in a reasonable time".to_owned();
        cost.allows_extent(&Extent::SCALAR).map_err(unusable)?;
        Ok(cost)
    }

    /// Whether `value` can be checked against `schema`, whose cost this is, in a reasonable time.
    ///
    /// # Errors
    /// A phrase that says what there is too much of.
    pub(super) fn allows(&self, schema: &Value, value: &Value, extent: &Extent) -> Result<Detail, &'static str> {
        let detail = self.allows_extent(extent)?;
        if self.n_states.saturating_mul(extent.text) > MOST_MATCHED {
            let mut matched = 0;
            count_matched(schema, &[schema], value, &mut matched);
            if matched > MOST_MATCHED {
                return Err("too long a text for the pattern it has to match");
            }
        }
        Ok(detail)
    }

    fn allows_extent(&self, extent: &Extent) -> Result<Detail, &'static str> {
        let step = self.by_depth.get(extent.depth).or(self.by_depth.last()).filter(|_| extent.depth <= DEEPEST);
        let step = step.ok_or("too deep to be checked")?;
        if step.nested > MOST_NESTED {
            return Err("too deep to be checked against this schema");
        }
        match step.checks.saturating_mul(extent.n_values) {
            n_checks if n_checks <= MOST_EXPLAINED => Ok(Detail::Full),
            n_checks if n_checks <= MOST_CHECKS => Ok(Detail::None),
            _ => Err("too much to be checked against this schema"),
        }
    }
}

/// Makes sure that `#` means the same everywhere: no schema within the schema is a document of its own.
fn one_document(schema: &Value) -> Result<(), String> {
    let old = schema["$schema"].as_str().is_some_and(|dialect| dialect.contains("draft-0") && !is_known(dialect));
    let mut pending = inner(schema);
    while let Some(value) = pending.pop() {
        for key in ["$id", "$schema"].into_iter().chain(old.then_some("id")) {
            if value[key].is_string() {
                return Err(format!("`{key}` stands within it: a schema is one document"));
            }
        }
        pending.extend(inner(value));
    }
    Ok(())
}

fn inner(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Dialects in which `id` is a keyword like any unknown one.
fn is_known(dialect: &str) -> bool {
    dialect.contains("draft-06") || dialect.contains("draft-07")
}

/// The schemas within a schema that can be applied, and which applies which.
struct Graph<'s> {
    nodes: Vec<Node>,
    numbers: HashMap<*const Value, usize>,
    values: Vec<&'s Value>,
}

#[derive(Debug, Default)]
struct Node {
    /// What is compared beside schemas: the values of an `enum`, the names of `required` …
    own: u64,
    /// How often the schemas in place are applied: `unevaluated…` applies them again to see what they cover.
    times: u64,
    /// Of its patterns.
    states: u64,
    /// Applied to the same value.
    in_place: Vec<usize>,
    /// Applied to a part of the value, all of them to the same part.
    to_parts: Vec<usize>,
    /// Applied to a part of the value, each to another.
    to_each_part: Vec<usize>,
}

/// Keywords whose value is a schema, or a list or table of schemas, for the same value.
const IN_PLACE: [&str; 9] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
/// The same for parts of the value.
const TO_PARTS: [&str; 8] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "items",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// The same, each for another part.
const TO_EACH_PART: [&str; 2] = ["prefixItems", "properties"];
/// Those of all these whose value is a table of schemas by name.
const TABLES: [&str; 4] = ["dependencies", "dependentSchemas", "patternProperties", "properties"];

impl<'s> Graph<'s> {
    fn of(root: &'s Value) -> Result<Self, String> {
        let mut graph = Self { nodes: Vec::new(), numbers: HashMap::new(), values: Vec::new() };
        graph.number(root);
        let mut at = 0;
        while let Some(schema) = graph.values.get(at).copied() {
            let node = graph.node(root, schema)?;
            graph.nodes.push(node);
            at += 1;
        }
        Ok(graph)
    }

    fn number(&mut self, schema: &'s Value) -> usize {
        let next = self.values.len();
        let number = *self.numbers.entry(std::ptr::from_ref(schema)).or_insert(next);
        if number == next {
            self.values.push(schema);
        }
        number
    }

    fn node(&mut self, root: &'s Value, schema: &'s Value) -> Result<Node, String> {
        let mut node = Node { own: 1, times: 1, ..Node::default() };
        let Value::Object(fields) = schema else { return Ok(node) };
        for (keyword, value) in fields {
            let keyword = keyword.as_str();
            if keyword.starts_with("unevaluated") {
                node.times += 1;
            }
            node.states += patterns(keyword, value).map(n_states).sum::<u64>();
            if let Some(target) = reference(root, keyword, value)? {
                node.in_place.push(self.number(target));
                continue;
            }
            let inner = schemas(keyword, value).into_iter().map(|inner| self.number(inner));
            match keyword {
                _ if IN_PLACE.contains(&keyword) => node.in_place.extend(inner),
                _ if TO_PARTS.contains(&keyword) => node.to_parts.extend(inner),
                _ if TO_EACH_PART.contains(&keyword) => node.to_each_part.extend(inner),
                "const" | "dependentRequired" | "enum" | "required" => {
                    node.own = node.own.saturating_add(Extent::of(value).n_values);
                }
                // Definitions are applied where they are referred to, and what is not known here is not applied at all.
                _ => node.own = node.own.saturating_add(1),
            }
            if TABLES.contains(&keyword) {
                let names = value.as_object().into_iter().flat_map(serde_json::Map::values);
                let compared = names.map(|value| value.as_array().map_or(1, |names| 1 + names.len() as u64));
                // To look for a name is much less than to apply a schema.
                node.own = node.own.saturating_add(compared.fold(0, u64::saturating_add) / 8);
            }
        }
        Ok(node)
    }

    /// The nodes in an order in which each comes after those it applies in place.
    fn inner_first(&self) -> Result<Vec<usize>, String> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut states = vec![State::Unseen; self.nodes.len()];
        for first in 0..self.nodes.len() {
            let mut path = vec![(first, 0)];
            while let Some((node, next)) = path.pop() {
                if next == 0 && states[node] == State::Done {
                    continue;
                }
                states[node] = State::Open;
                let Some(inner) = self.nodes[node].in_place.get(next) else {
                    states[node] = State::Done;
                    order.push(node);
                    continue;
                };
                path.push((node, next + 1));
                match states[*inner] {
                    State::Done => {}
                    State::Open => return Err("it refers to itself without end".to_owned()),
                    State::Unseen => path.push((*inner, 0)),
                }
            }
        }
        Ok(order)
    }

    /// The cost of every node for values one level deeper than those `below` is for.
    fn steps(&self, order: &[usize], below: Option<&[Step]>) -> Vec<Step> {
        // Checks of the value itself, checks of any one of its parts, and nesting.
        let mut costs = vec![(0_u64, 0_u64, 0_u64); self.nodes.len()];
        for number in order {
            let node = &self.nodes[*number];
            let (mut here, mut parts, mut nested) = (node.own, 0_u64, 0_u64);
            if let Some(below) = below {
                let each = node.to_each_part.iter().map(|part| below[*part].checks).max().unwrap_or(0);
                let all = node.to_parts.iter().fold(0_u64, |sum, part| sum.saturating_add(below[*part].checks));
                parts = each.saturating_add(all);
                let inner = node.to_each_part.iter().chain(&node.to_parts);
                nested = inner.map(|part| below[*part].nested).max().unwrap_or(0);
            }
            for inner in &node.in_place {
                let (inner_here, inner_parts, inner_nested) = costs[*inner];
                here = here.saturating_add(inner_here);
                parts = parts.saturating_add(inner_parts);
                nested = nested.max(inner_nested);
            }
            costs[*number] =
                (here.saturating_mul(node.times), parts.saturating_mul(node.times), nested.saturating_add(1));
        }
        costs.into_iter().map(|(here, parts, nested)| Step { checks: here.max(parts), nested }).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Open,
    Done,
}

/// The schemas that a keyword's value holds.
fn schemas<'s>(keyword: &str, value: &'s Value) -> Vec<&'s Value> {
    match value {
        Value::Object(fields) if TABLES.contains(&keyword) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Object(_) => vec![value],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The patterns that a keyword holds.
fn patterns<'s>(keyword: &str, value: &'s Value) -> impl Iterator<Item = &'s str> {
    let names = value.as_object().filter(|_| keyword == "patternProperties");
    let own = value.as_str().filter(|_| keyword == "pattern");
    names.into_iter().flat_map(serde_json::Map::keys).map(String::as_str).chain(own)
}

/// How many states a pattern has when it is compiled, more or less: a repetition is written out.
fn n_states(pattern: &str) -> u64 {
    if pattern.contains("){") {
        return MOST_STATES;
    }
    let counts = pattern.split(|character: char| !character.is_ascii_digit());
    let repeated = counts.filter_map(|count| count.parse::<u64>().ok()).fold(0, u64::saturating_add);
    repeated.saturating_add(pattern.len() as u64).min(MOST_STATES)
}

/// Adds what is matched against patterns when the schemas `applied` are applied to `value`: bytes times states.
fn count_matched<'s>(root: &'s Value, applied: &[&'s Value], value: &Value, matched: &mut u64) {
    let applied = with_those_in_place(root, applied);
    let of_texts = |keyword: &'static str| {
        let fields = applied.iter().filter_map(move |schema| schema.get(keyword));
        fields.flat_map(move |value| patterns(keyword, value)).map(n_states).sum::<u64>()
    };
    let mut go_on = |keywords: &[&str], name: &str, value: &Value| {
        let named = applied.iter().filter_map(|schema| schema.get("properties")?.get(name));
        let others = applied
            .iter()
            .flat_map(|schema| keywords.iter().filter_map(|keyword| Some((*keyword, schema.get(*keyword)?))));
        let others = others.flat_map(|(keyword, value)| schemas(keyword, value));
        let parts: Vec<&Value> = named.chain(others).collect();
        if *matched <= MOST_MATCHED && !parts.is_empty() {
            count_matched(root, &parts, value, matched);
        }
    };
    match value {
        Value::String(text) => *matched += of_texts("pattern").saturating_mul(text.len() as u64),
        Value::Array(items) => items.iter().for_each(|item| go_on(&PARTS_OF_LISTS, "", item)),
        Value::Object(fields) => {
            let of_names = of_texts("patternProperties");
            for (name, field) in fields {
                go_on(&["propertyNames"], "", &Value::String(name.clone()));
                go_on(&PARTS_OF_OBJECTS, name, field);
            }
            *matched +=
                fields.keys().fold(0, |sum, name| of_names.saturating_mul(name.len() as u64).saturating_add(sum));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const PARTS_OF_LISTS: [&str; 5] = ["additionalItems", "contains", "items", "prefixItems", "unevaluatedItems"];
const PARTS_OF_OBJECTS: [&str; 3] = ["additionalProperties", "patternProperties", "unevaluatedProperties"];

/// These schemas and all that they apply to the same value, each once.
fn with_those_in_place<'s>(root: &'s Value, applied: &[&'s Value]) -> Vec<&'s Value> {
    let mut seen: HashSet<*const Value> = HashSet::new();
    let mut all: Vec<&Value> = Vec::new();
    let mut pending = applied.to_vec();
    while let Some(schema) = pending.pop() {
        if !seen.insert(std::ptr::from_ref(schema)) {
            continue;
        }
        all.push(schema);
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            if let Ok(Some(target)) = reference(root, keyword, value) {
                pending.push(target);
            } else if IN_PLACE.contains(&keyword.as_str()) {
                pending.extend(schemas(keyword, value));
            }
        }
    }
    all
}

/// Where a reference leads, if `keyword` is one.
fn reference<'s>(root: &'s Value, keyword: &str, value: &Value) -> Result<Option<&'s Value>, String> {
    match keyword {
        "$ref" => {}
        "$dynamicRef" | "$recursiveRef" => return Err(format!("`{keyword}` is not taken: write `$ref`")),
        _ => return Ok(None),
    }
    let Some(text) = value.as_str() else { return Ok(None) };
    let pointer = text.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
    let Some(pointer) = pointer else {
        let message = format!("the reference `{}` does not lead within it as `#` or `#/…`", super::clipped(text, 80));
        return Err(message);
    };
    // Parsers disagree about what is decoded first.
    if ["%2f", "%7e", "%25"].iter().any(|escape| pointer.to_ascii_lowercase().contains(escape)) {
        return Err(format!("the reference `{}` can be read in two ways", super::clipped(text, 80)));
    }
    let pointer = percent_decode_str(pointer).decode_utf8().map_err(|_| "a reference is not UTF-8".to_owned())?;
    let target = root.pointer(&pointer);
    target.map(Some).ok_or_else(|| format!("the reference `{}` leads nowhere", super::clipped(text, 80)))
}
