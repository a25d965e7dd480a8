//! What a component exports, as far as JSON can carry it. Its types were made by someone we do not trust: how much of
//! them is looked at is limited, since a few bytes can stand for a type of any size.

use wasmparser::{Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, ResourceType};

use bailiwick_core::registry::MAX_TOOLS;
use bailiwick_core::schema::MAX_SCHEMA;
use bailiwick_core::typed::{Docs, Function, FunctionName, Integer, LeftOut, Type, Unfit};

use crate::runtime::compile::Compiled;

/// What the types of one function may come to, in bytes: about what its schema would have.
const MAX_FUNCTION: usize = MAX_SCHEMA;
/// The same for all functions of a component together.
const MAX_COMPONENT: usize = 16 * MAX_SCHEMA;
/// Types in one another. JSON parsers take about a hundred levels, and each type makes up to three.
const MAX_DEPTH: usize = 30;
/// What a type costs beside the names in it.
const NODE: usize = 16;
/// What a function costs beside its types.
const FUNCTION: usize = 64;
/// Functions left out that are told; a component has at most this many tools too.
const MAX_LEFT_OUT: usize = MAX_TOOLS;
/// Interfaces of this namespace are called by hosts of other kinds.
const STANDARD: &str = "wasi:";

/// The functions of a component.
pub(super) struct Exports {
    pub(super) functions: Vec<Found>,
    /// The named types of each interface; the first are those of the world.
    pub(super) interfaces: Vec<Vec<(String, Type)>>,
    pub(super) left_out: Vec<LeftOut>,
}

/// A function that can be called.
pub(super) struct Found {
    pub(super) function: Function,
    pub(super) index: ComponentExportIndex,
    /// Its place in [`Exports::interfaces`].
    pub(super) interface: usize,
}

impl Exports {
    /// Everything `compiled` exports.
    pub(super) fn read(compiled: &Compiled) -> Self {
        let exports = Self { functions: Vec::new(), interfaces: vec![Vec::new()], left_out: Vec::new() };
        let mut reader =
            Reader { component: &compiled.component, engine: &compiled.engine, left: MAX_COMPONENT, exports };
        let component = compiled.component.component_type();
        let own = component.exports(&compiled.engine).filter_map(|(name, item)| match item.ty {
            ComponentItem::Resource(ty) => Some((name.to_owned(), ty)),
            ComponentItem::ComponentFunc(_)
            | ComponentItem::ComponentInstance(_)
            | ComponentItem::CoreFunc(_)
            | ComponentItem::Module(_)
            | ComponentItem::Component(_)
            | ComponentItem::Type(_) => None,
        });
        let own: Vec<_> = own.collect();
        for (name, item) in component.exports(&compiled.engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => reader.function(name, &ty, &own, None),
                ComponentItem::ComponentInstance(instance) => reader.interface(name, &instance),
                ComponentItem::CoreFunc(_)
                | ComponentItem::Module(_)
                | ComponentItem::Component(_)
                | ComponentItem::Type(_)
                | ComponentItem::Resource(_) => {}
            }
        }
        reader.exports
    }
}

struct Reader<'c> {
    component: &'c Component,
    engine: &'c Engine,
    /// What is left of [`MAX_COMPONENT`].
    left: usize,
    exports: Exports,
}

/// An interface whose functions are being read.
struct Interface<'i> {
    name: &'i str,
    index: ComponentExportIndex,
}

