//! The use cases that start a switch, with the checks before it.

use super::model::{
    HealthGate, JobStage, JobTask, StepState, SwitchStep, UpdateJob, VersionSwitch,
};
use super::service::UpdateService;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::failpoint;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;

impl UpdateService {
    /// Checks that a switch can start: every instance to switch can start with the new version.
    ///
    /// # Errors
    /// The version is not installed or already in use, or an instance cannot run it, for the given
    /// reasons.
    pub async fn plan(&self, to: &str, chosen: Option<&[InstanceId]>) -> Result<Vec<Instance>> {
        self.check_managed()?;
        let (store, name) = (self.store().clone(), to.to_owned());
        if !tokio::task::spawn_blocking(move || store.has(&name))
            .await
            .map_err(Error::internal)?
        {
            return Err(Error::NotFound {
                what: "installed client",
                id: to.chars().take(60).collect(),
            });
        }
        let all = self.instances().list().await?;
        let mut going = Vec::new();
        match chosen {
            Some(chosen) => {
                for id in chosen {
                    let found = all.iter().find(|instance| instance.id == *id);
                    going.push(
                        found
                            .cloned()
                            .ok_or_else(|| Error::not_found("instance", id))?,
                    );
                }
            }
            None => {
                let held = self.held(&all).await?;
                let is_in_use = self.instances().source().current().as_deref() == Some(to);
                if is_in_use && held.is_empty() {
                    return Err(Error::Conflict(format!("{to} is already in use.")));
                }
                let goes = |instance: &Instance| {
                    (instance.client_version.is_none() && !is_in_use) || held.contains(&instance.id)
                };
                going.extend(all.into_iter().filter(goes));
            }
        }
        // The first running instance is switched first, stopped ones are last.
        going.sort_by_key(|instance| !instance.status.has_client());
        let mut obstacles = Vec::new();
        for instance in &going {
            match self.instances().fits(instance.id, to).await {
                Ok(()) => {}
                Err(Error::Conflict(why)) => obstacles.push(format!("{}: {why}", instance.name)),
                Err(error) => return Err(error),
            }
        }
        if obstacles.is_empty() {
            return Ok(going);
        }
        let (first, more) = (obstacles[0].clone(), obstacles.len() - 1);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" And {more} more.")
        };
        Err(Error::Conflict(format!(
            "Nothing was switched: {first}.{more} Change the configuration, or pin the instance to its current version under Settings."
        )))
    }

    /// Instances that an earlier unfinished switch left pinned to its version, and that were not
    /// changed since.
    pub async fn held(&self, all: &[Instance]) -> Result<Vec<InstanceId>> {
        let jobs = self.history(200).await?;
        let left = jobs
            .iter()
            .filter(|job| job.stage.is_over() && job.stage != JobStage::Switched);
        let left = left
            .filter_map(|job| Some((job, job.switch.as_ref().filter(|switch| switch.is_for_all)?)));
        let left: Vec<(&str, InstanceId)> = left
            .flat_map(|(job, switch)| {
                let stayed = switch
                    .steps
                    .iter()
                    .filter(|step| step.state == StepState::Switched);
                stayed.map(move |step| (job.version.as_str(), step.id))
            })
            .collect();
        let is_held = |instance: &&Instance| {
            instance
                .client_version
                .as_deref()
                .is_some_and(|pinned| left.contains(&(pinned, instance.id)))
        };
        Ok(all
            .iter()
            .filter(is_held)
            .map(|instance| instance.id)
            .collect())
    }

    /// Starts a switch to an installed client: the selected instances, which are pinned to it, or
    /// all that follow the version in use.
    ///
    /// # Errors
    /// As [`Self::plan`], or another job is in progress.
    pub async fn switch(
        &self,
        to: &str,
        chosen: Option<Vec<InstanceId>>,
        gate: HealthGate,
        task: JobTask,
        actor: &str,
    ) -> Result<UpdateJob> {
        let job = self.switch_job(to, chosen, gate, task, actor).await?;
        self.begin_switch(job).await
    }

    /// A new switch job.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub(super) async fn switch_job(
        &self,
        to: &str,
        chosen: Option<Vec<InstanceId>>,
        gate: HealthGate,
        task: JobTask,
        actor: &str,
    ) -> Result<UpdateJob> {
        let going = self.plan(to, chosen.as_deref()).await?;
        let is_for_all = chosen.is_none();
        let step = |instance: Instance| SwitchStep {
            unpin: is_for_all && instance.client_version.is_some(),
            id: instance.id,
            name: instance.name,
            state: StepState::Waiting,
            before: instance.running_version,
            ailing: Vec::new(),
            begun_at: None,
            downtime_ms: None,
            own_start_ms: None,
            words: String::new(),
        };
        let steps = going.into_iter().map(step).collect();
        let switch = VersionSwitch {
            from: self.instances().source().current(),
            is_for_all,
            gate,
            steps,
        };
        Ok(UpdateJob {
            switch: Some(switch),
            ..UpdateJob::new(task, to, actor, Timestamp::now())
        })
    }

    /// Starts a switch.
    ///
    /// # Errors
    /// Another job is in progress.
    pub(super) async fn begin_switch(&self, job: UpdateJob) -> Result<UpdateJob> {
        let ticket = self.board().begin(job).await?;
        failpoint::reach("switch.begun");
        let job = ticket.job();
        let this = self.clone();
        tokio::spawn(async move { this.run_switch(&ticket).await });
        Ok(job)
    }

    /// Plans a rollback to the previous version, or to any installed one.
    ///
    /// # Errors
    /// There is no other version, or as [`Self::switch`].
    pub async fn plan_rollback(
        &self,
        version: Option<String>,
        gate: HealthGate,
        actor: &str,
    ) -> Result<UpdateJob> {
        self.check_managed()?;
        let to = match version {
            Some(version) => version,
            None => self.previous().await?.ok_or_else(|| {
                Error::Conflict("Cannot roll back: no other client is installed.".into())
            })?,
        };
        self.switch(&to, None, gate, JobTask::Rollback, actor).await
    }
}
