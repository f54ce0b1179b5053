//! What is forgotten: results of checks beyond their time, in small steps so that nobody waits.

use std::time::Duration;

use super::queries;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::error::Result;
use crate::schedule::Schedule;

/// Every night at twenty past three, UTC: after the samples, before they give their space back to nobody.
const NIGHTLY: &str = "0 20 3 * * *";
/// Rows removed in one transaction: some milliseconds.
const ROWS: i64 = 2_000;
/// Between two steps, for those who want to write.
const PAUSE: Duration = Duration::from_millis(20);

/// Forgets what checks found before `before`.
///
/// # Errors
/// The database cannot be written; what was removed by then stays removed.
pub async fn forget(db: &Db, before: Timestamp) -> Result<()> {
    while db.write(move |c| Ok(queries::forget(c, before, ROWS)?)).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Forgets every night what is older than `days`.
///
/// # Errors
/// The job cannot be scheduled.
pub async fn forget_daily(
    schedule: &Schedule,
    db: Db,
    days: u32,
) -> std::result::Result<(), tokio_cron_scheduler::JobSchedulerError> {
    let work = move || {
        let db = db.clone();
        async move {
            let before = Timestamp(Timestamp::now().0 - i64::from(days) * 86_400_000);
            if let Err(error) = forget(&db, before).await {
                tracing::warn!(%error, "old results of checks could not be forgotten; it is tried again next night");
            }
        }
    };
    schedule.at(NIGHTLY, "forgetting old results of checks", work).await
}
