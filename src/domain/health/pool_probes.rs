//! Tests which pools and job declaration servers accept a client. Each server is tested once for
//! all waiting instances, and less often the longer it is not responding.

use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

use super::running_config::PoolEndpoints;
use crate::programs::sv2_peer::{PeerTarget, ProbeOutcome, probe};

/// How long a response is reused.
const FRESH: Duration = Duration::from_secs(2);
/// Pause after a failed probe of a server, by the time since it stopped responding. The first pause
/// is shorter than the 5 s interval of the monitor, so every round probes.
const PAUSES: [(Duration, Duration); 4] = [
    (Duration::from_secs(600), Duration::from_secs(4)),
    (Duration::from_secs(1200), Duration::from_secs(10)),
    (Duration::from_secs(2400), Duration::from_secs(20)),
    (Duration::MAX, Duration::from_secs(30)),
];
/// How long the state of an unused server is kept; longer than any pause, because the pause depends
/// on it.
const KEPT: Duration = Duration::from_secs(120);

/// The state of a server.
#[derive(Clone, Debug)]
struct KnownPeer {
    begun: Instant,
    ended: Instant,
    outcome: ProbeOutcome,
    /// Since when it has been responding, or not responding.
    since: Instant,
}

impl KnownPeer {
    fn is_fresh(&self) -> bool {
        match self.outcome.is_answer() {
            true => self.ended.elapsed() < FRESH,
            // Measured from the start of the probe: a silent server takes seconds to time out.
            false => self.begun.elapsed() < pause(self.since.elapsed()),
        }
    }
}

/// The pause before the next probe of a server that has not responded for `failing`.
fn pause(failing: Duration) -> Duration {
    PAUSES
        .iter()
        .find(|(until, _)| failing < *until)
        .map_or(Duration::ZERO, |(_, pause)| *pause)
}

/// Locked while the server is probed.
type PeerSlot = Arc<tokio::sync::Mutex<Option<KnownPeer>>>;

/// Probes servers. Shared by all instances.
#[derive(Debug, Default)]
pub(super) struct PeerProbes(Mutex<HashMap<PeerTarget, PeerSlot>>);

/// Result of the last probe of a pool and its job declaration server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpstreamProbe {
    /// Number of the pool in the configuration, from 1.
    pub number: usize,
    pub endpoints: PoolEndpoints,
    pub pool: ProbeOutcome,
    /// None if no job declaration server is configured.
    pub jds: Option<ProbeOutcome>,
}

impl UpstreamProbe {
    /// Both servers accept the client.
    pub fn is_complete(&self) -> bool {
        self.pool.is_answer() && self.jds.as_ref().is_none_or(ProbeOutcome::is_answer)
    }

    /// A server has a different key from the configuration.
    pub fn has_wrong_key(&self) -> bool {
        let is_wrong = |outcome: &ProbeOutcome| {
            matches!(outcome, ProbeOutcome::WrongKey | ProbeOutcome::InvalidKey)
        };
        is_wrong(&self.pool) || self.jds.as_ref().is_some_and(is_wrong)
    }

    /// The failures of its servers, each with the fix.
    pub fn failures(&self) -> Vec<String> {
        let jds = self.endpoints.jds.as_ref().zip(self.jds.as_ref());
        [Some((&self.endpoints.pool, &self.pool)), jds]
            .into_iter()
            .flatten()
            .filter(|(_, outcome)| !outcome.is_answer())
            .map(|(target, outcome)| outcome.text(target.role(), &target.name(Some(self.number))))
            .collect()
    }
}

/// Probe results during one run of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolProbeRecord {
    /// Start time of the client, as in its instance.
    started: Option<i64>,
    /// The last probe of each pool.
    pub upstreams: Vec<UpstreamProbe>,
    /// Pools that did not respond at some time during the run.
    seen_failing: Vec<PoolEndpoints>,
}

impl PoolProbeRecord {
    /// The record, if it belongs to this run.
    pub fn of_run(&self, started: Option<i64>) -> Self {
        match started.is_some() && self.started == started {
            true => self.clone(),
            false => Self::default(),
        }
    }

    /// Stores results; returns whether they changed.
    pub fn keep(&mut self, started: i64, upstreams: Vec<UpstreamProbe>) -> bool {
        // A probe that began before a restart may end after it.
        if self.started.is_some_and(|present| started < present) {
            return false;
        }
        if self.started != Some(started) {
            *self = Self {
                started: Some(started),
                ..Self::default()
            };
        }
        for failing in upstreams.iter().filter(|upstream| !upstream.is_complete()) {
            if !self.seen_failing.contains(&failing.endpoints) {
                self.seen_failing.push(failing.endpoints.clone());
            }
        }
        let is_news = self.upstreams != upstreams;
        self.upstreams = upstreams;
        is_news
    }

    /// Whether a pool did not respond at some time during the run.
    pub fn has_failed(&self, endpoints: &PoolEndpoints) -> bool {
        self.seen_failing.contains(endpoints)
    }
}

impl PeerProbes {
    /// Probes all pools and their job declaration servers in parallel, so a silent one does not
    /// delay the others.
    pub async fn probe_all(&self, pools: &[PoolEndpoints]) -> Vec<UpstreamProbe> {
        join_all(pools.iter().enumerate().map(|(at, endpoints)| async move {
            let jds = async {
                match &endpoints.jds {
                    Some(jds) => Some(self.ask(jds).await.outcome),
                    None => None,
                }
            };
            let (pool, jds) = tokio::join!(self.ask(&endpoints.pool), jds);
            UpstreamProbe {
                number: at + 1,
                endpoints: endpoints.clone(),
                pool: pool.outcome,
                jds,
            }
        }))
        .await
    }

