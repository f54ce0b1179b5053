//! The nightly backup.

use tokio_cron_scheduler::JobSchedulerError;

use super::service::Backups;
use crate::base::clock::Timestamp;
use crate::infra::schedule::JobSchedule;

/// Checked every full hour, because the configured hour is local time and the schedule is
/// UTC.
const HOURLY: &str = "0 0 * * * *";

/// Creates a backup at the configured hour, and at the next full hour if the last one is too
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
        tracing::error!(error = %e, "the nightly backup failed; will retry in an hour");
    }
}
