//! Which directories a plugin sees: `"./docs:/docs:ro"`, host path, path in the plugin, access.
//!
//! These are values about names. The doors are directory handles, opened once when a plugin is loaded; what is decided
//! here says which handles there are and explains a refusal, it never guards a path by comparing text.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::{Remedy, Section, quoted};
use crate::config::{Flaw, Place};

/// What an fs grant looks like, for messages.
pub const FS_LEGAL: &str = "`PATH[:PATH-IN-PLUGIN][:ro|rw]`, such as `./docs:ro` or `~/notes:/notes:rw`";

/// What may be done below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Access {
    /// Look and read.
    #[serde(rename = "ro")]
    ReadOnly,
    /// Also create, change and delete.
    #[serde(rename = "rw")]
    ReadWrite,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        })
    }
}

/// One line of `fs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsGrant {
    /// The directory, absolute, without `.` and `..`.
    pub host: PathBuf,
    /// What the plugin calls it: absolute, joined by `/`, without `.` and `..`.
    pub guest: String,
    /// What may be done there.
    pub access: Access,
    /// The grant as it was written.
    pub text: String,
    /// Where it is written.
    pub place: Place,
    guest_is_default: bool,
}

/// What relative paths start from.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// The folder of the config file, absolute.
    pub base: &'a Path,
    /// What `~` stands for.
    pub home: Option<&'a str>,
}

impl Roots<'_> {
    /// Makes a path absolute and takes `.`, `..` and doubled slashes out of it, by its text alone.
    ///
    /// # Errors
    /// The path is empty, holds a control character, or starts with a `~` that stands for nothing known.
    pub fn resolve(&self, text: &str) -> Result<PathBuf, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new("the path is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(Flaw::new(format!("{text:?} holds a control character")));
        }
        let path = match text.strip_prefix('~') {
            None => self.base.join(text),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let home = self.home.filter(|home| home.starts_with('/'));
                let home = home.ok_or_else(|| {
                    Flaw::new(format!(
                        "`{text}` starts at the home directory, and `HOME` is not set to an absolute path"
                    ))
                })?;
                Path::new(home).join(rest.trim_start_matches('/'))
            }
            Some(_) => {
                let flaw = Flaw::new(format!("`{text}` starts with another user's home directory"));
                return Err(
                    flaw.legal("an absolute path, one relative to the config file, or one that starts with `~/`")
                );
            }
        };
        if !path.is_absolute() {
            return Err(Flaw::new(format!("`{text}` is relative, and the config file's own folder is not known")));
        }
        Ok(normalised(&path))
    }
}

fn normalised(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(component),
        }
    }
    out
}

/// Directories that are no files: what is in them can turn into any other right.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Whether a directory may be granted at all.
///
/// # Errors
/// It is the whole file system, or no place for files.
pub(crate) fn check_host(host: &Path, text: &str) -> Result<(), Flaw> {
    if host == Path::new("/") {
        let flaw = Flaw::new(format!("`{text}` is the whole file system"));
        return Err(flaw.legal("the directories the plugin works in"));
    }
    match NEVER.iter().find(|never| host.starts_with(never)) {
        Some(never) => Err(Flaw::new(format!("`{text}` lies in `{never}`, which is never granted"))),
        None => Ok(()),
    }
}

impl FsGrant {
    /// Reads one line of `fs`.
    ///
    /// # Errors
    /// The text is no grant, or for a directory that is never granted.
    pub fn parse(text: &str, roots: Roots<'_>, place: Place) -> Result<Self, Flaw> {
        let (paths, access) = match text.rsplit_once(':') {
            Some((paths, "ro")) => (paths, Access::ReadOnly),
            Some((paths, "rw")) => (paths, Access::ReadWrite),
            Some(_) | None => (text, Access::ReadOnly),
        };
        let (path, guest) = match paths.split_once(':') {
            Some((path, guest)) => (path, Some(guest)),
            None => (paths, None),
        };
        let host = roots.resolve(path)?;
        check_host(&host, path)?;
        let default = host.to_str().ok_or_else(|| Flaw::new(format!("`{path}` is not UTF-8")))?;
        let guest_text = guest.map_or_else(|| Ok(default.to_owned()), parse_guest)?;
        Ok(Self { guest: guest_text, access, text: text.to_owned(), place, guest_is_default: guest.is_none(), host })
    }

    /// Whether the other directory is this one or lies below it, with no more access.
    fn covers(&self, other: &Self) -> bool {
        other.host.starts_with(&self.host) && other.access <= self.access
    }
}

