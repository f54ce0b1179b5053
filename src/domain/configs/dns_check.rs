//! Checks whether this machine can resolve the host names of a configuration. Failures are only
//! warnings, because DNS problems can be temporary.
//!
//! A lookup can take long, so callers wait only for a moment; later results are used for the next
//! check. This is the only part of `configs` that uses the network.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

use super::model::{ClientConfig, TemplateProvider};
use super::rules::{address, is_for_documents, is_localhost};
use crate::base::error::FieldError;

/// How long a request waits for lookups.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long a result is valid.
const FRESH: Duration = Duration::from_secs(60);
/// The maximum number of lookups at the same time. A hanging resolver blocks one thread for each.
const AT_ONCE: usize = 8;
/// The maximum number of stored results.
const REMEMBERED: usize = 1000;

type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The lookup results; cheap to clone.
#[derive(Clone)]
pub(super) struct HostNames {
    /// Whether a name could be resolved, and when that was checked.
    known: Arc<Mutex<HashMap<String, (Instant, bool)>>>,
    places: Arc<Semaphore>,
    lookup: Lookup,
    patience: Duration,
}

impl fmt::Debug for HostNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hosts")
    }
}

impl HostNames {
    /// Uses the system's resolver.
    pub fn new() -> Self {
        let lookup: Lookup = Arc::new(|name| {
            Box::pin(async move {
                tokio::net::lookup_host((name, 0))
                    .await
                    .is_ok_and(|mut found| found.next().is_some())
            })
        });
        Self::with(lookup, PATIENCE)
    }

    fn with(lookup: Lookup, patience: Duration) -> Self {
        Self {
            known: Arc::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            lookup,
            patience,
        }
    }

    /// A warning for each field whose name cannot be resolved. Pointers are relative to the
    /// configuration.
    pub async fn doubts(&self, config: &ClientConfig) -> Vec<FieldError> {
        let fields = names(config);
        let mut unknown: Vec<&str> = fields
            .values()
            .map(String::as_str)
            .filter(|name| self.is_known(name).is_none())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let lookups: Vec<_> = unknown
            .into_iter()
            .filter_map(|name| self.spawn_lookup(name))
            .collect();
        // Slower lookups continue in the background.
        let _ = tokio::time::timeout(self.patience, futures_util::future::join_all(lookups)).await;
        let lost = fields
            .into_iter()
            .filter(|(_, name)| self.is_known(name) == Some(false));
        lost.map(|(pointer, name)| {
            let detail = format!("jd-manager cannot resolve {name} at the moment. Check the spelling and the network connection.");
            FieldError::new(pointer, detail)
        })
        .collect()
    }

    fn is_known(&self, name: &str) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(name)
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map(|(_, resolves)| *resolves)
    }

    /// Starts a lookup in its own task; none if too many are running.
    fn spawn_lookup(&self, name: &str) -> Option<tokio::task::JoinHandle<()>> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let (known, lookup, name) = (self.known.clone(), self.lookup.clone(), name.to_owned());
        Some(tokio::spawn(async move {
            let resolves = lookup(name.clone()).await;
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.retain(|_, (at, _)| at.elapsed() < FRESH);
            }
            if known.len() < REMEMBERED {
                known.insert(name, (Instant::now(), resolves));
            }
            drop(place);
        }))
    }
}

/// The names that the client will resolve, by field. IP addresses and localhost need no lookup, and
/// documentation names have their own warning.
fn names(config: &ClientConfig) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut note = |pointer: String, host: &str| {
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if !is_address && !is_for_documents(host) && !is_localhost(host) {
            fields.insert(pointer, host.to_ascii_lowercase());
        }
    };
    if config.mode.needs_pool() {
        for (at, pool) in config.upstreams.iter().enumerate() {
            note(format!("/upstreams/{at}/pool_address"), &pool.pool_address);
            note(format!("/upstreams/{at}/jds_address"), &pool.jds_address);
        }
    }
    if let TemplateProvider::Sv2Tp { address, .. } = &config.template_provider_type
        && let Ok((host, _)) = address::host_port(address)
    {
        note("/template_provider_type/Sv2Tp/address".into(), &host);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    fn config(pool: &str, jds: &str, provider: &str) -> ClientConfig {
        let mut config = samples::pool();
        config.upstreams[0].pool_address = pool.into();
        config.upstreams[0].jds_address = jds.into();
        config.template_provider_type = TemplateProvider::Sv2Tp {
            address: provider.into(),
            public_key: None,
            network: None,
        };
        config
    }

    fn pointers(doubts: Vec<FieldError>) -> Vec<String> {
        doubts.into_iter().map(|one| one.pointer).collect()
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_told_at_its_field_and_asked_for_once() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let lookup: Lookup = Arc::new(move |name| {
            noted.lock().unwrap().push(name.clone());
            Box::pin(async move { name.starts_with("good") })
        });
        let hosts = HostNames::with(lookup, Duration::from_secs(30));
        let bad = config("bad.attic.lan", "good.attic.lan", "BAD.attic.lan:8442");
        for _ in 0..2 {
            let told = pointers(hosts.doubts(&bad).await);
            assert_eq!(
                told,
                [
                    "/template_provider_type/Sv2Tp/address",
                    "/upstreams/0/pool_address"
                ]
            );
        }
        assert_eq!(*asked.lock().unwrap(), ["bad.attic.lan", "good.attic.lan"]);
        // Addresses and names of documents are not asked for, nor pools that are not used.
        assert!(
            hosts
                .doubts(&config("10.0.0.1", "[::1]", "tp.example.com:1"))
                .await
                .is_empty()
        );
        let solo = ClientConfig {
            mode: crate::domain::configs::MiningMode::SoloMining,
            ..config("x.attic.lan", "y.attic.lan", "127.0.0.1:1")
        };
        assert!(hosts.doubts(&solo).await.is_empty());
        assert_eq!(asked.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_resolver_that_hangs() {
        let patience = Duration::from_millis(100);
        let hosts = HostNames::with(Arc::new(|_| Box::pin(std::future::pending())), patience);
        let begun = Instant::now();
        for number in 0..40 {
            let name = format!("host{number}.attic.lan");
            assert!(
                hosts
                    .doubts(&config(&name, &name, "127.0.0.1:1"))
                    .await
                    .is_empty()
            );
        }
        // If all lookup slots are in use, there is nothing to wait for.
        assert!(begun.elapsed() < patience * 20, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn the_machines_resolver_knows_itself() {
        assert!((HostNames::new().lookup)("localhost".into()).await);
    }
}
