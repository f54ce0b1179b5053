//! Collects observations of all instances and hosts for the alerts: periodically, and of instances
//! also after each change. Does not evaluate rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::observation::{
    AlertObservation, AlertSubject, HostObservation, InstanceObservation, ObservedCause,
    ObservedCheck, ObservedMiner,
};
use super::service::Alerts;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::health::HealthService;
use crate::domain::health::model::score;
use crate::domain::hosts::HostService;
use crate::domain::hosts::model::{Host, HostState};
use crate::domain::instances::{Instance, MinerProtocol};
use crate::domain::metrics::{LatestFigures, MetricService, MonitoringState};
use crate::domain::miners::{ListedMiner, MinerService, TranslatorReport};
use crate::keeper::machine::InstanceState;

/// The interval of rounds over all instances and hosts, for values that change without an event.
const ROUND: Duration = Duration::from_secs(10);
/// How long an instance that should run may be stopped before it counts as a problem: a stop takes
/// at most 15 s.
const REST: Duration = Duration::from_secs(16);
/// Changes within this time share one observation.
const COALESCE: Duration = Duration::from_millis(300);

/// Observes instances and hosts and passes the observations to the alerts.
#[derive(Debug)]
pub struct AlertFeed {
    alerts: Alerts,
    health: HealthService,
    hosts: HostService,
    metrics: MetricService,
    /// The number of blocks found by each instance, as of the last round.
    blocks: HashMap<InstanceId, u64>,
    known: HashSet<AlertSubject>,
    /// Since when instances that should run have been stopped.
    resting: HashMap<InstanceId, Instant>,
    miners: MinerService,
    /// The listed miners of each instance, as of the last round; `None` without a rule about them.
    listed: Option<HashMap<InstanceId, Vec<ListedMiner>>>,
    /// Which programs responded in the last round, and in the last two.
    answers: HashMap<InstanceId, (ProgramAnswers, ProgramAnswers)>,
}

/// Which programs of an instance are running and tell who is connected: the monitoring of each
/// responded last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ProgramAnswers {
    client: bool,
    translator: bool,
}

impl ProgramAnswers {
    /// Those that responded both times.
    const fn and(self, other: Self) -> Self {
        Self {
            client: self.client && other.client,
            translator: self.translator && other.translator,
        }
    }

    /// Whether the program that these miners connect to is one of them.
    const fn has(self, protocol: MinerProtocol) -> bool {
        match protocol {
            MinerProtocol::V1 => self.translator,
            MinerProtocol::V2 => self.client,
        }
    }
}

impl AlertFeed {
    /// A feed that has not observed anything yet.
    pub fn new(
        alerts: Alerts,
        health: HealthService,
        metrics: MetricService,
        miners: MinerService,
        hosts: HostService,
    ) -> Self {
        Self {
            alerts,
            health,
            hosts,
            metrics,
            blocks: HashMap::new(),
            known: HashSet::new(),
            resting: HashMap::new(),
            miners,
            listed: None,
            answers: HashMap::new(),
        }
    }

