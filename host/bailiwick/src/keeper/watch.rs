//! What all that a program started takes together, which no limit of a single process holds; and how it is ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::{Over, Program};
use crate::ambient;
use crate::ambient::cage::Process;

/// As fast as memory fills on a fast machine, a second.
const FILLS: u64 = 2 << 30;
/// How long nobody looks, at least and at most.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How often what runs is ended, a millisecond after the other.
const ROUNDS: usize = 2_000;

/// What belongs to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// All of this PID namespace but this process.
    Namespace,
    /// All that descends from this process.
    Descendants,
}

/// The limits of a program and all it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    memory: u64,
    processes: u64,
}

impl From<&Program> for Bounds {
    fn from(program: &Program) -> Self {
        Self { memory: program.memory, processes: u64::from(program.processes) }
    }
}

impl Tree {
    /// Its processes that still run.
    fn members(self) -> Vec<Process> {
        let own = rustix::process::getpid();
        let Ok(mut all) = ambient::cage::processes() else { return Vec::new() };
        match self {
            Self::Namespace => all.retain(|one| one.pid != own),
            Self::Descendants => {
                let below = descendants(number(own), &all);
                all.retain(|one| below.contains(&number(one.pid)));
            }
        }
        all.retain(|one| one.runs);
        all
    }

    /// Looks at what it takes: which of the bounds it is over, or when to look again.
    pub(super) fn look(self, bounds: Bounds) -> Result<Duration, Over> {
        let members = self.members();
        let threads: u64 = members.iter().map(|one| one.threads).sum();
        if threads > bounds.processes {
            return Err(Over::Processes);
        }
        let mut memory: u64 = members.iter().map(|one| one.memory).sum();
        if memory > bounds.memory {
            // Pages that several share were counted for each. Seen twice, because shares grow while processes end.
            memory = self.shares().min(self.shares());
        }
        if memory > bounds.memory {
            return Err(Over::Memory);
        }
        Ok(pause(bounds, memory, threads))
    }

    fn shares(self) -> u64 {
        let share = |one: &Process| ambient::cage::own_share_of_memory(one.pid).unwrap_or(one.memory);
        self.members().iter().map(share).sum()
    }

    /// Ends all of it, again and again until nothing is seen to run: what is ended may just have started something.
    pub(super) fn fell(self) {
        for _ in 0..ROUNDS {
            if self.strike() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The same until this process has no child, which the kernel knows: who loses its parent becomes one. What is seen may
    /// lack somebody whose parent ended while it was looked for. How what is left ended is forgotten.
    pub(super) fn uproot(self) {
        for _ in 0..ROUNDS {
            loop {
                match rustix::process::wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            self.strike();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends what runs now; how many that are.
    fn strike(self) -> usize {
        let members = self.members();
        for one in &members {
            let _ = rustix::process::kill_process(one.pid, Signal::KILL);
        }
        members.len()
    }
}

/// How long a program cannot get over its bounds, by and large.
fn pause(bounds: Bounds, memory: u64, threads: u64) -> Duration {
    let (least, most) = BETWEEN;
    if threads > bounds.processes / 2 {
        return least;
    }
    let free = bounds.memory.saturating_sub(memory);
    Duration::from_millis(free.saturating_mul(1_000) / FILLS).clamp(least, most)
}

fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// The numbers of all that descend from a process.
fn descendants(root: i32, all: &[Process]) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for one in all {
        children.entry(one.parent).or_default().push(number(one.pid));
    }
    let (mut found, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process { pid: Pid::from_raw(pid).unwrap(), parent, runs: true, threads: 1, memory: 0 }
    }

    #[test]
    fn descendants_are_found_however_far_down() {
        let all = [process(5, 1), process(6, 5), process(7, 6), process(8, 1), process(9, 8)];
        let pids = |root| descendants(root, &all).into_iter().collect::<Vec<_>>();
        assert_eq!(pids(5), [6, 7]);
        assert_eq!(pids(8), [9]);
        assert!(pids(7).is_empty());
        assert_eq!(descendants(2, &[process(2, 2)]).len(), 1, "a circle has an end");
    }

    #[test]
    fn the_fuller_the_more_often_somebody_looks() {
        let bounds = Bounds { memory: 1 << 30, processes: 100 };
        assert_eq!(pause(bounds, 0, 1), Duration::from_millis(500));
        assert_eq!(pause(bounds, 1 << 30, 1), Duration::from_millis(50));
        assert_eq!(pause(bounds, 0, 51), Duration::from_millis(50));
        assert_eq!(pause(Bounds { memory: u64::MAX, ..bounds }, 0, 1), Duration::from_secs(1));
    }
}
