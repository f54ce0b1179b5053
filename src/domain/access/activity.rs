//! When sessions and tokens were last used: known at once, written when the database lets it. No request waits for that or fails by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::model::Proof;
use super::queries;
use super::service::Access;
use crate::base::clock::Timestamp;
use crate::infra::db::WriteMode;

/// What is not written yet.
#[derive(Debug, Default)]
pub(super) struct LastUses {
    pending: Mutex<HashMap<Proof, Timestamp>>,
    is_writing: AtomicBool,
}

impl Access {
    /// When it was last used: as stored, or later.
    pub(super) fn last_used(&self, proof: &Proof, stored: Option<Timestamp>) -> Option<Timestamp> {
        stored.max(self.last_uses.pending.lock().unwrap_or_else(PoisonError::into_inner).get(proof).copied())
    }

    /// Remembers that it was used now.
    pub(super) fn set_last_used(&self, proof: Proof, now: Timestamp) {
        self.last_uses.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(proof, now);
        if !self.last_uses.is_writing.swap(true, Ordering::AcqRel) {
            let access = self.clone();
            tokio::spawn(async move {
                access.write_last_uses().await;
                access.last_uses.is_writing.store(false, Ordering::Release);
            });
        }
    }

    /// What cannot be written stays and goes with the next use of anything.
    async fn write_last_uses(&self) {
        loop {
            let batch = self.last_uses.pending.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if batch.is_empty() {
                return;
            }
            let rows = batch.clone();
            let written = self.db.write_as(WriteMode::UNSYNCED.prompt(), move |c| {
                for (proof, at) in rows {
                    match proof {
                        Proof::Session(id) => queries::touch_session(c, id, at)?,
                        Proof::Token(id) => queries::touch_token(c, id, at)?,
                        Proof::Connection => 0,
                    };
                }
                Ok(())
            });
            if let Err(error) = written.await {
                tracing::debug!(%error, "the times of last use cannot be written yet");
                return;
            }
            let mut pending = self.last_uses.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.retain(|proof, at| batch.get(proof) != Some(at));
        }
    }
}
