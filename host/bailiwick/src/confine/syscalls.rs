//! What Landlock does not know: system calls that the host never makes are refused.
//!
//! A list of what is refused, not of what is allowed: the engine, the allocator and the C library are free to change how
//! they do their work. It is for what would lead around Landlock (other kinds of sockets, modes and owners of files,
//! terminals), into other processes, or deep into the kernel, where most escapes from such walls begin.

use std::collections::BTreeMap;

use libc::{AF_INET, AF_INET6, AF_UNIX, EPERM, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use bailiwick_core::confine::{Life, Sockets};

/// Newer than the crate that has the others' numbers; the same on every processor.
const SYS_FCHMODAT2: i64 = 452;
const SYS_SETXATTRAT: i64 = 463;
const SYS_REMOVEXATTRAT: i64 = 466;
const SYS_OPEN_TREE_ATTR: i64 = 467;
const SYS_FILE_SETATTR: i64 = 469;

/// Into other processes: their memory, their files.
const PROCESSES: [i64; 7] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
];

/// Namespaces and mounts: other walls, to be put up by who starts the host.
const NAMESPACES: [i64; 14] = [
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
];

/// Deep into the kernel, by ways that tools do not need and attacks like.
const KERNEL: [i64; 15] = [
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    libc::SYS_personality,
    libc::SYS_lookup_dcookie,
    libc::SYS_syslog,
    libc::SYS_quotactl,
];

/// The machine itself. Only root could, and a host may run as root.
const MACHINE: [i64; 17] = [
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl_fd,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_nfsservctl,
];

/// Another user.
const USERS: [i64; 10] = [
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
];

/// Modes, owners and attributes of files, which Landlock leaves alone wherever they are; and files that are none.
const FILES: [i64; 14] = [
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
];

/// Waiting for others to connect. Landlock refuses to take a port; this is for a socket that takes any.
const LISTENING: [i64; 3] = [libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4];
/// What a server needs of it: its socket listens already.
const ACCEPTING: [i64; 2] = [libc::SYS_accept, libc::SYS_accept4];

/// What only this processor has.
#[cfg(target_arch = "x86_64")]
const OF_PROCESSOR: [i64; 11] = [
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_PROCESSOR: [i64; 0] = [];

/// The numbers of the system calls that are refused whatever their arguments. For tests, which make each of them.
#[must_use]
pub fn refused_everywhere() -> Vec<i64> {
    let lists: [&[i64]; 9] =
        [&PROCESSES, &NAMESPACES, &KERNEL, &MACHINE, &USERS, &FILES, &LISTENING, &OF_PROCESSOR, &[libc::SYS_mknodat]];
    lists.concat()
}

/// Namespaces that `clone` could make.
const NEW_NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Types into the terminal that the host was started from, as if a person did.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// Filters the system calls of this thread, and of all it starts from here on. What is refused is noted in the kernel's
/// log.
///
/// # Errors
/// Why there is no filter.
pub(super) fn filter(sockets: Sockets, life: Life) -> Result<(), String> {
    let refusals = refusals(sockets, life).map_err(|error| error.to_string())?;
    // Not noted: every program that starts a thread makes one of these once, to see whether it can.
    install(&unknown(), 0)?;
    install(&refusals, libc::SECCOMP_FILTER_FLAG_LOG)
}

/// Filters the system calls of a program in a cage. It may be anything, so that what is refused leads out of the cage, deep
/// into the kernel, or to memory that nobody counts. Not noted: it could have the kernel's log filled.
///
/// # Errors
/// Why there is no filter.
pub(super) fn filter_program() -> Result<(), String> {
    let refusals = refusals_of_programs().map_err(|error| error.to_string())?;
    let absent = absent_for_programs().map_err(|error| error.to_string())?;
    install(&unknown(), 0)?;
    install(&absent, 0)?;
    install(&refusals, 0)
}

/// What programs do without where a kernel does not have it: other ways into the kernel, memory that belongs to no process,
/// and calls whose arguments a filter cannot judge.
const ABSENT: [i64; 6] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_memfd_create,
    libc::SYS_shmget,
    libc::SYS_openat2,
];

