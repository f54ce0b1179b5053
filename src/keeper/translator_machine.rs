//! The life cycle of the translator next to its client as a pure state machine: inputs and the time
//! in, actions out. No clock, no I/O.
//!
//! `translator_sv2` exits whenever its client disconnects it, and is useless without a client
//! (measured on 0.6.0). The rules:
//!
//! * There is never a second translator: [`TranslatorAction::Spawn`] comes only if none is running.
//! * The translator starts only while the client is running and the client's port is open.
//! * The translator stops when the client stops or exits, and starts again when the client is
//!   running again.
//! * An exit because the client disconnected the translator is not a failure: the translator
//!   restarts immediately, up to a limit per minute.
//! * Every other exit while the client is running is a failure and delays the next start. The
//!   client keeps running.
//! * To stop it, the keeper sends SIGINT, then SIGKILL after a grace period. The translator does
//!   not handle SIGTERM.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::backoff::Backoff;
use super::machine::{ChangeReason, InstanceState, ProcessExit, StateChange, StopSignal};

/// The state of the translator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TranslatorState {
    /// Not running, and will not start.
    #[default]
    Stopped,
    /// Waiting for the client; starts when the client is ready for miners.
    Waiting,
    /// The process is starting and is not ready for miners yet.
    Starting,
    /// Ready for Stratum V1 miners.
    Running,
    /// Waiting for the next attempt after a failure.
    BackingOff,
    /// The process was asked to exit but is still running.
    Stopping,
}

impl TranslatorState {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a process exists.
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// The state in the history, which has no state for waiting.
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

/// An input of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranslatorInput {
    /// The client should run: start when it is ready for miners.
    Start,
    /// The client should stop, or the translator is no longer needed.
    Stop,
    /// The specification has changed.
    Restart,
    /// A user or jd-manager requested a restart.
    RestartRequest,
    /// The client is ready for miners.
    ClientServes,
    /// The client has exited unexpectedly.
    ClientLost,
    /// The client's port is open, after [`TranslatorAction::Probe`].
    ClientListens,
    /// The translator could not be started.
    SpawnFailed {
        /// The reason, for people.
        detail: String,
    },
    /// The translator is ready for miners.
    Ready,
    /// The translator has exited and its output has been read to the end.
    Exited {
        /// The exit status.
        exit: ProcessExit,
        /// The last ERROR line of this run.
        last_error: Option<String>,
        /// The last lines show that the client disconnected it.
        is_client_lost: bool,
    },
    /// Time has passed.
    Tick,
}

/// An action that the machine requests.
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
    /// After running this long, the next failure counts as the first one.
    pub healthy_after: Duration,
    /// Maximum number of immediate restarts after the client disconnected it
    pub returns: usize,
    /// within this time. Further exits of this type count as failures.
    pub returns_within: Duration,
    /// The maximum delay between noticing the exits of the translator and its client.
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

/// The machine. Times are milliseconds of any monotonic clock.
#[derive(Clone, Debug)]
pub struct TranslatorMachine {
    rules: TranslatorRules,
    state: TranslatorState,
    /// The client is ready for miners.
    is_served: bool,
    /// The client's port is being watched.
    is_probing: bool,
    /// Why the next start happens.
    start_reason: ChangeReason,
    /// Failures in a row.
    failures: u32,
    /// Times of immediate restarts, oldest first.
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

    /// The current state.
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

    /// Sets new rules. They apply from the next decision.
    pub fn set_rules(&mut self, rules: TranslatorRules) {
        self.rules = rules;
    }

    /// Processes one input at the time `now`. `chance` is a random number that varies the waits.
    pub fn take(&mut self, input: TranslatorInput, now: u64, chance: u64) -> Vec<TranslatorAction> {
        match input {
            TranslatorInput::Start => self.start(),
            TranslatorInput::Stop => self.stop(now),
            TranslatorInput::Restart => self.restart(ChangeReason::Reloaded, now),
            TranslatorInput::RestartRequest => self.restart(ChangeReason::Asked, now),
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

    fn restart(&mut self, reason: ChangeReason, now: u64) -> Vec<TranslatorAction> {
        self.failures = 0;
        match self.state {
            TranslatorState::Stopped | TranslatorState::Stopping => Vec::new(),
            // The address to try may have changed.
            TranslatorState::Waiting => {
                self.is_probing = false;
                self.probe_if_waiting()
            }
            TranslatorState::BackingOff => {
                let change = self.change(TranslatorState::Waiting, reason.clone());
                self.start_reason = reason;
                let mut actions = vec![change];
                actions.extend(self.probe_if_waiting());
                actions
            }
            TranslatorState::Starting | TranslatorState::Running => {
                self.interrupt(true, reason, now)
            }
        }
    }

    /// The client has exited. Earlier failures of the translator no longer count: the client's next
    /// run is a new start, and client restarts have their own limit.
    fn lose_client(&mut self, now: u64) -> Vec<TranslatorAction> {
        self.is_served = false;
        self.failures = 0;
        // An exit that was seen shortly before was the same event.
        let same = millis(self.rules.same_event);
        self.returns.retain(|at| now.saturating_sub(*at) > same);
        match self.state {
            // Without its client, the translator is useless. It is stopped rather than waited for,
            // because a hung translator would keep its port in use.
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

    /// Whether an immediate restart is allowed; if so, it is counted.
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

    /// Changes the state. This cancels the alarm and the check of the previous state.
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
