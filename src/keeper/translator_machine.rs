//! The life of the translator beside its client as a pure state machine: inputs and the time in,
//! actions out. No clock, no I/O.
//!
//! `translator_sv2` exits whenever its client drops it, and it can do nothing without a client
//! (measured on 0.6.0). Its rules:
//!
//! * There is never a second translator: [`TranslatorAction::Spawn`] comes only when none is there.
//! * It starts only while the client serves miners and the client's port is open.
//! * It stops when the client stops or has exited, and comes back when the client serves again.
//! * An exit because its client dropped it is no failure: it comes back at once, but only so often
//!   within a minute.
//! * Every other exit beside a client that serves is a failure and backs off. The client goes on.
//! * A stop is SIGINT, after the grace SIGKILL. It has no handler for SIGTERM.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::backoff::Backoff;
use super::machine::{ChangeReason, InstanceState, ProcessExit, StateChange, StopSignal};

/// Where the translator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TranslatorState {
    /// No process, and none will start.
    #[default]
    Stopped,
    /// No process; it starts as soon as the client serves miners.
    Waiting,
    /// The process exists but does not serve miners yet.
    Starting,
    /// Serving Stratum V1 miners.
    Running,
    /// No process after a failure; the next try is due at a known time.
    BackingOff,
    /// Asked to exit, still running.
    Stopping,
}

impl TranslatorState {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// A process exists.
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// The state in the history, which has no word for waiting.
    pub const fn to_instance_state(self) -> InstanceState {
        match self {
            Self::Stopped | Self::Waiting => InstanceState::Stopped,
            Self::Starting => InstanceState::Starting,
            Self::Running => InstanceState::Running,
            Self::BackingOff => InstanceState::BackingOff,
            Self::Stopping => InstanceState::Stopping,
        }
    }
}

/// What the machine learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranslatorInput {
    /// The client is to run: start once it serves miners.
    Start,
    /// The client is to stop, or the translator is no longer wanted.
    Stop,
    /// What to run has changed.
    Restart,
    /// The client serves miners.
    ClientServes,
    /// The client has exited unexpectedly.
    ClientLost,
    /// The client's port is open, after [`TranslatorAction::Probe`].
    ClientListens,
    /// The translator could not be started.
    SpawnFailed {
        /// Why, for people.
        detail: String,
    },
    /// The translator serves miners.
    Ready,
    /// The translator has exited and its output has been read to the end.
    Exited {
        /// How.
        exit: ProcessExit,
        /// The last ERROR line of this run.
        last_error: Option<String>,
        /// Its last lines say that the client dropped it.
        is_client_lost: bool,
    },
    /// Time has passed.
    Tick,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranslatorAction {
    /// Watch for the client's port to be open; answer with [`TranslatorInput::ClientListens`].
    Probe,
    /// Start the translator; if that fails, answer with [`TranslatorInput::SpawnFailed`].
    Spawn,
    /// Send a signal to the translator's whole group.
    Signal(StopSignal),
    /// The state has changed.
    Record(StateChange<TranslatorState>),
}

/// The limits of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranslatorRules {
    /// How long to wait after a failure.
    pub backoff: Backoff,
    /// After running this long, a failure counts as the first one again.
    pub healthy_after: Duration,
    /// So often it comes back at once after its client dropped it
    pub returns: usize,
    /// within this time. Beyond that such an exit counts as a failure.
    pub returns_within: Duration,
    /// The exit of a client may be seen so long after that of its translator.
    pub same_event: Duration,
    /// From SIGINT to SIGKILL.
    pub grace: Duration,
    /// From one SIGKILL to the next.
    pub last_grace: Duration,
}

impl Default for TranslatorRules {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            healthy_after: Duration::from_secs(600),
            returns: 3,
            returns_within: Duration::from_secs(60),
            // 0.3 s were seen under load, with a large process that was killed.
            same_event: Duration::from_secs(1),
            // The real one exits within milliseconds (0.6.0, measured).
            grace: Duration::from_secs(2),
            last_grace: Duration::from_secs(3),
        }
    }
}

/// The machine. Times are milliseconds of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct TranslatorMachine {
    rules: TranslatorRules,
    state: TranslatorState,
    /// The client serves miners.
    is_served: bool,
    /// The client's port is being watched.
    is_probing: bool,
    /// Why the next start happens.
    start_reason: ChangeReason,
    /// Failures in a row.
    failures: u32,
    /// When it came back at once, oldest first.
    returns: Vec<u64>,
    spawned_at: u64,
    alarm: Option<u64>,
    /// While stopping: the last signal sent.
    sent: StopSignal,
    /// While stopping: wait for the client afterwards.
    run_again: bool,
}

