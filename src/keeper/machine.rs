//! The lifecycle of an instance as a pure state machine: takes inputs and the time, returns
//! actions. No clock, no I/O.
//!
//! The keeper runs it, and the manager shows its states. The rules:
//!
//! * There is never a second client: [`MachineAction::Spawn`] is returned only if there is no
//!   client.
//! * Any unexpected exit is a failure, even with code 0: the real client exits with code 0 when it
//!   loses its template provider (measured with 0.6.0).
//! * A stop sends SIGINT, after the grace period SIGTERM, then SIGKILL, to the whole group. The
//!   real client handles only SIGINT.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::backoff::Backoff;

/// The state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum InstanceState {
    /// There is no client, as desired.
    #[default]
    Stopped,
    /// The client process exists but is not ready for miners yet.
    Starting,
    /// The client is ready for miners.
    Running,
    /// There is no client; the next retry has a known time.
    BackingOff,
    /// The client was asked to stop and is still running.
    Stopping,
    /// There is no client, and no automatic retry.
    // The first generation used the name `error`.
    #[strum(to_string = "failed", serialize = "error")]
    Failed,
}

impl InstanceState {
    /// As written in JSON, in the database and on pages.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// A client process exists.
    pub const fn has_client(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// Nothing happens until a user or program requests it.
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// When a client that exited unexpectedly is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never: the first failure is final.
    Never,
    /// After every unexpected exit. A program that cannot be run at all is not retried.
    #[default]
    OnFailure,
    /// Always, even if the program cannot be run (it may be on a disk that is not mounted yet).
    Always,
}

impl RestartPolicy {
    /// As written in JSON, in the database and on pages.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How a process exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessExit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => {
                // The same numbers on all Linux architectures.
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

/// An input of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineInput {
    /// Start the client; while retrying: start it now.
    Start,
    /// Stop the client.
    Stop,
    /// Stop and start the client; start it if there is none.
    Restart,
    /// The client has been started.
    Spawned {
        /// Its process id.
        pid: u32,
    },
    /// The client could not be started.
    SpawnFailed {
        /// The reason, for people.
        detail: String,
    },
    /// The client is ready for miners.
    Ready,
    /// The client has exited and its output has been read to the end.
    Exited {
        /// The exit status.
        exit: ProcessExit,
        /// The last ERROR line of this run.
        last_error: Option<String>,
    },
    /// The client's dependency was unavailable and is available again.
    DependencyBack,
    /// Time has passed.
    Tick,
}

/// The signals of a stop, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopSignal {
    /// SIGINT: the client shuts down gracefully.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// An action that the machine requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineAction {
    /// Start the client; answer with [`MachineInput::Spawned`] or [`MachineInput::SpawnFailed`].
    Spawn,
    /// Send a signal to the client's whole group.
    Signal(StopSignal),
    /// The state has changed: record it and inform the watchers.
    Record(StateChange),
    /// The keeper has nothing more to do.
    Quit,
}

/// A change of state and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange<State = InstanceState> {
    /// The previous state.
    pub from: State,
    /// The new state.
    pub to: State,
    /// The reason.
    pub reason: ChangeReason,
    /// How the client exited, if it did.
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the run that exited.
    pub last_error: Option<String>,
    /// The delay before the next retry.
    pub wait: Option<Duration>,
}

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeReason {
    /// A user or program requested it.
    Asked,
    /// The delay is over.
    Retry,
    /// The client reports that it is ready for miners.
    Ready,
    /// The client exited unexpectedly.
    EndedUnasked,
    /// The client exited as requested.
    EndedAsAsked,
    /// The client had to be stopped with SIGTERM.
    Terminated,
    /// The client had to be stopped with SIGKILL.
    Killed,
    /// The program could not be run.
    CannotRun(String),
    /// The client exited unexpectedly too often.
    GaveUp {
        /// The number of failures.
        failures: u32,
        /// The time window, in seconds.
        within_s: u64,
    },
    /// The keeper was killed, and the client with it. jd-manager records this when it notices it.
    KeeperLost,
    /// jd-manager exited and left the keeper running; nothing changed. Recorded by jd-manager.
    LeftRunning,
    /// Only for a translator: its client is ready for miners.
    ClientServes,
    /// Only for a translator: its client exited or disconnected it.
    ClientLost,
    /// Only for a translator: a changed specification requires a different translator.
    Reloaded,
}

/// When to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct RestartLimit {
    /// The number of failures.
    pub failures: u32,
    /// The time window, in seconds.
    pub within_s: u64,
}

