//! A suggestion as text: TOML in which everything that is not a line to add is a comment.

use std::fmt::Write as _;

use super::{Asked, Line, Suggestion, Table, Withheld};
use crate::grant::want::one_line;
use crate::grant::{Witness, quoted};

/// Askers of one line that are told; the rest are counted.
const MOST_ASKERS: usize = 4;

impl Suggestion {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.withheld.is_empty() && self.granted == 0
    }

    /// The suggestion as TOML with comments.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.heading();
        for table in &self.tables {
            text.push('\n');
            text.push_str(&table_text(table));
        }
        if !self.withheld.is_empty() {
            text.push_str("\n# Not suggested, because it takes someone who knows more:\n");
        }
        for withheld in &self.withheld {
            text.push_str(&withheld_text(withheld));
        }
        text
    }

    fn heading(&self) -> String {
        let plugin = format!("`{}` ({})", self.plugin, one_line(&self.at));
        let mut text = match (self.tables.is_empty(), self.is_empty()) {
            (_, true) => {
                return format!(
                    "# {plugin} was refused nothing while it was observed. To observe it:\n\
                     # bailiwick call --observe TOOL …, or bailiwick serve --stdio --observe\n"
                );
            }
            (true, false) => format!("# There is no line to suggest for {plugin}.\n"),
            (false, false) => format!(
                "# What {plugin} asked for and was refused. Nothing of it is granted until you write it\n\
                 # there yourself: where a list is there already, add to it.\n"
            ),
        };
        if self.granted > 0 {
            let _ = writeln!(text, "# {} of what it asked for is granted by now.", self.granted);
        }
        text
    }
}

fn table_text(table: &Table) -> String {
    let mut text = format!("[{}]\n", table.table);
    for key in ["net", "fs", "secrets", "call"] {
        let lines: Vec<&Line> = table.lines.iter().filter(|line| line.key == key).collect();
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{key} = [");
        for line in lines {
            let _ = writeln!(text, "    # {}", asked_text(&line.asked));
            if let Some(about) = &line.about {
                let _ = writeln!(text, "    # {}", one_line(about));
            }
            if let Some(old) = &line.instead_of {
                let _ = writeln!(text, "    # in the place of {}", one_line(&quoted(old)));
            }
            let _ = writeln!(text, "    {},", quoted(&line.grant));
        }
        text.push_str("]\n");
    }
    text
}

fn withheld_text(withheld: &Withheld) -> String {
    let Withheld { want, why, by_hand, asked } = withheld;
    let mut text = format!("#\n# {}\n#   {}\n#   {}\n", one_line(want), asked_text(asked), one_line(why));
    if let Some(line) = by_hand {
        let _ = writeln!(text, "#   by hand: {}", one_line(line));
    }
    text
}

/// Who asked how often, on one line.
fn asked_text(asked: &[Asked]) -> String {
    let one = |asked: &Asked| {
        let times = if asked.count == 1 { "once".to_owned() } else { format!("{} times", asked.count) };
        let word = match asked.by {
            Witness::Host => "",
            Witness::Plugin => ", by the plugin's own word",
        };
        format!("`{}` {times}, last {} (call {}){word}", asked.tool, one_line(&asked.last), one_line(&asked.call))
    };
    let mut told: Vec<String> = asked.iter().take(MOST_ASKERS).map(one).collect();
    if asked.len() > MOST_ASKERS {
        told.push(format!("and {} more", asked.len() - MOST_ASKERS));
    }
    told.join("; ")
}
