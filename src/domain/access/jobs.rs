//! Nightly pruning of expired sessions and old audit log entries.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;

use super::queries;
use super::service::Access;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::db::WriteMode;
use crate::infra::schedule::JobSchedule;

/// 04:10 UTC, after the other pruning jobs.
const WHEN: &str = "0 10 4 * * *";
/// Entries deleted in one transaction, so that other writes can happen in between.
const AT_ONCE: i64 = 5000;

impl Access {
    /// Prunes entries older than `audit_days` days every night, and an hour after the start.
    ///
    /// # Errors
    /// The job cannot be scheduled.
    pub async fn schedule_pruning(
        &self,
        schedule: &JobSchedule,
        audit_days: u32,
    ) -> Result<(), JobSchedulerError> {
        let access = self.clone();
        schedule
            .nightly(WHEN, "pruning old sessions", move || {
                let access = access.clone();
                async move {
                    if let Err(error) = access.prune(audit_days).await {
                        tracing::error!(%error, "cannot prune old sessions and audit entries");
                    }
                }
            })
            .await
    }

    async fn prune(&self, audit_days: u32) -> Result<()> {
        self.prune_sessions().await?;
        let length = Duration::from_secs(u64::from(audit_days) * 86_400);
        let before =
            Timestamp(self.now().0 - i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
        while self
            .db
            .write_as(WriteMode::UNSYNCED, move |c| {
                Ok(queries::prune_entries(c, before, AT_ONCE)?)
            })
            .await?
            > 0
        {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{AuditEntry, LoginSession};
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::base::ids::SessionId;
    use crate::base::role::Role;
    use crate::domain::vault::Vault;
    use crate::infra::db::Db;
    use tokio_util::sync::CancellationToken;

    fn entry(action: &str) -> AuditEntry {
        let text = String::new;
        AuditEntry {
            user: "ada".into(),
            actor: "ada".into(),
            role: "admin".into(),
            address: text(),
            action: action.into(),
            path: text(),
            status: 200,
        }
    }

    /// The schedule is never started, so the job does not run.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_machine_that_is_off_at_night_prunes_sessions_and_the_audit_log_after_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let vault = Vault::begin(dir.path(), &db, &[]).await.unwrap();
        let access = Access::new(db.clone(), vault, SystemClock, None);
        let user = access
            .create_user("ada".into(), Role::Admin, "correct horse battery".into())
            .await
            .unwrap()
            .id;
        let (now, day) = (Timestamp::now().0, 86_400_000);
        let session = |days: i64| {
            let at = Timestamp(now - days * day);
            let text = String::new;
            LoginSession {
                id: SessionId::random(),
                address: text(),
                program: text(),
                created_at: at,
                used_at: at,
                current: false,
            }
        };
        let (old, new) = (session(8), session(6));
        let kept = new.id;
        let made = db.write(move |c| {
            queries::insert_session(c, &old, "old", user)?;
            queries::insert_session(c, &new, "new", user)?;
            queries::note(c, &entry("old"), Timestamp(now - 366 * day))?;
            Ok(queries::note(c, &entry("new"), Timestamp(now - 364 * day))?)
        });
        made.await.unwrap();
        let schedule = JobSchedule::with_delay(CancellationToken::new(), Duration::from_millis(50))
            .await
            .unwrap();
        access.schedule_pruning(&schedule, 365).await.unwrap();
        let rest = || async {
            let sessions = db
                .read(move |c| Ok(queries::sessions_of(c, user, None)?))
                .await
                .unwrap();
            let (entries, _) = access.entries(10, None, None).await.unwrap();
            let sessions: Vec<_> = sessions.into_iter().map(|one| one.id).collect();
            (
                sessions,
                entries
                    .into_iter()
                    .map(|one| one.action)
                    .collect::<Vec<_>>(),
            )
        };
        for _ in 0..200 {
            if rest().await == (vec![kept], vec!["new".to_owned()]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not pruned: {:?}", rest().await);
    }
}
