//! What a component may be before anyone compiles it: counted in one pass, without recursion and next to no memory, so
//! that a file made to hurt costs a moment and is told what is wrong with it.
//!
//! The bounds are generous: each is several times what the largest components we know have (CPython with its libraries,
//! StarlingMonkey with an agent in it: 18 to 46 MB). They do not keep compiling cheap, the limits of the child do
//! (`guard.rs`); they name the cause where it can be known beforehand, and keep everything else in this process that reads
//! components from nesting without end.

use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternName, ComponentImport, ComponentType,
    ComponentTypeRef, CoreType, FunctionBody, Operator, Parser, Payload,
};

/// The most there may be of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// What is counted, as it stands in a sentence after `has`.
    pub what: &'static str,
    /// How many there may be.
    pub most: u64,
}

const fn bound(what: &'static str, most: u64) -> Bound {
    Bound { what, most }
}

/// A component larger than this is refused. It also bounds data and custom sections, which cost nothing but their size;
/// the largest component seen has 46 MB, 37 of them data.
pub const MAX_COMPONENT: u64 = 128 << 20;

/// Seen: 14. Each is compiled on its own and has its tables and metadata in the compiled code.
const MODULES: Bound = bound("core modules", 500);
/// Seen: 5, in a composition of two plugins.
const COMPONENTS: Bound = bound("nested components", 500);
/// Seen: 2. A reader keeps the state of all levels: 5,000 of them took half a gigabyte.
const COMPONENT_DEPTH: Bound = bound("levels of nested components", 50);
/// Seen: 90. A call may have 50 that do something; the rest are bundles of names.
const INSTANCES: Bound = bound("instances", 5_000);
/// Seen: 19,851. A function costs some 6 kB of memory while it is compiled, however small it is.
const FUNCTIONS: Bound = bound("functions", 200_000);
/// Seen: 2,162.
const CORE_TYPES: Bound = bound("core types", 50_000);
/// Seen: 371. Types grow with the types they are made of, so that few of them can mean much.
const COMPONENT_TYPES: Bound = bound("component types", 20_000);
/// Seen: 4. Readers of types call themselves for each level; a stack ends after some thousand.
const TYPE_DEPTH: Bound = bound("levels of nested types", 100);
/// Seen: 3,123 between the modules, 208 of the component.
const IMPORTS: Bound = bound("imports", 50_000);
/// Seen: 6,695.
const EXPORTS: Bound = bound("exports", 100_000);
/// Seen: 2,000. They cost next to nothing, but each is a step of instantiating.
const ALIASES: Bound = bound("aliases", 100_000);
/// Seen: 296. Each lifted or lowered function is code to compile.
const CANONICAL: Bound = bound("canonical functions", 20_000);
/// Seen: 893.
const GLOBALS: Bound = bound("globals", 100_000);
/// Seen: 4. A call may have 50.
const TABLES: Bound = bound("tables", 500);
/// Seen: 2. A call may have 16.
const MEMORIES: Bound = bound("memories", 500);
/// Seen: 10,000, the most that pre-initialising tools make.
const DATA_SEGMENTS: Bound = bound("data segments", 200_000);
/// Seen: 8.
const ELEMENT_SEGMENTS: Bound = bound("element segments", 100_000);
/// Seen: 756,477, the loop of an interpreter. Time to compile grows faster than the size.
const BODY: Bound = bound("bytes in one function", 4 << 20);
/// Seen: 2,265. What is alive at once is what allocating registers takes its time for.
const LOCALS: Bound = bound("local variables in one function", 20_000);
/// Seen: 781, the loop of an interpreter. Finding loops takes time with the square of it: 100,000 took 20 s, a million minutes.
const BLOCK_DEPTH: Bound = bound("levels of nested blocks in one function", 10_000);

