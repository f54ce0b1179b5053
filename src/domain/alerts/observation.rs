//! What alerts are about, and what was observed of it. Values only: no I/O, no clock.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, RuleId};
use crate::domain::instances::InstanceTags;
use crate::domain::miners::series_detail;
use crate::domain::mutes::MuteSet;
use crate::keeper::machine::InstanceState;

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlertSubject {
    /// An instance of this machine.
    Instance(InstanceId),
    /// Another machine, by its name.
    Host(String),
}

impl AlertSubject {
    /// The id of the instance.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Instance(id) => Some(*id),
            Self::Host(_) => None,
        }
    }

    /// The name of the host.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Instance(_) => None,
            Self::Host(name) => Some(name),
        }
    }

    /// Until when a rule sends nothing about it; `tags`: those of an instance.
    pub fn muted_until(
        &self,
        mutes: &MuteSet,
        rule: RuleId,
        tags: Option<&InstanceTags>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let tags = tags.into_iter().flat_map(InstanceTags::iter);
        match self {
            Self::Instance(id) => mutes.until(rule, *id, tags, now),
            Self::Host(_) => mutes.of_rule(rule, now).map(|mute| mute.until),
        }
    }
}

/// The id of an instance, or the name of a host.
impl std::fmt::Display for AlertSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance(id) => id.fmt(f),
            Self::Host(name) => f.write_str(name),
        }
    }
}

/// An observation of an instance or a host at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertObservation {
    /// Of an instance.
    Instance(InstanceObservation),
    /// Of a host.
    Host(HostObservation),
}

impl From<InstanceObservation> for AlertObservation {
    fn from(seen: InstanceObservation) -> Self {
        Self::Instance(seen)
    }
}

impl From<HostObservation> for AlertObservation {
    fn from(seen: HostObservation) -> Self {
        Self::Host(seen)
    }
}

impl AlertObservation {
    /// What was observed.
    pub fn subject(&self) -> AlertSubject {
        match self {
            Self::Instance(seen) => AlertSubject::Instance(seen.instance),
            Self::Host(seen) => AlertSubject::Host(seen.name.clone()),
        }
    }

    /// The name of the instance or host.
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(seen) => &seen.name,
            Self::Host(seen) => &seen.name,
        }
    }

    /// When the observation was made.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Instance(seen) => seen.at,
            Self::Host(seen) => seen.at,
        }
    }

    /// The tags of the instance; a host has none.
    pub const fn tags(&self) -> Option<&InstanceTags> {
        match self {
            Self::Instance(seen) => Some(&seen.tags),
            Self::Host(_) => None,
        }
    }

    /// The user stopped it: no condition holds, and that is not reported.
    pub const fn is_at_rest(&self) -> bool {
        match self {
            Self::Instance(seen) => seen.is_at_rest,
            Self::Host(_) => false,
        }
    }
}

/// An observation of a host at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostObservation {
    /// The name of the host.
    pub name: String,
    /// When the observation was made.
    pub at: Timestamp,
    /// Why it cannot be used; the inner `None`: it responds; the outer `None`: not known yet.
    pub problem: Option<Option<ObservedCause>>,
}

/// An observation of an instance at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceObservation {
    /// The id of the instance.
    pub instance: InstanceId,
    /// The name of the instance.
    pub name: String,
    /// The tags of the instance.
    pub tags: InstanceTags,
    /// When the observation was made.
    pub at: Timestamp,
    /// The instance should be running.
    pub is_wanted: bool,
    /// The user stopped the instance: no condition holds, and that is not reported.
    pub is_at_rest: bool,
    /// The state of the instance.
    pub state: InstanceState,
    /// Why its last client exited, if known.
    pub cause: Option<ObservedCause>,
    /// The results of its health checks.
    pub checks: Vec<ObservedCheck>,
    /// The newer client that is available; the outer `None` means that the version of the current
    /// client is unknown.
    pub available_update: Option<Option<String>>,
    /// The newest value of each metric, if known.
    pub figures: BTreeMap<String, f64>,
    /// Total number of blocks found; never decreases.
    pub blocks: u64,
    /// The best difficulty of a share; `None` if unknown.
    pub best_difficulty: Option<f64>,
    /// Its listed miners; `None` if they were not read.
    pub miners: Option<Vec<ObservedMiner>>,
}

/// A listed miner of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedMiner {
    /// Its username or identity.
    pub name: String,
    /// Its IP address; may be empty.
    pub address: String,
    /// Whether it is offline; `None` while the program that it connects to is not running, or its
    /// monitoring does not respond.
    pub is_offline: Option<bool>,
}

impl ObservedMiner {
    /// Name and address, which distinguish it from the other miners of the instance.
    pub fn id(&self) -> String {
        series_detail(&self.name, &self.address)
    }
}

/// Why a client exited, or a host cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedCause {
    /// In a few words: `the template provider refused the connection`.
    pub what: String,
    /// What to do, in sentences.
    pub advice: String,
}

/// The result of one health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedCheck {
    /// The name of the check.
    pub check: String,
    /// `healthy`, `warning`, `unhealthy` or `unknown`.
    pub status: String,
    /// The details and what to do, in sentences.
    pub message: String,
}