impl TranslatorMachine {
    /// A machine without a client.
    pub fn new(rules: TranslatorRules) -> Self {
        Self {
            rules,
            state: TranslatorState::Stopped,
            is_served: false,
            is_probing: false,
            start_reason: ChangeReason::ClientServes,
            failures: 0,
            returns: Vec::new(),
            spawned_at: 0,
            alarm: None,
            sent: StopSignal::Interrupt,
            run_again: false,
        }
    }

    /// The present state.
    pub fn state(&self) -> TranslatorState {
        self.state
    }

    /// The client's port is being watched.
    pub fn is_probing(&self) -> bool {
        self.is_probing
    }

    /// It was asked to exit and still has time to do so.
    pub fn is_in_grace(&self) -> bool {
        self.state == TranslatorState::Stopping && self.sent != StopSignal::Kill
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When to send the next [`TranslatorInput::Tick`], if one is wanted.
    pub fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    /// Takes new rules; they hold from the next decision on.
    pub fn set_rules(&mut self, rules: TranslatorRules) {
        self.rules = rules;
    }

    /// Takes one input at the time `now`; `chance` is a random number for the spread of waits.
    pub fn take(&mut self, input: TranslatorInput, now: u64, chance: u64) -> Vec<TranslatorAction> {
        match input {
            TranslatorInput::Start => self.start(),
            TranslatorInput::Stop => self.stop(now),
            TranslatorInput::Restart => self.restart(now),
            TranslatorInput::ClientServes => {
                self.is_served = true;
                self.probe_if_waiting()
            }
            TranslatorInput::ClientLost => self.lose_client(now),
            TranslatorInput::ClientListens if self.is_probing => {
                self.is_probing = false;
                self.spawned_at = now;
                let change = self.change(TranslatorState::Starting, self.start_reason.clone());
                vec![change, TranslatorAction::Spawn]
            }
            TranslatorInput::Ready if self.state == TranslatorState::Starting => {
                vec![self.change(TranslatorState::Running, ChangeReason::Ready)]
            }
            TranslatorInput::SpawnFailed { detail } if self.state == TranslatorState::Starting => {
                self.fail(
                    ChangeReason::CannotRun(detail),
                    RunEnd::default(),
                    now,
                    chance,
                )
            }
            TranslatorInput::Exited {
                exit,
                last_error,
                is_client_lost,
            } => {
                let end = RunEnd {
                    exit: Some(exit),
                    last_error,
                };
                self.exit(end, is_client_lost, now, chance)
            }
            TranslatorInput::Tick if self.alarm.is_some_and(|at| now >= at) => self.pass_time(now),
            TranslatorInput::ClientListens
            | TranslatorInput::Ready
            | TranslatorInput::SpawnFailed { .. }
            | TranslatorInput::Tick => Vec::new(),
        }
    }

    fn start(&mut self) -> Vec<TranslatorAction> {
        match self.state {
            TranslatorState::Stopped => {
                let change = self.change(TranslatorState::Waiting, ChangeReason::Asked);
                let mut actions = vec![change];
                actions.extend(self.probe_if_waiting());
                actions
            }
            TranslatorState::Stopping => {
                self.run_again = true;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn stop(&mut self, now: u64) -> Vec<TranslatorAction> {
        self.is_served = false;
        self.failures = 0;
        match self.state {
            TranslatorState::Stopped => Vec::new(),
            TranslatorState::Waiting | TranslatorState::BackingOff => {
                vec![self.change(TranslatorState::Stopped, ChangeReason::Asked)]
            }
            TranslatorState::Starting | TranslatorState::Running => {
                self.interrupt(false, ChangeReason::Asked, now)
            }
            TranslatorState::Stopping => {
                self.run_again = false;
                Vec::new()
            }
        }
    }

    fn restart(&mut self, now: u64) -> Vec<TranslatorAction> {
        self.failures = 0;
        match self.state {
            TranslatorState::Stopped | TranslatorState::Stopping => Vec::new(),
            // The address to try may have changed.
            TranslatorState::Waiting => {
                self.is_probing = false;
                self.probe_if_waiting()
            }
            TranslatorState::BackingOff => {
                let change = self.change(TranslatorState::Waiting, ChangeReason::Reloaded);
                self.start_reason = ChangeReason::Reloaded;
                let mut actions = vec![change];
                actions.extend(self.probe_if_waiting());
                actions
            }
            TranslatorState::Starting | TranslatorState::Running => {
                self.interrupt(true, ChangeReason::Reloaded, now)
            }
        }
    }

    /// The client has exited. What went wrong beside it no longer counts: the next run of the client
    /// is a new beginning, and how often it runs has a limit of its own.
    fn lose_client(&mut self, now: u64) -> Vec<TranslatorAction> {
        self.is_served = false;
        self.failures = 0;
        // An exit that was seen shortly before was the same event.
        let same = millis(self.rules.same_event);
        self.returns.retain(|at| now.saturating_sub(*at) > same);
        match self.state {
            // Without its client it has nothing to do. It is stopped rather than waited for, since
            // one that hangs would hold its port.
            TranslatorState::Starting | TranslatorState::Running => {
                self.interrupt(true, ChangeReason::ClientLost, now)
            }
            TranslatorState::BackingOff => {
                vec![self.change(TranslatorState::Waiting, ChangeReason::ClientLost)]
            }
            TranslatorState::Waiting => {
                self.is_probing = false;
                Vec::new()
            }
            TranslatorState::Stopped | TranslatorState::Stopping => Vec::new(),
        }
    }

    fn exit(
        &mut self,
        end: RunEnd,
        is_client_lost: bool,
        now: u64,
        chance: u64,
    ) -> Vec<TranslatorAction> {
        match self.state {
            TranslatorState::Stopping => {
                let reason = match self.sent {
                    StopSignal::Interrupt | StopSignal::Terminate => ChangeReason::EndedAsAsked,
                    StopSignal::Kill => ChangeReason::Killed,
                };
                let to = if self.run_again {
                    TranslatorState::Waiting
                } else {
                    TranslatorState::Stopped
                };
                let mut actions = vec![self.change_with_end(to, reason, end)];
                actions.extend(self.probe_if_waiting());
                actions
            }
            TranslatorState::Starting | TranslatorState::Running => {
                if now.saturating_sub(self.spawned_at) >= millis(self.rules.healthy_after) {
                    self.failures = 0;
                }
                if is_client_lost && self.may_return(now) {
                    let to = TranslatorState::Waiting;
                    let mut actions = vec![self.change_with_end(to, ChangeReason::ClientLost, end)];
                    actions.extend(self.probe_if_waiting());
                    return actions;
                }
                self.fail(ChangeReason::EndedUnasked, end, now, chance)
            }
            TranslatorState::Stopped | TranslatorState::Waiting | TranslatorState::BackingOff => {
                Vec::new()
            }
        }
    }

    fn pass_time(&mut self, now: u64) -> Vec<TranslatorAction> {
        match self.state {
            TranslatorState::Stopping => {
                self.sent = StopSignal::Kill;
                self.alarm = Some(now + millis(self.rules.last_grace));
                vec![TranslatorAction::Signal(StopSignal::Kill)]
            }
            TranslatorState::BackingOff => {
                self.alarm = None;
                self.is_probing = true;
                self.start_reason = ChangeReason::Retry;
                vec![TranslatorAction::Probe]
            }
            _ => Vec::new(),
        }
    }

    /// Whether it may come back at once; if so, that is counted.
    fn may_return(&mut self, now: u64) -> bool {
        let oldest = now.saturating_sub(millis(self.rules.returns_within));
        self.returns.retain(|at| *at > oldest);
        let may = self.returns.len() < self.rules.returns;
        if may {
            self.returns.push(now);
        }
        may
    }

    fn probe_if_waiting(&mut self) -> Vec<TranslatorAction> {
        if self.state != TranslatorState::Waiting || !self.is_served || self.is_probing {
            return Vec::new();
        }
        self.is_probing = true;
        vec![TranslatorAction::Probe]
    }

    fn interrupt(
        &mut self,
        run_again: bool,
        reason: ChangeReason,
        now: u64,
    ) -> Vec<TranslatorAction> {
        let change = self.change(TranslatorState::Stopping, reason);
        self.run_again = run_again;
        self.sent = StopSignal::Interrupt;
        self.alarm = Some(now + millis(self.rules.grace));
        vec![change, TranslatorAction::Signal(StopSignal::Interrupt)]
    }

    fn fail(
        &mut self,
        reason: ChangeReason,
        end: RunEnd,
        now: u64,
        chance: u64,
    ) -> Vec<TranslatorAction> {
        self.failures = self.failures.saturating_add(1);
        let wait = self.rules.backoff.wait(self.failures, chance);
        let mut change = self.change_with_end(TranslatorState::BackingOff, reason, end);
        if let TranslatorAction::Record(change) = &mut change {
            change.wait = Some(wait);
        }
        self.alarm = Some(now + millis(wait));
        vec![change]
    }

    fn change(&mut self, to: TranslatorState, reason: ChangeReason) -> TranslatorAction {
        self.change_with_end(to, reason, RunEnd::default())
    }

    /// Changes the state. No alarm and no probe outlasts the state that wanted it.
    fn change_with_end(
        &mut self,
        to: TranslatorState,
        reason: ChangeReason,
        end: RunEnd,
    ) -> TranslatorAction {
        let from = std::mem::replace(&mut self.state, to);
        self.alarm = None;
        self.is_probing = false;
        if to == TranslatorState::Waiting {
            self.start_reason = ChangeReason::ClientServes;
        }
        TranslatorAction::Record(StateChange {
            from,
            to,
            reason,
            exit: end.exit,
            last_error: end.last_error,
            wait: None,
        })
    }
}

/// How a run ended, if it did.
#[derive(Default)]
struct RunEnd {
    exit: Option<ProcessExit>,
    last_error: Option<String>,
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
