//! The backup of every night.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::sync::CancellationToken;

use super::service::Backups;
use crate::clock::Timestamp;
use crate::schedule::Schedule;

/// Whether it is its hour is looked at every full hour, since the hour is one of the machine's own day and the schedule's is UTC.
const HOURLY: &str = "0 0 * * * *";
/// One that was missed, because the machine was off at night, is made so long after the start: by then the clock is right, and all runs.
const AFTER_START: Duration = Duration::from_secs(3600);

/// Makes a backup at the hour that is wanted, and soon after the start if the last one is too old.
///
/// # Errors
/// The job cannot be scheduled.
pub async fn nightly(backups: &Backups, schedule: &Schedule, stop: CancellationToken) -> Result<(), JobSchedulerError> {
    let late = backups.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(AFTER_START) => make_if_due(&late).await,
        }
    });
    let backups = backups.clone();
    schedule
        .at(HOURLY, "the nightly backup", move || {
            let backups = backups.clone();
            async move { make_if_due(&backups).await }
        })
        .await
}

async fn make_if_due(backups: &Backups) {
    let work = async {
        if backups.is_due(Timestamp::now()).await? {
            backups.nightly().await?;
        }
        Ok::<_, crate::error::Error>(())
    };
    if let Err(e) = work.await {
        tracing::error!(error = %e, "the nightly backup was not made; it is tried again in an hour");
    }
}
