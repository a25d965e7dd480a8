//! What a command starts: many start a program by way of another, which would download it first.

use super::secret::{is_secret_name, is_secret_value};
use super::text::shown;
use crate::launcher::{Manager, program, run_by};

/// What would be started, with what a person should know of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Started {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// The package it is from, without its version.
    pub(super) package: Option<String>,
    /// Whether it runs in a container of its own, where the host holds it to nothing.
    pub(super) in_container: bool,
    pub(super) notes: Vec<String>,
}

/// Reads a command.
pub(super) fn started(command: &str, args: &[String]) -> Started {
    let words: Vec<&str> = std::iter::once(command).chain(args.iter().map(String::as_str)).collect();
    let mut notes = Vec::new();
    let words = match words.as_slice() {
        [shell, "/c" | "/C", rest @ ..] if !rest.is_empty() && matches!(program(shell).as_str(), "cmd") => {
            notes.push("`cmd /c` is left out: it is for Windows".to_owned());
            rest
        }
        all => all,
    };
    let started = match run_by(words) {
        Some((manager, rest)) => installed(manager, rest),
        None => Started { words: words.iter().map(|word| (*word).to_owned()).collect(), ..Started::default() },
    };
    let in_container = is_container(words);
    if in_container {
        notes.push(
            "it is switched off: what runs in a container is not held to its grants; install the server itself, and \
             name its program"
                .to_owned(),
        );
    }
    let is_shell = words.first().is_some_and(|first| matches!(program(first).as_str(), "sh" | "bash" | "zsh"));
    if is_shell && words.get(1).is_some_and(|word| word.starts_with('-') && word.contains('c')) {
        notes.push("it is started by a shell, and what that starts was not looked at".to_owned());
    }
    notes.extend(started.notes);
    Started { in_container, notes, ..started }
}

fn is_container(words: &[&str]) -> bool {
    let is_runner = |word: &str| matches!(program(word).as_str(), "docker" | "podman" | "nerdctl");
    words.first().is_some_and(|first| is_runner(first))
}

/// Options of the managers that are followed by a word of their own.
const WITH_VALUE: &[&str] = &[
    "--with",
    "-w",
    "--python",
    "--index",
    "--index-url",
    "--extra-index-url",
    "-i",
    "--default-index",
    "--with-editable",
    "--with-requirements",
    "--registry",
    "--cache",
    "--userconfig",
    "--directory",
    "--refresh-package",
];

/// The program that a manager would run.
fn installed(manager: Manager, words: &[&str]) -> Started {
    let (mut package, mut left_out) = (None, Vec::new());
    let mut words = words.iter().copied().peekable();
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        let names_package = match manager {
            Manager::Npm => matches!(option, "-p" | "--package"),
            Manager::Python => matches!(option, "--from" | "--spec"),
        };
        if option == "--" {
            break;
        }
        match option.split_once('=') {
            Some(("--package" | "--from" | "--spec", named)) => package = Some(named.to_owned()),
            None if names_package => package = words.next().map(str::to_owned),
            None if matches!(option, "-y" | "--yes" | "-q" | "--quiet" | "--no-install" | "--no") => {}
            None if WITH_VALUE.contains(&option) || option == "-p" || is_secret_name(option) => {
                left_out.push(option);
                let _ = words.next();
            }
            Some(_) | None => left_out.push(option),
        }
    }
    let first = words.next().unwrap_or_default().to_owned();
    let (first_package, _) = split_version(manager, &first);
    let named = package.is_some();
    let spec = package.unwrap_or_else(|| first.clone());
    let (package, version) = split_version(manager, &spec);
    let program = if named { first_package.clone() } else { program_of(manager, &package) };
    let mut notes = vec![install_note(manager, &spec, &package, version.as_deref(), &program)];
    if !left_out.is_empty() {
        let options: Vec<String> =
            left_out.iter().map(|option| format!("`{}`", shown(option.split('=').next().unwrap_or(option)))).collect();
        notes.push(format!("{} were for installing it, and are left out", options.join(", ")));
    }
    let words = std::iter::once(program).chain(words.map(str::to_owned)).collect();
    Started { words, package: Some(package), in_container: false, notes }
}