impl Reader<'_> {
    fn interface(&mut self, name: &str, ty: &types::ComponentInstance) {
        let Some(index) = self.component.get_export_index(None, name) else { return };
        let interface = Interface { name, index };
        let (mut named, mut functions, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        for (name, item) in ty.exports(self.engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => functions.push((name.to_owned(), ty)),
                ComponentItem::Type(ty) => named.push((name.to_owned(), ty)),
                ComponentItem::Resource(ty) => resources.push((name.to_owned(), ty)),
                ComponentItem::CoreFunc(_)
                | ComponentItem::Module(_)
                | ComponentItem::Component(_)
                | ComponentItem::ComponentInstance(_) => {}
            }
        }
        let named = named.into_iter().filter_map(|(name, ty)| Some((name, self.shape(&ty, &resources).ok()?)));
        let named = named.collect();
        self.exports.interfaces.push(named);
        for (name, ty) in functions {
            self.function(&name, &ty, &resources, Some(&interface));
        }
    }

    fn function(
        &mut self,
        name: &str,
        ty: &ComponentFunc,
        resources: &[(String, ResourceType)],
        interface: Option<&Interface<'_>>,
    ) {
        let name = FunctionName { interface: interface.map(|known| known.name.to_owned()), function: name.to_owned() };
        let read = match &name.interface {
            Some(standard) if standard.starts_with(STANDARD) => Err(Unfit::Standard(standard.clone())),
            Some(_) | None => self.typed(name.clone(), ty, resources),
        };
        let index = self.component.get_export_index(interface.map(|known| &known.index), name.function.as_str());
        match (read, index) {
            (Ok(function), Some(index)) => {
                let interface = if interface.is_some() { self.exports.interfaces.len() - 1 } else { 0 };
                self.exports.functions.push(Found { function, index, interface });
            }
            (Err(reason), _) if self.exports.left_out.len() < MAX_LEFT_OUT => {
                self.exports.left_out.push(LeftOut { function: name, reason });
            }
            (Err(_), _) | (Ok(_), None) => {}
        }
    }

    fn typed(
        &mut self,
        name: FunctionName,
        ty: &ComponentFunc,
        resources: &[(String, ResourceType)],
    ) -> Result<Function, Unfit> {
        let unfit = |place: String| {
            move |flaw| match flaw {
                Flaw::Holds(what) => Unfit::Type { place, what },
                Flaw::TooLarge => Unfit::TooLarge,
            }
        };
        self.left = self.left.checked_sub(FUNCTION).ok_or(Unfit::TooLarge)?;
        let mut params = Vec::new();
        for (name, ty) in ty.params() {
            let shape = self.shape(&ty, resources).map_err(unfit(format!("its parameter `{name}`")))?;
            params.push((name.to_owned(), shape));
        }
        let result = ty.results().next().map(|ty| self.shape(&ty, resources)).transpose();
        Ok(Function { name, params, result: result.map_err(unfit("its result".to_owned()))? })
    }

    fn shape(&mut self, ty: &types::Type, resources: &[(String, ResourceType)]) -> Result<Type, Flaw> {
        let allowed = self.left.min(MAX_FUNCTION);
        let mut shapes = Shapes { left: allowed, depth: 0, resources };
        let shape = shapes.of(ty);
        self.left -= allowed - shapes.left;
        shape
    }
}

/// Why a type does not become a [`Type`].
enum Flaw {
    /// It holds this, which JSON cannot carry.
    Holds(String),
    TooLarge,
}

struct Shapes<'r> {
    left: usize,
    depth: usize,
    resources: &'r [(String, ResourceType)],
}

