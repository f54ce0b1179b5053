//! The commands of an instance task, its handle, and the state that all tasks share.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::preparation::StartPreparation;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::infra::db::Db;
use crate::keeper::protocol::KeeperStatus;

/// The start of the manager.
pub(super) static AUTOSTART: Actor = Actor::manager("autostart");
/// The shutdown of the manager.
pub(super) static SHUTDOWN: Actor = Actor::manager("shutdown");
/// The supervision of instances.
pub(super) static SUPERVISION: Actor = Actor::manager("manager");

/// A command for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceCommand {
    /// Start; if it waits for a retry: immediately.
    Start,
    /// Start without a waiting caller: a start that fails is retried later.
    StartByItself,
    /// Stop.
    Stop,
    /// Restart.
    Restart,
    /// Restart if the client started at this time (milliseconds since 1970) is still running;
    /// otherwise an error.
    RestartOf(i64),
    /// Restart the translator and not the client; with a time (milliseconds since 1970): only the
    /// translator that was started then.
    RestartTranslator(Option<i64>),
    /// Apply changed settings that need no restart.
    Reload,
    /// Report the counters of the keeper; without a keeper, an error.
    Count,
    /// The manager stops and leaves the client to the keeper: record that.
    Leave,
    /// Stop for good: after the answer, no keeper is left and no further command is accepted.
    Retire,
}

/// A command and the channel for its answer.
pub(super) struct CommandEnvelope {
    pub(super) ask: InstanceCommand,
    pub(super) actor: Actor,
    pub(super) answer: oneshot::Sender<Result<KeeperStatus>>,
}

/// The handle of an instance task.
#[derive(Clone, Debug)]
pub(super) struct TaskHandle {
    pub(super) orders: mpsc::Sender<CommandEnvelope>,
    pub(super) told: watch::Receiver<Option<KeeperStatus>>,
    pub(super) stop: CancellationToken,
}

/// The state that all tasks share.
#[derive(Debug)]
pub(super) struct SupervisorInner {
    pub(super) db: Db,
    pub(super) preparation: StartPreparation,
    pub(super) handles: RwLock<HashMap<InstanceId, TaskHandle>>,
    pub(super) changes: broadcast::Sender<InstanceId>,
    /// The number of status changes, for cached lists.
    pub(super) status_changes: AtomicU64,
    /// The manager is shutting down: nothing is started.
    pub(super) closing: CancellationToken,
    /// A start that takes longer is published again, because a warning is shown from then on.
    pub(super) slow_start: Duration,
    /// Events could not be saved last: logged once, not for each instance and each retry.
    pub(super) has_unsaved_events: AtomicBool,
    pub(super) tasks: TaskTracker,
}
