//! What a component's imports mean: which key of the configuration opens each, what happens without it, and what a
//! reviewer should ask. The one table of it; `wit/README.md` shows the same rows, and the host links what is in it.

/// One row of the table: imports that are one right.
#[derive(Debug, PartialEq, Eq)]
pub struct Capability {
    /// Interfaces without their version; a final `*` stands for the rest of a package.
    pub imports: &'static [&'static str],
    /// What it takes for a call to get anywhere with them.
    pub standing: Standing,
    /// Keys under `[plugins.NAME]` that have a say in it.
    pub keys: &'static [&'static str],
    /// What a plugin meets that has the import and not the key.
    pub without: &'static str,
    /// What a reviewer should ask; empty where there is nothing to ask.
    pub ask: &'static str,
    version: Version,
}

/// What it takes for a call to get anywhere with an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A grant of this right.
    Granted(Right),
    /// Nothing opens it in this version.
    Never,
    /// It is there, and leads nowhere.
    Empty,
    /// Nothing: it is always there, and reaches nothing outside of the call.
    Open,
}

/// A right that an operator grants by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Requests over HTTP.
    Net,
    /// Directories.
    Fs,
    /// Other tools.
    Call,
    /// Environment variables.
    Env,
    /// Settings.
    Config,
    /// Secrets, by name.
    Secrets,
}

impl Right {
    /// The key under `[plugins.NAME]` that grants it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::Fs => "fs",
            Self::Call => "call",
            Self::Env => "env",
            Self::Config => "config",
            Self::Secrets => "secrets",
        }
    }
}

/// The versions of an interface that the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Every release of 0.2: they only ever add.
    Wasi02,
    /// This one.
    Exactly(&'static str),
}

impl Version {
    fn is(self, version: &str) -> bool {
        match self {
            Self::Wasi02 => version.starts_with("0.2."),
            Self::Exactly(own) => own == version,
        }
    }
}

/// The version of `bailiwick:host` that this host has.
const HOST: Version = Version::Exactly("0.1.0");

