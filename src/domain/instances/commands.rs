//! The commands of an instance task, its handle, and the state that all tasks share.

use std::collections::HashMap;
use std::sync::RwLock;
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
/// The end of the manager.
pub(super) static SHUTDOWN: Actor = Actor::manager("shutdown");
/// The supervision of instances.
pub(super) static SUPERVISION: Actor = Actor::manager("manager");

/// What can be asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceCommand {
    /// Run; while backing off: now.
    Start,
    /// The same without anybody waiting for the outcome: what cannot be started now is tried again
    /// later.
    StartByItself,
    /// End.
    Stop,
    /// End and run again.
    Restart,
    /// The same, if the client that was started then (milliseconds since 1970) still serves miners;
    /// otherwise a refusal.
    RestartOf(i64),
    /// Take changed settings that need no restart.
    Reload,
    /// Say what the keeper has counted; the answer without a keeper is an error.
    Count,
    /// The manager ends and leaves it to its keeper: write that down.
    Leave,
    /// End for good: once this is answered, no keeper is left and no further order is taken.
    Retire,
}

/// Something asked of an instance, and where the answer goes.
pub(super) struct CommandEnvelope {
    pub(super) ask: InstanceCommand,
    pub(super) actor: Actor,
    pub(super) answer: oneshot::Sender<Result<KeeperStatus>>,
}

/// How to reach an instance's task.
#[derive(Clone, Debug)]
pub(super) struct TaskHandle {
    pub(super) orders: mpsc::Sender<CommandEnvelope>,
    pub(super) told: watch::Receiver<Option<KeeperStatus>>,
    pub(super) stop: CancellationToken,
}

/// What all tasks share.
#[derive(Debug)]
pub(super) struct SupervisorInner {
    pub(super) db: Db,
    pub(super) preparation: StartPreparation,
    pub(super) handles: RwLock<HashMap<InstanceId, TaskHandle>>,
    pub(super) changes: broadcast::Sender<InstanceId>,
    /// The manager is ending: nothing is started any more.
    pub(super) closing: CancellationToken,
    /// A start that takes longer is told of once more, since it is warned of from then on.
    pub(super) slow_start: Duration,
    pub(super) tasks: TaskTracker,
}
