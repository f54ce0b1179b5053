//! The life of an instance as a pure state machine: inputs and the time in, actions out. No clock, no I/O.
//!
//! Both the keeper, which runs it, and the manager, which shows it, speak its vocabulary. Its rules:
//!
//! * There is never a second client: [`Action::Spawn`] comes only when none is there.
//! * Every exit nobody asked for is a failure, even with code 0: that is how the real client ends when it loses its template
//!   provider (measured on 0.6.0).
//! * A stop is SIGINT, after the grace SIGTERM, then SIGKILL, to the whole group. The real client handles only SIGINT.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::backoff::Backoff;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No client, and none is wanted.
    #[default]
    Stopped,
    /// The process is there but does not serve miners yet.
    Starting,
    /// Serving miners.
    Running,
    /// No client; the next try is due at a known time.
    BackingOff,
    /// Told to end, still there.
    Stopping,
    /// No client, and no further try will be made by itself.
    Failed,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [Self::Stopped, Self::Starting, Self::Running, Self::BackingOff, Self::Stopping, Self::Failed];

    /// As written in JSON, in the database and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing-off",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }

    /// A client process exists.
    #[must_use]
    pub const fn has_client(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// Nothing happens any more until somebody asks for it.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = ();
    /// `error` is what the first generation called `failed`.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).or((text == "error").then_some(Self::Failed)).ok_or(())
    }
}

/// When a client that ended unasked is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Never: the first failure is final.
    Never,
    /// After every exit nobody asked for. A program that cannot be run at all is final.
    #[default]
    OnFailure,
    /// After everything, even when the program cannot be run (it may sit on a disk that is not mounted yet).
    Always,
}

impl Policy {
    /// As written in JSON, in the database and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

impl std::str::FromStr for Policy {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Never, Self::OnFailure, Self::Always].into_iter().find(|p| p.as_str() == text).ok_or(())
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => {
                // The numbers of Linux on every architecture.
                let name = match signal {
                    2 => " (SIGINT)",
                    6 => " (SIGABRT)",
                    9 => " (SIGKILL)",
                    11 => " (SIGSEGV)",
                    15 => " (SIGTERM)",
                    _ => "",
                };
                write!(f, "signal {signal}{name}")
            }
        }
    }
}

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Run; while backing off: try now.
    Start,
    /// End.
    Stop,
    /// End and run again; run if nothing is there.
    Restart,
    /// The client has been started.
    Spawned {
        /// Its process id.
        pid: u32,
    },
    /// The client could not be started.
    SpawnFailed {
        /// Why, for people.
        detail: String,
    },
    /// The client serves miners.
    Ready,
    /// The client has ended and its output has been read to the end.
    Exited {
        /// How.
        exit: Exit,
        /// The last ERROR line of this run.
        last_error: Option<String>,
    },
    /// Time has passed.
    Tick,
}

/// The signals of a stop, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopSignal {
    /// SIGINT: the client ends gracefully.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the client; answer with [`Input::Spawned`] or [`Input::SpawnFailed`].
    Spawn,
    /// Send a signal to the client's whole group.
    Signal(StopSignal),
    /// The state has changed: write it down and tell whoever watches.
    Record(Change),
    /// The keeper's work is done.
    Quit,
}

/// A change of state and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From this state
    pub from: State,
    /// to this one,
    pub to: State,
    /// because of this.
    pub reason: Reason,
    /// How the client ended, if it did.
    pub exit: Option<Exit>,
    /// The last ERROR line of the run that ended.
    pub last_error: Option<String>,
    /// Until the next try.
    pub wait: Option<Duration>,
}

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Somebody asked for it.
    Asked,
    /// The wait is over.
    Retry,
    /// The client says it serves miners.
    Ready,
    /// The client ended though nobody asked for it.
    EndedUnasked,
    /// The client ended as asked.
    EndedAsAsked,
    /// The client had to be ended by SIGTERM.
    Terminated,
    /// The client had to be ended by SIGKILL.
    Killed,
    /// The program could not be run.
    CannotRun(String),
    /// The client ended though nobody asked for it, once too often.
    GaveUp {
        /// So many failures
        failures: u32,
        /// within so many seconds.
        within_s: u64,
    },
    /// The keeper was killed, and the client with it. Written by the manager when it finds out.
    KeeperLost,
    /// The manager ended and left the keeper to itself; nothing changed. Written by the manager.
    LeftRunning,
}