fn absent_for_programs() -> Result<BpfProgram, BackendError> {
    let rules = ABSENT.into_iter().map(|number| (number, Vec::new())).collect();
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, absent, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn refusals_of_programs() -> Result<BpfProgram, BackendError> {
    let lists: [&[i64]; 4] = [&PROCESSES, &NAMESPACES, &KERNEL, &MACHINE];
    let numbers = lists.concat().into_iter().filter(|number| !ABSENT.contains(number));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = numbers.map(|number| (number, Vec::new())).collect();
    let flag = |argument, flag: i32| only_if(&[(argument, SeccompCmpOp::MaskedEq(bits(flag)), bits(flag))]);
    rules.insert(libc::SYS_clone, NEW_NAMESPACES.into_iter().map(|new| flag(0, new)).collect::<Result<_, _>>()?);
    let terminal = [TIOCSTI, TIOCLINUX].map(|command| only_if(&[(1, SeccompCmpOp::Eq, command)]));
    rules.insert(libc::SYS_ioctl, terminal.into_iter().collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_socket, sockets_of_programs()?);
    for (call, mode) in MODES {
        rules.insert(call, AS_OTHERS.into_iter().map(|bit| flag(mode, bit)).collect::<Result<_, _>>()?);
    }
    for (call, flags, mode) in OPENING {
        rules.insert(call, made_as_others(flags, mode)?);
    }
    let processor = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refused, processor)?.try_into()
}

/// Sockets that no network namespace holds, or that reach deep into the kernel. Of netlink, what lists a network's devices
/// is left: the C library asks it.
fn sockets_of_programs() -> Result<Vec<SeccompRule>, BackendError> {
    let families = unless(0, &[AF_UNIX, AF_INET, AF_INET6, libc::AF_NETLINK])?;
    let netlink =
        only_if(&[(0, SeccompCmpOp::Eq, bits(libc::AF_NETLINK)), (2, SeccompCmpOp::Ne, bits(libc::NETLINK_ROUTE))])?;
    Ok(vec![families, netlink])
}

/// Files that act as their owner, whoever starts them: a host that runs as root must not find such a one in a granted
/// folder, where others could start it.
const AS_OTHERS: [i32; 2] = [libc::S_ISUID.cast_signed(), libc::S_ISGID.cast_signed()];

/// Calls that set a file's mode, and which argument that is.
#[cfg(target_arch = "x86_64")]
const MODES: [(i64, u8); 7] = [
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (SYS_FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    (libc::SYS_chmod, 1),
    (libc::SYS_creat, 1),
    (libc::SYS_mknod, 1),
];
#[cfg(not(target_arch = "x86_64"))]
const MODES: [(i64, u8); 4] =
    [(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (SYS_FCHMODAT2, 2), (libc::SYS_mknodat, 2)];

/// Calls that may make a file, with the arguments for how and for its mode.
#[cfg(target_arch = "x86_64")]
const OPENING: [(i64, u8, u8); 2] = [(libc::SYS_open, 1, 2), (libc::SYS_openat, 2, 3)];
#[cfg(not(target_arch = "x86_64"))]
const OPENING: [(i64, u8, u8); 1] = [(libc::SYS_openat, 2, 3)];

/// The mode of a file that is not made may be anything.
fn made_as_others(flags: u8, mode: u8) -> Result<Vec<SeccompRule>, BackendError> {
    const UNNAMED: i32 = 0o20_000_000;
    let mut rules = Vec::new();
    for making in [libc::O_CREAT, UNNAMED] {
        for bit in AS_OTHERS {
            let has = |argument, flag: i32| (argument, SeccompCmpOp::MaskedEq(bits(flag)), bits(flag));
            rules.push(only_if(&[has(flags, making), has(mode, bit)])?);
        }
    }
    Ok(rules)
}

/// Calls that are refused as if this kernel did not have them.
///
/// `clone3` hides its flags from a filter; without it, the C library takes `clone`. On x86-64, numbers from
/// `0x4000_0000` on are those of another way to make the same calls, which would pass a list of the ordinary numbers.
fn unknown() -> BpfProgram {
    const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let jump = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let give = |k| sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    vec![
        LOAD_NUMBER,
        jump(0x35, 0x4000_0000, 2, 0),
        jump(0x15, clone3, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        give(unknown),
    ]
}

fn refusals(sockets: Sockets, life: Life) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        refused_everywhere().into_iter().map(|number| (number, Vec::new())).collect();
    let flag = |argument, flag: i32| only_if(&[(argument, SeccompCmpOp::MaskedEq(bits(flag)), bits(flag))]);
    rules.insert(libc::SYS_clone, NEW_NAMESPACES.into_iter().map(|new| flag(0, new)).collect::<Result<_, _>>()?);
    let terminal = [TIOCSTI, TIOCLINUX].map(|command| only_if(&[(1, SeccompCmpOp::Eq, command)]));
    rules.insert(libc::SYS_ioctl, terminal.into_iter().collect::<Result<_, _>>()?);
    if sockets != Sockets::Any {
        // Sends with this flag connect on their way, past Landlock.
        for (call, argument) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            rules.insert(call, vec![flag(argument, libc::MSG_FASTOPEN)?]);
        }
        rules.insert(libc::SYS_socketpair, pairs()?);
        rules.insert(libc::SYS_socket, kinds(sockets)?);
    } else {
        for listening in LISTENING {
            rules.remove(&listening);
        }
    }
    match life {
        Life::Once | Life::Serving => {}
        Life::Listening => ACCEPTING.iter().for_each(|accepting| drop(rules.remove(accepting))),
    }
    let processor = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refused, processor)?.try_into()
}

