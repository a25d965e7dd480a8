//! What can be seen of a component from outside, without compiling or running it: its imports, its exports, what it was
//! made with. Read from its bytes alone, so that nothing it says of itself is taken for it.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentItem};
use wasmparser::types::TypesRef;
use wasmparser::{
    BinaryReader, CustomSectionReader, Parser, Payload, ProducersSectionReader, ValidPayload, Validator, WasmFeatures,
};

use crate::runtime::ComponentDigest;

/// What a component shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// Of its bytes.
    pub digest: ComponentDigest,
    /// How many bytes there are.
    pub size: usize,
    /// What it asks of whoever runs it, in its order.
    pub imports: Vec<Item>,
    /// What it offers, in its order.
    pub exports: Vec<Item>,
    /// What it says it was made with: the sort (`language`, `sdk`, `processed-by`), the name, the version.
    pub producers: BTreeSet<(String, String, String)>,
    /// Custom sections by name, with how many bytes they have together; nothing of them is ever run.
    pub custom: BTreeMap<String, usize>,
}

/// An import or an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// As it is written in the component, such as `wasi:http/types@0.2.12`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The functions of an interface.
    pub functions: Vec<String>,
}

/// What an import or export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An interface with functions or resources.
    Interface,
    /// Types alone, or an interface of them, which needs nothing from anybody.
    Types,
    /// A function that belongs to no interface.
    Function,
    /// Anything else: a core module, a component, a value.
    Other,
}

/// Why nothing can be seen.
#[derive(Debug, thiserror::Error)]
pub enum SurfaceError {
    /// Not a component at all.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(&'static str),
    /// It breaks the rules of the format.
    #[error("it is malformed: {0}")]
    Malformed(String),
}

