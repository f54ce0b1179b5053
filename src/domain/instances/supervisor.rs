//! The tasks of all instances: starts them, passes commands on, lets callers wait for changes, and
//! stops the tasks.
//!
//! Ownership: the keeper owns the client. The task (an [`InstanceTask`]) owns the connection to the
//! keeper. Everything else has a [`TaskHandle`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::commands::{AUTOSTART, SHUTDOWN};
use super::commands::{CommandEnvelope, InstanceCommand, SupervisorInner, TaskHandle};
use super::model::{STOP_PATIENCE, unknown};
use super::preparation::StartPreparation;
use super::queries;
use super::task::InstanceTask;
use crate::base::actor::Actor;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::infra::db::Db;
use crate::keeper::protocol::KeeperStatus;

/// At the start: the time for all keepers together to report their status. A keeper that hangs does
/// not delay the others.
const FIRST_LOOKS: Duration = Duration::from_secs(1);

/// Pause between two automatic starts.
const SPREAD: Duration = Duration::from_millis(100);

/// At shutdown: the time for all clients together to stop, including slow ones.
const LAST_STOPS: Duration = Duration::from_secs(25);
/// At shutdown: the time for the tasks to stop.
const LAST_TASKS: Duration = Duration::from_secs(2);

/// What happens to the clients when the manager stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Stop them.
    Stop,
    /// Leave them running.
    Leave,
}

/// All instances' tasks.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<SupervisorInner>);

impl Supervisor {
    /// A supervisor without instances. Starts that take longer than `slow_start` get a warning.
    pub fn new(db: Db, preparation: StartPreparation, slow_start: Duration) -> Self {
        let (changes, _) = broadcast::channel(1024);
        Self(Arc::new(SupervisorInner {
            db,
            preparation,
            handles: RwLock::default(),
            changes,
            status_changes: AtomicU64::new(0),
            closing: CancellationToken::new(),
            slow_start,
            has_unsaved_events: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }))
    }

    /// Starts supervising all instances in the database: finds running ones, catches up on events,
    /// and restarts those that should be running. Returns when the status of each is known, or
    /// after a second; starts continue in the background.
    pub async fn adopt_all(&self) -> Result<()> {
        let rows = self.0.db.read(|c| Ok(queries::all(c)?)).await?;
        let mut to_start = Vec::new();
        let mut found = Vec::new();
        for (row, _, _) in rows {
            let (handle, ready) =
                self.spawn_task(row.id, u64::try_from(row.journal_offset).unwrap_or(0));
            found.push(ready);
            if row.autostart {
                to_start.push(handle);
            }
        }
        if tokio::time::timeout(FIRST_LOOKS, futures_util::future::join_all(found))
            .await
            .is_err()
        {
            tracing::warn!(
                "some keepers have not responded yet; their instances are shown in their last known state"
            );
        }
        if !to_start.is_empty() {
            let closing = self.0.closing.clone();
            self.0.tasks.spawn(async move {
                for handle in to_start {
                    if closing.is_cancelled() {
                        break;
                    }
                    if has_ended(handle.told.borrow().as_ref()) {
                        // The result is in the history either way.
                        let _ = order(&handle, InstanceCommand::StartByItself, &AUTOSTART).await;
                        tokio::time::sleep(SPREAD).await;
                    }
                }
            });
        }
        Ok(())
    }

    /// Starts supervising one instance. `offset`: read position in its journal, bytes.
    pub fn add(&self, id: InstanceId, offset: u64) {
        drop(self.spawn_task(id, offset));
    }

