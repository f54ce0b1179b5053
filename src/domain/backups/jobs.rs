//! The backup of every night.

use tokio_cron_scheduler::JobSchedulerError;

use super::service::Backups;
use crate::base::clock::Timestamp;
use crate::infra::schedule::JobSchedule;

/// Whether it is its hour is looked at every full hour, since the hour is one of the machine's own
/// day and the schedule's is UTC.
const HOURLY: &str = "0 0 * * * *";

/// Makes a backup at the hour that is wanted, and an hour after the start if the last one is too
/// old.
pub async fn nightly(backups: &Backups, schedule: &JobSchedule) -> Result<(), JobSchedulerError> {
    let backups = backups.clone();
    let work = move || {
        let backups = backups.clone();
        async move { make_if_due(&backups).await }
    };
    schedule.nightly(HOURLY, "the nightly backup", work).await
}

async fn make_if_due(backups: &Backups) {
    let work = async {
        if backups.is_due(Timestamp::now()).await? {
            backups.nightly().await?;
        }
        Ok::<_, crate::base::error::Error>(())
    };
    if let Err(e) = work.await {
        tracing::error!(error = %e, "the nightly backup failed; retrying in an hour");
    }
}
