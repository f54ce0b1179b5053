//! Users, sessions and tokens in memory, so that checking a request needs neither the database nor a
//! thread for blocking work.
//!
//! Every change of their rows goes through [`AccessIndex::change`]: it first writes the database and
//! then gives the copy a new version. If the write fails, the same rows are read again. A change by
//! another jd-manager process (`set-password`, `token revoke`) is noticed with the next request; one
//! by any other program within a second ([`RowCopy`]).
//!
//! The copy is read as a whole: a manager has few users, and these changes are rare.

use diesel::sqlite::SqliteConnection;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

use super::model::ApiToken;
use super::queries::{self, SessionLookup};
use crate::base::error::{Error, Result};
use crate::infra::db::row_copy::RowCopy;
use crate::infra::db::{Db, ForeignChanges, WriteMode};

/// The users, sessions and tokens at one moment.
#[derive(Debug)]
pub(super) struct AccessSnapshot {
    /// There is a user.
    pub(super) has_users: bool,
    /// By the hash of the cookie.
    pub(super) sessions: HashMap<String, SessionLookup>,
    /// By the hash of the token. `expired` is that of the moment of reading.
    pub(super) tokens: HashMap<String, ApiToken>,
}

fn load(c: &mut SqliteConnection) -> Result<AccessSnapshot> {
    Ok(AccessSnapshot {
        has_users: queries::has_users(c)?,
        sessions: queries::all_sessions(c)?.into_iter().collect(),
        tokens: queries::tokens_by_hash(c)?.into_iter().collect(),
    })
}

/// The copy of the rows.
#[derive(Debug)]
pub(super) struct AccessIndex {
    db: Db,
    /// The number of changes by this process.
    changes: AtomicU64,
    copy: RowCopy<(u64, ForeignChanges), AccessSnapshot>,
    /// Notified after each change: open streams check their access again.
    pub(super) changed: watch::Sender<()>,
}

impl AccessIndex {
    pub(super) fn new(db: Db) -> Self {
        Self {
            copy: RowCopy::new(db.clone()),
            changes: AtomicU64::new(0),
            changed: watch::Sender::new(()),
            db,
        }
    }

    /// The rows as of now.
    ///
    /// # Errors
    /// They may have changed, and the database cannot be read.
    pub(super) async fn snapshot(&self) -> Result<Arc<AccessSnapshot>> {
        let version = || {
            (
                self.changes.load(Ordering::Acquire),
                self.db.foreign_changes(),
            )
        };
        self.copy.get(version, load).await
    }

    /// Gives the rows a new version.
    pub(super) fn invalidate(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Changes the rows. When it returns, no new request is checked with the former ones, and open
    /// streams check their access again.
    ///
    /// # Errors
    /// Errors of `work`; the database cannot be written.
    pub(super) async fn change<T, F>(self: &Arc<Self>, mode: WriteMode, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let this = Arc::clone(self);
        // In a task of its own: a canceled request does not stop the write or what follows it.
        let change = async move {
            let written = this.db.write_as(mode, work).await;
            this.invalidate();
            if written.is_ok() {
                this.changed.send_replace(());
            }
            written
        };
        tokio::spawn(change).await.map_err(Error::internal)?
    }
}
