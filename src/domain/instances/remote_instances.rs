//! The instances of other hosts, for lists. The hosts store them here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::model::Instance;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;

/// The instances of all other hosts; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RemoteInstances(Arc<RwLock<RemoteHosts>>);

#[derive(Debug, Default)]
struct RemoteHosts {
    /// By the name of the host.
    hosts: BTreeMap<String, HostInstances>,
    /// The number of changes, for cached lists.
    changes: u64,
}

/// The instances of a host, and a problem with the host that lists mention.
#[derive(Clone, Debug, Default)]
pub struct HostInstances {
    /// The last known ones.
    pub instances: Arc<[Instance]>,
    /// Since when there is no connection to the host, and why, as a sentence.
    pub problem: Option<(Timestamp, String)>,
}

impl HostInstances {
    /// The instances that differ in more than metrics and durations.
    fn differences(&self, now: &Self) -> Vec<InstanceId> {
        let is_lost = |host: &Self| host.problem.is_some();
        let is_same = |a: &Instance, b: &Instance| {
            let parts = |one: &Instance| (one.status, one.since, one.autostart, one.failures);
            let health = |one: &Instance| one.health.as_ref().map(|health| health.status);
            parts(a) == parts(b)
                && health(a) == health(b)
                && (&a.name, &a.tags, &a.warning, &a.mute)
                    == (&b.name, &b.tags, &b.warning, &b.mute)
                && a.running_version == b.running_version
        };
        let all_differ = is_lost(self) != is_lost(now);
        let earlier: HashMap<InstanceId, &Instance> =
            self.instances.iter().map(|one| (one.id, one)).collect();
        let present: HashSet<InstanceId> = now.instances.iter().map(|one| one.id).collect();
        let gone = earlier.keys().copied().filter(|id| !present.contains(id));
        let changed = now.instances.iter().filter(|one| {
            let then = earlier.get(&one.id);
            all_differ || then.is_none_or(|then| !is_same(then, one))
        });
        gone.chain(changed.map(|one| one.id)).collect()
    }
}

/// A problem with a host that lists mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMention {
    /// The name of the host.
    pub host: String,
    /// The problem as a sentence.
    pub text: String,
}

impl RemoteInstances {
    /// Differs whenever an instance may have changed.
    pub fn changes(&self) -> u64 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.changes
    }

    /// Sets the instances of a host. `None`: the host was removed. Returns the ids of instances that
    /// differ in more than metrics and durations.
    pub fn set(&self, host: &str, now: Option<HostInstances>) -> Vec<InstanceId> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = now.clone().unwrap_or_default();
        let before = match now {
            Some(now) => known.hosts.insert(host.to_owned(), now),
            None => known.hosts.remove(host),
        };
        known.changes += 1;
        before.unwrap_or_default().differences(&fresh)
    }

    /// The last known instances of a host.
    pub fn of_host(&self, host: &str) -> Arc<[Instance]> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.hosts.get(host);
        found.map(|host| host.instances.clone()).unwrap_or_default()
    }

    /// The instances of all other hosts, by host.
    pub fn all(&self) -> Vec<Instance> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_host = |host: &HostInstances| {
            let since = host.problem.as_ref().map(|(since, _)| *since);
            let current = move |one: &Instance| one.clone().with_connection(since);
            host.instances.iter().map(current).collect::<Vec<_>>()
        };
        known.hosts.values().flat_map(of_host).collect()
    }

    /// An instance of another host.
    pub fn get(&self, id: InstanceId) -> Option<Instance> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.hosts.values().find_map(|host| {
            let found = host.instances.iter().find(|one| one.id == id)?;
            let since = host.problem.as_ref().map(|(since, _)| *since);
            Some(found.clone().with_connection(since))
        })
    }

    /// Whether there are other hosts.
    pub fn is_used(&self) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !known.hosts.is_empty()
    }

    /// The problems with hosts.
    pub fn problems(&self) -> Vec<HostMention> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mention = |(name, host): (&String, &HostInstances)| {
            let (_, text) = host.problem.as_ref()?;
            Some(HostMention {
                host: name.clone(),
                text: text.clone(),
            })
        };
        known.hosts.iter().filter_map(mention).collect()
    }
}
