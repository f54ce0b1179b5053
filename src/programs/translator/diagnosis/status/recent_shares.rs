//! Accepted and rejected shares of the last hour, counted in parts of ten minutes. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;

/// The length of a part, in milliseconds.
const PART_MS: i64 = 600_000;
/// The number of parts in an hour.
const PARTS: i64 = 6;

/// Shares of the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecentShares(Vec<(i64, u64, u64)>);

impl RecentShares {
    /// Counts shares at a time.
    pub(super) fn add(&mut self, at: Timestamp, accepted: u64, rejected: u64) {
        let part = at.0.div_euclid(PART_MS);
        // Parts that are newer belong to a clock that was set back.
        self.0
            .retain(|(known, ..)| (0..PARTS).contains(&(part - known)));
        match self.0.iter_mut().find(|(known, ..)| *known == part) {
            Some((_, a, r)) => {
                *a = a.saturating_add(accepted);
                *r = r.saturating_add(rejected);
            }
            None => self.0.push((part, accepted, rejected)),
        }
    }

    /// The accepted and rejected shares of the hour before `now`, to ten minutes.
    pub fn last_hour(&self, now: Timestamp) -> (u64, u64) {
        let present = now.0.div_euclid(PART_MS);
        let recent = self.0.iter();
        recent
            .filter(|(part, ..)| (0..PARTS).contains(&(present - part)))
            .fold((0, 0), |sum: (u64, u64), (_, accepted, rejected)| {
                (
                    sum.0.saturating_add(*accepted),
                    sum.1.saturating_add(*rejected),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_hour_counts() {
        let at = |minutes: i64| Timestamp(600_000_000 + minutes * 60_000);
        let mut shares = RecentShares::default();
        shares.add(at(0), 5, 1);
        shares.add(at(9), 5, 1);
        shares.add(at(30), 100, 0);
        assert_eq!(shares.last_hour(at(31)), (110, 2));
        assert_eq!(shares.last_hour(at(65)), (100, 0));
        shares.add(at(200), 1, 0);
        assert_eq!(shares.0.len(), 1);
        // The clock was set back.
        shares.add(at(0), 2, 0);
        assert_eq!(shares.last_hour(at(0)), (2, 0));
    }
}
