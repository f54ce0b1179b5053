//! The keeper process: one thread, one `poll`, and the state machine between events and actions.
//!
//! It knows the instance's directory and nothing else: `keeper.json` says what to run. The lock
//! says that the instance is alive, the socket lets the manager send commands and watch, the
//! journal keeps the history while the manager is away.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use super::connection::ControlConnection;
use super::dependency::DependencyWatch;
use super::journal::{JournalEntry, JournalWriter};
use super::logfile::LogFile;
use super::machine::{
    ChangeReason, InstanceState, LifecycleMachine, MachineAction, MachineInput, ProcessExit,
    StateChange, StopSignal,
};
use super::protocol::{self, KeeperCommand, KeeperRequest, KeeperSpec, KeeperStatus, LevelCounts};
use super::watcher::LineWatcher;
use super::{leftovers, names, spawn};
use crate::base::clock::Timestamp;

/// So much output is taken before other things get their turn, bytes.
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

/// The client while there is one.
struct ClientProcess {
    child: Child,
    pid: u32,
    /// Readable once the client has ended.
    ended: OwnedFd,
    /// Its output, until every holder of the other end is gone.
    output: Option<OwnedFd>,
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
    client: Option<ClientProcess>,
    log: LogFile,
    journal: JournalWriter,
    status: KeeperStatus,
    /// The last actor, until the resulting change is recorded.
    actor: Option<String>,
    /// A start that is not written down yet.
    starting: Option<StateChange>,
    /// What is learnt from the output: the unfinished line, this run's last errors, how many lines
    /// there were.
    watcher: LineWatcher,
    /// What went wrong last in the run that has just ended, until that end is written down.
    trouble: Vec<String>,
    /// Where the log ended when this keeper began, bytes.
    log_start: u64,
    epoch: Instant,
    last_flush: Instant,
    done: bool,
    buffer: Vec<u8>,
}

