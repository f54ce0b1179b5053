//! The keeper process: one thread, one `poll`, and the state machine between events and actions.
//!
//! It knows only the instance's directory: `keeper.json` contains what to run. The lock shows that
//! the instance is alive, the manager sends commands and watches through the socket, and the journal
//! keeps the history while the manager is not running.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::connection::ControlConnection;
use super::dependency::{DependencyWatch, EarlyStarts};
use super::journal::{JournalEntry, JournalWriter, ManagedProgram};
use super::machine::{
    ChangeReason, InstanceState, LifecycleMachine, MachineAction, MachineInput, StateChange,
    StopSignal,
};
use super::process::SupervisedProcess;
use super::protocol::{self, KeeperSpec, KeeperStatus};
use super::translator::{InputContext, TranslatorSupervisor};
use super::translator_machine::TranslatorInput;
use super::{leftovers, lock, names, signals};
use crate::base::clock::Timestamp;
use wait::PollSource;

mod requests;
mod wait;

/// The amount of output that is read before other events are handled, in bytes.
const INTAKE_BYTES: usize = 1 << 20;
/// The wait before a failed write of the journal is retried.
const JOURNAL_RETRY: Duration = Duration::from_secs(2);
/// The maximum number of connections: enough for a manager and a few other programs.
const CONNECTIONS: usize = 32;