    /// Observes until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.health.instances().changes();
        // `None` before the first round: the number of blocks found before is not known yet.
        let mut round: Option<Instant> = None;
        let mut changed = HashSet::new();
        loop {
            let is_round = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(round.map_or(Duration::ZERO, |at| ROUND.saturating_sub(at.elapsed()))) => true,
                told = changes.recv() => match told {
                    Ok(id) => {
                        changed.insert(id);
                        false
                    }
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return,
                },
            };
            let is_round = is_round || round.is_none();
            if is_round {
                round = Some(Instant::now());
            } else {
                tokio::time::sleep(COALESCE).await;
                while let Ok(id) = changes.try_recv() {
                    changed.insert(id);
                }
            }
            let only = std::mem::take(&mut changed);
            if let Err(error) = self.observe_all((!is_round).then_some(&only)).await
                && !stop.is_cancelled()
            {
                tracing::warn!(%error, "the instances' state could not be read for alerts; jd-manager will retry");
            }
        }
    }

    /// Observes all instances and hosts, or only these instances.
    async fn observe_all(&mut self, only: Option<&HashSet<InstanceId>>) -> Result<()> {
        let instances = self.health.instances().list().await?;
        let mut seen: Vec<AlertObservation> = Vec::new();
        if only.is_none() {
            self.blocks = self.metrics.blocks_found().await?;
            let hosts = self.hosts.list().into_iter().map(observed_host);
            seen.extend(hosts.map(AlertObservation::Host));
            let hosts = seen.iter().map(AlertObservation::subject);
            let ids = instances.iter().map(|instance| instance.id);
            let present: HashSet<AlertSubject> =
                ids.map(AlertSubject::Instance).chain(hosts).collect();
            for gone in self.known.difference(&present) {
                self.alerts.clear(gone).await;
            }
            self.resting
                .retain(|id, _| present.contains(&AlertSubject::Instance(*id)));
            self.known = present;
            // First, so that the list is not older.
            self.note_answers(&instances);
            self.listed = self.listed_miners().await?;
        }
        for instance in instances {
            if only.is_none_or(|only| only.contains(&instance.id)) {
                seen.push(self.observe(instance).into());
            }
        }
        self.alerts.observe(seen).await
    }

    async fn listed_miners(&self) -> Result<Option<HashMap<InstanceId, Vec<ListedMiner>>>> {
        if !self.alerts.has_miner_rules().await? {
            return Ok(None);
        }
        let mut listed: HashMap<InstanceId, Vec<ListedMiner>> = HashMap::new();
        for miner in self.miners.listed().await? {
            listed.entry(miner.instance_id).or_default().push(miner);
        }
        Ok(Some(listed))
    }

    /// Remembers which programs respond now.
    fn note_answers(&mut self, instances: &[Instance]) {
        let answers = instances.iter().map(|instance| {
            let now = self.present_answers(instance);
            let before = self.answers.get(&instance.id);
            let before = before.map(|(before, _)| *before).unwrap_or_default();
            (instance.id, (now, now.and(before)))
        });
        self.answers = answers.collect();
    }

    fn present_answers(&self, instance: &Instance) -> ProgramAnswers {
        let measured = self.metrics.current(instance.id);
        let report = self.health.translator_report(instance.id);
        ProgramAnswers {
            client: client_answers(instance, measured.as_ref()),
            translator: translator_answers(instance, report.as_ref()),
        }
    }

    /// The miners of an instance. The first response after a pause may not be in the list yet, so
    /// only the second one counts.
    fn observed_miners(&self, instance: &Instance) -> Option<Vec<ObservedMiner>> {
        let listed = self.listed.as_ref()?.get(&instance.id);
        let answers = self.answers.get(&instance.id);
        let lasting = answers.map(|(_, both)| *both).unwrap_or_default();
        let answers = lasting.and(self.present_answers(instance));
        Some(listed.map_or_else(Vec::new, |listed| observed(listed, answers)))
    }

    fn observe(&mut self, instance: Instance) -> InstanceObservation {
        let id = instance.id;
        let results = self.health.results(id);
        let found = results.iter().filter_map(|r| {
            Some((
                format!("health:{}", r.check_type.as_str()),
                r.status.value()?,
            ))
        });
        let score = score(&results).map(|score| ("health_score".to_owned(), f64::from(score)));
        let judged: Vec<(String, f64)> = found.chain(score).collect();
        let checks = results.into_iter().map(|result| ObservedCheck {
            check: result.check_type.as_str().to_owned(),
            status: result.status.as_str().to_owned(),
            message: result.message,
        });
        // Between the request and the start, and during a restart, an instance is briefly stopped.
        // That is normal.
        let is_resting = instance.desired == "running"
            && matches!(
                instance.status,
                InstanceState::Stopped | InstanceState::Stopping
            );
        let is_wanted = if is_resting {
            self.resting
                .entry(id)
                .or_insert_with(Instant::now)
                .elapsed()
                >= REST
        } else {
            self.resting.remove(&id);
            instance.desired == "running"
        };
        // A retrying client is not running between attempts.
        let state = if instance.status == InstanceState::Starting && instance.failures > 0 {
            InstanceState::BackingOff
        } else {
            instance.status
        };
        // Metrics of a client that has exited are out of date.
        let measured = self.metrics.current(id).filter(|_| instance.running);
        let mut figures: BTreeMap<String, f64> = measured
            .map(|measured| measured.figures)
            .unwrap_or_default();
        figures.extend(judged);
        let miners = self.observed_miners(&instance);
        InstanceObservation {
            instance: id,
            name: instance.name,
            tags: instance.tags,
            at: Timestamp::now(),
            is_wanted,
            is_at_rest: instance.desired != "running" && instance.status == InstanceState::Stopped,
            state,
            cause: instance.cause.map(|cause| ObservedCause {
                what: cause.0.what,
                advice: cause.0.advice,
            }),
            checks: checks.collect(),
            available_update: self.health.available_update(id),
            blocks: self.blocks.get(&id).copied().unwrap_or(0),
            best_difficulty: figures.get("best_difficulty").copied(),
            figures,
            miners,
        }
    }
}

