//! Deletes old health check results in small steps, so that other writers do not wait.

use std::time::Duration;

use super::queries;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::db::{Db, WriteMode};
use crate::infra::schedule::JobSchedule;

/// Every night at 03:20 UTC: after the samples are pruned, before disk space is released.
const NIGHTLY: &str = "0 20 3 * * *";
/// Rows deleted in one transaction: a few milliseconds.
const ROWS: i64 = 2_000;
/// Pause between two steps, for other writers.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes results from before `before`.
///
/// # Errors
/// The database cannot be written; earlier steps remain done.
pub async fn prune(db: &Db, before: Timestamp) -> Result<()> {
    while db
        .write_as(WriteMode::UNSYNCED, move |c| {
            Ok(queries::forget(c, before, ROWS)?)
        })
        .await?
        > 0
    {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Deletes results older than `days` every night and an hour after the start.
pub async fn schedule_pruning(
    schedule: &JobSchedule,
    db: Db,
    days: u32,
) -> std::result::Result<(), tokio_cron_scheduler::JobSchedulerError> {
    let work = move || {
        let db = db.clone();
        async move { prune_and_log(&db, days).await }
    };
    schedule
        .nightly(NIGHTLY, "deleting old health check results", work)
        .await
}

async fn prune_and_log(db: &Db, days: u32) {
    let before = Timestamp(Timestamp::now().0 - i64::from(days) * 86_400_000);
    if let Err(error) = prune(db, before).await {
        tracing::warn!(%error, "cannot delete old health check results; will retry next night");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ConfigId, InstanceId};
    use diesel::RunQueryDsl;
    use tokio_util::sync::CancellationToken;

    async fn results(db: &Db, id: InstanceId) -> Vec<String> {
        let found = db
            .read(move |c| Ok(queries::history(c, id, i64::MAX, 10)?))
            .await
            .unwrap();
        found.into_iter().map(|row| row.message).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_machine_that_is_off_at_night_forgets_some_time_after_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let (id, config) = (InstanceId::random(), ConfigId::random());
        let old = Timestamp::now().0 - 7 * 86_400_000 - 1000;
        let made = db.write(move |c| {
            for text in [
                format!("INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('{config}', 'c', '{{}}', 0, 0)"),
                format!("INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('{id}', 'i', '{config}', 0, 0)"),
                format!("INSERT INTO health_checks (instance_id, check_type, status, message, timestamp) VALUES ('{id}', 'disk', 'healthy', 'old', {old}), ('{id}', 'disk', 'healthy', 'new', {})", old + 60_000),
            ] {
                diesel::sql_query(text).execute(c)?;
            }
            Ok(())
        });
        made.await.unwrap();
        // It never runs, because no night comes.
        let schedule = |delay| JobSchedule::with_delay(CancellationToken::new(), delay);
        schedule_pruning(
            &schedule(Duration::from_secs(3600)).await.unwrap(),
            db.clone(),
            7,
        )
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(results(&db, id).await, ["new", "old"], "not at once");
        schedule_pruning(
            &schedule(Duration::from_millis(50)).await.unwrap(),
            db.clone(),
            7,
        )
        .await
        .unwrap();
        for _ in 0..200 {
            if results(&db, id).await == ["new"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("kept for ever");
    }
}
