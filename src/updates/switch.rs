//! Instances on their way to another client, one after the other. The first that runs goes ahead; one that does not come up well goes back by itself, and
//! then the rest are left alone.
//!
//! Each step is written down before it is taken. A manager that comes after one that was killed goes on with it: what is being tried is
//! tried on (its version stands in the instance's row), what has gone over stays.

use std::time::Duration;

use super::board::Ticket;
use super::gate::{self, Verdict, length};
use super::model::{Job, Stage, Step, StepState, Switch};
use super::service::Updates;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::ids::InstanceId;
use crate::keeper::machine::State;
use crate::logbuf::Filter;
use crate::logs::Place;

/// Who acts, for the history.
const ACTOR: &str = "update";
/// So long is waited for a restart to have begun; the longest stop takes 18 s.
const RESTART_PATIENCE: Duration = Duration::from_secs(25);
/// Lines of the log of an instance that did not come up.
const EXCERPT: usize = 15;

/// How a switch ended before its last step.
enum Cut {
    /// An instance did not come up well, or somebody interfered; what to say of it all.
    Off(Stage, String),
    /// The manager ends; the next one goes on.
    Stopped,
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        if let Error::Internal(cause) = &error {
            tracing::error!(%cause, "a switch failed");
        }
        let words = match error {
            Error::Internal(_) => "Something went wrong inside jd-manager; its log has the cause.".to_owned(),
            other => other.to_string(),
        };
        Self::Off(Stage::Failed, words)
    }
}

impl Updates {
    /// Does what the job on the board says, or goes on with it.
    pub(super) async fn carry_out_switch(&self, ticket: &Ticket) {
        match self.walk(ticket).await {
            Ok(message) => ticket.end(Stage::Switched, message).await,
            Err(Cut::Stopped) => {}
            Err(Cut::Off(stage, message)) => {
                self.leave_the_rest(ticket).await;
                ticket.end(stage, message).await;
            }
        }
        self.look_at_store().await;
    }

    async fn walk(&self, ticket: &Ticket) -> Result<String, Cut> {
        let job = ticket.job();
        let to = job.version.clone();
        let count = plan(&job)?.steps.len();
        ticket.stage(Stage::Switching, format!("Instances go over to {to}, one after the other.")).await?;
        for at in 0..count {
            ticket.progress(at as u64, Some(count as u64));
            let step = plan(&ticket.job())?.steps[at].clone();
            match step.state {
                StepState::Waiting | StepState::Trying => {
                    if ticket.cancel.is_cancelled() {
                        return Err(Cut::Off(Stage::Cancelled, so_far(&ticket.job(), "It was cancelled.")));
                    }
                    self.take_step(ticket, at, step, &to).await?;
                }
                _ => {}
            }
            failpoint::reach("switch.step-done");
        }
        let done = ticket.job();
        let switch = plan(&done)?;
        if switch.is_for_all {
            let (store, name) = (self.store().clone(), to.clone());
            let linked = tokio::task::spawn_blocking(move || store.take_into_use(&name)).await.map_err(Error::internal)?;
            linked.map_err(|e| Cut::Off(Stage::Failed, format!("{to} could not be brought into use: {e}.")))?;
        }
        for step in switch.steps.iter().filter(|step| step.state == StepState::Switched) {
            // Now the version in use is the one it runs, or it was pinned to it.
            self.instances().set_trial(step.id, None).await?;
        }
        failpoint::reach("switch.settled");
        let went = switch.steps.iter().filter(|step| step.state == StepState::Switched).count();
        Ok(match (switch.is_for_all, went) {
            (true, 0) => format!("{to} is in use. No instance that follows it was running."),
            (true, 1) => format!("{to} is in use, and 1 instance runs it."),
            (true, n) => format!("{to} is in use, and {n} instances run it."),
            (false, 0) => format!("The next start is with {to}."),
            (false, 1) => format!("1 instance runs {to}."),
            (false, n) => format!("{n} instances run {to}."),
        })
    }

