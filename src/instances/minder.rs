//! The task of one instance: the only one who starts its keepers and speaks with them, so that orders follow one another.
//!
//! It carries orders out, hears what the keeper says, reads the journal into the history, and when a keeper was killed puts a new one
//! in its place. Knows nothing of other instances.

use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::model::{STOP_PATIENCE, unknown};
use super::queries;
use super::supervisor::{Ask, Order, Shared};
use crate::clock::Timestamp;
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

/// The task of one instance.
pub(super) struct Minder {
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
    /// Why it waits for a new keeper.
    last_reason: Option<Reason>,
    requests: u64,
}

impl Minder {
    /// `offset`: up to here the journal has been read into the history, bytes.
    pub(super) fn new(id: InstanceId, shared: Arc<Shared>, tell: watch::Sender<Option<Status>>, offset: u64) -> Self {
        Self {
            id,
            dir: shared.preparation.dir(id),
            shared,
            tell,
            offset,
            conversation: None,
            keeper: None,
            last_pid: None,
            relaunch: None,
            losses: 0,
            last_loss: None,
            last_reason: None,
            requests: 0,
        }
    }

    /// Finds out what is so, says `ready`, and serves until `stop`.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>, ready: oneshot::Sender<()>, stop: CancellationToken) {
        self.find_keeper().await;
        let _ = ready.send(());
        loop {
            let due = self.relaunch;
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    let result = self.carry_out(order.ask, order.actor).await;
                    let is_retired = order.ask == Ask::Retire && result.is_ok();
                    let _ = order.answer.send(result);
                    if is_retired {
                        break;
                    }
                }
                heard = next(&mut self.conversation) => match heard {
                    Ok(Some(status)) => self.hear(status).await,
                    Ok(None) | Err(_) => self.end_of_conversation().await,
                },
                () = sleep_until(due) => {
                    self.relaunch = None;
                    let _ = self.carry_out(Ask::StartByItself, "manager").await;
                }
            }
        }
    }

    fn state(&self) -> Option<State> {
        self.tell.borrow().as_ref().map(|status| status.state)
    }

    async fn carry_out(&mut self, ask: Ask, actor: &'static str) -> Result<Status> {
        match (ask, self.state(), self.conversation.is_some()) {
            (Ask::Start | Ask::StartByItself, Some(State::Starting | State::Running), true) => {
                Err(Error::Conflict("It is already running.".into()))
            }
            (Ask::Start | Ask::Restart, ..) => {
                self.shared.preparation.prepare(self.id).await?;
                self.want(true).await?;
                let command = if ask == Ask::Start { Command::Start } else { Command::Restart };
                // A keeper on its way out takes no orders any more; its place is free a moment later.
                for _ in 0..3 {
                    if self.conversation.is_none() {
                        self.launch().await?;
                    }
                    if let Some(status) = self.request(command.clone(), actor).await? {
                        return Ok(status);
                    }
                    self.end_of_conversation().await;
                }
                Err(Error::Unavailable {
                    detail: "Its keeper ends again and again; the file keeper.log in its directory may say why.".into(),
                    retry_after: Some(Duration::from_secs(5)),
                })
            }
            (Ask::StartByItself, ..) => {
                let started = Box::pin(self.carry_out(Ask::Start, actor)).await;
                if let Err(e) = &started {
                    tracing::warn!(instance = %self.id, error = %e, "it cannot be started now");
                    self.want(true).await?;
                    self.try_again_later(&Reason::CannotRun(e.to_string())).await;
                }
                started
            }
            (Ask::Stop, None, _) => {
                self.want(false).await?;
                Err(Error::Conflict("It is already stopped.".into()))
            }
            // It waits for a new keeper.
            (Ask::Stop, Some(_), false) => {
                self.want(false).await?;
                self.relaunch = None;
                self.record(State::BackingOff, State::Stopped, Reason::Asked, Some(actor), None).await;
                self.tell(None);
                Ok(no_keeper())
            }
            (Ask::Stop, Some(_), true) => {
                self.want(false).await?;
                match self.request(Command::Stop, actor).await? {
                    Some(status) => Ok(status),
                    // It was on its way out by itself.
                    None => {
                        self.end_of_conversation().await;
                        Ok(no_keeper())
                    }
                }
            }
            (Ask::Retire, _, false) => {
                self.relaunch = None;
                Ok(no_keeper())
            }
            (Ask::Retire, _, true) => {
                self.want(false).await?;
                self.request(Command::Stop, actor).await?;
                self.hear_the_end().await
            }
            (Ask::Reload, _, false) => Ok(no_keeper()),
            (Ask::Reload, _, true) => {
                self.shared.preparation.update_policy(self.id).await?;
                Ok(self.request(Command::Reload, actor).await?.unwrap_or_else(no_keeper))
            }
        }
    }

    /// Hears everything up to the end of the keeper.
    async fn hear_the_end(&mut self) -> Result<Status> {
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.conversation.is_some() {
            match tokio::time::timeout_at(deadline, next(&mut self.conversation)).await {
                Ok(Ok(Some(status))) => self.hear(status).await,
                Ok(_) => self.end_of_conversation().await,
                Err(_) => {
                    return Err(Error::Unavailable {
                        detail: "The client could not be ended, so nothing was deleted. Try again in a moment.".into(),
                        retry_after: Some(Duration::from_secs(5)),
                    });
                }
            }
        }
        self.relaunch = None;
        Ok(no_keeper())
    }

    /// Tells everybody who watches.
    fn tell(&self, status: Option<Status>) {
        if *self.tell.borrow() != status {
            self.tell.send_replace(status);
            // Nobody listening is no error.
            let _ = self.shared.changes.send(self.id);
        }
    }

    /// Writes a change into the history that no keeper could write.
    async fn record(&self, from: State, to: State, reason: Reason, actor: Option<&str>, retry_at: Option<i64>) {
        let is_loss = matches!(reason, Reason::KeeperLost);
        let entry = Entry {
            at: Timestamp::now().0,
            from,
            to,
            reason,
            actor: actor.map(str::to_owned),
            pid: self.last_pid.filter(|_| is_loss),
            exit: (is_loss && from.has_client()).then_some(Exit::Signal(9)),
            last_error: None,
            failures: self.losses,
            retry_at,
        };
        let id = self.id;
        if let Err(e) = self.shared.db.write(move |c| Ok(queries::record(c, id, &entry)?)).await {
            tracing::error!(instance = %id, error = %e, "a change cannot be saved in its history");
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
        let answer = self.request(Command::Watch, "manager").await;
        if let Ok(Some(_)) = answer {
            return Ok(());
        }
        self.conversation = None;
        Err(io::Error::other("the keeper ended before it answered"))
    }

    /// Sends a request and hears everything up to its answer; `None`: the keeper ended before it answered.
    async fn request(&mut self, command: Command, actor: &'static str) -> Result<Option<Status>> {
        self.requests += 1;
        let id = self.requests;
        let request = Request { v: protocol::VERSION, command, id: Some(id), actor: Some(actor.into()) };
        let Some(conversation) = &mut self.conversation else { return Ok(None) };
        if conversation.write.write_all(&protocol::line(&request)).await.is_err() {
            return Ok(None);
        }
        let deadline = Instant::now() + ANSWER;
        loop {
            let heard = tokio::time::timeout_at(deadline, next(&mut self.conversation)).await;
            match heard {
                Ok(Ok(Some(status))) => {
                    let is_answer = status.re == Some(id);
                    self.hear(status.clone()).await;
                    if is_answer {
                        return Ok(Some(status));
                    }
                }
                Ok(_) => return Ok(None),
                Err(_) => {
                    let detail =
                        "Its keeper does not answer. If this stays so, end the keeper's process; its client ends with it.".into();
                    return Err(Error::Unavailable { detail, retry_after: Some(Duration::from_secs(1)) });
                }
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
            self.last_reason = None;
        }
        self.tell(Some(Status { re: None, ..status }));
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
        if matches!(tokio::task::spawn_blocking(move || client::is_kept(&dir)).await, Ok(Ok(true)))
            && self.converse().await.is_ok()
        {
            return;
        }
        self.catch_up().await;
        self.tell(None);
        self.check_for_loss().await;
    }

    /// No keeper is there. If the history does not end at rest, it was killed: that is written down, and what the user wanted to run
    /// gets a new keeper.
    async fn check_for_loss(&mut self) {
        let id = self.id;
        let Ok(Some((row, _, _))) = self.shared.db.read(move |c| Ok(queries::get(c, id)?)).await else { return };
        let state = row.state();
        if state.is_at_rest() {
            return;
        }
        self.last_pid = self.last_pid.or(row.pid.and_then(|pid| u32::try_from(pid).ok()));
        tracing::warn!(instance = %id, %state, "its keeper was killed");
        if row.is_wanted() {
            self.try_again_later(&Reason::KeeperLost).await;
        } else {
            self.record(state, State::Stopped, Reason::KeeperLost, None, None).await;
        }
    }

    /// Waits for the next try without a keeper: the first time not at all, then longer and longer. One line of history for each new
    /// reason, not for each try.
    async fn try_again_later(&mut self, reason: &Reason) {
        let now = Instant::now();
        if self.last_loss.is_some_and(|last| now - last > Duration::from_secs(600)) {
            self.losses = 0;
        }
        self.last_loss = Some(now);
        let is_loss = matches!(reason, Reason::KeeperLost);
        let wait = match self.losses {
            0 if is_loss => Duration::ZERO,
            losses => Backoff::default().wait(losses.max(1), u64::from(losses) * 37),
        };
        self.losses += 1;
        self.relaunch = Some(now + wait);
        let retry_at = Timestamp::now().after(wait).0;
        let id = self.id;
        let from = match self.shared.db.read(move |c| Ok(queries::get(c, id)?)).await {
            Ok(Some((row, _, _))) => row.state(),
            _ => State::Failed,
        };
        if from != State::BackingOff || self.last_reason.as_ref() != Some(reason) {
            self.record(from, State::BackingOff, reason.clone(), None, Some(retry_at)).await;
        }
        self.last_reason = Some(reason.clone());
        let waiting = Status {
            state: State::BackingOff,
            failures: self.losses,
            retry_at: Some(retry_at),
            reason: Some(reason.clone()),
            ..no_keeper()
        };
        self.tell(Some(waiting));
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
