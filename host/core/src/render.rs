//! Text with the tools of a caller written into it: `{{toolservice:list}}` and its relatives.
//!
//! The macros and their results are those that prompts for other hosts are written with; both spellings of the service's
//! name are in use. A plugin stands for what those hosts call a provider.

use std::collections::BTreeMap;

use crate::call::Selector;
use crate::registry::Registry;

/// The longest text that is made, in bytes: a short macro stands for a long list.
pub const MAX_RENDERED: usize = 4 << 20;

/// The tools of a caller, by plugin.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest<'r>(BTreeMap<&'r str, Vec<&'r str>>);

impl<'r> Manifest<'r> {
    /// The tools that `selector` leaves visible.
    #[must_use]
    pub fn of(registry: &'r Registry, selector: &'r Selector) -> Self {
        let visible = registry.visible(selector);
        Self::from_pairs(visible.map(|(name, tool)| (tool.plugin.as_str(), name.as_str())))
    }

    /// These plugins and tools.
    #[must_use]
    pub fn from_pairs(pairs: impl IntoIterator<Item = (&'r str, &'r str)>) -> Self {
        let mut plugins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (plugin, tool) in pairs {
            plugins.entry(plugin).or_default().push(tool);
        }
        Self(plugins)
    }

    /// `text` with each macro replaced by what it stands for. What is no macro of ours stays as it is; nothing that is
    /// put in is looked at again.
    ///
    /// `{{toolservice:list}}` is a JSON object of plugins and their tools, `{{toolservice:tools}}` a list of the plugins,
    /// `{{toolservice:tools NAME}}` a list of the tools of one, empty where there is no such plugin. None where the text
    /// would be longer than [`MAX_RENDERED`].
    #[must_use]
    pub fn render(&self, text: &str) -> Option<String> {
        let mut rendered = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let (before, from) = rest.split_at(start);
            rendered.push_str(before);
            let found = from.find("}}").and_then(|end| Some((end + 2, self.expand(&from[2..end])?)));
            let (taken, written) = found.unwrap_or_else(|| (1, "{".to_owned()));
            rendered.push_str(&written);
            rest = &from[taken..];
            if rendered.len() > MAX_RENDERED {
                return None;
            }
        }
        rendered.push_str(rest);
        (rendered.len() <= MAX_RENDERED).then_some(rendered)
    }

    fn expand(&self, inside: &str) -> Option<String> {
        let (service, what) = inside.trim().split_once(':')?;
        if !["toolservice", "toolsservice"].contains(&service.trim()) {
            return None;
        }
        let mut words = what.split_whitespace();
        match (words.next()?, words.next(), words.next()) {
            ("list", None, _) => Some(json(&self.0)),
            ("tools", None, _) => Some(json(&self.0.keys().collect::<Vec<_>>())),
            ("tools", Some(plugin), None) => Some(json(&self.0.get(plugin).map_or(&[][..], Vec::as_slice))),
            _ => None,
        }
    }
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("names and lists of them have a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let manifest = Manifest::from_pairs([("files", "read"), ("files", "write"), ("datetime", "now")]);
        assert_eq!(manifest.render(text).as_deref(), Some(expected));
    }

    #[test]
    fn both_spellings_give_plugins_with_their_tools() {
        let list = r#"{"datetime":["now"],"files":["read","write"]}"#;
        check("You have {{toolservice:list}}.", &format!("You have {list}."));
        check("You have {{toolsservice:list}}.", &format!("You have {list}."));
        check("{{ toolservice:list }}{{toolservice:list}}", &format!("{list}{list}"));
    }

    #[test]
    fn tools_gives_plugins_and_the_tools_of_one() {
        check("{{toolservice:tools}}", r#"["datetime","files"]"#);
        check("{{toolservice:tools files}}", r#"["read","write"]"#);
        check("{{toolservice:tools nobody}}", "[]");
    }

    #[test]
    fn what_is_no_macro_of_ours_stays() {
        for text in [
            "",
            "{{",
            "}}",
            "{{}}",
            "{{var:model}}",
            "{{toolservice}}",
            "{{toolservice:}}",
            "{{toolservice:lists}}",
            "{{toolservice:list now}}",
            "{{toolservice:tools a b}}",
            "{{toolservice:list",
            "ä{{ö}}ü",
        ] {
            check(text, text);
        }
        check("{{{toolservice:tools}}}", r#"{["datetime","files"]}"#);
        check("{{var:x}} {{toolservice:tools}}", r#"{{var:x}} ["datetime","files"]"#);
    }

    #[test]
    fn nobody_has_nothing() {
        let rendered = Manifest::default().render("{{toolservice:list}} {{toolservice:tools}}");
        assert_eq!(rendered.as_deref(), Some("{} []"));
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let manifest = Manifest::from_pairs([("{{toolservice:list}}", "x")]);
        let rendered = manifest.render("{{toolservice:tools}}");
        assert_eq!(rendered.as_deref(), Some(r#"["{{toolservice:list}}"]"#));
    }

    #[test]
    fn a_text_that_would_grow_too_large_is_not_made() {
        let long = "x".repeat(1_000);
        let manifest = Manifest::from_pairs([("p", long.as_str())]);
        assert!(manifest.render(&"{{toolservice:list}}".repeat(4_000)).is_some());
        assert_eq!(manifest.render(&"{{toolservice:list}}".repeat(5_000)), None);
    }
}
