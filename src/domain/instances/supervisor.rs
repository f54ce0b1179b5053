//! The tasks of all instances: starts them, passes commands on, lets callers wait for changes, and
//! stops the tasks.
//!
//! Ownership: the keeper owns the client. The task (an [`InstanceTask`]) owns the connection to the
//! keeper. Everything else has a [`TaskHandle`].

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

/// At the manager's start: so long for all keepers together to say how their instances are. Nobody
/// waits for one that hangs.
const FIRST_LOOKS: Duration = Duration::from_secs(1);

/// Between two instances that are started together with the manager.
const SPREAD: Duration = Duration::from_millis(100);

/// When the manager ends: so long for all clients together, the stubborn ones included.
const LAST_STOPS: Duration = Duration::from_secs(25);
/// And so long for the tasks that looked after them.
const LAST_TASKS: Duration = Duration::from_secs(2);

/// What becomes of the clients when the manager ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// They are stopped.
    Stop,
    /// They go on.
    Leave,
}

/// All instances' tasks.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<SupervisorInner>);

impl Supervisor {
    /// A supervisor without instances; a client that starts for longer than `slow_start` is warned
    /// of.
    pub fn new(db: Db, preparation: StartPreparation, slow_start: Duration) -> Self {
        let (changes, _) = broadcast::channel(1024);
        Self(Arc::new(SupervisorInner {
            db,
            preparation,
            handles: RwLock::default(),
            changes,
            closing: CancellationToken::new(),
            slow_start,
            tasks: TaskTracker::new(),
        }))
    }

    /// Takes charge of every instance in the database: finds those that run, catches up on what
    /// happened, restarts those that should run and do not. Returns once the truth about each is
    /// known, or after a second; starts go on afterwards.
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
                "some keepers have not answered yet; their instances are shown in the last known state"
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
                        // Whether it worked is in the history either way.
                        let _ = order(&handle, InstanceCommand::StartByItself, &AUTOSTART).await;
                        tokio::time::sleep(SPREAD).await;
                    }
                }
            });
        }
        Ok(())
    }

    /// Takes charge of one instance; `offset`: up to here its journal has been read, bytes.
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

    /// What the keeper of an instance last said; none: there is no keeper.
    pub fn told(&self, id: InstanceId) -> Option<KeeperStatus> {
        self.handle(id)
            .ok()
            .and_then(|handle| handle.told.borrow().clone())
    }

    /// The ids of instances as they change.
    pub fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.0.changes.subscribe()
    }

    /// Says that an instance changed other than by its keeper's word.
    pub fn announce(&self, id: InstanceId) {
        // Nobody listening is no error.
        let _ = self.0.changes.send(id);
    }

    /// Passes an order on and returns what the keeper answers.
    ///
    /// # Errors
    /// The order contradicts the state, the client cannot be run, the keeper does not answer.
    pub async fn ask(
        &self,
        id: InstanceId,
        ask: InstanceCommand,
        actor: &Actor,
    ) -> Result<KeeperStatus> {
        order(&self.new_handle(id).await?, ask, actor).await
    }

    /// The handle of an instance that may have been created a moment ago: its row is in the
    /// database before its task is here.
    async fn new_handle(&self, id: InstanceId) -> Result<TaskHandle> {
        for _ in 0..50 {
            if let Ok(handle) = self.handle(id) {
                return Ok(handle);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.handle(id)
    }

    /// Waits until `is_so` holds of what the keeper says (`None`: no keeper), at most for
    /// `patience`.
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

    /// Ends the client of an instance and its task; returns once no keeper is left.
    ///
    /// # Errors
    /// The client could not be ended.
    pub async fn retire(&self, id: InstanceId, actor: &Actor) -> Result<()> {
        order(&self.handle(id)?, InstanceCommand::Retire, actor).await?;
        self.0
            .handles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        Ok(())
    }

    /// Ends supervision, within half a minute whatever happens. With [`ShutdownMode::Stop`] all
    /// clients are told to end at once and waited for.
    pub async fn end(&self, ending: ShutdownMode) {
        // First of all: what is not started yet stays so.
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
            // To all of them: the order queues behind a start that is under way.
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

/// Whether an instance has neither a keeper nor a wait for one.
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
