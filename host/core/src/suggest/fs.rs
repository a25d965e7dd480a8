//! Lines of `fs`: the directory a path lies in, if it is there, with no more access than was asked for.

use std::path::{Path, PathBuf};

use super::{Asked, Ground, Line, Need};
use crate::config::Plugin;
use crate::grant::fs::check_host;
use crate::grant::want::one_line;
use crate::grant::{Access, FsDenialKind, FsGrants, FsWant, quoted};

/// A directory to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    host: PathBuf,
    guest: String,
    access: Access,
    grant: String,
    instead_of: Option<String>,
    about: Option<String>,
}

/// Where programs keep what lets them into other places: nobody should grant it because a plugin says so.
const CREDENTIALS: &[&str] =
    &[".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".password-store", ".netrc"];

/// What a path needs.
pub(super) fn need(plugin: &Plugin, tool: &str, want: &FsWant, ground: &Ground<'_>) -> Need<Directory> {
    let effective = plugin.rules_for(tool);
    let fs = &effective.grants.fs;
    let mut lines = Vec::new();
    for level in [Some(fs), fs.outer()].into_iter().flatten() {
        let decided = match want.access {
            Access::ReadOnly => level.decide_read(&want.path),
            Access::ReadWrite => level.decide_write(&want.path),
        };
        let kind = match decided {
            Ok(_) => continue,
            Err(denial) => denial.kind(),
        };
        match Wish::new(level, want, ground, kind).directory() {
            Ok(directory) => lines.push((level.section().clone(), directory)),
            Err((why, by_hand)) => return Need::Withheld { why, by_hand },
        }
    }
    if lines.is_empty() { Need::Granted } else { Need::Lines(lines) }
}

/// Why there is no line, and what a person could write.
type Obstacle = (String, Option<String>);

/// A path that one list of grants does not let through.
struct Wish<'w> {
    level: &'w FsGrants,
    /// The plugin's own, which say where on the host its paths lie.
    outermost: &'w FsGrants,
    want: &'w FsWant,
    ground: &'w Ground<'w>,
    kind: FsDenialKind,
}

impl<'w> Wish<'w> {
    fn new(level: &'w FsGrants, want: &'w FsWant, ground: &'w Ground<'w>, kind: FsDenialKind) -> Self {
        Self { level, outermost: level.outer().unwrap_or(level), want, ground, kind }
    }

    fn directory(&self) -> Result<Directory, Obstacle> {
        let FsWant { access, path } = self.want;
        if self.kind == FsDenialKind::Crooked || !path.starts_with('/') {
            let why = "it is relative, and the plugin has no directory that it could lie in".to_owned();
            return Err((why, Some(format!("fs = [\"DIRECTORY:{access}\"]"))));
        }
        if path.contains([':', '\\']) || path.contains(char::is_control) {
            return Err(("its name holds a character that no grant can".to_owned(), None));
        }
        let (guest, host, real) = self.found()?;
        self.may_be_granted(&real)?;
        if let Some((grant, _)) = self.outermost.showing(&guest) {
            let root = (self.ground.real_directory)(&grant.host);
            if root.is_none_or(|root| !real.starts_with(root)) {
                return Err((format!("it leads to {}, which is not in `{}`", real.display(), grant.text), None));
            }
        }
        Ok(self.line(guest, &host, real))
    }

    /// The nearest directory that is there: the path itself, the one it lies in, or one above it in a grant.
    fn found(&self) -> Result<(String, PathBuf, PathBuf), Obstacle> {
        let path = Path::new(&self.want.path);
        let near = path.ancestors().take(2);
        let granted = path.ancestors().skip(2).take_while(|path| path.to_str().is_some_and(|path| self.is_shown(path)));
        for guest in near.chain(granted) {
            let Some(guest) = guest.to_str().filter(|guest| *guest != "/" || self.is_shown(guest)) else { continue };
            let host = self.host_of(guest);
            if let Some(real) = (self.ground.real_directory)(&host) {
                return Ok((guest.to_owned(), host, real));
            }
        }
        let parent = path.parent().and_then(Path::to_str).filter(|parent| *parent != "/");
        let parent = parent.ok_or_else(|| ("it lies in no directory that could be granted".to_owned(), None))?;
        let line = format!("fs = [{}]", quoted(&format!("DIRECTORY:{parent}:{}", self.want.access)));
        Err((format!("there is no directory {parent} on this machine"), Some(line)))
    }

