//! When sessions and tokens were last used: updated in memory immediately, written to the database later.
//! No request waits for the write or fails because of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::AccessIndex;
use super::model::LoginMethod;
use super::queries;
use crate::base::clock::Timestamp;
use crate::infra::db::{Db, WriteMode};

/// Times that are not written yet.
#[derive(Debug)]
pub(super) struct LastUses {
    db: Db,
    index: Arc<AccessIndex>,
    pending: Mutex<HashMap<LoginMethod, Timestamp>>,
    is_writing: AtomicBool,
}

impl LastUses {
    pub(super) fn new(db: Db, index: Arc<AccessIndex>) -> Self {
        Self {
            db,
            index,
            pending: Mutex::default(),
            is_writing: AtomicBool::new(false),
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<LoginMethod, Timestamp>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of last use: the stored one or a later one in memory.
    pub(super) fn latest(
        &self,
        proof: &LoginMethod,
        stored: Option<Timestamp>,
    ) -> Option<Timestamp> {
        stored.max(self.pending().get(proof).copied())
    }

    /// Records a use now.
    pub(super) fn set(self: &Arc<Self>, proof: LoginMethod, now: Timestamp) {
        self.pending().insert(proof, now);
        if !self.is_writing.swap(true, Ordering::AcqRel) {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                this.write().await;
                this.is_writing.store(false, Ordering::Release);
            });
        }
    }

    /// Times that cannot be written are kept and written with the next use.
    async fn write(&self) {
        loop {
            let batch = self.pending().clone();
            if batch.is_empty() {
                return;
            }
            let rows = batch.clone();
            let written = self.db.write_as(WriteMode::UNSYNCED.prompt(), move |c| {
                for (proof, at) in rows {
                    match proof {
                        LoginMethod::Session(id) => queries::touch_session(c, id, at)?,
                        LoginMethod::Token(id) => queries::touch_token(c, id, at)?,
                        LoginMethod::Connection | LoginMethod::Ssh => 0,
                    };
                }
                Ok(())
            });
            if let Err(error) = written.await {
                tracing::debug!(%error, "cannot store the times of last use yet");
                return;
            }
            // First, so that no request finds a time that is neither here nor in the index.
            self.index.invalidate();
            self.pending()
                .retain(|proof, at| batch.get(proof) != Some(at));
        }
    }
}
