//! Rules about the source that no compiler holds us to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bailiwick_core::config::json_schema;
use bailiwick_core::outcome::Code;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder with one of these endings, without those that were built or installed.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    gather(&root().join(folder), endings, &mut found);
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

fn gather(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "node_modules" | "target" | ".venv" | ".documents" | ".packages" | ".git") {
                gather(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// The text of all tests but this file.
fn tests() -> String {
    let own = Path::new(file!()).file_name();
    let sources = files("tests", &[".rs", ".toml", ".py"]).into_iter().filter(|path| path.file_name() != own);
    let unit = files("host", &[".rs"]).into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        if path.to_string_lossy().ends_with("tests.rs") {
            Some(text)
        } else {
            text.split_once("mod tests").map(|(_, tests)| tests.to_owned())
        }
    });
    sources.map(|path| std::fs::read_to_string(path).unwrap_or_default()).chain(unit).collect::<Vec<_>>().join("\n")
}

/// `just teeth` takes long and is not run each day; a control whose place has moved would be found out only then.
#[test]
fn every_control_can_be_switched_off() {
    let controls: toml::Table = read("tests/teeth/controls.toml").parse().expect("it is TOML");
    let controls = controls["control"].as_array().expect("a list");
    assert!(controls.len() > 40, "{}", controls.len());
    for control in controls {
        let text = |of: &toml::Value, key: &str| of[key].as_str().expect("a text").to_owned();
        for edit in control["edits"].as_array().expect("a list") {
            let (file, from) = (text(edit, "file"), text(edit, "from"));
            assert_eq!(read(&file).matches(&from).count(), 1, "{}: `{from}` in {file}", text(control, "name"));
        }
    }
}

#[test]
fn no_file_of_tests_is_forgotten() {
    let main = read("tests/main.rs");
    for entry in std::fs::read_dir(root().join("tests")).expect("it is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let known = ["main", "lib", "build"].contains(&module) || main.contains(&format!("mod {module};\n"));
        assert!(known, "{name} is not part of the tests: add `mod {module};` to main.rs");
    }
    for entry in std::fs::read_dir(root().join("tests/support")).expect("it is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let module = name.trim_end_matches(".rs");
        assert!(module == "mod" || read("tests/support/mod.rs").contains(&format!("mod {module};\n")), "{name}");
    }
}

#[test]
fn every_guest_is_a_program_of_its_own_that_a_test_uses() {
    let tests = tests();
    for (name, component) in crate::GUESTS {
        assert!(Path::new(component).exists(), "{component}");
        let used = tests.contains(&format!("{name}.wasm")) || tests.contains(&format!("GUEST_{}", name.to_uppercase()));
        assert!(used, "no test uses the guest `{name}`");
    }
    for path in files("tests/guests", &[".rs"]) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let shared = name == "build" || path.parent().is_some_and(|folder| folder.ends_with("src"));
        assert!(
            shared || crate::GUESTS.iter().any(|(known, _)| **known == name),
            "{name} is not in tests/guests/Cargo.toml"
        );
    }
}

#[test]
fn every_item_of_our_contracts_says_what_it_is_and_since_when() {
    for file in ["wit/tool.wit", "wit/context.wit", "wit/worlds.wit", "wit/deps/bailiwick-host.wit"] {
        let text = read(file);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let keyword = line.split([' ', ':']).next().unwrap_or_default();
            let item = matches!(
                keyword,
                "interface" | "world" | "record" | "variant" | "enum" | "flags" | "resource" | "type"
            ) && line.ends_with('{');
            let function = line.contains(": func(");
            let in_world = matches!(keyword, "import" | "export" | "include" | "use");
            let package = keyword == "package";
            let member = !item
                && !function
                && !in_world
                && !package
                && !line.is_empty()
                && !line.starts_with("//")
                && !line.starts_with('@')
                && !line.starts_with('}');
            let before = |number: usize| number.checked_sub(1).map_or("", |before| lines[before]);
            let place = format!("{file}:{}: {line}", number + 1);
            if item || function || in_world {
                assert_eq!(before(number), "@since(version = 0.1.0)", "{place}");
                assert!(in_world || before(number - 1).starts_with("///"), "{place} has no doc comment");
            }
            if package || member {
                assert!(before(number).starts_with("///"), "{place} has no doc comment");
            }
        }
    }
}

#[test]
fn every_import_has_its_line_for_reviewers() {
    let readme = read("wit/README.md");
    let worlds = read("wit/worlds.wit");
    let mut interfaces: Vec<String> = worlds
        .lines()
        .filter_map(|line| line.trim().strip_prefix("import "))
        .map(|import| import.split('@').next().unwrap_or(import).to_owned())
        .collect();
    let host = read("wit/deps/bailiwick-host.wit");
    interfaces.extend(
        host.lines()
            .filter_map(|line| line.strip_prefix("interface "))
            .map(|line| format!("bailiwick:host/{}", line.trim_end_matches(" {"))),
    );
    assert!(interfaces.len() > 8);
    for interface in interfaces {
        assert!(readme.contains(&format!("`{interface}`")), "wit/README.md does not mention `{interface}`");
    }
}