    fn spawn_task(&self, id: InstanceId, offset: u64) -> (TaskHandle, oneshot::Receiver<()>) {
        let (orders, received) = mpsc::channel(64);
        let (tell, told) = watch::channel(None);
        let (ready, when_ready) = oneshot::channel();
        let stop = CancellationToken::new();
        let handle = TaskHandle {
            orders,
            told,
            stop: stop.clone(),
        };
        let minder = InstanceTask::new(id, self.0.clone(), tell, offset);
        self.0
            .handles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, handle.clone());
        self.0.tasks.spawn(minder.run(received, ready, stop));
        (handle, when_ready)
    }

    fn handle(&self, id: InstanceId) -> Result<TaskHandle> {
        self.0
            .handles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
            .ok_or_else(|| unknown(id))
    }

    /// The last status from the keeper; none: there is no keeper.
    pub fn told(&self, id: InstanceId) -> Option<KeeperStatus> {
        let handles = self.0.handles.read();
        let handles = handles.unwrap_or_else(PoisonError::into_inner);
        handles.get(&id)?.told.borrow().clone()
    }

    /// Differs whenever the status of an instance has changed.
    pub fn status_changes(&self) -> u64 {
        self.0.status_changes.load(Ordering::Acquire)
    }

    /// The ids of instances as they change.
    pub fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.0.changes.subscribe()
    }

    /// Publishes a change that did not come from the keeper.
    pub fn announce(&self, id: InstanceId) {
        // A channel without receivers is not an error.
        let _ = self.0.changes.send(id);
    }

    /// Sends a command and returns the answer of the keeper.
    ///
    /// # Errors
    /// The state does not allow the command, the client cannot run, or the keeper does not respond.
    pub async fn ask(
        &self,
        id: InstanceId,
        ask: InstanceCommand,
        actor: &Actor,
    ) -> Result<KeeperStatus> {
        order(&self.new_handle(id).await?, ask, actor).await
    }

    /// The handle of an instance that may have just been created: its row is in the database before
    /// its task exists.
    async fn new_handle(&self, id: InstanceId) -> Result<TaskHandle> {
        for _ in 0..50 {
            if let Ok(handle) = self.handle(id) {
                return Ok(handle);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.handle(id)
    }

    /// Waits up to `patience` until `is_so` is true for the status (`None`: no keeper).
    pub async fn wait(
        &self,
        id: InstanceId,
        patience: Duration,
        is_so: impl Fn(Option<&KeeperStatus>) -> bool,
    ) {
        if let Ok(mut handle) = self.handle(id) {
            let _ =
                tokio::time::timeout(patience, handle.told.wait_for(|told| is_so(told.as_ref())))
                    .await;
        }
    }

    /// Stops the client and the task of an instance; returns when no keeper is left.
    ///
    /// # Errors
    /// The client could not be stopped.
    pub async fn retire(&self, id: InstanceId, actor: &Actor) -> Result<()> {
        order(&self.handle(id)?, InstanceCommand::Retire, actor).await?;
        self.0
            .handles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        Ok(())
    }

    /// Stops supervision within half a minute. With [`ShutdownMode::Stop`], stops all clients at
    /// once and waits for them.
    pub async fn end(&self, ending: ShutdownMode) {
        // First: no further starts.
        self.0.closing.cancel();
        let handles: Vec<(InstanceId, TaskHandle)> = self
            .0
            .handles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(id, handle)| (*id, handle.clone()))
            .collect();
        let is_up = |handle: &TaskHandle| !has_ended(handle.told.borrow().as_ref());
        let running = handles.iter().filter(|(_, handle)| is_up(handle)).count();
        if ending == ShutdownMode::Stop {
            tracing::info!(running, "stopping all instances");
            // Sent to all: the command waits for a start in progress.
            let stops = handles.iter().map(|(id, handle)| async move {
                let _ = order(handle, InstanceCommand::Stop, &SHUTDOWN).await;
                self.wait(*id, STOP_PATIENCE, has_ended).await;
            });
            let _ = tokio::time::timeout(LAST_STOPS, futures_util::future::join_all(stops)).await;
            for (id, _) in handles.iter().filter(|(_, handle)| is_up(handle)) {
                tracing::error!(instance = %id, "the instance did not stop in time");
            }
        } else {
            tracing::info!(running, "leaving all instances running under their keepers");
            let left = handles.iter().filter(|(_, handle)| is_up(handle));
            let told = left.map(|(_, handle)| order(handle, InstanceCommand::Leave, &SHUTDOWN));
            let _ = tokio::time::timeout(LAST_TASKS, futures_util::future::join_all(told)).await;
        }
        for (_, handle) in handles {
            handle.stop.cancel();
        }
        self.0.tasks.close();
        let _ = tokio::time::timeout(LAST_TASKS, self.0.tasks.wait()).await;
    }
}

/// Whether an instance has neither a keeper nor a pending retry.
pub(super) fn has_ended(told: Option<&KeeperStatus>) -> bool {
    told.is_none_or(|told| told.keeper_pid == 0 && told.state.is_at_rest())
}

async fn order(handle: &TaskHandle, ask: InstanceCommand, actor: &Actor) -> Result<KeeperStatus> {
    let gone = || Error::Unavailable {
        detail: "The instance is being deleted, or jd-manager is shutting down.".into(),
        retry_after: None,
    };
    let (answer, answered) = oneshot::channel();
    handle
        .orders
        .send(CommandEnvelope {
            ask,
            actor: actor.clone(),
            answer,
        })
        .await
        .map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}
