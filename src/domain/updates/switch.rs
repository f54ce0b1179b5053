//! Switches instances to another client, one at a time. If an instance is not healthy, it is rolled
//! back and the rest are not changed.
//!
//! Each step is saved before it starts, with its direction. After a kill, the next manager
//! continues: an instance on trial stays on trial (its version is in its row), a rollback
//! continues, a switched instance stays switched. A failed write is retried until it succeeds: no
//! step is left unfinished.

use std::time::Duration;

use super::health_gate::{self, GateResult, length};
use super::job_tracker::JobGuard;
use super::model::{JobStage, StepState, SwitchStep, UpdateJob, VersionSwitch};
use super::service::UpdateService;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::failpoint;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, switch_note};
use crate::keeper::machine::InstanceState;

/// The actor in the events.
pub(super) const ACTOR: Actor = Actor::manager("update");
/// How long to wait for a restart to begin; the longest stop takes 18 s.
pub(super) const RESTART_PATIENCE: Duration = Duration::from_secs(25);
/// After a start of the manager, how long to wait for an instance on trial that starts
/// automatically. Starts are 100 ms apart.
const COMES_UP: Duration = Duration::from_secs(60);
/// Pause before a failed write is retried.
const AGAIN: Duration = Duration::from_secs(1);
/// Why an instance of a canceled switch is rolled back.
pub(super) const CANCELLED: &str = "Canceled.";

/// How a switch ended before its last step.
pub(super) enum SwitchInterruption {
    /// An instance was not healthy, or a user interfered; with the message.
    Off(JobStage, String),
    /// The manager stops; the next one continues.
    Stopped,
}

impl UpdateService {
    /// Runs the job on the board, or continues it.
    pub(super) async fn run_switch(&self, ticket: &JobGuard) {
        let cut = match self.walk(ticket).await {
            Ok(message) => return self.finish(ticket, JobStage::Switched, message).await,
            Err(cut) => cut,
        };
        let SwitchInterruption::Off(stage, message) = cut else {
            return;
        };
        if self.skip_remaining(ticket).await.is_ok() {
            self.finish(ticket, stage, message).await;
        }
    }

    async fn finish(&self, ticket: &JobGuard, stage: JobStage, message: String) {
        ticket.end(stage, message).await;
        self.scan_store().await;
    }

    async fn walk(&self, ticket: &JobGuard) -> Result<String, SwitchInterruption> {
        let job = ticket.job();
        let to = job.version.clone();
        let Some(switch) = &job.switch else {
            return Err(SwitchInterruption::Off(
                JobStage::Failed,
                "The switch has no instances.".into(),
            ));
        };
        let count = switch.steps.len();
        // A user may have removed it since the plan.
        let (store, name) = (self.store().clone(), to.clone());
        if !tokio::task::spawn_blocking(move || store.has(&name))
            .await
            .unwrap_or(false)
        {
            return Err(SwitchInterruption::Off(
                JobStage::Failed,
                format!("Client {to} is no longer installed. Nothing was switched."),
            ));
        }
        let words = format!("Switching instances to {to}, one at a time.");
        retry_write(ticket, || ticket.stage(JobStage::Switching, words.clone())).await?;
        for at in 0..count {
            ticket.progress(at as u64, Some(count as u64));
            let step = step(ticket, at)?;
            match step.state {
                StepState::Waiting if ticket.cancel.is_cancelled() => {
                    return Err(SwitchInterruption::Off(
                        JobStage::Cancelled,
                        so_far(&ticket.job(), CANCELLED),
                    ));
                }
                StepState::Waiting | StepState::Trying | StepState::GoingBack => {
                    self.run_step(ticket, at, step, &to).await?
                }
                _ => {}
            }
            failpoint::reach("switch.step-done");
        }
        self.settle(ticket, &to).await
    }

