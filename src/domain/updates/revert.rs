//! Rolls one instance back to its previous client, if it is not healthy with the new one or the
//! switch was canceled.

use super::health_gate::{self, GateResult};
use super::job_tracker::JobGuard;
use super::model::{HealthGate, JobStage, StepState, SwitchStep};
use super::service::UpdateService;
use super::switch::{
    ACTOR, CANCELLED, RESTART_PATIENCE, SwitchInterruption, is_up, plan, retry_write, so_far,
    step_of, told,
};
use crate::base::failpoint;
use crate::base::ids::InstanceId;
use crate::domain::instances::rollback_note;
use crate::domain::logs::{LogPosition, LogScope, LogSelection};
use crate::infra::log_store::LogFilter;

/// Log lines to keep of an instance that was not healthy.
const EXCERPT: usize = 15;

impl UpdateService {
    /// Rolls an instance back to its previous client. Saves the rollback in the job first, so that
    /// it also continues after a kill.
    pub(super) async fn revert(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: &SwitchStep,
        why: &str,
    ) -> Result<(), SwitchInterruption> {
        let is_cancelled = ticket.cancel.is_cancelled() || why == CANCELLED;
        if step.state != StepState::GoingBack {
            // Before anything else is logged.
            let excerpt = if is_cancelled {
                Vec::new()
            } else {
                self.excerpt(step.id).await
            };
            retry_write(ticket, || {
                ticket.change(|job| {
                    job.message = format!("Rolling back {}. {why}", step.name);
                    job.excerpt.clone_from(&excerpt);
                    if let Some(step) = step_of(job, at) {
                        (step.state, step.words) = (StepState::GoingBack, why.to_owned());
                    }
                })
            })
            .await?;
        }
        let before = step.before.clone();
        let (store, name) = (self.store().clone(), before.clone());
        let is_there =
            tokio::task::spawn_blocking(move || name.is_some_and(|name| store.has(&name)))
                .await
                .unwrap_or(false);
        // By name, because the previous client need not be the one it would start with now.
        let back_to = before.clone().filter(|_| is_there);
        retry_write(ticket, || {
            self.instances().set_trial(step.id, back_to.clone())
        })
        .await?;
        failpoint::reach("switch.back");
        let shown = before
            .clone()
            .unwrap_or_else(|| "the previous version".into());
        let note = rollback_note(&shown, why);
        retry_write(ticket, || {
            self.instances().note(step.id, note.clone(), Some(ACTOR))
        })
        .await?;
        let (is_back, came_back) = self
            .restart_on(ticket, at, step, &shown, before.as_deref())
            .await?;
        retry_write(ticket, || self.instances().set_trial(step.id, None)).await?;
        let state = if is_back {
            StepState::WentBack
        } else {
            StepState::Stuck
        };
        self.write(ticket, at, state, &format!("{why} {came_back}"))
            .await?;
        let (stage, what) = match (is_back, is_cancelled) {
            (false, _) => (
                JobStage::Failed,
                format!(
                    "{} is not healthy, and the rollback failed. {why} {came_back}",
                    step.name
                ),
            ),
            (true, true) => (
                JobStage::Cancelled,
                format!("{CANCELLED} {}: {came_back}", step.name),
            ),
            (true, false) => (
                JobStage::RolledBack,
                format!("{} is not healthy. {why} {came_back}", step.name),
            ),
        };
        Err(SwitchInterruption::Off(stage, so_far(&ticket.job(), &what)))
    }

    /// Restarts an instance with its previous client. Returns whether it runs that client, and the
    /// result as text.
    async fn restart_on(
        &self,
        ticket: &JobGuard,
        at: usize,
        step: &SwitchStep,
        shown: &str,
        before: Option<&str>,
    ) -> Result<(bool, String), SwitchInterruption> {
        let Some(instance) = self.instance(ticket, step.id).await? else {
            return Ok((true, "The instance was deleted.".into()));
        };
        // A killed manager may have done it already.
        let is_done =
            before.is_some() && instance.running_version.as_deref() == before && is_up(&instance);
        if !is_done
            && let Err(error) = self
                .instances()
                .restart(step.id, &ACTOR, RESTART_PATIENCE)
                .await
        {
            let runs = instance.running_version.unwrap_or_default();
            return Ok((
                false,
                format!(
                    "Cannot restart the instance with {shown}: {} It is still running {runs}. Fix the problem, then restart the instance.",
                    told(error)
                ),
            ));
        }
        let gate = HealthGate {
            watch_s: 0,
            ..plan(&ticket.job())?.gate
        };
        let verdict = tokio::select! {
            verdict = retry_write(ticket, || health_gate::watch(self.health(), step.id, gate, &step.ailing)) => verdict?,
            () = ticket.stop().cancelled() => return Err(SwitchInterruption::Stopped),
        };
        let runs = self
            .instance(ticket, step.id)
            .await?
            .and_then(|instance| instance.running_version);
        let runs = runs.unwrap_or_else(|| shown.to_owned());
        Ok(match verdict {
            GateResult::Well => {
                self.measure(ticket, at, step).await?;
                (true, format!("Rolled back to {runs} and running again."))
            }
            GateResult::Gone => (true, format!("Stopped during the rollback to {shown}.")),
            GateResult::Bad(still) => (
                true,
                format!(
                    "Rolled back to {runs}, but the instance is still not healthy. {still} See the instance page."
                ),
            ),
        })
    }

    async fn excerpt(&self, id: InstanceId) -> Vec<String> {
        let page = self
            .logs()
            .page(
                &LogScope::of(id, LogSelection::Client),
                LogPosition::End,
                LogFilter::default(),
                EXCERPT,
            )
            .await;
        let lines = page.map(|page| page.records).unwrap_or_default();
        let line = |(_, record): (_, crate::infra::log_store::LogRecord)| {
            let message = crate::infra::log_store::ansi::plain(&record.message);
            let first: String = message
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(300)
                .collect();
            format!(
                "{} {} {first}",
                record.timestamp.unwrap_or_default(),
                record.level
            )
        };
        lines.into_iter().map(line).collect()
    }
}