/// A host as it last responded or failed. Nothing is known of it before that: its state in the
/// database may be out of date.
fn observed_host((host, state): (Host, HostState)) -> HostObservation {
    let responds = state.report.is_some();
    let is_known = responds || state.failure.is_some();
    let advice = || {
        let last = state.counts.map(|(all, running)| {
            let name = &host.name;
            format!("Last known on {name}: {running} of {all} instances running.")
        });
        let parts = [last, state.advice(&host)].into_iter().flatten();
        parts.collect::<Vec<_>>().join(" ")
    };
    let problem = (!responds).then(|| ObservedCause {
        what: state.status.text().into(),
        advice: advice(),
    });
    HostObservation {
        at: Timestamp::now(),
        problem: is_known.then_some(problem),
        name: host.name,
    }
}

/// Whether the monitoring of the current client responded in the last round.
fn client_answers(instance: &Instance, measured: Option<&LatestFigures>) -> bool {
    // A round before its start was one of another client.
    let is_of_run = |measured: &&LatestFigures| {
        instance
            .start_time
            .is_some_and(|started| measured.at.saturating_mul(1000) >= started)
    };
    let state = measured
        .filter(is_of_run)
        .and_then(|measured| measured.monitoring.as_ref());
    instance.status == InstanceState::Running
        && matches!(
            state,
            Some(MonitoringState::Moving | MonitoringState::Still(_))
        )
}

/// Whether the monitoring of the current translator responded in the last round.
fn translator_answers(instance: &Instance, report: Option<&TranslatorReport>) -> bool {
    let program = instance
        .translator()
        .filter(|program| program.status == "running");
    let started = program.and_then(|program| program.started_at);
    instance.status == InstanceState::Running
        && report.is_some_and(|report| {
            report.unanswered_since.is_none() && started.is_some_and(|at| at.0 == report.run)
        })
}

