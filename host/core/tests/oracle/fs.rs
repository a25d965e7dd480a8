//! Directories a plugin sees: which grant decides about a path, and where a directory of the host appears.

use std::path::Path;

use bailiwick_core::config::Place;
use bailiwick_core::grant::fs::Roots;
use bailiwick_core::grant::{Access, FsDenial, FsGrant, FsGrants, Section};

use super::{is_plain, lines};

/// What paths of the host start from.
pub fn roots() -> Roots<'static> {
    Roots { base: Path::new("/srv/app"), home: Some("/home/me") }
}

/// A directory of the host, its path in the plugin, and whether it can be changed.
struct Shown {
    host: Vec<String>,
    guest: Vec<String>,
    writable: bool,
}

impl Shown {
    /// Reads a grant that the code has taken.
    fn read(text: &str) -> Self {
        let (mut parts, mut writable): (Vec<&str>, bool) = (text.split(':').collect(), false);
        if let Some(access @ ("ro" | "rw")) = parts.last().copied().filter(|_| parts.len() > 1) {
            writable = access == "rw";
            parts.pop();
        }
        let host = parts[0];
        let host = match host.strip_prefix('~') {
            Some(rest) => format!("/home/me/{rest}"),
            None if host.starts_with('/') => host.to_owned(),
            None => format!("/srv/app/{host}"),
        };
        let host = walked(&host);
        let guest = parts.get(1).map_or_else(|| host.clone(), |guest| walked(guest));
        Self { host, guest, writable }
    }
}

/// The directories on the way, as a shell without links would walk it.
fn walked(path: &str) -> Vec<String> {
    let mut walked = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(walked.pop()),
            name => walked.push(name.to_owned()),
        }
    }
    walked
}

fn parse(text: &str) -> Option<FsGrant> {
    let grant = FsGrant::parse(text, roots(), Place::default()).ok()?;
    let shown = Shown::read(text);
    assert_eq!(grant.host, Path::new(&format!("/{}", shown.host.join("/"))), "{text}");
    assert_eq!(grant.guest, format!("/{}", shown.guest.join("/")), "{text}");
    assert_eq!(grant.access == Access::ReadWrite, shown.writable, "{text}");
    let first = shown.host.first().map_or("", String::as_str);
    assert!(!matches!(first, "" | "proc" | "sys" | "dev"), "{text} is granted");
    Some(grant)
}

/// Lines: `plugin: GRANT`, `tool: GRANT`, `read: PATH`, `write: PATH`.
pub fn input(data: &[u8]) {
    judge(data);
}

/// The same, and says how many paths were allowed and refused.
pub fn judge(data: &[u8]) -> (u32, u32) {
    let of = |wanted: &str| {
        let mut grants: Vec<FsGrant> = Vec::new();
        for (_, text) in lines(data).filter(|(keyword, _)| *keyword == wanted).take(16) {
            // Two of one name are a mistake in a configuration.
            grants.extend(parse(text).filter(|new| grants.iter().all(|known| known.guest != new.guest)));
        }
        grants
    };
    let (plugin, tool) = (of("plugin"), of("tool"));
    let section = |table| Section::new(table, "bailiwick.toml:1");
    let grants = FsGrants::new(plugin, section("plugins.a"));
    let narrowed = grants.narrowed(tool, section("plugins.a.tools.b"));
    check_places(&grants, &narrowed);
    let (mut allowed, mut refused) = (0, 0);
    for (keyword, path) in lines(data).filter(|(keyword, _)| matches!(*keyword, "read" | "write")).take(64) {
        for (grants, alone) in [(&grants, true), (&narrowed, false)] {
            let counter = if check(grants, alone, keyword == "write", path) { &mut allowed } else { &mut refused };
            *counter += 1;
        }
    }
    (allowed, refused)
}

/// Compares code and model for one path of the plugin; says whether it is allowed. What `alone` holds stands in no
/// others.
fn check(grants: &FsGrants, alone: bool, write: bool, path: &str) -> bool {
    let decide = |grants: &FsGrants| match write {
        true => grants.decide_write(path).cloned(),
        false => grants.decide_read(path).cloned(),
    };
    let crooked = !path.starts_with('/') || path.contains('\0') || path.split('/').any(|step| step == "..");
    let steps = walked(path);
    let around = grants.iter().filter(|grant| steps.starts_with(&walked(&grant.guest)));
    let nearest = around.max_by_key(|grant| walked(&grant.guest).len());
    let expected = nearest.filter(|grant| !crooked && (!write || grant.access == Access::ReadWrite));
    let decided = decide(grants);
    assert_eq!(decided.as_ref().ok(), expected, "{path} {write}\n{grants:?}\n{decided:?}");
    if let Err(denial) = &decided {
        check_denial(denial, alone, path, decide);
    }
    expected.is_some()
}

/// A denial is plain, and the line it names would have allowed it.
fn check_denial(denial: &FsDenial, alone: bool, path: &str, decide: impl Fn(&FsGrants) -> Result<FsGrant, FsDenial>) {
    let told = format!("{denial}; {}", denial.fix());
    assert!(is_plain(&told), "{told:?}");
    let Some(line) = denial.allow_line().filter(|_| alone) else { return };
    let table: toml::Table = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let text = table["fs"][0].as_str().expect("a text");
    let grant = FsGrant::parse(text, roots(), Place::default()).unwrap_or_else(|flaw| panic!("{line}: {flaw}"));
    let decided = decide(&FsGrants::new(vec![grant], Section::default()));
    assert!(decided.is_ok(), "{path}: `{line}` does not allow it: {decided:?}");
}

/// A tool's directory is where the plugin sees it, unless its own line says otherwise.
fn check_places(plugin: &FsGrants, tool: &FsGrants) {
    for grant in tool.iter() {
        let own = Shown::read(&grant.text);
        let around: Vec<Shown> = plugin.iter().map(|grant| Shown::read(&grant.text)).collect();
        let around = around.iter().filter(|wide| own.host.starts_with(&wide.host) && wide.writable >= own.writable);
        let nearest = around.max_by_key(|wide| wide.host.len());
        assert_eq!(plugin.covers(grant), nearest.is_some(), "{grant:?} in {plugin:?}");
        let names_a_path = own.guest != own.host || grant.text.matches(':').count() > 1;
        let expected = match nearest.filter(|_| !names_a_path) {
            Some(wide) => [&wide.guest[..], &own.host[wide.host.len()..]].concat(),
            None => own.guest,
        };
        assert_eq!(walked(&grant.guest), expected, "{grant:?} in {plugin:?}");
    }
}