    /// All instances are switched: sets the version in use and ends all trials.
    async fn settle(&self, ticket: &JobGuard, to: &str) -> Result<String, SwitchInterruption> {
        let job = ticket.job();
        let switch = plan(&job)?;
        if switch.is_for_all {
            let (store, name) = (self.store().clone(), to.to_owned());
            let linked = tokio::task::spawn_blocking(move || store.set_in_use(&name)).await;
            if let Err(e) = linked.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
                return Err(SwitchInterruption::Off(
                    JobStage::Failed,
                    so_far(
                        &job,
                        &format!("Cannot set {to} as the version in use: {e}."),
                    ),
                ));
            }
        }
        for step in &switch.steps {
            match step.state {
                // An earlier switch left it pinned; now it follows the version in use again.
                StepState::Switched | StepState::Resting if step.unpin => {
                    retry_write(ticket, || self.instances().follow_in_use(step.id)).await?;
                }
                // Now it runs the version in use, or is pinned to it.
                StepState::Switched => {
                    retry_write(ticket, || self.instances().set_trial(step.id, None)).await?
                }
                _ => {}
            }
        }
        failpoint::reach("switch.settled");
        let went = switch
            .steps
            .iter()
            .filter(|step| step.state == StepState::Switched)
            .count();
        Ok(match (switch.is_for_all, went) {
            (true, 0) => {
                format!("{to} is in use. None of the instances that follow it were running.")
            }
            (true, 1) => format!("{to} is in use. 1 instance runs it."),
            (true, n) => format!("{to} is in use. {n} instances run it."),
            (false, 0) => format!("The selected instances will use {to} at their next start."),
            (false, 1) => format!("1 instance runs {to}."),
            (false, n) => format!("{n} instances run {to}."),
        })
    }

    /// The instance; none if it was deleted.
    pub(super) async fn instance(
        &self,
        ticket: &JobGuard,
        id: InstanceId,
    ) -> Result<Option<Instance>, SwitchInterruption> {
        retry_write(ticket, || async {
            match self.instances().get(id).await {
                Ok(instance) => Ok(Some(instance)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn run_step(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: SwitchStep,
        to: &str,
    ) -> Result<(), SwitchInterruption> {
        let is_for_all = plan(&ticket.job())?.is_for_all;
        let Some(mut instance) = self.instance(ticket, step.id).await? else {
            return self
                .write(
                    ticket,
                    at,
                    StepState::LeftAlone,
                    "Deleted before it could be switched.",
                )
                .await;
        };
        if step.state == StepState::GoingBack {
            return self.revert(ticket, at, &step, &step.words.clone()).await;
        }
        if step.state == StepState::Trying && !is_up(&instance) && instance.autostart {
            // The manager has just started, and this instance starts automatically.
            let until = tokio::time::Instant::now() + COMES_UP;
            while !is_up(&instance)
                && tokio::time::Instant::now() < until
                && !ticket.cancel.is_cancelled()
            {
                pause(ticket).await?;
                let Some(now) = self.instance(ticket, step.id).await? else {
                    break;
                };
                instance = now;
            }
        }
        if !is_up(&instance) {
            retry_write(ticket, || self.instances().set_trial(step.id, None)).await?;
            if step.state == StepState::Trying {
                let words = "Stopped during the test, so there is no result. The version setting of this instance has not changed.";
                self.write(ticket, at, StepState::LeftAlone, words).await?;
                return Err(SwitchInterruption::Off(
                    JobStage::Failed,
                    so_far(&ticket.job(), &format!("{}: {words}", step.name)),
                ));
            }
            if !is_for_all {
                retry_write(ticket, || self.instances().pin(step.id, to.to_owned())).await?;
            }
            return self
                .write(
                    ticket,
                    at,
                    StepState::Resting,
                    "Not running. The next start will use the new version.",
                )
                .await;
        }
        if is_for_all
            && step.state == StepState::Waiting
            && instance.client_version.is_some()
            && !step.unpin
        {
            return self
                .write(
                    ticket,
                    at,
                    StepState::LeftAlone,
                    "Pinned to a version before it could be switched.",
                )
                .await;
        }
        let runs_it = instance.running_version.as_deref() == Some(to);
        if step.state == StepState::Waiting && runs_it {
            if !is_for_all {
                retry_write(ticket, || self.instances().pin(step.id, to.to_owned())).await?;
            }
            return self
                .write(
                    ticket,
                    at,
                    StepState::Switched,
                    "Already running this version.",
                )
                .await;
        }
        let is_resumed = step.state == StepState::Trying
            && runs_it
            && instance.trial_version.as_deref() == Some(to);
        let step = if is_resumed {
            step
        } else {
            self.begin_step(ticket, at, step, &instance, to).await?
        };
        let gate = plan(&ticket.job())?.gate;
        let verdict = tokio::select! {
            verdict = retry_write(ticket, || health_gate::watch(self.health(), step.id, gate, &step.ailing)) => verdict?,
            () = ticket.cancel.cancelled() => GateResult::Bad(CANCELLED.into()),
            () = ticket.stop().cancelled() => return Err(SwitchInterruption::Stopped),
        };
        failpoint::reach("switch.judged");
        match verdict {
            GateResult::Well => self.keep(ticket, at, &step, to, is_for_all).await,
            GateResult::Gone => {
                retry_write(ticket, || self.instances().set_trial(step.id, None)).await?;
                let words = "Stopped or deleted during the test, so there is no result.";
                self.write(ticket, at, StepState::LeftAlone, words).await?;
                Err(SwitchInterruption::Off(
                    JobStage::Failed,
                    so_far(&ticket.job(), &format!("{}: {words}", step.name)),
                ))
            }
            GateResult::Bad(why) => self.revert(ticket, at, &step, &why).await,
        }
    }

    /// Restarts an instance with the new version. The job and the events record it first.
    async fn begin_step(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: SwitchStep,
        instance: &Instance,
        to: &str,
    ) -> Result<SwitchStep, SwitchInterruption> {
        let ailing = health_gate::failing_check(&self.health().results(step.id));
        let begun = Timestamp::now();
        let before = step.before.clone().or(instance.running_version.clone());
        retry_write(ticket, || {
            ticket.change(|job| {
                job.message = format!(
                    "Restarting {} with {to} and checking its health.",
                    step.name
                );
                if let Some(step) = step_of(job, at) {
                    (step.state, step.begun_at, step.before) =
                        (StepState::Trying, Some(begun), before.clone());
                    step.ailing.clone_from(&ailing);
                }
            })
        })
        .await?;
        failpoint::reach("switch.written");
        retry_write(ticket, || {
            self.instances().set_trial(step.id, Some(to.to_owned()))
        })
        .await?;
        failpoint::reach("switch.trial");
        let words = switch_note(to);
        retry_write(ticket, || {
            self.instances().note(step.id, words.clone(), Some(ACTOR))
        })
        .await?;
        if let Err(error) = self
            .instances()
            .restart(step.id, &ACTOR, RESTART_PATIENCE)
            .await
        {
            retry_write(ticket, || self.instances().set_trial(step.id, None)).await?;
            let words = format!("Restart failed: {}", told(error));
            self.write(ticket, at, StepState::LeftAlone, &words).await?;
            return Err(SwitchInterruption::Off(
                JobStage::Failed,
                so_far(&ticket.job(), &format!("{}: {words}", step.name)),
            ));
        }
        failpoint::reach("switch.restarted");
        self::step(ticket, at)
    }

    async fn keep(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: &SwitchStep,
        to: &str,
        is_for_all: bool,
    ) -> Result<(), SwitchInterruption> {
        if !is_for_all {
            retry_write(ticket, || self.instances().pin(step.id, to.to_owned())).await?;
        }
        self.measure(ticket, at, step).await?;
        let words = format!("client {to} is healthy: switch complete");
        retry_write(ticket, || {
            self.instances().note(step.id, words.clone(), Some(ACTOR))
        })
        .await?;
        let words = measured_text(&self::step(ticket, at)?);
        self.write(ticket, at, StepState::Switched, &words).await
    }

    pub(super) async fn measure(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: &SwitchStep,
    ) -> Result<(), SwitchInterruption> {
        let Some(begun) = step.begun_at else {
            return Ok(());
        };
        let events = retry_write(ticket, || {
            self.instances().history(Some(step.id), None, 100)
        })
        .await?;
        if let Some((down, own)) = health_gate::measured(&events, begun) {
            ticket.show(|job| {
                if let Some(step) = step_of(job, at) {
                    (step.downtime_ms, step.own_start_ms) = (Some(down), Some(own));
                }
            });
        }
        Ok(())
    }

    /// After an end before the last step: pins the switched instances, because the version in use
    /// does not change.
    async fn skip_remaining(&self, ticket: &JobGuard) -> Result<(), SwitchInterruption> {
        let job = ticket.job();
        let switch = plan(&job)?;
        for step in switch
            .steps
            .iter()
            .filter(|step| step.state == StepState::Switched && switch.is_for_all)
        {
            retry_write(ticket, || {
                self.instances().pin(step.id, job.version.clone())
            })
            .await?;
        }
        retry_write(ticket, || {
            ticket.change(|job| {
                for step in job.switch.iter_mut().flat_map(|switch| &mut switch.steps) {
                    if step.state == StepState::Waiting {
                        (step.state, step.words) = (StepState::LeftAlone, "Not changed.".into());
                    }
                }
            })
        })
        .await
    }

    pub(super) async fn write(
        &self,
        ticket: &JobGuard,
        at: usize,
        state: StepState,
        words: &str,
    ) -> Result<(), SwitchInterruption> {
        retry_write(ticket, || {
            ticket.change(|job| {
                if let Some(step) = step_of(job, at) {
                    (step.state, step.words) = (state, words.to_owned());
                }
            })
        })
        .await
    }
}

/// Retries work until it succeeds: a locked database or a full disk must not leave an instance
/// between two versions. Stops only with the manager; the next one continues.
pub(super) async fn retry_write<T, F: Future<Output = Result<T>>>(
    ticket: &JobGuard,
    mut work: impl FnMut() -> F,
) -> Result<T, SwitchInterruption> {
    let mut is_told = false;
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "cannot continue the switch; retrying");
                }
                pause(ticket).await?;
            }
        }
    }
}

