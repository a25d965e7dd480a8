//! Components that no compiler makes: text in `guests/raw`, one file each, wrapped in what they have in common.

use std::path::Path;

/// Where they are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/raw");

/// The component in `guests/raw/NAME.wat`.
pub(crate) fn component(name: &str) -> Vec<u8> {
    wrapped(&read(name))
}

/// A component that is fine but for what stands in `before`: parts of the component that nothing else uses.
pub(crate) fn with(before: &str) -> Vec<u8> {
    wrapped(&format!("{before}\n{}", read("plain")))
}

fn read(name: &str) -> String {
    let path = Path::new(FOLDER).join(name).with_extension("wat");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn wrapped(guest: &str) -> Vec<u8> {
    let setting = |key: &str| guest.lines().find_map(|line| line.strip_prefix(";; ")?.strip_prefix(key));
    let encoding = setting("encoding: ").unwrap_or("utf8");
    let describe = setting("describe: ").unwrap_or("$lib");
    let text = read("contract").replace("ENCODING", encoding).replace("$DESCRIBE", describe).replace(";; GUEST", guest);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// All names in the folder.
pub(crate) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(FOLDER).expect("it is there").flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().strip_suffix(".wat").map(str::to_owned);
    let mut names: Vec<String> = entries.filter_map(name).filter(|name| name != "contract").collect();
    names.sort();
    names
}