/// Every import the host knows, in the order of `wit/README.md`.
pub const CAPABILITIES: &[Capability] = &[
    Capability {
        imports: &["wasi:http/outgoing-handler", "wasi:http/types"],
        standing: Standing::Granted(Right::Net),
        keys: &["net", "addresses", "danger_metadata_addresses"],
        without: "every request is denied",
        ask: "Why these hosts? Does it need more than `GET`? Why not a path?",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:filesystem/*"],
        standing: Standing::Granted(Right::Fs),
        keys: &["fs"],
        without: "no directory is there",
        ask: "Why this directory and not one below it? Why `rw`?",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:cli/environment"],
        standing: Standing::Granted(Right::Env),
        keys: &["env"],
        without: "no variable, no argument",
        ask: "Is a value a secret? Then it belongs under `secrets`.",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:config/store"],
        standing: Standing::Granted(Right::Config),
        keys: &["config"],
        without: "no key is there",
        ask: "Is a value a secret?",
        version: Version::Exactly("0.2.0-rc.1"),
    },
    Capability {
        imports: &["bailiwick:host/secret"],
        standing: Standing::Granted(Right::Secrets),
        keys: &["secrets"],
        without: "no name is there",
        ask: "Which origin gets it? Is there a `reveal = true`, and why?",
        version: HOST,
    },
    Capability {
        imports: &["bailiwick:host/call"],
        standing: Standing::Granted(Right::Call),
        keys: &["call", "limits.calls"],
        without: "no tool is there",
        ask: "Why these tools? What could a program make of them together that none of them does alone?",
        version: HOST,
    },
    Capability {
        imports: &["wasi:sockets/*"],
        standing: Standing::Never,
        keys: &[],
        without: "access denied; names do not resolve",
        ask: "Why does a tool want raw sockets?",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:cli/stdin"],
        standing: Standing::Empty,
        keys: &[],
        without: "at its end at once",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:cli/stdout", "wasi:cli/stderr"],
        standing: Standing::Open,
        keys: &["limits.log"],
        without: "goes to the host's log, never to its streams",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:cli/exit"],
        standing: Standing::Empty,
        keys: &[],
        without: "ends the call as `plugin.exit`",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:cli/terminal-*"],
        standing: Standing::Empty,
        keys: &[],
        without: "no terminal",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:clocks/*"],
        standing: Standing::Open,
        keys: &[],
        without: "always there",
        ask: "Could a tool time another? A fresh instance per call leaves it little to time.",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:random/*"],
        standing: Standing::Open,
        keys: &[],
        without: "always there, 64 KiB at once",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["wasi:io/*"],
        standing: Standing::Open,
        keys: &[],
        without: "always there",
        ask: "",
        version: Version::Wasi02,
    },
    Capability {
        imports: &["bailiwick:host/log"],
        standing: Standing::Open,
        keys: &["limits.log"],
        without: "always there",
        ask: "",
        version: HOST,
    },
    Capability {
        imports: &["bailiwick:host/progress"],
        standing: Standing::Open,
        keys: &[],
        without: "reaches a caller who asked",
        ask: "",
        version: HOST,
    },
    Capability {
        imports: &["bailiwick:host/ask"],
        standing: Standing::Open,
        keys: &[],
        without: "reaches a caller who can answer; the host never answers",
        ask: "Could its question be taken for the host's? (It is marked.)",
        version: HOST,
    },
    Capability {
        imports: &["bailiwick:host/artifact"],
        standing: Standing::Open,
        keys: &["limits.artifacts"],
        without: "always there",
        ask: "",
        version: HOST,
    },
];

impl Capability {
    /// What is known of an import, such as `wasi:http/types@0.2.12`; none means that the host does not offer it, and
    /// that a component which has it is not loaded.
    pub fn of(import: &str) -> Option<&'static Self> {
        let (interface, version) = import.split_once('@')?;
        CAPABILITIES.iter().find(|known| known.has(interface) && known.version.is(version))
    }

    fn has(&self, interface: &str) -> bool {
        self.imports.iter().any(|own| match own.strip_suffix('*') {
            Some(start) => interface.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
            None => *own == interface,
        })
    }
}

/// An import's interface without its version: `wasi:http/types` of `wasi:http/types@0.2.12`.
pub fn interface(import: &str) -> &str {
    import.split_once('@').map_or(import, |(interface, _)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(import: &str, expected: Option<Standing>) {
        assert_eq!(Capability::of(import).map(|known| known.standing), expected, "{import}");
    }

    #[test]
    fn an_import_is_known_by_its_interface_and_its_version() {
        check("wasi:http/types@0.2.12", Some(Standing::Granted(Right::Net)));
        check("wasi:http/outgoing-handler@0.2.0", Some(Standing::Granted(Right::Net)));
        check("wasi:filesystem/preopens@0.2.6", Some(Standing::Granted(Right::Fs)));
        check("wasi:config/store@0.2.0-rc.1", Some(Standing::Granted(Right::Config)));
        check("wasi:sockets/tcp@0.2.9", Some(Standing::Never));
        check("wasi:cli/terminal-stdin@0.2.9", Some(Standing::Empty));
        check("bailiwick:host/log@0.1.0", Some(Standing::Open));
    }

    #[test]
    fn what_looks_like_a_known_import_is_not_one() {
        for import in [
            "wasi:http/types",
            "wasi:http/types@0.3.0",
            "wasi:http/types@0.20.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:cli/run@0.2.0",
            "wasi:cli/terminal@0.2.0",
            "wasi:clocks/@0.2.0",
            "wasi:clocks@0.2.0",
            "wasi:config/store@0.2.0",
            "wasi:keyvalue/store@0.2.0",
            "bailiwick:host/log@0.2.0",
            "bailiwick:host/process@0.1.0",
            "evil:wasi:http/types@0.2.0",
            "",
        ] {
            check(import, None);
        }
    }
}
