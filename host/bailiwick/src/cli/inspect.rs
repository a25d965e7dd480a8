//! `bailiwick inspect`: what a component asks for and what it offers, before anybody grants it anything.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use bailiwick_core::capability::{CAPABILITIES, Capability, Right, Standing};
use bailiwick_core::config::ComponentSource;
use bailiwick_core::lock::{Difference, Published};
use bailiwick_core::name::PluginName;
use bailiwick_core::redact::visible;
use bailiwick_core::registry::{Annotations, Definition};
use bailiwick_core::{config, schema};

use crate::examine::{Bench, Examined};
use crate::load;
use crate::surface::{Item, Kind, Surface};

use super::terminal::{BOLD, DIM, RED, Terminal, Trouble, YELLOW, gutter, painted};
use super::{Exit, show, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick inspect weather.wasm
  bailiwick inspect builtin:web-fetch --json | jq '.imports[].name'
  bailiwick inspect new/weather.wasm --against old/weather.wasm

Needs no configuration, grants nothing, writes nothing. Of the component only `describe` is run, under
limits and without any right. Toolchains import more than a tool uses: what is imported and not
granted is denied when it is called. What this host does not offer at all keeps a component from
loading.

Ends with 0 when this host would load the component, and with 1 when it would not or, with --against,
when there is a difference.";

/// A component with what was found out about it.
struct Inspected<'t> {
    /// As it was named.
    target: &'t str,
    surface: Surface,
    examined: Examined,
}

pub(super) fn run(terminal: &Terminal, target: &str, against: Option<&str>) -> Result<Exit, Trouble> {
    start::with_threads(inspected(terminal, target, against))
}

async fn inspected(terminal: &Terminal, target: &str, against: Option<&str>) -> Result<Exit, Trouble> {
    let bench = Bench::new().map_err(|error| start::cannot_start(&error))?;
    let inspected = inspect(terminal, &bench, target).await?;
    let old = match against {
        Some(old) => Some(inspect(terminal, &bench, old).await?),
        None => None,
    };
    let difference = old.as_ref().map(|old| old.published().difference(&inspected.published()));
    if terminal.json {
        terminal.print_json(&inspected.json(difference.as_ref()))?;
    } else {
        let text = match (&old, &difference) {
            (Some(old), Some(difference)) => compared(old.target, target, difference.as_ref()),
            (None, _) | (_, None) => inspected.text(),
        };
        terminal.print(&text)?;
    }
    let fine = inspected.examined.fault.is_none() && difference.flatten().is_none();
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

async fn inspect<'t>(terminal: &Terminal, bench: &Bench, target: &'t str) -> Result<Inspected<'t>, Trouble> {
    let trouble = |code, message: String| Trouble::new(Exit::Failed, code, &message);
    let source = match target.strip_prefix("builtin:") {
        Some(name) => ComponentSource::Builtin(name.to_owned()),
        None => ComponentSource::Path(target.into()),
    };
    let (wasm, _) = load::wasm(&source).await.map_err(|fault| trouble("inspect.unreadable", fault.message))?;
    let name = plugin_name(target);
    let mut examined = start::patiently(terminal, bench.component(wasm, &name)).await;
    let surface = examined.surface.take().ok_or_else(|| {
        let fault = examined.fault.as_deref().unwrap_or_default();
        trouble("inspect.not-a-component", format!("{target} cannot be inspected: {fault}"))
    })?;
    Ok(Inspected { target, surface, examined })
}

/// A name for the plugin, from that of its file.
fn plugin_name(target: &str) -> PluginName {
    let stem = target.strip_prefix("builtin:").or_else(|| Path::new(target).file_stem()?.to_str()).unwrap_or_default();
    let word = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let name: String = stem.chars().map(word).skip_while(|first| !first.is_ascii_lowercase()).take(32).collect();
    PluginName::parse(&name)
        .or_else(|_| PluginName::parse("plugin"))
        .unwrap_or_else(|_| unreachable!("`plugin` is a legal name"))
}

/// A text of the component's on one line, without what a terminal acts on.
fn plain(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', " ")
}

fn compared(old: &str, new: &str, difference: Option<&Difference>) -> String {
    match difference {
        None => format!("{new} publishes and imports what {old} does\n"),
        Some(difference) => {
            painted(&format!("{new} is not what {old} is: {}\n{}", difference.summary(), gutter(&difference.text)))
        }
    }
}