    /// How long a pool and its job declaration server have responded to all probes; zero if one does
    /// not. Recent results are reused.
    pub async fn answering_for(&self, endpoints: &PoolEndpoints) -> Duration {
        let mut shortest = Duration::MAX;
        for target in [Some(&endpoints.pool), endpoints.jds.as_ref()]
            .into_iter()
            .flatten()
        {
            let known = self.ask(target).await;
            shortest = shortest.min(match known.outcome.is_answer() {
                true => known.since.elapsed(),
                false => Duration::ZERO,
            });
        }
        shortest
    }

    /// The state of a server; probes it if that state is too old.
    async fn ask(&self, target: &PeerTarget) -> KnownPeer {
        let shared = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|of, shared| {
                of == target
                    || Arc::strong_count(shared) > 1
                    || shared.try_lock().is_ok_and(|known| {
                        known
                            .as_ref()
                            .is_some_and(|known| known.ended.elapsed() < KEPT)
                    })
            });
            Arc::clone(all.entry(target.clone()).or_default())
        };
        let mut known = shared.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh()) {
            return known.clone();
        }
        let begun = Instant::now();
        let outcome = probe(target).await;
        let since = known
            .as_ref()
            .filter(|before| {
                before.outcome.is_answer() == outcome.is_answer() && before.ended.elapsed() < KEPT
            })
            .map_or(begun, |before| before.since);
        let now = KnownPeer {
            begun,
            ended: Instant::now(),
            outcome,
            since,
        };
        *known = Some(now.clone());
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::sv2_peer::PeerRole;
    use crate::programs::sv2_peer::fake_peer::{FakePeer, PUBLIC_KEY};
    use std::sync::atomic::Ordering;

    fn target(role: PeerRole, port: u16) -> PeerTarget {
        PeerTarget::new(role, "127.0.0.1", port).with_key(Some(PUBLIC_KEY.into()))
    }

    #[test]
    fn a_server_is_found_back_within_ten_seconds_for_ten_minutes_then_within_half_a_minute() {
        let after = |seconds| pause(Duration::from_secs(seconds)).as_secs();
        assert_eq!(
            [0, 599, 600, 1199, 1200, 2399, 2400, 1_000_000].map(after),
            [4, 4, 10, 10, 20, 20, 30, 30]
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_is_asked_once_for_all_that_wait_for_it() {
        let (pool, asked) = FakePeer::Answering.serve().await;
        let (jds, _) = FakePeer::Answering.serve().await;
        let gone = FakePeer::free_port().await;
        let endpoints = |pool, jds| PoolEndpoints {
            pool: target(PeerRole::Pool, pool),
            jds: Some(target(PeerRole::JobDeclarationServer, jds)),
        };
        let pools = [
            endpoints(pool, gone),
            endpoints(gone, jds),
            endpoints(pool, jds),
        ];
        let probes = PeerProbes::default();
        let found = join_all((0..50).map(|_| probes.probe_all(&pools))).await;
        for found in &found {
            assert_eq!(
                found
                    .iter()
                    .map(UpstreamProbe::is_complete)
                    .collect::<Vec<_>>(),
                [false, false, true]
            );
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // Only the one that fails is named.
        let failures = found[0][0].failures();
        assert_eq!(failures.len(), 1);
        assert!(
            failures[0].starts_with(&format!(
                "The job declaration server of pool 1 (127.0.0.1:{gone}) refused"
            )),
            "{failures:?}"
        );
        assert!(found[0][1].failures()[0].starts_with("Pool 2 (127.0.0.1:"));
        assert!(found[0][2].failures().is_empty());
        tokio::time::sleep(FRESH).await;
        assert!(probes.answering_for(&pools[2]).await >= FRESH);
        assert_eq!(
            asked.load(Ordering::SeqCst),
            2,
            "what was so a while ago is asked anew"
        );
        assert_eq!(probes.answering_for(&pools[0]).await, Duration::ZERO);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_fails_is_not_asked_again_at_once() {
        let (port, asked) = FakePeer::Closing.serve().await;
        let probes = PeerProbes::default();
        let target = target(PeerRole::Pool, port);
        for _ in 0..3 {
            assert!(!probes.ask(&target).await.outcome.is_answer());
        }
        tokio::time::sleep(FRESH + Duration::from_millis(100)).await;
        probes.ask(&target).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(Duration::from_millis(2100)).await;
        probes.ask(&target).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_record_is_of_one_run_and_knows_who_failed_in_it() {
        let endpoints = PoolEndpoints {
            pool: target(PeerRole::Pool, 1),
            jds: None,
        };
        let upstream = |pool| {
            vec![UpstreamProbe {
                number: 1,
                endpoints: endpoints.clone(),
                pool,
                jds: None,
            }]
        };
        let mut record = PoolProbeRecord::default();
        assert!(record.keep(5, upstream(ProbeOutcome::WrongKey)));
        assert!(!record.keep(5, upstream(ProbeOutcome::WrongKey)));
        assert!(record.upstreams[0].has_wrong_key());
        assert!(record.keep(5, upstream(ProbeOutcome::Answers)));
        assert!(record.has_failed(&endpoints) && record.upstreams[0].is_complete());
        assert!(record.of_run(Some(6)).upstreams.is_empty());
        assert!(record.of_run(None).upstreams.is_empty());
        assert!(record.of_run(Some(5)).has_failed(&endpoints));
        assert!(record.keep(6, upstream(ProbeOutcome::Answers)));
        assert!(!record.has_failed(&endpoints));
    }
}
