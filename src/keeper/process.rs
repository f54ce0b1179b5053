//! A process that the keeper runs: its end, its output, its log, and what is learnt from it. The
//! client is one, a translator is another.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;

use super::logfile::LogFile;
use super::machine::{ProcessExit, StopSignal};
use super::protocol::LevelCounts;
use super::spawn::{self, SpawnPlan};
use super::watcher::LineWatcher;

/// So much output is read when a process has exited, bytes: more than a pipe holds.
const REST_BYTES: usize = 64 << 20;
/// So much is read at a time, bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// A process while there is one.
#[derive(Debug)]
struct LiveProcess {
    child: Child,
    pid: u32,
    /// Readable once the process has exited.
    ended: OwnedFd,
    /// The output, until all holders of the other end are gone.
    output: Option<OwnedFd>,
}

impl LiveProcess {
    fn start(plan: &SpawnPlan<'_>, dir: &Path, name: &str) -> Result<Self, String> {
        let started = spawn::start(plan, dir)?;
        let mut child = started.child;
        let pid = child.id();
        let ended = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| "no process id".to_owned())
            .and_then(|pid| {
                rustix::fs::fcntl_setfl(&started.output, rustix::fs::OFlags::NONBLOCK)
                    .and_then(|()| pidfd_open(pid, PidfdFlags::empty()))
                    .map_err(|e| format!("cannot watch the {name}: {e}"))
            });
        match ended {
            Ok(ended) => Ok(Self {
                child,
                pid,
                ended,
                output: Some(started.output),
            }),
            Err(e) => {
                spawn::signal_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(e)
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEnd {
    /// How the process ended.
    pub exit: ProcessExit,
    /// The last ERROR line of the run.
    pub last_error: Option<String>,
    /// Its last warnings, errors and lines outside the client's format, oldest first.
    pub trouble: Vec<String>,
    /// The line that reports it ready for miners has just arrived.
    pub is_ready: bool,
}

/// One process after the other, and the log of all of them.
#[derive(Debug)]
pub struct SupervisedProcess {
    /// `client` or `translator`.
    name: &'static str,
    live: Option<LiveProcess>,
    log: LogFile,
    /// The end of the log when this keeper started, in bytes.
    log_start: u64,
    /// Information from the output: the unfinished line, this run's last errors, line counts.
    watcher: LineWatcher,
    buffer: Vec<u8>,
}

impl SupervisedProcess {
    /// Opens the log in the directory `logs`. There is no process yet.
    ///
    /// # Errors
    /// The directory or the file cannot be made.
    pub fn open(
        name: &'static str,
        logs: &Path,
        segment_bytes: u64,
        segments: usize,
    ) -> io::Result<Self> {
        let log = LogFile::open(logs, segment_bytes, segments)?;
        Ok(Self {
            name,
            live: None,
            log_start: log.end(),
            log,
            watcher: LineWatcher::default(),
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Takes new sizes of log files; they hold from the next cut on.
    pub fn set_log_sizes(&mut self, segment_bytes: u64, segments: usize) {
        self.log.set_sizes(segment_bytes, segments);
    }

    /// Writes a line of the keeper's own into the log.
    pub fn note(&mut self, level: &str, text: &str) {
        self.log.note(level, text);
    }

    /// The process id while there is a process.
    pub fn pid(&self) -> Option<u32> {
        self.live.as_ref().map(|live| live.pid)
    }

    /// Readable once the process has exited.
    pub fn end_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.live.as_ref()?.ended.as_fd())
    }

    /// Readable when there is output.
    pub fn output_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.live.as_ref()?.output.as_ref()?.as_fd())
    }

    /// Lines by level over the life of this keeper.
    pub fn lines(&self) -> LevelCounts {
        LevelCounts {
            from: self.log_start,
            to: self.log.end().saturating_sub(self.watcher.unfinished()),
            ..self.watcher.lines()
        }
    }

    /// Starts a process in the instance's directory `dir` after the previous one was reaped. Returns
    /// its process id. `ready_when`: texts of the lines that report that it is ready for miners.
    ///
    /// # Errors
    /// The program cannot be run; the text contains the program and the reason.
    pub fn start(
        &mut self,
        plan: &SpawnPlan<'_>,
        ready_when: Vec<String>,
        dir: &Path,
    ) -> Result<u32, String> {
        self.watcher.begin(ready_when);
        let live = LiveProcess::start(plan, dir, self.name)?;
        let pid = live.pid;
        let program = plan.program.display();
        self.log
            .note("INFO", &format!("started {program} pid={pid}"));
        self.live = Some(live);
        Ok(pid)
    }

    /// Sends a signal to the process's whole group.
    pub fn signal(&mut self, signal: StopSignal) {
        let Some(live) = &self.live else { return };
        let (signal, name) = match signal {
            StopSignal::Interrupt => (Signal::INT, None),
            StopSignal::Terminate => (Signal::TERM, Some("SIGTERM")),
            StopSignal::Kill => (Signal::KILL, Some("SIGKILL")),
        };
        if let Some(name) = name {
            let text = format!("the {} is still running, sending {name}", self.name);
            self.log.note("WARN", &text);
        }
        spawn::signal_group(live.pid, signal);
    }

    /// Reads the process's output, at most about `limit` bytes. Returns true when a line reports that
    /// it is ready for miners.
    pub fn take_output(&mut self, limit: usize) -> bool {
        let Some(live) = &mut self.live else {
            return false;
        };
        let Some(output) = &live.output else {
            return false;
        };
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
            live.output = None;
        }
        is_ready
    }

    /// Takes a process that has exited: its group goes with it, its last output is read.
    pub fn reap(&mut self, is_asked: bool) -> Option<ProcessEnd> {
        // The dead leader still holds the group id, so no other process gets the signal.
        spawn::signal_group(self.pid()?, Signal::KILL);
        // The pipe now has all output; a descendant that left the group is not waited for.
        let is_ready = self.take_output(REST_BYTES);
        let mut live = self.live.take()?;
        let exit = match live.child.wait() {
            Ok(status) => status
                .code()
                .map(ProcessExit::Code)
                .or(status.signal().map(ProcessExit::Signal))
                .unwrap_or(ProcessExit::Code(-1)),
            Err(e) => {
                let text = format!("cannot determine how the {} exited: {e}", self.name);
                self.log.note("ERROR", &text);
                ProcessExit::Code(-1)
            }
        };
        let (level, unasked) = if is_asked {
            ("INFO", "")
        } else {
            ("WARN", " unexpectedly")
        };
        let text = format!("the {} exited{unasked}: {exit}", self.name);
        self.log.note(level, &text);
        Some(ProcessEnd {
            exit,
            last_error: self.watcher.take_last_error(),
            trouble: self.watcher.take_problems(),
            is_ready,
        })
    }
}