/// The rules of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineRules {
    /// When to restart.
    pub policy: RestartPolicy,
    /// How long to wait before a retry.
    pub backoff: Backoff,
    /// When to give up, regardless of the policy.
    pub limit: Option<RestartLimit>,
    /// After running this long, the next failure counts as the first again.
    pub healthy_after: Duration,
    /// The time over which starts are spread when a dependency is back, so fifty clients do not
    /// connect to one node at the same moment.
    pub stagger: Duration,
    /// The minimum time between two starts, regardless of how often a dependency comes and goes.
    pub least_between_starts: Duration,
    /// The wait from SIGINT to SIGTERM.
    pub grace: Duration,
    /// The wait from SIGTERM to SIGKILL.
    pub last_grace: Duration,
}

impl Default for MachineRules {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            backoff: Backoff::default(),
            limit: None,
            healthy_after: Duration::from_secs(600),
            stagger: Duration::from_secs(2),
            least_between_starts: Duration::from_secs(5),
            // The real client needs up to 5 s for its tasks and 4 s more while it tries its
            // template provider.
            grace: Duration::from_secs(15),
            last_grace: Duration::from_secs(3),
        }
    }
}

/// The machine. Times are milliseconds of any monotonic clock.
#[derive(Clone, Debug)]
pub struct LifecycleMachine {
    rules: MachineRules,
    state: InstanceState,
    /// Failures in a row.
    failures: u32,
    /// The times of the last failures, oldest first; as many as the limit needs.
    recent: Vec<u64>,
    /// When the current client was started.
    spawned_at: u64,
    /// When the machine needs a [`MachineInput::Tick`].
    alarm: Option<u64>,
    /// While stopping: the last signal sent.
    sent: StopSignal,
    /// While stopping: run again afterwards.
    run_again: bool,
}

impl LifecycleMachine {
    /// A stopped machine.
    pub fn new(rules: MachineRules) -> Self {
        Self {
            rules,
            state: InstanceState::Stopped,
            failures: 0,
            recent: Vec::new(),
            spawned_at: 0,
            alarm: None,
            sent: StopSignal::Interrupt,
            run_again: false,
        }
    }

