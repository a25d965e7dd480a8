//! Doc comments, where a component carries them: in the custom section `package-docs`, as `wit-parser` writes it. Most
//! toolchains leave them behind when they make a component.

use std::collections::HashMap;

use serde_json::Value;

use super::{FunctionName, Type};
use crate::redact::is_invisible;

/// A section larger than this is not read.
const LARGEST: usize = 1 << 20;

/// The doc comments of one component.
#[derive(Debug, Default)]
pub struct Docs(Value);

/// The doc comments of named types, by what the types are: a component's types lose their names where they are used.
#[derive(Debug, Default)]
pub(super) struct TypeDocs<'d>(HashMap<&'d Type, &'d Value>);

impl Docs {
    /// The name of the custom section.
    pub const SECTION: &'static str = "package-docs";

    /// Reads the section: a version byte, then JSON.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub fn read(section: &[u8]) -> Result<Self, String> {
        if section.len() > LARGEST {
            return Err(format!("it has {} bytes; at most {LARGEST} are read", section.len()));
        }
        let json = match section.split_first() {
            Some((0 | 1, json)) => json,
            Some((version, _)) => return Err(format!("it is of version {version}; versions 0 and 1 are known")),
            None => return Err("it is empty".to_owned()),
        };
        let text = std::str::from_utf8(json).map_err(|_| "it is not UTF-8".to_owned())?;
        crate::schema::parse(text).map(Self)
    }

    /// The doc comment of a function.
    #[must_use]
    pub fn function(&self, name: &FunctionName) -> Option<&str> {
        let functions: Vec<&Value> = match name.short_interface() {
            Some(interface) => self.interfaces(interface).map(|interface| &interface["funcs"]).collect(),
            None => self.worlds().flat_map(|world| [&world["func_exports"], &world["funcs"]]).collect(),
        };
        let found = functions.into_iter().find_map(|functions| functions.get(&name.function))?;
        // Version 0 had the text alone.
        text(found).or_else(|| text(&found["docs"]))
    }

    /// The doc comments of `types`, the named types of an interface. Where two of them are alike and both say
    /// something, neither is used.
    pub(super) fn types<'d>(&'d self, interface: Option<&str>, types: &'d [(String, Type)]) -> TypeDocs<'d> {
        let mut found: HashMap<&Type, Option<&Value>> = HashMap::new();
        let Some(interface) = interface else { return TypeDocs::default() };
        for documented in self.interfaces(interface).map(|interface| &interface["types"]) {
            for (name, ty) in types {
                if let Some(said) = documented.get(name) {
                    found.entry(ty).and_modify(|known| *known = None).or_insert(Some(said));
                }
            }
        }
        TypeDocs(found.into_iter().filter_map(|(ty, said)| Some((ty, said?))).collect())
    }

    fn worlds(&self) -> impl Iterator<Item = &Value> {
        self.0["worlds"].as_object().into_iter().flat_map(|worlds| worlds.values())
    }

    /// The interface of this name: of the package, or written out in a world.
    fn interfaces(&self, name: &str) -> impl Iterator<Item = &Value> {
        let inline = self.worlds().flat_map(|world| [&world["interface_exports"], &world["interfaces"]]);
        std::iter::once(&self.0["interfaces"]).chain(inline).filter_map(move |interfaces| interfaces.get(name))
    }
}

impl TypeDocs<'_> {
    /// What is said of the type itself.
    pub(super) fn whole(&self, ty: &Type) -> Option<&str> {
        text(&self.0.get(ty)?["docs"])
    }

    /// What is said of one of its fields or cases.
    pub(super) fn item(&self, ty: &Type, name: &str) -> Option<&str> {
        text(self.0.get(ty)?["items"].get(name)?)
    }
}

/// A text worth showing. One that hides characters is not.
fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty() && !text.chars().any(is_invisible))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Docs {
        Docs::read(format!("\u{1}{json}").as_bytes()).unwrap()
    }

    fn name(interface: Option<&str>, function: &str) -> FunctionName {
        FunctionName { interface: interface.map(str::to_owned), function: function.to_owned() }
    }

    #[test]
    fn functions_are_found_wherever_they_stand() {
        let docs = read(
            r#"{"interfaces": {"api": {"funcs": {"f": {"docs": " In a package. "}, "old": "Version 0."}}},
                "worlds": {"w": {"func_exports": {"f": {"docs": "In the world."}},
                                 "interface_exports": {"inline": {"funcs": {"f": {"docs": "Inline."}}}}}}}"#,
        );
        assert_eq!(docs.function(&name(Some("a:b/api@1.0.0"), "f")), Some("In a package."));
        assert_eq!(docs.function(&name(Some("a:b/api"), "old")), Some("Version 0."));
        assert_eq!(docs.function(&name(Some("inline"), "f")), Some("Inline."));
        assert_eq!(docs.function(&name(None, "f")), Some("In the world."));
        assert_eq!(docs.function(&name(None, "g")), None);
        assert_eq!(docs.function(&name(Some("a:b/other"), "f")), None);
    }

    #[test]
    fn of_two_types_that_are_alike_neither_is_described() {
        let docs = read(r#"{"interfaces": {"api": {"types": {"a": {"docs": "A."}, "b": {"docs": "B."}}}}}"#);
        let types = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Type::Bool)).collect::<Vec<_>>();
        assert_eq!(docs.types(Some("api"), &types(&["a", "c"])).whole(&Type::Bool), Some("A."));
        assert_eq!(docs.types(Some("api"), &types(&["a", "b"])).whole(&Type::Bool), None);
    }

    #[test]
    fn what_is_no_section_is_told_so() {
        for (bytes, reason) in [
            (&b""[..], "it is empty"),
            (b"\x02{}", "it is of version 2; versions 0 and 1 are known"),
            (b"\x01\xff", "it is not UTF-8"),
            (b"\x01{", "EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(Docs::read(bytes).unwrap_err(), reason);
        }
        assert_eq!(Docs::read(&vec![1; LARGEST + 1]).unwrap_err(), "it has 1048577 bytes; at most 1048576 are read");
    }

    #[test]
    fn what_is_of_another_shape_says_nothing() {
        for json in ["[]", "3", r#"{"worlds": 1, "interfaces": {"api": "x"}}"#, r#"{"worlds": {"w": [1]}}"#] {
            assert_eq!(read(json).function(&name(Some("a:b/api"), "f")), None);
            assert_eq!(read(json).function(&name(None, "f")), None);
        }
        let hidden = read("{\"interfaces\": {\"api\": {\"funcs\": {\"f\": \"a\\u202eb\"}}}}");
        assert_eq!(hidden.function(&name(Some("a:b/api"), "f")), None);
    }
}