/// When to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Limit {
    /// So many failures
    pub failures: u32,
    /// within so many seconds.
    pub within_s: u64,
}

/// What the machine goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When to start again.
    pub policy: Policy,
    /// How long to wait before.
    pub backoff: Backoff,
    /// When not to start again any more, whatever the policy.
    pub limit: Option<Limit>,
    /// After running this long, a failure counts as the first one again.
    pub healthy_after: Duration,
    /// From SIGINT to SIGTERM.
    pub grace: Duration,
    /// From SIGTERM to SIGKILL.
    pub last_grace: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            backoff: Backoff::default(),
            limit: None,
            healthy_after: Duration::from_secs(600),
            // The real client needs up to 5 s for its tasks and 4 s more while it tries its template provider.
            grace: Duration::from_secs(15),
            last_grace: Duration::from_secs(3),
        }
    }
}

/// The machine. Times are milliseconds of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct Machine {
    rules: Rules,
    state: State,
    /// Failures in a row.
    failures: u32,
    /// When the last failures were, oldest first; as many as the limit looks at.
    recent: Vec<u64>,
    /// When the present client was spawned.
    spawned_at: u64,
    /// When the machine wants a [`Input::Tick`].
    alarm: Option<u64>,
    /// While stopping: the last signal sent.
    sent: StopSignal,
    /// While stopping: run again afterwards.
    run_again: bool,
}

