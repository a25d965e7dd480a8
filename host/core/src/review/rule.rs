//! The rules of a review: their stable ids, how bad each is, what it means.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Legal, and worth a second look.
    Warning,
    /// Not what was pinned, or not loaded.
    Error,
}

impl Level {
    /// All of them, from the mildest.
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    /// As people, programs and SARIF call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal $level:ident,)+) => {
        /// What sort of thing a finding is. New ones may come, none changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[doc = $doc])+ $name,)+ }

        impl Rule {
            /// All rules, the worst first.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Stable, for programs.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// How bad it is.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

rules! {
    /// The plugin cannot be loaded.
    LeftOut = "audit.left-out" Error,
    /// The component imports what the host does not offer.
    ImportUnknown = "audit.import-unknown" Error,
    /// The component is not the one that is pinned.
    ComponentChanged = "audit.component-changed" Error,
    /// The component imports an interface that it did not when it was pinned.
    ImportAdded = "audit.import-added" Error,
    /// The plugin has a tool that is not pinned.
    ToolAdded = "audit.tool-added" Error,
    /// The plugin no longer has a tool that is pinned.
    ToolRemoved = "audit.tool-removed" Error,
    /// The name, description, schemas, hints or risk of a tool are not those that are pinned.
    DefinitionChanged = "audit.definition-changed" Error,
    /// The configuration grants more than when the plugin was pinned.
    GrantWidened = "audit.grant-widened" Error,
    /// The plugin may reach every public host.
    AnyHost = "audit.any-host" Warning,
    /// The plugin may reach cloud metadata services, which hand out credentials.
    Metadata = "audit.metadata" Warning,
    /// The plugin may write to the configuration that grants its rights.
    OwnRights = "audit.own-rights" Warning,
    /// The plugin can read a secret itself.
    Reveal = "audit.reveal" Warning,
    /// The plugin's program runs with all rights of the host.
    Sandbox = "audit.sandbox" Warning,
    /// The plugin's program is downloaded when it is started.
    Installs = "audit.installs" Warning,
    /// Anybody may answer in the place of the plugin's service: certificates are not checked.
    Unverified = "audit.unverified" Warning,
    /// A tool that can do harm for good runs without asking anybody.
    Unasked = "audit.unasked" Warning,
    /// There is no lock file.
    NoLock = "audit.no-lock" Warning,
    /// The plugin is not pinned.
    Unpinned = "audit.unpinned" Warning,
    /// A grant that the component could not use.
    GrantUnused = "audit.grant-unused" Warning,
    /// The plugin may reach addresses that are not on the public internet.
    Addresses = "audit.addresses" Note,
    /// The component imports what it was not granted: calls to it are denied.
    ImportDenied = "audit.import-denied" Note,
    /// The component no longer imports an interface.
    ImportRemoved = "audit.import-removed" Note,
    /// The component imports an interface in another version.
    ImportVersion = "audit.import-version" Note,
    /// The configuration grants less than when the plugin was pinned.
    GrantNarrowed = "audit.grant-narrowed" Note,
    /// The lock pins a plugin that is not configured.
    StalePin = "audit.stale-pin" Note,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_apart_and_the_worst_comes_first() {
        let mut ids: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert!(Rule::ALL.is_sorted_by_key(|rule| std::cmp::Reverse(rule.level())));
        assert!(Rule::ALL.iter().all(|rule| rule.meaning().ends_with('.') && rule.id().starts_with("audit.")));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Rule::ALL.len());
    }
}
