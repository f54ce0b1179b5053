//! Decides when an automatic fix may run (again). Pure.
//!
//! An automatic fix is a restart. A restart that does not help does harm. The first one runs
//! immediately, and each further one waits longer while the problem returns. A pool that accepts
//! connections and then drops them costs a handful of restarts in the first hour, then one per
//! hour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::clock::Timestamp;

/// A fix that has lasted this long has helped; the next problem of the kind is a new one.
pub const LASTED: Duration = Duration::from_secs(600);

/// An automatic fix, which is a restart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Remediation {
    /// Mining solo even though a pool is configured, and a configured pool and its job declaration
    /// server accept it again.
    Solo,
    /// The pool does not respond on an open connection, and a configured pool and its job
    /// declaration server accept it.
    Silent,
    /// The client is hung: no log output and no response from its monitoring port.
    Hung,
    /// The metrics stop updating while the client is running.
    Frozen,
    /// The client is about to reach its memory limit, where it would exit.
    Memory,
    /// The translator is not connected to the client, or is hung. Restarts only the translator.
    Translator,
    /// The client uses a fallback pool, and an earlier pool in the configuration accepts it again. Off by
    /// default: mining continues, and a restart disconnects all miners.
    Preferred,
}

impl Remediation {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The label of its checkbox.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Solo => {
                "Restart the client if it is mining solo even though a pool is configured, as soon as the pool and its job declaration server are available again"
            }
            Self::Silent => {
                "Restart the client if the pool stops responding on an open connection, as soon as a pool and its job declaration server are available"
            }
            Self::Hung => {
                "Restart the client if it hangs: no log output and no response from its monitoring port for 2 minutes"
            }
            Self::Frozen => "Restart the client if its metrics stop updating",
            Self::Memory => "Restart the client before it reaches its memory limit",
            Self::Translator => {
                "Restart only the translator for Stratum V1 miners if it has no connection to the client, or does not respond, for 2 minutes"
            }
            Self::Preferred => {
                "Restart the client if it is using a fallback pool and a preferred pool has been available for 10 minutes"
            }
        }
    }

    /// Whether it is on by default.
    pub const fn is_on_by_default(self) -> bool {
        match self {
            Self::Solo
            | Self::Silent
            | Self::Hung
            | Self::Frozen
            | Self::Memory
            | Self::Translator => true,
            Self::Preferred => false,
        }
    }

    /// How long to wait after attempt number `count` (from 1) that did not last.
    fn wait(self, count: u32) -> Duration {
        let (first, most) = match self {
            Self::Solo | Self::Silent => (60, 3600),
            Self::Hung | Self::Frozen | Self::Memory | Self::Translator => (600, 6 * 3600),
            Self::Preferred => (3600, 24 * 3600),
        };
        Duration::from_secs(first << count.saturating_sub(1).min(10)).min(Duration::from_secs(most))
    }
}

/// The automatic fixes that a user turned on or off. Stored as a list of those that differ from
/// their default. A list stored before [`Remediation::Preferred`] existed therefore keeps its
/// meaning, and an older version ignores the new name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RemediationSettings(BTreeSet<Remediation>);

impl RemediationSettings {
    /// Parses the stored list. A name known only to a newer version does not affect the others.
    pub fn parse(stored: &str) -> Self {
        let words: Vec<String> = serde_json::from_str(stored).unwrap_or_default();
        Self(
            words
                .into_iter()
                .filter_map(|word| word.parse().ok())
                .collect(),
        )
    }

    /// Whether it is on.
    pub fn is_on(&self, cure: Remediation) -> bool {
        cure.is_on_by_default() != self.0.contains(&cure)
    }

    /// Turns it on or off.
    pub fn set(&mut self, cure: Remediation, is_on: bool) {
        if is_on == cure.is_on_by_default() {
            self.0.remove(&cure);
        } else {
            self.0.insert(cure);
        }
    }
}

/// The automatic fixes of an instance that were tried and have not lasted yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemediationHistory(BTreeMap<Remediation, RemediationAttempt>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
struct RemediationAttempt {
    count: u32,
    last: Timestamp,
}

impl RemediationHistory {
    /// The earliest time for the next attempt; the beginning of time before the first one. An
    /// attempt in the future, because the clock was set back, counts as now.
    pub fn due(&self, cure: Remediation, now: Timestamp) -> Timestamp {
        self.0.get(&cure).map_or(Timestamp(0), |tried| {
            tried.last.min(now).after(cure.wait(tried.count))
        })
    }

