//! What is forgotten: deliveries that have been done for a month.

use super::delivery::queries as posted;
use super::queries;
use super::service::{Alerts, KEPT};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::db::WriteMode;
use crate::infra::schedule::JobSchedule;

/// Every night at twenty past three, UTC.
const NIGHTLY: &str = "0 20 3 * * *";

impl Alerts {
    /// Forgets what is older than it is kept. What still waits is not forgotten.
    pub async fn prune(&self) -> Result<()> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(kept));
        self.db
            .write_as(WriteMode::UNSYNCED, move |c| {
                queries::prune_silences(c, before)?;
                posted::prune_before(c, before)?;
                Ok(())
            })
            .await
    }

    /// Does so every night and an hour after the start.
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
            .nightly(NIGHTLY, "forgetting old alerts", work)
            .await
    }

    async fn prune_and_log(&self) {
        if let Err(e) = self.prune().await {
            tracing::warn!(error = %e, "old alerts could not be forgotten; it is tried again next night");
        }
    }
}
