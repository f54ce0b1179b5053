//! Ending the processes that a client or a translator leaves behind.
//!
//! A keeper is a child subreaper (prctl(2)). When the parent of a process ends, the keeper becomes
//! its parent, whatever session the process made and whatever it did to its environment. So after
//! the client has ended, everything it started shows up among the keeper's own children. Nobody
//! else can get their process ids before the keeper has reaped them.
//!
//! A killed keeper leaves processes with other parents. The mark in their environment tells whose
//! they are.

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, waitpid,
};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::names;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// A process that outlasts this is one that the kernel cannot end, such as one that waits for a
/// dead disk.
const LIMIT: Duration = Duration::from_secs(5);
/// The same for marked processes, which get SIGKILL at once.
const MARKED_LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Result of [`end_children`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupResult {
    /// Processes that were told to end.
    pub found: usize,
    /// Processes that are still there.
    pub left: usize,
}

/// Ends all children of this process and everything below them, except those with the process ids
/// `except`: SIGTERM, after a second SIGKILL, until none is left. Reaps them.
pub fn end_children(except: &[u32]) -> CleanupResult {
    let begun = Instant::now();
    let mut found = BTreeSet::new();
    loop {
        let living = reap_children(except);
        if living.is_empty() || begun.elapsed() >= LIMIT {
            return CleanupResult {
                found: found.len(),
                left: living.len(),
            };
        }
        let signal = if begun.elapsed() < GRACE {
            Signal::TERM
        } else {
            Signal::KILL
        };
        let mut is_growing = false;
        for child in living {
            let is_new = found.insert(child.as_raw_pid());
            is_growing |= is_new;
            if is_new || signal == Signal::KILL {
                signal_with_group(child, signal);
            }
        }
        // A child that forks and ends at once is caught only by checking again without a pause.
        if signal == Signal::TERM || !is_growing {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Reaps the children of this process that have ended, except those with the process ids `except`.
/// Returns those that live.
pub fn reap_children(except: &[u32]) -> Vec<Pid> {
    let is_other =
        |child: &Pid| u32::try_from(child.as_raw_pid()).is_ok_and(|pid| !except.contains(&pid));
    let lives = |child: &Pid| matches!(waitpid(Some(*child), WaitOptions::NOHANG), Ok(None));
    children()
        .into_iter()
        .filter(is_other)
        .filter(lives)
        .collect()
}

/// The children of this process, which has one thread; zombies included.
fn children() -> Vec<Pid> {
    match std::fs::read_to_string("/proc/thread-self/children") {
        Ok(list) => list
            .split_ascii_whitespace()
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect(),
        // The kernel was built without CONFIG_PROC_CHILDREN.
        Err(_) => {
            let own = rustix::process::getpid();
            all_processes()
                .filter(|pid| {
                    ProcessRelations::read(*pid).is_some_and(|one| one.parent == Some(own))
                })
                .collect()
        }
    }
}

/// Sends a signal to a child and to its whole group. A group gets it in one step, so no fork slips
/// through.
fn signal_with_group(child: Pid, signal: Signal) {
    let group = ProcessRelations::read(child)
        .and_then(|one| one.group)
        .filter(|group| *group != rustix::process::getpgrp());
    if group.is_none_or(|group| kill_process_group(group, signal).is_err()) {
        let _ = kill_process(child, signal);
    }
}

/// Kills what a killed keeper left behind: the parent-death signal reaches the client itself but
/// not its descendants. They are known by the mark of the instance `id` in their environment, never
/// by a process id, which may long be somebody else's. Returns how many there were, once they are
/// gone or two seconds have passed.
pub fn end_marked(id: &str) -> usize {
    let mark = format!("{}={id}", names::MARK);
    let begun = Instant::now();
    let mut found = BTreeSet::new();
    loop {
        let left = marked(&mark);
        if left.is_empty() || begun.elapsed() >= MARKED_LIMIT {
            return found.len();
        }
        for (pid, handle) in left {
            found.insert(pid.as_raw_pid());
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The processes with this mark that no living keeper holds.
fn marked(mark: &str) -> Vec<(Pid, OwnedFd)> {
    let is_meant = |pid: Pid| {
        // Processes of others cannot be read; a zombie has no environment any more.
        let env = std::fs::read(format!("/proc/{}/environ", pid.as_raw_pid()));
        env.is_ok_and(|env| env.split(|b| *b == 0).any(|one| one == mark.as_bytes()))
    };
    let candidates = all_processes().filter(|pid| is_meant(*pid));
    candidates
        .filter_map(|pid| {
            let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            // The process id may have passed to another process before it was opened.
            (is_meant(pid) && !has_other_keeper(pid)).then_some((pid, handle))
        })
        .collect()
}

/// Whether a keeper other than this process is above a process. A copy of a data directory on the
/// same machine has instances with the same ids, and with them the same marks.
fn has_other_keeper(pid: Pid) -> bool {
    let parent = |pid: &Pid| ProcessRelations::read(*pid).and_then(|one| one.parent);
    std::iter::successors(parent(&pid), parent)
        .find(|pid| is_keeper(*pid))
        .is_some_and(|pid| pid != rustix::process::getpid())
}

fn is_keeper(pid: Pid) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
    line.starts_with(b"jd-manager\0keep\0")
}

fn all_processes() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// Parent and group of a process.
struct ProcessRelations {
    parent: Option<Pid>,
    group: Option<Pid>,
}

impl ProcessRelations {
    fn read(pid: Pid) -> Option<Self> {
        // proc_pid_stat(5): `pid (name) state ppid pgrp …`; the name may hold anything.
        let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let mut fields = stat
            .rsplit_once(") ")?
            .1
            .split(' ')
            .skip(1)
            .map(|field| field.parse().ok().and_then(Pid::from_raw));
        Some(Self {
            parent: fields.next()?,
            group: fields.next()?,
        })
    }
}