    /// Moves attempts in the future, because the clock was set back, to `now`; returns whether
    /// there were any.
    pub fn set_back_to(&mut self, now: Timestamp) -> bool {
        let mut has_changed = false;
        for tried in self.0.values_mut().filter(|tried| tried.last > now) {
            (tried.last, has_changed) = (now, true);
        }
        has_changed
    }

    /// Attempts that did not last.
    pub fn count(&self, cure: Remediation) -> u32 {
        self.0.get(&cure).map_or(0, |tried| tried.count)
    }

    /// Records an attempt now.
    pub fn tried(&mut self, cure: Remediation, now: Timestamp) {
        let count = self.count(cure).saturating_add(1);
        self.0.insert(cure, RemediationAttempt { count, last: now });
    }

    /// There has been no such problem since `since`; returns whether attempts were dropped.
    pub fn is_well(&mut self, cure: Remediation, since: Timestamp, now: Timestamp) -> bool {
        now.since(since) >= LASTED && self.0.remove(&cure).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn a_cure_is_tried_at_once_then_ever_more_rarely_until_it_lasts() {
        let mut cures = RemediationHistory::default();
        let mut now = Timestamp(1_000_000_000);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(cures.due(Remediation::Solo, now) <= now);
            cures.tried(Remediation::Solo, now);
            let wait = cures.due(Remediation::Solo, now).since(now);
            waits.push(wait.as_secs() / 60);
            now = now.after(wait);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(
            cures.due(Remediation::Frozen, now) <= now,
            "each is judged for itself"
        );
        assert!(!cures.is_well(Remediation::Solo, now, now.after(Duration::from_secs(599))));
        assert!(cures.is_well(Remediation::Solo, now, now.after(LASTED)));
        assert!(
            !cures.is_well(Remediation::Solo, now, now.after(LASTED)),
            "nothing is left to forget"
        );
        assert_eq!(
            (
                cures.count(Remediation::Solo),
                cures.due(Remediation::Solo, now)
            ),
            (0, Timestamp(0))
        );
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_a_cure_wait_for_as_long_as_that() {
        let (mut cures, ahead, now) = (
            RemediationHistory::default(),
            Timestamp(2_000_000_000_000),
            Timestamp(1_900_000_000_000),
        );
        cures.tried(Remediation::Solo, ahead);
        assert!(cures.set_back_to(now) && !cures.set_back_to(now));
        assert_eq!(
            cures.due(Remediation::Solo, now),
            now.after(Duration::from_secs(60))
        );
    }

    #[test]
    fn what_is_switched_off_stays_so_whatever_a_newer_version_has_added() {
        let mut settings = RemediationSettings::default();
        settings.set(Remediation::Solo, false);
        settings.set(Remediation::Memory, false);
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(stored, r#"["solo","memory"]"#);
        assert_eq!(RemediationSettings::parse(&stored), settings);
        assert_eq!(
            RemediationSettings::parse(r#"["solo","prayer","memory"]"#),
            settings
        );
        assert_eq!(
            RemediationSettings::parse("[]"),
            RemediationSettings::default()
        );
    }

    #[test]
    fn what_was_stored_before_there_was_preferred_leaves_it_off() {
        for stored in ["[]", r#"["solo"]"#, r#"["frozen","memory","solo"]"#, ""] {
            let settings = RemediationSettings::parse(stored);
            assert!(!settings.is_on(Remediation::Preferred), "{stored}");
        }
        let mut settings = RemediationSettings::parse(r#"["solo"]"#);
        settings.set(Remediation::Preferred, true);
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(stored, r#"["solo","preferred"]"#);
        let settings = RemediationSettings::parse(&stored);
        let on: Vec<_> = Remediation::iter().filter(|c| settings.is_on(*c)).collect();
        assert_eq!(
            on,
            [
                Remediation::Silent,
                Remediation::Hung,
                Remediation::Frozen,
                Remediation::Memory,
                Remediation::Translator,
                Remediation::Preferred
            ]
        );
    }

    #[test]
    fn what_was_tried_outlives_the_manager() {
        let mut cures = RemediationHistory::default();
        cures.tried(Remediation::Memory, Timestamp(1_795_382_999_000));
        let kept = serde_json::to_string(&cures).unwrap();
        assert_eq!(
            kept,
            r#"{"memory":{"count":1,"last":"2026-11-22T21:29:59.000Z"}}"#
        );
        assert_eq!(
            serde_json::from_str::<RemediationHistory>(&kept).unwrap(),
            cures
        );
    }
}