fn parse_guest(text: &str) -> Result<String, Flaw> {
    const LEGAL: &str = "an absolute path without `.` and `..`, then `ro` or `rw`";
    let Some(relative) = text.strip_prefix('/') else {
        let flaw = Flaw::new(format!("`{text}` is neither an absolute path nor `ro` or `rw`")).legal(FS_LEGAL);
        let lower = text.to_ascii_lowercase();
        let meant = matches!(lower.as_str(), "ro" | "rw");
        return Err(if meant { flaw.suggest(format!("did you mean `{lower}`?")) } else { flaw });
    };
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']) && !part.contains(char::is_control)
    };
    if relative.is_empty() || relative.split('/').all(plain) {
        Ok(format!("/{relative}"))
    } else {
        Err(Flaw::new(format!("`{text}` is not a path a plugin can be shown")).legal(LEGAL))
    }
}

/// The directories a plugin, or one tool of it, sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FsGrants {
    grants: Vec<FsGrant>,
    section: Section,
    /// The plugin's own, where these are a tool's.
    outer: Option<Box<FsGrants>>,
}

impl FsGrants {
    /// A plugin's grants, as they stand in the file.
    pub fn new(grants: Vec<FsGrant>, section: Section) -> Self {
        Self { grants, section, outer: None }
    }

    /// A tool's grants within these. One that names no path in the plugin is seen where the plugin's own grant puts it.
    #[must_use]
    pub fn narrowed(&self, mut grants: Vec<FsGrant>, section: Section) -> Self {
        for grant in &mut grants {
            let around = self.grants.iter().filter(|wide| wide.covers(grant));
            let nearest = around.max_by_key(|wide| wide.host.components().count());
            if let (true, Some(wide)) = (grant.guest_is_default, nearest) {
                let below = grant.host.strip_prefix(&wide.host).ok().and_then(Path::to_str).unwrap_or_default();
                grant.guest = [wide.guest.trim_end_matches('/'), below].join("/").trim_end_matches('/').to_owned();
                if grant.guest.is_empty() {
                    grant.guest.push('/');
                }
            }
        }
        Self { grants, section, outer: Some(Box::new(self.clone())) }
    }

    /// The table these stand in.
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// The plugin's grants, where these are a tool's.
    pub fn outer(&self) -> Option<&Self> {
        self.outer.as_deref()
    }

    /// The grants in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &FsGrant> {
        self.grants.iter()
    }

    /// Whether no directory is seen.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// The grant that was written first: where a plugin with no path of its own should look.
    pub fn first(&self) -> Option<&FsGrant> {
        self.grants.first()
    }

    /// The grant that shows this path of the host, or a part of what lies below it. For what no plugin may see.
    pub fn touching(&self, path: &Path) -> Option<&FsGrant> {
        self.grants.iter().find(|grant| path.starts_with(&grant.host) || grant.host.starts_with(path))
    }

    /// Whether all that `other` shows is shown here too.
    pub fn covers(&self, other: &FsGrant) -> bool {
        self.grants.iter().any(|grant| grant.covers(other))
    }

    /// The path a caller means: one that is not absolute lies in the first grant, as for the built-in file tools, and
    /// `.` and `..` are taken out. For what a plugin reports; the directories themselves never go by names.
    #[must_use]
    pub fn meant(&self, path: &str) -> String {
        let below = self.first().filter(|_| !path.starts_with('/')).map_or("", |grant| grant.guest.as_str());
        if below.is_empty() && !path.starts_with('/') {
            return path.to_owned();
        }
        let mut parts = Vec::new();
        for part in below.split('/').chain(path.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// Finds the grant under which the plugin may read a path.
    ///
    /// # Errors
    /// No grant contains it.
    pub fn decide_read(&self, path: &str) -> Result<&FsGrant, FsDenial> {
        self.decide(path, Access::ReadOnly)
    }

    /// Finds the grant under which the plugin may change a path.
    ///
    /// # Errors
    /// No grant contains it, or the one that does is read-only.
    pub fn decide_write(&self, path: &str) -> Result<&FsGrant, FsDenial> {
        self.decide(path, Access::ReadWrite)
    }

    fn decide(&self, path: &str, access: Access) -> Result<&FsGrant, FsDenial> {
        let Some(parts) = guest_parts(path) else {
            let kind = if self.grants.is_empty() { FsDenialKind::NotGranted } else { FsDenialKind::Crooked };
            return Err(self.deny(path, access, kind, None));
        };
        match self.deepest(&parts) {
            None => Err(self.deny(path, access, FsDenialKind::NotGranted, None)),
            Some(grant) if grant.access < access => Err(self.deny(path, access, FsDenialKind::ReadOnly, Some(grant))),
            Some(grant) => Ok(grant),
        }
    }

    /// The grant that shows a path of the plugin, whatever its access, and what of the path lies below it.
    pub fn showing<'p>(&self, path: &'p str) -> Option<(&FsGrant, Vec<&'p str>)> {
        let parts = guest_parts(path)?;
        let grant = self.deepest(&parts)?;
        let depth = guest_parts(&grant.guest).map_or(0, |own| own.len());
        Some((grant, parts[depth..].to_vec()))
    }

    /// The grant whose path in the plugin is the longest whole-component prefix.
    fn deepest(&self, parts: &[&str]) -> Option<&FsGrant> {
        let own = |grant: &FsGrant| guest_parts(&grant.guest).unwrap_or_default().len();
        let contains = |grant: &&FsGrant| guest_parts(&grant.guest).is_some_and(|guest| parts.starts_with(&guest));
        self.grants.iter().filter(contains).max_by_key(|grant| own(grant))
    }

    fn deny(&self, path: &str, access: Access, kind: FsDenialKind, within: Option<&FsGrant>) -> FsDenial {
        let mut remedy = Remedy::default();
        if let Some(line) = self.line(path, access, kind, within) {
            remedy.add(&line, &self.section);
            if let Some(outer) = self.outer.as_deref().filter(|outer| outer.decide(path, access).is_err()) {
                remedy.add(&line, &outer.section);
            }
        }
        let shown: String = path.chars().take(200).flat_map(char::escape_debug).collect();
        let reason = match (kind, within) {
            (FsDenialKind::Crooked, _) => "it is not an absolute path without `..`".to_owned(),
            (FsDenialKind::ReadOnly, Some(grant)) => format!("`{}` is read-only", grant.text),
            (FsDenialKind::ReadOnly | FsDenialKind::NotGranted, _) if self.grants.is_empty() => {
                format!("{} grants no `fs`", self.section)
            }
            (FsDenialKind::ReadOnly | FsDenialKind::NotGranted, _) => {
                let seen: Vec<String> = self.grants.iter().map(|grant| format!("`{}`", grant.guest)).collect();
                format!("it lies outside of {}", seen.join(", "))
            }
        };
        FsDenial { kind, access, path: shown, reason, within: within.cloned().map(Box::new), remedy }
    }

    /// The `fs` line that would allow it: for a file its directory, since only directories are granted.
    fn line(&self, path: &str, access: Access, kind: FsDenialKind, within: Option<&FsGrant>) -> Option<String> {
        let grant = match (kind, within) {
            (FsDenialKind::Crooked, _) => return None,
            (FsDenialKind::ReadOnly, Some(grant)) => {
                let bare = grant.text.strip_suffix(":ro").unwrap_or(&grant.text);
                return Some(format!("fs = [{}]", quoted(&format!("{bare}:{access}"))));
            }
            (FsDenialKind::ReadOnly | FsDenialKind::NotGranted, _) => path,
        };
        let parent = Path::new(grant)
            .parent()
            .filter(|_| guest_parts(path).is_some())
            .filter(|parent| *parent != Path::new("/"))?
            .to_str()?;
        let grant = format!("{parent}:{access}");
        let roots = Roots { base: Path::new("/"), home: None };
        let meant = FsGrant::parse(&grant, roots, Place::default()).ok()?;
        (meant.guest_is_default && meant.access == access).then(|| format!("fs = [{}]", quoted(&grant)))
    }
}

