//! Who publishes tools, and what follows from it: how many there may be, and how much lists say of each.

/// Tools of a plugin whose author chose them one by one.
pub const MAX_TOOLS: usize = 256;
/// Tools of a service whose document was written for programs. GitHub's has 1,223 operations.
pub const MAX_SERVICE_TOOLS: usize = 4_096;
/// What lists say of a service's tool, in characters.
const MOST_IN_LISTS: usize = 300;

/// What publishes tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher {
    /// A component, a server or a folder of programs: its author wrote each tool for callers to read.
    Plugin,
    /// A service, of which every operation is a tool.
    Service,
}

impl Publisher {
    /// How many tools are taken from it.
    #[must_use]
    pub fn most_tools(self) -> usize {
        match self {
            Self::Plugin => MAX_TOOLS,
            Self::Service => MAX_SERVICE_TOOLS,
        }
    }

    /// What lists say of a tool instead of its description; none where they say all of it.
    #[must_use]
    pub fn brief(self, description: &str) -> Option<String> {
        match self {
            Self::Plugin => None,
            Self::Service => brief(description),
        }
    }
}

/// The first paragraph of a long text, cut behind a word; none of a short one.
fn brief(text: &str) -> Option<String> {
    let text = text.trim();
    text.char_indices().nth(MOST_IN_LISTS)?;
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    let paragraph = lines.join("\n");
    let paragraph = paragraph.trim_end();
    let Some((end, _)) = paragraph.char_indices().nth(MOST_IN_LISTS - 2) else {
        return Some(format!("{paragraph} …"));
    };
    let start = &paragraph[..end];
    let cut = match start.rfind(char::is_whitespace) {
        // Not a language that writes words apart, or no words at all.
        Some(space) if space >= end / 2 => start[..space].trim_end(),
        Some(_) | None => start,
    };
    Some(format!("{cut}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Publisher::Service.brief(text).as_deref(), expected);
        assert_eq!(Publisher::Plugin.brief(text), None);
    }

    #[test]
    fn lists_say_the_first_paragraph_of_a_services_long_text() {
        let long = "word ".repeat(100);
        check("Gets it.\n\nAnd more.", None);
        check(&format!("Gets it.\n\n{long}"), Some("Gets it. …"));
        check(&format!("Gets it,\nor not.\n \r\n{long}"), Some("Gets it,\nor not. …"));
        check(&long, Some(&format!("{}word…", "word ".repeat(58))));
        check(&"x".repeat(300), None);
        check(&"x".repeat(301), Some(&format!("{}…", "x".repeat(298))));
        check(&format!("a {}", "語".repeat(400)), Some(&format!("a {}…", "語".repeat(296))));
    }

    #[test]
    fn a_brief_text_is_never_longer_than_lists_take() {
        for n in [0, 1, 2, 5, 150, 298, 299, 300, 301, 302] {
            for (before, between) in [("a", " "), ("é", "\n"), ("", "\n\n")] {
                let text = format!("{}{between}{}", before.repeat(n), "b ".repeat(400));
                let brief = Publisher::Service.brief(&text).unwrap();
                assert!(brief.chars().count() <= MOST_IN_LISTS, "{n} {between:?}: {brief}");
            }
        }
    }
}
