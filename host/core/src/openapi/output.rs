//! What an operation gives back: which kinds of answers are asked for, and the schema of results.

use std::collections::BTreeMap;

use serde_json::Value;

use super::operation::{Found, MOST_NAMED, Reader};
use super::reference::Node;
use super::schema::{Hidden, Level, Schemas, Way, lenient};
use crate::schema::ResultSchema;

/// Bytes of a schema for results.
const MOST_OUTPUT: usize = 16 << 10;

/// The schemas of types that came back before, with the values each of them took, by the type's place. Operations share
/// such types: all that charge a card give back a charge. None where there is no schema for one.
pub(super) type Results = BTreeMap<usize, Option<(String, usize)>>;

impl<'d> Reader<'_, 'd> {
    /// The answers of an operation that say it went well.
    fn successes(&self, found: Found<'d>) -> Vec<Node<'d>> {
        let responses = found.node.at("responses").into_iter().flat_map(Node::fields);
        let well = responses.take(MOST_NAMED).filter(|(status, _)| status.starts_with('2'));
        well.filter_map(|(_, node)| self.library.follow(node).ok()).collect()
    }

    /// What kinds of answers are asked for: those the document names, and then any.
    pub(super) fn accept(&self, found: Found<'d>) -> String {
        let mut media: Vec<&str> = self
            .successes(found)
            .into_iter()
            .filter_map(|response| response.at("content"))
            .flat_map(|content| content.fields().take(MOST_NAMED))
            .map(|(media, _)| media)
            .filter(|media| super::body::is_media(media) && !media.contains('*'))
            .collect();
        media.sort_by_key(|media| !media.contains("json"));
        media.dedup();
        media.truncate(4);
        if media.is_empty() {
            media.push("application/json");
        }
        format!("{}, */*;q=0.1", media.join(", "))
    }

    /// The schema of results, where every good answer is one JSON object and the schema is none an honest answer breaks.
    pub(super) fn output(&mut self, found: Found<'d>) -> Option<String> {
        let successes = self.successes(found);
        let [only] = successes[..] else { return None };
        let mut content = only.at("content")?.fields();
        let (media, described) = content.next()?;
        if content.next().is_some() || !media.contains("json") || found.method == "head" {
            return None;
        }
        let target = self.library.follow(described.at("schema")?).ok()?;
        if target.text("type") != Some("object") || target.is_true("nullable") {
            return None;
        }
        if let Some(known) = self.results.get(&target.place()) {
            let (text, values) = known.clone()?;
            self.values += values;
            return Some(text);
        }
        let made = self.result(target);
        self.results.insert(target.place(), made.clone());
        made.map(|(text, _)| text)
    }

    /// The schema of one type of results, and the values in it.
    fn result(&mut self, target: Node<'d>) -> Option<(String, usize)> {
        let nothing = Hidden::default();
        let mut schemas = Schemas::new(self.library, self.dialect, Way::Back, &nothing);
        let schema = schemas.schema(target, Level::Inner);
        let definitions = schemas.definitions();
        self.values += schemas.values;
        let (mut schema, definitions) = (schema.ok()?, definitions.ok()?);
        if schemas.cut {
            return None;
        }
        if !definitions.is_empty() {
            schema["$defs"] = Value::Object(definitions);
        }
        lenient(&mut schema, true);
        let text = schema.to_string();
        let usable = text.len() <= MOST_OUTPUT && ResultSchema::compile(&text).is_ok();
        usable.then_some((text, schemas.values))
    }
}
