//! Audit entries on their way to the database. An entry that cannot be written now waits in memory
//! and is in jd-manager's own log: a full disk or a locked database must not prevent users from
//! stopping an instance or deleting a backup.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::model::AuditEntry;
use super::queries;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::db::{Db, WriteMode};

/// Maximum number of waiting entries. Further ones are only in jd-manager's own log.
const LONGEST: usize = 10_000;
/// Time until the next attempt to write waiting entries.
const RETRY: Duration = Duration::from_secs(2);

/// Waiting entries.
#[derive(Debug)]
pub(super) struct AuditQueue {
    db: Db,
    waiting: Mutex<VecDeque<(AuditEntry, Timestamp)>>,
    /// Held while writing, so that no entry is written twice.
    writing: tokio::sync::Mutex<()>,
    is_retrying: AtomicBool,
}

impl AuditQueue {
    pub(super) fn new(db: Db) -> Self {
        Self {
            db,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            is_retrying: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(AuditEntry, Timestamp)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an entry to the audit log within 300 ms; otherwise keeps retrying in the background.
    pub(super) async fn record(self: &Arc<Self>, entry: AuditEntry, now: Timestamp) {
        {
            let mut waiting = self.waiting();
            if waiting.len() < LONGEST {
                waiting.push_back((entry.clone(), now));
            }
        }
        if self.is_retrying.load(Ordering::Acquire) {
            tracing::error!(?entry, "an audit entry is waiting for the database");
            return;
        }
        // In a task of its own: a canceled request stops neither the write nor its repetition.
        let this = Arc::clone(self);
        let write = async move {
            if let Err(error) = this.write_entries().await {
                tracing::error!(%error, ?entry, "cannot write an audit entry yet");
                this.retry_entries();
            }
        };
        if tokio::spawn(write).await.is_err() {
            self.retry_entries();
        }
    }

    async fn write_entries(&self) -> Result<()> {
        let _writing = self.writing.lock().await;
        let batch: Vec<(AuditEntry, Timestamp)> = self.waiting().iter().cloned().collect();
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len();
        // The change is durable, so its entry must be durable too.
        let is_change = batch.iter().any(|(entry, _)| !entry.is_rejected());
        let mode = if is_change {
            WriteMode::DURABLE
        } else {
            WriteMode::UNSYNCED
        };
        let write = self.db.write_as(mode.prompt(), move |c| {
            for (entry, at) in &batch {
                queries::note(c, entry, *at)?;
            }
            Ok(())
        });
        write.await?;
        self.waiting().drain(..count);
        Ok(())
    }

    fn retry_entries(self: &Arc<Self>) {
        if self.is_retrying.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY).await;
                if this.write_entries().await.is_ok() {
                    break;
                }
            }
            this.is_retrying.store(false, Ordering::Release);
            // Entries that were added in between.
            let _ = this.write_entries().await;
        });
    }
}
