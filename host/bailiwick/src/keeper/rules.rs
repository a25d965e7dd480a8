//! What a program in a cage may do: with files (Landlock, where the kernel has it, beside what mounts hold already), with
//! the kernel (a filter of system calls), and as root (nothing that its user could not).

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, Scope,
    make_bitflags,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::view::{SCRATCH, View};
use super::{LaunchError, Program};
use crate::ambient;
use crate::ambient::cage::Through;
use crate::confine;

/// The newest version of Landlock's interface that this was tried with. Of an older kernel, what it has is used.
const TRIED: ABI = ABI::V7;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});
const DEVICES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile});
/// Pipes, sockets and devices are not among what can be made: who finds one in the folder could be kept waiting by it.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | Execute | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});
/// Nobody else finds what is in there.
const OF_SCRATCH: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | MakeFifo | MakeSock | RemoveFile
    | RemoveDir | Refer
});
/// The same for `/tmp`, below which there may be what is granted.
const BESIDE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});
const OF_FILES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Execute | Truncate});
/// Queues of messages stay in memory without belonging to anybody's.
const NO_QUEUES: u64 = 0;

/// Sets the limits that hold for each process by itself.
pub(super) fn limit(program: &Program) -> Result<(), LaunchError> {
    let set = |resource, most: u64| {
        let failed = |error| LaunchError::Failed(format!("a limit cannot be set: {error}"));
        // What this process has itself is less, sometimes, and cannot be raised again.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |own| own.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(failed)
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, program.file_size)?;
    set(Resource::Nofile, u64::from(program.open_files))?;
    set(Resource::Data, program.memory.saturating_mul(SPARE))?;
    set(Resource::Msgqueue, NO_QUEUES)?;
    if program.sandbox {
        // Outside of a user namespace this counts what its user runs elsewhere.
        set(Resource::Nproc, u64::from(program.processes.saturating_add(OF_CAGE)))?;
    }
    Ok(())
}

/// Programs reserve more memory than they fill, mostly for the stacks of threads. What they fill is measured; this ends
/// what reserves without end.
const SPARE: u64 = 4;
/// Threads of the cage itself.
const OF_CAGE: u32 = 4;

/// Gives up whatever root could do that its user could not, for good.
pub(super) fn give_up_privileges() -> Result<(), LaunchError> {
    let failed = |error: rustix::io::Errno| LaunchError::Cage(format!("privileges cannot be given up: {error}"));
    for bit in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The first number that this kernel does not know.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    rustix::thread::clear_ambient_capability_set().map_err(failed)?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none).map_err(failed)
}

/// Holds this process, and what it becomes, to what it is shown.
pub(super) fn hold(view: &View) -> Result<(), LaunchError> {
    restrict(view).map_err(|error| LaunchError::Cage(format!("Landlock refuses: {error}")))?;
    confine::hold_program().map_err(|error| LaunchError::Cage(format!("no filter of system calls: {error}")))
}

/// A kernel without Landlock leaves files to the mounts, which hold the same but for what is made in a folder.
fn restrict(view: &View) -> Result<(), landlock::RulesetError> {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(TRIED))?.scope(Scope::from_all(TRIED))?;
    let mut created = ruleset.create()?;
    let of_scratch = if view.installs() { OF_SCRATCH | AccessFs::Execute } else { OF_SCRATCH };
    let own = [
        ("/", BitFlags::from(AccessFs::ReadDir)),
        ("/proc", READ),
        (SCRATCH, of_scratch),
        ("/tmp", BESIDE),
        ("/dev/shm", OF_SCRATCH),
    ];
    let own = own.into_iter().map(|(path, access)| (std::path::Path::new(path), access));
    let shown = view.places().map(|(path, through)| {
        let access = match through {
            Through::Read => READ,
            Through::Write => WRITE,
            Through::Devices => DEVICES,
        };
        (path, access)
    });
    for (path, access) in own.chain(shown) {
        let Ok(place) = ambient::open_place(path) else { continue };
        let is_folder = place.metadata().is_ok_and(|metadata| metadata.is_dir());
        let access = if is_folder { access } else { access & OF_FILES };
        created = created.add_rule(PathBeneath::new(place, access))?;
    }
    created.restrict_self().map(drop)
}
