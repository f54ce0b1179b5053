//! Decides when a restart leads a client back to a pool: both servers of the pool accept it, and
//! nothing indicates another rejection. Slow work runs beside the monitor.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::pool_probes::{PeerProbes, PoolProbeRecord, UpstreamProbe};
use super::remediation::restart;
use super::remediation_policy::Remediation;
use super::running_config::PoolEndpoints;
use super::service::{HealthAssessment, HealthService};
use super::stagger::StaggerQueue;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::Result;
use crate::programs::jd_client::diagnosis::WorkState;

/// A client that has waited for its pools this long is not just starting: a handshake takes far
/// less than a second, and a pool that rejects is given up after 4 s (0.6.0).
const WAITING: Duration = Duration::from_secs(15);
/// How long a preferred pool must have responded before the client leaves a fallback pool.
pub(super) const PREFERRED: Duration = Duration::from_secs(600);

/// Purpose of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbePurpose {
    /// Report the problem.
    Report,
    /// Restart the client if that leads it back to a pool.
    Restart(Remediation),
}

impl HealthAssessment {
    /// Why its pools are probed now; none: no probe. `is_allowed`: the needed automatic fix is on
    /// and due.
    pub(super) fn probe_purpose(
        &self,
        needed: Option<Remediation>,
        is_allowed: bool,
        now: Timestamp,
    ) -> Option<ProbePurpose> {
        match needed {
            Some(Remediation::Solo) if is_allowed && !self.is_refused_lately(now) => {
                Some(ProbePurpose::Restart(Remediation::Solo))
            }
            Some(Remediation::Silent) if is_allowed => {
                Some(ProbePurpose::Restart(Remediation::Silent))
            }
            Some(Remediation::Solo | Remediation::Silent) => Some(ProbePurpose::Report),
            Some(Remediation::Preferred) if is_allowed => {
                Some(ProbePurpose::Restart(Remediation::Preferred))
            }
            None if self.is_waiting_for_pool(now) => Some(ProbePurpose::Report),
            _ => None,
        }
    }

    fn is_waiting_for_pool(&self, now: Timestamp) -> bool {
        let since = match self.standing.work {
            WorkState::Trying { since } => since,
            _ => return false,
        };
        self.instance.running && self.running.wants_pool() && now.since(since) > WAITING
    }

    /// Number of the pool that rejected the client because of a setting, unless a newer
    /// configuration was saved. It accepts probes anyway.
    fn refusing_pool(&self) -> Option<u64> {
        self.standing
            .pool_left
            .as_ref()
            .filter(|left| left.code.is_final() && !self.instance.is_outdated())
            .map(|left| left.number)
    }

    /// A pool responds but rejected the client because of a setting. Only a changed setting, or a
    /// response after a failure, makes another restart useful.
    pub(super) fn is_held(&self) -> bool {
        self.standing.is_refused_for_good()
            && !self.instance.is_outdated()
            && self.cures.count(Remediation::Solo) > 0
            && self.probed.upstreams.iter().any(UpstreamProbe::is_complete)
    }

    /// The pool that a restart would lead back to; none: a restart would not help.
    fn destination<'a>(
        &self,
        probed: &'a [UpstreamProbe],
        record: &PoolProbeRecord,
    ) -> Option<&'a UpstreamProbe> {
        let is_useful = |upstream: &&UpstreamProbe| {
            !self.standing.is_refused_for_good()
                || self.instance.is_outdated()
                || self.cures.count(Remediation::Solo) == 0
                || record.has_failed(&upstream.endpoints)
        };
        probed
            .iter()
            .filter(|upstream| upstream.is_complete())
            .find(is_useful)
    }
}

