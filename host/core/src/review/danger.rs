//! Grants that reach further than most tools need. The configuration itself refuses what it can tell from names alone;
//! these are legal, and marked wherever a configuration is checked.

use std::path::{Path, PathBuf};

use super::Rule;
use crate::config::{Approval, Effective, Place, Plugin, Sandbox};
use crate::grant::pattern::HostPattern;
use crate::grant::{Access, AddressClass, classify};
use crate::registry::{Definition, Risk};

/// A grant that is legal and worth a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// What sort of danger.
    pub kind: DangerKind,
    /// The grant as it was written, or the name of a secret.
    pub subject: String,
    /// Where it is written; none where that is not kept with the grant.
    pub place: Option<Place>,
    /// One sentence.
    pub message: String,
}

/// What makes a grant dangerous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DangerKind {
    /// It is for every public host.
    AnyHost,
    /// It leads to cloud metadata.
    Metadata,
    /// It leads to addresses that are not public.
    Addresses,
    /// It lets the plugin change what grants its rights.
    OwnRights,
    /// It lets the plugin read a secret.
    Reveal,
    /// Its program runs with all rights of the host.
    Sandbox,
    /// Its program is downloaded when it is started.
    Installs,
    /// Anybody may answer in its service's place.
    Unverified,
}

impl DangerKind {
    /// The rule of a review it falls under.
    pub fn rule(self) -> Rule {
        match self {
            Self::AnyHost => Rule::AnyHost,
            Self::Metadata => Rule::Metadata,
            Self::Addresses => Rule::Addresses,
            Self::OwnRights => Rule::OwnRights,
            Self::Reveal => Rule::Reveal,
            Self::Sandbox => Rule::Sandbox,
            Self::Installs => Rule::Installs,
            Self::Unverified => Rule::Unverified,
        }
    }
}

/// The dangerous grants of a plugin. `own_file` is the configuration without links, `real` takes links out of a path.
pub fn dangers(plugin: &Plugin, own_file: &Path, real: &dyn Fn(&Path) -> PathBuf) -> Vec<Danger> {
    let (name, grants) = (&plugin.name, &plugin.grants);
    let mut found = Vec::new();
    let mut note = |kind, subject: &str, place: Option<&Place>, message: String| {
        found.push(Danger { kind, subject: subject.to_owned(), place: place.cloned(), message });
    };
    for grant in grants.net.iter() {
        let (text, place) = (grant.text(), Some(grant.place()));
        match grant.host() {
            HostPattern::Any => {
                note(DangerKind::AnyHost, text, place, format!("`{name}` may reach every public host: `{text}`"));
            }
            HostPattern::Address(address) if classify(*address) != AddressClass::Public => {
                let message = format!("`{name}` may reach a {} address: `{text}`", classify(*address));
                note(DangerKind::Addresses, text, place, message);
            }
            HostPattern::Address(_) | HostPattern::Name(_) | HostPattern::Under(_) => {}
        }
    }
    if grants.net.danger_metadata() {
        let message =
            format!("`{name}` may reach cloud metadata, which hands out credentials: `danger_metadata_addresses`");
        note(DangerKind::Metadata, "danger_metadata_addresses", None, message);
    }
    for range in grants.net.ranges() {
        let message = format!("hosts that `{name}` may reach by name may have addresses in {range}");
        note(DangerKind::Addresses, &range.to_string(), None, message);
    }
    for grant in grants.fs.iter().filter(|grant| grant.access == Access::ReadWrite) {
        if own_file.starts_with(real(&grant.host)) {
            let file = own_file.display();
            let message = format!("`{name}` may write to its own rights: {file} lies in `{}`", grant.text);
            note(DangerKind::OwnRights, &grant.text, Some(&grant.place), message);
        }
    }
    for secret in grants.secrets.iter().filter(|secret| secret.reveal) {
        let message = format!("`{name}` can read the secret `{}` itself: `reveal = true`", secret.name);
        note(DangerKind::Reveal, secret.name.as_str(), Some(&secret.place), message);
    }
    for secret in grants.secrets.iter().filter(|secret| secret.variable.is_some()) {
        let message = format!("the program of `{name}` can read the secret `{}` itself: `variable`", secret.name);
        note(DangerKind::Reveal, secret.name.as_str(), Some(&secret.place), message);
    }
    if grants.net.unverified_tls() {
        let message = format!("anybody may answer in the place of the service of `{name}`: `danger_unverified_tls`");
        note(DangerKind::Unverified, "danger_unverified_tls", None, message);
    }
    if let Some(launch) = plugin.class.launch() {
        if launch.sandbox == Sandbox::Off {
            let message = format!("the program of `{name}` runs with all rights of the host: `sandbox = \"off\"`");
            note(DangerKind::Sandbox, "sandbox", None, message);
        }
        if launch.installs {
            let message = format!("the program of `{name}` is downloaded when it is started: `install = true`");
            note(DangerKind::Installs, "install", None, message);
        }
    }
    found
}

/// Whether a tool that can do harm for good runs without asking anybody.
pub fn is_unasked(definition: &Definition, effective: &Effective) -> bool {
    definition.risk == Risk::High && effective.approval == Approval::Never
}
