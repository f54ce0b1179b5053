//! What was measured of each instance last, in memory: for those who look at it often and need no history. Nothing is measured here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::ids::InstanceId;

/// The newest figures of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// When they were taken, seconds since 1970.
    pub at: i64,
    /// The round's samples by name, those with a detail left out: there may be thousands of miners.
    pub figures: BTreeMap<String, f64>,
    /// What its client's monitoring did when it was asked last; none: it has no address for it, or was not asked yet.
    pub monitoring: Option<Answered>,
}

/// What a client's monitoring did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It told its figures.
    Moving,
    /// It told its figures, whose own clock has stood still since this second (since 1970).
    Still(i64),
    /// It gave no figures since this second (since 1970), for this reason.
    Not(i64, String),
}

/// The newest figures of all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<HashMap<InstanceId, Measured>>>);

impl Board {
    /// Those of one instance; none before its first sample.
    #[must_use]
    pub fn of(&self, id: InstanceId) -> Option<Measured> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Replaces all of them.
    pub(super) fn replace(&self, all: HashMap<InstanceId, Measured>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Follows one client's monitoring from answer to answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// Its last word about its own age, seconds, and when it last changed.
    told: Option<(u64, i64)>,
    /// Since when there is no answer.
    silent_since: Option<i64>,
}

impl Watch {
    /// An answer at `now` (seconds since 1970) with the monitoring's age in seconds, if it told it.
    pub fn answered(&mut self, uptime: Option<u64>, now: i64) -> Answered {
        self.silent_since = None;
        let Some(uptime) = uptime else {
            self.told = None;
            return Answered::Moving;
        };
        match self.told {
            Some((before, since)) if before == uptime => Answered::Still(since),
            _ => {
                self.told = Some((uptime, now));
                Answered::Moving
            }
        }
    }

    /// No answer at `now`.
    pub fn failed(&mut self, words: String, now: i64) -> Answered {
        self.told = None;
        Answered::Not(*self.silent_since.get_or_insert(now), words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitoring_stands_still_since_its_age_last_changed() {
        let mut watch = Watch::default();
        assert_eq!(watch.answered(Some(5), 100), Answered::Moving);
        assert_eq!(watch.answered(Some(5), 110), Answered::Still(100));
        assert_eq!(watch.answered(Some(5), 120), Answered::Still(100));
        assert_eq!(watch.answered(Some(20), 130), Answered::Moving);
        assert_eq!(watch.failed("no".into(), 140), Answered::Not(140, "no".into()));
        assert_eq!(watch.failed("no".into(), 150), Answered::Not(140, "no".into()));
        assert_eq!(watch.answered(Some(20), 160), Answered::Moving);
        assert_eq!(watch.answered(None, 170), Answered::Moving);
        assert_eq!(watch.answered(None, 180), Answered::Moving);
    }
}