/// Probes the pools of an instance, stores the results, and restarts the client if allowed and
/// useful.
pub(super) async fn probe_pools(
    health: &HealthService,
    probes: &PeerProbes,
    (turns, stop): (&StaggerQueue, &CancellationToken),
    seen: HealthAssessment,
    purpose: ProbePurpose,
) {
    let result: Result<()> = async {
        let (id, started) = (
            seen.instance.id,
            seen.instance.start_time.unwrap_or_default(),
        );
        let pools = pools_after_restart(health, &seen).await?;
        match purpose {
            ProbePurpose::Report
            | ProbePurpose::Restart(Remediation::Solo | Remediation::Silent) => {
                let record = keep(health, &seen, probes.probe_all(&pools).await).await?;
                let ProbePurpose::Restart(cure) = purpose else {
                    return Ok(());
                };
                if seen.destination(&record.upstreams, &record).is_none() {
                    return Ok(());
                }
                // Probed again in its turn: many clients may have returned to the pool by then and
                // overloaded it.
                let words = async {
                    let probed = probes.probe_all(&pools).await;
                    let pool = seen.destination(&probed, &record)?;
                    let (what, why) = match cure {
                        Remediation::Silent => (
                            "the pool stopped responding on the open connection",
                            "restarting the client to reconnect",
                        ),
                        _ => (
                            "mining solo even though a pool is configured",
                            "restarting the client because it does not switch back automatically",
                        ),
                    };
                    Some(format!(
                        "{what}; pool {} ({}) and its job declaration server are accepting connections again: {why}",
                        pool.number,
                        pool.endpoints.words()
                    ))
                };
                restart(health, (turns, stop), (id, started), cure, words).await;
            }
            ProbePurpose::Restart(cure) => {
                let preferred = preferred(&seen, &pools);
                let Some(number) = first_steady(probes, preferred, seen.refusing_pool()).await else {
                    return Ok(());
                };
                let words = async {
                    let pool = preferred.get(number - 1)?;
                    // It may have stopped responding while others had their turns.
                    let is_steady = probes.answering_for(pool).await >= PREFERRED;
                    is_steady.then(|| {
                        format!(
                            "connected to a fallback pool; pool {number} ({}) and its job declaration server have been available for {}: restarting the client because it does not switch back automatically",
                            pool.words(),
                            human_duration(PREFERRED)
                        )
                    })
                };
                restart(health, (turns, stop), (id, started), cure, words).await;
            }
        }
        Ok(())
    }
    .await;
    if let Err(error) = result {
        tracing::warn!(instance = %seen.instance.id, %error, "cannot test the instance's pools; will retry");
    }
}

/// The pools after a restart, which applies configuration changes saved since the last start.
async fn pools_after_restart(
    health: &HealthService,
    seen: &HealthAssessment,
) -> Result<Vec<PoolEndpoints>> {
    if !seen.instance.is_outdated() {
        return Ok(seen.running.pools.clone());
    }
    let saved = health.instances().saved_config(&seen.instance).await?;
    Ok(PoolEndpoints::of_saved(&saved))
}

/// Stores the results. Changed results trigger a check, so that they are shown.
async fn keep(
    health: &HealthService,
    seen: &HealthAssessment,
    probed: Vec<UpstreamProbe>,
) -> Result<PoolProbeRecord> {
    let (id, started) = (
        seen.instance.id,
        seen.instance.start_time.unwrap_or_default(),
    );
    let mut record = PoolProbeRecord::default();
    let mut is_news = false;
    health.0.change(id, |kept| {
        is_news = kept.probed.keep(started, probed);
        record = kept.probed.clone();
    });
    if is_news {
        health.check_instance(id, false).await?;
    }
    Ok(record)
}

/// The pools before the current one of the client.
fn preferred<'a>(seen: &HealthAssessment, pools: &'a [PoolEndpoints]) -> &'a [PoolEndpoints] {
    let present = seen.standing.upstream.as_ref();
    let before = present
        .and_then(|present| usize::try_from(present.number).ok())
        .unwrap_or(1)
        .saturating_sub(1)
        .min(pools.len());
    pools.get(..before).unwrap_or_default()
}