    /// The current state.
    pub fn state(&self) -> InstanceState {
        self.state
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When to send the next [`MachineInput::Tick`], if one is needed.
    pub fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    /// Sets new rules. They apply from the next decision.
    pub fn set_rules(&mut self, rules: MachineRules) {
        self.rules = rules;
    }

    /// Processes one input at the time `now`. `chance` is a random number that varies the waits.
    pub fn take(&mut self, input: MachineInput, now: u64, chance: u64) -> Vec<MachineAction> {
        match (self.state, input) {
            (
                InstanceState::Stopped | InstanceState::Failed | InstanceState::BackingOff,
                MachineInput::Start | MachineInput::Restart,
            ) => {
                self.failures = 0;
                self.recent.clear();
                self.spawn(now, ChangeReason::Asked)
            }
            (InstanceState::BackingOff, MachineInput::DependencyBack) => {
                let soon = now + chance % (millis(self.rules.stagger) + 1);
                let least = self.spawned_at + millis(self.rules.least_between_starts);
                let alarm = self.alarm.unwrap_or(u64::MAX);
                self.alarm = Some(alarm.min(soon.max(least)));
                Vec::new()
            }
            (InstanceState::BackingOff, MachineInput::Tick) if self.is_due(now) => {
                self.spawn(now, ChangeReason::Retry)
            }
            (InstanceState::BackingOff, MachineInput::Stop) => {
                let change = self.change(InstanceState::Stopped, ChangeReason::Asked);
                vec![change, MachineAction::Quit]
            }

            (InstanceState::Starting | InstanceState::Running, MachineInput::Stop) => {
                self.stop(now, false)
            }
            (InstanceState::Starting | InstanceState::Running, MachineInput::Restart) => {
                self.stop(now, true)
            }
            (InstanceState::Starting, MachineInput::Ready) => {
                vec![self.change(InstanceState::Running, ChangeReason::Ready)]
            }
            (InstanceState::Starting, MachineInput::SpawnFailed { detail }) => {
                self.failed(ChangeReason::CannotRun(detail), None, None, now, chance)
            }
            (
                InstanceState::Starting | InstanceState::Running,
                MachineInput::Exited { exit, last_error },
            ) => {
                if now.saturating_sub(self.spawned_at) >= millis(self.rules.healthy_after) {
                    self.failures = 0;
                }
                self.failed(
                    ChangeReason::EndedUnasked,
                    Some(exit),
                    last_error,
                    now,
                    chance,
                )
            }

            (InstanceState::Stopping, MachineInput::Stop) => {
                self.run_again = false;
                Vec::new()
            }
            (InstanceState::Stopping, MachineInput::Start | MachineInput::Restart) => {
                self.run_again = true;
                Vec::new()
            }
            (InstanceState::Stopping, MachineInput::Tick) if self.is_due(now) => {
                self.stop_harder(now)
            }
            (InstanceState::Stopping, MachineInput::Exited { exit, last_error }) => {
                self.ended(exit, last_error, now)
            }
            // The program could not be run, and a stop arrived at the same moment.
            (InstanceState::Stopping, MachineInput::SpawnFailed { .. }) => {
                self.ended(ProcessExit::Code(127), None, now)
            }
            _ => Vec::new(),
        }
    }

    fn is_due(&self, now: u64) -> bool {
        self.alarm.is_some_and(|at| now >= at)
    }

    fn change(&mut self, to: InstanceState, reason: ChangeReason) -> MachineAction {
        let change = StateChange {
            from: self.state,
            to,
            reason,
            exit: None,
            last_error: None,
            wait: None,
        };
        self.state = to;
        if to != InstanceState::BackingOff && to != InstanceState::Stopping {
            self.alarm = None;
        }
        MachineAction::Record(change)
    }

    fn spawn(&mut self, now: u64, reason: ChangeReason) -> Vec<MachineAction> {
        self.spawned_at = now;
        let change = self.change(InstanceState::Starting, reason);
        vec![change, MachineAction::Spawn]
    }

    fn stop(&mut self, now: u64, run_again: bool) -> Vec<MachineAction> {
        self.run_again = run_again;
        self.sent = StopSignal::Interrupt;
        self.alarm = Some(now + millis(self.rules.grace));
        let change = self.change(InstanceState::Stopping, ChangeReason::Asked);
        vec![change, MachineAction::Signal(StopSignal::Interrupt)]
    }

    fn stop_harder(&mut self, now: u64) -> Vec<MachineAction> {
        self.sent = if self.sent == StopSignal::Interrupt {
            StopSignal::Terminate
        } else {
            StopSignal::Kill
        };
        self.alarm = Some(now + millis(self.rules.last_grace));
        vec![MachineAction::Signal(self.sent)]
    }

    fn ended(
        &mut self,
        exit: ProcessExit,
        last_error: Option<String>,
        now: u64,
    ) -> Vec<MachineAction> {
        self.failures = 0;
        let reason = match self.sent {
            StopSignal::Interrupt => ChangeReason::EndedAsAsked,
            StopSignal::Terminate => ChangeReason::Terminated,
            StopSignal::Kill => ChangeReason::Killed,
        };
        let mut actions = vec![with_end(
            self.change(InstanceState::Stopped, reason),
            Some(exit),
            last_error,
        )];
        if self.run_again {
            actions.extend(self.spawn(now, ChangeReason::Asked));
        } else {
            actions.push(MachineAction::Quit);
        }
        actions
    }

    fn failed(
        &mut self,
        reason: ChangeReason,
        exit: Option<ProcessExit>,
        last_error: Option<String>,
        now: u64,
        chance: u64,
    ) -> Vec<MachineAction> {
        let retry = match (self.rules.policy, &reason) {
            (RestartPolicy::Never, _) | (RestartPolicy::OnFailure, ChangeReason::CannotRun(_)) => {
                false
            }
            (RestartPolicy::OnFailure | RestartPolicy::Always, _) => true,
        };
        self.failures = self.failures.saturating_add(1);
        if let Some(gave_up) = self.reached_limit(now).filter(|_| retry) {
            return vec![
                with_end(
                    self.change(InstanceState::Failed, gave_up),
                    exit,
                    last_error,
                ),
                MachineAction::Quit,
            ];
        }
        if !retry {
            return vec![
                with_end(self.change(InstanceState::Failed, reason), exit, last_error),
                MachineAction::Quit,
            ];
        }
        let wait = self.rules.backoff.wait(self.failures, chance);
        self.alarm = Some(now + millis(wait));
        let mut change = with_end(
            self.change(InstanceState::BackingOff, reason),
            exit,
            last_error,
        );
        if let MachineAction::Record(change) = &mut change {
            change.wait = Some(wait);
        }
        vec![change]
    }

    /// Counts a failure. Returns the reason to give up if the limit is exceeded.
    fn reached_limit(&mut self, now: u64) -> Option<ChangeReason> {
        let limit = self.rules.limit?;
        let oldest = now.saturating_sub(limit.within_s.saturating_mul(1000));
        self.recent.retain(|at| *at >= oldest);
        self.recent.push(now);
        let failures = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        (failures >= limit.failures).then_some(ChangeReason::GaveUp {
            failures,
            within_s: limit.within_s,
        })
    }
}

fn with_end(
    action: MachineAction,
    exit: Option<ProcessExit>,
    last_error: Option<String>,
) -> MachineAction {
    match action {
        MachineAction::Record(change) => MachineAction::Record(StateChange {
            exit,
            last_error,
            ..change
        }),
        other => other,
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
