//! Deletes old samples in small steps, so that other writers do not wait, and frees their disk space.

use std::time::Duration;

use super::queries::Resolution;
use super::queries::rollup::{self, RetentionEnd};
use super::range::Retention;
use crate::base::clock::Timestamp;
use crate::infra::db::{Db, WriteMode};
use crate::infra::schedule::JobSchedule;

/// Every night at a quarter past three, UTC.
const NIGHTLY: &str = "0 15 3 * * *";
/// Rows removed in one transaction: some milliseconds.
const ROWS: i64 = 5_000;
/// Database pages freed in one transaction.
const PAGES: u32 = 500;
/// The pause between two steps, for other writers.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes samples older than the retention time, as of `now` (seconds since 1970).
///
/// # Errors
/// The database cannot be written; samples deleted so far stay deleted.
pub async fn forget(db: &Db, keep: Retention, now: i64) -> crate::base::error::Result<()> {
    // Miners may be many, and come and go.
    let miners = keep.of_series("miner_");
    let levels = [
        (Resolution::Raw, keep.raw, miners.raw),
        (Resolution::Minute, keep.minutes, miners.minutes),
        (Resolution::Hour, keep.hours, miners.hours),
        (Resolution::Day, keep.hours, keep.hours),
    ];
    for (level, kept, kept_of_miner) in levels {
        let before = RetentionEnd {
            of_instance: now - kept,
            of_miner: now - kept_of_miner,
        };
        let mut after = 0;
        while let Some(next) = db
            .write_as(WriteMode::UNSYNCED, move |c| {
                Ok(rollup::forget(c, level, before, after, ROWS)?)
            })
            .await?
        {
            after = next;
            tokio::time::sleep(PAUSE).await;
        }
    }
    while db.free_memory(PAGES).await? {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Prunes every night and one hour after the start.
pub async fn schedule_pruning(
    schedule: &JobSchedule,
    db: Db,
    keep: Retention,
) -> Result<(), tokio_cron_scheduler::JobSchedulerError> {
    let work = move || {
        let db = db.clone();
        async move { say(forget(&db, keep, now()).await) }
    };
    schedule
        .nightly(NIGHTLY, "deletion of old metrics", work)
        .await
}

fn now() -> i64 {
    Timestamp::now().0.div_euclid(1000)
}

fn say(result: crate::base::error::Result<()>) {
    if let Err(e) = result {
        tracing::warn!(error = %e, "old metrics could not be deleted; jd-manager will retry next night");
    }
}
