//! What a program is put into, from the inside: the processes that stand between it and the keeper.
//!
//! With walls there are two. The first leaves the namespaces of the host; the second is the first process of the new PID
//! namespace: when it ends, for whatever reason, the kernel ends all that is in there. Without walls there is one, which
//! takes over whatever its descendants leave behind. Each ends when it hears no more from the keeper.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::UnshareFlags;

use super::office::{Checked, missing};
use super::view::{HOME, TEMPORARY, View};
use super::watch::{Bounds, Tree};
use super::wire::{self, Bid, Report};
use super::{Ended, LaunchError, Net, Over, rules};
use crate::ambient;
use crate::ambient::cage::Start;

/// Where programs are, for programs; the folder of the program itself comes before.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program's ends of its streams: input, output, error.
pub(super) type Streams = [OwnedFd; 3];

/// Is a cage, in a process that was the keeper's copy until now.
pub(super) fn be(keeper: &OwnedFd, streams: Streams, checked: Checked<'_>) -> ! {
    let [input, output, error] = &streams;
    let kept = ambient::cage::keep_only(&[keeper.as_fd(), input.as_fd(), output.as_fd(), error.as_fd()]);
    let done = kept.map_err(failed).and_then(|()| {
        if checked.program.sandbox {
            with_walls(keeper, streams, checked)
        } else {
            without_walls(keeper, streams, checked)
        }
    });
    if let Err(why) = done {
        let _ = wire::send(keeper.as_fd(), &Report::Refused(why), &[]);
    }
    ambient::cage::end()
}

fn failed(error: impl Into<io::Error>) -> LaunchError {
    LaunchError::Failed(error.into().to_string())
}

fn with_walls(keeper: &OwnedFd, streams: Streams, checked: Checked<'_>) -> Result<(), LaunchError> {
    ambient::first_when_memory_ends();
    let view = View::of(&checked)?;
    leave_namespaces()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    ambient::cage::loopback_up()
        .map_err(|error| LaunchError::Cage(format!("its loopback device cannot be switched on: {error}")))?;
    let proxy = match checked.program.net {
        Net::Nothing | Net::Host => None,
        Net::Proxy => Some(ambient::cage::listen_in_namespace().map_err(failed)?),
    };
    if let Some(first) = ambient::cage::fork().map_err(failed)? {
        // Nothing of these is kept open, or kept at all, where it is not needed.
        drop((streams, proxy, checked));
        let _ = rustix::process::waitpid(Some(first), WaitOptions::empty());
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    rustix::process::setsid().map_err(failed)?;
    ambient::cage::limit_process_numbers(checked.program.processes);
    view.raise()?;
    let bounds = Bounds::from(checked.program);
    let program = start(streams, checked, Some(&view), proxy.as_ref())?;
    report_start(keeper, proxy)?;
    tend(keeper, program, Tree::Namespace, bounds).map_err(failed)
}

fn without_walls(keeper: &OwnedFd, streams: Streams, checked: Checked<'_>) -> Result<(), LaunchError> {
    ambient::first_when_memory_ends();
    rustix::process::setsid().map_err(failed)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(failed)?;
    let bounds = Bounds::from(checked.program);
    let scratch = checked.scratch.clone();
    let program = start(streams, checked, None, None)?;
    report_start(keeper, None)?;
    let tended = tend(keeper, program, Tree::Descendants, bounds);
    let _ = scratch.map(|scratch| ambient::remove_tree(&scratch));
    tended.map_err(failed)
}

fn report_start(keeper: &OwnedFd, proxy: Option<TcpListener>) -> Result<(), LaunchError> {
    let proxy = proxy.map(OwnedFd::from);
    let files: Vec<_> = proxy.iter().map(|proxy| proxy.as_fd()).collect();
    wire::send(keeper.as_fd(), &Report::Started, &files).map_err(failed)
}

/// Leaves the namespaces of the host. The user namespace comes first: in a new one, everybody may make the others.
fn leave_namespaces() -> Result<(), LaunchError> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    match ambient::cage::leave(UnshareFlags::NEWUSER) {
        Ok(()) => {
            let named = ambient::cage::keep_own_names(user.as_raw(), group.as_raw());
            named.map_err(|error| LaunchError::Cage(format!("no user namespace of its own: {error}")))?;
        }
        // It can make the others all the same.
        Err(_) if user.is_root() => {}
        Err(error) => {
            return Err(LaunchError::Cage(format!(
                "no user namespace of its own: {error} (the kernel's `user.max_user_namespaces`, \
                 `kernel.unprivileged_userns_clone` or `kernel.apparmor_restrict_unprivileged_userns` may forbid it, or \
                 the container around the host)"
            )));
        }
    }
    let others = [
        (UnshareFlags::NEWNS, "mount"),
        (UnshareFlags::NEWPID, "PID"),
        (UnshareFlags::NEWNET, "network"),
        (UnshareFlags::NEWIPC, "IPC"),
    ];
    for (flag, name) in others {
        let left = ambient::cage::leave(flag);
        left.map_err(|error| LaunchError::Cage(format!("no {name} namespace of its own: {error}")))?;
    }
    Ok(())
}

/// Starts the program as a child of this process, and waits until it is one.
fn start(
    streams: Streams,
    checked: Checked<'_>,
    view: Option<&View>,
    proxy: Option<&TcpListener>,
) -> Result<Pid, LaunchError> {
    let (mut trouble, mut said) = io::pipe().map_err(failed)?;
    let Some(program) = ambient::cage::fork().map_err(failed)? else {
        drop(trouble);
        let why = become_program(streams, &checked, view, proxy);
        let _ = serde_json::to_vec(&why).map(|why| said.write_all(&why));
        ambient::cage::end();
    };
    drop((streams, said));
    let mut why = Vec::new();
    // It ends without a word when the program takes the place of what could say one.
    trouble.read_to_end(&mut why).map_err(failed)?;
    if why.is_empty() { Ok(program) } else { Err(serde_json::from_slice(&why).map_err(failed)?) }
}