/// The listed miners of an instance. While the program that they connect to is not running or does
/// not respond, they are neither online nor offline: the rules about the instance report that. A
/// miner that has connected from another address since it left is not offline.
fn observed(listed: &[ListedMiner], answers: ProgramAnswers) -> Vec<ObservedMiner> {
    // When the last connected miner of each name connected.
    let mut latest: BTreeMap<(MinerProtocol, &str), Timestamp> = BTreeMap::new();
    for miner in listed.iter().filter(|miner| !miner.is_offline) {
        if let Some(at) = miner.connected_since {
            let known = latest
                .entry((miner.protocol, miner.name.as_str()))
                .or_insert(at);
            *known = at.max(*known);
        }
    }
    let has_moved = |miner: &ListedMiner| {
        let connected = latest.get(&(miner.protocol, miner.name.as_str()));
        connected
            .zip(miner.offline_since)
            .is_some_and(|(connected, left)| *connected >= left)
    };
    let miner = |miner: &ListedMiner| ObservedMiner {
        name: miner.name.clone(),
        address: miner.address.clone(),
        is_offline: answers
            .has(miner.protocol)
            .then(|| miner.is_offline && !has_moved(miner)),
    };
    listed.iter().map(miner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hosts::model::{HostReport, HostStatus};
    use crate::domain::instances::InstanceProgram;
    use crate::keeper::protocol::TranslatorStatus;
    use crate::keeper::translator_machine::TranslatorState;
    use crate::programs::openssh::SshFailure;
    use strum::IntoEnumIterator;

    const STARTED: i64 = 1_795_400_000_000;
    const BOTH: ProgramAnswers = ProgramAnswers {
        client: true,
        translator: true,
    };

    /// A running instance with a running translator.
    fn instance() -> Instance {
        let mut instance = Instance::sample(InstanceState::Running);
        instance.start_time = Some(STARTED);
        let reported = TranslatorStatus {
            state: TranslatorState::Running,
            pid: Some(7),
            started_at: Some(STARTED),
            ..TranslatorStatus::default()
        };
        let translator = InstanceProgram::translator(&reported, None);
        instance.programs.push(translator);
        instance
    }

    fn measured(monitoring: Option<MonitoringState>) -> LatestFigures {
        LatestFigures {
            at: STARTED / 1000 + 10,
            figures: BTreeMap::new(),
            monitoring,
        }
    }

    /// A miner that has been connected, or gone, since this second.
    fn miner(address: &str, protocol: MinerProtocol, is_offline: bool, since: i64) -> ListedMiner {
        let since = Some(Timestamp(since * 1000));
        ListedMiner {
            instance_id: InstanceId::random(),
            protocol,
            address: address.into(),
            name: "rig".into(),
            is_offline,
            connected_since: since.filter(|_| !is_offline),
            offline_since: since.filter(|_| is_offline),
        }
    }

    fn offline(listed: &[ListedMiner], answers: ProgramAnswers) -> Vec<Option<bool>> {
        let observed = observed(listed, answers);
        observed.iter().map(|miner| miner.is_offline).collect()
    }

    #[test]
    fn a_client_answers_if_its_monitoring_responded_in_its_last_round() {
        let mut client = instance();
        let moving = measured(Some(MonitoringState::Moving));
        assert!(client_answers(&client, Some(&moving)));
        let still = measured(Some(MonitoringState::Still(1)));
        assert!(client_answers(&client, Some(&still)));
        // No monitoring address, and no round yet.
        assert!(!client_answers(&client, Some(&measured(None))));
        assert!(!client_answers(&client, None));
        let silent = measured(Some(MonitoringState::Not {
            since: 1,
            words: "no response".into(),
            has_answered: true,
        }));
        assert!(!client_answers(&client, Some(&silent)));
        // Started again since the last round.
        client.start_time = Some(STARTED + 11_000);
        assert!(!client_answers(&client, Some(&moving)));
        client.start_time = Some(STARTED);
        client.status = InstanceState::BackingOff;
        assert!(!client_answers(&client, Some(&moving)));
    }

    #[test]
    fn a_translator_answers_if_its_monitoring_responded_in_its_last_round() {
        let mut running = instance();
        let report = TranslatorReport {
            run: STARTED,
            miners: 3,
            ..TranslatorReport::default()
        };
        assert!(translator_answers(&running, Some(&report)));
        assert!(!translator_answers(&running, None));
        let silent = TranslatorReport {
            unanswered_since: Some(Timestamp(STARTED)),
            ..report.clone()
        };
        assert!(!translator_answers(&running, Some(&silent)));
        let earlier = TranslatorReport {
            run: STARTED - 1,
            ..report.clone()
        };
        assert!(!translator_answers(&running, Some(&earlier)));
        running.programs.truncate(1);
        assert!(!translator_answers(&running, Some(&report)));
    }

    #[test]
    fn miners_of_a_program_that_does_not_answer_are_neither_online_nor_offline() {
        let listed = [
            miner("192.0.2.1", MinerProtocol::V1, true, 100),
            miner("192.0.2.1", MinerProtocol::V2, true, 100),
            miner("192.0.2.2", MinerProtocol::V2, false, 50),
        ];
        let known = |client, translator| offline(&listed, ProgramAnswers { client, translator });
        assert_eq!(known(true, true), [Some(true), Some(true), Some(false)]);
        assert_eq!(known(true, false), [None, Some(true), Some(false)]);
        assert_eq!(known(false, true), [Some(true), None, None]);
        // The first response after a pause does not count.
        let first = ProgramAnswers::default().and(BOTH);
        assert_eq!(offline(&listed, first), [None::<bool>; 3]);
    }

    #[test]
    fn a_miner_with_another_address_is_not_offline_at_the_earlier_one() {
        let left = miner("192.0.2.1", MinerProtocol::V1, true, 100);
        let judge = |other| offline(&[left.clone(), other], BOTH)[0];
        let v1 = MinerProtocol::V1;
        assert_eq!(judge(miner("192.0.2.2", v1, false, 100)), Some(false));
        assert_eq!(judge(miner("192.0.2.2", v1, false, 900)), Some(false));
        // Another miner with its name, which was there all the time.
        assert_eq!(judge(miner("192.0.2.2", v1, false, 99)), Some(true));
        assert_eq!(judge(miner("192.0.2.2", v1, true, 900)), Some(true));
        let v2 = MinerProtocol::V2;
        assert_eq!(judge(miner("192.0.2.2", v2, false, 900)), Some(true));
        let stranger = ListedMiner {
            name: "other".into(),
            ..miner("192.0.2.2", v1, false, 900)
        };
        assert_eq!(judge(stranger), Some(true));
    }

    #[test]
    fn a_host_has_a_problem_if_its_last_connection_failed() {
        let host = Host {
            name: "barn".into(),
            address: "ada@barn".parse().unwrap(),
            created_at: Timestamp(0),
        };
        let problem = |state: &HostState| observed_host((host.clone(), state.clone())).problem;
        let failure = |text| Err(SshFailure::of(Some(255), text));
        // As the last process stored it.
        let mut state = HostState::new(Timestamp(0));
        state.counts = Some((5, 3));
        for status in HostStatus::iter() {
            state.status = status;
            assert_eq!(problem(&state), None, "{status:?}");
        }
        for (text, what, advice) in [
            (
                "ssh: connect to host barn port 22: No route to host",
                "unreachable",
                "ada@barn cannot be reached.",
            ),
            (
                "ada@barn: Permission denied (publickey).",
                "login refused",
                "ada@barn does not accept",
            ),
            (
                "Host key verification failed.",
                "host key unknown",
                "The host key of ada@barn",
            ),
        ] {
            let lost = state.next(failure(text), None, Timestamp(1));
            let found = problem(&lost).unwrap().unwrap();
            assert_eq!(found.what, what);
            let start = format!("Last known on barn: 3 of 5 instances running. {advice}");
            assert!(found.advice.starts_with(&start), "{}", found.advice);
        }
        let report = |version: &str| {
            Ok(HostReport {
                id: "a".into(),
                version: version.into(),
                clock_offset_ms: 0,
                instances: [].into(),
                unreadable: 0,
            })
        };
        for (version, same_as) in [
            (env!("CARGO_PKG_VERSION"), None),
            ("0.0.1", None),
            ("0.0.1", Some("attic".to_owned())),
        ] {
            let back = state.next(report(version), same_as, Timestamp(2));
            assert_eq!(problem(&back), Some(None), "{:?}", back.status);
        }
    }
}
