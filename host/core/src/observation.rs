//! What plugins asked for and were refused while somebody watched: one entry for each distinct want of a tool, counted.
//! Kept as JSON lines, of which there are never more than [`MOST`].

use serde::{Deserialize, Serialize};

use crate::grant::{Want, Witness};
use crate::name::{PluginName, ToolName};

/// Entries of all plugins together.
pub const MOST: usize = 2_000;
/// Entries of one plugin: one that asks for nonsense leaves room for the others.
pub const MOST_OF_ONE: usize = 500;

/// One distinct want of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Whose tool it is.
    pub plugin: PluginName,
    /// The plugin's own name for the tool, by which rules go.
    pub tool: ToolName,
    /// What it asked for.
    pub want: Want,
    /// Who says so.
    pub by: Witness,
    /// How many calls asked for it.
    pub count: u64,
    /// When the first did, RFC 3339 in UTC.
    pub first: String,
    /// When the last did.
    pub last: String,
    /// The last of those calls.
    pub call: String,
}

impl Observation {
    fn is_of_the_same(&self, other: &Self) -> bool {
        (&self.plugin, &self.tool, &self.want, self.by) == (&other.plugin, &other.tool, &other.want, other.by)
    }
}

/// All that was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    entries: Vec<Observation>,
}

impl Observations {
    /// Reads JSON lines. The second value is how many of them say nothing that can be understood.
    #[must_use]
    pub fn read(text: &str) -> (Self, usize) {
        let mut observations = Self::default();
        let mut unreadable = 0;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(entry) => drop(observations.add(entry)),
                Err(_) => unreadable += 1,
            }
        }
        (observations, unreadable)
    }

    /// As JSON lines.
    #[must_use]
    pub fn lines(&self) -> String {
        let line =
            |entry: &Observation| serde_json::to_string(entry).map_or_else(|_| String::new(), |line| line + "\n");
        self.entries.iter().map(line).collect()
    }

    /// Adds an observation to the one like it, or as a new one while there is room. Says whether there was.
    pub fn add(&mut self, new: Observation) -> bool {
        if let Some(known) = self.entries.iter_mut().find(|known| known.is_of_the_same(&new)) {
            known.count = known.count.saturating_add(new.count);
            known.first = std::mem::take(&mut known.first).min(new.first);
            if new.last >= known.last {
                (known.last, known.call) = (new.last, new.call);
            }
            return true;
        }
        let room = self.entries.len() < MOST && self.of(&new.plugin).count() < MOST_OF_ONE;
        if room {
            self.entries.push(new);
        }
        room
    }

    /// What one plugin asked for, in the order it did so first.
    pub fn of(&self, plugin: &PluginName) -> impl Iterator<Item = &Observation> {
        self.entries.iter().filter(move |entry| entry.plugin == *plugin)
    }

    /// Takes out what one plugin asked for; says how much that was.
    pub fn forget(&mut self, plugin: &PluginName) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.plugin != *plugin);
        before - self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(plugin: &str, setting: &str, at: &str) -> Observation {
        Observation {
            plugin: PluginName::parse(plugin).unwrap(),
            tool: ToolName::parse("get").unwrap(),
            want: Want::Setting(setting.to_owned()),
            by: Witness::Host,
            count: 1,
            first: at.to_owned(),
            last: at.to_owned(),
            call: format!("call-{at}"),
        }
    }

    #[test]
    fn the_same_want_is_counted_and_not_kept_twice() {
        let mut all = Observations::default();
        for (plugin, at) in [("a", "2"), ("a", "3"), ("b", "3"), ("a", "1")] {
            assert!(all.add(seen(plugin, "max", at)));
        }
        let entries: Vec<(u64, &str, &str, &str)> =
            all.entries.iter().map(|e| (e.count, &*e.first, &*e.last, &*e.call)).collect();
        assert_eq!(entries, [(3, "1", "3", "call-3"), (1, "3", "3", "call-3")]);
    }

    #[test]
    fn one_plugin_cannot_fill_the_list() {
        let mut all = Observations::default();
        let kept = (0..MOST).filter(|n| all.add(seen("loud", &n.to_string(), "1"))).count();
        assert_eq!(kept, MOST_OF_ONE);
        assert!(all.add(seen("quiet", "max", "1")));
        assert!(all.add(seen("loud", "0", "2")), "what is known is counted on");
        for plugin in 0..MOST {
            all.add(seen(&format!("p{plugin}"), "max", "1"));
        }
        assert_eq!(all.entries.len(), MOST);
    }

    #[test]
    fn lines_read_back_and_what_is_no_observation_is_told() {
        let mut all = Observations::default();
        all.add(seen("a", "max", "1"));
        all.add(seen("b", "max", "1"));
        let (again, unreadable) = Observations::read(&all.lines());
        assert_eq!((&again, unreadable), (&all, 0));
        let (rest, unreadable) = Observations::read(&format!("nonsense\n{}{{}}\n", all.lines()));
        assert_eq!((&rest, unreadable), (&all, 2));
        assert_eq!((all.forget(&PluginName::parse("a").unwrap()), all.entries.len()), (1, 1));
    }
}