    async fn take_step(&self, ticket: &Ticket, at: usize, step: Step, to: &str) -> Result<(), Cut> {
        let is_for_all = plan(&ticket.job())?.is_for_all;
        let instance = match self.instances().get(step.id).await {
            Ok(instance) => instance,
            Err(Error::NotFound { .. }) => {
                return Ok(self.write(ticket, at, StepState::LeftAlone, "It was deleted meanwhile.").await?);
            }
            Err(error) => return Err(error.into()),
        };
        let is_up = instance.status.has_client() || instance.status == State::BackingOff;
        if !is_up {
            self.instances().set_trial(step.id, None).await?;
            if step.state == StepState::Trying {
                // It was stopped while nobody watched.
                let words = "It was stopped while it was tried, so that it could not be judged; it is as it was set before.";
                self.write(ticket, at, StepState::LeftAlone, words).await?;
                return Err(Cut::Off(Stage::Failed, format!("{}: {words}", step.name)));
            }
            if !is_for_all {
                self.instances().pin(step.id, to.to_owned()).await?;
            }
            return Ok(self
                .write(ticket, at, StepState::Resting, "It does not run; its next start is with the new version.")
                .await?);
        }
        let runs_it = instance.running_version.as_deref() == Some(to);
        if step.state == StepState::Waiting && runs_it {
            if !is_for_all {
                self.instances().pin(step.id, to.to_owned()).await?;
            }
            return Ok(self.write(ticket, at, StepState::Switched, "It ran this version already.").await?);
        }
        let is_resumed = step.state == StepState::Trying && runs_it && instance.trial_version.as_deref() == Some(to);
        let step = if is_resumed { step } else { self.begin_step(ticket, at, step, to).await? };
        let gate = plan(&ticket.job())?.gate;
        let verdict = tokio::select! {
            verdict = gate::watch(self.health(), step.id, gate, &step.ailing) => verdict?,
            () = ticket.cancel.cancelled() => Verdict::Bad("It was cancelled.".into()),
            () = ticket.stop().cancelled() => return Err(Cut::Stopped),
        };
        failpoint::reach("switch.judged");
        match verdict {
            Verdict::Well => self.keep(ticket, at, &step, to, is_for_all).await,
            Verdict::Gone => {
                self.instances().set_trial(step.id, None).await?;
                let words = "It was stopped or deleted while it was watched, so that it could not be judged.";
                self.write(ticket, at, StepState::LeftAlone, words).await?;
                Err(Cut::Off(Stage::Failed, so_far(&ticket.job(), &format!("{}: {words}", step.name))))
            }
            Verdict::Bad(why) => self.go_back(ticket, at, &step, &why).await,
        }
    }

    /// Restarts an instance with the new version. What it is about to do stands in the job and in the timeline before.
    async fn begin_step(&self, ticket: &Ticket, at: usize, step: Step, to: &str) -> Result<Step, Cut> {
        let instance = self.instances().get(step.id).await?;
        let ailing = gate::ailing(&self.health().results(step.id));
        let begun = Timestamp::now();
        let before = step.before.clone().or(instance.running_version);
        ticket
            .change(|job| {
                job.message = format!("{} is restarted with {to} and watched.", step.name);
                if let Some(step) = job.switch.as_mut().and_then(|switch| switch.steps.get_mut(at)) {
                    (step.state, step.begun_at, step.before) = (StepState::Trying, Some(begun), before);
                    step.ailing = ailing;
                }
            })
            .await?;
        failpoint::reach("switch.written");
        self.instances().set_trial(step.id, Some(to.to_owned())).await?;
        failpoint::reach("switch.trial");
        self.instances().note(step.id, format!("going over to client {to}: restarted and watched"), Some(ACTOR)).await?;
        if let Err(error) = self.instances().restart(step.id, ACTOR, RESTART_PATIENCE).await {
            self.instances().set_trial(step.id, None).await?;
            let words = format!("It could not be restarted: {error}");
            self.write(ticket, at, StepState::LeftAlone, &words).await?;
            return Err(Cut::Off(Stage::Failed, so_far(&ticket.job(), &format!("{}: {words}", step.name))));
        }
        failpoint::reach("switch.restarted");
        Ok(plan(&ticket.job())?.steps[at].clone())
    }

    async fn keep(&self, ticket: &Ticket, at: usize, step: &Step, to: &str, is_for_all: bool) -> Result<(), Cut> {
        if !is_for_all {
            self.instances().pin(step.id, to.to_owned()).await?;
        }
        self.measure(ticket, at, step).await?;
        self.instances().note(step.id, format!("client {to} has come up well and stays"), Some(ACTOR)).await?;
        let words = measured_words(plan(&ticket.job())?.steps.get(at));
        Ok(self.write(ticket, at, StepState::Switched, &words).await?)
    }

    async fn measure(&self, ticket: &Ticket, at: usize, step: &Step) -> Result<(), Cut> {
        let Some(begun) = step.begun_at else { return Ok(()) };
        let events = self.instances().history(Some(step.id), None, 50).await?;
        if let Some((down, own)) = gate::measured(&events, begun) {
            ticket.show(|job| {
                if let Some(step) = job.switch.as_mut().and_then(|switch| switch.steps.get_mut(at)) {
                    (step.downtime_ms, step.own_start_ms) = (Some(down), Some(own));
                }
            });
        }
        Ok(())
    }