impl Shapes<'_> {
    fn spend(&mut self, cost: usize) -> Result<(), Flaw> {
        self.left = self.left.checked_sub(cost).ok_or(Flaw::TooLarge)?;
        Ok(())
    }

    fn of(&mut self, ty: &types::Type) -> Result<Type, Flaw> {
        self.spend(NODE)?;
        if self.depth == MAX_DEPTH {
            return Err(Flaw::TooLarge);
        }
        self.depth += 1;
        let shape = self.inner(ty);
        self.depth -= 1;
        shape
    }

    fn inner(&mut self, ty: &types::Type) -> Result<Type, Flaw> {
        let holds = |what: &str| Err(Flaw::Holds(what.to_owned()));
        Ok(match ty {
            types::Type::Bool => Type::Bool,
            types::Type::S8 => Type::Integer(Integer::S8),
            types::Type::U8 => Type::Integer(Integer::U8),
            types::Type::S16 => Type::Integer(Integer::S16),
            types::Type::U16 => Type::Integer(Integer::U16),
            types::Type::S32 => Type::Integer(Integer::S32),
            types::Type::U32 => Type::Integer(Integer::U32),
            types::Type::S64 => Type::Integer(Integer::S64),
            types::Type::U64 => Type::Integer(Integer::U64),
            types::Type::Float32 => Type::F32,
            types::Type::Float64 => Type::F64,
            types::Type::Char => Type::Char,
            types::Type::String => Type::Text,
            types::Type::List(list) if list.ty() == types::Type::U8 => Type::Bytes,
            types::Type::List(list) => Type::List(Box::new(self.of(&list.ty())?)),
            types::Type::Record(record) => Type::Record(
                record
                    .fields()
                    .map(|field| Ok((self.name(field.name)?, self.of(&field.ty)?)))
                    .collect::<Result<_, _>>()?,
            ),
            types::Type::Tuple(tuple) => Type::Tuple(tuple.types().map(|ty| self.of(&ty)).collect::<Result<_, _>>()?),
            types::Type::Variant(variant) => Type::Variant(
                variant
                    .cases()
                    .map(|case| Ok((self.name(case.name)?, case.ty.map(|ty| self.of(&ty)).transpose()?)))
                    .collect::<Result<_, _>>()?,
            ),
            types::Type::Enum(cases) => Type::Enum(self.names(cases.names())?),
            types::Type::Flags(flags) => Type::Flags(self.names(flags.names())?),
            types::Type::Option(option) => Type::Option(Box::new(self.of(&option.ty())?)),
            types::Type::Result(result) => Type::Result(self.maybe(result.ok())?, self.maybe(result.err())?),
            types::Type::Own(resource) | types::Type::Borrow(resource) => {
                let name = self.resources.iter().find(|(_, known)| known == resource);
                return Err(Flaw::Holds(match name {
                    Some((name, _)) => format!("the resource `{name}`"),
                    None => "a resource".to_owned(),
                }));
            }
            types::Type::Map(_) => return holds("a map"),
            types::Type::FixedLengthList(_) => return holds("a list of fixed length"),
            types::Type::Future(_) => return holds("a future"),
            types::Type::Stream(_) => return holds("a stream"),
            types::Type::ErrorContext => return holds("an error context"),
        })
    }

    fn maybe(&mut self, ty: Option<types::Type>) -> Result<Option<Box<Type>>, Flaw> {
        ty.map(|ty| self.of(&ty).map(Box::new)).transpose()
    }

    fn name(&mut self, name: &str) -> Result<String, Flaw> {
        self.spend(name.len())?;
        Ok(name.to_owned())
    }

    fn names<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> Result<Vec<String>, Flaw> {
        names.map(|name| self.spend(NODE).and_then(|()| self.name(name))).collect()
    }
}

/// The doc comments in the component's own custom sections, if it has any.
///
/// # Errors
/// Why they cannot be read.
pub(super) fn docs(wasm: &[u8]) -> Result<Docs, String> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| error.message().to_owned())?;
        if let Payload::CustomSection(section) = &payload
            && depth == 0
            && section.name() == Docs::SECTION
        {
            return Docs::read(section.data());
        }
        if matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) {
            depth += 1;
        } else if matches!(payload, Payload::End(_)) {
            depth = depth.saturating_sub(1);
        }
    }
    Ok(Docs::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_are_read_as_the_tools_of_the_component_model_write_them() {
        let mut resolve = wit_parser::Resolve::default();
        let text = "
            package a:b@1.0.0;
            interface c {
                /// Does f.
                f: func(how: level);
                g: func();
                enum level { low }
            }
            world w {
                /// Does h.
                export h: func();
                export inline: interface {
                    /// Does i.
                    i: func();
                }
                export c;
            }
        ";
        let package = resolve.push_str("test.wit", text).unwrap();
        let section = wit_parser::PackageMetadata::extract(&resolve, package).encode().unwrap();
        let docs = Docs::read(&section).unwrap();
        let said = |interface: Option<&str>, function: &str| {
            let name = FunctionName { interface: interface.map(str::to_owned), function: function.to_owned() };
            docs.function(&name).map(str::to_owned)
        };
        assert_eq!(said(Some("a:b/c@1.0.0"), "f").as_deref(), Some("Does f."));
        assert_eq!(said(Some("a:b/c@1.0.0"), "g"), None);
        assert_eq!(said(None, "h").as_deref(), Some("Does h."));
        assert_eq!(said(Some("inline"), "i").as_deref(), Some("Does i."));
    }
}
