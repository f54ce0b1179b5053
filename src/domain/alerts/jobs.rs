//! Deletes finished deliveries and ended mutes after a month.

use super::delivery::queries as posted;
use super::service::{Alerts, KEPT};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::db::WriteMode;
use crate::infra::schedule::JobSchedule;

/// Every night at twenty past three, UTC.
const NIGHTLY: &str = "0 20 3 * * *";

impl Alerts {
    /// Deletes old deliveries and mutes. Waiting deliveries are kept.
    pub async fn prune(&self) -> Result<()> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(kept));
        self.mutes.prune_before(before).await?;
        self.db
            .write_as(WriteMode::UNSYNCED, move |c| {
                posted::prune_before(c, before)?;
                Ok(())
            })
            .await
    }

    /// Prunes every night and one hour after the start.
    pub async fn schedule_pruning(
        &self,
        schedule: &JobSchedule,
    ) -> std::result::Result<(), tokio_cron_scheduler::JobSchedulerError> {
        let this = self.clone();
        let work = move || {
            let this = this.clone();
            async move { this.prune_and_log().await }
        };
        schedule
            .nightly(NIGHTLY, "deletion of old alerts", work)
            .await
    }

    async fn prune_and_log(&self) {
        if let Err(e) = self.prune().await {
            tracing::warn!(error = %e, "old alerts could not be deleted; jd-manager will retry next night");
        }
    }
}
