//! Runs actions on several instances: a few at a time, with a result for each. Jobs in progress are in
//! memory; each change is also stored, so that the next manager knows what was done.

use futures_util::{StreamExt, stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::action::BulkAction;
use super::host_action::act_on_host;
use super::model::{BulkItemResult, BulkJob, BulkStage, BulkStepState};
use super::queries;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{InstanceId, JobId};
use crate::domain::hosts::HostService;
use crate::domain::instances::list_page::InstanceListState;
use crate::domain::instances::{Instance, InstanceDraft, JobMention, STOP_PATIENCE};
use crate::domain::mutes::MuteService;
use crate::infra::db::{Db, WriteMode};
use crate::keeper::machine::InstanceState;

/// The number of instances that are acted on at the same time, by all jobs together. Two hundred clients
/// that start at once would all ask their pools and template providers in the same second.
const MOST_AT_ONCE: usize = 8;
/// Maximum number of jobs in progress.
const MOST_JOBS: usize = 20;
/// Number of stored jobs.
const MOST_STORED: i64 = 200;
/// How long lists mention a finished job that did not succeed.
const MENTION: Duration = Duration::from_secs(900);
/// Pause between two attempts to store the end of a job.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// A change that is lost with the power is lost together with the clients. No action waits for it.
const STEP: WriteMode = WriteMode::UNSYNCED.prompt();

/// The services that actions use.
#[derive(Clone, Debug)]
pub struct BulkServices {
    /// The database of the jobs.
    pub db: Db,
    /// The instances, their configurations and their lists.
    pub lists: InstanceListState,
    /// Mutes notifications.
    pub mutes: MuteService,
    /// Other hosts, whose instances lists show too.
    pub hosts: HostService,
    /// The manager stops.
    pub stop: CancellationToken,
}

/// The jobs; cheap to clone.
#[derive(Clone, Debug)]
pub struct BulkJobs(Arc<BulkJobsInner>);

#[derive(Debug)]
struct BulkJobsInner {
    services: BulkServices,
    /// In progress, and the last finished ones; oldest first.
    jobs: Mutex<Vec<Arc<LiveBulkJob>>>,
    room: Semaphore,
}

/// A job in memory.
#[derive(Debug)]
pub(super) struct LiveBulkJob {
    content: Mutex<LiveContent>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct LiveContent {
    job: BulkJob,
    /// For each instance: the number of the job's change that was its last.
    changed_at: Vec<u64>,
    /// A user has seen its result: lists no longer mention it.
    is_dismissed: bool,
}

impl LiveBulkJob {
    fn new(job: BulkJob) -> Self {
        let changed_at = vec![0; job.total];
        Self {
            content: Mutex::new(LiveContent {
                job,
                changed_at,
                is_dismissed: false,
            }),
            changes: watch::Sender::new(0),
        }
    }

    fn content(&self) -> MutexGuard<'_, LiveContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job now.
    pub(super) fn job(&self) -> BulkJob {
        self.content().job.clone()
    }

    /// The number of its last change, the job, and the instances that changed after change number
    /// `after`, by their places.
    pub(super) fn since(&self, after: u64) -> (u64, BulkJob, Vec<usize>) {
        let content = self.content();
        let changed = content.changed_at.iter().enumerate();
        let changed = changed.filter(|(_, at)| **at > after).map(|(at, _)| at);
        (
            *self.changes.borrow(),
            content.job.clone(),
            changed.collect(),
        )
    }

    /// The number of its last change, as it changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes the job, and the instance at a place.
    fn change<T>(&self, at: Option<usize>, change: impl FnOnce(&mut BulkJob) -> T) -> T {
        let mut content = self.content();
        let result = change(&mut content.job);
        content.job.recount();
        let number = *self.changes.borrow() + 1;
        if let Some(changed_at) = at.and_then(|at| content.changed_at.get_mut(at)) {
            *changed_at = number;
        }
        // While it is locked: who sees the number sees the change.
        self.changes.send_replace(number);
        result
    }

    fn set(
        &self,
        at: usize,
        state: BulkStepState,
        status: Option<InstanceState>,
        message: impl Into<String>,
    ) -> Option<BulkItemResult> {
        let message = message.into();
        self.change(Some(at), |job| {
            let step = job.results.get_mut(at)?;
            *step = step.clone().with(state, status, message);
            Some(step.clone())
        })
    }
}

impl BulkJobs {
    /// No job is in progress.
    pub fn new(services: BulkServices) -> Self {
        Self(Arc::new(BulkJobsInner {
            services,
            jobs: Mutex::default(),
            room: Semaphore::new(MOST_AT_ONCE),
        }))
    }

    /// The services that actions use.
    pub(super) fn services(&self) -> &BulkServices {
        &self.0.services
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Arc<LiveBulkJob>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The action as text.
    ///
    /// # Errors
    /// The configuration does not exist, or the client is not installed.
    pub(super) async fn title(&self, action: &BulkAction) -> Result<String> {
        let lists = &self.0.services.lists;
        Ok(match action {
            BulkAction::Autostart { enabled: true } => "Start automatically".into(),
            BulkAction::Autostart { enabled: false } => "Do not start automatically".into(),
            BulkAction::Configure { config_id } => match lists.configs.get(*config_id).await {
                Ok(saved) => format!("Use configuration {}", saved.name),
                Err(Error::NotFound { .. }) => {
                    let detail = format!(
                        "Saved configuration {config_id} does not exist. Select another one."
                    );
                    return Err(Error::invalid("/config_id", detail));
                }
                Err(error) => return Err(error),
            },
            BulkAction::Version { version: None } => "Use the version in use".into(),
            BulkAction::Version {
                version: Some(version),
            } => {
                let known = lists.instances.versions().await;
                if !known.contains(version) && lists.instances.source().fixed().is_none() {
                    let detail = format!(
                        "Client {version} is not installed. Install it first, or select another one."
                    );
                    return Err(Error::Invalid(vec![FieldError::new("/version", detail)]));
                }
                format!("Use client {version}")
            }
            BulkAction::Tag { add, remove } => {
                let part = |verb: &str, tags: String| match tags.is_empty() {
                    true => None,
                    false => Some(format!("{verb} tags: {tags}")),
                };
                let parts = [part("Add", add.text()), part("Remove", remove.text())];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                parts.join(". ")
            }
            BulkAction::Mute(draft) => {
                format!("Mute alerts until {}", draft.until.local_minute())
            }
            simple => simple.kind().label().into(),
        })
    }

    /// Starts a job. Its instances: ids, and names of those that exist.
    ///
    /// # Errors
    /// Too many jobs are in progress, or a parameter refers to nothing.
    pub(super) async fn begin(
        &self,
        action: BulkAction,
        instances: Vec<(InstanceId, Option<String>)>,
        actor: &Actor,
    ) -> Result<Arc<LiveBulkJob>> {
        let title = self.title(&action).await?;
        let results = instances.into_iter();
        let results = results.map(|(id, name)| BulkItemResult::waiting(id, name));
        let job = BulkJob::new(action.kind(), title, actor.to_string(), results.collect());
        let live = Arc::new(LiveBulkJob::new(job.clone()));
        {
            let mut jobs = self.jobs();
            let running = jobs.iter().filter(|job| !job.content().job.stage.is_over());
            if running.count() >= MOST_JOBS {
                return Err(Error::Conflict(format!(
                    "{MOST_JOBS} actions on several instances are in progress. Wait until one finishes, or cancel one."
                )));
            }
            jobs.push(live.clone());
        }
        let id = job.id;
        let stored = self.0.services.db.write_as(STEP, move |c| {
            queries::prune(c, MOST_STORED)?;
            Ok(queries::insert(c, &job)?)
        });
        if let Err(error) = stored.await {
            // The action has its own errors if it needs the database.
            tracing::warn!(%error, job = %id, "cannot store an action on several instances; running it all the same");
        }
        self.mention();
        let (this, running, actor) = (self.clone(), live.clone(), actor.clone());
        tokio::spawn(async move { this.run(running, action, actor).await });
        Ok(live)
    }

    /// A job in memory.
    pub(super) fn live(&self, id: JobId) -> Option<Arc<LiveBulkJob>> {
        let jobs = self.jobs();
        jobs.iter().find(|job| job.content().job.id == id).cloned()
    }

    /// A job by id.
    pub(super) async fn get(&self, id: JobId) -> Result<BulkJob> {
        if let Some(live) = self.live(id) {
            return Ok(live.job());
        }
        let db = &self.0.services.db;
        let stored = db.read(move |c| Ok(queries::job(c, id)?)).await?;
        let job = stored.ok_or_else(|| Error::not_found("job", id))?;
        Ok(match job.stage.is_over() {
            true => job,
            false => job.interrupted(),
        })
    }

    /// A part of all jobs without their results, newest first, and the number of all.
    pub(super) async fn list(&self, offset: i64, limit: i64) -> Result<(Vec<BulkJob>, u64)> {
        let db = &self.0.services.db;
        let read = move |c: &mut _| Ok(queries::jobs(c, offset, limit)?);
        let (mut jobs, total) = db.read(read).await?;
        for job in jobs.iter_mut().filter(|job| !job.stage.is_over()) {
            match self.live(job.id) {
                Some(live) => {
                    *job = live.job();
                    job.results.clear();
                }
                None => job.interrupt(),
            }
        }
        Ok((jobs, total.unsigned_abs()))
    }

    /// Removes a finished job from the lists that mention it.
    ///
    /// # Errors
    /// It has not finished.
    pub(super) async fn dismiss(&self, id: JobId) -> Result<BulkJob> {
        let job = self.get(id).await?;
        if !job.stage.is_over() {
            return Err(Error::Conflict(format!(
                "\"{}\" is in progress. Wait until it has finished, or cancel it.",
                job.title
            )));
        }
        if let Some(live) = self.live(id) {
            live.content().is_dismissed = true;
            self.mention();
        }
        Ok(job)
    }

    /// Cancels a job: instances that wait for their turn are left as they are.
    ///
    /// # Errors
    /// It has finished.
    pub(super) async fn cancel(&self, id: JobId) -> Result<BulkJob> {
        let job = self.get(id).await?;
        if job.stage.is_over() {
            return Err(Error::Conflict(format!(
                "\"{}\" has already finished and cannot be canceled.",
                job.title
            )));
        }
        let Some(live) = self.live(id) else {
            return Ok(job);
        };
        let message = "The job was canceled before this action.";
        for at in 0..job.total {
            live.change(Some(at), |job| {
                let step = job.results.get_mut(at);
                if let Some(step) = step.filter(|step| step.state == BulkStepState::Waiting) {
                    let canceled = step.clone();
                    *step = canceled.with(BulkStepState::Cancelled, None, message.into());
                }
            });
        }
        Ok(live.job())
    }

    async fn run(self, live: Arc<LiveBulkJob>, action: BulkAction, actor: Actor) {
        let (total, shared) = (live.job().total, Arc::new((action, actor)));
        let steps = (0..total).map(|at| {
            let (this, live, shared) = (self.clone(), live.clone(), shared.clone());
            async move { this.step(&live, at, shared).await }
        });
        stream::iter(steps)
            .buffer_unordered(MOST_AT_ONCE)
            .for_each(|()| std::future::ready(()))
            .await;
        let stop = &self.0.services.stop;
        if stop.is_cancelled() {
            // The next manager reports what was done.
            return;
        }
        let job = live.change(None, |job| {
            (job.stage, job.message) = job.result();
            job.ended_at = Some(Timestamp::now());
            job.clone()
        });
        tracing::info!(job = %job.id, title = %job.title, actor = %job.actor, "{}", job.message);
        let is_mentioned = job.stage != BulkStage::Done;
        self.mention();
        tokio::select! {
            () = self.store_end(job) => {}
            () = stop.cancelled() => return,
        }
        if is_mentioned {
            tokio::select! {
                () = tokio::time::sleep(MENTION) => {}
                () = stop.cancelled() => {}
            }
        }
        self.jobs().retain(|other| !Arc::ptr_eq(other, &live));
        self.mention();
    }

    /// Stores the end of a job as soon as possible: without it, the job would count as interrupted.
    async fn store_end(&self, job: BulkJob) {
        loop {
            let job = job.clone();
            let stored = self
                .0
                .services
                .db
                .write(move |c| Ok(queries::end(c, &job)?));
            match stored.await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot store the result of an action on several instances; retrying");
                }
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    /// Shows in lists which jobs are in progress, and those that recently did not succeed.
    fn mention(&self) {
        let live: Vec<_> = self.jobs().clone();
        let told = live.iter().rev().filter_map(|live| {
            let content = live.content();
            let job = &content.job;
            let text = match job.stage {
                BulkStage::Running if job.total > 1 => {
                    format!("{}: {} instances, in progress.", job.title, job.total)
                }
                BulkStage::Failed | BulkStage::Cancelled if !content.is_dismissed => {
                    format!("{}: {}", job.title, job.message)
                }
                _ => return None,
            };
            Some(JobMention {
                text,
                address: format!("/jobs/{}", job.id),
                is_over: job.stage.is_over(),
            })
        });
        let lists = &self.0.services.lists;
        lists.instances.glances().set_jobs(told.take(3).collect());
    }

    async fn step(&self, live: &LiveBulkJob, at: usize, shared: Arc<(BulkAction, Actor)>) {
        // It is never closed.
        let _turn = self.0.room.acquire().await;
        if self.0.services.stop.is_cancelled() {
            return;
        }
        let begun = live.change(Some(at), |job| {
            let (id, total) = (job.id, job.total);
            let step = job.results.get_mut(at)?;
            if step.state != BulkStepState::Waiting {
                return None;
            }
            *step = step
                .clone()
                .with(BulkStepState::Running, None, String::new());
            Some((id, total, step.clone()))
        });
        // Otherwise it was canceled.
        let Some((job, total, step)) = begun else {
            return;
        };
        // Before the action: if the manager is killed, the next one knows that it may have been done.
        let (id, step) = (step.id, Some(step));
        self.store(job, at, step).await;
        let this = self.clone();
        // A task of its own, so that even a bug ends in a result.
        let acting = tokio::spawn(async move {
            let (action, actor) = &*shared;
            this.act(id, action, actor, total == 1).await
        });
        let result = acting.await.map_err(Error::internal).and_then(|done| done);
        let (state, status, message) = match result {
            Ok(done) => done,
            Err(Error::Internal(cause)) => {
                tracing::error!(instance = %id, %cause, "an action on several instances failed");
                let message = "Internal error in jd-manager. See its log for the cause.";
                (BulkStepState::Failed, None, message.to_owned())
            }
            Err(error) => (BulkStepState::Failed, None, error.to_string()),
        };
        let step = live.set(at, state, status, message);
        self.store(job, at, step).await;
    }

    async fn store(&self, job: JobId, at: usize, step: Option<BulkItemResult>) {
        let Some(step) = step else { return };
        let db = &self.0.services.db;
        let stored = db.write_as(STEP, move |c| Ok(queries::set_step(c, job, at, &step)?));
        if let Err(error) = stored.await {
            tracing::debug!(%error, %job, "cannot store the state of an instance yet");
        }
    }

    /// Acts on one instance. `is_alone`: the caller named it and no other.
    async fn act(
        &self,
        id: InstanceId,
        action: &BulkAction,
        actor: &Actor,
        is_alone: bool,
    ) -> Result<(BulkStepState, Option<InstanceState>, String)> {
        let instances = &self.0.services.lists.instances;
        if let Some(instance) = instances.remote().get(id) {
            return act_on_host(&self.0.services.hosts, instance, action).await;
        }
        let instance = instances.get(id).await?;
        // Who starts a single instance that already runs gets the error that it always had.
        let is_strict = is_alone && matches!(action, BulkAction::Start | BulkAction::Stop);
        if let Some(obstacle) = action.obstacle(&instance).filter(|_| !is_strict) {
            return Ok((BulkStepState::Skipped, Some(instance.status), obstacle));
        }
        let outcome = match action {
            BulkAction::Start => instances.start(id, actor).await?,
            BulkAction::Stop => instances.stop(id, actor, STOP_PATIENCE).await?,
            BulkAction::Restart => instances.restart(id, actor, STOP_PATIENCE).await?,
            BulkAction::Delete => {
                let outcome = instances.delete(id, actor).await?;
                return Ok((BulkStepState::Done, None, outcome.message));
            }
            BulkAction::Mute(draft) => {
                let mutes = &self.0.services.mutes;
                mutes.mute_instances([id], draft, actor).await?;
                let until = draft.until.local_minute();
                let message = format!("{} is muted until {until}.", instance.name);
                return Ok((BulkStepState::Done, Some(instance.status), message));
            }
            settings => {
                let message = self.change(&instance, settings).await?;
                let status = instances.get(id).await?.status;
                return Ok((BulkStepState::Done, Some(status), message));
            }
        };
        Ok((BulkStepState::Done, Some(outcome.status), outcome.message))
    }

    /// Changes settings of an instance, and returns the result as text.
    async fn change(&self, instance: &Instance, action: &BulkAction) -> Result<String> {
        let (instances, name) = (&self.0.services.lists.instances, &instance.name);
        let mut draft = InstanceDraft::default();
        let message = match action {
            BulkAction::Autostart { enabled } => {
                draft.autostart = Some(*enabled);
                match enabled {
                    true => format!("{name} starts automatically with jd-manager."),
                    false => format!("{name} does not start automatically."),
                }
            }
            BulkAction::Configure { config_id } => {
                draft.config_id = Some(*config_id);
                format!("{name} uses the configuration from its next start.")
            }
            BulkAction::Version { version } => {
                draft.client_version = Some(version.clone());
                format!("{name} uses the client from its next start.")
            }
            BulkAction::Tag { add, remove } => {
                let changed = instances.change_tags(instance.id, add.clone(), remove.clone());
                let tags = changed.await?.text();
                return Ok(match tags.is_empty() {
                    true => format!("{name} has no tags."),
                    false => format!("{name} has the tags {tags}."),
                });
            }
            // They change no settings.
            BulkAction::Start
            | BulkAction::Stop
            | BulkAction::Restart
            | BulkAction::Delete
            | BulkAction::Mute(_) => {
                return Ok(String::new());
            }
        };
        instances.change(instance.id, draft).await?;
        Ok(message)
    }
}