impl KeeperProcess {
    fn open(dir: &Path) -> Result<Self, String> {
        let told =
            |what: &str, e: &dyn std::fmt::Display| format!("{what} in {}: {e}", dir.display());
        std::env::set_current_dir(dir).map_err(|e| told("cannot work", &e))?;
        let lock = lock().map_err(|e| told("cannot hold the lock", &e))?;
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
        let listener = UnixListener::bind(names::SOCKET).map_err(|e| told("cannot listen", &e))?;
        listener
            .set_nonblocking(true)
            .map_err(|e| told("cannot listen", &e))?;
        let receive =
            |signals: &[i32]| receive_signals(signals).map_err(|e| told("cannot take signals", &e));
        let signals = receive(&[signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
        let child_signals = receive(&[signal_hook::consts::SIGCHLD])?;
        let dependency_signals =
            signal_pair().map_err(|e| told("cannot watch the template provider", &e))?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|e| {
            told(
                "cannot become the parent of processes that a client leaves behind",
                &e,
            )
        })?;
        let mark = spec.env.iter().find(|(name, _)| name == names::MARK);
        let leftovers = mark.map_or(0, |(_, id)| leftovers::end_marked(id));
        let mut log = LogFile::open(
            Path::new(names::LOGS),
            spec.log_segment_bytes,
            spec.log_segments,
        )
        .map_err(|e| told("cannot write the log", &e))?;
        let log_start = log.end();
        if leftovers > 0 {
            log.note(
                "WARN",
                &format!("killed {leftovers} processes that the keeper before left behind"),
            );
        }
        let journal = JournalWriter::open(Path::new("."))
            .map_err(|e| told("cannot write the journal", &e))?;
        let status = KeeperStatus {
            journal: journal.end(),
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
            client: None,
            log,
            journal,
            status,
            actor: None,
            starting: None,
            watcher: LineWatcher::default(),
            trouble: Vec::new(),
            log_start,
            epoch: Instant::now(),
            last_flush: Instant::now(),
            done: false,
            buffer: vec![0; 64 * 1024],
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn run(&mut self) {
        // A keeper that is asked nothing has no reason to stay.
        let born = Instant::now();
        while !self.done {
            if self.machine.state().is_at_rest() && born.elapsed() > Duration::from_secs(10) {
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

    /// One round: sleeps until something happens or is due, then deals with all of it.
    fn wait_and_serve(&mut self) {
        let due = self
            .machine
            .alarm()
            .map(|at| Duration::from_millis(at.saturating_sub(self.now())));
        // A journal that could not be written is tried again every few seconds.
        let due = if self.journal.is_behind() {
            Some(due.unwrap_or(JOURNAL_RETRY).min(JOURNAL_RETRY))
        } else {
            due
        };
        let due = if self.machine.state().is_at_rest() {
            Some(Duration::from_secs(1))
        } else {
            due
        };
        let timeout = due.map(|d| Timespec {
            tv_sec: d.as_secs().cast_signed(),
            tv_nsec: i64::from(d.subsec_nanos()),
        });
        let (output_came, client_ended, dependency_back, child_ended, signalled, knocked, spoke) = {
            let mut fds = vec![
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.child_signals, PollFlags::IN),
                PollFd::new(&self.dependency_signals.0, PollFlags::IN),
            ];
            let others = fds.len();
            for connection in &self.connections {
                let flags = if connection.to_send.is_empty() {
                    PollFlags::IN
                } else {
                    PollFlags::IN | PollFlags::OUT
                };
                fds.push(PollFd::from_borrowed_fd(connection.stream.as_fd(), flags));
            }
            let talking = fds.len();
            if let Some(client) = &self.client {
                fds.push(PollFd::new(&client.ended, PollFlags::IN));
                if let Some(output) = &client.output {
                    fds.push(PollFd::new(output, PollFlags::IN));
                }
            }
            if let Err(e) = poll(&mut fds, timeout.as_ref()) {
                if e != rustix::io::Errno::INTR {
                    complain(&format!("poll: {e}"));
                    std::thread::sleep(Duration::from_millis(100));
                }
                return;
            }
            let hit = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
            let spoke: Vec<usize> = (others..talking)
                .filter(|at| hit(*at))
                .map(|at| at - others)
                .collect();
            (
                hit(talking + 1),
                hit(talking),
                hit(3),
                hit(2),
                hit(1),
                hit(0),
                spoke,
            )
        };
        if output_came {
            self.take_output(INTAKE_BYTES);
        }
        if child_ended {
            drain(&mut self.child_signals);
            // What the client started and left to us; the client itself is waited for below, maybe
            // in the next round.
            leftovers::reap_children(self.client.as_ref().map(|client| client.pid));
        }
        if client_ended {
            self.reap_client();
        }
        if dependency_back {
            drain(&mut self.dependency_signals.0);
            // The signal of a watch that is over by now means nothing.
            if self.dependency.take().is_some() {
                self.log.note(
                    "INFO",
                    "what the client needs accepts connections again; starting the client",
                );
                self.feed(MachineInput::DependencyBack);
            }
        }
        if signalled {
            // The machine is going down, or somebody ends the keeper: the client ends first.
            drain(&mut self.signals);
            if self.machine.state().is_at_rest() {
                self.done = true;
            }
            self.actor = Some("signal to the keeper".into());
            self.feed(MachineInput::Stop);
        }
        if knocked {
            self.accept();
        }
        for at in spoke {
            self.converse(at);
        }
        self.connections.retain(|c| !c.over);
        if self.machine.alarm().is_some_and(|at| self.now() >= at) {
            self.feed(MachineInput::Tick);
        }
        if self.journal.is_behind() && self.last_flush.elapsed() >= JOURNAL_RETRY {
            self.last_flush = Instant::now();
            if self.journal.flush().is_ok() {
                self.status.journal = self.journal.end();
                self.publish_status();
            }
        }
    }

    /// Gives the machine an input and does what it wants done.
    fn feed(&mut self, input: MachineInput) {
        let mut chance = [0; 8];
        // Without randomness waits are merely not spread.
        let _ = getrandom::fill(&mut chance);
        for action in self
            .machine
            .take(input, self.now(), u64::from_le_bytes(chance))
        {
            match action {
                // A start is written down with the process id, which is known a moment later.
                MachineAction::Record(change) if change.to == InstanceState::Starting => {
                    self.starting = Some(change)
                }
                MachineAction::Record(change) => self.record(change),
                MachineAction::Spawn => {
                    // A command at the same moment as the exit.
                    self.done = false;
                    self.spawn();
                }
                MachineAction::Signal(signal) => self.signal(signal),
                MachineAction::Quit => self.done = true,
            }
        }
    }

    fn spawn(&mut self) {
        match KeeperSpec::read(Path::new(".")) {
            Ok(spec) => self.adopt(spec),
            Err(e) => complain(&format!(
                "keeper.json cannot be read, the one before still holds: {e}"
            )),
        }
        self.watcher.begin(self.spec.ready_when.clone());
        let started = spawn::start(&self.spec, &self.dir).and_then(|started| {
            let pid = started.child.id();
            let ended = i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .ok_or_else(|| "no process id".to_owned())
                .and_then(|pid| {
                    let nonblocking =
                        rustix::fs::fcntl_setfl(&started.output, rustix::fs::OFlags::NONBLOCK);
                    nonblocking
                        .and_then(|()| pidfd_open(pid, PidfdFlags::empty()))
                        .map_err(|e| format!("cannot watch the client: {e}"))
                });
            match ended {
                Ok(ended) => Ok(ClientProcess {
                    child: started.child,
                    pid,
                    ended,
                    output: Some(started.output),
                }),
                Err(e) => {
                    let mut child = started.child;
                    spawn::signal_group(pid, Signal::KILL);
                    let _ = child.wait();
                    Err(e)
                }
            }
        });
        match started {
            Ok(client) => {
                let pid = client.pid;
                let program = self.spec.program.display().to_string();
                self.log
                    .note("INFO", &format!("started {program} pid={pid}"));
                self.client = Some(client);
                self.record_start(Some(pid));
                self.feed(MachineInput::Spawned { pid });
                if self.spec.ready_when.is_empty() {
                    self.feed(MachineInput::Ready);
                }
            }
            Err(detail) => {
                self.end_leftovers();
                self.log.note("ERROR", &detail);
                self.record_start(None);
                self.feed(MachineInput::SpawnFailed { detail });
            }
        }
    }

    fn adopt(&mut self, spec: KeeperSpec) {
        self.machine.set_rules(spec.rules());
        self.log
            .set_sizes(spec.log_segment_bytes, spec.log_segments);
        self.spec = spec;
    }

    fn signal(&mut self, signal: StopSignal) {
        let Some(client) = &self.client else { return };
        let signal = match signal {
            StopSignal::Interrupt => Signal::INT,
            StopSignal::Terminate => Signal::TERM,
            StopSignal::Kill => Signal::KILL,
        };
        if signal != Signal::INT {
            let name = if signal == Signal::TERM {
                "SIGTERM"
            } else {
                "SIGKILL"
            };
            self.log.note(
                "WARN",
                &format!("the client has not ended yet, sending {name}"),
            );
        }
        spawn::signal_group(client.pid, signal);
    }

    /// Reads what the client has written, at most about `limit` bytes.
    fn take_output(&mut self, limit: usize) {
        let Some(client) = &mut self.client else {
            return;
        };
        let Some(output) = &client.output else { return };
        let mut taken = 0;
        let mut is_ready = false;
        let mut over = false;
        while taken < limit {
            match rustix::io::read(output, &mut self.buffer[..]) {
                Ok(0) => {
                    over = true;
                    break;
                }
                Ok(n) => {
                    self.log.write(&self.buffer[..n]);
                    is_ready |= self.watcher.look(&self.buffer[..n]);
                    taken += n;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if over {
            client.output = None;
        }
        if is_ready {
            self.feed(MachineInput::Ready);
        }
    }

    /// The client has ended: its group goes with it, its last output is read, the machine is told.
    fn reap_client(&mut self) {
        let Some(client) = &self.client else { return };
        // The dead leader still holds the group's number, so this reaches nobody else.
        spawn::signal_group(client.pid, Signal::KILL);
        // What is in the pipe now is all there is; a descendant that escaped the group is not
        // waited for.
        self.take_output(64 << 20);
        let Some(mut client) = self.client.take() else {
            return;
        };
        let exit = match client.child.wait() {
            Ok(status) => status
                .code()
                .map(ProcessExit::Code)
                .or(status.signal().map(ProcessExit::Signal))
                .unwrap_or(ProcessExit::Code(-1)),
            Err(e) => {
                complain(&format!("the client's end cannot be learnt: {e}"));
                ProcessExit::Code(-1)
            }
        };
        let asked = self.machine.state() == InstanceState::Stopping;
        self.log.note(
            if asked { "INFO" } else { "WARN" },
            &format!(
                "the client ended with {exit}{}",
                if asked { "" } else { ", unasked" }
            ),
        );
        self.end_leftovers();
        let last_error = self.watcher.take_last_error();
        self.trouble = self.watcher.take_problems();
        self.feed(MachineInput::Exited { exit, last_error });
        self.trouble.clear();
    }

    /// No process of a client outlives it: only then is its instance stopped, and its ports are
    /// free.
    fn end_leftovers(&mut self) {
        let leftovers::CleanupResult { found, left } = leftovers::end_children();
        if found > 0 {
            self.log.note(
                "WARN",
                &format!("ended {found} processes that the client left behind"),
            );
        }
        if left > 0 {
            self.log.note(
                "ERROR",
                &format!("{left} processes that the client left behind cannot be ended"),
            );
        }
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
        if let Err(e) = self.journal.append(&entry) {
            complain(&format!("the journal cannot be written: {e}"));
        }
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
        self.status.journal = self.journal.end();
        self.dependency = match change.to {
            InstanceState::BackingOff => self.watch_dependency(),
            _ => None,
        };
        self.publish_status();
    }

    /// Checks whether the dependency of the client is gone, and when it is back.
    fn watch_dependency(&self) -> Option<DependencyWatch> {
        let dependency = self.spec.dependency.clone()?;
        let signal = self.dependency_signals.1.try_clone().ok()?;
        DependencyWatch::begin(dependency, signal)
    }

    fn publish_status(&mut self) {
        let line = protocol::line(&self.status);
        for connection in self.connections.iter_mut().filter(|c| c.watches) {
            connection.send(&line);
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.connections.len() < CONNECTIONS && stream.set_nonblocking(true).is_ok() {
                self.connections.push(ControlConnection::new(stream));
            }
        }
    }

    /// Reads what a connection says, answers each line with the status it leads to.
    fn converse(&mut self, at: usize) {
        for line in self.connections[at].receive() {
            let Ok(request) = serde_json::from_slice::<KeeperRequest>(&line) else {
                self.connections[at].over = true;
                return;
            };
            if let Some(offset) = request.ingested {
                self.journal.drop_ingested(offset);
            }
            // These change no state, so who asked for the change under way stays.
            if !matches!(
                request.command,
                KeeperCommand::Watch | KeeperCommand::Reload
            ) {
                self.actor = request.actor;
            }
            match request.command {
                KeeperCommand::Start => self.feed(MachineInput::Start),
                KeeperCommand::Stop => {
                    self.feed(MachineInput::Stop);
                    // Asked to stop before it was ever asked to start.
                    self.done |= self.machine.state().is_at_rest();
                }
                KeeperCommand::Restart => self.feed(MachineInput::Restart),
                KeeperCommand::Reload => match KeeperSpec::read(Path::new(".")) {
                    Ok(spec) => self.adopt(spec),
                    Err(e) => complain(&format!(
                        "keeper.json cannot be read, the one before still holds: {e}"
                    )),
                },
                KeeperCommand::Watch => self.connections[at].watches = true,
            }
            let lines = LevelCounts {
                from: self.log_start,
                to: self.log.end().saturating_sub(self.watcher.unfinished()),
                ..self.watcher.lines()
            };
            let line = protocol::line(&KeeperStatus {
                re: request.id,
                lines: Some(lines),
                ..self.status.clone()
            });
            self.connections[at].send(&line);
        }
        self.connections[at].flush();
    }
}

/// Two connected ends, the first to be read without waiting.
fn signal_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (stream, end) = UnixStream::pair()?;
    stream.set_nonblocking(true)?;
    Ok((stream, end))
}

/// Has signals written to a stream instead of acting on the process.
fn receive_signals(signals: &[i32]) -> io::Result<UnixStream> {
    let (stream, end) = signal_pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, end.try_clone()?)?;
    }
    Ok(stream)
}

fn drain(signals: &mut UnixStream) {
    let mut seen = [0; 16];
    while matches!(signals.read(&mut seen), Ok(n) if n > 0) {}
}

/// Takes the instance's lock. The manager looks at it for a moment now and then, so a held one is
/// tried again for a second.
fn lock() -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(names::LOCK)?;
    let patience = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if patience.elapsed() < Duration::from_secs(1) => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    ErrorKind::WouldBlock,
                    "another keeper holds it",
                ));
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    file.set_len(0)?;
    (&file).write_all(std::process::id().to_string().as_bytes())?;
    Ok(file)
}

/// Writes to the keeper's own small log, which the manager shows when a keeper cannot work.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{} {text}", Timestamp::now());
}
