//! Files, TCP ports, signals and devices, held by Landlock.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope, make_bitflags,
};

use bailiwick_core::confine::{Confinement, Reach, Sockets};

use super::ConfineError;
use crate::ambient;

/// The newest version of Landlock's interface that this was tried with. Of an older kernel, what it has is used.
const TRIED: ABI = ABI::V7;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const RUN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});
const USE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile});
/// Devices, pipes and sockets are not among what can be made: opening one can hang a host, or lead out of it.
const CHANGE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});
/// What of these makes sense for a single file.
const OF_FILES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Execute | Truncate});

fn access(reach: Reach) -> BitFlags<AccessFs> {
    match reach {
        Reach::Read => READ,
        Reach::Run => RUN,
        Reach::Use => USE,
        Reach::Change => CHANGE,
    }
}

/// Confines this thread, and all it starts from here on. Gives the version of Landlock that holds it, or why there is no
/// Landlock.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(super) fn restrict(confinement: &Confinement) -> Result<Result<u32, &'static str>, ConfineError> {
    let refused = |error: landlock::RulesetError| ConfineError::Refused(error.to_string());
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(TRIED)).map_err(refused)?;
    ruleset = ruleset.scope(Scope::from_all(TRIED)).map_err(refused)?;
    ruleset = match confinement.sockets {
        Sockets::None | Sockets::Tcp => ruleset.handle_access(AccessNet::from_all(TRIED)).map_err(refused)?,
        Sockets::Any => ruleset,
    };
    let mut created = ruleset.create().map_err(refused)?;
    for rule in &confinement.files {
        // What is gone since the plan was made stays out of reach.
        let Ok(place) = ambient::open_place(&rule.path) else { continue };
        let is_folder = place.metadata().is_ok_and(|metadata| metadata.is_dir());
        let access = if is_folder { access(rule.reach) } else { access(rule.reach) & OF_FILES };
        created = created.add_rule(PathBeneath::new(place, access)).map_err(refused)?;
    }
    for port in confinement.ports() {
        created = created.add_rule(NetPort::new(port, AccessNet::ConnectTcp)).map_err(refused)?;
    }
    let status = created.restrict_self().map_err(refused)?;
    Ok(match status.landlock {
        LandlockStatus::NotEnabled => Err("Landlock is switched off in this kernel"),
        LandlockStatus::NotImplemented => Err("this kernel has no Landlock (since Linux 5.13)"),
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            Ok(kernel_abi.and_then(|abi| u32::try_from(abi).ok()).unwrap_or(effective_abi as u32))
        }
    })
}