impl Surface {
    /// Looks at a component. The bodies of its functions are not looked into.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(bytes: &[u8]) -> Result<Self, SurfaceError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(SurfaceError::NotAComponent("it does not start with the WebAssembly magic number"));
        }
        if !Parser::is_component(bytes) {
            return Err(SurfaceError::NotAComponent("it is a core module"));
        }
        let mut surface = Self {
            digest: ComponentDigest::of(bytes),
            size: bytes.len(),
            imports: Vec::new(),
            exports: Vec::new(),
            producers: BTreeSet::new(),
            custom: BTreeMap::new(),
        };
        surface.walk(bytes).map_err(|error| SurfaceError::Malformed(error.to_string()))?;
        Ok(surface)
    }

    /// The imports that need something of the host.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<String> {
        let needed = self.imports.iter().filter(|import| import.kind != Kind::Types);
        needed.map(|import| import.name.clone()).collect()
    }

    fn walk(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        // More than the engine takes: whether it would take it is found out elsewhere.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let (mut depth, mut imports, mut exports) = (0_usize, Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            let at_top = depth == 1;
            if let Payload::Version { .. } = &payload {
                depth += 1;
            } else if let (true, Payload::ComponentImportSection(section)) = (at_top, &payload) {
                for import in section.clone() {
                    imports.push(import?.name.name.to_owned());
                }
            } else if let (true, Payload::ComponentExportSection(section)) = (at_top, &payload) {
                for export in section.clone() {
                    exports.push(export?.name.name.to_owned());
                }
            } else if let Payload::CustomSection(section) = &payload {
                self.custom(section);
            }
            if let ValidPayload::End(types) = validator.payload(&payload)? {
                depth -= 1;
                if depth == 0 {
                    let types = types.as_ref();
                    self.imports = items(imports, types, |name| types.component_item_for_import(name));
                    self.exports = items(exports, types, |name| types.component_item_for_export(name));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn custom(&mut self, section: &CustomSectionReader<'_>) {
        *self.custom.entry(section.name().to_owned()).or_default() += section.data().len();
        if section.name() != "producers" {
            return;
        }
        // A section nobody has to keep to its format: what cannot be read of it is left out.
        let reader = BinaryReader::new(section.data(), section.data_offset());
        for field in ProducersSectionReader::new(reader).into_iter().flatten().flatten() {
            for value in field.values.into_iter().flatten() {
                self.producers.insert((field.name.to_owned(), value.name.to_owned(), value.version.to_owned()));
            }
        }
    }
}

fn items<'t>(names: Vec<String>, types: TypesRef<'_>, item: impl Fn(&str) -> Option<&'t ComponentItem>) -> Vec<Item> {
    let described = |name: String| {
        let (kind, functions) = item(&name).map_or((Kind::Other, Vec::new()), |item| kind(item, types));
        Item { name, kind, functions }
    };
    names.into_iter().map(described).collect()
}

fn kind(item: &ComponentItem, types: TypesRef<'_>) -> (Kind, Vec<String>) {
    match item.ty {
        ComponentEntityType::Instance(id) => {
            let exports = &types[id].exports;
            let functions = exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
            let functions: Vec<String> = functions.map(|(name, _)| name.clone()).collect();
            (if exports.values().all(is_type) { Kind::Types } else { Kind::Interface }, functions)
        }
        ComponentEntityType::Func(_) => (Kind::Function, Vec::new()),
        ComponentEntityType::Type { .. } if is_type(item) => (Kind::Types, Vec::new()),
        ComponentEntityType::Type { .. } => (Kind::Other, Vec::new()),
        ComponentEntityType::Module(_) | ComponentEntityType::Value(_) | ComponentEntityType::Component(_) => {
            (Kind::Other, Vec::new())
        }
    }
}

/// Whether this is a type that means the same everywhere. A resource is not: somebody has to make and drop it.
fn is_type(item: &ComponentItem) -> bool {
    match item.ty {
        ComponentEntityType::Type { created, .. } => !matches!(created, ComponentAnyTypeId::Resource(_)),
        ComponentEntityType::Instance(_)
        | ComponentEntityType::Func(_)
        | ComponentEntityType::Module(_)
        | ComponentEntityType::Value(_)
        | ComponentEntityType::Component(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::capability::{CAPABILITIES, Capability};

    use super::*;
    use crate::runtime::CONTRACT;

    /// Everything `wit/worlds.wit` says the host offers.
    fn offered() -> Vec<String> {
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve.push_dir("../../wit").expect("the contracts are well-formed");
        let world = resolve.packages[package].worlds["everything"];
        resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect()
    }

    #[test]
    fn reviewers_are_told_of_everything_the_host_offers_and_of_nothing_else() {
        let offered = offered();
        assert!(offered.len() > 25, "{offered:?}");
        let unknown: Vec<&String> = offered.iter().filter(|import| Capability::of(import).is_none()).collect();
        assert_eq!(unknown, Vec::<&String>::new());
        for known in CAPABILITIES {
            assert!(offered.iter().any(|import| Capability::of(import) == Some(known)), "{known:?} is not offered");
        }
        assert!(Capability::of(&format!("bailiwick:host/log@{CONTRACT}")).is_some());
    }

    #[test]
    fn what_is_no_component_shows_nothing() {
        for (bytes, expected) in [
            (&b"junk"[..], "it is not a WebAssembly component: it does not start with the WebAssembly magic number"),
            (b"\0asm\x01\0\0\0", "it is not a WebAssembly component: it is a core module"),
        ] {
            assert_eq!(Surface::read(bytes).expect_err("no component").to_string(), expected);
        }
        let cut = Surface::read(b"\0asm\x0d\0\x01\0\x07\x7f").expect_err("it is cut");
        assert!(matches!(cut, SurfaceError::Malformed(_)), "{cut}");
    }

    #[test]
    fn an_empty_component_shows_an_empty_surface() {
        let surface = Surface::read(b"\0asm\x0d\0\x01\0").expect("the smallest component");
        assert_eq!((surface.size, surface.imports, surface.exports), (8, Vec::new(), Vec::new()));
    }
}