/// Number of the first of these pools that has responded long enough.
async fn first_steady(
    probes: &PeerProbes,
    pools: &[PoolEndpoints],
    refusing: Option<u64>,
) -> Option<usize> {
    let mut first = None;
    for (at, pool) in pools.iter().enumerate() {
        // Also those after the first: their time counts from their first probe.
        let is_steady = probes.answering_for(pool).await >= PREFERRED;
        let number = at + 1;
        if is_steady && first.is_none() && refusing != u64::try_from(number).ok() {
            first = Some(number);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::remediation_policy::{RemediationHistory, RemediationSettings};
    use crate::domain::health::running_config::RunningConfig;
    use crate::domain::instances::Instance;
    use crate::keeper::machine::InstanceState;
    use crate::programs::jd_client::diagnosis::{ClientStatus, UpstreamAddress};
    use crate::programs::sv2_peer::{PeerRole, PeerTarget, ProbeOutcome};

    const NOW: Timestamp = Timestamp(1_795_400_000_000);
    const STARTED: i64 = NOW.0 - 60_000;

    fn pools() -> Vec<PoolEndpoints> {
        let pool = |port| PoolEndpoints {
            pool: PeerTarget::new(PeerRole::Pool, "pool.example", port),
            jds: Some(PeerTarget::new(
                PeerRole::JobDeclarationServer,
                "pool.example",
                port + 1,
            )),
        };
        vec![pool(1000), pool(2000), pool(3000)]
    }

    fn probed(outcomes: [(ProbeOutcome, ProbeOutcome); 3]) -> Vec<UpstreamProbe> {
        let with_number = (1..).zip(pools()).zip(outcomes);
        with_number
            .map(|((number, endpoints), (pool, jds))| UpstreamProbe {
                number,
                endpoints,
                pool,
                jds: Some(jds),
            })
            .collect()
    }

    /// A client with this work whose last pool is the second of three.
    fn seen(work: WorkState, why: Option<&str>) -> HealthAssessment {
        let mut instance = Instance::sample(InstanceState::Running);
        instance.start_time = Some(STARTED);
        HealthAssessment {
            instance,
            running: RunningConfig {
                pools: pools(),
                ..RunningConfig::default()
            },
            standing: ClientStatus {
                work,
                upstream: Some(UpstreamAddress {
                    number: 2,
                    of: 3,
                    why: why.map(str::to_owned),
                    ..UpstreamAddress::default()
                }),
                ..ClientStatus::default()
            },
            measured: None,
            translator: None,
            cures: RemediationHistory::default(),
            settings: RemediationSettings::default(),
            probed: PoolProbeRecord::default(),
        }
    }

    fn solo(why: Option<&str>) -> HealthAssessment {
        seen(WorkState::Solo { since: NOW }, why)
    }

    #[test]
    fn a_restart_leads_to_the_first_pool_of_which_both_servers_answer() {
        use ProbeOutcome::{Answers, ConnectionRefused, WrongKey};
        let record = PoolProbeRecord::default();
        let number = |outcomes| {
            let probed = probed(outcomes);
            let found = solo(None);
            let found = found.destination(&probed, &record);
            found.map(|pool| pool.number)
        };
        let both = || (Answers, Answers);
        assert_eq!(
            number([(Answers, ConnectionRefused), both(), both()]),
            Some(2)
        );
        assert_eq!(number([both(), both(), both()]), Some(1));
        assert_eq!(
            number([
                (Answers, ConnectionRefused),
                (ConnectionRefused, Answers),
                (WrongKey, Answers)
            ]),
            None
        );
    }

    #[test]
    fn a_client_that_is_refused_for_good_is_restarted_once_until_something_changes() {
        use ProbeOutcome::Answers;
        let all = probed([(Answers, Answers), (Answers, Answers), (Answers, Answers)]);
        let mut client = solo(Some("the pool opened no channel: unknown-user"));
        client.probed.keep(STARTED, all.clone());
        let record = client.probed.clone();
        assert!(!client.is_held() && client.destination(&all, &record).is_some());
        client.cures.tried(Remediation::Solo, NOW);
        assert!(client.is_held(), "it was tried once");
        assert_eq!(client.destination(&all, &record), None);
        // Another client that lost its pool is not.
        let mut lost = solo(Some("lost"));
        lost.cures.tried(Remediation::Solo, NOW);
        assert!(!lost.is_held() && lost.destination(&all, &record).is_some());
        // A pool that failed in the meantime may have been changed.
        let mut failed = PoolProbeRecord::default();
        failed.keep(
            STARTED,
            probed([
                (Answers, Answers),
                (Answers, ProbeOutcome::WrongKey),
                (Answers, Answers),
            ]),
        );
        let found = client.destination(&all, &failed);
        assert_eq!(found.map(|pool| pool.number), Some(2));
        // The configuration was changed.
        client.instance.running_revision = Some(client.instance.config_revision - 1);
        assert!(!client.is_held() && client.destination(&all, &record).is_some());
    }

    #[test]
    fn pools_are_probed_only_for_a_reason() {
        let purpose = |client: &HealthAssessment, is_allowed| {
            let needed = client.needed(NOW).map(|(cure, _)| cure);
            client.probe_purpose(needed, is_allowed, NOW)
        };
        let restart = |cure| Some(ProbePurpose::Restart(cure));
        assert_eq!(purpose(&solo(None), true), restart(Remediation::Solo));
        assert_eq!(purpose(&solo(None), false), Some(ProbePurpose::Report));
        let fallback = seen(WorkState::Pool { since: NOW }, None);
        assert_eq!(purpose(&fallback, true), restart(Remediation::Preferred));
        assert_eq!(purpose(&fallback, false), None);
        let mut first = fallback.clone();
        if let Some(upstream) = &mut first.standing.upstream {
            upstream.number = 1;
        }
        assert_eq!(purpose(&first, true), None);
        let trying = |before: u64| {
            let since = Timestamp(NOW.0 - i64::try_from(before).unwrap() * 1000);
            purpose(&seen(WorkState::Trying { since }, None), true)
        };
        assert_eq!(trying(5), None);
        assert_eq!(trying(16), Some(ProbePurpose::Report));
    }

    #[test]
    fn the_preferred_pools_are_those_before_the_present_one() {
        let fallback = seen(WorkState::Pool { since: NOW }, None);
        assert_eq!(preferred(&fallback, &pools()), &pools()[..1]);
        assert_eq!(preferred(&fallback, &[]), &[]);
    }
}
