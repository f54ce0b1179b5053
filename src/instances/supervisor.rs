//! One task per instance that talks with its keeper: passes orders on, hears every change, reads the journal into the history,
//! and puts a new keeper in place of one that was killed.
//!
//! Who holds what: the keeper owns the client; the task (a [`Minder`]) owns the conversation with the keeper and is the only one
//! who starts keepers, so orders to one instance follow one another; everybody else holds a [`Handle`].

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::model::{STOP_PATIENCE, unknown};
use super::preparation::Preparation;
use super::queries;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::ids::InstanceId;
use crate::keeper::backoff::Backoff;
use crate::keeper::client;
use crate::keeper::journal::{self, Entry};
use crate::keeper::machine::{Exit, Reason, State};
use crate::keeper::names;
use crate::keeper::protocol::{self, Command, Request, Status};

/// A keeper answers within milliseconds; one that does not is stuck.
const ANSWER: Duration = Duration::from_secs(10);
/// A journal longer than this is begun anew when nothing of it is unread and no keeper writes it, bytes.
const LONG_JOURNAL: u64 = 256 * 1024;
/// Between two instances that are started together with the manager.
const SPREAD: Duration = Duration::from_millis(100);

/// What can be asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Run; while backing off: now.
    Start,
    /// End.
    Stop,
    /// End and run again.
    Restart,
    /// Take changed settings that need no restart.
    Reload,
}

/// What becomes of the clients when the manager ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They are stopped.
    Stop,
    /// They go on.
    Leave,
}

struct Order {
    ask: Ask,
    actor: &'static str,
    answer: oneshot::Sender<Result<Status>>,
}

/// How to reach an instance's task.
#[derive(Clone, Debug)]
struct Handle {
    orders: mpsc::Sender<Order>,
    told: watch::Receiver<Option<Status>>,
    stop: CancellationToken,
}

/// All instances' tasks.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    db: Db,
    preparation: Preparation,
    handles: RwLock<HashMap<InstanceId, Handle>>,
    changes: broadcast::Sender<InstanceId>,
    tasks: TaskTracker,
}

impl Supervisor {
    /// A supervisor without instances.
    pub fn new(db: Db, preparation: Preparation) -> Self {
        let (changes, _) = broadcast::channel(1024);
        Self(Arc::new(Shared { db, preparation, handles: RwLock::default(), changes, tasks: TaskTracker::new() }))
    }

