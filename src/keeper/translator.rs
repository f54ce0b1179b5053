//! An instance's translator as run by the keeper: the state machine, the process and the check of
//! the client's port. The keeper writes its records.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::dependency::DependencyWatch;
use super::journal::{JournalEntry, ManagedProgram};
use super::machine::{ChangeReason, StateChange};
use super::names;
use super::process::SupervisedProcess;
use super::protocol::{KeeperSpec, TranslatorSpec, TranslatorStatus};
use super::spawn::SpawnLimits;
use super::translator_machine::{
    TranslatorAction, TranslatorInput, TranslatorMachine, TranslatorState,
};
use crate::base::clock::Timestamp;

/// Waits for the client's port to open, until this is dropped.
struct ClientProbe {
    /// Held, never read.
    _watch: DependencyWatch,
    /// Readable once it is.
    signal: UnixStream,
}

impl ClientProbe {
    /// None if no thread can be started.
    fn begin(address: &str) -> Option<Self> {
        let (signal, end) = UnixStream::pair().ok()?;
        Some(Self {
            _watch: DependencyWatch::begin_listening(address, end)?,
            signal,
        })
    }
}

/// The moment of an input, and who caused it.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputContext<'a> {
    /// Milliseconds of the keeper's clock.
    pub now: u64,
    /// A random number.
    pub chance: u64,
    /// Who asked last.
    pub actor: Option<&'a str>,
}

/// The translator of one instance.
pub(super) struct TranslatorSupervisor {
    dir: PathBuf,
    spec: TranslatorSpec,
    limits: SpawnLimits,
    machine: TranslatorMachine,
    process: SupervisedProcess,
    probe: Option<ClientProbe>,
    status: TranslatorStatus,
    /// A start that is not recorded yet.
    starting: Option<StateChange<TranslatorState>>,
    /// The last problems of the run that has just exited, until the exit is recorded.
    trouble: Vec<String>,
    starts: u32,
    /// The specification no longer contains the translator; it is removed after its process has
    /// exited.
    is_removed: bool,
}

impl TranslatorSupervisor {
    /// The translator of a specification, at rest. `dir`: the instance's directory, which is the
    /// current one.
    ///
    /// # Errors
    /// Its log cannot be written.
    pub fn open(dir: &Path, keeper: &KeeperSpec, spec: TranslatorSpec) -> io::Result<Self> {
        let logs = Path::new(names::TRANSLATOR_LOGS);
        let (segment_bytes, segments) = (keeper.log_segment_bytes, keeper.log_segments);
        Ok(Self {
            dir: dir.into(),
            limits: keeper.limits(),
            machine: TranslatorMachine::new(spec.rules()),
            spec,
            process: SupervisedProcess::open("translator", logs, segment_bytes, segments)?,
            probe: None,
            status: TranslatorStatus {
                since: Timestamp::now().0,
                can_restart: true,
                ..TranslatorStatus::default()
            },
            starting: None,
            trouble: Vec::new(),
            starts: 0,
            is_removed: false,
        })
    }

    /// Applies a new specification from the next start. True if it requires a different translator.
    pub fn adopt(&mut self, keeper: &KeeperSpec, spec: TranslatorSpec) -> bool {
        self.is_removed = false;
        self.limits = keeper.limits();
        self.machine.set_rules(spec.rules());
        self.process
            .set_log_sizes(keeper.log_segment_bytes, keeper.log_segments);
        let is_other = self.spec != spec;
        self.spec = spec;
        is_other
    }

    /// Marks the translator as no longer in the specification. The caller must also stop it.
    pub fn remove(&mut self) {
        self.is_removed = true;
    }

    /// Whether the translator is no longer needed.
    pub fn is_unused(&self) -> bool {
        self.is_removed && self.pid().is_none()
    }

    /// The process id, if there is a process.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Whether the client must be stopped after the translator, which still has time to exit.
    pub fn is_in_grace(&self) -> bool {
        self.pid().is_some() && self.machine.is_in_grace()
    }

    /// When [`Self::pass_time`] is due, milliseconds of the keeper's clock.
    pub fn alarm(&self) -> Option<u64> {
        self.machine.alarm()
    }

