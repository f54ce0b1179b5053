//! Checkpoints: moves confirmed changes from the write-ahead log to the database file soon, so that
//! little is lost with the log.
//!
//! The log is emptied completely. If old frames stayed in it and one was damaged, SQLite would treat
//! the frames before it as newer than the database file.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::Db;
use super::writer::WriteMode;
use crate::base::error::Result;

/// The delay from a change to its checkpoint, so that consecutive changes share one.
const DELAY: Duration = Duration::from_millis(300);
/// The wait before an incomplete checkpoint is retried (after a long read or a full disk): the first
/// value, doubled each time, up to the second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How long other users may have to wait while a checkpoint waits for readers.
const WAIT: Duration = Duration::from_millis(200);

#[derive(QueryableByName)]
struct CheckpointResult {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    busy: i32,
}

/// Moves all changes to the file and empties the log; returns false if concurrent reads or writes
/// prevented that.
pub(super) fn empty_log(connection: &mut SqliteConnection) -> Result<bool> {
    let left: CheckpointResult =
        diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)?;
    Ok(left.busy == 0)
}

impl Db {
    /// Makes checkpoints until `stop`, the first one immediately, because a killed manager leaves a
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
