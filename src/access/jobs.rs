//! What is forgotten by night: sessions that ended by themselves, and old lines of the audit log.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;

use super::queries;
use super::service::Access;
use crate::clock::Timestamp;
use crate::db::WriteMode;
use crate::error::Result;
use crate::schedule::Schedule;

/// Ten past four in the night, UTC: after what else is forgotten.
const WHEN: &str = "0 10 4 * * *";
/// So many lines are forgotten in one go, so that others can write meanwhile.
const AT_ONCE: i64 = 5000;

impl Access {
    /// Forgets by night what is older than `audit_days` days.
    ///
    /// # Errors
    /// It could not be scheduled.
    pub async fn forget_nightly(&self, schedule: &Schedule, audit_days: u32) -> Result<(), JobSchedulerError> {
        let access = self.clone();
        schedule
            .at(WHEN, "forgetting old logins", move || {
                let access = access.clone();
                async move {
                    if let Err(error) = access.forget(audit_days).await {
                        tracing::error!(%error, "old logins and deeds could not be forgotten");
                    }
                }
            })
            .await
    }

    async fn forget(&self, audit_days: u32) -> Result<()> {
        self.forget_sessions().await?;
        let length = Duration::from_secs(u64::from(audit_days) * 86_400);
        let before = Timestamp(self.now().0 - i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
        while self.db.write_as(WriteMode::UNSYNCED, move |c| Ok(queries::forget_entries(c, before, AT_ONCE)?)).await? > 0 {}
        Ok(())
    }
}