#[test]
fn the_wasi_contracts_are_those_of_the_engine() {
    let home = std::env::var("CARGO_HOME")
        .map_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".cargo"), PathBuf::from);
    let version = read("Cargo.lock")
        .split_once("name = \"wasmtime-wasi\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(version, _)| version.to_owned());
    let version = version.expect("the engine is in Cargo.lock");
    let Ok(registries) = std::fs::read_dir(home.join("registry/src")) else { return };
    let mut shipped: Vec<String> = Vec::new();
    for registry in registries.flatten() {
        for crate_name in ["wasmtime-wasi", "wasmtime-wasi-http", "wasmtime-wasi-config"] {
            let folder = registry.path().join(format!("{crate_name}-{version}"));
            if folder.is_dir() {
                let mut found = Vec::new();
                gather(&folder, &[".wit"], &mut found);
                shipped.extend(found.iter().filter_map(|path| std::fs::read_to_string(path).ok()));
            }
        }
    }
    if shipped.is_empty() {
        return;
    }
    // The engine ships one file for each interface, we hold one for each package: each interface of ours stands in
    // theirs, word for word.
    let squeezed = |text: &str| {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let shipped: Vec<String> = shipped.iter().map(|text| squeezed(text)).collect();
    for file in files("wit/deps", &[".wit"])
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wasi-")))
    {
        let ours = squeezed(&std::fs::read_to_string(file).expect("it can be read"));
        for interface in ours.split("\ninterface ").skip(1) {
            let name = interface.split([' ', '{']).next().unwrap_or_default();
            let body = interface.split_once("\n@since").map_or(interface, |(first, _)| first);
            assert!(
                shipped.iter().any(|theirs| theirs.contains(body)),
                "{}: `{name}` is not the engine's",
                file.display()
            );
        }
    }
}

#[test]
fn the_core_decides_and_does_nothing() {
    let manifest = read("host/core/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("it has some");
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    for forbidden in ["tokio", "wasmtime", "reqwest", "hyper", "futures", "async", "tracing", "getrandom", "rustix"] {
        assert!(!dependencies.lines().any(|line| line.starts_with(forbidden)), "core depends on {forbidden}");
    }
    for path in files("host/core/src", &[".rs"]) {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        for forbidden in [
            "std::fs",
            "std::env",
            "std::process",
            "TcpStream",
            "SystemTime::now",
            "Instant::now",
            "async fn",
            ".await",
        ] {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code = code.collect::<Vec<_>>().join("\n");
            let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            let is_test = path.to_string_lossy().ends_with("tests.rs");
            assert!(is_test || !code.contains(forbidden), "{} has {forbidden}", path.display());
        }
    }
}

#[test]
fn only_one_file_of_the_host_reaches_the_world() {
    for path in files("host", &[".rs"]) {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let name = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
        let before_tests = text.split("\nmod tests {").next().unwrap_or_default();
        let opens = before_tests.contains("(clippy::disallowed_methods");
        let may = name.ends_with("ambient.rs")
            || name.ends_with("build.rs")
            || name.ends_with("tests.rs")
            || name.contains("/tests/");
        assert!(may || !opens, "{name} lifts the ambient wall");
    }
}

#[test]
fn nothing_unsafe_but_what_is_explained() {
    for path in files("host", &[".rs"]) {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let blocks = text.matches("unsafe {").count();
        assert!(blocks <= text.matches("// SAFETY:").count(), "{}", path.display());
    }
}

#[test]
fn every_code_has_a_test() {
    let tests = tests();
    let missing: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !tests.contains(*code)).collect();
    // A bug of our own has no test by its nature.
    assert!(missing.iter().all(|code| *code == "host.internal"), "{missing:?}");
}

#[test]
fn every_key_of_the_configuration_has_a_test() {
    let mut keys = BTreeSet::new();
    collect(&json_schema(), &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let tests = tests();
    let missing: Vec<&String> = keys.iter().filter(|key| !tests.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "no test mentions {missing:?}");
}

fn collect(schema: &Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, inner) in properties {
            keys.insert(key.clone());
            collect(inner, keys);
        }
    }
    for inner in [&schema["additionalProperties"], &schema["items"]] {
        if inner.is_object() {
            collect(inner, keys);
        }
    }
}

/// A target that is not run, or starts from nothing, finds nothing; and what is fuzzed has to be what is shipped.
#[test]
fn every_fuzz_target_has_a_corpus_and_fuzzes_what_is_shipped() {
    let manifest = read("tests/fuzz/Cargo.toml");
    let oracle = read("host/core/tests/oracle/mod.rs");
    let targets = files("tests/fuzz/targets", &[".rs"]);
    let mut bytes = 0;
    for path in &targets {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"targets/{name}.rs\"")), "{name} is not built");
        assert!(oracle.contains(&format!("(\"{name}\", ")), "{name} is not among the targets that are replayed");
        let corpus = files(&format!("tests/fuzz/corpus/{name}"), &[""]);
        bytes += corpus.iter().map(|case| case.metadata().expect("it is there").len()).sum::<u64>();
    }
    assert_eq!(oracle.matches("::input),").count(), targets.len());
    assert!(bytes < 200_000, "the corpora have {bytes} bytes: keep what differs");
    let versions = |lock: &str| -> BTreeSet<String> {
        let packages = lock.split("[[package]]\nname = ").skip(1);
        packages.map(|package| package.lines().take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let only_for_fuzzing = ["bailiwick-fuzz", "jobserver", "libfuzzer-sys"];
    let (shipped, fuzzed) = (versions(&read("Cargo.lock")), versions(&read("tests/fuzz/Cargo.lock")));
    let others =
        fuzzed.difference(&shipped).filter(|package| !only_for_fuzzing.iter().any(|name| package.contains(name)));
    assert_eq!(others.collect::<Vec<_>>(), [] as [&String; 0], "copy Cargo.lock to tests/fuzz and build there");
}