/// The components of a path a plugin asks for; none if it is not absolute or climbs.
fn guest_parts(path: &str) -> Option<Vec<&str>> {
    let parts = path.strip_prefix('/')?.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    let plain = !path.contains('\0') && parts.iter().all(|part| *part != "..");
    plain.then_some(parts)
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsDenialKind {
    /// No grant contains it.
    NotGranted,
    /// The grant that contains it is read-only.
    ReadOnly,
    /// It is relative, or has a `..` in it.
    Crooked,
}

/// A path that may not be read or changed: why not, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsDenial {
    kind: FsDenialKind,
    access: Access,
    path: String,
    reason: String,
    within: Option<Box<FsGrant>>,
    remedy: Remedy,
}

impl FsDenial {
    /// Why, for programs.
    pub fn kind(&self) -> FsDenialKind {
        self.kind
    }

    /// Stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self.access {
            Access::ReadOnly => "denied.fs.read",
            Access::ReadWrite => "denied.fs.write",
        }
    }

    /// Why, as a phrase.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The grant that contains the path, if it is only its access that does not do.
    pub fn within(&self) -> Option<&FsGrant> {
        self.within.as_deref()
    }

    /// The lines that would allow it, each with the table it belongs to.
    pub fn lines(&self) -> &[(String, Section)] {
        self.remedy.lines()
    }

    /// What would allow it, as it would stand in the file; none where nothing can (`/proc`, a `..`).
    pub fn allow_line(&self) -> Option<String> {
        self.remedy.toml()
    }

    /// What to do about it, as a phrase: ``add `fs = ["/srv/docs:ro"]` under `[plugins.files]` (bailiwick.toml:12)``.
    pub fn fix(&self) -> String {
        self.remedy.sentence().unwrap_or_else(|| "no grant can allow it".to_owned())
    }
}

impl fmt::Display for FsDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.access {
            Access::ReadOnly => "reading",
            Access::ReadWrite => "changing",
        };
        write!(f, "{verb} `{}` is refused: {}", self.path, self.reason)
    }
}

impl std::error::Error for FsDenial {}

#[cfg(test)]
#[path = "fs_tests.rs"]
mod tests;