    /// Takes charge of every instance in the database: finds those that run, catches up on what happened, restarts those that should
    /// run and do not. Returns once the truth about each is known; starts go on afterwards.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn take_charge(&self) -> Result<()> {
        let rows = self.0.db.read(|c| Ok(queries::all(c)?)).await?;
        let mut to_start = Vec::new();
        let mut found = Vec::new();
        for (row, _, _) in rows {
            let (handle, ready) = self.mind(row.id, u64::try_from(row.journal_offset).unwrap_or(0));
            found.push(ready);
            if row.autostart {
                to_start.push((row.id, handle));
            }
        }
        for ready in found {
            let _ = ready.await;
        }
        if !to_start.is_empty() {
            self.0.tasks.spawn(async move {
                for (id, handle) in to_start {
                    if handle.told.borrow().is_none() {
                        if let Err(e) = order(&handle, Ask::Start, "autostart").await {
                            tracing::warn!(instance = %id, error = %e, "autostart failed");
                        }
                        tokio::time::sleep(SPREAD).await;
                    }
                }
            });
        }
        Ok(())
    }

    /// Takes charge of a new instance.
    pub fn add(&self, id: InstanceId) {
        drop(self.mind(id, 0));
    }

    fn mind(&self, id: InstanceId, offset: u64) -> (Handle, oneshot::Receiver<()>) {
        let (orders, received) = mpsc::channel(64);
        let (tell, told) = watch::channel(None);
        let (ready, when_ready) = oneshot::channel();
        let stop = CancellationToken::new();
        let handle = Handle { orders, told, stop: stop.clone() };
        let minder = Minder {
            id,
            dir: self.0.preparation.dir(id),
            shared: self.0.clone(),
            tell,
            offset,
            conversation: None,
            keeper: None,
            last_pid: None,
            relaunch: None,
            losses: 0,
            last_loss: None,
            requests: 0,
        };
        self.0.handles.write().unwrap_or_else(PoisonError::into_inner).insert(id, handle.clone());
        self.0.tasks.spawn(minder.run(received, ready, stop));
        (handle, when_ready)
    }

    fn handle(&self, id: InstanceId) -> Result<Handle> {
        self.0.handles.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().ok_or_else(|| unknown(id))
    }

    /// What the keeper of an instance last said; none: there is no keeper.
    #[must_use]
    pub fn told(&self, id: InstanceId) -> Option<Status> {
        self.handle(id).ok().and_then(|handle| handle.told.borrow().clone())
    }

    /// The ids of instances as they change.
    #[must_use]
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
    pub async fn ask(&self, id: InstanceId, ask: Ask, actor: &'static str) -> Result<Status> {
        order(&self.handle(id)?, ask, actor).await
    }

    /// Waits until `is_so` holds of what the keeper says (`None`: no keeper), at most for `patience`.
    pub async fn wait(&self, id: InstanceId, patience: Duration, is_so: impl Fn(Option<&Status>) -> bool) {
        if let Ok(mut handle) = self.handle(id) {
            let _ = tokio::time::timeout(patience, handle.told.wait_for(|told| is_so(told.as_ref()))).await;
        }
    }

    /// Ends the client of an instance and its task; returns once no keeper is left.
    ///
    /// # Errors
    /// The client could not be ended.
    pub async fn retire(&self, id: InstanceId, actor: &'static str) -> Result<()> {
        let handle = self.handle(id)?;
        if handle.told.borrow().is_some() {
            match order(&handle, Ask::Stop, actor).await {
                Ok(_) | Err(Error::Conflict(_)) => {}
                Err(e) => return Err(e),
            }
            self.wait(id, STOP_PATIENCE, |told| told.is_none()).await;
            if handle.told.borrow().is_some() {
                return Err(Error::Unavailable {
                    detail: "The client could not be ended, so nothing was deleted. Try again in a moment.".into(),
                    retry_after: Some(Duration::from_secs(5)),
                });
            }
        }
        handle.stop.cancel();
        self.0.handles.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }

    /// Ends supervision. With [`Ending::Stop`] all clients are told to end at once and waited for.
    pub async fn end(&self, ending: Ending) {
        let handles: Vec<(InstanceId, Handle)> =
            self.0.handles.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(id, handle)| (*id, handle.clone())).collect();
        let running = handles.iter().filter(|(_, handle)| handle.told.borrow().is_some()).count();
        if ending == Ending::Stop {
            tracing::info!(running, "stopping all instances");
            let stops = handles.iter().filter(|(_, handle)| handle.told.borrow().is_some()).map(|(id, handle)| async move {
                let _ = order(handle, Ask::Stop, "shutdown").await;
                self.wait(*id, STOP_PATIENCE, |told| told.is_none()).await;
                if handle.told.borrow().is_some() {
                    tracing::error!(instance = %id, "did not end in time");
                }
            });
            futures_util::future::join_all(stops).await;
        } else {
            tracing::info!(running, "leaving all instances to their keepers");
        }
        for (_, handle) in handles {
            handle.stop.cancel();
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

async fn order(handle: &Handle, ask: Ask, actor: &'static str) -> Result<Status> {
    let gone = || Error::Unavailable { detail: "The instance is being removed or the manager is ending.".into(), retry_after: None };
    let (answer, answered) = oneshot::channel();
    handle.orders.send(Order { ask, actor, answer }).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

/// The two halves of the connection to a keeper.
struct Conversation {
    lines: BufReader<OwnedReadHalf>,
    partial: Vec<u8>,
    write: OwnedWriteHalf,
}

impl Conversation {
    /// The next line; `None` at the end. Cancel-safe: what was read of an unfinished line stays in `partial`.
    async fn next(&mut self) -> io::Result<Option<Status>> {
        if self.lines.read_until(b'\n', &mut self.partial).await? == 0 || !self.partial.ends_with(b"\n") {
            return Ok(None);
        }
        let status = serde_json::from_slice(&self.partial)?;
        self.partial.clear();
        Ok(Some(status))
    }
}

struct Minder {
    id: InstanceId,
    dir: PathBuf,
    shared: Arc<Shared>,
    tell: watch::Sender<Option<Status>>,
    /// Up to here the journal is in the database.
    offset: u64,
    conversation: Option<Conversation>,
    /// The keeper's process if this manager started it; it must be waited for when it ends.
    keeper: Option<Child>,
    /// The last client's process id.
    last_pid: Option<u32>,
    /// When to put a new keeper in place of a lost one.
    relaunch: Option<Instant>,
    /// Keepers lost in a row.
    losses: u32,
    last_loss: Option<Instant>,
    requests: u64,
}

impl Minder {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, ready: oneshot::Sender<()>, stop: CancellationToken) {
        self.find_keeper().await;
        let _ = ready.send(());
        loop {
            let due = self.relaunch;
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    let result = self.carry_out(order.ask, order.actor).await;
                    let _ = order.answer.send(result);
                }
                heard = next(&mut self.conversation) => match heard {
                    Ok(Some(status)) => self.hear(status).await,
                    Ok(None) | Err(_) => self.end_of_conversation().await,
                },
                () = sleep_until(due) => {
                    self.relaunch = None;
                    if let Err(e) = self.carry_out(Ask::Start, "manager").await {
                        tracing::warn!(instance = %self.id, error = %e, "a lost keeper could not be replaced");
                        self.relaunch_later();
                    }
                }
            }
        }
    }

    fn state(&self) -> Option<State> {
        self.tell.borrow().as_ref().map(|status| status.state)
    }

    async fn carry_out(&mut self, ask: Ask, actor: &'static str) -> Result<Status> {
        match (ask, self.state()) {
            (Ask::Start, Some(State::Starting | State::Running)) => Err(Error::Conflict("It is already running.".into())),
            (Ask::Start | Ask::Restart, state) => {
                self.shared.preparation.prepare(self.id).await?;
                self.want(true).await?;
                if state.is_none() {
                    self.launch().await?;
                }
                let command = if ask == Ask::Start { Command::Start } else { Command::Restart };
                self.request(command, actor).await
            }
            (Ask::Stop, None) => {
                let was_waiting = self.relaunch.take().is_some();
                self.want(false).await?;
                if was_waiting { Ok(no_keeper()) } else { Err(Error::Conflict("It is already stopped.".into())) }
            }
            (Ask::Stop, Some(_)) => {
                // A manager that ends does not change what the user wants of those that start with it.
                self.want(false).await?;
                self.request(Command::Stop, actor).await
            }
            (Ask::Reload, None) => Ok(no_keeper()),
            (Ask::Reload, Some(_)) => {
                self.shared.preparation.update_policy(self.id).await?;
                self.request(Command::Reload, actor).await
            }
        }
    }

    /// Stores what the user wants before it is carried out.
    async fn want(&self, running: bool) -> Result<()> {
        let id = self.id;
        let changed = self.shared.db.write(move |c| Ok(queries::set_desired(c, id, running)?)).await?;
        if changed == 0 { Err(unknown(id)) } else { Ok(()) }
    }

    /// At the manager's start: is there a keeper, and what happened meanwhile?
    async fn find_keeper(&mut self) {
        let dir = self.dir.clone();
        let is_kept = tokio::task::spawn_blocking(move || client::is_kept(&dir)).await;
        if matches!(is_kept, Ok(Ok(true)))
            && let Err(e) = self.converse().await
        {
            tracing::warn!(instance = %self.id, error = %e, "its keeper does not answer");
        }
        if self.conversation.is_none() {
            self.catch_up().await;
            self.check_for_loss().await;
        }
    }

    async fn launch(&mut self) -> Result<()> {
        self.shorten_journal().await?;
        let dir = self.dir.clone();
        let launched = tokio::task::spawn_blocking(move || client::launch(&dir)).await.map_err(Error::internal)?;
        self.keeper = Some(launched.map_err(|e| Error::Unavailable {
            detail: format!("Its keeper could not be started: {e}."),
            retry_after: Some(Duration::from_secs(1)),
        })?);
        self.converse().await.map_err(Error::internal)
    }

    async fn converse(&mut self) -> io::Result<()> {
        let dir = self.dir.clone();
        let stream = tokio::task::spawn_blocking(move || client::connect(&dir)).await.map_err(io::Error::other)??;
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        self.conversation = Some(Conversation { lines: BufReader::new(read), partial: Vec::new(), write });
        match self.request(Command::Watch, "manager").await {
            Ok(_) => Ok(()),
            Err(e) => {
                self.conversation = None;
                Err(io::Error::other(e))
            }
        }
    }

    /// Sends a request and hears everything up to its answer.
    async fn request(&mut self, command: Command, actor: &'static str) -> Result<Status> {
        let silent = |detail: &str| Error::Unavailable { detail: detail.into(), retry_after: Some(Duration::from_secs(1)) };
        self.requests += 1;
        let id = self.requests;
        let request = Request { v: protocol::VERSION, command, id: Some(id), actor: Some(actor.into()) };
        let Some(conversation) = &mut self.conversation else { return Err(silent("Its keeper is not there.")) };
        if conversation.write.write_all(&protocol::line(&request)).await.is_err() {
            return Err(silent("Its keeper has just ended. Try again."));
        }
        let deadline = Instant::now() + ANSWER;
        loop {
            let heard = tokio::time::timeout_at(deadline, next(&mut self.conversation)).await;
            match heard {
                Ok(Ok(Some(status))) => {
                    let is_answer = status.re == Some(id);
                    self.hear(status.clone()).await;
                    if is_answer {
                        return Ok(status);
                    }
                }
                Ok(_) => return Err(silent("Its keeper ended before it answered. Try again.")),
                Err(_) => return Err(silent("Its keeper does not answer.")),
            }
        }
    }

    /// Takes what the keeper says: history first, then the word to everybody who watches.
    async fn hear(&mut self, status: Status) {
        if status.pid.is_some() {
            self.last_pid = status.pid;
        }
        if status.journal != self.offset {
            self.catch_up().await;
        }
        if status.state == State::Running {
            self.losses = 0;
        }
        let status = Status { re: None, ..status };
        if self.tell.borrow().as_ref() != Some(&status) {
            self.tell.send_replace(Some(status));
            let _ = self.shared.changes.send(self.id);
        }
    }

    /// Reads the journal on into the database.
    async fn catch_up(&mut self) {
        let (dir, offset, id) = (self.dir.clone(), self.offset, self.id);
        let read = tokio::task::spawn_blocking(move || journal::read_from(&dir, offset)).await;
        let (entries, end) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(e)) => return tracing::error!(instance = %id, error = %e, "its journal cannot be read"),
            Err(_) => return,
        };
        if end == offset && entries.is_empty() {
            return;
        }
        match self.shared.db.write(move |c| Ok(queries::ingest(c, id, &entries, end)?)).await {
            Ok(()) => self.offset = end,
            // Nothing is lost: it is read again with the next change.
            Err(e) => tracing::error!(instance = %id, error = %e, "its history cannot be saved yet"),
        }
    }

    async fn end_of_conversation(&mut self) {
        self.conversation = None;
        if let Some(mut keeper) = self.keeper.take() {
            // It has closed its socket, so it is on its way out; its process entry goes with this.
            let ended = tokio::time::timeout(Duration::from_secs(5), tokio::task::spawn_blocking(move || keeper.wait())).await;
            if ended.is_err() {
                tracing::warn!(instance = %self.id, "its keeper closed the conversation but is still there");
            }
        }
        let dir = self.dir.clone();
        if matches!(tokio::task::spawn_blocking(move || client::is_kept(&dir)).await, Ok(Ok(true))) && self.converse().await.is_ok() {
            return;
        }
        self.catch_up().await;
        self.check_for_loss().await;
        self.tell.send_replace(None);
        let _ = self.shared.changes.send(self.id);
    }

    /// No keeper is there. If the history does not end at rest, it was killed: that is written down, and what the user wanted to run
    /// gets a new keeper.
    async fn check_for_loss(&mut self) {
        let id = self.id;
        let Ok(Some((row, _, _))) = self.shared.db.read(move |c| Ok(queries::get(c, id)?)).await else { return };
        if row.state().is_at_rest() {
            return;
        }
        tracing::warn!(instance = %id, state = %row.state(), "its keeper was killed");
        let entry = Entry {
            at: Timestamp::now().0,
            from: row.state(),
            to: if row.is_wanted() { State::Failed } else { State::Stopped },
            reason: Reason::KeeperLost,
            actor: None,
            pid: self.last_pid.or(row.pid.and_then(|pid| u32::try_from(pid).ok())),
            exit: row.state().has_client().then_some(Exit::Signal(9)),
            last_error: None,
            failures: self.losses + 1,
            retry_at: None,
        };
        if let Err(e) = self.shared.db.write(move |c| Ok(queries::record(c, id, &entry)?)).await {
            tracing::error!(instance = %id, error = %e, "the loss of its keeper cannot be saved");
        }
        if row.is_wanted() {
            self.relaunch_later();
        }
    }

    /// The first lost keeper is replaced at once, further ones after growing waits.
    fn relaunch_later(&mut self) {
        let now = Instant::now();
        if self.last_loss.is_some_and(|last| now - last > Duration::from_secs(600)) {
            self.losses = 0;
        }
        self.last_loss = Some(now);
        let wait = if self.losses == 0 { Duration::ZERO } else { Backoff::default().wait(self.losses, u64::from(self.losses) * 37) };
        self.losses += 1;
        self.relaunch = Some(now + wait);
    }

    /// Begins a long journal anew before a keeper opens it. The file goes first: an offset beyond its end is understood, a second
    /// reading would double the history.
    async fn shorten_journal(&mut self) -> Result<()> {
        if self.offset < LONG_JOURNAL {
            return Ok(());
        }
        let path = self.dir.join(names::JOURNAL);
        let offset = self.offset;
        let emptied = tokio::task::spawn_blocking(move || -> io::Result<bool> {
            let file = std::fs::File::options().write(true).open(&path)?;
            let is_read = file.metadata()?.len() == offset;
            if is_read {
                file.set_len(0)?;
            }
            Ok(is_read)
        })
        .await
        .map_err(Error::internal)??;
        if emptied {
            let id = self.id;
            self.offset = 0;
            self.shared.db.write(move |c| Ok(queries::ingest(c, id, &[], 0)?)).await?;
        }
        Ok(())
    }
}

async fn next(conversation: &mut Option<Conversation>) -> io::Result<Option<Status>> {
    match conversation {
        Some(conversation) => conversation.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The status of an instance without a keeper.
fn no_keeper() -> Status {
    Status {
        v: protocol::VERSION,
        keeper_pid: 0,
        state: State::Stopped,
        since: Timestamp::now().0,
        pid: None,
        started_at: None,
        failures: 0,
        retry_at: None,
        reason: None,
        exit: None,
        last_error: None,
        journal: 0,
        re: None,
    }
}