    /// Readable once the process has exited.
    pub fn end_fd(&self) -> Option<BorrowedFd<'_>> {
        self.process.end_fd()
    }

    /// Readable when there is output.
    pub fn output_fd(&self) -> Option<BorrowedFd<'_>> {
        self.process.output_fd()
    }

    /// Readable once the client's port is open.
    pub fn probe_fd(&self) -> Option<BorrowedFd<'_>> {
        self.probe.as_ref().map(|probe| probe.signal.as_fd())
    }

    /// The current status, without log lines.
    pub fn status(&self) -> TranslatorStatus {
        self.status.clone()
    }

    /// The current status and the log lines so far.
    pub fn status_with_lines(&self) -> TranslatorStatus {
        TranslatorStatus {
            lines: Some(self.process.lines()),
            ..self.status()
        }
    }

    /// Passes an input to the machine, executes its actions and returns the records to write.
    pub fn feed(&mut self, input: TranslatorInput, context: InputContext<'_>) -> Vec<JournalEntry> {
        let mut entries = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for action in self.machine.take(input, context.now, context.chance) {
                match action {
                    TranslatorAction::Probe => inputs.extend(self.begin_probe()),
                    // A start is recorded with the process id, which is known a moment later.
                    TranslatorAction::Record(change) if change.to == TranslatorState::Starting => {
                        self.starting = Some(change);
                    }
                    TranslatorAction::Record(change) => {
                        entries.extend(self.record(change, context.actor));
                    }
                    TranslatorAction::Spawn => {
                        inputs.extend(self.spawn());
                        let start = self.starting.take();
                        entries.extend(start.and_then(|change| self.record(change, context.actor)));
                    }
                    TranslatorAction::Signal(signal) => self.process.signal(signal),
                }
            }
        }
        if !self.machine.is_probing() {
            self.probe = None;
        }
        entries
    }

    /// Reads output, at most about `limit` bytes.
    pub fn take_output(&mut self, limit: usize, context: InputContext<'_>) -> Vec<JournalEntry> {
        if self.process.take_output(limit) {
            self.feed(TranslatorInput::Ready, context)
        } else {
            Vec::new()
        }
    }

    /// Handles a process that has exited.
    pub fn reap(&mut self, context: InputContext<'_>) -> Vec<JournalEntry> {
        let is_asked = self.machine.state() == TranslatorState::Stopping;
        let Some(end) = self.process.reap(is_asked) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        if end.is_ready {
            entries.extend(self.feed(TranslatorInput::Ready, context));
        }
        let is_client_lost = self.spec.is_client_lost(&end.trouble);
        self.trouble = end.trouble;
        let input = TranslatorInput::Exited {
            exit: end.exit,
            last_error: end.last_error,
            is_client_lost,
        };
        entries.extend(self.feed(input, context));
        self.trouble.clear();
        entries
    }

    /// The client's port is open.
    pub fn finish_probe(&mut self, context: InputContext<'_>) -> Vec<JournalEntry> {
        self.probe = None;
        self.feed(TranslatorInput::ClientListens, context)
    }

    /// Reports the time to the machine if something is due.
    pub fn pass_time(&mut self, context: InputContext<'_>) -> Vec<JournalEntry> {
        if self.alarm().is_some_and(|at| context.now >= at) {
            self.feed(TranslatorInput::Tick, context)
        } else {
            Vec::new()
        }
    }

    /// Without a thread there is no probe, and the start itself shows whether the client listens.
    fn begin_probe(&mut self) -> Option<TranslatorInput> {
        self.probe = ClientProbe::begin(&self.spec.client_address);
        self.probe
            .is_none()
            .then_some(TranslatorInput::ClientListens)
    }

    fn spawn(&mut self) -> Option<TranslatorInput> {
        self.starts = self.starts.saturating_add(1);
        self.status.restarts = self.starts - 1;
        let plan = self.spec.plan(self.limits);
        let ready_when = self.spec.ready_when.clone();
        let started = self.process.start(&plan, ready_when, &self.dir);
        self.status.pid = self.pid();
        self.status.started_at = self.pid().map(|_| Timestamp::now().0);
        match started {
            Ok(_) => self
                .spec
                .ready_when
                .is_empty()
                .then_some(TranslatorInput::Ready),
            Err(detail) => {
                self.process.note("ERROR", &detail);
                Some(TranslatorInput::SpawnFailed { detail })
            }
        }
    }

    /// The status after a change and the journal entry. Waiting for the client is not recorded in
    /// the history.
    fn record(
        &mut self,
        change: StateChange<TranslatorState>,
        actor: Option<&str>,
    ) -> Option<JournalEntry> {
        let now = Timestamp::now();
        let (from, to) = (
            change.from.to_instance_state(),
            change.to.to_instance_state(),
        );
        let is_asked = matches!(change.reason, ChangeReason::Asked);
        let is_sudden = matches!(
            change.reason,
            ChangeReason::EndedUnasked | ChangeReason::ClientLost
        );
        let trouble = if is_sudden {
            std::mem::take(&mut self.trouble)
        } else {
            Vec::new()
        };
        let status = &mut self.status;
        let entry = JournalEntry {
            at: now.0,
            program: ManagedProgram::Translator,
            from,
            to,
            reason: change.reason.clone(),
            actor: actor.filter(|_| is_asked).map(str::to_owned),
            pid: status.pid,
            exit: change.exit,
            last_error: change.last_error.clone(),
            trouble,
            failures: self.machine.failures(),
            retry_at: change.wait.map(|wait| now.after(wait).0),
        };
        status.state = change.to;
        status.since = now.0;
        status.failures = entry.failures;
        status.retry_at = entry.retry_at;
        status.reason = Some(change.reason);
        if change.exit.is_some() {
            status.exit = change.exit;
            status.last_error = change.last_error;
            status.exited_at = Some(now.0);
            status.trouble.clone_from(&entry.trouble);
        }
        if !change.to.has_process() {
            status.pid = None;
            status.started_at = None;
        }
        (from != to).then_some(entry)
    }
}