impl Inspected<'_> {
    fn published(&self) -> Published {
        let definitions = self.examined.definitions.as_deref().unwrap_or_default();
        Published::of(self.surface.digest.to_string(), self.surface.needs(), definitions)
    }

    fn text(&self) -> String {
        let surface = &self.surface;
        let mut text = format!("{BOLD}{}{BOLD:#}\n", plain(self.target));
        let mut fact = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<9} {value}");
        };
        fact("digest", surface.digest.to_string());
        fact("size", format!("{} bytes", surface.size));
        let made = surface.producers.iter().map(|(_, name, version)| plain(&format!("{name} {version}")));
        let made: BTreeSet<String> = made.collect();
        if !made.is_empty() {
            fact("made with", some_of(made.into_iter()));
        }
        let custom = surface.custom.iter().map(|(name, size)| plain(&format!("{name} ({size} bytes)")));
        if !surface.custom.is_empty() {
            fact("sections", format!("{}  {DIM}custom, never run{DIM:#}", some_of(custom)));
        }
        text.push_str(&self.imports());
        text.push_str(&self.exports());
        text.push_str(&self.tools());
        text.push_str(&self.skeleton());
        if let Some(fault) = &self.examined.fault {
            let _ = writeln!(text, "\n{RED}This host would not load it:{RED:#} {}", plain(fault));
        }
        text
    }

    fn imports(&self) -> String {
        let mut text = format!("\n{BOLD}Imports{BOLD:#}  {DIM}what it can ask for{DIM:#}\n");
        let imports: Vec<&Item> = self.surface.imports.iter().filter(|import| import.kind != Kind::Types).collect();
        let group = |text: &mut String, head: String, ask: &str, imports: &[&Item]| {
            if imports.is_empty() {
                return;
            }
            let _ = writeln!(text, "  {head}");
            for import in imports {
                let _ = writeln!(text, "    {}", item(import));
            }
            if !ask.is_empty() {
                let _ = writeln!(text, "    {DIM}ask: {ask}{DIM:#}");
            }
        };
        let unknown = of(&imports, |known| known.is_none());
        group(&mut text, format!("{RED}not offered by this host, which would not load it{RED:#}"), "", &unknown);
        for known in CAPABILITIES {
            let head = match known.standing {
                Standing::Granted(right) => {
                    format!("granted by {YELLOW}{}{YELLOW:#}; without it: {}", right.key(), known.without)
                }
                Standing::Never => format!("{YELLOW}never granted{YELLOW:#}: {}", known.without),
                Standing::Empty | Standing::Open => continue,
            };
            group(&mut text, head, known.ask, &of(&imports, |import| import == Some(known)));
        }
        let harmless = |known: Option<&Capability>| {
            known.is_some_and(|known| matches!(known.standing, Standing::Empty | Standing::Open))
        };
        group(
            &mut text,
            "needs no grant, and leads to no file, host or secret".to_owned(),
            "",
            &of(&imports, harmless),
        );
        if imports.is_empty() {
            text.push_str("  nothing\n");
        }
        text
    }

    fn exports(&self) -> String {
        let mut text = format!("\n{BOLD}Exports{BOLD:#}  {DIM}what it offers{DIM:#}\n");
        for export in &self.surface.exports {
            let names = export.functions.iter().map(|name| plain(name));
            let _ = writeln!(text, "  {}  {DIM}{}{DIM:#}", item(export), some_of(names));
        }
        if self.surface.exports.is_empty() {
            text.push_str("  nothing\n");
        }
        text
    }

    fn tools(&self) -> String {
        let Some(definitions) = &self.examined.definitions else { return String::new() };
        let mut text = format!("\n{BOLD}Tools{BOLD:#}  {DIM}what it says of itself{DIM:#}\n");
        for definition in definitions {
            let says = hints(definition.annotations);
            let _ =
                writeln!(text, "  {}  {DIM}risk {}{says}{DIM:#}", plain(&definition.name), show::risk(definition.risk));
            for line in visible(definition.description.trim()).lines() {
                let _ = writeln!(text, "{}", format!("    {line}").trim_end());
            }
            let _ = writeln!(text, "    {DIM}arguments: {}{DIM:#}", arguments(&definition.input_schema));
        }
        if definitions.is_empty() {
            text.push_str("  none\n");
        }
        text
    }

    /// The configuration that would load it and grant it nothing, with what it could be granted.
    fn toml(&self) -> String {
        let component = config::quoted(self.target);
        let mut text = format!("[plugins.{}]\ncomponent = {component}\n", plugin_name(self.target));
        let opens = |import: &String| match Capability::of(import)?.standing {
            Standing::Granted(right) => Some(right),
            Standing::Never | Standing::Empty | Standing::Open => None,
        };
        let rights: BTreeSet<Right> = self.surface.needs().iter().filter_map(opens).collect();
        for right in rights {
            text.push_str(match right {
                Right::Net => "# net = [\"https://HOST/PATH\"]\n",
                Right::Fs => "# fs = [\"./FOLDER:ro\"]\n",
                Right::Call => "# call = [\"TOOL\"]\n",
                Right::Env => "# env = { NAME = \"VALUE\" }\n",
                Right::Config => "# config = { KEY = \"VALUE\" }\n",
                Right::Secrets => {
                    "# secrets.NAME = { env = \"VARIABLE\", origin = \"https://HOST\", header = \"HEADER\" }\n"
                }
            });
        }
        text
    }

    fn skeleton(&self) -> String {
        let lines: String = self.toml().lines().map(|line| format!("  {}\n", visible(line))).collect();
        format!("\n{BOLD}To load it{BOLD:#}  {DIM}with nothing granted; remove a # to grant{DIM:#}\n{lines}")
    }

    fn json(&self, difference: Option<&Option<Difference>>) -> Value {
        let surface = &self.surface;
        let producer = |(field, name, version): &(String, String, String)| json!({"field": field, "name": name, "version": version});
        let mut json = json!({
            "file": self.target,
            "digest": surface.digest.to_string(),
            "size": surface.size,
            "producers": surface.producers.iter().map(producer).collect::<Value>(),
            "customSections": surface.custom,
            "imports": surface.imports.iter().map(import_json).collect::<Value>(),
            "exports": surface.exports.iter().map(item_json).collect::<Value>(),
            "tools": self.examined.definitions.as_ref().map(|tools| tools.iter().map(tool_json).collect::<Value>()),
            "loads": self.examined.fault.is_none(),
            "fault": self.examined.fault,
            "toml": self.toml(),
        });
        if let Some(difference) = difference {
            json["difference"] = difference
                .as_ref()
                .map_or(Value::Null, |difference| json!({"summary": difference.summary(), "text": difference.text}));
        }
        json
    }
}

