//! Continues or ends the update job of the previous manager, which may have been killed at any
//! moment.

use std::collections::HashSet;
use std::time::Duration;

use super::model::{JobStage, JobTask, StepState, UpdateJob};
use super::queries;
use super::service::UpdateService;
use crate::base::error::Result;
use crate::domain::configs::ClientVersion;
use crate::keeper::leftovers;

/// Maximum delay before the manager opens its port.
const PATIENCE: Duration = Duration::from_secs(1);

impl UpdateService {
    /// Determines the result of the job of a killed manager. The rest takes as long as the disk and
    /// the clients need and runs in the background, with a wait of at most a second: cleaning up,
    /// selecting a client if none is in use, and continuing a switch.
    pub async fn recover(&self) {
        let unfinished = match self.db().read(|c| Ok(queries::unfinished(c)?)).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::error!(%error, "cannot read unfinished update jobs");
                Vec::new()
            }
        };
        let marks: Vec<String> = unfinished
            .iter()
            .filter(|job| job.task == JobTask::Install)
            .map(|job| job.id.to_string())
            .collect();
        // Of several switches, only the newest is still wanted.
        let newest = unfinished
            .iter()
            .rfind(|job| job.task != JobTask::Install)
            .map(|job| job.id);
        let mut going_on = None;
        for job in unfinished {
            match (job.task, Some(job.id) == newest) {
                (JobTask::Install, _) => self.settle_install(job).await,
                (_, true) => going_on = Some(job),
                (_, false) => self.end(job, "Replaced by a later switch.").await,
            }
        }
        if let Err(error) = self.remove_trials(going_on.as_ref()).await {
            tracing::error!(%error, "cannot read the instances with a client on trial");
        }
        let mut ticket = None;
        if let Some(job) = going_on {
            match self.board().begin(job).await {
                Ok(begun) => ticket = Some(begun),
                Err(error) => {
                    tracing::error!(%error, "cannot resume an unfinished switch")
                }
            }
        }
        // No job starts before the cleanup.
        let guard = self.board().hold().await;
        let this = self.clone();
        let (tell_done, done) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            this.clean_up(marks).await;
            drop(guard);
            this.repair_current().await;
            this.scan_store().await;
            // A missing receiver is not an error.
            let _ = tell_done.send(());
            if let Some(ticket) = ticket {
                this.run_switch(&ticket).await;
            }
        });
        let _ = tokio::time::timeout(PATIENCE, done).await;
    }

    async fn clean_up(&self, marks: Vec<String>) {
        let store = self.store().clone();
        let tidied = tokio::task::spawn_blocking(move || {
            // A build may still be running and would write to the directory again.
            for mark in marks {
                if leftovers::end_marked(&mark) > 0 {
                    tracing::warn!(job = %mark, "stopped processes of an interrupted build");
                }
            }
            store.remove_leftovers()
        });
        match tidied.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot remove the files of an interrupted installation")
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the directory of clients")
            }
        }
    }

    async fn end(&self, job: UpdateJob, words: &str) {
        match self.board().begin(job).await {
            Ok(ticket) => ticket.end(JobStage::Failed, words).await,
            Err(error) => tracing::error!(%error, "cannot finish unfinished update jobs"),
        }
    }

    async fn settle_install(&self, job: UpdateJob) {
        let (id, then_switch, actor) = (job.id, job.then_switch, job.actor.clone());
        let came = self.installed().await.unwrap_or_default();
        let came = came.into_iter().find(|one| {
            one.manifest
                .as_ref()
                .is_some_and(|manifest| manifest.job == id)
        });
        let Some(came) = came else {
            return self
                .end(
                    job,
                    "jd-manager stopped during the installation. Nothing was installed. Start the installation again.",
                )
                .await;
        };
        let ticket = match self.board().begin(job).await {
            Ok(ticket) => ticket,
            Err(error) => {
                return tracing::error!(%error, "cannot finish an unfinished installation");
            }
        };
        let said = format!(
            "Client {} is installed. jd-manager stopped before it could record that.",
            came.name
        );
        self.finish_install(ticket, &came.name, said, then_switch, &actor)
            .await;
    }

    /// If no usable client is in use, selects the newest installed one that can run.
    async fn repair_current(&self) {
        if self.fixed().is_some() {
            return;
        }
        let source = self.instances().source();
        if source
            .current()
            .is_some_and(|current| self.store().has(&current))
        {
            return;
        }
        for one in self.installed().await.unwrap_or_default() {
            if one.name.parse::<ClientVersion>().is_ok()
                && source.program(Some(&one.name)).await.is_ok()
            {
                let (store, name) = (self.store().clone(), one.name.clone());
                let linked = tokio::task::spawn_blocking(move || store.set_in_use(&name)).await;
                match linked.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
                    Ok(()) => {
                        tracing::warn!(client = %one.name, "no installed client was in use; now using the newest one")
                    }
                    Err(error) => {
                        tracing::error!(%error, "no client is in use, and jd-manager cannot select one")
                    }
                }
                return;
            }
        }
    }

    /// Ends all trials that do not belong to an unfinished switch.
    async fn remove_trials(&self, going_on: Option<&UpdateJob>) -> Result<()> {
        let steps = going_on
            .and_then(|job| job.switch.as_ref())
            .map(|switch| switch.steps.as_slice())
            .unwrap_or_default();
        let tried = steps.iter().filter(|step| {
            matches!(
                step.state,
                StepState::Trying | StepState::GoingBack | StepState::Switched
            )
        });
        let tried: HashSet<_> = tried.map(|step| step.id).collect();
        for instance in self.instances().list().await? {
            if instance.trial_version.is_some() && !tried.contains(&instance.id) {
                self.instances().set_trial(instance.id, None).await?;
            }
        }
        Ok(())
    }
}
