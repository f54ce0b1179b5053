//! Checkpoints: confirmed changes move from the write-ahead log into the database file soon after
//! they are made, so that little is lost with the log.
//!
//! The log is emptied rather than left with frames that the file has: if one of those is damaged,
//! SQLite takes what stands before it in the log for newer than the file.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::Db;
use super::writer::WriteMode;
use crate::base::error::Result;

/// From a change to its checkpoint, so that changes in a row share one.
const DELAY: Duration = Duration::from_millis(300);
/// Until a checkpoint that a long read or a full disk did not let finish is tried again: from here,
/// doubled each time, to here.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How long others may have to wait because a checkpoint waits for readers.
const WAIT: Duration = Duration::from_millis(200);

#[derive(QueryableByName)]
struct CheckpointResult {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    busy: i32,
}

/// Moves everything into the file and empties the log; false if somebody reads or writes at the
/// same time, so that some of it stays.
pub(super) fn empty_log(connection: &mut SqliteConnection) -> Result<bool> {
    let left: CheckpointResult =
        diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)?;
    Ok(left.busy == 0)
}

impl Db {
    /// Makes checkpoints until `stop`, the first one at once: a manager that was killed leaves a
    /// log.
    pub async fn run_checkpoints(self, stop: CancellationToken) {
        let mut retry = Some(FIRST_RETRY);
        loop {
            let wait = async {
                match retry {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => {
                        self.writer.changed.notified().await;
                        tokio::time::sleep(DELAY).await;
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = wait => {}
            }
            retry = match self.checkpoint().await {
                Ok(true) => None,
                Ok(false) | Err(_) => {
                    Some(retry.map_or(FIRST_RETRY, |last| (last * 2).min(LAST_RETRY)))
                }
            };
        }
        let _ = self.checkpoint().await;
    }

    async fn checkpoint(&self) -> Result<bool> {
        let writer = self.writer.clone();
        self.with_writer(WriteMode::DURABLE, move |connection| {
            connection.batch_execute(&format!("PRAGMA busy_timeout = {}", WAIT.as_millis()))?;
            let is_empty = empty_log(connection)?;
            writer.marker.sync();
            Ok(is_empty)
        })
        .await
    }
}