/// Of sockets, all but TCP: Landlock knows the ports of no others, and those of this machine lead to services that do
/// for their caller what it must not do itself.
fn kinds(sockets: Sockets) -> Result<Vec<SeccompRule>, BackendError> {
    match sockets {
        Sockets::Any | Sockets::None => Ok(Vec::new()),
        Sockets::Tcp => {
            let families = unless(0, &[AF_INET, AF_INET6])?;
            let types = unless(1, &with_flags(SOCK_STREAM))?;
            // No MPTCP and no SCTP, whose ports Landlock does not look at.
            let protocols = unless(2, &[libc::IPPROTO_IP, libc::IPPROTO_TCP])?;
            Ok(vec![families, types, protocols])
        }
    }
}

/// Of pairs of sockets, those that could be connected to somebody else.
fn pairs() -> Result<Vec<SeccompRule>, BackendError> {
    let connected = [with_flags(SOCK_STREAM), with_flags(SOCK_SEQPACKET)].concat();
    Ok(vec![unless(0, &[AF_UNIX])?, unless(1, &connected)?])
}

fn with_flags(kind: i32) -> [i32; 4] {
    [kind, kind | SOCK_CLOEXEC, kind | SOCK_NONBLOCK, kind | SOCK_CLOEXEC | SOCK_NONBLOCK]
}

/// Refuses when an argument is none of these.
fn unless(argument: u8, allowed: &[i32]) -> Result<SeccompRule, BackendError> {
    let conditions: Vec<_> = allowed.iter().map(|value| (argument, SeccompCmpOp::Ne, bits(*value))).collect();
    only_if(&conditions)
}

/// Refuses when all of these hold.
fn only_if(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let condition = |(argument, operator, value): &(u8, SeccompCmpOp, u64)| {
        // The kernel takes the lower half of these arguments, and so must whoever judges them.
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// Hands a program to the kernel.
#[expect(unsafe_code, reason = "the crate that writes filters cannot ask for refusals to be logged")]
fn install(program: &BpfProgram, flags: libc::c_ulong) -> Result<(), String> {
    let length = u16::try_from(program.len()).map_err(|_| "the filter is too long".to_owned())?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    let failed = || std::io::Error::last_os_error().to_string();
    // SAFETY: the call takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(failed());
    }
    // SAFETY: `program` names `length` instructions, laid out as the kernel has them; it reads them before the call ends
    // and writes nothing.
    let installed =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if installed == 0 { Ok(()) } else { Err(failed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program that looks at numbers alone answers to one.
    fn answer(program: &BpfProgram, number: u32) -> u32 {
        let mut at = 0;
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            let holds = match code {
                0x20 => {
                    assert_eq!(k, 0, "it looks at the number");
                    at += 1;
                    continue;
                }
                0x15 => number == k,
                0x35 => number >= k,
                0x06 => return k,
                other => panic!("{other:#x} is no instruction of such a program"),
            };
            at += 1 + usize::from(if holds { jt } else { jf });
        }
    }

    #[test]
    fn what_a_list_of_numbers_cannot_judge_is_not_there() {
        let not_there = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        let number = |call: i64| u32::try_from(call).unwrap();
        for call in [number(libc::SYS_clone3), 0x4000_0000 | number(libc::SYS_ptrace), 0x4000_0000 + 521, u32::MAX] {
            assert_eq!(answer(&unknown(), call), not_there, "{call:#x}");
        }
        for call in [libc::SYS_clone, libc::SYS_openat, libc::SYS_read, libc::SYS_clone3 - 1, libc::SYS_clone3 + 1] {
            assert_eq!(answer(&unknown(), number(call)), libc::SECCOMP_RET_ALLOW, "{call}");
        }
    }

    #[test]
    fn the_filters_of_programs_compile() {
        assert!(refusals_of_programs().unwrap().len() > PROCESSES.len() + NAMESPACES.len() + MACHINE.len());
        assert!(absent_for_programs().unwrap().len() > ABSENT.len());
    }

    #[test]
    fn no_call_is_listed_twice_and_every_filter_compiles() {
        let refused = refused_everywhere();
        let once: std::collections::BTreeSet<i64> = refused.iter().copied().collect();
        assert_eq!(once.len(), refused.len());
        for sockets in [Sockets::None, Sockets::Tcp, Sockets::Any] {
            for life in [Life::Once, Life::Serving, Life::Listening] {
                assert!(refusals(sockets, life).unwrap().len() > refused.len(), "{sockets:?} {life:?}");
            }
        }
    }
}
