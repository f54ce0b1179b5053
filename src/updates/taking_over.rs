//! What a manager does about the work of the one before it, which may have been killed at any moment.

use super::model::{Job, Stage, Task};
use super::queries;
use super::service::Updates;

impl Updates {
    /// Cleans up after a manager that was killed, finds out what became of its work, and goes on with a switch.
    pub async fn take_over(&self) {
        let store = self.store().clone();
        match tokio::task::spawn_blocking(move || store.tidy()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what an interrupted installation left cannot be removed"),
            Err(error) => tracing::error!(%error, "the directory of clients could not be looked at"),
        }
        match self.db().read(|c| Ok(queries::unfinished(c)?)).await {
            Ok(jobs) => {
                for job in jobs {
                    self.take_over_job(job).await;
                }
            }
            Err(error) => tracing::error!(%error, "unfinished work on clients cannot be looked up"),
        }
        self.look_at_store().await;
    }

    async fn take_over_job(&self, job: Job) {
        let ticket = match self.board().begin(job).await {
            Ok(ticket) => ticket,
            Err(error) => return tracing::error!(%error, "unfinished work on clients cannot be taken over"),
        };
        if ticket.job().task != Task::Install {
            let this = self.clone();
            tokio::spawn(async move { this.carry_out_switch(&ticket).await });
            return;
        }
        let id = ticket.job().id;
        let came = self.installed().await.unwrap_or_default();
        let came = came.into_iter().find(|one| one.manifest.as_ref().is_some_and(|manifest| manifest.job == id));
        let Some(came) = came else {
            let words = "jd-manager was ended in the middle of it. Nothing was installed and nothing is left of it; begin again.";
            return ticket.end(Stage::Failed, words).await;
        };
        let is_first = self.take_first_into_use(&came.name).await.unwrap_or(false);
        let name = came.name;
        let words = if is_first { " It is the first one, so it is in use." } else { "" };
        ticket.show(|job| job.installed = Some(name.clone()));
        ticket
            .end(Stage::Installed, format!("Client {name} is installed; jd-manager was ended before it could say so.{words}"))
            .await;
    }
}
