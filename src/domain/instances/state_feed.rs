//! Keeps the strips of all instances up to date: from the stored events when jd-manager starts, then
//! with each new event.

use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::queries;
use super::service::InstanceService;
use super::state_strip::STRIP_MS;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;

/// Several changes at the same time are read together.
const COALESCE: Duration = Duration::from_millis(100);
/// Pause after a failed read.
const AGAIN: Duration = Duration::from_secs(5);

impl InstanceService {
    /// Keeps the strips up to date. Returns when no changes will come.
    pub(super) async fn follow_states(self) {
        // Before the first read: no change in between is lost.
        let mut changes = self.changes();
        let mut last = None;
        loop {
            if let Err(error) = self.read_states(&mut last).await {
                tracing::debug!(%error, "cannot read the events of instances yet");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            if matches!(changes.recv().await, Err(RecvError::Closed)) {
                return;
            }
            tokio::time::sleep(COALESCE).await;
            while matches!(changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        }
    }

    /// Adds the events after the event `last`; none: those of the last 24 hours, and the states before.
    async fn read_states(&self, last: &mut Option<i64>) -> Result<()> {
        let (after, from) = (*last, Timestamp(Timestamp::now().0 - STRIP_MS));
        let read = self.db.read(move |c| {
            let Some(after) = after else {
                // The events that are stored meanwhile are read next time.
                let newest = queries::newest_event(c)?;
                let mut changes = queries::states_at(c, from)?;
                changes.extend(queries::state_changes(c, 0, newest, from)?);
                return Ok((changes, newest));
            };
            let newest = queries::newest_event(c)?;
            let changes = queries::state_changes(c, after, newest, Timestamp(i64::MIN))?;
            Ok((changes, newest))
        });
        let (changes, newest) = read.await?;
        *last = Some(newest);
        self.states.add(changes);
        let rows = self.rows().await?;
        if self.states.count() > rows.instances.len() {
            let all = rows.instances.iter();
            let known: HashSet<InstanceId> = all.map(|(row, _, _)| row.id).collect();
            self.states.retain(|id| known.contains(&id));
        }
        Ok(())
    }
}
