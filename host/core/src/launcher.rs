//! Programs that download and install what they then run: which they are, and what of.

/// A command that installs a package on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installer<'w> {
    /// The program that installs, without its folder.
    pub program: &'w str,
    /// The package, if one is named.
    pub package: Option<&'w str>,
    /// Its exact version, if there is one.
    pub version: Option<&'w str>,
}

impl<'w> Installer<'w> {
    /// The commands that are known to install, for messages.
    pub const KNOWN: &'static str =
        "`npx`, `npm exec`, `bunx`, `pnpm dlx`, `yarn dlx`, `uvx`, `uv tool run`, `pipx run`";

    /// What a command installs; none if it is not known to install anything.
    #[must_use]
    pub fn of(command: &[&'w str]) -> Option<Self> {
        let (manager, rest) = run_by(command)?;
        let first = command.first()?;
        let program = first.rsplit('/').next().unwrap_or(first);
        if manager == Manager::Npm && (rest.contains(&"--no-install") || rest.contains(&"--no")) {
            return None;
        }
        let (package, version) = match (named(rest), manager) {
            (None, _) => (None, None),
            (Some(text), Manager::Python) => python_package(text),
            (Some(text), Manager::Npm) => npm_package(text),
        };
        Some(Self { program, package, version })
    }
}

/// Which manager of packages runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// npm, and what works as it does.
    Npm,
    /// uv and pipx.
    Python,
}

/// The manager that a command asks to run a program, and what it is told.
pub(crate) fn run_by<'c, 'w>(command: &'c [&'w str]) -> Option<(Manager, &'c [&'w str])> {
    let (first, rest) = command.split_first()?;
    Some(match (program(first).as_str(), rest) {
        ("npx" | "bunx", rest) => (Manager::Npm, rest),
        ("npm", ["exec" | "x", rest @ ..]) | ("bun", ["x", rest @ ..]) | ("pnpm" | "yarn", ["dlx", rest @ ..]) => {
            (Manager::Npm, rest)
        }
        ("uvx", rest) | ("uv", ["tool", "run", rest @ ..]) | ("pipx", ["run", rest @ ..]) => (Manager::Python, rest),
        _ => return None,
    })
}

/// The name of a program, without its folder and what Windows puts behind it.
pub(crate) fn program(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word).to_ascii_lowercase();
    let bare = [".exe", ".cmd", ".bat"].iter().find_map(|ending| name.strip_suffix(ending));
    bare.unwrap_or(&name).to_owned()
}

/// The package among the arguments: what an option names, or the first word that is no option.
fn named<'w>(words: &[&'w str]) -> Option<&'w str> {
    const NAMES: [&str; 4] = ["--package", "-p", "--from", "--spec"];
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if NAMES.contains(&word) {
            return words.next();
        }
        if let Some((option, package)) = word.split_once('=').filter(|(option, _)| NAMES.contains(option)) {
            debug_assert!(!option.is_empty(), "it is one of the options");
            return Some(package);
        }
        if word == "--" {
            return words.next();
        }
        if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

/// `@scope/name@1.2.3`.
fn npm_package(text: &str) -> (Option<&str>, Option<&str>) {
    let scope = usize::from(text.starts_with('@'));
    match text[scope..].split_once('@') {
        Some((name, version)) => (Some(&text[..scope + name.len()]), Some(version).filter(|version| is_exact(version))),
        None => (Some(text), None),
    }
}

/// `name==1.2.3`, or `name@1.2.3` as uvx has it.
fn python_package(text: &str) -> (Option<&str>, Option<&str>) {
    let split = text.split_once("==").or_else(|| text.split_once('@'));
    match split {
        Some((name, version)) => (Some(name), Some(version).filter(|version| is_exact(version))),
        None => (Some(text), None),
    }
}

/// Whether a version is one version: digits, then what versions are made of. `latest`, `^1` and `1.x` are not.
fn is_exact(version: &str) -> bool {
    let parts: Vec<&str> = version.split(['+', '-']).next().unwrap_or_default().split('.').collect();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
    parts.len() >= 2
        && version.bytes().all(legal)
        && parts.iter().all(|part| part.bytes().next().is_some_and(|first| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, expected: Option<(&str, Option<&str>, Option<&str>)>) {
        let words: Vec<&str> = command.split(' ').collect();
        let found = Installer::of(&words).map(|found| (found.program, found.package, found.version));
        assert_eq!(found, expected, "{command}");
    }

    #[test]
    fn installers_are_known_with_what_they_install() {
        check("npx -y @scope/server@2026.8.31 /", Some(("npx", Some("@scope/server"), Some("2026.8.31"))));
        check("/usr/bin/npx @scope/server", Some(("npx", Some("@scope/server"), None)));
        check("npx -p server@1.2.3 run", Some(("npx", Some("server"), Some("1.2.3"))));
        check("npx server@latest", Some(("npx", Some("server"), None)));
        check("npx server@^1.2.3", Some(("npx", Some("server"), None)));
        check("npx server@1.x", Some(("npx", Some("server"), None)));
        check("npm exec --package=server@1.2.3 -- server", Some(("npm", Some("server"), Some("1.2.3"))));
        check("uvx mcp-server-time@2026.10.1", Some(("uvx", Some("mcp-server-time"), Some("2026.10.1"))));
        check("uvx --from mcp-server-time==1.0.0rc1 run", Some(("uvx", Some("mcp-server-time"), Some("1.0.0rc1"))));
        check("uv tool run ruff", Some(("uv", Some("ruff"), None)));
        check("pipx run --spec x==1.0 x", Some(("pipx", Some("x"), Some("1.0"))));
        check("npx -y", Some(("npx", None, None)));
    }

    #[test]
    fn what_is_there_already_is_not_installed() {
        check("npx --no-install server", None);
        check("npm run server", None);
        check("uv run server.py", None);
        check("node server.js", None);
        check("/usr/bin/python3 -m mcp_server_time", None);
    }
}