async fn pause(ticket: &JobGuard) -> Result<(), SwitchInterruption> {
    tokio::select! {
        () = tokio::time::sleep(AGAIN) => Ok(()),
        () = ticket.stop().cancelled() => Err(SwitchInterruption::Stopped),
    }
}

pub(super) fn is_up(instance: &Instance) -> bool {
    instance.status.has_client() || instance.status == InstanceState::BackingOff
}

pub(super) fn plan(job: &UpdateJob) -> Result<&VersionSwitch, SwitchInterruption> {
    job.switch.as_ref().ok_or_else(|| {
        SwitchInterruption::Off(JobStage::Failed, "The switch has no instances.".into())
    })
}

fn step(ticket: &JobGuard, at: usize) -> Result<SwitchStep, SwitchInterruption> {
    let job = ticket.job();
    plan(&job)?.steps.get(at).cloned().ok_or_else(|| {
        SwitchInterruption::Off(JobStage::Failed, "The switch has no such instance.".into())
    })
}

pub(super) fn step_of(job: &mut UpdateJob, at: usize) -> Option<&mut SwitchStep> {
    job.switch
        .as_mut()
        .and_then(|switch| switch.steps.get_mut(at))
}

/// An error as text.
pub(super) fn told(error: Error) -> String {
    if let Error::Internal(cause) = &error {
        tracing::error!(%cause, "a restart for a switch failed");
        return "Internal error in jd-manager. See its log for the cause.".into();
    }
    error.to_string()
}

fn measured_text(step: &SwitchStep) -> String {
    match step.downtime_ms.zip(step.own_start_ms) {
        Some((down, own)) => format!(
            "Healthy. Downtime {}, including {} to start the client.",
            length(down),
            length(own)
        ),
        None => "Healthy.".into(),
    }
}

/// The message at an end before the last step.
pub(super) fn so_far(job: &UpdateJob, what: &str) -> String {
    let Some(switch) = &job.switch else {
        return what.to_owned();
    };
    let went: Vec<&str> = switch
        .steps
        .iter()
        .filter(|step| step.state == StepState::Switched)
        .map(|step| step.name.as_str())
        .collect();
    let waiting = switch
        .steps
        .iter()
        .filter(|step| step.state == StepState::Waiting)
        .count();
    let mut said = what.to_owned();
    if !went.is_empty() {
        let (names, version) = (went.join(", "), &job.version);
        said.push_str(&format!(
            " Already switched and pinned to {version}: {names}."
        ));
    }
    match waiting {
        0 => {}
        1 => said.push_str(" 1 other instance was not changed."),
        n => said.push_str(&format!(" {n} other instances were not changed.")),
    }
    said
}