impl Machine {
    /// A machine at rest.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Stopped,
            failures: 0,
            recent: Vec::new(),
            spawned_at: 0,
            alarm: None,
            sent: StopSignal::Interrupt,
            run_again: false,
        }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When to send the next [`Input::Tick`], if one is wanted.
    #[must_use]
    pub fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    /// Takes new rules; they hold from the next decision on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes one input at the time `now`; `chance` is a random number for the spread of waits.
    pub fn take(&mut self, input: Input, now: u64, chance: u64) -> Vec<Action> {
        match (self.state, input) {
            (State::Stopped | State::Failed | State::BackingOff, Input::Start | Input::Restart) => {
                self.failures = 0;
                self.recent.clear();
                self.spawn(now, Reason::Asked)
            }
            (State::BackingOff, Input::Tick) if self.is_due(now) => self.spawn(now, Reason::Retry),
            (State::BackingOff, Input::Stop) => {
                let change = self.change(State::Stopped, Reason::Asked);
                vec![change, Action::Quit]
            }

            (State::Starting | State::Running, Input::Stop) => self.stop(now, false),
            (State::Starting | State::Running, Input::Restart) => self.stop(now, true),
            (State::Starting, Input::Ready) => vec![self.change(State::Running, Reason::Ready)],
            (State::Starting, Input::SpawnFailed { detail }) => self.failed(Reason::CannotRun(detail), None, None, now, chance),
            (State::Starting | State::Running, Input::Exited { exit, last_error }) => {
                if now.saturating_sub(self.spawned_at) >= millis(self.rules.healthy_after) {
                    self.failures = 0;
                }
                self.failed(Reason::EndedUnasked, Some(exit), last_error, now, chance)
            }

            (State::Stopping, Input::Stop) => {
                self.run_again = false;
                Vec::new()
            }
            (State::Stopping, Input::Start | Input::Restart) => {
                self.run_again = true;
                Vec::new()
            }
            (State::Stopping, Input::Tick) if self.is_due(now) => self.escalate(now),
            (State::Stopping, Input::Exited { exit, last_error }) => self.ended(exit, last_error, now),
            // The program turned out not to be runnable in the very moment it was to be stopped.
            (State::Stopping, Input::SpawnFailed { .. }) => self.ended(Exit::Code(127), None, now),
            _ => Vec::new(),
        }
    }

    fn is_due(&self, now: u64) -> bool {
        self.alarm.is_some_and(|at| now >= at)
    }

    fn change(&mut self, to: State, reason: Reason) -> Action {
        let change = Change { from: self.state, to, reason, exit: None, last_error: None, wait: None };
        self.state = to;
        if to != State::BackingOff && to != State::Stopping {
            self.alarm = None;
        }
        Action::Record(change)
    }

    fn spawn(&mut self, now: u64, reason: Reason) -> Vec<Action> {
        self.spawned_at = now;
        let change = self.change(State::Starting, reason);
        vec![change, Action::Spawn]
    }

    fn stop(&mut self, now: u64, run_again: bool) -> Vec<Action> {
        self.run_again = run_again;
        self.sent = StopSignal::Interrupt;
        self.alarm = Some(now + millis(self.rules.grace));
        let change = self.change(State::Stopping, Reason::Asked);
        vec![change, Action::Signal(StopSignal::Interrupt)]
    }

    fn escalate(&mut self, now: u64) -> Vec<Action> {
        self.sent = if self.sent == StopSignal::Interrupt { StopSignal::Terminate } else { StopSignal::Kill };
        self.alarm = Some(now + millis(self.rules.last_grace));
        vec![Action::Signal(self.sent)]
    }

    fn ended(&mut self, exit: Exit, last_error: Option<String>, now: u64) -> Vec<Action> {
        self.failures = 0;
        let reason = match self.sent {
            StopSignal::Interrupt => Reason::EndedAsAsked,
            StopSignal::Terminate => Reason::Terminated,
            StopSignal::Kill => Reason::Killed,
        };
        let mut actions = vec![with_end(self.change(State::Stopped, reason), Some(exit), last_error)];
        if self.run_again {
            actions.extend(self.spawn(now, Reason::Asked));
        } else {
            actions.push(Action::Quit);
        }
        actions
    }

    fn failed(&mut self, reason: Reason, exit: Option<Exit>, last_error: Option<String>, now: u64, chance: u64) -> Vec<Action> {
        let retry = match (self.rules.policy, &reason) {
            (Policy::Never, _) | (Policy::OnFailure, Reason::CannotRun(_)) => false,
            (Policy::OnFailure | Policy::Always, _) => true,
        };
        self.failures = self.failures.saturating_add(1);
        if let Some(gave_up) = self.reached_limit(now).filter(|_| retry) {
            return vec![with_end(self.change(State::Failed, gave_up), exit, last_error), Action::Quit];
        }
        if !retry {
            return vec![with_end(self.change(State::Failed, reason), exit, last_error), Action::Quit];
        }
        let wait = self.rules.backoff.wait(self.failures, chance);
        self.alarm = Some(now + millis(wait));
        let mut change = with_end(self.change(State::BackingOff, reason), exit, last_error);
        if let Action::Record(change) = &mut change {
            change.wait = Some(wait);
        }
        vec![change]
    }

    /// Counts a failure; the reason to give up if it was one too many.
    fn reached_limit(&mut self, now: u64) -> Option<Reason> {
        let limit = self.rules.limit?;
        let oldest = now.saturating_sub(limit.within_s.saturating_mul(1000));
        self.recent.retain(|at| *at >= oldest);
        self.recent.push(now);
        let failures = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        (failures >= limit.failures).then_some(Reason::GaveUp { failures, within_s: limit.within_s })
    }
}

fn with_end(action: Action, exit: Option<Exit>, last_error: Option<String>) -> Action {
    match action {
        Action::Record(change) => Action::Record(Change { exit, last_error, ..change }),
        other => other,
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