    /// The instance goes back to what it ran before.
    async fn go_back(&self, ticket: &Ticket, at: usize, step: &Step, why: &str) -> Result<(), Cut> {
        let is_cancelled = ticket.cancel.is_cancelled();
        // Before anything else is written into the log.
        let excerpt = if is_cancelled { Vec::new() } else { self.excerpt(step.id).await };
        ticket
            .change(|job| {
                job.message = format!("{} goes back. {why}", step.name);
                job.excerpt = excerpt;
            })
            .await?;
        self.instances().set_trial(step.id, None).await?;
        failpoint::reach("switch.back");
        let before = step.before.clone().unwrap_or_else(|| "the version before".into());
        self.instances().note(step.id, format!("going back to client {before}. {why}"), Some(ACTOR)).await?;
        let came_back = match self.instances().restart(step.id, ACTOR, RESTART_PATIENCE).await {
            Err(error) => format!("It could not be restarted on {before}: {error}"),
            Ok(_) => {
                let gate = super::model::Gate { watch_s: 0, ..plan(&ticket.job())?.gate };
                let verdict = tokio::select! {
                    verdict = gate::watch(self.health(), step.id, gate, &step.ailing) => verdict?,
                    () = ticket.stop().cancelled() => return Err(Cut::Stopped),
                };
                match verdict {
                    Verdict::Well => {
                        self.measure(ticket, at, step).await?;
                        format!("It is back on {before} and serves miners.")
                    }
                    Verdict::Gone => format!("It was stopped on its way back to {before}."),
                    Verdict::Bad(still) => format!("It is back on {before}, where it is not well either. {still} See its page."),
                }
            }
        };
        self.write(ticket, at, StepState::WentBack, &format!("{why} {came_back}")).await?;
        let (stage, what) = if is_cancelled {
            (Stage::Cancelled, format!("It was cancelled. {}: {came_back}", step.name))
        } else {
            (Stage::RolledBack, format!("{} did not come up well. {why} {came_back}", step.name))
        };
        Err(Cut::Off(stage, so_far(&ticket.job(), &what)))
    }

    /// After an end before the last step: who has gone over stays so, by name, since the version in use does not change.
    async fn leave_the_rest(&self, ticket: &Ticket) {
        let job = ticket.job();
        let Some(switch) = &job.switch else { return };
        for step in switch.steps.iter().filter(|step| step.state == StepState::Switched) {
            if switch.is_for_all
                && let Err(error) = self.instances().pin(step.id, job.version.clone()).await
            {
                tracing::error!(instance = %step.id, %error, "it cannot be pinned to the version it runs");
            }
        }
        let left = ticket.change(|job| {
            for step in job.switch.iter_mut().flat_map(|switch| &mut switch.steps) {
                if step.state == StepState::Waiting {
                    (step.state, step.words) = (StepState::LeftAlone, "It was not touched.".into());
                }
            }
        });
        if let Err(error) = left.await {
            tracing::error!(%error, "what became of the instances cannot be written down");
        }
    }

    async fn write(&self, ticket: &Ticket, at: usize, state: StepState, words: &str) -> Result<()> {
        ticket
            .change(|job| {
                if let Some(step) = job.switch.as_mut().and_then(|switch| switch.steps.get_mut(at)) {
                    (step.state, step.words) = (state, words.to_owned());
                }
            })
            .await
    }

    async fn excerpt(&self, id: InstanceId) -> Vec<String> {
        let page = self.logs().page(id, Place::End, Filter::default(), EXCERPT).await;
        let lines = page.map(|(_, page, _)| page.records).unwrap_or_default();
        let line = |record: crate::logbuf::Record| {
            let message = crate::logbuf::ansi::plain(&record.message);
            let first: String = message.lines().next().unwrap_or_default().chars().take(300).collect();
            format!("{} {} {first}", record.timestamp.unwrap_or_default(), record.level)
        };
        lines.into_iter().map(line).collect()
    }
}

fn plan(job: &Job) -> Result<&Switch> {
    job.switch.as_ref().ok_or_else(|| Error::internal("a switch without its instances"))
}

fn measured_words(step: Option<&Step>) -> String {
    match step.and_then(|step| step.downtime_ms.zip(step.own_start_ms)) {
        Some((down, own)) => format!(
            "It has come up well. It did not serve miners for {}; its client needed {} of that to start.",
            length(down),
            length(own)
        ),
        None => "It has come up well.".into(),
    }
}

/// What is to be said at an end before the last step.
fn so_far(job: &Job, what: &str) -> String {
    let Some(switch) = &job.switch else { return what.to_owned() };
    let went: Vec<&str> =
        switch.steps.iter().filter(|step| step.state == StepState::Switched).map(|step| step.name.as_str()).collect();
    let waiting = switch.steps.iter().filter(|step| step.state == StepState::Waiting).count();
    let mut said = what.to_owned();
    if !went.is_empty() {
        said.push_str(&format!(
            " {} went over before and stay{} on {}.",
            went.join(", "),
            if went.len() == 1 { "s" } else { "" },
            job.version
        ));
    }
    match waiting {
        0 => {}
        1 => said.push_str(" 1 other was left alone."),
        n => said.push_str(&format!(" {n} others were left alone.")),
    }
    said
}