/// Comes back only when that fails.
fn become_program(
    streams: Streams,
    checked: &Checked<'_>,
    view: Option<&View>,
    proxy: Option<&TcpListener>,
) -> LaunchError {
    match prepare(checked, view) {
        Ok(()) => {}
        Err(why) => return why,
    }
    let Checked { program, file, launch, scratch } = checked;
    let own = proxy.and_then(|proxy| proxy.local_addr().ok()).map(|address| format!("http://{address}"));
    let folder = file.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    // What lies beside it comes first, as its interpreter does.
    let others = PATH.split(':').filter(|other| *other != folder);
    let path = std::iter::once(folder.as_str()).chain(others).collect::<Vec<_>>().join(":");
    let scratch = scratch.as_deref().map(|scratch| scratch.display().to_string());
    let mut environment = BTreeMap::from([("PATH", path.as_str()), ("LANG", "C.UTF-8")]);
    environment.insert("HOME", scratch.as_deref().unwrap_or(HOME));
    environment.insert("TMPDIR", scratch.as_deref().unwrap_or(TEMPORARY));
    environment.extend(program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment.extend(launch.variables.iter().map(|(name, value)| (name.as_str(), value.0.as_str())));
    if let Some(own) = &own {
        // Last, because there is no other way out.
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        environment.extend(names.map(|name| (name, own.as_str())));
        environment.extend([("NO_PROXY", ""), ("no_proxy", ""), ("NODE_USE_ENV_PROXY", "1")]);
    }
    let Some(name) = program.argv.first() else { return LaunchError::Denied("it has no name".to_owned()) };
    let arguments = program.argv.iter().skip(1).chain(&launch.arguments).map(String::as_str).collect();
    let error = ambient::cage::become_program(file, Start { name, arguments, environment, streams });
    let path = file.display().to_string();
    if error.kind() == io::ErrorKind::NotFound {
        return missing("what runs", &path, ": its first line names an interpreter that this program does not find");
    }
    LaunchError::Failed(format!("`{path}`: {error}"))
}

/// Becomes what the program may be.
fn prepare(checked: &Checked<'_>, view: Option<&View>) -> Result<(), LaunchError> {
    let Checked { program, launch, scratch, .. } = checked;
    rustix::process::setsid().map_err(failed)?;
    ambient::cage::hand_on_no_files().map_err(failed)?;
    rules::limit(program)?;
    let fallback = scratch.as_deref().unwrap_or(HOME.as_ref());
    let folder = launch.cwd.as_deref().or(program.cwd.as_deref()).unwrap_or(fallback);
    rustix::process::chdir(folder)
        .map_err(|error| LaunchError::Failed(format!("it cannot start in `{}`: {error}", folder.display())))?;
    if view.is_some() {
        rules::give_up_privileges()?;
    }
    rustix::thread::set_no_new_privs(true).map_err(failed)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    view.map_or(Ok(()), rules::hold)
}

/// Waits until the program has ended, and ends it before when the keeper says so, is gone, or it takes too much. Then
/// nothing of it is left.
fn tend(keeper: &OwnedFd, program: Pid, tree: Tree, bounds: Bounds) -> io::Result<()> {
    let over = Arc::new(Mutex::new(None));
    let heard = keeper.try_clone()?;
    // It ends with this process.
    std::thread::Builder::new().spawn({
        let over = Arc::clone(&over);
        move || {
            let limit = guard(&heard, program, tree, bounds);
            *over.lock().unwrap_or_else(PoisonError::into_inner) = limit;
            tree.fell();
        }
    })?;
    let status = wait_for(program);
    let over = *over.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = status.map_or(Ended::KILLED, |status| ended(status, over));
    // The keeper may be gone.
    let _ = wire::send(keeper.as_fd(), &Report::Ended(ended), &[]);
    if tree == Tree::Descendants {
        // Of a namespace, the kernel ends what is left.
        tree.uproot();
    }
    Ok(())
}

fn ended(status: WaitStatus, over: Option<Over>) -> Ended {
    Ended { code: status.exit_status(), signal: status.terminating_signal(), over }
}

/// How the program ended. Whatever else ends meanwhile is forgotten.
fn wait_for(program: Pid) -> Option<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Some(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Watches over a program until it has to be ended: for a limit, or because the keeper wants it, or is gone.
fn guard(keeper: &OwnedFd, program: Pid, tree: Tree, bounds: Bounds) -> Option<Over> {
    let mut pause = Duration::ZERO;
    loop {
        let patience = Timespec { tv_sec: pause.as_secs().cast_signed(), tv_nsec: pause.subsec_nanos().into() };
        let mut awaited = [PollFd::new(keeper, PollFlags::IN)];
        let n_ready = rustix::io::retry_on_intr(|| poll(&mut awaited, Some(&patience))).unwrap_or_default();
        if n_ready > 0 {
            match wire::receive::<Bid>(keeper.as_fd()) {
                // To all of its session: a shell does not pass it on.
                Ok(Some((Bid::Terminate, _))) => drop(rustix::process::kill_process_group(program, Signal::TERM)),
                Ok(None) | Err(_) => return None,
            }
        }
        match tree.look(bounds) {
            Ok(next) => pause = next,
            Err(over) => return Some(over),
        }
    }
}
