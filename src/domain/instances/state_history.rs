//! The strips of all instances in memory, so that no request reads events.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::state_strip::StateStrip;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::keeper::machine::InstanceState;

/// The strips of all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct StateHistory(Arc<RwLock<HashMap<InstanceId, Arc<StateStrip>>>>);

impl StateHistory {
    /// The strip of an instance; none before its first event.
    pub(super) fn of(&self, id: InstanceId) -> Option<Arc<StateStrip>> {
        let strips = self.0.read().unwrap_or_else(PoisonError::into_inner);
        strips.get(&id).cloned()
    }

    /// The number of strips.
    pub(super) fn count(&self) -> usize {
        let strips = self.0.read().unwrap_or_else(PoisonError::into_inner);
        strips.len()
    }

    /// Adds state changes, in their order.
    pub(super) fn add(&self, changes: Vec<(InstanceId, Timestamp, InstanceState)>) {
        let mut strips = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (id, at, state) in changes {
            match strips.get_mut(&id) {
                Some(strip) => Arc::make_mut(strip).change(at, state),
                None => {
                    let mut strip = StateStrip::new(at, InstanceState::Stopped);
                    // Also counts a failure at the very beginning.
                    strip.change(at, state);
                    strips.insert(id, Arc::new(strip));
                }
            }
        }
    }

    /// Removes the strips of other instances.
    pub(super) fn retain(&self, is_kept: impl Fn(InstanceId) -> bool) {
        let mut strips = self.0.write().unwrap_or_else(PoisonError::into_inner);
        strips.retain(|id, _| is_kept(*id));
    }
}
