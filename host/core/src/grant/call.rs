//! Which other tools a plugin's code may call.

use super::{Section, quoted};
use crate::call::Selector;
use crate::name::ToolName;
use crate::outcome::{Code, Failure};

/// The tools that `call` names, by the names callers know them by. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallGrants {
    tools: Selector,
    section: Section,
}

impl CallGrants {
    /// What a list of `*`, names and `!names` grants.
    #[must_use]
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>, section: Section) -> Self {
        Self { tools: Selector::of(entries), section }
    }

    /// Whether no tool is granted, whatever tools there are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.entries().iter().all(|entry| entry.starts_with('!'))
    }

    /// The list, in one order.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        self.tools.entries()
    }

    /// Whether `tool` may be called.
    #[must_use]
    pub fn allows(&self, tool: &ToolName) -> bool {
        self.tools.contains(tool)
    }

    /// The same, for whoever has to say why not.
    ///
    /// # Errors
    /// `denied.call`, with the line that would allow it.
    pub fn permits(&self, tool: &ToolName) -> Result<(), Failure> {
        if self.allows(tool) {
            return Ok(());
        }
        let section = &self.section;
        let (what, fix) = match self.line(tool) {
            Some(line) => ("does not name it", format!("add `{line}` under {section}")),
            None => ("takes it out", format!("leave {} out of `call` under {section}", quoted(&format!("!{tool}")))),
        };
        let message = format!("`{tool}` may not be called from here: `call` of {section} {what}");
        Err(Failure::new(Code::DeniedCall, message).with_fix(fix))
    }

    /// The line that would grant `tool`; none where it is excluded, which no line takes back.
    #[must_use]
    pub fn line(&self, tool: &ToolName) -> Option<String> {
        (!self.tools.excludes(tool)).then(|| format!("call = [{}]", quoted(tool.as_str())))
    }

    /// The table it is of.
    #[must_use]
    pub fn section(&self) -> &Section {
        &self.section
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(entries: &[&str]) -> CallGrants {
        CallGrants::new(entries.iter().copied(), Section::new("plugins.code", "bailiwick.toml:3"))
    }

    #[test]
    fn what_is_not_named_is_denied_with_the_line_that_would_allow_it() {
        let tool = ToolName::parse("read").unwrap();
        assert!(grants(&["read"]).permits(&tool).is_ok() && grants(&["*"]).permits(&tool).is_ok());
        let failure = grants(&["write"]).permits(&tool).unwrap_err();
        assert_eq!(failure.code, Code::DeniedCall);
        assert_eq!(failure.fix.as_deref(), Some("add `call = [\"read\"]` under `[plugins.code]` (bailiwick.toml:3)"));
        let failure = grants(&["*", "!read"]).permits(&tool).unwrap_err();
        assert!(failure.fix.unwrap().starts_with("leave \"!read\" out of `call`"));
    }

    #[test]
    fn a_list_of_exclusions_grants_nothing() {
        assert!(grants(&[]).is_empty() && grants(&["!read"]).is_empty() && CallGrants::default().is_empty());
        assert!(!grants(&["read"]).is_empty() && !grants(&["*", "!read"]).is_empty());
    }
}
