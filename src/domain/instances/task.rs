//! The task of one instance. Only the task starts keepers and talks to them, so commands run one
//! after the other.
//!
//! It executes commands, reads status messages of the keeper, copies the journal into the history,
//! and replaces a killed keeper. Only a free lock means that there is no keeper: the task waits for
//! a keeper that is not responding and never replaces it. Independent of other instances.

use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::commands::{CommandEnvelope, InstanceCommand, SupervisorInner};
use super::commands::{SHUTDOWN, SUPERVISION};
use super::conversation::KeeperStream;
use super::model::{InstanceRow, STOP_PATIENCE, unknown};
use super::queries;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::infra::db::WriteMode;
use crate::infra::log_store::SecretMask;
use crate::keeper::backoff::Backoff;
use crate::keeper::journal::{self, JournalEntry, ManagedProgram};
use crate::keeper::machine::{ChangeReason, InstanceState, ProcessExit};
use crate::keeper::protocol::{self, KeeperCommand, KeeperRequest, KeeperStatus, TranslatorStatus};
use crate::keeper::translator_machine::TranslatorState;
use crate::keeper::{client, leftovers};

/// A keeper answers within milliseconds; one that takes this long is stuck.
const ANSWER: Duration = Duration::from_secs(10);
/// Pause before a silent keeper or a failed database write is retried.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often a keeper that holds its lock but has no socket is checked before it counts as silent.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// State of the connection to the keeper.
enum KeeperConnection {
    /// Its lock is free.
    Absent,
    /// It holds its lock but is not responding.
    Silent,
    /// It is connected.
    Present(KeeperStream),
}

/// The task of one instance.
pub(super) struct InstanceTask {
    id: InstanceId,
    dir: PathBuf,
    shared: Arc<SupervisorInner>,
    tell: watch::Sender<Option<KeeperStatus>>,
    /// Read position in the journal.
    offset: u64,
    keeper: KeeperConnection,
    /// The keeper process if this manager started it; it must be reaped.
    child: Option<Child>,
    /// Process id of the last client.
    last_pid: Option<u32>,
    /// When to replace a lost keeper.
    relaunch: Option<Instant>,
    /// When a start in progress gets a warning.
    slow: Option<Instant>,
    /// When to retry what the keeper or the database did not allow.
    look_again: Option<Instant>,
    /// The last status of an exited keeper, until it is in the history: on a full disk, neither
    /// side can write it.
    last_word: Option<KeeperStatus>,
    /// The desired state, if it could not be saved yet.
    unsaved_wish: Option<bool>,
    /// Keepers lost in a row.
    losses: u32,
    last_loss: Option<Instant>,
    /// Why it waits for a new keeper.
    last_reason: Option<ChangeReason>,
    requests: u64,
}

impl InstanceTask {
    /// `offset`: read position in the journal, bytes.
    pub(super) fn new(
        id: InstanceId,
        shared: Arc<SupervisorInner>,
        tell: watch::Sender<Option<KeeperStatus>>,
        offset: u64,
    ) -> Self {
        Self {
            id,
            dir: shared.preparation.dir(id),
            shared,
            tell,
            offset,
            keeper: KeeperConnection::Absent,
            child: None,
            last_pid: None,
            relaunch: None,
            slow: None,
            look_again: None,
            last_word: None,
            unsaved_wish: None,
            losses: 0,
            last_loss: None,
            last_reason: None,
            requests: 0,
        }
    }