/// The imports whose row of the table is one of these.
fn of<'i>(imports: &[&'i Item], is: impl Fn(Option<&'static Capability>) -> bool) -> Vec<&'i Item> {
    imports.iter().copied().filter(|import| is(Capability::of(&import.name))).collect()
}

fn item(item: &Item) -> String {
    let name = plain(&item.name);
    match (item.kind, item.functions.len()) {
        (Kind::Interface, 0) => format!("{name}  {DIM}resources alone{DIM:#}"),
        (Kind::Interface, 1) => format!("{name}  {DIM}1 function{DIM:#}"),
        (Kind::Interface, n) => format!("{name}  {DIM}{n} functions{DIM:#}"),
        (Kind::Function, _) => format!("{name}  {DIM}a function{DIM:#}"),
        (Kind::Types, _) => format!("{name}  {DIM}types{DIM:#}"),
        (Kind::Other, _) => name,
    }
}

/// The first few of a list: a hostile one has no end.
fn some_of(names: impl Iterator<Item = String>) -> String {
    const MOST: usize = 8;
    let names: Vec<String> = names.map(|name| name.chars().take(80).collect()).collect();
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(n_more) => format!("{} and {n_more} more", names[..MOST].join(", ")),
    }
}

fn hints(annotations: Annotations) -> String {
    let Annotations { read_only, destructive, idempotent, open_world } = annotations;
    [("reads only", read_only), ("destructive", destructive), ("idempotent", idempotent), ("open world", open_world)]
        .into_iter()
        .filter_map(|(word, said)| said.map(|yes| if yes { format!(", {word}") } else { format!(", not {word}") }))
        .collect()
}

/// The names of a tool's arguments, with what is optional marked.
fn arguments(input: &str) -> String {
    let Ok(schema) = schema::parse(input) else { return format!("{RED}no JSON Schema{RED:#}") };
    let required = |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|own| own == name));
    let properties = schema["properties"].as_object();
    let names = properties.into_iter().flatten().map(|(name, _)| {
        let shown = plain(name);
        if required(name) { shown } else { format!("[{shown}]") }
    });
    let names = some_of(names);
    if names.is_empty() { "none".to_owned() } else { names }
}

fn item_json(item: &Item) -> Value {
    let kind = match item.kind {
        Kind::Interface => "interface",
        Kind::Types => "types",
        Kind::Function => "function",
        Kind::Other => "other",
    };
    json!({"name": item.name, "kind": kind, "functions": item.functions})
}

fn import_json(import: &Item) -> Value {
    let mut json = item_json(import);
    let known = Capability::of(&import.name);
    json["standing"] = match known.map(|known| known.standing) {
        _ if import.kind == Kind::Types => "types",
        None => "unknown",
        Some(Standing::Granted(_)) => "granted",
        Some(Standing::Never) => "never",
        Some(Standing::Empty) => "empty",
        Some(Standing::Open) => "open",
    }
    .into();
    if let Some(known) = known {
        json["keys"] = known.keys.into();
        json["without"] = known.without.into();
        json["ask"] = known.ask.into();
    }
    json
}

fn tool_json(definition: &Definition) -> Value {
    let schema = |text: &String| schema::parse(text).unwrap_or_else(|_| Value::String(text.clone()));
    json!({
        "name": definition.name,
        "title": definition.title,
        "description": definition.description,
        "risk": definition.risk,
        "annotations": definition.annotations,
        "inputSchema": schema(&definition.input_schema),
        "outputSchema": definition.output_schema.as_ref().map(schema),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_plugin_a_name() {
        for (target, name) in [
            ("weather.wasm", "weather"),
            ("/srv/My Weather_2.wasm", "my-weather-2"),
            ("builtin:web-fetch", "web-fetch"),
            ("9__.wasm", "plugin"),
            ("", "plugin"),
        ] {
            assert_eq!(plugin_name(target).as_str(), name, "{target}");
        }
    }

    #[test]
    fn what_is_optional_is_in_brackets() {
        assert_eq!(arguments(r#"{"properties":{"a":{},"b\u001b":{}},"required":["a"]}"#), "a, [b\\u{1b}]");
        assert_eq!(arguments("{}"), "none");
    }
}