/// Why a component is not even tried.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unfit {
    /// It has more of something than any component of use.
    #[error("it has {found} {}, and the host compiles at most {}", .bound.what, .bound.most)]
    TooMuch {
        /// Of what.
        bound: Bound,
        /// How many were found; where counting ended at the bound, one more than it.
        found: u64,
    },
    /// It is not well-formed.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl From<BinaryReaderError> for Unfit {
    fn from(error: BinaryReaderError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Bound {
    fn hold(self, found: u64) -> Result<(), Unfit> {
        if found > self.most { Err(Unfit::TooMuch { bound: self, found }) } else { Ok(()) }
    }
}

/// Checks a component against the bounds. Takes about as long as reading it.
///
/// # Errors
/// The first bound that is exceeded, or where it is damaged.
pub fn precheck(wasm: &[u8]) -> Result<(), Unfit> {
    let mut tally = Tally::default();
    for payload in Parser::new(0).parse_all(wasm) {
        tally.payload(&payload?, wasm)?;
    }
    Ok(())
}

/// What was counted so far, over everything that is nested.
#[derive(Default)]
struct Tally {
    counts: Vec<(Bound, u64)>,
    /// What we are in, from the outside inwards.
    levels: Vec<Level>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Component,
    Module,
}

impl Tally {
    /// Counts what a section says that it has: no item is read for that.
    fn payload(&mut self, payload: &Payload<'_>, wasm: &[u8]) -> Result<(), Unfit> {
        if let Some((bound, count)) = counted(payload) {
            self.add(bound, count)?;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "new kinds of sections are the engine's to refuse")]
        match payload {
            Payload::ModuleSection { .. } => self.enter(Level::Module),
            Payload::ComponentSection { .. } => self.enter(Level::Component),
            Payload::End(_) => {
                self.levels.pop();
                Ok(())
            }
            Payload::CodeSectionEntry(body) => check_body(body),
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let bytes = wasm.get(range.clone()).unwrap_or_default();
                check_types(BinaryReader::new(bytes, range.start))
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, level: Level) -> Result<(), Unfit> {
        self.levels.push(level);
        match level {
            Level::Module => self.add(MODULES, 1),
            Level::Component => {
                let depth = self.levels.iter().filter(|level| **level == Level::Component).count();
                COMPONENT_DEPTH.hold(depth as u64)?;
                self.add(COMPONENTS, 1)
            }
        }
    }

    fn add(&mut self, bound: Bound, count: u64) -> Result<(), Unfit> {
        let place = self.counts.iter().position(|(known, _)| *known == bound).unwrap_or_else(|| {
            self.counts.push((bound, 0));
            self.counts.len() - 1
        });
        let total = &mut self.counts[place].1;
        *total += count;
        bound.hold(*total)
    }
}

/// What a section counts for, and how many items it says that it has.
fn counted(payload: &Payload<'_>) -> Option<(Bound, u64)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not counted costs no more than its bytes")]
    let (bound, count) = match payload {
        Payload::TypeSection(section) => (CORE_TYPES, section.count()),
        Payload::CoreTypeSection(section) => (CORE_TYPES, section.count()),
        Payload::ComponentTypeSection(section) => (COMPONENT_TYPES, section.count()),
        Payload::ImportSection(section) => (IMPORTS, section.count()),
        Payload::ComponentImportSection(section) => (IMPORTS, section.count()),
        Payload::ExportSection(section) => (EXPORTS, section.count()),
        Payload::ComponentExportSection(section) => (EXPORTS, section.count()),
        Payload::FunctionSection(section) => (FUNCTIONS, section.count()),
        Payload::TableSection(section) => (TABLES, section.count()),
        Payload::MemorySection(section) => (MEMORIES, section.count()),
        Payload::GlobalSection(section) => (GLOBALS, section.count()),
        Payload::ElementSection(section) => (ELEMENT_SEGMENTS, section.count()),
        Payload::DataSection(section) => (DATA_SEGMENTS, section.count()),
        Payload::InstanceSection(section) => (INSTANCES, section.count()),
        Payload::ComponentInstanceSection(section) => (INSTANCES, section.count()),
        Payload::ComponentAliasSection(section) => (ALIASES, section.count()),
        Payload::ComponentCanonicalSection(section) => (CANONICAL, section.count()),
        _ => return None,
    };
    Some((bound, u64::from(count)))
}

fn check_body(body: &FunctionBody<'_>) -> Result<(), Unfit> {
    BODY.hold(body.range().len() as u64)?;
    let mut locals = 0;
    for group in body.get_locals_reader()? {
        locals += u64::from(group?.0);
        LOCALS.hold(locals)?;
    }
    let mut operators = body.get_operators_reader()?;
    let mut depth = 0_u64;
    while !operators.eof() {
        let operator = operators.read()?;
        if is_start_of_block(&operator) {
            depth += 1;
            BLOCK_DEPTH.hold(depth)?;
        } else if matches!(operator, Operator::End | Operator::Delegate { .. }) {
            depth = depth.saturating_sub(1);
        }
    }
    Ok(())
}

fn is_start_of_block(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. }
    )
}

/// The first bytes of the two types that hold declarations, and so can hold themselves.
const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;

/// Reads a section of component types and sees how deep they go. `wasmparser` has a function for that, which calls
/// itself for each level; here the levels are a list.
fn check_types(mut reader: BinaryReader<'_>) -> Result<(), Unfit> {
    // How many items each open level still has: types on the outermost, declarations on the others.
    let mut open = vec![reader.read_var_u32()?];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let is_type = open.len() == 1 || declaration(&mut reader)?;
        if is_type && let Some(declarations) = declarations_of_type(&mut reader)? {
            open.push(declarations);
            TYPE_DEPTH.hold(open.len() as u64 - 1)?;
        }
    }
    Ok(())
}

/// Reads a declaration, but for the type that some are; whether this is one of them.
fn declaration(reader: &mut BinaryReader<'_>) -> Result<bool, Unfit> {
    let place = reader.original_position();
    let read = match reader.read_u8()? {
        0x00 => reader.read::<CoreType<'_>>().map(|_| false),
        0x01 => Ok(true),
        0x02 => reader.read::<ComponentAlias<'_>>().map(|_| false),
        0x03 => reader.read::<ComponentImport<'_>>().map(|_| false),
        0x04 => reader.read::<ComponentExternName<'_>>().and_then(|_| reader.read::<ComponentTypeRef>()).map(|_| false),
        kind => {
            return Err(Unfit::Damaged(format!("a declaration of no known kind, {kind:#x} (at offset {place:#x})")));
        }
    };
    Ok(read?)
}

/// Reads a type. For one that holds declarations it reads only how many.
fn declarations_of_type(reader: &mut BinaryReader<'_>) -> Result<Option<u32>, BinaryReaderError> {
    if matches!(reader.clone().read_u8()?, COMPONENT_TYPE | INSTANCE_TYPE) {
        reader.read_u8()?;
        return reader.read_var_u32().map(Some);
    }
    reader.read::<ComponentType<'_>>().map(|_| None)
}