    fn is_shown(&self, guest: &str) -> bool {
        self.outermost.showing(guest).is_some()
    }

    /// Where a path of the plugin lies on the host; the same place if no grant says otherwise.
    fn host_of(&self, guest: &str) -> PathBuf {
        match self.outermost.showing(guest) {
            Some((grant, below)) => {
                let mut host = grant.host.clone();
                host.extend(below);
                host
            }
            None => PathBuf::from(guest),
        }
    }

    fn may_be_granted(&self, real: &Path) -> Result<(), Obstacle> {
        let shown = real.display();
        check_host(real, &shown.to_string()).map_err(|flaw| (flaw.message, None))?;
        if self.ground.own.iter().any(|own| own.starts_with(real) || real.starts_with(own)) {
            return Err((format!("{shown} holds what the host keeps for itself"), None));
        }
        let text = format!("{shown}/");
        if CREDENTIALS.iter().any(|folder| text.contains(&format!("/{folder}/"))) {
            return Err((format!("{shown} is where programs keep credentials"), None));
        }
        Ok(())
    }

    fn line(&self, guest: String, host: &Path, real: PathBuf) -> Directory {
        let access = self.want.access;
        let known = self.level.iter().find(|grant| grant.guest == guest);
        if let Some(grant) = known.filter(|_| self.kind == FsDenialKind::ReadOnly) {
            let bare = grant.text.strip_suffix(":ro").unwrap_or(&grant.text);
            let (text, instead_of) = (format!("{bare}:{access}"), Some(grant.text.clone()));
            return Directory { host: grant.host.clone(), guest, access, grant: text, instead_of, about: None };
        }
        let linked = real != host;
        let place = if linked { real.display().to_string() } else { self.written(&guest, host) };
        // Without a path of its own, a tool's directory would be seen where one of the plugin's grants puts it.
        let plain = place == guest && self.level.outer().is_none();
        let grant = if plain { format!("{place}:{access}") } else { format!("{place}:{guest}:{access}") };
        let about = linked.then(|| one_line(&format!("`{}` is a link to it", host.display())));
        Directory { host: real, guest, access, grant, instead_of: None, about }
    }

    /// The host's path the way the operator writes it, if it lies in a directory they wrote.
    fn written(&self, guest: &str, host: &Path) -> String {
        let Some((grant, below)) = self.outermost.showing(guest) else { return host.display().to_string() };
        let base = grant.text.split(':').next().unwrap_or_default().trim_end_matches('/');
        std::iter::once(base).chain(below).collect::<Vec<_>>().join("/")
    }
}

/// The lines for these directories: each once, with all the access it needs, and none that lies within another.
pub(super) fn lines(wanted: Vec<(Directory, Asked)>) -> Vec<Line> {
    let mut kept: Vec<(Directory, Vec<Asked>)> = Vec::new();
    let mut wanted = wanted;
    // The widest first, so that what lies within is found to be covered.
    wanted.sort_by_key(|(directory, _)| (std::cmp::Reverse(directory.access), directory.host.components().count()));
    for (directory, asked) in wanted {
        match kept.iter_mut().find(|(wide, _)| wide.covers(&directory)) {
            Some((_, known)) => known.push(asked),
            None => kept.push((directory, vec![asked])),
        }
    }
    kept.sort_by(|(a, _), (b, _)| a.guest.cmp(&b.guest));
    kept.into_iter().map(|(directory, asked)| directory.line(asked)).collect()
}

impl Directory {
    /// Whether all that the other shows is shown here, at the same path.
    fn covers(&self, other: &Self) -> bool {
        let below = other.host.strip_prefix(&self.host).ok();
        let same = |below: &Path| Path::new(&self.guest).join(below) == Path::new(&other.guest);
        self.access >= other.access && below.is_some_and(same)
    }

    fn line(self, asked: Vec<Asked>) -> Line {
        let Self { grant, instead_of, about, .. } = self;
        Line { key: "fs", grant, instead_of, about, asked }
    }
}