fn install_note(manager: Manager, spec: &str, package: &str, version: Option<&str>, program: &str) -> String {
    let what = match (manager, version) {
        (_, None) if is_secret_value(spec) => "PACKAGE".to_owned(),
        (_, None) if spec.contains("://") => spec.to_owned(),
        (Manager::Npm, Some(version)) => format!("{package}@{version}"),
        (Manager::Python, Some(version)) => format!("{package}=={version}"),
        (Manager::Npm, None) => format!("{package}@VERSION"),
        (Manager::Python, None) => format!("{package}==VERSION"),
    };
    let how = match manager {
        Manager::Npm => "npm install --global",
        Manager::Python => "pipx install",
    };
    let what = shown(&what);
    format!("install it once: `{how} {what}`; its program is taken to be `{}`", shown(program))
}

/// A package and its version, if it has one that is one.
fn split_version(manager: Manager, spec: &str) -> (String, Option<String>) {
    // What is no name of a package, such as an address, stays as it is.
    if spec.contains("://") || spec.starts_with(['.', '/']) {
        return (spec.to_owned(), None);
    }
    let (name, version) = match manager {
        Manager::Npm => {
            let scope = usize::from(spec.starts_with('@'));
            spec[scope..].split_once('@').map_or((spec, None), |(name, rest)| (&spec[..scope + name.len()], Some(rest)))
        }
        Manager::Python => {
            let split = spec.split_once("==").or_else(|| spec.split_once('@'));
            split.map_or((spec, None), |(name, version)| (name, Some(version)))
        }
    };
    let version = version.filter(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    (name.split('[').next().unwrap_or(name).to_owned(), version.map(str::to_owned))
}

/// What a package calls its program, as far as that can be known.
fn program_of(manager: Manager, package: &str) -> String {
    if manager == Manager::Npm
        && let Some(name) = package.strip_prefix("@modelcontextprotocol/")
    {
        return format!("mcp-{name}");
    }
    // Before the path of an address there may be a password.
    let path = package.split_once("://").map_or(package, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split(['@', '#']).next().unwrap_or(name).trim_end_matches(".git").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str, note: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let started = started(&words[0], &words[1..]);
        assert_eq!(started.words.join(" "), expected, "{line}");
        assert!(started.notes.join("\n").contains(note), "{line}: {:?}", started.notes);
    }

    #[test]
    fn what_would_be_installed_is_named_by_its_program() {
        check(
            "npx -y @modelcontextprotocol/server-github@2026.8.31 --x",
            "mcp-server-github --x",
            "`npm install --global @modelcontextprotocol/server-github@2026.8.31`",
        );
        check("npx some-mcp@latest", "some-mcp", "`npm install --global some-mcp@VERSION`");
        check(
            "npx --package=@a/b@1.2.3 run it",
            "run it",
            "`npm install --global @a/b@1.2.3`; its program is taken to be `run`",
        );
        check("/usr/bin/npx.cmd -y @a/b", "b", "@a/b@VERSION");
        check("cmd /c npx -y x", "x", "`cmd /c` is left out");
        check(
            "uvx mcp-server-time@2026.10.1 --tz UTC",
            "mcp-server-time --tz UTC",
            "`pipx install mcp-server-time==2026.10.1`",
        );
        check("uvx --with x --from a[b]==1.0 c d", "c d", "`pipx install a==1.0`");
        check("uvx --with x --from a==1.0 c d", "c d", "`--with` were for installing it");
        check("uvx --from git+https://x.example/a/b.git@v1 b", "b", "`pipx install git+https://x.example/a/b.git@v1`");
        check("uv tool run ruff", "ruff", "`pipx install ruff==VERSION`");
        check("pnpm dlx x@1.0.0", "x", "x@1.0.0");
        check("npx --key hunter2 x --key=y", "x --key=y", "`--key` were for installing it");
        check("uvx --from git+https://me:hunter2@x.example/a/b.git b", "b", "`pipx install PACKAGE`");
        check("uvx git+https://me:hunter2@x.example", "", "`pipx install PACKAGE`");
        check("npx", "", "");
    }

    #[test]
    fn what_is_there_already_stays_as_it_is() {
        check("node server.js --x", "node server.js --x", "");
        check("uv --directory /srv run server.py", "uv --directory /srv run server.py", "");
        check("bash -lc run-it", "bash -lc run-it", "started by a shell");
    }

    #[test]
    fn a_container_is_told_apart() {
        let args = ["run", "-i", "--rm", "image"].map(str::to_owned);
        assert!(started("docker", &args).in_container && !started("node", &args).in_container);
    }
}
