//! Schemas that are laid over tools of the configuration: they hold beside the tools' own, and never in their place.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::{Map, Value};

use bailiwick_core::name::ToolName;
use bailiwick_core::registry::Over;

use super::{Action, Change, RegistrationError, Registrations, now};
use crate::store::StoreError;

/// What is laid over which tool.
pub type Narrowings = BTreeMap<ToolName, Over>;

impl Registrations {
    /// What is laid over the tools of the configuration.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn narrowings(&self) -> Result<Narrowings, StoreError> {
        let rows: Vec<(String, Option<String>, Option<String>)> = self.store.read(|read| {
            let mut select = read.prepare_cached("SELECT tool, input, output FROM narrowings ORDER BY tool")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })?;
        let schema = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        let read = |(tool, input, output): (String, _, _)| {
            Some((ToolName::parse(&tool).ok()?, Over { input: schema(input), output: schema(output) }))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Lays schemas over a tool of the configuration, in the place of those from before. None at all takes them away.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn narrow(&self, tool: &ToolName, over: &Over, caller: &str) -> Result<Change, RegistrationError> {
        let text = |schema: &Option<Value>| schema.as_ref().map(ToString::to_string);
        let (input, output) = (text(&over.input), text(&over.output));
        let named = [("inputSchema", &over.input), ("outputSchema", &over.output)];
        let named = named.into_iter().filter_map(|(key, schema)| Some((key.to_owned(), schema.clone()?)));
        let record = Value::Object(named.collect::<Map<_, _>>()).to_string();
        let name = tool.as_str();
        self.store.write(|write| {
            if over.is_empty() {
                write.execute("DELETE FROM narrowings WHERE tool = ?1", [name])?;
            } else {
                let put = "INSERT INTO narrowings (tool, input, output, owner, updated) VALUES (?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT (tool) DO UPDATE SET input = excluded.input, output = excluded.output,
                    owner = excluded.owner, updated = excluded.updated";
                write.execute(put, params![name, input, output, caller, now()])?;
            }
            super::note(write, Action::Update, caller, (name, name), &record)
        })?;
        Ok(Change::narrowed(tool, caller, over))
    }
}