    /// Determines the current state, signals `ready`, and runs until `stop`.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<CommandEnvelope>,
        ready: oneshot::Sender<()>,
        stop: CancellationToken,
    ) {
        self.find_keeper().await;
        let _ = ready.send(());
        loop {
            let (relaunch, look_again, slow) = (self.relaunch, self.look_again, self.slow);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Status messages come before commands: the answer depends on them.
                heard = next(&mut self.keeper) => match heard {
                    Ok(Some(status)) => self.on_status(status).await,
                    Ok(None) | Err(_) => self.end_of_conversation().await,
                },
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    if order.ask == InstanceCommand::Count && order.answer.is_closed() {
                        continue;
                    }
                    let result = self.execute(order.ask, &order.actor).await;
                    let is_retired = order.ask == InstanceCommand::Retire && result.is_ok();
                    let _ = order.answer.send(result);
                    if is_retired {
                        break;
                    }
                }
                () = sleep_until(relaunch) => {
                    self.relaunch = None;
                    // The result is in the history either way.
                    let _ = self.execute(InstanceCommand::StartByItself, &SUPERVISION).await;
                }
                () = sleep_until(look_again) => self.check_again().await,
                () = sleep_until(slow) => {
                    self.slow = None;
                    // A channel without receivers is not an error.
                    let _ = self.shared.changes.send(self.id);
                }
            }
        }
    }

    fn state(&self) -> Option<InstanceState> {
        self.tell.borrow().as_ref().map(|status| status.state)
    }

    async fn execute(&mut self, ask: InstanceCommand, actor: &Actor) -> Result<KeeperStatus> {
        if self.shared.closing.is_cancelled()
            && matches!(
                ask,
                InstanceCommand::Start
                    | InstanceCommand::StartByItself
                    | InstanceCommand::Restart
                    | InstanceCommand::RestartOf(_)
                    | InstanceCommand::RestartTranslator(_)
            )
        {
            return Err(Error::Unavailable {
                detail: "jd-manager is shutting down and is not starting instances.".into(),
                retry_after: None,
            });
        }
        let is_order = !matches!(ask, InstanceCommand::Count | InstanceCommand::Leave);
        if is_order && matches!(self.keeper, KeeperConnection::Silent) {
            self.find_keeper().await;
        }
        if is_order
            && matches!(self.keeper, KeeperConnection::Present(_))
            && self.state().is_some_and(InstanceState::is_at_rest)
        {
            // It has stopped and is exiting, or it is between the two clients of a restart.
            self.on_status_of(false).await?;
        }
        match ask {
            InstanceCommand::Start | InstanceCommand::Restart => self.start(ask, actor).await,
            // Commands run one after the other: an earlier command of a user has been executed by
            // now.
            InstanceCommand::RestartOf(started_at) => {
                let told = self.tell.borrow().clone();
                let is_that = told.is_some_and(|told| {
                    told.state == InstanceState::Running && told.started_at == Some(started_at)
                });
                if !is_that {
                    let reason = "was stopped or restarted in the meantime.";
                    return Err(self.shared.preparation.conflict(self.id, reason).await);
                }
                self.start(InstanceCommand::Restart, actor).await
            }
            InstanceCommand::RestartTranslator(started_at) => {
                self.restart_translator(started_at, actor).await
            }
            InstanceCommand::StartByItself => {
                let started = self.start(InstanceCommand::Start, actor).await;
                match &started {
                    Ok(_) | Err(Error::Conflict(_))
                        if self.state().is_some_and(InstanceState::has_client) => {}
                    Ok(_) => {}
                    Err(e) => {
                        tracing::warn!(instance = %self.id, error = %e, "cannot start the instance");
                        self.set_desired_with_retry(true).await;
                        self.retry_later(&ChangeReason::CannotRun(e.to_string()))
                            .await;
                    }
                }
                started
            }
            InstanceCommand::Stop => self.stop(actor).await,
            InstanceCommand::Retire => self.retire(actor).await,
            InstanceCommand::Count => {
                let answer = self.request(KeeperCommand::Watch, actor).await;
                if answer.is_err() {
                    // Others do not have to wait for it.
                    self.show_last_known().await;
                }
                answer?.ok_or_else(silent)
            }
            InstanceCommand::Leave => {
                let state = self.state().unwrap_or_default();
                self.record(JournalEntry {
                    actor: Some(actor.to_string()),
                    ..self.change(state, state, ChangeReason::LeftRunning)
                })
                .await;
                Ok(no_keeper())
            }
            InstanceCommand::Reload => {
                if let KeeperConnection::Present(_) = self.keeper {
                    self.shared.preparation.update_policy(self.id).await?;
                    self.request(KeeperCommand::Reload, actor).await?;
                }
                Ok(no_keeper())
            }
        }
    }

    async fn start(&mut self, ask: InstanceCommand, actor: &Actor) -> Result<KeeperStatus> {
        let is_present = matches!(self.keeper, KeeperConnection::Present(_));
        if ask == InstanceCommand::Start
            && is_present
            && matches!(
                self.state(),
                Some(InstanceState::Starting | InstanceState::Running)
            )
        {
            let reason = "is already running.";
            return Err(self.shared.preparation.conflict(self.id, reason).await);
        }
        let reservation = self.shared.preparation.prepare(self.id).await?;
        self.set_desired(true, WriteMode::DURABLE).await?;
        drop(reservation);
        let command = if ask == InstanceCommand::Start {
            KeeperCommand::Start
        } else {
            KeeperCommand::Restart
        };
        // A keeper that exits accepts no commands; its lock is free a moment later.
        for _ in 0..3 {
            match self.keeper {
                KeeperConnection::Present(_) => {}
                KeeperConnection::Absent => self.launch().await?,
                KeeperConnection::Silent => return Err(silent()),
            }
            if let Some(status) = self.request(command.clone(), actor).await? {
                return Ok(status);
            }
            self.end_of_conversation().await;
        }
        Err(Error::Unavailable {
            detail:
                "The instance's keeper keeps exiting. For the reason, see keeper.log (a file in the instance's directory)."
                    .into(),
            retry_after: Some(Duration::from_secs(5)),
        })
    }

    /// `started_at`: only the translator that was started then, in milliseconds since 1970.
    async fn restart_translator(
        &mut self,
        started_at: Option<i64>,
        actor: &Actor,
    ) -> Result<KeeperStatus> {
        let told = self.tell.borrow().clone();
        let reason = match told.and_then(|told| told.translator) {
            None => "has no running translator.",
            Some(known) if known.state == TranslatorState::Stopped => {
                "has no running translator. Start the instance."
            }
            Some(known) if !known.can_restart => {
                "was started by an earlier jd-manager, so its translator cannot be restarted on its own. Restart the instance."
            }
            Some(known) if started_at.is_some() && known.started_at != started_at => {
                "has a new translator process. The earlier one has already been stopped or restarted."
            }
            Some(_) => {
                let answer = self
                    .request(KeeperCommand::RestartTranslator, actor)
                    .await?;
                return answer.ok_or_else(silent);
            }
        };
        Err(self.shared.preparation.conflict(self.id, reason).await)
    }

    /// The client is stopped first and the desired state is saved afterward: a full disk or a
    /// locked database must not keep a client running.
    async fn stop(&mut self, actor: &Actor) -> Result<KeeperStatus> {
        match (&self.keeper, self.state()) {
            (KeeperConnection::Silent, _) => Err(silent()),
            (KeeperConnection::Present(_), _) => {
                let answer = self.request(KeeperCommand::Stop, actor).await?;
                self.set_desired_with_retry(false).await;
                if answer.is_none() {
                    // It was already exiting.
                    self.end_of_conversation().await;
                }
                Ok(answer.unwrap_or_else(no_keeper))
            }
            // It waits for a new keeper.
            (KeeperConnection::Absent, Some(InstanceState::BackingOff)) => {
                self.relaunch = None;
                self.set_desired_with_retry(false).await;
                let entry = self.change(
                    InstanceState::BackingOff,
                    InstanceState::Stopped,
                    ChangeReason::Asked,
                );
                let is_saved = self
                    .record(JournalEntry {
                        actor: Some(actor.to_string()),
                        ..entry
                    })
                    .await;
                self.last_word = (!is_saved).then(|| KeeperStatus {
                    reason: Some(ChangeReason::Asked),
                    journal: self.offset,
                    ..no_keeper()
                });
                self.tell(self.last_word.clone());
                Ok(no_keeper())
            }
            (KeeperConnection::Absent, _) => {
                if *actor != SHUTDOWN {
                    self.set_desired_with_retry(false).await;
                }
                let reason = "is already stopped.";
                Err(self.shared.preparation.conflict(self.id, reason).await)
            }
        }
    }

    async fn retire(&mut self, actor: &Actor) -> Result<KeeperStatus> {
        match self.keeper {
            KeeperConnection::Silent => return Err(silent()),
            KeeperConnection::Present(_) => {
                self.request(KeeperCommand::Stop, actor).await?;
                self.on_status_of(true).await?;
            }
            KeeperConnection::Absent => {}
        }
        self.relaunch = None;
        self.end_leftovers().await;
        Ok(no_keeper())
    }

    /// Reads status messages until the keeper exits, or, unless `to_the_end`, until the instance is
    /// no longer at rest.
    async fn on_status_of(&mut self, to_the_end: bool) -> Result<()> {
        let deadline = Instant::now() + STOP_PATIENCE;
        while matches!(self.keeper, KeeperConnection::Present(_))
            && (to_the_end || self.state().is_some_and(InstanceState::is_at_rest))
        {
            match tokio::time::timeout_at(deadline, next(&mut self.keeper)).await {
                Ok(Ok(Some(status))) => self.on_status(status).await,
                Ok(_) => self.end_of_conversation().await,
                Err(_) => {
                    return Err(Error::Unavailable {
                        detail: "The client has not stopped yet. Try again in a moment.".into(),
                        retry_after: Some(Duration::from_secs(5)),
                    });
                }
            }
        }
        Ok(())
    }

    /// Publishes the status.
    fn tell(&self, status: Option<KeeperStatus>) {
        if *self.tell.borrow() != status {
            // Counted while no one can read the status: each one that is read has been counted.
            self.tell.send_modify(|told| {
                *told = status;
                self.shared.status_changes.fetch_add(1, Ordering::AcqRel);
            });
            // A channel without receivers is not an error.
            let _ = self.shared.changes.send(self.id);
        }
    }

    /// A state change that no keeper could record.
    fn change(&self, from: InstanceState, to: InstanceState, reason: ChangeReason) -> JournalEntry {
        let is_loss = matches!(reason, ChangeReason::KeeperLost);
        JournalEntry {
            at: Timestamp::now().0,
            program: ManagedProgram::Client,
            from,
            to,
            reason,
            actor: None,
            pid: self.last_pid.filter(|_| is_loss),
            exit: (is_loss && from.has_client()).then_some(ProcessExit::Signal(9)),
            last_error: None,
            trouble: Vec::new(),
            failures: self.losses,
            retry_at: None,
        }
    }

    /// Adds a change to the history; false if that failed and must be checked again.
    async fn record(&mut self, entry: JournalEntry) -> bool {
        let id = self.id;
        // The caller waits for the answer.
        let mode = if matches!(entry.reason, ChangeReason::Asked) {
            WriteMode::DURABLE.prompt()
        } else {
            WriteMode::DURABLE
        };
        let saved = self
            .shared
            .db
            .write_as(mode, move |c| Ok(queries::record(c, id, &entry)?))
            .await;
        if let Err(e) = &saved {
            tracing::error!(instance = %id, error = %e, "cannot save a state change");
            self.look_again = Some(Instant::now() + LOOK_AGAIN);
        }
        saved.is_ok()
    }

    /// Adds the last status of the keeper to the history, unless the keeper recorded it itself;
    /// false if that must be retried.
    async fn save_last_word(&mut self) -> bool {
        let Some(word) = self.last_word.clone() else {
            return true;
        };
        // A longer journal contains what came after.
        if word.journal >= self.offset {
            let Some(row) = self.row().await else {
                return false;
            };
            let reason = word.reason.unwrap_or(ChangeReason::EndedAsAsked);
            let entry = JournalEntry {
                at: word.since,
                exit: word.exit,
                last_error: word.last_error,
                failures: word.failures,
                ..self.change(row.state(), word.state, reason)
            };
            if row.state() != word.state && !self.record(entry).await {
                return false;
            }
        }
        self.last_word = None;
        true
    }

    /// Saves the desired state.
    async fn set_desired(&mut self, running: bool, mode: WriteMode) -> Result<()> {
        self.unsaved_wish = None;
        let id = self.id;
        let changed = self
            .shared
            .db
            .write_as(mode, move |c| Ok(queries::set_desired(c, id, running)?))
            .await?;
        if changed == 0 {
            Err(unknown(id))
        } else {
            Ok(())
        }
    }

    /// Saves the desired state, with retries in the background.
    async fn set_desired_with_retry(&mut self, running: bool) {
        if let Err(e) = self.set_desired(running, WriteMode::DURABLE.prompt()).await {
            tracing::warn!(instance = %self.id, error = %e, "cannot save the desired state yet");
            self.unsaved_wish = Some(running);
            self.look_again = Some(Instant::now() + LOOK_AGAIN);
        }
    }

    async fn check_again(&mut self) {
        self.look_again = None;
        if let Some(wish) = self.unsaved_wish {
            self.set_desired_with_retry(wish).await;
        }
        match self.keeper {
            KeeperConnection::Present(_) => {
                let before = self.offset;
                if self.catch_up().await && self.offset != before {
                    // The status was published before its events were saved.
                    let _ = self.shared.changes.send(self.id);
                }
            }
            KeeperConnection::Silent | KeeperConnection::Absent => self.find_keeper().await,
        }
    }

    /// Checks for a keeper and catches up on events.
    async fn find_keeper(&mut self) {
        for looks_left in (0..LOOKS).rev() {
            if self.check_for_keeper(looks_left > 0).await {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// One check; false if the result is uncertain and `may_look_again`: an exiting keeper has no
    /// socket any more but holds its lock for a moment longer.
    async fn check_for_keeper(&mut self, may_look_again: bool) -> bool {
        let dir = self.dir.clone();
        match tokio::task::spawn_blocking(move || client::is_kept(&dir)).await {
            Ok(Ok(false)) => {
                self.keeper = KeeperConnection::Absent;
                // The history comes first; otherwise a normal exit could be mistaken for a loss.
                if self.catch_up().await && self.save_last_word().await {
                    if self.relaunch.is_none() {
                        self.tell(None);
                        self.check_for_loss().await;
                    }
                } else {
                    let word = self.last_word.clone();
                    self.tell(word.map(|word| KeeperStatus {
                        keeper_pid: 0,
                        lines: None,
                        translator: None,
                        re: None,
                        ..word
                    }));
                }
            }
            Ok(Ok(true)) => match self.open_conversation().await {
                Ok(()) => {}
                Err(e)
                    if may_look_again
                        && matches!(
                            e.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                        ) =>
                {
                    return false;
                }
                Err(e) => {
                    tracing::warn!(instance = %self.id, error = %e, "the keeper is not responding");
                    self.show_last_known().await;
                }
            },
            Ok(Err(e)) => {
                tracing::error!(instance = %self.id, error = %e, "cannot check the keeper lock");
                self.show_last_known().await;
            }
            Err(_) => self.show_last_known().await,
        }
        true
    }

    /// The keeper is silent: shows the last known state and schedules a retry.
    async fn show_last_known(&mut self) {
        self.keeper = KeeperConnection::Silent;
        self.look_again = Some(Instant::now() + LOOK_AGAIN);
        self.publish_last_known().await;
    }

    /// Connects to a keeper that was found. Shows the last known state until it answers, which may
    /// take long.
    async fn open_conversation(&mut self) -> io::Result<()> {
        if self.tell.borrow().is_none() {
            self.publish_last_known().await;
        }
        self.converse().await
    }

    async fn publish_last_known(&mut self) {
        self.catch_up().await;
        if let Some(row) = self.row().await {
            let pid = row.pid.and_then(|pid| u32::try_from(pid).ok());
            self.tell(Some(KeeperStatus {
                state: row.state(),
                pid,
                started_at: row.started_at.map(|at| at.0),
                ..no_keeper()
            }));
        }
    }

    async fn row(&mut self) -> Option<InstanceRow> {
        let id = self.id;
        match self.shared.db.read(move |c| Ok(queries::get(c, id)?)).await {
            Ok(found) => found.map(|(row, _, _)| row),
            Err(e) => {
                tracing::error!(instance = %id, error = %e, "cannot read the instance from the database yet");
                self.look_again = Some(Instant::now() + LOOK_AGAIN);
                None
            }
        }
    }

    async fn launch(&mut self) -> Result<()> {
        self.reap().await;
        let dir = self.dir.clone();
        let launched = tokio::task::spawn_blocking(move || client::launch(&dir))
            .await
            .map_err(Error::internal)?;
        self.child = Some(launched.map_err(|e| Error::Unavailable {
            detail: format!("Cannot start the instance's keeper: {e}."),
            retry_after: Some(Duration::from_secs(1)),
        })?);
        self.converse().await.map_err(|e| Error::Unavailable {
            detail: format!("The instance's keeper was started but is not responding: {e}. jd-manager will retry every few seconds."),
            retry_after: Some(LOOK_AGAIN),
        })
    }

    /// Reaps the process of an exited keeper.
    async fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            let ended = tokio::time::timeout(
                Duration::from_secs(5),
                tokio::task::spawn_blocking(move || child.wait()),
            )
            .await;
            if ended.is_err() {
                tracing::warn!(instance = %self.id, "the keeper closed its connection but is still running");
            }
        }
    }

    async fn converse(&mut self) -> io::Result<()> {
        self.keeper = KeeperConnection::Present(KeeperStream::open(&self.dir).await?);
        let answer = self.request(KeeperCommand::Watch, &SUPERVISION).await;
        if let Ok(Some(_)) = answer {
            return Ok(());
        }
        self.keeper = KeeperConnection::Silent;
        self.look_again = Some(Instant::now() + LOOK_AGAIN);
        Err(io::Error::other("the keeper did not respond"))
    }

    /// Sends a request and reads messages up to its answer; `None`: the keeper exited before it
    /// answered.
    async fn request(
        &mut self,
        command: KeeperCommand,
        actor: &Actor,
    ) -> Result<Option<KeeperStatus>> {
        self.requests += 1;
        let id = self.requests;
        let request = KeeperRequest {
            v: protocol::VERSION,
            command,
            id: Some(id),
            actor: Some(actor.to_string()),
            ingested: Some(self.offset),
        };
        let KeeperConnection::Present(conversation) = &mut self.keeper else {
            return Ok(None);
        };
        if conversation.send(&request).await.is_err() {
            return Ok(None);
        }
        let deadline = Instant::now() + ANSWER;
        loop {
            match tokio::time::timeout_at(deadline, next(&mut self.keeper)).await {
                Ok(Ok(Some(status))) => {
                    let is_answer = status.re == Some(id);
                    self.on_status(status.clone()).await;
                    if is_answer {
                        return Ok(Some(status));
                    }
                }
                Ok(_) => return Ok(None),
                Err(_) => return Err(silent()),
            }
        }
    }

    /// Processes a status message: history first, then all followers.
    async fn on_status(&mut self, status: KeeperStatus) {
        if status.pid.is_some() {
            self.last_pid = status.pid;
        }
        if status.journal != self.offset {
            self.catch_up().await;
        }
        if status.state == InstanceState::Running {
            self.last_reason = None;
        }
        self.relaunch = None;
        let secrets = self.shared.preparation.configs().secret_mask();
        let last_error = status.last_error.clone().map(|text| secrets.covered(text));
        let translator = status.translator.clone().map(|told| TranslatorStatus {
            lines: None,
            last_error: told.last_error.map(|text| secrets.covered(text)),
            trouble: told
                .trouble
                .into_iter()
                .map(|line| secrets.covered(line))
                .collect(),
            ..told
        });
        let status = KeeperStatus {
            lines: None,
            translator,
            re: None,
            last_error,
            ..status
        };
        self.last_word = status.state.is_at_rest().then(|| status.clone());
        let starts_for = Timestamp::now().since(Timestamp(status.since));
        self.slow = (status.state == InstanceState::Starting)
            .then(|| self.shared.slow_start.checked_sub(starts_for))
            .flatten()
            .map(|left| Instant::now() + left + Duration::from_millis(50));
        self.tell(Some(status));
    }

    /// Copies new journal entries into the database; false if that failed and must be retried.
    async fn catch_up(&mut self) -> bool {
        let (dir, offset, id) = (self.dir.clone(), self.offset, self.id);
        let read = tokio::task::spawn_blocking(move || journal::read_from(&dir, offset))
            .await
            .map_err(io::Error::other);
        let (entries, end) = match read.and_then(|read| read) {
            Ok(read) => read,
            Err(e) => {
                tracing::error!(instance = %id, error = %e, "cannot read the keeper's journal");
                self.look_again = Some(Instant::now() + LOOK_AGAIN);
                return false;
            }
        };
        if end == offset && entries.is_empty() {
            return true;
        }
        let secrets = self.shared.preparation.configs().secret_mask();
        let entries: Vec<JournalEntry> = entries
            .into_iter()
            .map(|entry| entry_without_secrets(entry, &secrets))
            .collect();
        match self
            .shared
            .db
            .write_as(WriteMode::UNSYNCED.prompt(), move |c| {
                Ok(queries::ingest(c, id, &entries, end)?)
            })
            .await
        {
            Ok(()) => {
                self.offset = end;
                let unsaved = &self.shared.has_unsaved_events;
                unsaved.store(false, Ordering::Relaxed);
                true
            }
            Err(e) => {
                let unsaved = &self.shared.has_unsaved_events;
                if !unsaved.swap(true, Ordering::Relaxed) {
                    // Nothing is lost: they are still in the journals.
                    tracing::warn!(instance = %id, error = %e, "cannot save events of instances yet; jd-manager will retry every 2 s");
                }
                self.look_again = Some(Instant::now() + LOOK_AGAIN);
                false
            }
        }
    }

    async fn end_of_conversation(&mut self) {
        self.keeper = KeeperConnection::Absent;
        self.relaunch = None;
        self.slow = None;
        self.reap().await;
        self.find_keeper().await;
    }

    /// There is no keeper. If the history does not end at rest, the keeper was killed: records
    /// that, and starts a new keeper if the desired state is running.
    async fn check_for_loss(&mut self) {
        let Some(row) = self.row().await else { return };
        let state = row.state();
        if state.is_at_rest() {
            return;
        }
        self.last_pid = self
            .last_pid
            .or(row.pid.and_then(|pid| u32::try_from(pid).ok()));
        tracing::warn!(instance = %self.id, %state, "the keeper was killed");
        self.record_translator_loss().await;
        if row.is_wanted() && self.unsaved_wish != Some(false) {
            self.retry_later(&ChangeReason::KeeperLost).await;
        } else {
            self.end_leftovers().await;
            self.record(self.change(state, InstanceState::Stopped, ChangeReason::KeeperLost))
                .await;
        }
    }

    /// Records that the translator was killed with its keeper, unless it had no process.
    async fn record_translator_loss(&mut self) {
        let id = self.id;
        let found = self
            .shared
            .db
            .read(move |c| Ok(queries::translator_process(c, id)?))
            .await;
        match found {
            Ok(Some((from, pid))) => {
                let entry = JournalEntry {
                    program: ManagedProgram::Translator,
                    pid,
                    exit: Some(ProcessExit::Signal(9)),
                    failures: 0,
                    ..self.change(from, InstanceState::Stopped, ChangeReason::KeeperLost)
                };
                self.record(entry).await;
            }
            Ok(None) => {}
            Err(e) => {
                tracing::error!(instance = %id, error = %e, "cannot read the state of the translator");
            }
        }
    }

    /// Kills leftover processes of a killed keeper, if no new keeper will do so.
    async fn end_leftovers(&self) {
        let id = self.id.to_string();
        if let Ok(ended @ 1..) =
            tokio::task::spawn_blocking(move || leftovers::end_marked(&id)).await
        {
            tracing::warn!(instance = %self.id, ended, "killed leftover client processes of a killed keeper");
        }
    }

    /// Waits for the next retry without a keeper: the first time not at all, then longer each time.
    /// Adds one event per new reason, not per retry.
    async fn retry_later(&mut self, reason: &ChangeReason) {
        let now = Instant::now();
        if self
            .last_loss
            .is_some_and(|last| now - last > Duration::from_secs(600))
        {
            self.losses = 0;
        }
        self.last_loss = Some(now);
        let is_loss = matches!(reason, ChangeReason::KeeperLost);
        let wait = match self.losses {
            0 if is_loss => Duration::ZERO,
            losses => Backoff::default().wait(losses.max(1), u64::from(losses) * 37),
        };
        self.losses += 1;
        self.relaunch = Some(now + wait);
        let retry_at = Timestamp::now().after(wait).0;
        let from = self
            .row()
            .await
            .map_or(InstanceState::Failed, |row| row.state());
        // A manager that restarts during the wait adds no new event.
        let is_known = from == InstanceState::BackingOff
            && (self.last_reason.as_ref() == Some(reason)
                || (is_loss && self.last_reason.is_none()));
        if !is_known {
            self.record(JournalEntry {
                retry_at: Some(retry_at),
                ..self.change(from, InstanceState::BackingOff, reason.clone())
            })
            .await;
        }
        self.last_reason = Some(reason.clone());
        self.tell(Some(KeeperStatus {
            state: InstanceState::BackingOff,
            failures: self.losses,
            retry_at: Some(retry_at),
            reason: Some(reason.clone()),
            ..no_keeper()
        }));
    }
}

/// A journal entry without secret keys.
fn entry_without_secrets(entry: JournalEntry, secrets: &SecretMask) -> JournalEntry {
    JournalEntry {
        last_error: entry.last_error.map(|text| secrets.covered(text)),
        trouble: entry
            .trouble
            .into_iter()
            .map(|line| secrets.covered(line))
            .collect(),
        ..entry
    }
}

async fn next(keeper: &mut KeeperConnection) -> io::Result<Option<KeeperStatus>> {
    match keeper {
        KeeperConnection::Present(conversation) => conversation.next().await,
        KeeperConnection::Absent | KeeperConnection::Silent => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn silent() -> Error {
    Error::Unavailable {
        detail: "The instance's keeper is not responding. The client keeps running. jd-manager is retrying every few seconds.".into(),
        retry_after: Some(LOOK_AGAIN),
    }
}

/// The status of an instance without a keeper.
fn no_keeper() -> KeeperStatus {
    KeeperStatus::blank(0, Timestamp::now().0)
}
