//! The sleep of the keeper's loop: what it waits for, and for how long.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::{JOURNAL_RETRY, KeeperProcess, complain};
use crate::keeper::journal::ManagedProgram;
use crate::keeper::translator::TranslatorSupervisor;

/// What a round of the loop may find, in the order in which it is handled: the output of a process
/// before its end.
#[derive(Clone, Copy)]
pub(super) enum PollSource {
    Output(ManagedProgram),
    ChildSignals,
    End(ManagedProgram),
    /// What the client needs is back.
    Dependency,
    /// The client's port is open, which the translator waits for.
    Probe,
    Signals,
    Listener,
    Connection(usize),
}

/// Descriptors to wait for, each with what it means.
#[derive(Default)]
struct PollSet<'a> {
    sources: Vec<PollSource>,
    fds: Vec<PollFd<'a>>,
}

impl<'a> PollSet<'a> {
    fn add(&mut self, source: PollSource, fd: Option<BorrowedFd<'a>>, flags: PollFlags) {
        if let Some(fd) = fd {
            self.sources.push(source);
            self.fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
    }
}

impl KeeperProcess {
    /// How long the loop may sleep; none: until something happens.
    fn pause(&self) -> Option<Duration> {
        let until = |at: u64| Duration::from_millis(at.saturating_sub(self.now()));
        let translator = self.translator.as_ref();
        [
            self.machine.alarm().map(until),
            translator.and_then(TranslatorSupervisor::alarm).map(until),
            // A journal that could not be written is tried again every few seconds.
            self.journal.is_behind().then_some(JOURNAL_RETRY),
            self.is_at_rest().then_some(Duration::from_secs(1)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sleeps until something happens or is due; what has happened. None if that is not known.
    pub(super) fn wait(&self) -> Option<Vec<PollSource>> {
        let timeout = self.pause().map(|pause| Timespec {
            tv_sec: pause.as_secs().cast_signed(),
            tv_nsec: i64::from(pause.subsec_nanos()),
        });
        let mut set = PollSet::default();
        let (client, translator) = (&self.client, self.translator.as_ref());
        let (ended, written) = (PollSource::End, PollSource::Output);
        let read = PollFlags::IN;
        set.add(written(ManagedProgram::Client), client.output_fd(), read);
        let fd = translator.and_then(TranslatorSupervisor::output_fd);
        set.add(written(ManagedProgram::Translator), fd, read);
        let fd = self.child_signals.as_fd();
        set.add(PollSource::ChildSignals, Some(fd), read);
        set.add(ended(ManagedProgram::Client), client.end_fd(), read);
        let fd = translator.and_then(TranslatorSupervisor::end_fd);
        set.add(ended(ManagedProgram::Translator), fd, read);
        let fd = self.dependency_signals.0.as_fd();
        set.add(PollSource::Dependency, Some(fd), read);
        let fd = translator.and_then(TranslatorSupervisor::probe_fd);
        set.add(PollSource::Probe, fd, read);
        set.add(PollSource::Signals, Some(self.signals.as_fd()), read);
        set.add(PollSource::Listener, Some(self.listener.as_fd()), read);
        for (at, connection) in self.connections.iter().enumerate() {
            let flags = if connection.to_send.is_empty() {
                read
            } else {
                PollFlags::IN | PollFlags::OUT
            };
            let fd = connection.stream.as_fd();
            set.add(PollSource::Connection(at), Some(fd), flags);
        }
        if let Err(e) = poll(&mut set.fds, timeout.as_ref()) {
            if e != rustix::io::Errno::INTR {
                complain(&format!("poll: {e}"));
                std::thread::sleep(Duration::from_millis(100));
            }
            return None;
        }
        let happened = set
            .sources
            .into_iter()
            .zip(&set.fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source);
        Some(happened.collect())
    }
}
