//! The only connection that writes: queueing, time limits, and whether a change is synced to disk
//! before it is confirmed.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sqlite::SqliteConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

use super::marker::{ChangeMarker, ForeignChanges};
use super::{Db, busy, no_connection};
use crate::base::error::{Error, Result};

/// The time limit for earlier writes of this process.
const TURN: Duration = Duration::from_secs(10);
/// The time limit for the lock of another process.
const LOCK: Duration = Duration::from_secs(5);
/// Both limits together for a prompt write, and for one after a failed one, from the last write that was
/// finished: it waits in a queue that moves, up to [`TURN`].
const PROMPT: Duration = Duration::from_millis(300);
const PROMPT_WHILE_BLOCKED: Duration = Duration::from_millis(20);

/// The mode of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteMode {
    is_synced: bool,
    is_prompt: bool,
}

impl WriteMode {
    /// The change is on disk when the write returns. For everything that is confirmed to a user.
    pub const DURABLE: Self = Self {
        is_synced: true,
        is_prompt: false,
    };
    /// A power failure may undo the whole change. For samples and other data that is collected
    /// again.
    pub const UNSYNCED: Self = Self {
        is_synced: false,
        is_prompt: false,
    };

    /// The same, but it fails if no write is finished within 300 ms, for example because another
    /// process holds the lock. For writes that a request must not wait for; the caller retries later.
    pub const fn prompt(self) -> Self {
        Self {
            is_prompt: true,
            ..self
        }
    }
}

/// Differs whenever this process has changed anything, or another jd-manager process has confirmed a
/// change. When a write returns, the version has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseVersion {
    commits: u64,
    foreign: ForeignChanges,
}

/// The write connection and its state.
pub(super) struct DatabaseWriter {
    pool: Pool<ConnectionManager<SqliteConnection>>,
    /// The permit to use the connection. Waiting does not block a thread, and the longest waiter is
    /// next.
    turn: Arc<Semaphore>,
    /// The last write failed because another process holds the lock.
    is_locked: AtomicBool,
    /// The last write failed for that reason, or because it waited too long.
    is_blocked: AtomicBool,
    /// The number of transactions that changed something.
    commits: AtomicU64,
    /// The number of writes that did not fail because of a lock.
    finished: AtomicU64,
    /// Notified after a durable change.
    pub(super) changed: Notify,
    pub(super) marker: ChangeMarker,
}

impl DatabaseWriter {
    pub(super) fn new(
        pool: Pool<ConnectionManager<SqliteConnection>>,
        marker: ChangeMarker,
    ) -> Self {
        let (is_locked, is_blocked) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            pool,
            turn: Arc::new(Semaphore::new(1)),
            is_locked,
            is_blocked,
            commits: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            changed: Notify::new(),
            marker,
        }
    }

    pub(super) fn version(&self) -> DatabaseVersion {
        DatabaseVersion {
            commits: self.commits.load(Ordering::Acquire),
            foreign: self.marker.foreign(),
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }
}

impl Db {
    /// Runs `work` in one write transaction, which is committed if `work` succeeds and rolled back if
    /// it fails. The change is on disk when this returns.
    ///
    /// # Errors
    /// Errors of `work`; another process holds the lock; a disk error.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        self.write_as(WriteMode::DURABLE, work).await
    }

    /// The same in another mode.
    ///
    /// # Errors
    /// Errors of `work`; another process holds the lock; a disk error.
    pub async fn write_as<T, F>(&self, mode: WriteMode, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let writer = self.writer.clone();
        self.with_writer(mode, move |connection| {
            let (value, is_changed, changes) = connection.immediate_transaction(|c| {
                // We have the lock.
                writer.is_locked.store(false, Ordering::Relaxed);
                writer.is_blocked.store(false, Ordering::Relaxed);
                let before = total_changes(c)?;
                let value = work(c)?;
                let is_changed = total_changes(c)? != before;
                let changes = if is_changed && mode.is_synced {
                    Some(add_change(c)?)
                } else {
                    None
                };
                Ok::<_, Error>((value, is_changed, changes))
            })?;
            if is_changed {
                writer.commits.fetch_add(1, Ordering::AcqRel);
            }
            if let Some(changes) = changes {
                writer.marker.set(changes);
                writer.changed.notify_one();
            }
            Ok(value)
        })
        .await
    }

    /// Runs `work` on the write connection, outside a transaction.
    pub(super) async fn with_writer<T, F>(&self, mode: WriteMode, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let writer = self.writer.clone();
        let begun = Instant::now();
        let (turn, lock) = match (mode.is_prompt, writer.is_blocked.load(Ordering::Relaxed)) {
            (false, _) => (TURN, LOCK),
            (true, false) => (PROMPT, PROMPT),
            (true, true) => (PROMPT_WHILE_BLOCKED, PROMPT_WHILE_BLOCKED),
        };
        let mut acquire = std::pin::pin!(writer.turn.clone().acquire_owned());
        let (mut waits_since, mut finished) = (begun, writer.finished.load(Ordering::Relaxed));
        let permit = loop {
            if let Ok(permit) = tokio::time::timeout(turn, &mut acquire).await {
                break permit.map_err(Error::internal)?;
            }
            let finished_before = finished;
            finished = writer.finished.load(Ordering::Relaxed);
            // Two hundred instances that start at once are a long queue, and no outage.
            if !mode.is_prompt || finished == finished_before || begun.elapsed() >= TURN {
                writer.is_blocked.store(true, Ordering::Relaxed);
                return Err(busy());
            }
            waits_since = Instant::now();
        };
        let lock = if mode.is_prompt {
            lock.saturating_sub(waits_since.elapsed())
        } else {
            lock
        };
        self.blocking(move || {
            let _permit = permit;
            let mut connection = writer.pool.get().map_err(no_connection)?;
            let synchronous = if mode.is_synced { "FULL" } else { "NORMAL" };
            connection.batch_execute(&format!(
                "PRAGMA busy_timeout = {}; PRAGMA synchronous = {synchronous};",
                lock.as_millis().max(1)
            ))?;
            let result = work(&mut connection);
            if result.as_ref().is_err_and(Error::is_database_lock) {
                writer.is_locked.store(true, Ordering::Relaxed);
                writer.is_blocked.store(true, Ordering::Relaxed);
            } else {
                writer.finished.fetch_add(1, Ordering::Relaxed);
            }
            result
        })
        .await
    }
}

#[derive(QueryableByName)]
struct PragmaNumber {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// The number of rows changed by this connection since it was opened.
fn total_changes(connection: &mut SqliteConnection) -> QueryResult<i64> {
    Ok(diesel::sql_query("SELECT total_changes() AS number")
        .get_result::<PragmaNumber>(connection)?
        .number)
}

/// The number of confirmed changes of the database.
pub(super) fn count_changes(connection: &mut SqliteConnection) -> QueryResult<i64> {
    Ok(
        diesel::sql_query("SELECT user_version AS number FROM pragma_user_version")
            .get_result::<PragmaNumber>(connection)?
            .number,
    )
}

/// Increments the count and returns it.
fn add_change(connection: &mut SqliteConnection) -> QueryResult<i64> {
    let changes = count_changes(connection)? + 1;
    connection.batch_execute(&format!("PRAGMA user_version = {changes}"))?;
    Ok(changes)
}
