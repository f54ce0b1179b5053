//! Audit entries on their way into the database. An entry that cannot be written now waits in memory and is in jd-manager's own log: a full
//! disk or a locked database must keep nobody from stopping an instance or deleting a backup.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::model::Deed;
use super::queries;
use super::service::Access;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::infra::db::WriteMode;

/// More entries do not wait; they are in jd-manager's own log alone.
const LONGEST: usize = 10_000;
/// Until entries that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Entries that wait.
#[derive(Debug, Default)]
pub(super) struct AuditQueue {
    waiting: Mutex<VecDeque<(Deed, Timestamp)>>,
    /// Held by whoever writes, so that no entry is written twice.
    writing: tokio::sync::Mutex<()>,
    is_retrying: AtomicBool,
}

impl AuditQueue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Deed, Timestamp)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// Writes an entry into the audit log, within 300 ms; otherwise jd-manager goes on trying.
    pub(super) async fn record(&self, deed: Deed) {
        {
            let mut waiting = self.audit.waiting();
            if waiting.len() < LONGEST {
                waiting.push_back((deed.clone(), self.now()));
            }
        }
        let is_retrying = self.audit.is_retrying.load(Ordering::Acquire);
        let error = if is_retrying { None } else { Some(self.clone().write_all_entries().await) };
        match error {
            Some(Ok(())) => {}
            None => tracing::error!(?deed, "an audit entry waits for the database"),
            Some(Err(error)) => {
                tracing::error!(%error, ?deed, "an audit entry cannot be written yet");
                self.retry_entries();
            }
        }
    }

    /// Goes on to its end even if the request is given up meanwhile.
    async fn write_all_entries(self) -> Result<()> {
        tokio::spawn(async move { self.write_entries().await }).await.map_err(Error::internal)?
    }

    async fn write_entries(&self) -> Result<()> {
        let _writing = self.audit.writing.lock().await;
        let batch: Vec<(Deed, Timestamp)> = self.audit.waiting().iter().cloned().collect();
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len();
        // What changed something was confirmed, so its entry must last, too.
        let is_change = batch.iter().any(|(deed, _)| deed.status < 400);
        let mode = if is_change { WriteMode::DURABLE } else { WriteMode::UNSYNCED };
        let write = self.db.write_as(mode.prompt(), move |c| {
            for (deed, at) in &batch {
                queries::note(c, deed, *at)?;
            }
            Ok(())
        });
        write.await?;
        self.audit.waiting().drain(..count);
        Ok(())
    }

    fn retry_entries(&self) {
        if self.audit.is_retrying.swap(true, Ordering::AcqRel) {
            return;
        }
        let access = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY).await;
                if access.write_entries().await.is_ok() {
                    break;
                }
            }
            access.audit.is_retrying.store(false, Ordering::Release);
            // Of those who came in between.
            let _ = access.write_entries().await;
        });
    }
}