/// The internal subcommand `keep`: runs the instance in `dir` until it is stopped. Writes `ready`
/// to standard output when it listens, or the reason why it cannot.
pub fn keep(dir: &Path) -> ExitCode {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // An own session: neither the manager's exit nor a closed terminal affects the keeper. This
    // fails only for a process that already leads a session.
    let _ = rustix::process::setsid();
    match KeeperProcess::open(dir) {
        Ok(mut keeper) => {
            println!("ready");
            // The manager waits until this pipe is closed.
            if let Ok(null) = File::options().write(true).open("/dev/null") {
                let _ = rustix::stdio::dup2_stdout(null);
            }
            keeper.run();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}

struct KeeperProcess {
    dir: PathBuf,
    /// Held, never read.
    _lock: File,
    listener: UnixListener,
    signals: UnixStream,
    /// Readable when a child has exited.
    child_signals: UnixStream,
    /// Readable when the dependency of the client is back; with the other end.
    dependency_signals: (UnixStream, UnixStream),
    /// Exists while the keeper waits for the next retry.
    dependency: Option<DependencyWatch>,
    connections: Vec<ControlConnection>,
    spec: KeeperSpec,
    machine: LifecycleMachine,
    client: SupervisedProcess,
    translator: Option<TranslatorSupervisor>,
    /// The client is to get SIGINT as soon as the translator has exited.
    is_client_stop_due: bool,
    journal: JournalWriter,
    status: KeeperStatus,
    /// The last actor, until the resulting change is recorded.
    actor: Option<String>,
    /// A start that is not recorded yet.
    starting: Option<StateChange>,
    /// The last problems of the run that has just exited, until the exit is recorded.
    trouble: Vec<String>,
    epoch: Instant,
    early_starts: EarlyStarts,
    last_flush: Instant,
    done: bool,
}

impl KeeperProcess {
    fn open(dir: &Path) -> Result<Self, String> {
        let told =
            |what: &str, e: &dyn std::fmt::Display| format!("{what} in {}: {e}", dir.display());
        std::env::set_current_dir(dir)
            .map_err(|e| told("cannot enter the instance's directory", &e))?;
        let lock = lock::lock().map_err(|e| told("cannot acquire the lock", &e))?;
        let spec =
            KeeperSpec::read(Path::new(".")).map_err(|e| told("cannot read keeper.json", &e))?;
        std::fs::create_dir_all(names::WORK)
            .map_err(|e| told("cannot create the working directory", &e))?;
        // The holder of the lock owns the socket, so the socket of a killed keeper is removed. The
        // socket has a short relative name, because its path may have at most 107 bytes.
        match std::fs::remove_file(names::SOCKET) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(told("cannot replace the socket", &e));
            }
            _ => {}
        }
        let listener = UnixListener::bind(names::SOCKET)
            .map_err(|e| told("cannot listen on the control socket", &e))?;
        listener
            .set_nonblocking(true)
            .map_err(|e| told("cannot listen on the control socket", &e))?;
        let receive = |signals: &[i32]| {
            signals::receive_signals(signals).map_err(|e| told("cannot handle signals", &e))
        };
        let signals = receive(&[signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
        let child_signals = receive(&[signal_hook::consts::SIGCHLD])?;
        let dependency_signals =
            signals::signal_pair().map_err(|e| told("cannot watch the template provider", &e))?;
        // The emulation of another architecture (qemu-user) does not know the call. The next keeper finds
        // what a client has left by its mark.
        match rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(e) => {
                return Err(told(
                    "cannot become the parent of processes left by the client",
                    &e,
                ));
            }
        }
        let mark = spec.env.iter().find(|(name, _)| name == names::MARK);
        let leftovers = mark.map_or(0, |(_, id)| leftovers::end_marked(id));
        let mut client = SupervisedProcess::open(
            "client",
            Path::new(names::LOGS),
            spec.log_segment_bytes,
            spec.log_segments,
        )
        .map_err(|e| told("cannot write the log", &e))?;
        if leftovers > 0 {
            client.note(
                "WARN",
                &format!("killed {leftovers} processes left by the previous keeper"),
            );
        }
        let translator = spec
            .marked_translator()
            .map(|translator| TranslatorSupervisor::open(dir, &spec, translator))
            .transpose()
            .map_err(|e| told("cannot write the translator's log", &e))?;
        let journal = JournalWriter::open(Path::new("."))
            .map_err(|e| told("cannot write the journal", &e))?;
        let status = KeeperStatus {
            journal: journal.end(),
            translator: translator.as_ref().map(TranslatorSupervisor::status),
            ..KeeperStatus::blank(std::process::id(), Timestamp::now().0)
        };
        Ok(Self {
            dir: dir.into(),
            _lock: lock,
            listener,
            signals,
            child_signals,
            dependency_signals,
            dependency: None,
            connections: Vec::new(),
            machine: LifecycleMachine::new(spec.rules()),
            spec,
            client,
            translator,
            is_client_stop_due: false,
            journal,
            status,
            actor: None,
            starting: None,
            trouble: Vec::new(),
            epoch: Instant::now(),
            early_starts: EarlyStarts::new(),
            last_flush: Instant::now(),
            done: false,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Nothing is running, and nothing will happen until a request.
    fn is_at_rest(&self) -> bool {
        self.machine.state().is_at_rest() && self.translator_pid().is_none()
    }

    fn translator_pid(&self) -> Option<u32> {
        self.translator.as_ref()?.pid()
    }

    fn run(&mut self) {
        // A keeper without any request exits.
        let born = Instant::now();
        // A translator exits before its keeper.
        while !self.done || self.translator_pid().is_some() {
            if self.is_at_rest() && born.elapsed() > Duration::from_secs(10) {
                break;
            }
            self.wait_and_serve();
        }
        if self.journal.is_behind() {
            let _ = self.journal.flush();
        }
        self.journal.release();
        let _ = std::fs::remove_file(names::SOCKET);
        // Watchers see the last state before the connection is closed.
        for connection in &mut self.connections {
            let _ = connection.stream.set_nonblocking(false);
            let _ = connection
                .stream
                .set_write_timeout(Some(Duration::from_secs(1)));
            let _ = connection.stream.write_all(&connection.to_send);
        }
    }

    /// One round: sleeps until an event or a deadline, then handles all events.
    fn wait_and_serve(&mut self) {
        let Some(sources) = self.wait() else { return };
        for source in sources {
            self.handle(source);
        }
        self.connections.retain(|c| !c.over);
        if self.machine.alarm().is_some_and(|at| self.now() >= at) {
            self.feed(MachineInput::Tick);
        }
        self.with_translator(|translator, context| translator.pass_time(context));
        if self.journal.is_behind() && self.last_flush.elapsed() >= JOURNAL_RETRY {
            self.last_flush = Instant::now();
            if self.journal.flush().is_ok() {
                self.status.journal = self.journal.end();
                self.publish_status();
            }
        }
    }

    fn handle(&mut self, source: PollSource) {
        match source {
            PollSource::Output(ManagedProgram::Client) => {
                if self.client.take_output(INTAKE_BYTES) {
                    self.feed(MachineInput::Ready);
                }
            }
            PollSource::Output(ManagedProgram::Translator) => {
                self.with_translator(|translator, context| {
                    translator.take_output(INTAKE_BYTES, context)
                });
            }
            PollSource::ChildSignals => {
                signals::drain(&mut self.child_signals);
                // What the two started and left to us; they themselves are waited for elsewhere,
                // maybe in the next round.
                leftovers::reap_children(&self.pids());
            }
            PollSource::End(ManagedProgram::Client) => self.reap_client(),
            PollSource::End(ManagedProgram::Translator) => self.reap_translator(),
            PollSource::Dependency => {
                signals::drain(&mut self.dependency_signals.0);
                // Ignore the signal of a watch that has ended.
                if self.dependency.take().is_some() {
                    self.early_starts.note_early();
                    self.client.note(
                        "INFO",
                        "the template provider or node is accepting connections again; starting the client",
                    );
                    self.feed(MachineInput::DependencyBack);
                }
            }
            PollSource::Probe => {
                self.with_translator(|translator, context| translator.finish_probe(context));
            }
            PollSource::Signals => {
                // The system is shutting down, or a signal stops the keeper: stop the client first.
                signals::drain(&mut self.signals);
                if self.machine.state().is_at_rest() {
                    self.done = true;
                }
                self.actor = Some("signal to the keeper".into());
                self.feed(MachineInput::Stop);
            }
            PollSource::Listener => self.accept(),
            PollSource::Connection(at) => self.converse(at),
        }
    }

    /// The process ids of the client and the translator.
    fn pids(&self) -> Vec<u32> {
        let pids = [self.client.pid(), self.translator_pid()];
        pids.into_iter().flatten().collect()
    }

    /// Passes an input to the machine and runs the actions that it returns.
    fn feed(&mut self, input: MachineInput) {
        for action in self.machine.take(input, self.now(), chance()) {
            match action {
                // A start is recorded with the process id, which is known a moment later.
                MachineAction::Record(change) if change.to == InstanceState::Starting => {
                    self.starting = Some(change)
                }
                MachineAction::Record(change) => self.record(change),
                MachineAction::Spawn => {
                    // A command at the same moment as the exit.
                    self.done = false;
                    self.spawn();
                }
                // The translator goes first, so that its miners are hung up on by it.
                MachineAction::Signal(StopSignal::Interrupt) if self.is_translator_in_grace() => {
                    self.is_client_stop_due = true;
                }
                MachineAction::Signal(signal) => {
                    self.is_client_stop_due = false;
                    self.client.signal(signal);
                }
                MachineAction::Quit => self.done = true,
            }
        }
    }

    fn is_translator_in_grace(&self) -> bool {
        self.translator
            .as_ref()
            .is_some_and(TranslatorSupervisor::is_in_grace)
    }

    fn spawn(&mut self) {
        self.read_spec();
        self.early_starts.note_start();
        let ready_when = self.spec.ready_when.clone();
        match self.client.start(&self.spec.plan(), ready_when, &self.dir) {
            Ok(pid) => {
                self.record_start(Some(pid));
                self.feed(MachineInput::Spawned { pid });
                if self.spec.ready_when.is_empty() {
                    self.feed(MachineInput::Ready);
                }
            }
            Err(detail) => {
                self.end_leftovers();
                self.client.note("ERROR", &detail);
                self.record_start(None);
                self.feed(MachineInput::SpawnFailed { detail });
            }
        }
    }

    fn read_spec(&mut self) {
        match KeeperSpec::read(Path::new(".")) {
            Ok(spec) => self.adopt(spec),
            Err(e) => complain(&format!(
                "cannot read keeper.json, keeping the previous version: {e}"
            )),
        }
    }

    fn adopt(&mut self, spec: KeeperSpec) {
        self.machine.set_rules(spec.rules());
        self.client
            .set_log_sizes(spec.log_segment_bytes, spec.log_segments);
        self.spec = spec;
        let input = match (&mut self.translator, self.spec.marked_translator()) {
            (None, None) => return,
            (None, Some(wanted)) => {
                match TranslatorSupervisor::open(&self.dir, &self.spec, wanted) {
                    Ok(translator) => self.translator = Some(translator),
                    Err(e) => {
                        let text = format!("cannot write the translator's log: {e}");
                        self.client.note("ERROR", &text);
                    }
                }
                None
            }
            (Some(translator), Some(wanted)) => translator
                .adopt(&self.spec, wanted)
                .then_some(TranslatorInput::Restart),
            (Some(translator), None) => {
                translator.remove();
                Some(TranslatorInput::Stop)
            }
        };
        if let Some(input) = input {
            self.feed_translator(input);
        }
        if self.spec.translator.is_some() {
            self.follow_client();
        }
    }

    /// The client has exited: ends its process group, reads its last output, informs the machine.
    fn reap_client(&mut self) {
        let is_asked = self.machine.state() == InstanceState::Stopping;
        let Some(end) = self.client.reap(is_asked) else {
            return;
        };
        self.is_client_stop_due = false;
        if end.is_ready {
            self.feed(MachineInput::Ready);
        }
        self.end_leftovers();
        self.trouble = end.trouble;
        self.feed(MachineInput::Exited {
            exit: end.exit,
            last_error: end.last_error,
        });
        self.trouble.clear();
    }

    fn reap_translator(&mut self) {
        self.with_translator(|translator, context| translator.reap(context));
        // Beside a client it is not known whose the others are; they end with the client.
        if self.client.pid().is_none() {
            self.end_leftovers();
        }
    }

    /// Stops all processes that the client left behind. Only then is the instance stopped and are its
    /// ports free. A translator is ended by its own rules.
    fn end_leftovers(&mut self) {
        let others: Vec<u32> = self.translator_pid().into_iter().collect();
        let leftovers::CleanupResult { found, left } = leftovers::end_children(&others);
        if found > 0 {
            self.client.note(
                "WARN",
                &format!("stopped {found} processes left by the client"),
            );
        }
        if left > 0 {
            self.client.note(
                "ERROR",
                &format!("cannot stop {left} processes left by the client"),
            );
        }
    }

    /// Lets the translator act, writes down what it records, and sends the client the signal that
    /// waits for it.
    fn with_translator(
        &mut self,
        act: impl FnOnce(&mut TranslatorSupervisor, InputContext<'_>) -> Vec<JournalEntry>,
    ) {
        let now = self.now();
        let Some(translator) = &mut self.translator else {
            return;
        };
        let context = InputContext {
            now,
            chance: chance(),
            actor: self.actor.as_deref(),
        };
        let entries = act(translator, context);
        let status = (!translator.is_unused()).then(|| translator.status());
        if status.is_none() {
            self.translator = None;
        }
        for entry in &entries {
            self.append(entry);
        }
        if status != self.status.translator {
            self.status.translator = status;
            self.publish_status();
        }
        if self.is_client_stop_due && !self.is_translator_in_grace() {
            self.is_client_stop_due = false;
            self.client.signal(StopSignal::Interrupt);
        }
    }

    fn feed_translator(&mut self, input: TranslatorInput) {
        self.with_translator(|translator, context| translator.feed(input, context));
    }

    /// Tells the translator how its client is.
    fn follow_client(&mut self) {
        let inputs: &[TranslatorInput] = match self.machine.state() {
            InstanceState::Starting => &[TranslatorInput::Start],
            InstanceState::Running => &[TranslatorInput::Start, TranslatorInput::ClientServes],
            InstanceState::BackingOff => &[TranslatorInput::ClientLost, TranslatorInput::Start],
            InstanceState::Failed => &[TranslatorInput::ClientLost, TranslatorInput::Stop],
            InstanceState::Stopping | InstanceState::Stopped => &[TranslatorInput::Stop],
        };
        for input in inputs {
            self.feed_translator(input.clone());
        }
    }

    fn append(&mut self, entry: &JournalEntry) {
        if let Err(e) = self.journal.append(entry) {
            complain(&format!("cannot write the journal: {e}"));
        }
        self.status.journal = self.journal.end();
    }

    fn record_start(&mut self, pid: Option<u32>) {
        self.status.pid = pid;
        self.status.started_at = pid.map(|_| Timestamp::now().0);
        if let Some(change) = self.starting.take() {
            self.record(change);
        }
    }

    fn record(&mut self, change: StateChange) {
        let now = Timestamp::now();
        let retry_at = change.wait.map(|wait| now.after(wait).0);
        let actor = if matches!(change.reason, ChangeReason::Asked) {
            self.actor.clone()
        } else {
            None
        };
        let entry = JournalEntry {
            at: now.0,
            program: ManagedProgram::Client,
            from: change.from,
            to: change.to,
            reason: change.reason.clone(),
            actor,
            pid: self.status.pid,
            exit: change.exit,
            last_error: change.last_error.clone(),
            trouble: if matches!(
                change.reason,
                ChangeReason::EndedUnasked | ChangeReason::GaveUp { .. }
            ) {
                std::mem::take(&mut self.trouble)
            } else {
                Vec::new()
            },
            failures: self.machine.failures(),
            retry_at,
        };
        self.append(&entry);
        self.status.state = change.to;
        self.status.since = now.0;
        self.status.failures = self.machine.failures();
        self.status.retry_at = retry_at;
        self.status.reason = Some(change.reason);
        if change.exit.is_some() {
            self.status.exit = change.exit;
            self.status.last_error = change.last_error;
        }
        if !change.to.has_client() {
            self.status.pid = None;
            self.status.started_at = None;
        }
        if change.to == InstanceState::Running {
            self.early_starts.reset();
        }
        self.dependency = match change.to {
            InstanceState::BackingOff => self.watch_dependency(),
            _ => None,
        };
        self.publish_status();
        self.follow_client();
    }

    /// Checks whether the dependency of the client is gone, and when it is back.
    fn watch_dependency(&self) -> Option<DependencyWatch> {
        let dependency = self.spec.dependency.clone()?;
        let signal = self.dependency_signals.1.try_clone().ok()?;
        DependencyWatch::begin(dependency, &self.early_starts, signal)
    }

    fn publish_status(&mut self) {
        let line = protocol::line(&self.status);
        for connection in self.connections.iter_mut().filter(|c| c.watches) {
            connection.send(&line);
        }
    }
}

/// A random number. Without randomness waits are merely not spread.
fn chance() -> u64 {
    let mut chance = [0; 8];
    let _ = getrandom::fill(&mut chance);
    u64::from_le_bytes(chance)
}

/// Writes to the keeper's own small log, which jd-manager shows if a keeper fails at startup.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{} {text}", Timestamp::now());
}
